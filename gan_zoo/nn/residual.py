"""Residual blocks of WGAN-GP's ResNets (Gulrajani et al. 2017, and the authors' gan_cifar_resnet.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Make = Callable[[int], nn.Module]
Resampling = Literal["up", "down", "none"]


def resampling(kind: Resampling) -> nn.Module:
    """Twice the side by repeating pixels, half of it by averaging 2x2, or neither."""
    return {
        "up": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
        "down": lambda: nn.AvgPool2d(2),
        "none": nn.Identity,
    }[kind]()


class ResidualBlock(nn.Module):
    """[N, in_channels, H, W] -> [N, out_channels, H', W']: norm, activation, 3x3, norm, activation, 3x3,
    beside a 1x1 shortcut.

    `up` doubles the side before the first 3x3, `down` halves it after the second; without either and with
    equal channels the shortcut is the identity. first: a critic's first block, whose input is the picture: it
    has no norm and no activation before its first convolution. norm: makes a norm for a number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        resample: Resampling,
        *,
        activation: Callable[[], nn.Module],
        norm: Make,
        first: bool = False,
    ) -> None:
        super().__init__()
        between = in_channels if resample == "down" and not first else out_channels
        before: list[nn.Module] = [] if first else [norm(in_channels), activation()]
        self.residual = nn.Sequential(
            *before,
            *([resampling("up")] if resample == "up" else []),
            nn.Conv2d(in_channels, between, 3, padding=1),
            *([] if first else [norm(between)]),
            activation(),
            nn.Conv2d(between, out_channels, 3, padding=1),
            *([resampling("down")] if resample == "down" else []),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or resample != "none":
            # a 1x1 convolution commutes with both resamplings; done at the smaller side it costs a quarter
            project = nn.Conv2d(in_channels, out_channels, 1)
            order = [resampling("down"), project] if resample == "down" else [project, resampling(resample)]
            self.shortcut = nn.Sequential(*order)

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)
