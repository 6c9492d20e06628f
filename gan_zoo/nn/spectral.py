"""Distances of spectra, for what waveforms alone do not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALES = (
    (512, 120),
    (1024, 240),
    (2048, 480),
)  # (window, hop), of Yamamoto et al. 2020 but with whole windows
SMALLEST = 1e-5


def magnitudes(sound: Tensor, window: Tensor, hop: int) -> Tensor:
    """[N, 1, T] -> |STFT| [N, bins, frames], in float32; windows longer than the sound are cut to it."""
    with torch.autocast(sound.device.type, enabled=False):
        x = sound.float().squeeze(1)
        size = min(len(window), x.shape[-1] // 2 * 2)
        window = window if size == len(window) else torch.hann_window(size, device=x.device)
        spectrum = torch.stft(
            x, size, min(hop, size), window=window, center=True, pad_mode="constant", return_complex=True
        )
        # abs() has no gradient at 0
        return (spectrum.real.square() + spectrum.imag.square() + SMALLEST**2).sqrt()


class SpectralLoss(nn.Module):
    """Mean over scales of ||S - S'||_F / ||S||_F + mean |log S - log S'| (Yamamoto et al. 2020, eq. 3 to 6)."""

    def __init__(self, scales: Sequence[tuple[int, int]] = SCALES) -> None:
        super().__init__()
        self.hops = [hop for _, hop in scales]
        for index, (size, _) in enumerate(scales):
            self.register_buffer(f"window_{index}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        parts = []
        for index, hop in enumerate(self.hops):
            window = cast(Tensor, getattr(self, f"window_{index}"))
            m, w = magnitudes(made, window, hop), magnitudes(wanted, window, hop)
            parts.append((w - m).norm() / w.norm() + F.l1_loss(m.log(), w.log()))
        return torch.stack(parts).mean()


class MelLoss(nn.Module):
    """Mean |log mel(x) - log mel(x')| of `bands` bands (Kong et al. 2020, eq. 4), window 1024, hop 256, at `rate` Hz."""

    def __init__(self, bands: int = 80, rate: int = 16_000, size: int = 1024, hop: int = 256) -> None:
        super().__init__()
        self.hop = hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.register_buffer("bank", mel_bank(bands, size // 2 + 1, rate), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        window, bank = cast(Tensor, self.window), cast(Tensor, self.bank)
        with torch.autocast(made.device.type, enabled=False):
            m, w = (
                (bank @ magnitudes(x, window, self.hop)).clamp_min(SMALLEST).log() for x in (made, wanted)
            )
            return F.l1_loss(m, w)


def mel_bank(bands: int, bins: int, rate: int) -> Tensor:
    """[bands, bins]: triangles that overlap by half, evenly spaced on the mel scale 2595 log10(1 + f / 700)."""
    top = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700, dtype=torch.float64))
    edges = 700 * (10 ** (torch.linspace(0, 1, bands + 2, dtype=torch.float64) * top / 2595) - 1)
    hertz = torch.linspace(0, rate / 2, bins, dtype=torch.float64)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return torch.minimum(rising, falling).clamp_min(0).float()
