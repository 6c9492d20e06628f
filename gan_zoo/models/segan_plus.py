"""SEGAN+ (the authors' segan_pytorch, after Pascual et al. 2017): five layers, learnt skips, and as an option critics of today."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.latent import Latent
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.norms import BatchNorm, CriticNormName, normalisation, resolve
from gan_zoo.nn.per_layer import outputs_of
from gan_zoo.nn.spectral import MelLoss, SpectralLoss
from gan_zoo.nn.wave_critics import WaveCritics
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
from gan_zoo.schema import Arguments, ConfigError


class PhaseShift(nn.Module):
    """Rolls [N, C, T] by 1 ... `most` samples to the left or the right while training, all of a batch alike."""

    def __init__(self, most: NonNegativeInt) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.most:
            return x
        shift = int(torch.randint(1, self.most + 1, ())) * (1 if torch.rand(()) < 0.5 else -1)
        return x.roll(shift, dims=-1)


class SEGANPlusDiscriminator(nn.Module):
    """Candidate and noisy [N, 2, T] -> (logits [N], outputs of the layers): convolutions with a norm and PReLU, then a
    network of `hidden` layers on all that is left. phase_shift: before each convolution, so that D cannot hear phases.
    head_init, head_slope: of the dense layers; None: as of the convolutions."""

    def __init__(
        self,
        resolution: int,
        *,
        per_sample: bool = False,
        channels: list[PositiveInt],
        kernel: PositiveInt,
        stride: PositiveInt,
        padding: Padding,
        norm: CriticNormName,
        batch_norm: Annotated[dict[str, Any], Arguments(BatchNorm, given=("features",))] | None = None,
        slope: float,
        bias: bool,
        hidden: list[PositiveInt],
        phase_shift: NonNegativeInt,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        head_init: InitName | None = None,
        head_slope: float | None = None,
    ) -> None:
        super().__init__()
        refuse_kernel(kernel, stride)
        kind = resolve(norm, per_sample)
        self.layers = nn.ModuleList(
            nn.Sequential(
                PhaseShift(phase_shift),
                Shrink(i, o, kernel, stride, padding, bias),
                normalisation(kind, o, batch_norm),
                nn.PReLU(o, init=slope),
            )
            for i, o in zip([2, *channels[:-1]], channels, strict=True)
        )
        sizes = [channels[-1] * code_length(resolution, stride, len(channels)), *hidden]
        dense_slope = slope if head_slope is None else head_slope
        dense = [
            part
            for i, o in itertools.pairwise(sizes)
            for part in (nn.Linear(i, o), nn.PReLU(o, init=dense_slope))
        ]
        self.head = nn.Sequential(nn.Flatten(), *dense, nn.Linear(sizes[-1], 1))
        initialise(self, init, init_scale)
        if head_init is not None:
            initialise(self.head, head_init)

    def forward(self, pair: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = outputs_of(self.layers, pair)
        return self.head(features[-1]).squeeze(1), tuple(features)


class Opponents(nn.Module):
    """SEGAN+'s discriminator and, where `critics` are given, those of today beside it: their logits add up in the loss."""

    def __init__(self, waveform: SEGANPlusDiscriminator | None, critics: WaveCritics | None) -> None:
        super().__init__()
        self.waveform, self.critics = waveform, critics

    def forward(self, pair: Tensor) -> Judgement:
        first = Judgement(*self.waveform(pair)) if self.waveform is not None else Judgement(())
        if self.critics is None:
            return first
        logits, features = self.critics(pair)
        own = (first.logits,) if self.waveform is not None else ()
        return Judgement((*own, *logits), (*first.features, *features))  # type: ignore[arg-type]


class SEGANPlus(GAN):
    """G makes a clean window of a noisy one; D sees either with the noisy one. G's own term is `l1`; with weights for them also
    `stft` (Yamamoto et al. 2020, eq. 6) and `mel` (Kong et al. 2020, eq. 4), distances of spectra.

    resolution: samples of a window. pre_emphasis: y[t] = x[t] - c x[t-1], of each window by itself; both players live behind it,
    and `readable` undoes it. latent: size is the number of channels of z, whose length is the code's; null: no z.
    discriminator: null leaves the judging to `critics`.
    """

    modalities = ("audio",)
    conditioned_on = ("condition",)
    generator: WaveGenerator
    discriminator: Opponents

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        generator: Annotated[dict[str, Any], Arguments(WaveGenerator, given=("latent_channels",))],
        discriminator: Annotated[
            dict[str, Any], Arguments(SEGANPlusDiscriminator, given=("resolution", "per_sample"))
        ]
        | None,
        critics: Annotated[dict[str, Any], Arguments(WaveCritics)] | None = None,
        latent: Annotated[dict[str, Any], Arguments(Latent)] | None = None,
        pre_emphasis: Annotated[float, Field(ge=0, lt=1)] = 0.95,
        **play: Any,
    ) -> None:
        z, latent = code_latent(latent, resolution, generator)
        super().__init__(latent=latent, **play)
        refuse_several_channels(channels)
        if discriminator is None and critics is None:
            raise ConfigError(
                "model.discriminator and model.critics are both null: nobody would judge; give one"
            )
        self.window, self.pre_emphasis = resolution, pre_emphasis
        self.generator = WaveGenerator(latent_channels=z, **generator)
        own = (
            SEGANPlusDiscriminator(resolution, per_sample=self.regularizer.per_sample, **discriminator)
            if discriminator
            else None
        )
        self.discriminator = Opponents(own, WaveCritics(**critics) if critics else None)
        distances = {"stft": SpectralLoss, "mel": MelLoss}
        self.distances = nn.ModuleDict(
            {name: kind() for name, kind in distances.items() if name in self.weights["generator"]}
        )

    def prepare_batch(self, batch: Batch) -> Batch:
        return emphasised(batch, self.pre_emphasis)

    def readable(self, samples: Tensor) -> Tensor:
        return de_emphasis(samples, self.pre_emphasis)

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["condition"], batch.get("latent"))

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return self.discriminator(torch.cat([sample, batch["condition"]], dim=1))

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        made, wanted = fake.float(), batch["real"].float()
        spectra = {name: distance(made, wanted) for name, distance in self.distances.items()}
        return super().generator_terms(batch, fake) | {"l1": F.l1_loss(made, wanted)} | spectra
