"""How a figure is made: value, floor, interval and protocol, of whatever gan_zoo.metrics.table lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from gan_zoo import __version__
from gan_zoo.metrics.inputs import seeded, subset
from gan_zoo.metrics.protocol import Figure, Interval, Protocol, Value
from gan_zoo.metrics.subject import PARTS, Subject

LEVEL = 0.95
Numbers = dict[str, float]
Score = Callable[[Tensor, Tensor], Numbers]
Spread = Callable[[Subject, Score, Tensor, Tensor, Numbers], dict[str, Interval]]


class Meaning(NamedTuple):
    """What a reader sees of a figure: its label, which way is better, what it says, and between which values it lies."""

    label: str
    lower_is_better: bool
    says: str
    limits: tuple[float, float] = (-math.inf, math.inf)


class Taken(NamedTuple):
    """A figure; how many held-out reals its floor was made of; its value with as many fakes as that (or None)."""

    figure: Figure
    floor_samples: int
    matched: float | None


# ---------------------------------------------------------------- intervals


def normal_interval(value: float, error: float, method: str, draws: int | None = None) -> Interval:
    """value +- 1.96 standard errors; of an error that is known from `draws` figures alone, Student's quantile in its place."""
    share = (1 + LEVEL) / 2
    quantile = NormalDist().inv_cdf(share) if draws is None else stdtrit(draws - 1, share)
    half = float(quantile) * error
    return Interval(value - half, value + half, LEVEL, error, method)


def by_subsets(count: int, share: float = 0.5) -> Spread:
    """Delete-d jackknife as protocol.subset_interval, for all numbers of a score at once."""

    def spread(
        subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
    ) -> dict[str, Interval]:
        generator = seeded(subject.seed)
        sizes = [max(2, round(share * len(one))) for one in (real, fake)]
        drawn = [
            score(subset(real, sizes[0], generator), subset(fake, sizes[1], generator)) for _ in range(count)
        ]
        method = f"{count} subsets of {share:g}"
        widen = math.sqrt(share / (1 - share))
        return {
            name: normal_interval(value, widen * _deviation(drawn, name), method, count)
            for name, value in values.items()
        }

    return spread


def _deviation(drawn: list[Numbers], name: str) -> float:
    return float(torch.tensor([one[name] for one in drawn], dtype=torch.float64).std(correction=1))


JACKKNIFE = by_subsets(10)


def by_bootstrap(draws: int) -> Spread:
    """Percentiles over resamples of the fakes: for means and shares. A divergence of histograms is larger on resamples, by half a
    cell for each sample, and would lie below its own interval: `JACKKNIFE` is for that."""

    def spread(
        subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
    ) -> dict[str, Interval]:
        generator = seeded(subject.seed)
        drawn = [
            score(real, fake[torch.randint(len(fake), (len(fake),), generator=generator)])
            for _ in range(draws)
        ]
        found = {}
        for name in values:
            one = torch.tensor([numbers[name] for numbers in drawn], dtype=torch.float64)
            low, high = one.quantile(one.new_tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2])).tolist()
            found[name] = Interval(low, high, LEVEL, _deviation(drawn, name), f"bootstrap of {draws}")
        return found

    return spread


def by_trials(trials: Callable[[Subject, Tensor, Tensor], int], *names: str) -> Spread:
    """Wilson's interval of a share of `trials` yes-or-no answers, for the numbers named."""

    def spread(
        subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
    ) -> dict[str, Interval]:
        n = trials(subject, real, fake)
        return {name: wilson(values[name], n) for name in names}

    return spread


def wilson(share: float, n: int) -> Interval:
    """Wilson's score interval (1927) of a share of n independent answers; never leaves [0, 1]."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = (
        max(0.0, centre - half) if share > 0 else 0.0
    )  # exact at both ends, where rounding would leave 1e-19
    high = min(1.0, centre + half) if share < 1 else 1.0
    return Interval(low, high, LEVEL, math.sqrt(share * (1 - share) / n), f"Wilson, {n} answers")


def of_auc(auc: float, n: int, m: int) -> Interval:
    """Hanley & McNeil's interval (1982) of the area under the ROC curve of n scores against m."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (m - 1) * (q2 - auc**2)) / (n * m)
    return normal_interval(auc, math.sqrt(max(variance, 0.0)), f"Hanley-McNeil, {n} and {m} scores")


