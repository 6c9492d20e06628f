"""Low-level statistics: power spectrum, contrast, gradients (Zeng et al. 2017; Durall et al. 2020).

Natural pictures have power near A / f^alpha with alpha about 2; transposed convolutions leave peaks at high
frequency.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.fingerprints import moments_of_batches, unit_batches
from gan_zoo.metrics.inputs import picture_pair, require_pictures, require_values


class Spectrum(NamedTuple):
    """Radially averaged power [B] at frequencies [B] in cycles a pixel (up to 1/2), float64."""

    frequency: Tensor
    power: Tensor


class LowLevel(NamedTuple):
    """Means over a set of pictures, pixels in [0, 1]; see `low_level_statistics`."""

    luminance: float
    contrast: float
    skewness: float
    kurtosis: float
    gradient: float
    gradient_kurtosis: float
    spectrum_slope: float
    high_frequency_share: float


def power_spectrum(pictures: Tensor) -> Tensor:
    """Mean |FFT|^2 / (H W) of the pictures less their mean, float64 [H, W], zero frequency in the middle.

    Summed over the plane and divided by H W it is the mean variance of the pictures (Parseval).
    """
    require_pictures(pictures)
    total = torch.zeros(pictures.shape[-2:], dtype=torch.float64, device=pictures.device)
    for batch in unit_batches(pictures):
        pixels = batch.double()
        pixels = pixels - pixels.mean((-2, -1), keepdim=True)
        total += torch.fft.fft2(pixels).abs().square().mean(1).sum(0)
    return torch.fft.fftshift(total / (len(pictures) * total.numel()))


def radial_spectrum(pictures: Tensor) -> Spectrum:
    """Power averaged over rings one step wide; the corners beyond 1/2 cycle a pixel are left out."""
    power = power_spectrum(pictures)
    h, w = power.shape
    y, x = torch.fft.fftshift(torch.fft.fftfreq(h)), torch.fft.fftshift(torch.fft.fftfreq(w))
    radius = (y[:, None].double() ** 2 + x[None].double() ** 2).sqrt().to(power.device)
    steps = min(h, w)
    ring = (radius * steps).round().long().flatten()
    inside = (ring > 0) & (ring <= steps // 2)
    count = ring[inside].bincount(minlength=steps // 2 + 1).double()
    total = torch.zeros_like(count).index_add(0, ring[inside], power.flatten()[inside])
    frequency = torch.arange(1, steps // 2 + 1, dtype=torch.float64) / steps
    return Spectrum(frequency, (total[1:] / count[1:]).cpu())


def spectrum_slope(spectrum: Spectrum) -> float:
    """-alpha of power = A f^-alpha: slope of log power on log frequency, least squares; NaN without any
    power.
    """
    require_values(spectrum.power, "power")
    kept = spectrum.power > 0
    if int(kept.sum()) < 2:
        return math.nan
    x, y = spectrum.frequency[kept].log(), spectrum.power[kept].log()
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum())


def spectrum_gap(real: Tensor, fake: Tensor) -> float:
    """Root mean squared difference of the log10 radial spectra: 1 is a factor of ten everywhere."""
    picture_pair(real[:1], fake[:1], least=1, side=2)
    first, second = radial_spectrum(real).power, radial_spectrum(fake).power
    floor = torch.finfo(torch.float64).tiny
    return float((first.clamp_min(floor).log10() - second.clamp_min(floor).log10()).square().mean().sqrt())


def low_level_statistics(pictures: Tensor) -> LowLevel:
    """The statistics that a report prints for real and fake pictures side by side.

    luminance: mean pixel; contrast: mean over pictures of the deviation of their pixels; gradient: mean
    absolute difference of neighbours, whose kurtosis is high in natural pictures (few strong edges);
    high_frequency_share: of radial power beyond a quarter cycle a pixel. All are exact, and summed batch by batch.
    """
    require_pictures(pictures, side=2)
    values = moments_of_batches(lambda: unit_batches(pictures))
    slopes = moments_of_batches(lambda: map(_differences, unit_batches(pictures)))
    contrast = gradient = (
        0.0  # small tensors kept from each batch would keep the allocator from using its room again
    )
    for batch in unit_batches(pictures):
        contrast += float(batch.double().flatten(1).std(1, correction=0).sum()) / len(pictures)
        gradient += float(_differences(batch).double().abs_().mean(1).sum()) / len(pictures)
    spectrum = radial_spectrum(pictures)
    whole = float(spectrum.power.sum())
    high = float(spectrum.power[spectrum.frequency > 0.25].sum()) / whole if whole else math.nan
    return LowLevel(
        values.mean,
        contrast,
        values.skewness,
        values.kurtosis,
        gradient,
        slopes.kurtosis,
        spectrum_slope(spectrum),
        high,
    )


def _differences(pixels: Tensor) -> Tensor:
    """Of neighbours to the right and below, [N, D]."""
    return torch.cat([pixels.diff(dim=3).flatten(1), pixels.diff(dim=2).flatten(1)], 1)
