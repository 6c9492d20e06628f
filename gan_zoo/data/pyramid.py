"""Pictures kept as uint8 at every resolution asked for, and the data sets that slice batches from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_zoo.data.stream import Key
from gan_zoo.schema import ConfigError

RESIDENT_BYTES = 2**30  # a level larger than this is computed batch by batch and not kept


def halvings(pictures: Tensor) -> Iterator[Tensor]:
    """[N, C, R, R], [N, C, R/2, R/2], ... down to an odd side or 4 px, all uint8.

    Each level is the box mean of the *first*, halves rounded up: sums are carried, so rounding does not pile
    up.
    """
    yield pictures
    sums, count = pictures.int(), 1
    while sums.shape[-1] % 2 == 0 and sums.shape[-1] > 4:
        rows = sums[..., ::2, :] + sums[..., 1::2, :]
        sums, count = rows[..., ::2] + rows[..., 1::2], count * 4
        yield ((sums + count // 2) // count).to(torch.uint8)


@cache
def _overlaps(old: int, new: int) -> Tensor:
    """[new, old]: the length that old pixel j shares with new pixel i, counted in 1/new of an old pixel."""
    edges_new, edges_old = torch.arange(new + 1) * old, torch.arange(old + 1) * new
    ends = torch.minimum(edges_new[1:, None], edges_old[None, 1:])
    starts = torch.maximum(edges_new[:-1, None], edges_old[None, :-1])
    return (ends - starts).clamp_min(0).double()


def shrink(pictures: Tensor, resolution: int) -> Tensor:
    """uint8 [N, C, R, R] -> [N, C, resolution, resolution], each new pixel the mean of the area it covers.

    Halves are rounded up. Any resolution from 1 to R works; the sums are whole numbers in float64, hence
    exact.
    """
    side = pictures.shape[-1]
    if not 1 <= resolution <= side:
        raise ConfigError(
            f"pictures of {side} px were asked for at {resolution} px; set data.resolution >= {resolution}"
        )
    if side == resolution:
        return pictures
    weights = _overlaps(side, resolution)
    sums = weights @ pictures.double() @ weights.T
    return ((2 * sums + side**2) / (2 * side**2)).floor().to(torch.uint8)


def enlarge(pictures: Tensor, resolution: int) -> Tensor:
    """uint8 [N, C, R, R] -> another side: bicubic (Keys, a = -0.5) when larger, area mean when smaller."""
    if resolution <= pictures.shape[-1]:
        return shrink(pictures, resolution)
    # antialias=True changes nothing when enlarging but the kernel: a = -0.5 as in Pillow, not torch's -0.75
    smooth = F.interpolate(pictures.float(), size=(resolution, resolution), mode="bicubic", antialias=True)
    return smooth.round().clamp(0, 255).to(torch.uint8)


def pad(pictures: Tensor, resolution: int) -> Tensor:
    """uint8 [N, C, R, R] -> uint8 in a black frame, no pixel changed; area mean when smaller."""
    missing = resolution - pictures.shape[-1]
    if missing <= 0:
        return shrink(pictures, resolution)
    before, after = missing // 2, missing - missing // 2
    return F.pad(pictures, (before, after, before, after))


def with_channels(pictures: Tensor, channels: int) -> Tensor:
    """uint8 [N, 1 or 3, H, W] -> [N, channels, H, W]: grey is ITU-R 601 luma as in Pillow, alpha opaque."""
    if pictures.shape[1] == 3 and channels == 1:
        red, green, blue = pictures.int().unbind(1)
        pictures = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)
    if channels == 1:
        return pictures
    colour = pictures.expand(-1, 3, -1, -1)
    if channels == 3:
        return colour.contiguous()
    return torch.cat([colour, torch.full_like(colour[:, :1], 255)], 1)


class Store(Protocol):
    """Where pictures lie: `take` gives uint8 [N, C, resolution, resolution] of the rows asked for, a copy."""

    resolution: int

    def __len__(self) -> int: ...

    def take(self, rows: npt.NDArray[np.int64], resolution: int) -> Tensor: ...


class MemoryPictures:
    """Pictures in memory: uint8 [N, C, native, native], brought to `resolution` by `fit` (enlarge or pad).

    A level is computed whole when first asked for, and kept, where it has at most RESIDENT_BYTES.
    """

    def __init__(
        self, native: Tensor, resolution: int, fit: Callable[[Tensor, int], Tensor] = enlarge
    ) -> None:
        self.native, self.resolution, self.fit = native, resolution, fit
        self._levels: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.native)

    def _bring(self, pictures: Tensor, resolution: int) -> Tensor:
        return shrink(self.fit(pictures, self.resolution), resolution)

    def take(self, rows: npt.NDArray[np.int64], resolution: int) -> Tensor:
        if resolution not in self._levels:
            if self.native.shape[:2].numel() * resolution**2 > RESIDENT_BYTES:
                return self._bring(self.native[torch.from_numpy(rows)], resolution)
            parts = self.native.split(1024)  # float64 sums of the whole set would not fit
            self._levels[resolution] = torch.cat([self._bring(part, resolution) for part in parts])
        return self._levels[resolution].index_select(0, torch.from_numpy(rows))


class MappedPictures:
    """Pictures in a folder of `<side>.npy` files, uint8 [N, C, side, side] each, mapped and not read.

    `resolution` is the largest side. A side without a file is computed from the largest, batch by batch.
    """

    def __init__(self, folder: Path, resolution: int) -> None:
        self.folder, self.resolution = folder, resolution
        self._levels: dict[int, npt.NDArray[np.uint8]] = {}
        self._length = len(self._level(resolution))

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_levels": {}}  # a mapped array would be pickled by its content

    def _level(self, resolution: int) -> npt.NDArray[np.uint8]:
        if resolution not in self._levels:
            mapped = np.load(self.folder / f"{resolution}.npy", mmap_mode="r", allow_pickle=False)
            self._levels[resolution] = np.asarray(mapped)
        return self._levels[resolution]

    def take(self, rows: npt.NDArray[np.int64], resolution: int) -> Tensor:
        if resolution in self._levels or (self.folder / f"{resolution}.npy").is_file():
            return torch.from_numpy(self._level(resolution)[rows])
        return shrink(torch.from_numpy(self._level(self.resolution)[rows]), resolution)


def draws(
    seed: int, epoch: npt.NDArray[np.int64], index: npt.NDArray[np.int64], stream: int
) -> npt.NDArray[np.uint64]:
    """One uniform 64-bit word an item, a function of (seed, epoch, index, stream): splitmix64 of each."""
    word = np.full(index.shape, seed % 2**64, dtype=np.uint64)
    for part in (epoch, index, np.full_like(index, stream)):
        word = (word ^ part.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
    return word


def columns(keys: Sequence[Key]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """(index, epoch, resolution) of a batch of keys, which must agree about the resolution."""
    index, epoch, resolution = np.ascontiguousarray(np.array(keys, dtype=np.int64).reshape(-1, 3).T)
    if resolution.size == 0 or (resolution != resolution[0]).any():
        raise ConfigError(
            f"a batch needs one resolution, got {sorted(set(resolution.tolist()))} in {len(keys)} keys"
        )
    return index, epoch, int(resolution[0])


def _mirror(pictures: Tensor, words: npt.NDArray[np.uint64]) -> Tensor:
    """Turns those pictures left to right, in place, whose word has its highest bit set."""
    chosen = torch.from_numpy(np.flatnonzero(words >> np.uint64(63)))
    pictures[chosen] = pictures[chosen].flip(-1)
    return pictures


class Pictures:
    """The rows of a store as a data set of whole batches.

    rows: int64 [items], the rows of the store that belong to it, in order. labels: class of each *item*, or
    None. flip: mirror an item with probability 1/2, by (seed, epoch, index) alone.
    """

    def __init__(
        self,
        store: Store,
        rows: npt.NDArray[np.int64],
        labels: Tensor | None = None,
        *,
        flip: bool = False,
        seed: int = 0,
    ) -> None:
        self.store, self.rows, self.labels, self.flip, self.seed = store, rows, labels, flip, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        """real: uint8 [N, C, R, R] at the keys' resolution R; condition: int64 [N] where labelled."""
        index, epoch, resolution = columns(keys)
        batch = {"real": self.store.take(self.rows[index], resolution)}
        if self.flip:
            _mirror(batch["real"], draws(self.seed, epoch, index, stream=0))
        if self.labels is not None:
            batch["condition"] = self.labels[torch.from_numpy(index)]
        return batch