def both(first: Spread, second: Spread) -> Spread:
    """The intervals of `first`, and where it gives one, that of `second`."""
    return lambda *given: {**first(*given), **second(*given)}


def only(spread: Spread, *names: str) -> Spread:
    """The intervals of a spread for the numbers named."""

    def some(
        subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
    ) -> dict[str, Interval]:
        return {
            name: interval
            for name, interval in spread(subject, score, real, fake, values).items()
            if name in names
        }

    return some


def unknown(
    subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
) -> dict[str, Interval]:
    """No interval."""
    return {}


# ---------------------------------------------------------------- one measure


def no_floor(subject: Subject, score: Score) -> Numbers:
    return {}


@dataclass(frozen=True)
class Measure:
    """One entry of gan_zoo.metrics.table. score(subject, real, fake) gives the numbers that `figures` explains.

    It may leave out those that do not apply. cheap: fit for use during training. most: samples of each set that are
    looked at. equal: both sets are cut to one size. split: of the reals. usual: taken when no metrics are named. floors: None is the score
    of held-out reals. details: more to be shown, as plain JSON.
    """

    title: str
    view: str
    score: Callable[[Subject, Tensor, Tensor], Numbers]
    figures: Mapping[str, Meaning]
    fits: Callable[[Subject], bool]
    spread: Spread = JACKKNIFE
    cheap: bool = False
    most: int | Callable[[Subject], int] = 50_000
    equal: bool = False
    split: str = "train"
    usual: bool = True
    floors: Callable[[Subject, Score], Numbers] | None = None
    settings: Callable[[Subject], dict[str, Value]] = lambda subject: {}
    details: Callable[[Subject], dict[str, Any]] | None = None

    def cut(self, subject: Subject, part: str) -> Tensor:
        """The samples of one part that are looked at."""
        return subject.part(self.view, part)[
            : self.most if isinstance(self.most, int) else self.most(subject)
        ]


def take(measure: Measure, subject: Subject, *, intervals: bool = True) -> dict[str, Taken]:
    """All figures of a measure with protocol, floor and interval, by name."""
    train, held_out, fake = (measure.cut(subject, part) for part in PARTS)
    score = _score_of(measure, subject)
    values = score(train, fake)
    held_out = held_out[: len(fake)]
    floors = measure.floors(subject, score) if measure.floors else score(train, held_out)
    fewer = measure.floors is None and len(held_out) < len(fake)
    matched = score(train, subset(fake, len(held_out), seeded(subject.seed))) if fewer else {}
    spreads = measure.spread(subject, score, train, fake, values) if intervals else {}
    used = min(len(train), len(fake)) if measure.equal else None
    features, sha256, resize = subject.provenance(measure.view)

    def figure(name: str) -> Figure:
        protocol = Protocol(
            name,
            features,
            sha256,
            resize,
            used or len(train),
            used or len(fake),
            measure.split,
            subject.seed,
            __version__,
            measure.settings(subject),
            subject.data,
            "x".join(map(str, subject.fake.shape[1:])),
        )
        meaning = measure.figures[name]
        interval = _within(spreads[name], meaning.limits) if name in spreads else None
        return Figure(values[name], protocol, meaning.lower_is_better, interval, floors.get(name))

    return {
        name: Taken(figure(name), len(held_out), matched.get(name))
        for name in measure.figures
        if name in values
    }


def _within(interval: Interval, limits: tuple[float, float]) -> Interval:
    """A normal interval knows no bounds, but no share is above 1."""
    low, high = (min(max(end, limits[0]), limits[1]) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def _score_of(measure: Measure, subject: Subject) -> Score:
    def score(real: Tensor, fake: Tensor) -> Numbers:
        if measure.equal:
            n = min(len(real), len(fake))
            real, fake = real[:n], fake[:n]
        return measure.score(subject, real, fake)

    return score


def quick(measure: Measure, subject: Subject) -> Numbers:
    """The values alone, as training wants them."""
    train, fake = (measure.cut(subject, part) for part in ("train", "fake"))
    return _score_of(measure, subject)(train, fake)
