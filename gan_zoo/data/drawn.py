"""Pictures that a program draws: each drawn when first asked for and kept, or all of them once, on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from gan_zoo.data.image_data import Rows
from gan_zoo.data.in_turn import in_turn
from gan_zoo.data.picture_cache import write_header
from gan_zoo.data.pyramid import MappedPictures, halvings, shrink
from gan_zoo.schema import ConfigError, DataError

Shape = tuple[int, int, int, int]  # items, channels, side, side

IN_MEMORY_BYTES = 2**32


class DrawnOnce:
    """A store of `shape` = (items, channels, side, side), uint8: rows that nobody asked for are never drawn.

    draw: rows -> uint8 [N, channels, side, side], a pure function of the rows.
    """

    def __init__(self, draw: Callable[[Rows], Tensor], shape: Shape) -> None:
        if (needed := int(np.prod(shape))) > IN_MEMORY_BYTES:
            raise ConfigError(
                f"{shape[0]:,} pictures of {shape[-1]} px take {needed / 1e9:.1f} GB of memory; choose a smaller "
                "data.size or data.resolution, or set data.cache=FOLDER for a copy on disk"
            )
        self.draw, self.resolution = draw, shape[-1]
        self.pictures = torch.empty(shape, dtype=torch.uint8)  # the system gives memory when it is written to
        self.known = np.zeros(shape[0], bool)

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: Rows, resolution: int) -> Tensor:
        """uint8 [N, channels, resolution, resolution], a copy."""
        missing = np.unique(rows[~self.known[rows]])
        if len(missing):
            self.pictures[torch.from_numpy(missing)] = self.draw(missing)
            self.known[missing] = True
        return shrink(self.pictures[torch.from_numpy(rows)], resolution)


def in_chunks(count: int, side: int, what: str) -> Iterator[range]:
    """Rows 0 ... count - 1, some at a time, with a bar that says how far the drawing is."""
    step = max(16, min(512, 2**24 // side**2))
    console = Console(stderr=True)
    starts = range(0, count, step)
    title = f"drawing {count:,} {what}"
    for start in track(starts, title, console=console, transient=True, disable=not console.is_terminal):
        yield range(start, min(start + step, count))


def on_disk(folder: Path, shape: Shape, chunks: Callable[[], Iterator[Tensor]], what: str) -> MappedPictures:
    """Pictures and their halvings, one file a side, drawn once: chunks gives all of them in order, uint8 [n, C, R, R]."""
    if not folder.is_dir():
        with in_turn(folder):
            if not folder.is_dir():  # else another process has drawn them meanwhile
                _write(folder, shape, chunks, what)
    try:
        return MappedPictures(folder, shape[-1])
    except (OSError, ValueError) as error:
        raise DataError(
            folder, f"the drawn {what} cannot be read ({error}); delete this folder and start again"
        ) from error


def _write(folder: Path, shape: Shape, chunks: Callable[[], Iterator[Tensor]], what: str) -> None:
    """Written beside the place and moved there when whole; of two processes the first to end wins."""
    parent, needed = folder.parent, int(np.prod(shape)) * 4 // 3
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(parent).free):
            raise DataError(
                parent,
                f"drawing the {what} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
                "set data.cache to another disk, or choose a smaller data.size",
            )
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=parent) as unfinished:
            _write_levels(Path(unfinished) / "whole", shape, chunks)
            if not folder.is_dir():
                (Path(unfinished) / "whole").replace(folder)
    except OSError as error:
        if not folder.is_dir():
            raise DataError(
                folder, f"the drawn {what} cannot be written: {error.strerror}; set data.cache"
            ) from error


def _write_levels(folder: Path, shape: Shape, chunks: Callable[[], Iterator[Tensor]]) -> None:
    folder.mkdir()
    files: dict[int, BinaryIO] = {}
    try:
        for chunk in chunks():
            for level in halvings(chunk):
                side = level.shape[-1]
                if side not in files:
                    files[side] = (folder / f"{side}.npy").open("wb")
                    write_header(files[side], (*shape[:2], side, side))
                files[side].write(level.contiguous().numpy().data)
    finally:
        for file in files.values():
            file.close()
