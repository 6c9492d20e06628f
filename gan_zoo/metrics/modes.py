"""Which modes of the data a generator found: 2-D mixtures, stacked digits, and class by class.

Srivastava et al. 2017 (VEEGAN), Lin et al. 2018 (PacGAN), Metz et al. 2017 (stacked digits).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.inputs import as_features, as_pictures, probabilities

STACKED_CLASSES = 10


class MixtureModes(NamedTuple):
    """modes: with a high-quality sample; high_quality: share of all samples; counts of them a mode [K].

    reverse_kl: KL(histogram over the modes of all samples, by nearest centre || uniform), nats.
    """

    modes: int
    high_quality: float
    reverse_kl: float
    counts: Tensor


class StackedModes(NamedTuple):
    """modes: distinct triples; reverse_kl: KL(samples || reference), nats; counts [10^channels]."""

    modes: int
    reverse_kl: float
    counts: Tensor


class ClassReport(NamedTuple):
    """One class: its share of fakes and reals, mean confidence, and variety of its features (see `variety`).

    variety_ratio (fake / real) well below 1 says that the class collapsed inside; NaN where fewer than two
    samples.
    """

    name: str
    fake_share: float
    real_share: float
    confidence: float
    variety: float
    variety_ratio: float


def histogram_kl(counts: Tensor, reference: Tensor | None = None) -> float:
    """KL(counts || reference) of two histograms in nats; None is uniform; infinite where it has a hole."""
    p = counts.double() / counts.sum()
    q = torch.full_like(p, 1 / len(p)) if reference is None else reference.double() / reference.sum()
    terms = torch.where(p > 0, p * (p / q).log(), 0.0)
    return float(terms.sum())


def mixture_modes(points: Tensor, centres: Tensor, sigma: float, deviations: float = 3.0) -> MixtureModes:
    """Modes and quality of points [N, D] on a mixture with centres [K, D] and deviation sigma on each axis.

    A sample is high-quality when it lies within `deviations` sigma of its nearest centre. Even perfect
    samples of a 2-D Gaussian are so in 1 - exp(-9/2) = 98.9 % only.
    """
    if sigma <= 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    points = as_features(points, "points", least=1)
    squared, mode = nearest(points, centres.to(points), 1)
    good = squared[:, 0] <= (deviations * sigma) ** 2
    counts = mode[good, 0].bincount(minlength=len(centres))
    everything = mode[:, 0].bincount(minlength=len(centres))
    return MixtureModes(
        int((counts > 0).sum()), float(good.double().mean()), histogram_kl(everything), counts
    )


def stacked_classes(pictures: Tensor, classify: Callable[[Tensor], Tensor], batch: int = 512) -> Tensor:
    """The number 0 ... 10^C - 1 that the C channels of each picture show, first channel first, int64 [N].

    classify: [N, 1, H, W] in [-1, 1] -> probabilities or logits [N, 10], e.g.
    metrics.digits_classifier.classify.
    """
    found = []
    for some in as_pictures(pictures).split(batch):
        digits = torch.stack([classify(some[:, c : c + 1]).argmax(1) for c in range(some.shape[1])], 1)
        place = STACKED_CLASSES ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
        found.append((digits * place).sum(1))
    return torch.cat(found)


def stacked_modes(numbers: Tensor, channels: int = 3, reference: Tensor | None = None) -> StackedModes:
    """Modes found and reverse KL from class numbers [N], against uniform (None) or reference counts.

    The papers draw 26,000 samples: a perfect generator then finds 1000 (1 - e^-26) = 1000 modes of 1000.
    """
    counts = numbers.bincount(minlength=STACKED_CLASSES**channels)
    if len(counts) > STACKED_CLASSES**channels:
        raise ValueError(f"class {int(numbers.max())} does not exist with {channels} channels")
    return StackedModes(int((counts > 0).sum()), histogram_kl(counts, reference), counts)


def variety(features: Tensor) -> float:
    """Mean squared distance of two different samples: 2 tr(covariance); NaN for fewer than two."""
    if len(features) < 2:
        return float("nan")
    return float(2 * features.flatten(1).double().var(0).sum())


def class_report(
    fake: Tensor,
    real: Tensor,
    fake_features: Tensor,
    real_features: Tensor,
    names: Sequence[str] | None = None,
) -> list[ClassReport]:
    """Mode analysis class by class: who is missing, who is too frequent, who collapsed inside.

    fake, real: class probabilities [N, K], [M, K]; features: [N, D], [M, D] of the same samples. Classes by
    argmax.
    """
    fake, real = probabilities(fake, "fake"), probabilities(real, "real")
    if len(fake) != len(fake_features) or len(real) != len(real_features):
        raise ValueError("probabilities and features must be of the same samples")
    fake_class, real_class = fake.argmax(1), real.argmax(1)
    report = []
    for k in range(fake.shape[1]):
        mine, theirs = fake_class == k, real_class == k
        spread, real_spread = variety(fake_features[mine]), variety(real_features[theirs])
        confidence = float(fake[mine, k].mean())
        ratio = spread / real_spread if real_spread else float("nan")
        name = names[k] if names else str(k)
        report.append(
            ClassReport(
                name, float(mine.double().mean()), float(theirs.double().mean()), confidence, spread, ratio
            )
        )
    return report
