"""Pairs of files decoded once into memory-mapped arrays before the first step; bad ones are named, all at once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor

from gan_zoo.data.image_data import Rows
from gan_zoo.data.in_turn import in_turn
from gan_zoo.data.picture_cache import cache_parent, write_header
from gan_zoo.data.pictures import data_error
from gan_zoo.schema import DataError

log = logging.getLogger(__name__)

VERSION = 1
NAMED_AT_MOST = 10
Item = Mapping[str, Path]  # the files of one pair, by what they are
Arrays = Mapping[str, npt.NDArray[Any]]  # what is kept of one pair, all pairs alike


class MappedPairs:
    """A folder of `<key>.npy`, mapped and not read. take gives uint8 pictures and ids, int32 instances."""

    def __init__(self, folder: Path, keys: Sequence[str], resolution: int) -> None:
        self.folder, self.keys, self.resolution = folder, tuple(keys), resolution
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._length = len(self._array(self.keys[0]))

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}  # a mapped array would be pickled by its content

    def _array(self, key: str) -> npt.NDArray[Any]:
        if key not in self._arrays:
            self._arrays[key] = np.asarray(
                np.load(self.folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
            )
        return self._arrays[key]

    def take(self, rows: Rows, resolution: int) -> dict[str, Tensor]:
        batch = {}
        for key in self.keys:
            array = self._array(key)[rows]
            values = torch.from_numpy(array.astype(np.int32) if array.dtype == np.uint16 else array)
            batch[key] = values if resolution == self.resolution else at_height(values, resolution)
        return batch


def at_height(values: Tensor, height: int) -> Tensor:
    """Pictures [N, C, H, W] by area, ids [N, H, W] by the nearest, brought to another height in proportion."""
    size = height, max(1, round(values.shape[-1] * height / values.shape[-2]))
    if values.dim() == 4:
        mode = "area" if height < values.shape[-2] else "bicubic"
        return F.interpolate(values.float(), size=size, mode=mode).round().clamp(0, 255).to(torch.uint8)
    return F.interpolate(values[:, None].double(), size=size, mode="nearest-exact")[:, 0].to(values.dtype)


def decode_pairs(
    root: Path,
    items: Sequence[Item],
    read: Callable[[Item], Arrays],
    settings: Mapping[str, Any],
    resolution: int,
    cache: str | Path | None = None,
) -> MappedPairs:
    """What `read` makes of every item, in order, mapped from a cache that is made now unless an equal one exists.

    settings: plain values that `read` depends on; with the files' names, sizes and times they name the cache. All bad
    items are found before any is complained of: DataError names the first ten.
    """
    folder = cache_parent(root, cache) / _name(root, items, settings)
    if (found := _opened(folder, resolution)) is None:
        with in_turn(folder):
            if (found := _opened(folder, resolution)) is None:  # else another process has made it meanwhile
                _make(root, items, read, folder)
                found = _opened(folder, resolution)
    if found is None:
        raise data_error(folder, "the cache of pairs cannot be read; delete this folder and start again")
    return found


def _name(root: Path, items: Sequence[Item], settings: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, dict(settings)], sort_keys=True).encode())
    for item in items:
        for key, file in item.items():
            try:
                status = file.stat()
            except OSError as error:
                raise data_error(file, f"cannot be read: {error.strerror}") from error
            name = os.fsencode(file.relative_to(root).as_posix())
            digest.update(b"%s:%b %d %d\n" % (key.encode(), name, status.st_size, status.st_mtime_ns))
    return f"pairs-{root.resolve().name or 'root'}-{digest.hexdigest()[:16]}"


def _opened(folder: Path, resolution: int) -> MappedPairs | None:
    if not folder.is_dir():
        return None
    try:
        keys = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
        return MappedPairs(folder, keys, resolution)
    except (OSError, ValueError, IndexError) as error:
        log.warning("%s: the cache is damaged (%s) and is made again", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _make(root: Path, items: Sequence[Item], read: Callable[[Item], Arrays], folder: Path) -> None:
    """Written beside its place and moved there when whole; of two processes the first to end wins."""
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        _judge(root, len(items), _write(items, read, unfinished))
        if not folder.is_dir():
            unfinished.replace(folder)
    except OSError as error:
        free = shutil.disk_usage(folder.parent).free / 1e9
        raise data_error(
            folder,
            f"the cache of pairs cannot be written: {error.strerror} ({free:.1f} GB free); set data.cache to another disk",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _judge(root: Path, total: int, bad: Sequence[DataError]) -> None:
    if not bad:
        return
    more = [f"... and {len(bad) - NAMED_AT_MOST} more"] if len(bad) > NAMED_AT_MOST else []
    named = "\n  ".join(
        [
            f"{len(bad)} of {total} pairs cannot be used:",
            *(str(error) for error in bad[:NAMED_AT_MOST]),
            *more,
        ]
    )
    raise data_error(root, f"{named}\nRepair or remove them.")


def _write(items: Sequence[Item], read: Callable[[Item], Arrays], folder: Path) -> list[DataError]:
    """One .npy a key, written as a stream, since a full disk kills who writes to a mapped file."""
    files: dict[str, BinaryIO] = {}
    bad: list[DataError] = []
    try:
        for result in _decoded(items, read):
            if isinstance(result, DataError):
                bad.append(result)
                continue
            for key, array in result.items():
                if key not in files:
                    files[key] = (folder / f"{key}.npy").open("wb")
                    write_header(files[key], (len(items), *array.shape), array.dtype)
                files[key].write(np.ascontiguousarray(array).data)
        (folder / "keys.json").write_text(json.dumps(list(files)), encoding="utf-8")
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    finally:
        for file in files.values():
            file.close()
    return bad


def _decoded(items: Sequence[Item], read: Callable[[Item], Arrays]) -> Iterator[Arrays | DataError]:
    """In order, read by threads a few at a time."""

    def attempt(item: Item) -> Arrays | DataError:
        try:
            return read(item)
        except DataError as error:
            return error

    console, chunk = Console(stderr=True), 32
    starts = range(0, len(items), chunk)
    what = f"reading {len(items):,} pairs"
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        warnings.simplefilter(
            "ignore", Image.DecompressionBombWarning
        )  # our own limit is lower, and an error
        for start in track(starts, what, console=console, transient=True, disable=not console.is_terminal):
            yield from pool.map(attempt, items[start : start + chunk])
