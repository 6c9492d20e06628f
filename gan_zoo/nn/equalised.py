"""Layers with an equalised learning rate (Karras et al. 2018, sec. 4.1)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F


class EqualisedLinear(nn.Linear):
    """nn.Linear whose weights are N(0, 1) and are multiplied by gain / sqrt(fan_in) each time they are used.

    All weights then have the same range, and one learning rate suits them all; the bias starts at 0 and is
    not scaled. (The paper writes w / c with c "He's constant", which read literally would be the inverse.)
    equalised: False draws the weights from N(0, gain^2 / fan_in) (He et al. 2015) and uses them as they are.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        gain: float = math.sqrt(2),
        bias: bool = True,
        equalised: bool = True,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.scale = _draw(self, gain, equalised)

    def forward(self, x: Tensor) -> Tensor:
        x, weight = _scaled(x, self.weight, self.scale)
        return F.linear(x, weight, self.bias)


class EqualisedConv2d(nn.Conv2d):
    """nn.Conv2d with stride 1 and 'same' padding (kernel odd), otherwise as EqualisedLinear."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        gain: float = math.sqrt(2),
        equalised: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)
        self.scale = _draw(self, gain, equalised)

    def forward(self, x: Tensor) -> Tensor:
        x, weight = _scaled(x, self.weight, self.scale)
        return F.conv2d(x, weight, self.bias, padding=self.padding)


def _draw(layer: nn.Linear | nn.Conv2d, gain: float, equalised: bool) -> float:
    """Fills a layer's weights; returns what they are to be multiplied by at run time."""
    he = gain / math.sqrt(layer.weight[0].numel())
    nn.init.normal_(layer.weight, 0.0, 1.0 if equalised else he)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return he if equalised else 1.0


def _scaled(x: Tensor, weight: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Input and weight whose product is scaled: the smaller of the two is multiplied, which costs less."""
    if scale == 1.0:
        return x, weight
    # decided by the shape of one sample, so that a picture does not depend on how many are drawn at once
    few = math.prod(x.shape[1:]) * 16 < weight.numel()
    return (x * scale, weight) if few else (x, weight * scale)


def upsampled(x: Tensor, times: float = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, times H, times W] by repeating each pixel."""
    return F.interpolate(x, scale_factor=float(times), mode="nearest")


def halved(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2], each pixel the mean of four."""
    return F.avg_pool2d(x, 2)


def blended(old: Tensor, new: Tensor, alpha: Tensor) -> Tensor:
    """old + alpha (new - old), in their dtype; alpha: 0-d, the weight of the new."""
    return old + (new - old) * alpha
