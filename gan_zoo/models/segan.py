"""SEGAN (Pascual et al. 2017, and the authors' TensorFlow code): from a window of noisy speech to a clean one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.latent import Latent
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.waveform import (
    Padding,
    Shrink,
    WaveGenerator,
    code_latent,
    code_length,
    de_emphasis,
    emphasised,
    refuse_kernel,
    refuse_several_channels,
)
from gan_zoo.schema import Arguments


class VirtualBatchNorm(nn.Module):
    """Batch norm by a reference batch, to which the batch at hand adds itself with weight 1 / (N + 1).

    Salimans et al. 2016, sec. 3.5, as SEGAN's code has it: statistics over batch and time, of the reference [N, C, T] as it
    reaches this layer, with gradients; live batches [N, C, T] are normalised by the mixture. gain_std: gains from N(1, gain_std).
    """

    sees_batch = True  # the others of the live batch count, if little: no place for a penalty on each sample's gradient

    def __init__(self, features: int, eps: float = 1e-5, gain_std: float = 0.02) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(features).normal_(1.0, gain_std))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, live: Tensor | None, reference: Tensor) -> tuple[Tensor | None, Tensor]:
        mean, variance = _moments(reference)
        normed = self._normed(reference, mean, variance)
        if live is None:
            return None, normed
        share = 1 / (len(reference) + 1)
        own_mean, own_variance = _moments(live)
        gap = own_mean - mean  # E x^2 - (E x)^2 of the mixture, written so that nothing cancels
        mixed = share * own_variance + (1 - share) * variance + share * (1 - share) * gap.square()
        return self._normed(live, mean + share * gap, mixed), normed

    def _normed(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = self.weight.view(-1, 1) * (variance + self.eps).rsqrt()
        return (x.float() * scale + (self.bias.view(-1, 1) - mean * scale)).to(x.dtype)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance a channel, [C, 1] in float32."""
    variance, mean = torch.var_mean(x.float(), dim=(0, 2), correction=0)
    return mean.unsqueeze(1), variance.unsqueeze(1)


class SEGANDiscriminator(nn.Module):
    """(candidate and noisy [N, 2, T], reference or None) -> (logits [N], outputs of the layers).

    G's encoder again, with a norm and LeakyReLU; then a 1x1 convolution to one channel and a linear layer over time.
    reference: the batch of real pairs whose statistics virtual batch norm takes; None: the input is that batch itself.
    head_init: law of the linear layer's weights; None: that of the convolutions.
    """

    def __init__(
        self,
        resolution: int,
        *,
        per_sample: bool = False,
        channels: list[PositiveInt],
        kernel: PositiveInt,
        stride: PositiveInt,
        padding: Padding,
        norm: Literal["auto", "virtual", "none"],
        gain_std: NonNegativeFloat = 0.02,
        slope: float,
        bias: bool,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        head_init: InitName | None = None,
    ) -> None:
        super().__init__()
        refuse_kernel(kernel, stride)
        self.slope = slope
        self.layers = nn.ModuleList(
            Shrink(i, o, kernel, stride, padding, bias)
            for i, o in zip([2, *channels[:-1]], channels, strict=True)
        )
        virtual = norm == "virtual" or (norm == "auto" and not per_sample)
        self.norms = (
            nn.ModuleList(VirtualBatchNorm(size, gain_std=gain_std) for size in channels) if virtual else None
        )
        self.squeeze = nn.Conv1d(channels[-1], 1, 1, bias=False)  # as in the code: the head has one
        self.head = nn.Linear(code_length(resolution, stride, len(channels)), 1)
        initialise(self, init, init_scale)
        if head_init is not None:
            initialise(self.head, head_init)

    def forward(self, pair: Tensor, reference: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self.norms is None:
            return self._judged(self._plain(pair))
        live, known = (pair, reference) if reference is not None else (None, pair)
        features = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            live, known = norm(None if live is None else layer(live), layer(known))
            known = F.leaky_relu(known, self.slope)
            live = None if live is None else F.leaky_relu(live, self.slope)
            features.append(known if live is None else live)
        return self._judged(features)

    def _plain(self, x: Tensor) -> list[Tensor]:
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), self.slope)
            features.append(x)
        return features

    def _judged(self, features: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.head(self.squeeze(features[-1]).squeeze(1)).squeeze(1), tuple(features)


class SEGAN(GAN):
    """G makes a clean window of a noisy one; D sees either with the noisy one (eq. 3 and 4). G's own term is `l1`.

    resolution: samples of a window. pre_emphasis: y[t] = x[t] - c x[t-1], of each window by itself; both players live behind it,
    and `readable` undoes it. latent: size is the number of channels of z, whose length is the code's; null: no z.
    """

    modalities = ("audio",)
    conditioned_on = ("condition",)
    generator: WaveGenerator
    discriminator: SEGANDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        generator: Annotated[dict[str, Any], Arguments(WaveGenerator, given=("latent_channels",))],
        discriminator: Annotated[
            dict[str, Any], Arguments(SEGANDiscriminator, given=("resolution", "per_sample"))
        ],
        latent: Annotated[dict[str, Any], Arguments(Latent)] | None = None,
        pre_emphasis: Annotated[float, Field(ge=0, lt=1)] = 0.95,
        **play: Any,
    ) -> None:
        z, latent = code_latent(latent, resolution, generator)
        super().__init__(latent=latent, **play)
        refuse_several_channels(channels)
        self.window, self.pre_emphasis = resolution, pre_emphasis
        self.generator = WaveGenerator(latent_channels=z, **generator)
        self.discriminator = SEGANDiscriminator(
            resolution, per_sample=self.regularizer.per_sample, **discriminator
        )

    def prepare_batch(self, batch: Batch) -> Batch:
        return emphasised(batch, self.pre_emphasis)

    def readable(self, samples: Tensor) -> Tensor:
        return de_emphasis(samples, self.pre_emphasis)

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["condition"], batch.get("latent"))

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        pair = torch.cat([sample, batch["condition"]], dim=1)
        same = sample is batch["real"]
        reference = None if same else torch.cat([batch["real"], batch["condition"]], dim=1)
        return Judgement(*self.discriminator(pair, reference))

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        return super().generator_terms(batch, fake) | {"l1": F.l1_loss(fake.float(), batch["real"].float())}
