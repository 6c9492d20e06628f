"""Picture files decoded once into a memory-mapped cache before the first step; bad ones are named."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from gan_zoo.data.in_turn import in_turn
from gan_zoo.data.pictures import SUFFIXES, Listing, Reading, data_error, printable
from gan_zoo.data.pyramid import MappedPictures, halvings
from gan_zoo.schema import DataError

log = logging.getLogger(__name__)

CACHE_VERSION = 1
SKIPPED_AT_MOST = 0.01
NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Decoded:
    """Row i of `pictures` is the file `files[i]`; what could not be used is in neither."""

    pictures: MappedPictures
    files: tuple[Path, ...]


def decode_all(
    listing: Listing,
    reading: Reading,
    *,
    cache: str | Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> Decoded:
    """Every picture of the listing as uint8 in a memory-mapped cache, made now unless an equal one exists.

    The cache holds `<side>.npy` for the resolution and its halvings (a third more disk), in a folder named by
    a hash of the file names, sizes, times and `reading`. cache: its parent, see `cache_parent`. Bad files:
    all are found before anything else is done; "raise" refuses them, "skip" leaves them out, if they are at
    most 1 %. DataError names the first ten.
    """
    if not listing.files and not listing.bad:
        raise data_error(listing.root, f"holds no picture ({', '.join(sorted(SUFFIXES))})")
    folder = cache_parent(listing.root, cache) / _fingerprint(listing, reading)
    if (found := _open_cache(folder, reading.resolution)) is not None:
        _judge(listing, found[1], on_error)
    pictures, bad = found or _made_in_turn(listing, reading, folder, on_error)
    return Decoded(pictures, tuple(file for number, file in enumerate(listing.files) if number not in bad))


def cache_parent(root: Path, cache: str | Path | None) -> Path:
    """Where caches go: `cache` if given, else .gan_zoo_cache beside `root`, else the user's cache folder."""
    places = (
        [Path(cache).expanduser()]
        if cache is not None
        else [root.resolve().parent / ".gan_zoo_cache", _user_cache()]
    )
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError as error:
            problem = error
    raise data_error(
        places[-1], f"cannot be written ({problem.strerror}); set data.cache to a folder that can"
    )


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "gan_zoo"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gan_zoo"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gan_zoo"


def _fingerprint(listing: Listing, reading: Reading) -> str:
    digest = hashlib.sha256(json.dumps([CACHE_VERSION, asdict(reading)]).encode())
    for file in listing.files:
        try:
            status = file.stat()
        except OSError as error:
            raise data_error(file, f"vanished while the folder was read: {error.strerror}") from error
        name = os.fsencode(file.relative_to(listing.root).as_posix())
        digest.update(b"%d:%b %d %d\n" % (len(name), name, status.st_size, status.st_mtime_ns))
    return f"{listing.root.resolve().name or 'root'}-{digest.hexdigest()[:16]}"


def _judge(listing: Listing, decoding: dict[int, str], on_error: str) -> None:
    """Raises, or says in the log, what is wrong with the files of a listing; nothing where all are good."""
    bad = [
        *(str(error) for error in listing.bad),
        *(f"{printable(listing.files[number])}: {reason}" for number, reason in sorted(decoding.items())),
    ]
    if not bad:
        return
    total = len(listing.files) + len(listing.bad)
    more = [f"... and {len(bad) - NAMED_AT_MOST} more"] if len(bad) > NAMED_AT_MOST else []
    what = "\n  ".join([f"{len(bad)} of {total} pictures cannot be used:", *bad[:NAMED_AT_MOST], *more])
    share = len(bad) / total
    if on_error == "raise":
        may = " or set data.on_error=skip to leave them out" if share <= SKIPPED_AT_MOST else ""
        raise data_error(listing.root, f"{what}\nRepair or remove them{may}.")
    if share > SKIPPED_AT_MOST or len(bad) == total:
        raise data_error(
            listing.root,
            f"{what}\n{share:.1%} are bad; data.on_error=skip leaves out at most "
            f"{SKIPPED_AT_MOST:.0%}. Repair or remove them.",
        )
    log.warning("%s: %s\nThey are left out.", printable(listing.root), what)


def _open_cache(folder: Path, resolution: int) -> tuple[MappedPictures, dict[int, str]] | None:
    """A finished cache and its bad files by number; None where there is none or it is damaged."""
    if not folder.is_dir():
        return None
    try:
        reasons = json.loads((folder / "bad.json").read_text(encoding="utf-8"))
        bad = {int(number): str(reason) for number, reason in reasons.items()}
        for level in folder.glob("*.npy"):  # refuses a file that is shorter than its header says
            np.load(level, mmap_mode="r", allow_pickle=False)
        return MappedPictures(folder, resolution), bad
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s: the cache is damaged (%s) and is made again", printable(folder), error)
        return None


