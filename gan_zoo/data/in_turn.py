"""Several processes that want one cache: the first makes it, the others wait and find it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """One process at a time is within it for `folder`, which need not be there yet: look again whether it is.

    Each rank of a run prepares its data. Where the file system has no locks, or the place cannot be written to, all go at
    once, and the first to end wins. A process that dies leaves its place to the next.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
        lock.release()
