"""Pictures of any size through a network that takes some: padded to what it needs, or in overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_zoo.schema import ConfigError

Maps = dict[str, Tensor]  # [1, C, H, W] pictures or [1, H, W] ids, all of one height and width
Make = Callable[[Maps], Tensor]


def whole(make: Make, maps: Maps, multiple: int, least: int = 1) -> Tensor:
    """make(maps), [1, C, H, W], where `make` wants sides that are multiples and at least `least`.

    Borders are repeated, and cut off again.
    """
    height, width = size_of(maps)
    down, right = (-(-max(side, least) // multiple) * multiple - side for side in (height, width))
    made = make({key: _padded(value, down, right) for key, value in maps.items()})
    return made[..., :height, :width]


def tiled(make: Make, maps: Maps, multiple: int, tile: int, overlap: int, least: int = 1) -> Tensor:
    """As whole, in tiles of at most `tile` a side that overlap by `overlap` or more, faded into one another along lines."""
    height, width = size_of(maps)
    tile = max(tile // multiple * multiple, multiple, least)
    if max(height, width) <= tile:
        return whole(make, maps, multiple, least)
    if overlap >= tile:
        raise ConfigError(
            f"overlap={overlap} must be smaller than a tile, which is {tile} for this network; lower it, or raise tile"
        )
    total, weights = torch.zeros(()), torch.zeros(1, 1, height, width)
    for top in starts(height, tile, overlap):
        for left in starts(width, tile, overlap):
            rows, columns = slice(top, min(top + tile, height)), slice(left, min(left + tile, width))
            made = whole(
                make, {key: value[..., rows, columns] for key, value in maps.items()}, multiple, least
            )
            if total.dim() == 0:
                total = torch.zeros(1, made.shape[1], height, width)
            weight = _window(rows, height, overlap).unsqueeze(1) * _window(columns, width, overlap)
            total[..., rows, columns] += made * weight
            weights[..., rows, columns] += weight
    return total / weights


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin: evenly spread, the last one at the end, `overlap` or more shared by neighbours."""
    if side <= tile:
        return [0]
    count = -(-(side - tile) // (tile - overlap)) + 1
    return [round(i * (side - tile) / (count - 1)) for i in range(count)]


def size_of(maps: Maps) -> tuple[int, int]:
    height, width = next(iter(maps.values())).shape[-2:]
    return height, width


def _window(span: slice, side: int, overlap: int) -> Tensor:
    """Weights of a tile's rows or columns: rising and falling over the overlap, but not at the picture's own borders."""
    length = span.stop - span.start
    ramp = (torch.arange(length) + 1) / (overlap + 1)
    up = ramp.clamp(max=1) if span.start > 0 else torch.ones(length)
    down = ramp.flip(0).clamp(max=1) if span.stop < side else torch.ones(length)
    return up * down


def _padded(value: Tensor, down: int, right: int) -> Tensor:
    if not down and not right:
        return value
    planes = value if value.dim() == 4 else value.unsqueeze(1)
    padded = F.pad(planes.double(), (0, right, 0, down), mode="replicate").to(value.dtype)
    return padded if value.dim() == 4 else padded.squeeze(1)
