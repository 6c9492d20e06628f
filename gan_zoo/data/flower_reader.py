"""Petal colour, centre colour and petal number, read back from pictures of flowers by a program that knows the palettes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_zoo.data.flower_attributes import BACKGROUNDS, CENTRE_COLOURS, PETAL_COLOURS, PETAL_NUMBERS
from gan_zoo.data.flower_painter import LEAF, LEAF_DARK, mixed, rgb, shaded
from gan_zoo.schema import ConfigError

SIDE = 64  # pictures are read at this size
ATTRIBUTES = ("petal_colour", "centre_colour", "petal_number")
UNREAD = -1
LEAST = 0.012  # share of the picture that must be of the petals' colour; drawn flowers have 0.03 or more
RADII, ANGLES = 28, 96


def lab(pictures: Tensor) -> Tensor:
    """sRGB in [0, 1], [N, 3, ...] -> CIE L*a*b* (D65), lightness in 0 ... 100."""
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    white = torch.tensor([0.95047, 1.0, 1.08883])
    x, y, z = torch.einsum("ij,nj...->in...", to_xyz / white[:, None], linear)
    x, y, z = (
        torch.where(t > 216 / 24389, t.clamp_min(1e-9) ** (1 / 3), (24389 / 27 * t + 16) / 116)
        for t in (x, y, z)
    )
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _lab_of(colours: list[np.ndarray]) -> Tensor:
    return lab(torch.from_numpy(np.stack(colours)))


@lru_cache(maxsize=1)
def _palette() -> tuple[Tensor, Tensor]:
    """Colours in Lab, [K, 3], and whose each is: 0 ... 7 a petal colour, 8 anything else."""
    colours: list[np.ndarray] = []
    owners: list[int] = []
    for owner, code in enumerate(PETAL_COLOURS.values()):
        base = rgb(code)
        variants = [
            base,
            mixed(base, shaded(base), 0.25),
            mixed(base, shaded(base), 0.5),
            mixed(base, "#FFFFFF", 0.15),
        ]
        colours += variants
        owners += [owner] * len(variants)
    for code in (*BACKGROUNDS.values(), LEAF, LEAF_DARK, "#86C46A"):
        base = rgb(code)
        variants = [
            base,
            mixed(base, "#FFFFFF", 0.16),
            mixed(base, "#000000", 0.2),
            mixed(base, "#0B0B14", 0.45),
        ]
        colours += variants
        owners += [len(PETAL_COLOURS)] * len(variants)
    return _lab_of(colours), torch.tensor(owners)


@lru_cache(maxsize=1)
def _share_table() -> Tensor:
    """Share of each petal colour in each of 32**3 colours, [32768, 8]: near to the colour, far from all others."""
    palette, owners = _palette()
    levels = (torch.arange(32) * 8 + 4) / 255
    colours = torch.cartesian_prod(levels, levels, levels)
    distance = torch.cdist(lab(colours), palette)
    share = torch.softmax(-distance / 4, 1) @ F.one_hot(owners).float()
    return share[:, : len(PETAL_COLOURS)].contiguous()


def _shares(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] in 0 ... 255 -> share of each petal colour in each pixel, [N, 8, H, W]; sums to at most 1."""
    red, green, blue = (pictures / 8).long().clamp(0, 31).unbind(1)
    return _share_table()[(red * 32 + green) * 32 + blue].permute(0, 3, 1, 2)


def _plane() -> tuple[Tensor, Tensor]:
    steps = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    return steps[None, :], steps[:, None]


def _window(x: Tensor, y: Tensor, reach: float) -> Tensor:
    """[N] places -> [N, H, W], a disc of radius `reach` with a soft edge around each."""
    across, down = _plane()
    return ((reach - torch.hypot(across - x[:, None, None], down - y[:, None, None])) / 0.1 + 0.5).clamp(0, 1)


