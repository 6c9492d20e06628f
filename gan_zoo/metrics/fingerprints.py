"""Fingerprints by which generated pictures give themselves away (TequilaGAN: Valle et al. 2018).

Pixels are taken in [0, 1]. The book scales MNIST by 1/256, so its numbers compare only roughly with ours
(1/255).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_zoo.metrics.bins import jensen_shannon
from gan_zoo.metrics.inputs import (
    VALUES,
    as_features,
    as_pictures,
    as_values,
    at_least,
    picture_batches,
    picture_pair,
    require_pictures,
    require_values,
    seeded,
    share_of_one,
)

SECOND_RANGE = (0.11, 0.88)  # leaves out ink and paper: generators differ most between them
SLOPE_WINDOW = 7
LEVELS = 4096  # different values, at most, of pixels that are counted by value; pictures of 8 bits have 256
ROUNDING = 2**-21  # of the range of a histogram: values so near below an edge are taken to be on it
DRAWN = 2**21  # pixels of each set that are compared where both have more values than that


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


def unit_batches(pictures: Tensor, dtype: torch.dtype | None = None) -> Iterator[Tensor]:
    """The same batch by batch: no copy of the set is made."""
    for batch in picture_batches(pictures, dtype=dtype):
        yield (batch + 1) / 2


def pixel_histogram(pictures: Tensor, bins: int = 100, limits: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Counts of pixel values over equal bins of `limits`, float64 [bins]; values outside are left out."""
    require_pictures(pictures)
    counts = torch.zeros(bins, dtype=torch.float64, device=pictures.device)
    for batch in unit_batches(pictures):
        counts += histogram(batch, bins, limits)
    return counts


def histogram(values: Tensor, bins: int, limits: tuple[float, float]) -> Tensor:
    """Counts over equal bins of [low, high], the last one closed, float64 [bins].

    A value that float32 rounded off the edge of a bin counts as on it: of the levels of 8 bits, 51 / 255 is such a one.
    """
    low, high = limits
    if not low < high or bins < 1:
        raise ValueError(f"limits must rise and bins be positive, got {limits} and {bins}")
    require_values(values, least=0)
    flat = values.flatten().double()
    at = (flat - low) / (high - low) + ROUNDING
    at = (at[(at >= 0) & (at <= 1 + 2 * ROUNDING)] * bins).long().clamp_max(bins - 1)
    return at.bincount(minlength=bins).double()


def pixel_divergence(
    real: Tensor, fake: Tensor, bins: int = 100, limits: tuple[float, float] = (0.0, 1.0)
) -> float:
    """Jensen-Shannon divergence of the pixel histograms, nats; NaN where a set has none within the limits."""
    picture_pair(real[:1], fake[:1], least=1)  # a NaN below is for values outside the limits alone
    first, second = pixel_histogram(real, bins, limits), pixel_histogram(fake, bins, limits)
    return jensen_shannon(first, second) if first.sum() and second.sum() else math.nan


def kolmogorov_smirnov(a: Tensor, b: Tensor, alpha: float = 0.05) -> KolmogorovSmirnov:
    """Two-sample KS test of all values of a and b; threshold sqrt(-ln(alpha / 2) / 2) sqrt((n + m) / (n m)).

    Pixels of one picture are not independent: read the statistic against that of held-out reals, not the
    threshold alone. A generator that never gives exact 0 scores high; quantise (as_bytes) to remove that.
    """
    share_of_one(alpha=alpha)
    a, b = as_values(a, "first").sort().values, as_values(b, "second").sort().values
    n, m = len(a), len(b)
    gaps = [
        torch.searchsorted(a, at, right=True).double() / n
        - torch.searchsorted(b, at, right=True).double() / m
        for at in (a, b)
    ]
    return _tested(max(float(gap.abs().max()) for gap in gaps), n, m, alpha)


def _tested(statistic: float, n: int, m: int, alpha: float) -> KolmogorovSmirnov:
    threshold = math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((n + m) / (n * m))
    return KolmogorovSmirnov(statistic, threshold, statistic > threshold)


def pixel_kolmogorov_smirnov(
    real: Tensor, fake: Tensor, alpha: float = 0.05, seed: int = 0
) -> KolmogorovSmirnov:
    """KS test of all pixels of two sets of pictures, batch by batch.

    Exact where either set has at most LEVELS different values (a distribution function of steps is furthest from another
    just before or at a step) or none has more than DRAWN pixels. Else DRAWN pixels of each, drawn with `seed`, are
    compared: the statistic is then known to about 1e-3.
    """
    share_of_one(alpha=alpha)
    dtype = picture_pair(real[:1], fake[:1], least=1)[0].dtype
    levels = _levels(unit_batches(real, dtype))
    levels = _levels(unit_batches(fake, dtype)) if levels is None else levels
    if levels is None:
        return kolmogorov_smirnov(_pixels(real, seed), _pixels(fake, seed + 1), alpha)
    first, second = (_shares(unit_batches(one, dtype), levels) for one in (real, fake))
    return _tested(float((first - second).abs().max()), real.numel(), fake.numel(), alpha)


def _levels(batches: Iterable[Tensor]) -> Tensor | None:
    """The different values of all batches in rising order; None where there are more than LEVELS."""
    known: Tensor | None = None
    for batch in batches:
        new = batch.flatten()
        if known is not None:
            near = known[torch.searchsorted(known, new).clamp_max(len(known) - 1)]
            new = torch.cat([known, new[near != new]])
        known = new.unique()
        if len(known) > LEVELS:
            return None
    return known


