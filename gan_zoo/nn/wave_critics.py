"""Critics of sound that came after SEGAN: by period (HiFi-GAN) and by resolution of the spectrum (UnivNet)."""

from __future__ import annotations

import itertools

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from gan_zoo.nn.spectral import magnitudes
from gan_zoo.schema import ConfigError

SLOPE = 0.1


class PeriodCritic(nn.Module):
    """[N, C, T] folded into rows of `period` samples -> (logits, features): convolutions along time alone (Kong et al. 2020, sec. 2.3)."""

    def __init__(self, inputs: int, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        sizes = [inputs, width, 4 * width, 16 * width, 32 * width]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, o, (5, 1), (3, 1), padding=(2, 0))) for i, o in itertools.pairwise(sizes)
        )
        self.layers.append(weight_norm(nn.Conv2d(sizes[-1], sizes[-1], (5, 1), padding=(2, 0))))
        self.head = weight_norm(nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = F.pad(x, (0, -x.shape[-1] % self.period), mode="reflect")
        return _through(x.unflatten(-1, (-1, self.period)), self.layers, self.head)


class ResolutionCritic(nn.Module):
    """[N, C, T] -> (logits, features) of its magnitude spectrogram with windows of `size` samples (Jang et al. 2021, sec. 2.3)."""

    def __init__(self, inputs: int, size: int, width: int) -> None:
        super().__init__()
        self.hop = size // 4
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        strides = [(1, 1), (1, 2), (1, 2), (1, 2), (1, 1)]
        kernels = [(3, 9), (3, 9), (3, 9), (3, 9), (3, 3)]
        self.layers = nn.ModuleList(
            weight_norm(
                nn.Conv2d(
                    inputs if k == 0 else width,
                    width,
                    kernel,
                    stride,
                    padding=(kernel[0] // 2, kernel[1] // 2),
                )
            )
            for k, (kernel, stride) in enumerate(zip(kernels, strides, strict=True))
        )
        self.head = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        spectra = magnitudes(x.flatten(0, 1).unsqueeze(1), self.window, self.hop)  # type: ignore[arg-type]
        return _through(spectra.unflatten(0, x.shape[:2]).transpose(2, 3), self.layers, self.head)


def _through(x: Tensor, layers: nn.ModuleList, head: nn.Module) -> tuple[Tensor, tuple[Tensor, ...]]:
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        features.append(x)
    return head(x), tuple(features)


class WaveCritics(nn.Module):
    """Candidate and noisy [N, 2, T] -> (logits of each critic, all features).

    periods: in samples, primes so that none hears what another does; resolutions: windows of the spectrograms in samples.
    width: channels of a period critic's first layer (32 in HiFi-GAN) and of a resolution critic's (32 in UnivNet).
    """

    def __init__(
        self, *, periods: list[PositiveInt], resolutions: list[PositiveInt], width: PositiveInt
    ) -> None:
        super().__init__()
        if not periods and not resolutions:
            raise ConfigError("model.critics needs periods or resolutions; set model.critics=null for none")
        self.critics = nn.ModuleList(
            [
                *(PeriodCritic(2, period, width) for period in periods),
                *(ResolutionCritic(2, size, width) for size in resolutions),
            ]
        )

    def forward(self, pair: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        judged = [critic(pair) for critic in self.critics]
        return tuple(logits for logits, _ in judged), tuple(one for _, features in judged for one in features)
