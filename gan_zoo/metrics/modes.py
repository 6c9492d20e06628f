"""Which modes of the data a generator found: 2-D mixtures, stacked digits, and class by class.

Srivastava et al. 2017 (VEEGAN), Lin et al. 2018 (PacGAN), Metz et al. 2017 (stacked digits).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.inputs import (
    as_classes,
    as_features,
    as_histogram,
    as_pictures,
    at_least,
    feature_pair,
    histogram_pair,
    positive,
    probability_pair,
    require_pictures,
)

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
    uniform = torch.ones_like(as_histogram(counts))
    p, q = histogram_pair(counts, uniform if reference is None else reference, ("counts", "reference"))
    terms = torch.where(p > 0, p * (p / q).log(), 0.0)
    return float(terms.sum())


def mixture_modes(points: Tensor, centres: Tensor, sigma: float, deviations: float = 3.0) -> MixtureModes:
    """Modes and quality of points [N, D] on a mixture with centres [K, D] and deviation sigma on each axis.

    A sample is high-quality when it lies within `deviations` sigma of its nearest centre. Even perfect
    samples of a 2-D Gaussian are so in 1 - exp(-9/2) = 98.9 % only.
    """
    positive(sigma=sigma, deviations=deviations)
    points, centres = feature_pair(points, centres, least=1, names=("points", "centres"))
    squared, mode = nearest(points, centres, 1)
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
    require_pictures(pictures)
    at_least(1, batch=batch)

    def digit(channel: Tensor) -> Tensor:
        answers = as_features(classify(channel), "answers of classify", least=1)
        if answers.shape != (len(channel), STACKED_CLASSES):
            raise ValueError(
                f"classify must answer [N, {STACKED_CLASSES}] for N digits, got {tuple(answers.shape)} for {len(channel)}"
            )
        return answers.argmax(1)

    found = []
    for some in as_pictures(pictures).split(batch):
        digits = torch.stack([digit(one) for one in some.split(1, dim=1)], 1)
        place = STACKED_CLASSES ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
        found.append((digits * place).sum(1))
    return torch.cat(found)


def stacked_modes(numbers: Tensor, channels: int = 3, reference: Tensor | None = None) -> StackedModes:
    """Modes found and reverse KL from class numbers [N], against uniform (None) or reference counts.

    The papers draw 26,000 samples: a perfect generator then finds 1000 (1 - e^-26) = 1000 modes of 1000.
    """
    at_least(1, channels=channels)
    classes = STACKED_CLASSES**channels
    counts = as_classes(numbers, f"numbers of {channels} channels", classes).bincount(minlength=classes)
    return StackedModes(int((counts > 0).sum()), histogram_kl(counts, reference), counts)


def variety(features: Tensor) -> float:
    """Mean squared distance of two different samples: 2 tr(covariance); NaN for fewer than two."""
    if len(features) < 2:
        return float("nan")
    return float(2 * as_features(features).double().var(0).sum())


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
    fake, real = probability_pair(fake, real)
    names_of = ("features of fake", "features of real")
    fake_features, real_features = feature_pair(fake_features, real_features, least=1, names=names_of)
    if len(fake) != len(fake_features) or len(real) != len(real_features):
        raise ValueError(
            f"probabilities and features must be of the same samples, got {len(fake)} and {len(fake_features)} of fakes, "
            f"{len(real)} and {len(real_features)} of reals"
        )
    if names and len(names) != fake.shape[1]:
        raise ValueError(f"each class needs a name, got {len(names)} names for {fake.shape[1]} classes")
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
