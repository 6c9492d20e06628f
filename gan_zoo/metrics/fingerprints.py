"""Fingerprints by which generated pictures give themselves away (TequilaGAN: Valle et al. 2018).

Pixels are taken in [0, 1]. The book scales MNIST by 1/256, so its numbers compare only roughly with ours
(1/255).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_zoo.metrics.bins import jensen_shannon
from gan_zoo.metrics.inputs import as_features, as_pictures, picture_pair, seeded

SECOND_RANGE = (0.11, 0.88)  # leaves out ink and paper: generators differ most between them
SLOPE_WINDOW = 7


class KolmogorovSmirnov(NamedTuple):
    """statistic = max |F - G| of two empirical CDFs; differs = above the threshold at level alpha."""

    statistic: float
    threshold: float
    differs: bool


class FeatureMoments(NamedTuple):
    """Mean, standard deviation, skewness and excess kurtosis over all values of a feature, float64."""

    mean: float
    std: float
    skewness: float
    kurtosis: float


class Fingerprint(NamedTuple):
    """One set of pictures against real ones; see `fingerprint`."""

    pixel_js: float
    pixel_js_inner: float
    pixel_ks: KolmogorovSmirnov
    centroid_js: float
    centroid_ks: KolmogorovSmirnov
    slope_ks: KolmogorovSmirnov
    centroid: FeatureMoments
    slope: FeatureMoments


def unit_pixels(pictures: Tensor) -> Tensor:
    """[N, C, H, W], uint8 or [-1, 1] -> [0, 1]."""
    return (as_pictures(pictures) + 1) / 2


def pixel_histogram(pictures: Tensor, bins: int = 100, limits: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Counts of pixel values over equal bins of `limits`, float64 [bins]; values outside are left out."""
    return histogram(unit_pixels(pictures), bins, limits)


def histogram(values: Tensor, bins: int, limits: tuple[float, float]) -> Tensor:
    """Counts over equal bins of [low, high], the last one closed, float64 [bins]."""
    low, high = limits
    if not low < high or bins < 1:
        raise ValueError(f"limits must rise and bins be positive, got {limits} and {bins}")
    flat = values.flatten().double()
    flat = flat[(flat >= low) & (flat <= high)]
    at = ((flat - low) * (bins / (high - low))).long().clamp_max(bins - 1)
    return at.bincount(minlength=bins).double()


def pixel_divergence(
    real: Tensor, fake: Tensor, bins: int = 100, limits: tuple[float, float] = (0.0, 1.0)
) -> float:
    """Jensen-Shannon divergence of the pixel histograms, nats; NaN where a set has none within the limits."""
    first, second = pixel_histogram(real, bins, limits), pixel_histogram(fake, bins, limits)
    return jensen_shannon(first, second) if first.sum() and second.sum() else math.nan


def kolmogorov_smirnov(a: Tensor, b: Tensor, alpha: float = 0.05) -> KolmogorovSmirnov:
    """Two-sample KS test of all values of a and b; threshold sqrt(-ln(alpha / 2) / 2) sqrt((n + m) / (n m)).

    Pixels of one picture are not independent: read the statistic against that of held-out reals, not the
    threshold alone. A generator that never gives exact 0 scores high; quantise (as_bytes) to remove that.
    """
    a, b = a.flatten().double().sort().values, b.flatten().double().sort().values
    n, m = len(a), len(b)
    if min(n, m) == 0:
        raise ValueError("both sets need at least one value")
    at = torch.cat([a, b])
    gap = (
        torch.searchsorted(a, at, right=True).double() / n
        - torch.searchsorted(b, at, right=True).double() / m
    )
    threshold = math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((n + m) / (n * m))
    statistic = float(gap.abs().max())
    return KolmogorovSmirnov(statistic, threshold, statistic > threshold)


def empirical_cdf(values: Tensor, points: int = 512) -> tuple[Tensor, Tensor]:
    """(x, share of values <= x) at evenly spaced x from the least to the greatest value, ready to plot."""
    ordered = values.flatten().double().sort().values
    x = torch.linspace(float(ordered[0]), float(ordered[-1]), points, dtype=torch.float64)
    x[-1] = ordered[-1]  # linspace may end a rounding error below the greatest value
    return x, torch.searchsorted(ordered, x.to(ordered.device), right=True).double() / len(ordered)