def _shares(batches: Iterable[Tensor], levels: Tensor) -> Tensor:
    """Share of values below the first level, up to it, below the second, ..., float64 [2 L + 1]; the last is 1."""
    cells = 2 * len(levels) + 1
    counts = torch.zeros(cells, dtype=torch.int64)
    for batch in batches:
        values, own = batch.flatten(), levels.to(batch.device)
        cell = torch.searchsorted(own, values) + torch.searchsorted(own, values, right=True)  # odd at a level
        counts += cell.bincount(minlength=cells).cpu()
    return counts.cumsum(0).double() / counts.sum()


def _pixels(pictures: Tensor, seed: int) -> Tensor:
    """All pixels in [0, 1], or DRAWN of them, drawn with replacement; [P]."""
    if pictures.numel() <= DRAWN:
        return unit_pixels(pictures).flatten()
    index = torch.randint(pictures.numel(), (DRAWN,), generator=seeded(seed)).to(pictures.device)
    return unit_pixels(pictures[torch.unravel_index(index, pictures.shape)].view(-1, 1, 1, 1)).flatten()


def empirical_cdf(values: Tensor, points: int = 512) -> tuple[Tensor, Tensor]:
    """(x, share of values <= x) at evenly spaced x from the least to the greatest value, ready to plot."""
    require_values(values)
    at_least(2, points=points)
    low, high = float(values.min()), float(values.max())
    x = torch.linspace(low, high, points, dtype=torch.float64)
    x[-1] = high  # linspace may end a rounding error below the greatest value
    counts, at = torch.zeros(points, dtype=torch.int64, device=values.device), x.to(values.device)
    for some in values.flatten().split(VALUES):
        counts += torch.searchsorted(at, some.double()).bincount(minlength=points)
    return x, counts.cumsum(0).double() / values.numel()


def spectral_centroid(pictures: Tensor) -> Tensor:
    """Where the ink of each column lies: sum_r r p_rc / (sum_r p_rc + eps), rows from 0, [N, C, W]."""
    return torch.cat([_centroids(batch.double()) for batch in unit_batches(pictures)])


def _centroids(pixels: Tensor) -> Tensor:
    rows = torch.arange(pixels.shape[2], dtype=pixels.dtype, device=pixels.device)
    return torch.einsum("nchw,h->ncw", pixels, rows) / (pixels.sum(2) + torch.finfo(torch.float64).eps)


def spectral_slope(pictures: Tensor, window: int = SLOPE_WINDOW) -> Tensor:
    """Slope of a line fitted to the centroids of `window` neighbouring columns, [N, C, W - window + 1]."""
    at_least(2, window=window)
    centroids = spectral_centroid(pictures)
    if centroids.shape[-1] < window:
        raise ValueError(f"a window of {window} columns does not fit pictures {centroids.shape[-1]} wide")
    x = torch.arange(window, dtype=centroids.dtype, device=centroids.device)
    x = x - x.mean()
    return (centroids.unfold(-1, window, 1) * x).sum(-1) / x.square().sum()


def moments(values: Tensor) -> FeatureMoments:
    """First four moments of all values together; skewness and kurtosis are NaN for constant values."""
    require_values(values)
    return moments_of_batches(lambda: values.flatten().split(VALUES))


def moments_of_batches(batches: Callable[[], Iterable[Tensor]]) -> FeatureMoments:
    """The same of values that come in batches; `batches` is called three times."""

    def about(centre: float) -> tuple[float, ...]:
        count, sums = 0, torch.zeros(4, dtype=torch.float64)
        for batch in batches():
            off = batch.flatten().double() - centre
            square = off.square()
            count += len(off)
            sums += torch.stack([off.sum(), square.sum(), square.dot(off), square.dot(square)]).cpu()
        return tuple((sums / count).tolist())

    first = next((float(batch.flatten()[0]) for batch in batches() if batch.numel()), math.nan)
    mean = first + about(first)[0]  # about a value of its own: constant values have exactly no deviation
    _, second, third, fourth = about(mean)
    std = math.sqrt(second)
    if std == 0:
        return FeatureMoments(mean, 0.0, math.nan, math.nan)
    return FeatureMoments(mean, std, third / std**3, fourth / second**2 - 3)


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
    picture_pair(real[:1], fake[:1], least=1, side=2)  # pictures are converted batch by batch
    fake = fake.to(real.device)
    centroids = spectral_centroid(real), spectral_centroid(fake)
    slopes = spectral_slope(real), spectral_slope(fake)
    limits = (0.0, float(real.shape[2] - 1))
    return Fingerprint(
        pixel_js=pixel_divergence(real, fake, bins),
        pixel_js_inner=pixel_divergence(real, fake, bins, SECOND_RANGE),
        pixel_ks=pixel_kolmogorov_smirnov(real, fake),
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
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must lie in [0, 1], got {probability}")
    drawn = torch.rand(count, *shape, generator=seeded(seed))
    return drawn.lt_(probability).mul_(2).sub_(1)


def matching_bernoulli_set(pictures: Tensor, seed: int = 0) -> Tensor:
    """A Bernoulli set of the same size whose probability is the mean pixel of the real pictures."""
    require_pictures(pictures)
    shape = pictures.shape
    total = sum(float(batch.sum(dtype=torch.float64)) for batch in unit_batches(pictures))
    return bernoulli_set(shape[0], (shape[1], shape[2], shape[3]), total / pictures.numel(), seed)
