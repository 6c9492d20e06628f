"""pix2pix (Isola et al. 2017): a picture or label map becomes a picture, by a loss that D learns and an L1 distance."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.nn.activations import activation
from gan_zoo.nn.dense import BatchNormSettings
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.label_maps import as_maps, refuse_two_kinds
from gan_zoo.nn.norms import CriticNormName, normalisation, picture_norm, resolve
from gan_zoo.nn.patch import WIDEST, PatchDiscriminator
from gan_zoo.nn.per_layer import outputs_of
from gan_zoo.nn.residual import ResidualBlock
from gan_zoo.nn.resnet import ResnetGenerator, require_divisible
from gan_zoo.schema import Arguments, ConfigError

LEVELS = 8  # of U-Net 256
DROPPED = 3  # decoder layers with dropout, from the bottleneck on


# ---- generators ------------------------------------------------------------------------------------------


class Noise(nn.Dropout):
    """Dropout as the noise of a generator: where it is `kept`, it goes on after training."""

    def __init__(self, share: float, kept: bool) -> None:
        super().__init__(share)
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training or self.kept)


class UNet(nn.Module):
    """Maps [N, C, H, W] -> pictures; every layer halves or doubles the side by 4x4 at stride 2 (sec. A.1).

    Channels are width, 2 width, 4 width, then `widest` width, 8 in the paper. Each decoder layer sees its mirror image in
    the encoder beside the layer before it; without `skips` it is the encoder-decoder. levels: how often the side is
    halved, 8 for U-Net 256 and 7 for U-Net 128; null: as often as both sides allow, up to 8. No norm in the first layer,
    nor at the bottleneck, where a batch of one picture would become zeros (the paper's erratum). dropout: of the first
    three decoder layers, the model's only noise; dropout_at_test: it goes on when sampling. bias: true also where a norm
    cancels it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        height: int,
        picture_width: int,
        *,
        width: PositiveInt,
        widest: PositiveInt = WIDEST,
        levels: Annotated[int, Field(ge=2)] | None = None,
        skips: bool = True,
        norm: Literal["batch", "instance", "none"],
        batch_norm: BatchNormSettings | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        dropout_at_test: bool = True,
        bias: bool = False,
        slope: PositiveFloat = 0.2,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        self.levels, self.skips = levels or _halvings(height, picture_width), skips
        widths = [width * min(2**i, widest) for i in range(self.levels)]

        def normed(channels: int) -> list[nn.Module]:
            return [] if norm == "none" else [picture_norm(norm, channels, batch_norm)]

        self.encoder = nn.ModuleList([nn.Conv2d(in_channels, width, 4, 2, 1, bias=bias)])
        for i in range(1, self.levels):
            conv = nn.Conv2d(widths[i - 1], widths[i], 4, 2, 1, bias=bias)
            last = i == self.levels - 1
            self.encoder.append(
                nn.Sequential(nn.LeakyReLU(slope), conv, *([] if last else normed(widths[i])))
            )
        self.decoder = nn.ModuleList()
        inward = widths[-1]
        for step, outward in enumerate(reversed(widths[:-1])):
            up = nn.ConvTranspose2d(inward, outward, 4, 2, 1, bias=bias)
            noise = [Noise(dropout, dropout_at_test)] if dropout and step < DROPPED else []
            self.decoder.append(nn.Sequential(nn.ReLU(), up, *normed(outward), *noise))
            inward = outward * (2 if skips else 1)
        self.head = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inward, out_channels, 4, 2, 1), nn.Tanh())
        initialise(self, init, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        passed: list[Tensor] = []
        for layer in self.encoder:
            x = layer(x)
            passed.append(x)
        passed.pop()
        for layer in self.decoder:
            x = layer(x)
            beside = passed.pop()
            x = torch.cat([x, beside], 1) if self.skips else x
        return self.head(x)

    def require_size(self, height: int, width: int) -> None:
        require_divisible(height, width, self.levels, "the U-Net")


def _halvings(height: int, width: int) -> int:
    """How often both sides can be halved, at most 8 times."""
    levels = next(i for i in range(LEVELS, -1, -1) if height % 2**i == 0 and width % 2**i == 0)
    if levels < 2:
        raise ConfigError(
            f"a U-Net halves pictures at least twice, which {height}x{width} does not allow; set data.resolution and "
            "data.width to multiples of 4, better of 32"
        )
    return levels


class Translator(nn.Module):
    """Maps [N, C, H, W] -> pictures [N, C', H, W]: `unet` or `resnet`, the network's own settings; exactly one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        height: int,
        width: int,
        *,
        unet: Annotated[
            dict[str, Any], Arguments(UNet, given=("in_channels", "out_channels", "height", "picture_width"))
        ]
        | None = None,
        resnet: Annotated[
            dict[str, Any], Arguments(ResnetGenerator, given=("in_channels", "out_channels", "head"))
        ]
        | None = None,
    ) -> None:
        super().__init__()
        kind, settings = _chosen("generator", unet=unet, resnet=resnet)
        self.network: UNet | ResnetGenerator = (
            UNet(in_channels, out_channels, height, width, **settings)
            if kind == "unet"
            else ResnetGenerator(in_channels, out_channels, **settings)
        )
        self.network.require_size(height, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


# ---- discriminators --------------------------------------------------------------------------------------


class ResidualDiscriminator(nn.Module):
    """[N, C, H, W] -> (logits [N], outputs of the blocks): 1x1, blocks that halve the side, 4x4 without padding, dense.

    The book's, chapter 5. Channels are width, 2 width, ..., at most 8 width; as many blocks as leave a shorter side of 4 to 7.
    """

    def __init__(
        self,
        in_channels: int,
        height: int,
        picture_width: int,
        *,
        per_sample: bool = False,
        width: PositiveInt,
        norm: CriticNormName,
        batch_norm: BatchNormSettings | None = None,
        slope: PositiveFloat = 0.2,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        kind = resolve(norm, per_sample)
        channels, sides, blocks = width, (height, picture_width), []
        first = nn.Conv2d(in_channels, width, 1)
        while min(sides) >= 8:
            outward = min(2 * channels, WIDEST * width)
            blocks.append(
                ResidualBlock(
                    channels,
                    outward,
                    "down",
                    activation=lambda: activation("leaky_relu", slope),
                    norm=lambda features: normalisation(kind, features, batch_norm),
                )
            )
            channels, sides = outward, (sides[0] // 2, sides[1] // 2)
        if min(sides) < 4:
            raise ConfigError(
                f"this discriminator needs pictures of at least 4x4, got {height}x{picture_width}"
            )
        self.blocks = nn.ModuleList([first, *blocks])
        self.last = nn.Sequential(nn.LeakyReLU(slope), nn.Conv2d(channels, channels, 4), nn.LeakyReLU(slope))
        self.head = nn.Linear(channels * (sides[0] - 3) * (sides[1] - 3), 1)
        initialise(self, init, init_scale)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = outputs_of(self.blocks, x)
        return self.head(self.last(features[-1]).flatten(1)).squeeze(1), tuple(features)


class TranslationDiscriminator(nn.Module):
    """(picture, what it was made from) -> (logits, features): `patch` or `residual`, the network's own settings.

    conditional: whether D is shown what the picture was made from, beside it (cGAN), or the picture alone (GAN).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        height: int,
        width: int,
        *,
        per_sample: bool = False,
        conditional: bool,
        patch: Annotated[dict[str, Any], Arguments(PatchDiscriminator, given=("in_channels", "per_sample"))]
        | None = None,
        residual: Annotated[
            dict[str, Any],
            Arguments(ResidualDiscriminator, given=("in_channels", "height", "picture_width", "per_sample")),
        ]
        | None = None,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        seen = out_channels + (in_channels if conditional else 0)
        kind, settings = _chosen("discriminator", patch=patch, residual=residual)
        if kind == "patch":
            self.network: nn.Module = PatchDiscriminator(seen, per_sample=per_sample, **settings)
            self.network.require_size(height, width)
        else:
            self.network = ResidualDiscriminator(seen, height, width, per_sample=per_sample, **settings)

    def forward(self, picture: Tensor, maps: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.network(torch.cat([maps, picture], 1) if self.conditional else picture)


def _chosen(player: str, **networks: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """The one network that is configured."""
    given = {name: settings for name, settings in networks.items() if settings is not None}
    if len(given) != 1:
        raise ConfigError(
            f"model.{player} wants one of {', '.join(networks)}, got {', '.join(given) or 'none'}; set the others to null"
        )
    return next(iter(given.items()))


# ---- the rules -------------------------------------------------------------------------------------------


class Pix2Pix(GAN):
    """G makes a picture from another or from a label map (one-hot); term `l1` is its mean absolute distance to the truth.

    resolution, width: height and width of the pictures, width null for squares. input_channels: of the picture that G is
    given, 0 where it is a label map of `classes` ids. G's only noise is dropout, which may go on when it
    samples; model.batch_statistics=true also keeps batch norm's statistics those of the batch at hand, as in the paper.
    """

    modalities = ("pair",)
    conditioned_on = ("condition",)
    generator: Translator
    discriminator: TranslationDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        width: PositiveInt | None = None,
        channels: PositiveInt,
        input_channels: NonNegativeInt,
        classes: NonNegativeInt,
        generator: Annotated[
            dict[str, Any], Arguments(Translator, given=("in_channels", "out_channels", "height", "width"))
        ],
        discriminator: Annotated[
            dict[str, Any],
            Arguments(
                TranslationDiscriminator,
                given=("in_channels", "out_channels", "height", "width", "per_sample"),
            ),
        ],
        **play: Any,
    ) -> None:
        super().__init__(**play)
        refuse_two_kinds(input_channels, classes)
        self.input_channels, self.classes_of_maps = input_channels, classes
        size = (input_channels or classes, channels, resolution, width or resolution)
        self.generator = Translator(*size, **generator)
        self.discriminator = TranslationDiscriminator(
            *size, per_sample=self.regularizer.per_sample, **discriminator
        )
        changes = self.augment.amounts if self.augment else {}
        if (changes.get("translation") or changes.get("cutout")) and self.discriminator.conditional:
            raise ConfigError(
                "model.augment moves or cuts the picture that D sees, but not what it was made from; "
                "set model.augment.translation and cutout to 0.0, or model.discriminator.conditional=false"
            )

    def sides(self) -> tuple[int, int]:
        """(what sides of a picture must be multiples of, the smallest one)."""
        network = self.generator.network
        if isinstance(network, UNet):
            return 2**network.levels, 2**network.levels
        return 2**network.downs, network.least()

    def prepare_batch(self, batch: Batch) -> Batch:
        """Pictures in [-1, 1], label maps one-hot: `condition` becomes float [N, C, H, W]."""
        batch = super().prepare_batch(batch)
        maps = as_maps(batch["condition"], self.classes_of_maps)
        return {**batch, "condition": maps.contiguous(memory_format=self.memory_format)}

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["condition"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample, batch["condition"]))

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = super().generator_terms(batch, fake)
        return terms | {"l1": (fake.float() - batch["real"]).abs().mean()}  # eq. 3