def spectral_centroid(pictures: Tensor) -> Tensor:
    """Where the ink of each column lies: sum_r r p_rc / (sum_r p_rc + eps), rows from 0, [N, C, W]."""
    pixels = unit_pixels(pictures).double()
    rows = torch.arange(pixels.shape[2], dtype=pixels.dtype, device=pixels.device)
    return torch.einsum("nchw,h->ncw", pixels, rows) / (pixels.sum(2) + torch.finfo(torch.float64).eps)


def spectral_slope(pictures: Tensor, window: int = SLOPE_WINDOW) -> Tensor:
    """Slope of a line fitted to the centroids of `window` neighbouring columns, [N, C, W - window + 1]."""
    centroids = spectral_centroid(pictures)
    if centroids.shape[-1] < window:
        raise ValueError(f"a window of {window} columns does not fit pictures {centroids.shape[-1]} wide")
    x = torch.arange(window, dtype=centroids.dtype, device=centroids.device)
    x = x - x.mean()
    return (centroids.unfold(-1, window, 1) * x).sum(-1) / x.square().sum()


def moments(values: Tensor) -> FeatureMoments:
    """First four moments of all values together; skewness and kurtosis are NaN for constant values."""
    flat = values.flatten().double()
    mean, std = flat.mean(), flat.std(correction=0)
    z = (flat - mean) / std
    return FeatureMoments(float(mean), float(std), float((z**3).mean()), float((z**4).mean() - 3))


def moments_by_feature(samples: Tensor) -> Tensor:
    """The same four moments of each column of features [N, D], float64 [4, D]."""
    features = as_features(samples).double()
    std, mean = torch.std_mean(features, 0, correction=0)
    z = (features - mean) / std
    return torch.stack([mean, std, (z**3).mean(0), (z**4).mean(0) - 3])


def fingerprint(real: Tensor, fake: Tensor, bins: int = 100) -> Fingerprint:
    """All of TequilaGAN's figures of `fake` against `real` pictures [N, C, H, W] of one size.

    Print beside it the fingerprint of the held-out set (the floor), of an FGSM-perturbed set and of a
    Bernoulli set.
    """
    real, fake = picture_pair(real, fake)
    centroids = spectral_centroid(real), spectral_centroid(fake)
    slopes = spectral_slope(real), spectral_slope(fake)
    limits = (0.0, float(real.shape[2] - 1))
    return Fingerprint(
        pixel_js=pixel_divergence(real, fake, bins),
        pixel_js_inner=pixel_divergence(real, fake, bins, SECOND_RANGE),
        pixel_ks=kolmogorov_smirnov(unit_pixels(real), unit_pixels(fake)),
        centroid_js=jensen_shannon(*[histogram(one, bins, limits) for one in centroids]),
        centroid_ks=kolmogorov_smirnov(*centroids),
        slope_ks=kolmogorov_smirnov(*slopes),
        centroid=moments(centroids[1]),
        slope=moments(slopes[1]),
    )


# ---------------------------------------------------------------- reference sets


def fast_gradient_set(
    pictures: Tensor, labels: Tensor, logits: Callable[[Tensor], Tensor], epsilon: float = 0.1
) -> Tensor:
    """Real pictures moved against a classifier by FGSM, x + epsilon sign(grad loss) (Goodfellow et al. 2015).

    epsilon is in units of [0, 1] pixels, as in the paper; labels int64 [N]; logits: [N, C, H, W] -> [N, K].
    """
    pictures = as_pictures(pictures).clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(cross_entropy(logits(pictures), labels), pictures)
    return (pictures.detach() + 2 * epsilon * gradient.sign()).clamp(-1, 1)


def bernoulli_set(
    count: int, shape: tuple[int, int, int], probability: float = 0.13, seed: int = 0
) -> Tensor:
    """Pictures of independent black and white pixels, 1 with `probability`, else -1, [count, *shape]."""
    drawn = torch.rand(count, *shape, generator=seeded(seed)) < probability
    return 2 * drawn.float() - 1


def matching_bernoulli_set(pictures: Tensor, seed: int = 0) -> Tensor:
    """A Bernoulli set of the same size whose probability is the mean pixel of the real pictures."""
    shape = pictures.shape
    return bernoulli_set(shape[0], (shape[1], shape[2], shape[3]), float(unit_pixels(pictures).mean()), seed)
