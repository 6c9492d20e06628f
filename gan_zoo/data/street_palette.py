"""The classes of a street scene, the part of colour space that each owns, and the labels read back from pictures.

Hue, saturation and value are those of HSV. What is grey is road; every other class owns a sector of hues, and what is
painted of it keeps 5 degrees away from the sector's ends, so that a picture need not be exact to be read.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gan_zoo.data.drawing import Array
from gan_zoo.schema import ConfigError

SKY, BUILDING, TREE, ROAD, SIDEWALK, CAR, PERSON, POLE = range(8)
CLASSES = ("sky", "building", "tree", "road", "sidewalk", "car", "person", "pole")
# where the sector of a class begins, in degrees of hue; it ends where the next begins
SECTORS = ((POLE, 44), (TREE, 72), (CAR, 156), (SKY, 192), (SIDEWALK, 246), (PERSON, 288), (BUILDING, 336))
RED_CAR = 0.74  # redder than any building: saturation from here on, hue from 336 to 20 degrees, is a car
GREY = 0.1, 8.0  # a pixel is grey when its chroma is below 0.1 value + 8, both in 0 .. 255


def hsv(hue: float, saturation: float, value: float) -> Array:
    """hue in degrees, the others in [0, 1] -> red, green, blue, float32 in [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value), np.float32)


def _classes_of(colours: Tensor) -> Tensor:
    """float [M, 3] in 0 .. 255 -> the class that owns each colour, int64 [M]."""
    red, green, blue = colours.unbind(1)
    value, least = colours.amax(1), colours.amin(1)
    chroma = value - least
    safe = chroma.clamp_min(1e-6)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = (hue * 60) % 360
    starts = torch.tensor([float(start) for _, start in SECTORS])
    owners = torch.tensor([SECTORS[-1][0], *(owner for owner, _ in SECTORS)])
    found = owners[torch.bucketize(hue, starts, right=True)]
    red_car = (found == BUILDING) & (chroma >= RED_CAR * value) & ((hue >= 336) | (hue < 20))
    found = torch.where(red_car, CAR, found)
    return torch.where(chroma < GREY[0] * value + GREY[1], ROAD, found)


@lru_cache(maxsize=1)
def _table() -> Tensor:
    """The class of each of the 128**3 colours whose channels are even, uint8."""
    levels = torch.arange(128) * 2 + 0.5  # the mean of 2 k and 2 k + 1
    colours = torch.cartesian_prod(levels, levels, levels)
    return _classes_of(colours).to(torch.uint8)


def read_labels(pictures: Tensor) -> Tensor:
    """The class that owns each pixel's colour: [N, 3, H, W] -> uint8 [N, H, W], indices into CLASSES.

    pictures: uint8, or float in [-1, 1] as a generator makes them. How well real pictures are read, and blurred ones:
    tests/data/test_streets.py.
    """
    if pictures.dim() != 4 or pictures.shape[1] != 3:
        raise ConfigError(f"labels are read from [N, 3, H, W], got {list(pictures.shape)}")
    if pictures.dtype != torch.uint8:
        pictures = ((pictures.float() + 1) * 127.5).nan_to_num(127.5).round().clamp(0, 255).to(torch.uint8)
    red, green, blue = (pictures.cpu() >> 1).long().unbind(1)
    return _table()[(red * 128 + green) * 128 + blue]
