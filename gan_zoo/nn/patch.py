"""PatchGAN (Isola et al. 2017, sec. 3.2.2): a discriminator of overlapping patches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo.nn.dense import BatchNormSettings
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.norms import CriticNormName, picture_norm, resolve
from gan_zoo.nn.per_layer import outputs_of
from gan_zoo.schema import ConfigError

WIDEST = 8  # times the width, of the widest layer


def receptive_field(n_layers: int) -> int:
    """Side of the patch that one logit sees: 1, 16, 34, 70, 142, 286 for 0 ... 5 layers."""
    if n_layers == 0:
        return 1
    field = 4 + 3  # the last two layers: 4x4 at stride 1
    for _ in range(n_layers):
        field = 2 * field + 2  # 4x4 at stride 2: (field - 1) * 2 + 4
    return field


def map_side(side: int, n_layers: int, padding: int) -> int:
    """Logits along a side of the picture; 0 or less where none is left."""
    if n_layers == 0:
        return side
    for _ in range(n_layers):
        side = (side + 2 * padding - 4) // 2 + 1
    return side + 2 * (2 * padding - 3)


class PatchDiscriminator(nn.Module):
    """[N, C, H, W] -> (logits [N, 1, h, w], outputs of all layers but the last, first layer first).

    n_layers: how many 4x4 layers at stride 2 there are, of width, 2 width, ... (at most 8 width); one at stride 1 and the
    logits follow. 0 is the PixelGAN, three 1x1 layers. The first layer and the logits have no norm. norm: auto is batch
    norm, or none under a gradient penalty. padding: 1; pix2pixHD's is 2. bias: true also where a norm cancels it, as the
    authors' code has it.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        per_sample: bool = False,
        n_layers: NonNegativeInt,
        width: PositiveInt,
        norm: CriticNormName,
        batch_norm: BatchNormSettings | None = None,
        padding: Annotated[int, Field(ge=1, le=2)] = 1,
        bias: bool = False,
        slope: PositiveFloat = 0.2,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        if norm == "layer":
            raise ConfigError(
                "a PatchGAN is normalised by batch or instance, not by layer; choose one of them, or none"
            )
        kind = resolve(norm, per_sample)
        self.n_layers, self.padding = n_layers, padding

        def layer(inward: int, outward: int, stride: int, normed: bool = True) -> nn.Sequential:
            size = (4, stride, padding) if n_layers else (1, 1, 0)
            biased = bias or not normed or kind == "none"
            parts: list[nn.Module] = [nn.Conv2d(inward, outward, *size, bias=biased)]
            if normed and kind != "none":
                parts.append(picture_norm(kind, outward, batch_norm))
            return nn.Sequential(*parts, nn.LeakyReLU(slope))

        widths = [width * min(2**i, WIDEST) for i in range(n_layers + 1)] if n_layers else [width, 2 * width]
        self.layers = nn.ModuleList([layer(in_channels, widths[0], 2, normed=False)])
        for i in range(1, len(widths)):
            self.layers.append(layer(widths[i - 1], widths[i], 2 if i < n_layers else 1))
        self.head = nn.Conv2d(widths[-1], 1, *((4, 1, padding) if n_layers else (1, 1, 0)))
        initialise(self, init, init_scale)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = outputs_of(self.layers, x)
        return self.head(features[-1]), tuple(features)

    def require_size(self, height: int, width: int) -> None:
        """ConfigError where pictures of that size leave no logit."""
        if map_side(min(height, width), self.n_layers, self.padding) < 1:
            raise ConfigError(
                f"a PatchGAN of n_layers={self.n_layers} has no logit left for {height}x{width} pictures; "
                "take fewer layers or a larger data.resolution"
            )
