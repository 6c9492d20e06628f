"""Layers that change the side of a picture, and how many of them a side takes."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from gan_zoo.nn.per_layer import per_layer
from gan_zoo.schema import ConfigError

UpsampleName = Literal["transposed", "nearest", "bilinear"]
SMALLEST = 7  # a side up to this is not halved further: 4 for powers of two, 7 for 28


def sides_down(resolution: int, strides: list[int]) -> list[int]:
    """The side before and after each strided layer with 'same' padding: [28, 14, 7] for strides 2, 2."""
    sides = [resolution]
    for stride in strides:
        sides.append(math.ceil(sides[-1] / stride))
    return sides


def pyramid(
    resolution: int,
    width: int,
    channels: list[int] | None,
    max_channels: int,
    stride: int | list[int],
    smallest: int | None,
) -> tuple[list[int], list[int]]:
    """Channels and strides of the layers from the picture down to the smallest map.

    Without `channels` the side is halved until it is at most `smallest` (7 where that is None), while `width`
    doubles.
    """
    if channels is None:
        if stride != 2:
            raise ConfigError(
                f"stride {stride} needs channels, one a layer; without them every layer halves the side"
            )
        halvings, side = 0, resolution
        while side > (smallest or SMALLEST):
            halvings, side = halvings + 1, math.ceil(side / 2)
        channels = [min(width * 2**i, max_channels) for i in range(halvings)]
    if not channels:
        raise ConfigError(
            f"{resolution}x{resolution} leaves no layer to build; choose data.resolution=8 or more"
        )
    strides = per_layer(stride, len(channels), "stride")
    end = sides_down(resolution, strides)[-1]
    if smallest is not None and end != smallest:
        raise ConfigError(
            f"{resolution}x{resolution} ends at a side of {end} and not {smallest} after strides {strides}"
        )
    return channels, strides


def _same_padding(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ConfigError(f"kernel {kernel} at stride 1 cannot keep the side; choose an odd one, or stride 2")
    return kernel // 2


def down_convolution(inward: int, outward: int, kernel: int, stride: int, side: int, bias: bool) -> nn.Module:
    """[N, inward, side, side] -> [N, outward, ceil(side / stride), ...]."""
    if stride == 1:
        return nn.Conv2d(inward, outward, kernel, padding=_same_padding(kernel), bias=bias)
    reach = (math.ceil(side / stride) - 1) * stride + kernel - side
    return nn.Conv2d(inward, outward, kernel, stride, padding=max(0, math.ceil(reach / 2)), bias=bias)


def up_convolution(
    inward: int,
    outward: int,
    kernel: int,
    stride: int,
    mode: UpsampleName,
    side: int,
    wanted: int,
    bias: bool,
) -> nn.Module:
    """[N, inward, side, side] -> [N, outward, wanted, wanted], where ceil(wanted / stride) = side.

    At stride 1 it is a plain convolution: the transposed one is the same map with its kernel turned round.
    """
    if stride == 1:
        return nn.Conv2d(inward, outward, kernel, padding=_same_padding(kernel), bias=bias)
    if mode != "transposed":
        convolution = nn.Conv2d(inward, outward, kernel, padding=_same_padding(kernel), bias=bias)
        return nn.Sequential(nn.Upsample(size=wanted, mode=mode), convolution)
    excess = (side - 1) * stride + kernel - wanted
    padding = max(0, math.ceil(excess / 2))
    return nn.ConvTranspose2d(
        inward, outward, kernel, stride, padding, output_padding=2 * padding - excess, bias=bias
    )
