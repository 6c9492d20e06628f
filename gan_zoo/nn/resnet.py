"""The residual network that translates pictures (Johnson et al. 2016; CycleGAN's, pix2pix's and pix2pixHD's G)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo.nn.dense import BatchNormSettings
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.norms import picture_norm
from gan_zoo.schema import ConfigError

PictureNormName = Literal["batch", "instance", "none"]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Padding = Literal["reflect", "zeros"]


class Layers:
    """Makes convolutions that are followed by a norm and ReLU."""

    def __init__(
        self,
        norm: PictureNormName,
        batch_norm: BatchNormSettings | None = None,
        padding: Padding = "reflect",
        bias: bool = True,
    ) -> None:
        self.norm, self.batch_norm, self.padding = norm, batch_norm, padding
        self.bias = bias or norm == "none"

    def normed(self, channels: int) -> list[nn.Module]:
        return [] if self.norm == "none" else [picture_norm(self.norm, channels, self.batch_norm)]

    def same(self, inward: int, outward: int, kernel: int, bias: bool | None = None) -> nn.Conv2d:
        """A convolution that keeps the size; borders are mirrored or zero."""
        own = self.bias if bias is None else bias
        return nn.Conv2d(inward, outward, kernel, padding=kernel // 2, padding_mode=self.padding, bias=own)

    def kept(self, inward: int, outward: int, kernel: int) -> nn.Sequential:
        return nn.Sequential(self.same(inward, outward, kernel), *self.normed(outward), nn.ReLU())

    def halved(self, inward: int, outward: int) -> nn.Sequential:
        """3x3 at stride 2."""
        conv = nn.Conv2d(inward, outward, 3, 2, 1, bias=self.bias)
        return nn.Sequential(conv, *self.normed(outward), nn.ReLU())

    def doubled(self, inward: int, outward: int) -> nn.Sequential:
        """Transposed 3x3 at stride 2, to exactly twice the side."""
        conv = nn.ConvTranspose2d(inward, outward, 3, 2, 1, output_padding=1, bias=self.bias)
        return nn.Sequential(conv, *self.normed(outward), nn.ReLU())


class TranslationBlock(nn.Module):
    """[N, C, H, W] -> same: x + norm(3x3(ReLU(norm(3x3 x)))), without a nonlinearity after the sum."""

    def __init__(self, channels: int, layers: Layers, dropout: float = 0.0) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            layers.kept(channels, channels, 3),
            *([nn.Dropout(dropout)] if dropout else []),
            layers.same(channels, channels, 3),
            *layers.normed(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


class ResnetGenerator(nn.Module):
    """Maps [N, in_channels, H, W] -> pictures [N, out_channels, H, W]; H and W divisible by 2^downs.

    edge x edge convolution, `downs` 3x3 convolutions at stride 2 that double the channels from `width`, `blocks` residual
    blocks, transposed convolutions back, edge x edge convolution. pix2pix's has 2 downs and 6 or 9 blocks, pix2pixHD's
    global generator 4 and 9. output: tanh, linear, or mean, which is (tanh(x) + input) / 2. head: false leaves out the last
    layer, so that `forward` gives its input [N, width, H, W]. bias: also where a norm cancels it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        head: bool = True,
        *,
        width: PositiveInt,
        downs: NonNegativeInt,
        blocks: NonNegativeInt,
        norm: PictureNormName,
        batch_norm: BatchNormSettings | None = None,
        dropout: Dropout = 0.0,
        bias: bool = True,
        edge: PositiveInt = 7,
        padding: Padding = "reflect",
        output: Literal["tanh", "linear", "mean"] = "tanh",
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        if edge % 2 == 0:
            raise ConfigError(
                f"edge is the side of the outer kernels and odd, got {edge}; take {edge - 1} or {edge + 1}"
            )
        if output == "mean" and in_channels != out_channels:
            raise ConfigError(
                f"output=mean adds the input to the output, but they have {in_channels} and {out_channels} channels; take tanh"
            )
        self.downs, self.blocks, self.edge, self.padding, self.output = downs, blocks, edge, padding, output
        layers = Layers(norm, batch_norm, padding, bias)
        widths = [width * 2**i for i in range(downs + 1)]
        self.trunk = nn.Sequential(
            layers.kept(in_channels, width, edge),
            *(layers.halved(a, 2 * a) for a in widths[:-1]),
            *(TranslationBlock(widths[-1], layers, dropout) for _ in range(blocks)),
            *(layers.doubled(2 * a, a) for a in reversed(widths[:-1])),
        )
        self.head = layers.same(width, out_channels, edge, bias=True) if head else None
        initialise(self, init, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.trunk(x)
        if self.head is None:
            return hidden
        return self.finish(self.head(hidden), x)

    def finish(self, raw: Tensor, x: Tensor) -> Tensor:
        if self.output == "linear":
            return raw
        return raw.tanh() if self.output == "tanh" else (raw.tanh() + x) / 2

    def require_size(self, height: int, width: int) -> None:
        """ConfigError where the net cannot take pictures of that size."""
        require_divisible(height, width, self.downs, "the ResNet generator")
        if min(height, width) < self.least():
            raise ConfigError(
                f"a ResNet with downs={self.downs} mirrors the borders of maps of at least 2x2, {height}x{width} pictures "
                "leave less; take fewer downs, padding=zeros or a larger data.resolution"
            )

    def least(self) -> int:
        """The smallest side whose borders can be mirrored at every layer."""
        if self.padding == "zeros":
            return 2**self.downs
        return max(self.edge // 2 + 1, 2 ** (self.downs + bool(self.blocks)))


def require_divisible(height: int, width: int, downs: int, name: str) -> None:
    """ConfigError, with sizes that would work, where a side is not divisible by 2^downs."""
    step = 2**downs
    if height % step == 0 and width % step == 0:
        return
    near = " or ".join(
        f"{h}x{w}"
        for h, w in (
            (height // step * step, width // step * step),
            (-(-height // step) * step, -(-width // step) * step),
        )
        if h and w
    )
    raise ConfigError(
        f"{name} halves pictures {downs} times, which {height}x{width} does not allow; "
        f"set data.resolution and data.width to {near}, or halve fewer times"
    )