def _blossoms(share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the main blossom is, x and y, and its petal colour: mean shift from the place with most petals around it."""
    steps = torch.arange(SIDE) * 2 / SIDE
    blur = torch.exp(-((steps[:, None] - steps) ** 2) / (2 * 0.28**2))
    smooth = blur @ share @ blur
    best, place = smooth.flatten(2).max(2)
    colour = best.argmax(1)
    place = place.gather(1, colour[:, None])[:, 0]
    across, down = _plane()
    x, y = across[0, place % SIDE], down[place // SIDE, 0]
    own = share[torch.arange(len(share)), colour]
    for reach in (0.9, 0.8, 0.8, 0.75, 0.75, 0.75, 0.75, 0.75):
        weight = _window(x, y, reach) * own
        total = weight.sum((1, 2)) + 1e-6
        x, y = (weight * across).sum((1, 2)) / total, (weight * down).sum((1, 2)) / total
    return x, y, colour


def _resized(pictures: Tensor) -> Tensor:
    if pictures.shape[-1] > SIDE:
        return F.adaptive_avg_pool2d(pictures, SIDE)
    return F.interpolate(pictures, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def _unrolled(pictures: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """[N, C, H, W] around [N] places as [N, C, RADII, ANGLES]; the radius goes up to 1."""
    radius = (torch.arange(RADII) + 0.5) / RADII
    angle = torch.arange(ANGLES) * 2 * torch.pi / ANGLES
    offset = torch.stack([radius[:, None] * angle.cos(), radius[:, None] * angle.sin()], -1)
    grid = offset + torch.stack([x, y], -1)[:, None, None]
    return F.grid_sample(pictures, grid, mode="bilinear", align_corners=False)


def _centre_colour(shown: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The colour of the palette that is nearest to the mean over a disc of a seventh of the half side."""
    near = _unrolled(shown / 255, x, y)[:, :, :4].mean((2, 3))
    palette = lab(torch.from_numpy(np.stack([rgb(code) for code in CENTRE_COLOURS.values()])))
    return torch.cdist(lab(near), palette).argmin(1)


def _number(own: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The number whose wave, with its overtone, goes around the blossom most: what is of the petals' colour, by angle.

    Notched petals have more of the overtone than of the wave itself. Near the centre the gaps between petals count more.
    """
    radius = (torch.arange(RADII) + 0.5) / RADII
    weight = torch.where(radius > 0.2, 1.2 - radius, 0)
    spectrum = torch.fft.rfft((_unrolled(own[:, None], x, y)[:, 0] * weight[:, None]).sum(1)).abs()
    numbers = torch.tensor(PETAL_NUMBERS)
    return (spectrum[:, numbers] + 0.75 * spectrum[:, 2 * numbers]).argmax(1)


def _read(pictures: Tensor) -> dict[str, Tensor]:
    shown = pictures.cpu().float() if pictures.dtype == torch.uint8 else (pictures.cpu().float() + 1) * 127.5
    shown = _resized(shown.nan_to_num(127.5).clamp(0, 255))
    share = _shares(shown)
    x, y, colour = _blossoms(share)
    own = share[torch.arange(len(share)), colour]
    read = {
        "petal_colour": colour,
        "centre_colour": _centre_colour(shown, x, y),
        "petal_number": _number(own, x, y),
    }
    nothing = own.mean((1, 2)) < LEAST
    return {name: torch.where(nothing, UNREAD, values) for name, values in read.items()}


def read_attributes(pictures: Tensor) -> dict[str, Tensor]:
    """Petal colour, centre colour and petal number of flowers: int64 [N] each, indices into CHOICES; UNREAD (-1) where
    there is no blossom.

    pictures: [N, 3, R, R], uint8, or float in [-1, 1] as a generator makes them; R >= 16. Accuracy on drawn flowers:
    tests/data/test_flowers.py.
    """
    shape = pictures.shape
    if pictures.dim() != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[3] < 16:
        raise ConfigError(f"flowers are read from [N, 3, R, R], R at least 16; got {list(shape)}")
    parts = [_read(part) for part in pictures.split(128)]
    return {name: torch.cat([part[name] for part in parts]) for name in ATTRIBUTES}
