"""Sliced Wasserstein distance of Laplacian-pyramid patches (Karras et al. 2018, sec. 5).

Each level down to 16 pixels gives 7 x 7 patches; each channel is normalised by the mean and deviation of its
set, the patches are projected onto random directions, and sorted projections are compared. Times 1000, as it
is printed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gan_zoo.metrics.inputs import as_features, at_least, picture_batches, picture_pair, seeded

PATCH = 7
SMALLEST = 16
BATCH = 256


def sliced_wasserstein(
    a: Tensor, b: Tensor, *, repeats: int = 4, directions: int = 128, seed: int = 0, at_once: int = 8
) -> float:
    """Mean over random unit directions of the 1-D Wasserstein-1 distance; a, b: [N, D] of equal size.

    at_once: directions projected together; memory is 2 N at_once floats.
    """
    at_least(1, repeats=repeats, directions=directions, at_once=at_once)
    a, b = as_features(a, "a"), as_features(b, "b")
    if a.shape != b.shape:
        raise ValueError(
            f"both sets need one number of vectors and dimensions, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    generator = seeded(seed)
    total = 0.0
    for _ in range(repeats):
        drawn = torch.randn(a.shape[1], directions, generator=generator, dtype=torch.float64)
        drawn = (drawn / drawn.norm(dim=0)).to(a)
        for some in drawn.split(at_once, dim=1):
            gap = (a @ some).T.contiguous().sort(1).values - (b @ some).T.contiguous().sort(1).values
            total += float(gap.abs_().mean(1).double().sum())
    return total / (repeats * directions)


def _blur(pictures: Tensor, gain: float) -> Tensor:
    """The 5-tap binomial filter in both axes, mirrored at the border (as cv2.pyrDown)."""
    taps = pictures.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = (gain * torch.outer(taps, taps))[None, None]
    n, c, h, w = pictures.shape
    flat = pad(pictures.reshape(n * c, 1, h, w), (2, 2, 2, 2), mode="reflect")
    return conv2d(flat, kernel).reshape(n, c, h, w)


def pyramid_down(pictures: Tensor) -> Tensor:
    """Blur, then every second pixel: [N, C, H, W] -> [N, C, H / 2, W / 2]."""
    return _blur(pictures, 1.0)[:, :, ::2, ::2]


def pyramid_up(pictures: Tensor) -> Tensor:
    """Zeros between the pixels, then blur with gain 4: [N, C, H, W] -> [N, C, 2 H, 2 W]."""
    n, c, h, w = pictures.shape
    spread = pictures.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = pictures
    return _blur(spread, 4.0)


def laplacian_pyramid(pictures: Tensor, levels: int) -> list[Tensor]:
    """Band-pass levels, fine to coarse, the last low-pass; the enlarged levels sum to the picture."""
    found: list[Tensor] = []
    for _ in range(levels - 1):
        smaller = pyramid_down(pictures)
        found.append(pictures - pyramid_up(smaller))
        pictures = smaller
    return [*found, pictures]


def level_sides(side: int) -> list[int]:
    """Sides of the levels: side, side / 2, ... >= 16. ValueError unless the side is 16 * 2^k."""
    sides = [side]
    while sides[-1] % 2 == 0 and sides[-1] // 2 >= SMALLEST:
        sides.append(sides[-1] // 2)
    if side < SMALLEST or sides[-1] != SMALLEST:
        raise ValueError(f"pictures must be square with a side of 16 * 2**k, got {side}; resize them first")
    return sides


def patches(pictures: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` random 7 x 7 patches of each picture: [N, C, H, W] -> [N * count, C, 7, 7]."""
    n, _, h, w = pictures.shape
    return _cut(pictures, *_corners(n, h, w, count, generator))


def _corners(n: int, h: int, w: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and columns of the patches' first pixels, [N, count, 1, 1] each."""
    top = torch.randint(0, h - PATCH + 1, (n, count, 1, 1), generator=generator)
    left = torch.randint(0, w - PATCH + 1, (n, count, 1, 1), generator=generator)
    return top, left


def _cut(pictures: Tensor, top: Tensor, left: Tensor) -> Tensor:
    y = top + torch.arange(PATCH)[None, None, :, None]
    x = left + torch.arange(PATCH)[None, None, None, :]
    index = torch.arange(len(pictures))[:, None, None, None]
    return pictures.cpu()[index, :, y, x].permute(0, 1, 4, 2, 3).flatten(0, 1)


def _descriptors(
    pictures: Tensor, level: int, levels: int, count: int, seed: int, dtype: torch.dtype
) -> Tensor:
    """Normalised patches of one level of all pictures, [N * count, C * 49], made batch by batch."""
    generator = seeded(seed)
    side = pictures.shape[-1] >> level
    drawn = [_corners(len(batch), side, side, count, generator) for batch in pictures.split(BATCH)]
    top, left = (torch.cat(corners) for corners in zip(*drawn, strict=True))
    found = torch.empty(len(pictures) * count, pictures.shape[1], PATCH, PATCH, dtype=dtype)
    start = 0
    for batch in picture_batches(pictures, dtype=dtype):
        end = start + len(batch)
        band = laplacian_pyramid(batch, min(level + 2, levels))[level]
        found[start * count : end * count] = _cut(band, top[start:end], left[start:end])
        start = end
    std, mean = torch.std_mean(found, dim=(0, 2, 3), correction=0, keepdim=True)
    return found.sub_(mean).div_(std.clamp_min(1e-12)).flatten(1)


def laplacian_swd(
    real: Tensor,
    fake: Tensor,
    *,
    patches_per_picture: int = 128,
    repeats: int = 4,
    directions: int = 128,
    seed: int = 0,
) -> dict[str, float]:
    """SWD x 1000 of each pyramid level and their mean: {"32": ..., "16": ..., "average": ...}.

    real, fake: as many pictures each, square, a side of 16 * 2**k, uint8 or float in [-1, 1] (the paper:
    16,384). Reals against other reals are above 0: state that floor. One level of both sets is in memory at a time (3 GB
    at the paper's numbers and RGB, 2.5 of them descriptors); pictures are converted batch by batch.
    """
    at_least(1, patches_per_picture=patches_per_picture)
    first, _ = picture_pair(real[:1], fake[:1], least=1)  # pictures are converted batch by batch
    if len(real) != len(fake):
        raise ValueError(f"SWD needs as many fakes as reals, got {len(real)} and {len(fake)}")
    if real.shape[-1] != real.shape[-2]:
        raise ValueError(f"pictures must be square, got {tuple(real.shape)}")
    dtype = first.dtype
    sides = level_sides(real.shape[-1])
    found: dict[str, float] = {}
    for level, side in enumerate(sides):
        sets = [
            _descriptors(one, level, len(sides), patches_per_picture, seed + 1000 * level + which, dtype)
            for which, one in enumerate((real, fake))
        ]
        found[str(side)] = 1000 * sliced_wasserstein(
            *sets, repeats=repeats, directions=directions, seed=seed + level
        )
        del sets  # else they would still be there while those of the next level are made
    return {**found, "average": sum(found.values()) / len(found)}
