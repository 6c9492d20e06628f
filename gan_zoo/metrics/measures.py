"""Each figure that an evaluation can give: what it compares, how far it may be trusted, and when it fits.

MEASURES is the table: a name, a view of the samples, a function of (subject, real, fake), the meaning of each number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_zoo import __version__
from gan_zoo.metrics import scores
from gan_zoo.metrics.inputs import seeded, subset
from gan_zoo.metrics.protocol import Figure, Interval, Protocol, Value
from gan_zoo.metrics.subject import Subject
from gan_zoo.schema import ConfigError
from gan_zoo.wording import suggestion

LEVEL = 0.95
Numbers = dict[str, float]
Score = Callable[[Tensor, Tensor], Numbers]
Spread = Callable[[Subject, Score, Tensor, Tensor, Numbers], dict[str, Interval]]


class Meaning(NamedTuple):
    """What a reader sees of a figure: its label, which way is better, and what it says."""

    label: str
    lower_is_better: bool
    says: str


class Taken(NamedTuple):
    """A figure; how many held-out reals its floor was made of; its value with as many fakes as that (or None)."""

    figure: Figure
    floor_samples: int
    matched: float | None


# ---------------------------------------------------------------- intervals


def _around(value: float, error: float, method: str) -> Interval:
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return Interval(value - half, value + half, LEVEL, error, method)


def by_subsets(count: int, share: float = 0.5) -> Spread:
    """Delete-d jackknife as protocol.subset_interval, for all numbers of a score at once."""

    def spread(subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers) -> dict[str, Interval]:
        generator = seeded(subject.seed)
        sizes = [max(2, round(share * len(one))) for one in (real, fake)]
        drawn = [score(subset(real, sizes[0], generator), subset(fake, sizes[1], generator)) for _ in range(count)]
        method = f"{count} subsets of {share:g}"
        widen = math.sqrt(share / (1 - share))
        return {name: _around(value, widen * _deviation(drawn, name), method) for name, value in values.items()}

    return spread


def _deviation(drawn: list[Numbers], name: str) -> float:
    return float(torch.tensor([one[name] for one in drawn], dtype=torch.float64).std(correction=1))


def by_bootstrap(draws: int) -> Spread:
    """Percentiles over resamples of the fakes: for means and shares."""

    def spread(subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers) -> dict[str, Interval]:
        generator = seeded(subject.seed)
        drawn = [score(real, fake[torch.randint(len(fake), (len(fake),), generator=generator)]) for _ in range(draws)]
        found = {}
        for name in values:
            one = torch.tensor([numbers[name] for numbers in drawn], dtype=torch.float64)
            low, high = one.quantile(one.new_tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2])).tolist()
            found[name] = Interval(low, high, LEVEL, _deviation(drawn, name), f"bootstrap of {draws}")
        return found

    return spread


def by_trials(trials: Callable[[Subject, Tensor, Tensor], int], *names: str) -> Spread:
    """Wilson's interval of a share of `trials` yes-or-no answers, for the numbers named."""

    def spread(subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers) -> dict[str, Interval]:
        n = trials(subject, real, fake)
        return {name: wilson(values[name], n) for name in names}

    return spread