class Stacked:
    """Three grey pictures as red, green and blue, each of a class drawn uniformly: classes**3 modes.

    What stands at an index is a pure function of (seed, index, epoch); condition is the number that the three
    classes spell, red first: 100 r + 10 g + b for ten. rows, labels: as for Pictures.
    """

    def __init__(
        self,
        store: Store,
        rows: npt.NDArray[np.int64],
        labels: Tensor,
        *,
        items: int,
        flip: bool = False,
        seed: int = 0,
    ) -> None:
        self.store, self.items, self.flip, self.seed = store, items, flip, seed
        classes = labels.numpy()
        self.counts = np.bincount(classes)
        if not self.counts.all():
            raise ConfigError(f"stacking needs a picture of every class, got {self.counts.tolist()}")
        self.members = rows[np.argsort(classes, kind="stable")]  # sorted by class
        self.starts = np.cumsum(self.counts) - self.counts

    def __len__(self) -> int:
        return self.items

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        """real: uint8 [N, 3, R, R] at the keys' resolution R; condition: int64 [N]."""
        index, epoch, resolution = columns(keys)
        modes = len(self.counts)
        number = draws(self.seed, epoch, index, stream=1) % np.uint64(modes**3)
        shown = []  # the row of the store for each colour, [N] each
        for colour, power in enumerate((modes**2, modes, 1)):
            digit = (number // np.uint64(power) % np.uint64(modes)).astype(np.int64)
            word = draws(self.seed, epoch, index, stream=2 + colour)
            shown.append(
                self.members[
                    self.starts[digit] + (word % self.counts[digit].view(np.uint64)).astype(np.int64)
                ]
            )
        real = self.store.take(np.stack(shown, axis=1).ravel(), resolution).view(
            len(index), 3, resolution, resolution
        )
        if self.flip:
            _mirror(real, draws(self.seed, epoch, index, stream=0))
        return {"real": real, "condition": torch.from_numpy(number.astype(np.int64))}