def _made_in_turn(
    listing: Listing, reading: Reading, folder: Path, on_error: Literal["raise", "skip"]
) -> tuple[MappedPictures, dict[int, str]]:
    """Made by one process, found by those that waited for it."""
    with in_turn(folder):
        if (found := _open_cache(folder, reading.resolution)) is None:
            return _make_cache(listing, reading, folder, on_error)
    _judge(listing, found[1], on_error)
    return found


def _make_cache(
    listing: Listing, reading: Reading, folder: Path, on_error: str
) -> tuple[MappedPictures, dict[int, str]]:
    """Writes the cache beside its final place and moves it there when it is whole."""
    _sweep(folder.parent)
    _check_space(listing, reading, folder.parent)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        bad = _write(listing, reading, unfinished)
        _judge(listing, bad, on_error)
        (unfinished / "bad.json").write_text(json.dumps(bad), encoding="utf-8")
        if (other := _open_cache(folder, reading.resolution)) is not None:  # another process was first
            return other
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        free = (
            f" ({shutil.disk_usage(folder.parent).free / 1e9:.1f} GB free); set data.cache to another disk"
            if full
            else ""
        )
        raise data_error(folder, f"the picture cache cannot be written: {error.strerror}{free}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return MappedPictures(folder, reading.resolution), bad


def _sweep(parent: Path) -> None:
    """Removes what a killed process left, a day later: until then it may be at work on another machine."""
    for left in parent.glob("unfinished-*"):
        newest = max((file.stat().st_mtime for file in left.glob("*")), default=left.stat().st_mtime)
        if newest < time.time() - 86_400:
            shutil.rmtree(left, ignore_errors=True)


def _check_space(listing: Listing, reading: Reading, parent: Path) -> None:
    needed = len(listing.files) * reading.channels * reading.resolution**2 * 4 // 3
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise data_error(
            parent,
            f"the picture cache needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "set data.cache to another disk, or choose a smaller data.resolution",
        )


def _write(listing: Listing, reading: Reading, folder: Path) -> dict[int, str]:
    """Decodes into `folder`, one .npy a level, as a stream: a full disk kills who writes to a mapped file.

    Returns the reasons of the bad files by their number.
    """
    bad: dict[int, str] = {}
    levels: dict[int, BinaryIO] = {}
    shape = len(listing.files), reading.channels
    try:
        for first, results in _decoded(listing, reading):
            bad |= {
                first + number: error.reason
                for number, error in enumerate(results)
                if isinstance(error, DataError)
            }
            good = [picture for picture in results if not isinstance(picture, DataError)]
            if not good:
                continue
            for level in halvings(torch.from_numpy(np.stack(good))):
                side = level.shape[-1]
                if side not in levels:
                    levels[side] = (folder / f"{side}.npy").open("wb")
                    write_header(levels[side], (*shape, side, side))
                levels[side].write(level.contiguous().numpy().data)
        for side, file in levels.items():
            file.seek(0)  # the header now says how many there are; numpy leaves room for it
            write_header(file, (len(listing.files) - len(bad), reading.channels, side, side))
            file.flush()
            os.fsync(file.fileno())
    finally:
        for file in levels.values():
            file.close()
    return bad


def write_header(file: BinaryIO, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint8) -> None:
    """The beginning of a .npy file, whose numbers follow in the order of C."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _decoded(
    listing: Listing, reading: Reading
) -> Iterator[tuple[int, Sequence[npt.NDArray[np.uint8] | DataError]]]:
    """Chunks of the listing in order: number of the first, pictures or their errors; decoded by threads."""

    def attempt(path: Path) -> npt.NDArray[np.uint8] | DataError:
        try:
            return reading(path)
        except DataError as error:
            return error

    size = max(1, min(64, 2**24 // (reading.channels * reading.resolution**2)))
    starts = range(0, len(listing.files), size)
    console = Console(stderr=True)
    what = f"reading {len(listing.files):,} pictures"
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        warnings.simplefilter(
            "ignore", Image.DecompressionBombWarning
        )  # our own limit is lower, and an error
        for first in track(starts, what, console=console, transient=True, disable=not console.is_terminal):
            yield first, list(pool.map(attempt, listing.files[first : first + size]))