def wilson(share: float, n: int) -> Interval:
    """Wilson's score interval (1927) of a share of n independent answers; never leaves [0, 1]."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), LEVEL, math.sqrt(share * (1 - share) / n), f"Wilson, {n} answers")


def both(first: Spread, second: Spread) -> Spread:
    """The intervals of `first`, and where it gives one, that of `second`."""
    return lambda *given: {**first(*given), **second(*given)}


def unknown(subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers) -> dict[str, Interval]:
    """No interval."""
    return {}


# ---------------------------------------------------------------- one measure


def no_floor(subject: Subject, score: Score) -> Numbers:
    return {}


@dataclass(frozen=True)
class Measure:
    """One entry of the table. score(subject, real, fake) gives the numbers that `figures` explains.

    cheap: fit for use during training. most: samples of each set that are looked at. equal: both sets are cut to one
    size. usual: taken when no metrics are named. floors: None is the score of held-out reals. details: more to be
    shown, as plain JSON.
    """

    title: str
    view: str
    score: Callable[[Subject, Tensor, Tensor], Numbers]
    figures: Mapping[str, Meaning]
    fits: Callable[[Subject], bool]
    spread: Spread = by_subsets(10)
    cheap: bool = False
    most: int = 50_000
    equal: bool = False
    usual: bool = True
    floors: Callable[[Subject, Score], Numbers] | None = None
    settings: Callable[[Subject], dict[str, Value]] = lambda subject: {}
    details: Callable[[Subject], dict[str, Any]] | None = None


def take(measure: Measure, subject: Subject, *, intervals: bool = True) -> dict[str, Taken]:
    """All figures of a measure with protocol, floor and interval, by name."""
    train, held_out, fake = (part[: measure.most] for part in subject.view(measure.view))
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
        protocol = Protocol(name, features, sha256, resize, used or len(train), used or len(fake), "train", subject.seed,
                            __version__, measure.settings(subject))
        return Figure(values[name], protocol, measure.figures[name].lower_is_better, spreads.get(name), floors.get(name))

    return {name: Taken(figure(name), len(held_out), matched.get(name)) for name in measure.figures}


def _score_of(measure: Measure, subject: Subject) -> Score:
    def score(real: Tensor, fake: Tensor) -> Numbers:
        if measure.equal:
            n = min(len(real), len(fake))
            real, fake = real[:n], fake[:n]
        return measure.score(subject, real, fake)

    return score


def quick(measure: Measure, subject: Subject) -> Numbers:
    """The values alone, as training wants them."""
    train, _, fake = (part[: measure.most] for part in subject.view(measure.view))
    return _score_of(measure, subject)(train, fake)


def chosen(subject: Subject, names: list[str] | None, *, cheap: bool = False) -> dict[str, Measure]:
    """The measures named, or all usual (and cheap) ones that fit; ConfigError for a name that is unknown or unfit."""
    fitting = {name: measure for name, measure in MEASURES.items() if measure.fits(subject)}
    if names is None:
        return {name: measure for name, measure in fitting.items() if measure.usual and (measure.cheap or not cheap)}
    for name in names:
        if name not in MEASURES:
            raise ConfigError(f"metrics: {name!r} came; {suggestion(name, MEASURES)}")
        if name not in fitting:
            raise ConfigError(f"metrics: {name} does not fit {subject.modality} of data={subject.data}; these do: {', '.join(fitting)}")
    return {name: fitting[name] for name in names}


# ---------------------------------------------------------------- what fits what


def _mixture(subject: Subject) -> bool:
    return subject.truth.centres is not None


def _points(subject: Subject) -> bool:
    return not subject.pictures


def _pictures(subject: Subject) -> bool:
    return subject.pictures


def _read(subject: Subject) -> bool:
    return subject.truth.judge is not None and subject.truth.judge.probabilities is not None


def _pyramid(subject: Subject) -> bool:
    return subject.pictures and subject.fake.shape[-1] == subject.fake.shape[-2] and scores.halves_to_16(subject.side)


def _conditional(subject: Subject) -> bool:
    return subject.asked is not None and subject.truth.judge is not None and subject.held_out.labels is not None


def _classified(subject: Subject) -> bool:
    """Labelled pictures of not too many classes, and fakes that were asked for them."""
    labels = subject.train.labels
    return subject.pictures and subject.asked is not None and labels is not None and int(labels.max()) < 20 and subject.side >= 8


def _watched(subject: Subject) -> bool:
    return subject.discriminator is not None


MEASURES: dict[str, Measure] = {
    "modes": Measure(
        "Modes of the mixture", "samples", scores.modes,
        {"modes": Meaning("modes found", False, "Modes of the data with a sample within 3 sigma."),
         "high_quality": Meaning("high-quality share", False, "Samples within 3 sigma of their nearest mode; perfect 2-D ones: 98.9 %."),
         "reverse_kl": Meaning("reverse KL", True, "KL of samples over the modes from uniform, in nats; 0: all modes equally often.")},
        _mixture, by_bootstrap(200), cheap=True, settings=lambda s: {"deviations": 3.0}, details=scores.mode_counts),
    "stacked_modes": Measure(
        "Modes of 1000", "classes", scores.stacked,
        {"stacked_modes": Meaning("modes of 1000", False, "Distinct triples of digits among the samples, read by the classifier."),
         "stacked_kl": Meaning("reverse KL", True, "KL of the triples from uniform, in nats; positive by chance alone for few samples.")},
        lambda s: s.truth.spelled, cheap=True, details=scores.stacked_counts),
    "digits": Measure(
        "Digits, as a classifier reads them", "probabilities", scores.digits,
        {"confident": Meaning("confident share", False, "Samples that the classifier calls a digit with at least 0.9."),
         "classes_found": Meaning("classes found", False, "Classes with at least one confident sample."),
         "class_kl": Meaning("class imbalance", True, "KL of the classes of samples from those of training reals, in nats.")},
        _read, by_bootstrap(200), cheap=True, settings=lambda s: {"threshold": scores.CONFIDENT}, details=scores.class_table),
    "asked_class": Measure(
        "The class that was asked for", "asked", scores.share,
        {"asked_class": Meaning("class accuracy", False, "Samples that show the class the model was asked for, as the judge reads them.")},
        _conditional, by_bootstrap(400), cheap=True),
    "frechet": Measure(
        "Frechet distance", "features", scores.frechet,
        {"frechet_distance": Meaning("Frechet distance", True, "Of Gaussians fitted to the features; the FID where those are Inception's. "
                                     "Biased upwards, by about 1/N.")},
        lambda s: True, cheap=True),
    "kernel": Measure(
        "Kernel distance", "features", scores.kernel,
        {"kernel_distance": Meaning("kernel distance", True, "Unbiased MMD^2 with the kernel of KID; 0 on average for equal sets, so it may be negative.")},
        _pictures, settings=lambda s: {"subsets": scores.KID_SUBSETS, "subset_size": scores.kid_size(s)}, most=20_000),
    "inception_score": Measure(
        "Class scores", "probabilities", scores.class_scores,
        {"inception_score": Meaning("Inception score", False, "exp E KL(p(y|x) || p(y)); between 1 and the number of classes."),
         "am_score": Meaning("AM score", True, "0 when each sample is certain and the classes are as frequent as in the data.")},
        _read, settings=lambda s: {"splits": 1}),
    "neighbours": Measure(
        "Precision, recall, density, coverage", "features", scores.neighbours,
        {"precision": Meaning("precision", False, "Fakes within the reals' manifold: quality."),
         "recall": Meaning("recall", False, "Reals within the fakes' manifold: variety."),
         "f1": Meaning("F1", False, "Harmonic mean of both."),
         "density": Meaning("density", False, "Real balls around a fake, over k; 1 for equal sets."),
         "coverage": Meaning("coverage", False, "Reals with a fake in their ball.")},
        lambda s: min(map(len, s.view("samples"))) > 2 * max(s.k, s.k_density) + 2,
        settings=lambda s: {"k": s.k, "k_density": s.k_density}, most=20_000, cheap=True),
    "one_nearest_neighbour": Measure(
        "1-NN two-sample test", "features", scores.one_nearest,
        {"nn_accuracy": Meaning("1-NN accuracy", True, "0.5: cannot be told apart; 1: always; near 0: copies."),
         "nn_real": Meaning("on reals", True, "Low with the next one high: fakes sit close together."),
         "nn_fake": Meaning("on fakes", True, "High: fakes have fakes as neighbours.")},
        lambda s: True, equal=True, most=10_000),
    "two_sample": Measure(
        "Classifier two-sample test", "features", scores.two_sample,
        {"c2st_accuracy": Meaning("C2ST accuracy", True, "A small network's accuracy on unseen samples; 0.5: cannot be told apart.")},
        lambda s: True, by_trials(lambda s, r, f: 2 * (min(len(r), len(f)) - min(len(r), len(f)) // 2), "c2st_accuracy"),
        equal=True, most=5_000, settings=lambda s: {"hidden": 20, "epochs": scores.C2ST_EPOCHS}),
    "swd": Measure(
        "Sliced Wasserstein distance", "samples", scores.points_swd,
        {"swd": Meaning("sliced Wasserstein", True, "Mean distance of sorted projections, in the unit of the points.")},
        _points, cheap=True, equal=True),
    "patch_swd": Measure(
        "Sliced Wasserstein distance of patches", "samples", scores.patch_swd,
        {"patch_swd": Meaning("patch SWD", True, "x 1000; local structure, mean over the levels of a Laplacian pyramid.")},
        _pyramid, by_subsets(4), equal=True, most=2_000, settings=lambda s: {"patches": scores.PATCHES}),
    "ms_ssim": Measure(
        "MS-SSIM diversity", "samples", scores.ms_ssim,
        {"ms_ssim": Meaning("MS-SSIM of pairs", True, "Similarity of random pairs; above the floor: little variety, far below: noise.")},
        lambda s: s.side >= 16, by_subsets(5), settings=lambda s: {"pairs": scores.SSIM_PAIRS}),
    "ndb": Measure(
        "Statistically different bins", "pixels", scores.different_bins,
        {"ndb": Meaning("NDB / K", True, "K-means bins of the training set that the fakes fill differently; 0.05 by chance."),
         "ndb_js": Meaning("bins' divergence", True, "Jensen-Shannon, nats; positive by chance alone for few samples.")},
        lambda s: len(s.train.samples) >= 40, settings=lambda s: {"bins": scores.bin_count(s)}, most=10_000),
    "copies": Measure(
        "Copies of training samples", "pixels", scores.copies,
        {"copied": Meaning("copied share", True, "Fakes nearer to a training sample than 99 % of held-out reals are; 0.01 by chance."),
         "nearest_distance": Meaning("nearest distance", False, "Median distance to the nearest training sample, over that of held-out "
                                     "reals; well below 1: copies.")},
        lambda s: True, most=10_000, settings=lambda s: {"quantile": 0.01},
        spread=both(by_subsets(5), by_trials(lambda s, r, f: len(f), "copied"))),
    "birthday": Measure(
        "Birthday paradox", "pixels", scores.birthday,
        {"duplicates": Meaning("batches with a duplicate", True, "Batches with two samples closer than any two training samples are."),
         "support": Meaning("support", False, "Number of distinct samples that explains it; inf: more than this test can see.")},
        _pictures, by_trials(lambda s, r, f: scores.BATCHES, "duplicates"), most=5_000,
        settings=lambda s: {"size": scores.birthday_size(s), "batches": scores.BATCHES, "threshold": scores.duplicate_threshold(s)}),
    "fingerprints": Measure(
        "Fingerprints (TequilaGAN)", "samples", scores.fingerprints,
        {"pixel_js": Meaning("pixel histogram", True, "Jensen-Shannon divergence of the pixels' values, nats."),
         "pixel_js_inner": Meaning("pixel histogram, inner", True, "The same within [0.11, 0.88], without ink and paper."),
         "pixel_ks": Meaning("pixel KS", True, "Largest gap of the pixels' cumulative distributions."),
         "centroid_ks": Meaning("centroid KS", True, "The same of the columns' spectral centroids."),
         "slope_ks": Meaning("slope KS", True, "The same of the centroids' slopes.")},
        lambda s: s.side >= 8, by_subsets(5), most=1_000, details=scores.fingerprint_references),
    "spectrum": Measure(
        "Power spectrum", "samples", scores.spectrum,
        {"spectrum_gap": Meaning("spectrum gap", True, "Root mean square difference of log10 radial power; 1: a factor of ten."),
         "slope_gap": Meaning("slope gap", True, "Difference of the spectra's slopes on log-log axes.")},
        lambda s: s.side >= 8, most=5_000, details=scores.low_level),
    "classification": Measure(
        "Train on fake, test on real", "samples", scores.classification,
        {"fake_trained": Meaning("accuracy, trained on fakes", False, "Of a small classifier on held-out reals; the floor was trained on reals.")},
        _classified, by_trials(lambda s, r, f: len(s.held_out.samples), "fake_trained"), floors=scores.real_trained, most=10_000),
    "memory": Measure(
        "What D remembers", "samples", scores.memory,
        {"memory_auc": Meaning("AUC of D", True, "How well D's score tells training from held-out reals; 0.5: not at all.")},
        _watched, unknown, floors=no_floor, details=scores.memory_details),
    "discriminator_svm": Measure(
        "D's features", "samples", scores.discriminator_svm,
        {"svm_accuracy": Meaning("linear SVM on D", False, "Accuracy on held-out reals, trained on reals; floor: on raw pixels.")},
        lambda s: _watched(s) and s.train.labels is not None and s.held_out.labels is not None, unknown,
        floors=scores.pixel_svm, usual=False),
    "parzen": Measure(
        "Parzen-window log-likelihood", "pixels", scores.parzen,
        {"parzen": Meaning("Parzen log-likelihood", False, "Nats a sample; misleading in high dimension, printed by the first papers.")},
        lambda s: len(s.held_out.samples) >= 20, unknown, floors=scores.parzen_of_reals, usual=False),
}  # fmt: skip
