"""The ResNets of WGAN-GP (Gulrajani et al. 2017, and the authors' gan_cifar_resnet.py): G with batch norm, a
critic without."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo import chance
from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.nn.activations import ActivationName, OutputName, ToUnitRange, activation, output_activation
from gan_zoo.nn.dense import BatchNormSettings, minibatch_layer
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.minibatch import MinibatchName
from gan_zoo.nn.noise import vector_size
from gan_zoo.nn.norms import CriticNormName, NormName, normalisation, resolve
from gan_zoo.nn.per_layer import outputs_of
from gan_zoo.nn.resampling import SMALLEST
from gan_zoo.nn.residual import Resampling, ResidualBlock
from gan_zoo.schema import Arguments, ConfigError


def _initialise(network: nn.Module, law: InitName, scale: float, residual_scale: float) -> None:
    """One law for all layers, with a scale of its own for the 3x3 convolutions within blocks."""
    initialise(network, law, scale)
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            initialise(block.residual, law, residual_scale)


class ResNetGenerator(nn.Module):
    """[N, latent] -> [N, image_channels, resolution, resolution] in [-1, 1]: a linear layer to the smallest
    map, blocks that double the side, norm, activation, 3x3. Sides are s * 2^k with s at most 7: 4 for powers
    of two, 7 for 28."""

    def __init__(
        self,
        latent: int,
        resolution: int,
        image_channels: int,
        *,
        width: PositiveInt,
        norm: NormName,
        batch_norm: BatchNormSettings | None = None,
        activation: ActivationName,
        slope: float = 0.2,
        output: OutputName,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        residual_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        blocks = _doublings(resolution)
        side = resolution >> blocks
        act, make_norm = _activation(activation, slope), partial(normalisation, norm, batch_norm=batch_norm)
        self.shape = (width, side, side)
        self.stem = nn.Linear(latent, width * side * side)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, width, "up", activation=act, norm=make_norm) for _ in range(blocks))
        )
        self.last = nn.Sequential(
            make_norm(width), act(), nn.Conv2d(width, image_channels, 3, padding=1), output_activation(output)
        )
        _initialise(self, init, init_scale, residual_scale)

    def forward(self, z: Tensor) -> Tensor:
        return self.last(self.blocks(self.stem(z).unflatten(1, self.shape)))


class ResNetDiscriminator(nn.Module):
    """[N, image_channels, resolution, resolution] -> (scores [N], outputs of the blocks and the pooled
    vector).

    down_blocks halve the side, the first of them straight from the picture and without norm; plain_blocks
    keep it; then activation, the mean over the picture, a linear layer. per_sample: norm `auto` is none.
    """

    def __init__(
        self,
        resolution: int,
        image_channels: int,
        *,
        per_sample: bool = False,
        unit_range: bool = False,
        width: PositiveInt,
        down_blocks: PositiveInt,
        plain_blocks: NonNegativeInt,
        norm: CriticNormName,
        activation: ActivationName,
        slope: float = 0.2,
        minibatch: MinibatchName = "none",
        minibatch_group: PositiveInt | None = None,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        residual_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        if resolution % 2**down_blocks:
            raise ConfigError(
                f"{down_blocks} down_blocks cannot halve a side of {resolution}; choose fewer, "
                "or another data.resolution"
            )
        act, make_norm = _activation(activation, slope), partial(normalisation, resolve(norm, per_sample))
        kinds: list[Resampling] = [
            "down" if i < down_blocks else "none" for i in range(down_blocks + plain_blocks)
        ]
        self.input = ToUnitRange() if unit_range else nn.Identity()
        self.blocks = nn.ModuleList(
            ResidualBlock(
                width if i else image_channels, width, kind, activation=act, norm=make_norm, first=i == 0
            )
            for i, kind in enumerate(kinds)
        )
        self.activation = act()
        self.minibatch, vector = minibatch_layer(minibatch, width, minibatch_group)
        self.head = nn.Linear(vector, 1)
        _initialise(self, init, init_scale, residual_scale)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = outputs_of(self.blocks, self.input(x))
        vector = self.minibatch(self.activation(features[-1]).mean((2, 3)))
        return self.head(vector).squeeze(1), (*features, vector)


def _activation(name: ActivationName, slope: float) -> partial[nn.Module]:
    return partial(activation, name, slope)


def _doublings(resolution: int) -> int:
    """How often the smallest map, of a side up to 7, is doubled."""
    side, count = resolution, 0
    while side > SMALLEST and side % 2 == 0:
        side, count = side // 2, count + 1
    if side > SMALLEST or count == 0:
        raise ConfigError(
            f"wgan_gp takes sides s * 2^k with s from 4 to 7 (8, 16, 28, 32, 48, 64, ...), got {resolution}; "
            "set data.resolution"
        )
    return count


class WGANGP(GAN):
    """ResNet players for any loss; the paper's game is loss=wasserstein regularizer=gradient_penalty.

    dequantise: spreads each of the 256 levels x of a real pixel over 2 (x + u) / 256 - 1, u ~ U(0, 1), as the
    authors' code does.
    """

    modalities = ("image",)
    generator: ResNetGenerator
    discriminator: ResNetDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        generator: Annotated[
            dict[str, Any], Arguments(ResNetGenerator, given=("latent", "resolution", "image_channels"))
        ],
        discriminator: Annotated[
            dict[str, Any],
            Arguments(
                ResNetDiscriminator, given=("resolution", "image_channels", "per_sample", "unit_range")
            ),
        ],
        dequantise: bool = False,
        **play: Any,
    ) -> None:
        super().__init__(**play)
        self.dequantise = dequantise
        self.generator = ResNetGenerator(vector_size(self.latent), resolution, channels, **generator)
        self.discriminator = ResNetDiscriminator(
            resolution,
            channels,
            per_sample=self.regularizer.per_sample,
            unit_range=generator["output"] == "sigmoid",
            **discriminator,
        )

    def prepare_batch(self, batch: Batch) -> Batch:
        batch = super().prepare_batch(batch)
        if not self.dequantise:
            return batch
        levels = (batch["real"] + 1) * 127.5
        spread = levels + chance.uniform_rows(levels.shape, levels.device)
        return {**batch, "real": spread / 128 - 1}

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample))
