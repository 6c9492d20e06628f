"""GAN (Goodfellow et al. 2014): fully connected players, for pictures and for points of the plane."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.nn.activations import UnitSigmoid
from gan_zoo.nn.dense import DenseDiscriminator, DenseGenerator
from gan_zoo.nn.noise import vector_size
from gan_zoo.schema import Arguments, ConfigError

MARGIN = 1e-3  # of a pixel's range: pixels that are always black would ask for an infinite bias
COUNTED = 10_000  # training items that the pixel means are taken over


def bias_for_mean(output: nn.Module, mean: Tensor) -> Tensor:
    """The bias at which an output unit with zero weights shows `mean`, a picture in [-1, 1]."""
    inside = mean.clamp(2 * MARGIN - 1, 1 - 2 * MARGIN)
    if isinstance(output, UnitSigmoid):
        return torch.logit((inside + 1) / 2)
    return torch.atanh(inside) if isinstance(output, nn.Tanh) else mean


class Vanilla(GAN):
    """G and D of dense layers, maxout units among them.

    modality: image, pictures [N, channels, resolution, resolution]; points, [N, 2]. output_bias: pixel_means
    starts G's output units at the mean of the training pictures, as the authors' code does.
    """

    modalities = ("image", "points")
    generator: DenseGenerator
    discriminator: DenseDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        modality: Literal["image", "points"] = "image",
        generator: Annotated[dict[str, Any], Arguments(DenseGenerator, given=("latent", "shape"))],
        discriminator: Annotated[
            dict[str, Any], Arguments(DenseDiscriminator, given=("in_features", "per_sample", "unit_range"))
        ],
        output_bias: Literal["zero", "pixel_means"] = "zero",
        **play: Any,
    ) -> None:
        super().__init__(**play)
        points = modality == "points"
        if points and generator["output"] in ("tanh", "sigmoid"):
            raise ConfigError(
                f"model.generator.output={generator['output']} bounds points to [-1, 1]; take linear or auto"
            )
        shape = (2,) if points else (channels, resolution, resolution)
        self.output_bias = output_bias
        self.generator = DenseGenerator(vector_size(self.latent), shape, **generator)
        self.discriminator = DenseDiscriminator(
            math.prod(shape),
            per_sample=self.regularizer.per_sample,
            unit_range=generator["output"] == "sigmoid",
            **discriminator,
        )

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample))

    def setup(self, stage: str) -> None:
        """Before the first step of a fresh run the output bias is set; weights that came from elsewhere keep
        theirs."""
        data = getattr(self.trainer, "datamodule", None)
        fresh = self.samples_seen == 0 and not self.generator.last.bias.any()
        if self.output_bias == "pixel_means" and stage == "fit" and fresh and data is not None:
            self.start_at_mean(self._training_chunks(data.train_set(), data.resolution))

    def start_at_mean(self, chunks: Iterator[Batch]) -> None:
        """Sets G's output bias, and its average's, from batches of training pictures."""
        count, total = 0, torch.zeros(())
        for chunk in chunks:
            real = self.prepare_batch(chunk)["real"]
            count, total = count + len(real), total + real.double().sum(0)
        bias = bias_for_mean(self.generator.output, (total / count).flatten())
        for network in (self.generator, cast(DenseGenerator | None, self.ema_generator)):
            if network is not None:
                network.last.bias.data.copy_(bias)

    @staticmethod
    def _training_chunks(data: Any, resolution: int, size: int = 500) -> Iterator[Batch]:
        for start in range(0, min(len(data), COUNTED), size):
            yield data.__getitems__(
                [(i, 0, resolution) for i in range(start, min(start + size, len(data), COUNTED))]
            )
