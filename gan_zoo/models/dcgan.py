"""DCGAN (Radford et al. 2015): convolutional players; the networks are in nn/convolution.py, as cgan has them
too."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PositiveInt
from torch import Tensor

from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.nn.convolution import ConvDiscriminator, ConvGenerator
from gan_zoo.nn.noise import vector_size
from gan_zoo.schema import Arguments

GENERATOR_GIVEN = ("latent", "resolution", "image_channels", "label", "maps")
DISCRIMINATOR_GIVEN = ("resolution", "image_channels", "label", "per_sample", "unit_range")


class DCGAN(GAN):
    """G and D of convolutions, for pictures of any side from 8 to 256 and above; every layer by arguments."""

    modalities = ("image",)
    generator: ConvGenerator
    discriminator: ConvDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        generator: Annotated[dict[str, Any], Arguments(ConvGenerator, given=GENERATOR_GIVEN)],
        discriminator: Annotated[dict[str, Any], Arguments(ConvDiscriminator, given=DISCRIMINATOR_GIVEN)],
        **play: Any,
    ) -> None:
        super().__init__(**play)
        self.generator = ConvGenerator(vector_size(self.latent), resolution, channels, **generator)
        self.discriminator = ConvDiscriminator(
            resolution,
            channels,
            per_sample=self.regularizer.per_sample,
            unit_range=generator["output"] == "sigmoid",
            **discriminator,
        )

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample))
