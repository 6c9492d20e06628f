"""The functions behind gan_zoo.metrics.table: (subject, real, fake) -> numbers by name.

real and fake are parts of one view of the subject; fake may be held-out reals (the floor) or a subset (an interval),
so nothing here reads subject.fake, except where it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gan_zoo.data.avatar_attributes import CHOICES
from gan_zoo.metrics import bins, digits_classifier, duplicates
from gan_zoo.metrics import fingerprints as prints
from gan_zoo.metrics import modes as mode_metrics
from gan_zoo.metrics import neighbours as near
from gan_zoo.metrics.distances import exact_distances, nearest
from gan_zoo.metrics.features import resized
from gan_zoo.metrics.frechet import frechet_distance
from gan_zoo.metrics.inception_score import am_score, mode_score, modified_score_by_class
from gan_zoo.metrics.inception_score import inception_score as of_probabilities
from gan_zoo.metrics.inputs import seeded, subset
from gan_zoo.metrics.kernel import gaussian, kernel_distance, median_bandwidth, mmd
from gan_zoo.metrics.low_level import (
    LowLevel,
    low_level_statistics,
    radial_spectrum,
    spectrum_gap,
    spectrum_slope,
)
from gan_zoo.metrics.measures import Numbers, Score, normal_interval, of_auc
from gan_zoo.metrics.parzen import ParzenScore, data_coverage, parzen_score
from gan_zoo.metrics.protocol import Interval, Value
from gan_zoo.metrics.segmentation import by_class, segmentation_scores
from gan_zoo.metrics.sliced_wasserstein import laplacian_swd, sliced_wasserstein
from gan_zoo.metrics.structural import ms_ssim_diversity
from gan_zoo.metrics.subject import PARTS, Subject
from gan_zoo.metrics.two_sample import classifier_two_sample
from gan_zoo.metrics.usefulness import Classification, classification_performance, linear_svm, pooled_features

CONFIDENT = 0.9  # probability at which the digits classifier is taken at its word
C2ST_EPOCHS = 30
PATCHES = 16  # of each picture and level
SSIM_PAIRS = 500
KID_SUBSETS = 20
BATCHES = 50  # of the birthday test
SVM_MOST = 5_000  # samples of each set that the linear SVM is given


# ---------------------------------------------------------------- modes and classes


def _mixture(subject: Subject, points: Tensor) -> mode_metrics.MixtureModes:
    assert subject.truth.centres is not None  # what fits, MEASURES says
    return mode_metrics.mixture_modes(points, subject.truth.centres, subject.truth.sigma)


def modes(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """VEEGAN's and PacGAN's three numbers."""
    found = _mixture(subject, fake)
    return {"modes": found.modes, "high_quality": found.high_quality, "reverse_kl": found.reverse_kl}


def mode_counts(subject: Subject) -> dict[str, Any]:
    """High-quality samples of each mode, generated and held out."""
    _, held_out, fake = subject.view("samples")
    return {
        "counts": _mixture(subject, fake).counts.tolist(),
        "held_out_counts": _mixture(subject, held_out).counts.tolist(),
    }


def stacked(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Modes of 10^C and reverse KL, from the numbers that the channels spell."""
    found = mode_metrics.stacked_modes(fake[:, 0], subject.fake.shape[1])
    return {"stacked_modes": found.modes, "stacked_kl": found.reverse_kl}


def stacked_counts(subject: Subject) -> dict[str, Any]:
    """Samples of each mode."""
    return {
        "counts": mode_metrics.stacked_modes(
            subject.part("classes", "fake")[:, 0], subject.fake.shape[1]
        ).counts.tolist()
    }


def digits(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Confidence and classes, from probabilities [N, K]."""
    confidence, shown = fake.max(1)
    classes = fake.shape[1]
    sure = confidence >= CONFIDENT
    counts = [one.bincount(minlength=classes) for one in (shown, real.argmax(1))]
    return {"confident": float(sure.double().mean()), "classes_found": int((shown[sure].bincount(minlength=classes) > 0).sum()),
            "class_kl": mode_metrics.histogram_kl(*counts)}  # fmt: skip


def class_table(subject: Subject) -> dict[str, Any]:
    """Share, confidence and variety of each class, fakes beside training reals."""
    train, _, fake = subject.view("probabilities")
    real_features, _, fake_features = subject.view("features")
    return {
        "classes": [
            row._asdict() for row in mode_metrics.class_report(fake, train, fake_features, real_features)
        ]
    }


def attribute_divergence(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """KL of what is read from fakes from what is read from reals: by attribute, and by pairs of attributes.

    Attributes of the data are drawn apart from one another; faces learnt by heart tie them together.
    """
    shown = [column for column in range(real.shape[1]) if (real[:, column] >= 0).any()]
    ours, theirs = ((one[:, shown] + 1).long() for one in (fake, real))  # 0: what could not be read
    cells = torch.cat([ours, theirs]).amax(0) + 1  # of each attribute

    def kl(*columns: int) -> float:
        number = [torch.zeros(len(one), dtype=torch.int64) for one in (ours, theirs)]
        for column in columns:
            number = [
                of * cells[column] + one[:, column] for of, one in zip(number, (ours, theirs), strict=True)
            ]
        counts = [one.bincount(minlength=int(cells[list(columns)].prod())).double() for one in number]
        return mode_metrics.histogram_kl(counts[0], counts[1] + 0.5)  # no hole where few reals are at hand

    single = [kl(a) for a in range(len(shown))]
    double = [kl(a, b) for a, b in combinations(range(len(shown)), 2)]
    found = {"attribute_kl": sum(single) / len(single)}
    return {**found, "attribute_pair_kl": sum(double) / len(double)} if double else found


def attribute_table(subject: Subject) -> dict[str, Any]:
    """Share of each choice of each attribute, generated, training and held out; rows are [attribute, choice, ...]."""
    assert subject.truth.attributes is not None  # what fits, MEASURES says
    names = list(subject.truth.attributes(subject.fake[:1]))
    parts = [subject.part("attributes", part) for part in ("fake", "train", "held_out")]
    rows = []
    for column, name in enumerate(names):
        if not (parts[1][:, column] >= 0).any():
            continue
        unread = [("not read", -1)] if any(bool((one[:, column] < 0).any()) for one in parts) else []
        for choice, number in [*((word, i) for i, word in enumerate(CHOICES[name])), *unread]:
            rows.append([name, choice, *(float((one[:, column] == number).double().mean()) for one in parts)])
    return {"attributes": rows}


def share(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """The mean of a view of zeros and ones."""
    return {"asked_class": float(fake.double().mean())}


def class_scores(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {
        "inception_score": of_probabilities(fake, splits=splits(subject), seed=subject.seed).mean,
        "mode_score": mode_score(fake, real),
        "modified_inception_score": modified_score_by_class(fake),
        "am_score": am_score(fake, real),
    }


def splits(subject: Subject) -> int:
    """Ten, as published, of the published 50,000 samples."""
    return 10 if len(subject.fake) >= 50_000 else 1


# ---------------------------------------------------------------- distributions of features


def frechet(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"frechet_distance": frechet_distance(real, fake)}


def frechet_said(subject: Subject) -> dict[str, Any]:
    """A word of warning where a covariance has more dimensions than samples: the bias of about 1/N is then the figure."""
    parts = {"training": "train", "held-out": "held_out", "generated": "fake"}
    counts = {name: len(subject.samples(part)) for name, part in parts.items()}
    name, fewest = min(counts.items(), key=lambda item: item[1])
    dimensions = subject.part("features", "fake").shape[1]
    if fewest > dimensions:
        return {}
    return {
        "verdict": f"{fewest:,} {name} samples do not fill a covariance of {dimensions:,} dimensions, so the distance is mostly bias: hold "
        "it against its floor, and against distances of as many samples alone"
    }


def kid_size(subject: Subject) -> int:
    """Subsets of 1,000 as published, or what half of the smallest set allows."""
    return max(2, min(1000, *(len(subject.samples(part)) // 2 for part in ("train", "held_out", "fake"))))


def kernel(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    size = min(kid_size(subject), len(real), len(fake))
    found = kernel_distance(real, fake, subsets=KID_SUBSETS, subset_size=size, seed=subject.seed)
    return {"kernel_distance": found.mean}


def bandwidth(subject: Subject) -> float:
    """Of the Gaussian kernel: the median distance of training reals' features."""

    def width() -> float:
        train = subject.part("features", "train")
        half = len(train) // 2
        # of the data alone: neither another seed nor the last digit of another machine makes another kernel
        return float(f"{median_bandwidth(train[:half], train[half:], seed=0):.3g}")

    return float(subject.once("bandwidth", width))


def discrepancy(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"mmd": mmd(real, fake, gaussian(bandwidth(subject)))}


def neighbours(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return near.neighbour_scores(real, fake, k=subject.k, k_density=subject.k_density)._asdict()


def one_nearest(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    found = near.one_nearest_neighbour(real, fake)
    return {"nn_accuracy": found.accuracy, "nn_real": found.real, "nn_fake": found.fake}


def two_sample(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {
        "c2st_accuracy": classifier_two_sample(real, fake, epochs=C2ST_EPOCHS, seed=subject.seed).accuracy
    }


def points_swd(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"swd": sliced_wasserstein(real, fake, seed=subject.seed)}


# ---------------------------------------------------------------- pictures


def halves_to_16(side: int) -> bool:
    """Whether a Laplacian pyramid fits: side = 16 * 2^k."""
    return side >= 16 and side % 16 == 0 and (side // 16).bit_count() == 1


def patch_swd(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    found = laplacian_swd(real, fake, patches_per_picture=PATCHES, repeats=1, seed=subject.seed)
    return {
        "patch_swd": found.pop("average"),
        **{f"patch_swd_{side}": value for side, value in found.items()},
    }


def ms_ssim(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"ms_ssim": ms_ssim_diversity(fake, pairs=SSIM_PAIRS, seed=subject.seed)}


def pairs(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """The means of a view of pairs."""
    return dict(zip(("ssim", "psnr", "sharpness", "l1"), fake.mean(0).tolist(), strict=True))


def segmentation(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Of a view of confusions."""
    return segmentation_scores(fake.sum(0))._asdict()


def segmentation_table(subject: Subject) -> dict[str, Any]:
    """Share of pixels, accuracy and IoU of each class, generated and real; rows are [class, ...]."""
    segmenter = subject.truth.segmenter
    assert segmenter is not None  # what fits, MEASURES says
    fake, real = (subject.part("confusions", part).sum(0) for part in ("fake", "held_out"))
    shares = real.sum(1).double() / real.sum()
    columns = [shares, *by_class(fake), *by_class(real)]
    return {
        "classes": [
            [name, *row] for name, row in zip(segmenter.names, torch.stack(columns, 1).tolist(), strict=True)
        ]
    }


def spectrum(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    slopes = [spectrum_slope(radial_spectrum(one)) for one in (real, fake)]
    return {"spectrum_gap": spectrum_gap(real, fake), "slope_gap": abs(slopes[0] - slopes[1])}


def low_level(subject: Subject) -> dict[str, Any]:
    """Low-level statistics of each part, side by side."""
    rows = {
        part: low_level_statistics(subject.samples(part)[:5000])._asdict()
        for part in ("train", "held_out", "fake")
    }
    return {"statistics": list(LowLevel._fields), **{part: list(row.values()) for part, row in rows.items()}}


def _printed(real: Tensor, fake: Tensor) -> Numbers:
    found = prints.fingerprint(real, fake)
    return {"pixel_js": found.pixel_js, "pixel_js_inner": found.pixel_js_inner, "pixel_ks": found.pixel_ks.statistic,
            "centroid_ks": found.centroid_ks.statistic, "slope_ks": found.slope_ks.statistic}  # fmt: skip


def fingerprints(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return _printed(real, fake)


def fingerprint_references(subject: Subject) -> dict[str, Any]:
    """The same of a Bernoulli set, and of an FGSM-perturbed set where a differentiable judge and labels are there; and the
    moments of both spectral features, of each part."""
    train = subject.train.samples[:1000]
    found: dict[str, Any] = {"bernoulli": _printed(train, prints.matching_bernoulli_set(train, subject.seed))}
    held_out = subject.held_out
    if (
        held_out.labels is not None
        and subject.truth.judge
        and subject.truth.judge.probabilities
        and train.shape[1] == 1
    ):
        found["fgsm"] = _printed(
            train, prints.fast_gradient_set(held_out.samples[:1000], held_out.labels[:1000], _digit_logits)
        )
    return {**found, "moments": _moments(subject)}


def _moments(subject: Subject) -> dict[str, list[float]]:
    """Mean, deviation, skewness and excess kurtosis by feature and part."""
    features = {"spectral centroid": prints.spectral_centroid, "spectral slope": prints.spectral_slope}
    return {
        f"{name}, {part.replace('_', ' ')}": list(prints.moments(feature(subject.samples(part)[:1000])))
        for name, feature in features.items()
        for part in PARTS
    }


def _digit_logits(pictures: Tensor) -> Tensor:
    """The classifier with gradients with respect to the pixels."""
    return digits_classifier.load()(resized(pictures, digits_classifier.SIDE))


# ---------------------------------------------------------------- memory and support


def bin_count(subject: Subject) -> int:
    """100 as published, or a tenth of the training samples."""
    return max(2, min(100, len(subject.train.samples) // 10))


def different_bins(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """The bins are those of the whole training set, whatever part of it `real` is."""
    fitted = subject.once(
        "bins",
        lambda: bins.Bins(subject.part("pixels", "train")[:10_000], bin_count(subject), seed=subject.seed),
    )
    found = fitted.score(fake)
    return {"ndb": found.share, "ndb_js": found.js}


def _nearest_training(subject: Subject, real: Tensor, samples: Tensor) -> Tensor:
    """Distance of each sample to its nearest in `real`, either way round where training mirrored; float64 [N]."""
    turned = [samples]
    if subject.mirrored:
        turned.append(samples.unflatten(1, subject.fake.shape[1:]).flip(-1).flatten(1))
    return torch.stack([duplicates.nearest_training(one, real)[1][:, 0] for one in turned]).amin(0)


def copies(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Held-out reals say how near to the training set one comes by chance."""
    honest = _nearest_training(subject, real, subject.part("pixels", "held_out"))
    distance = _nearest_training(subject, real, fake)
    median = float(honest.median())
    return {"copied": float((distance <= honest.quantile(0.01)).double().mean()),
            "nearest_distance": float(distance.median()) / median if median else float("nan")}  # fmt: skip


def birthday_size(subject: Subject) -> int:
    """One batch size for fakes and held-out reals."""
    return max(2, min(100, *(len(subject.samples(part)) // 3 for part in ("held_out", "fake"))))


def duplicate_threshold(subject: Subject) -> float:
    """Distance of the two training samples (of at most 5,000) that are closest without being equal; 0 where all are."""

    def closest() -> float:
        train = subject.part("pixels", "train")[:5000]
        index = nearest(train, train, 1, exclude_self=True)[1][:, 0]
        distance = exact_distances(train, train[index])  # float32 finds equal pictures a little apart
        apart = distance[distance > 0]
        return float(apart.min()) if len(apart) else 0.0

    return float(subject.once("closest", closest))


def birthday_settings(subject: Subject) -> dict[str, Value]:
    return {"size": birthday_size(subject), "batches": BATCHES, "threshold": duplicate_threshold(subject)}


def birthday(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Batches are random subsets of the samples at hand, so many batches share samples."""
    size = min(birthday_size(subject), len(fake))
    found = duplicates.birthday_support(
        lambda n, seed: subset(fake, n, seeded(seed)),
        size,
        duplicate_threshold(subject),
        batches=BATCHES,
        seed=subject.seed,
    )
    return {"duplicates": found.probability, "support": found.estimate}


def _gap(subject: Subject) -> duplicates.ScoreGap:
    assert subject.discriminator is not None  # what fits, MEASURES says
    logits = [
        subject.discriminator(reals.samples, reals.labels, None).logits
        for reals in (subject.train, subject.held_out)
    ]
    return duplicates.score_gap(
        *(one if isinstance(one, Tensor) else torch.stack(list(one)).mean(0) for one in logits)
    )


def memory(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """D's scores of training and of held-out reals; the fakes play no part."""
    return {"memory_auc": subject.of_model("gap", lambda: _gap(subject)).auc}


def memory_error(
    subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
) -> dict[str, Interval]:
    counts = (len(reals.samples) for reals in (subject.train, subject.held_out))
    return {"memory_auc": of_auc(values["memory_auc"], *counts)}


def memory_details(subject: Subject) -> dict[str, Any]:
    return dict(subject.of_model("gap", lambda: _gap(subject))._asdict())


# ---------------------------------------------------------------- use


def _classified(subject: Subject) -> Classification:
    asked, train, test = subject.asked, subject.train, subject.held_out
    assert (
        asked is not None and train.labels is not None and test.labels is not None
    )  # what fits, MEASURES says
    n = min(len(train.samples), len(subject.fake), 10_000)
    return classification_performance(
        (subject.fake[:n], asked[:n]), (train.samples[:n], train.labels[:n]), (test.samples, test.labels)
    )


def classification(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Reads subject.fake, whose labels are the classes asked for; trains anew at each call."""
    found = _classified(subject)
    subject.of_model("real_trained", lambda: found.real_trained)
    return {"fake_trained": found.fake_trained}


def real_trained(subject: Subject, score: Any) -> Numbers:
    """What the same classifier reaches when it is trained on as many reals."""
    return {
        "fake_trained": float(subject.of_model("real_trained", lambda: _classified(subject).real_trained))
    }


def svm_tested(subject: Subject, real: Tensor, fake: Tensor) -> int:
    return min(len(subject.held_out.samples), SVM_MOST)


def _svm(subject: Subject, of: Callable[[Tensor, Tensor | None], Tensor]) -> float:
    sets = []
    for reals in (subject.train, subject.held_out):
        assert reals.labels is not None  # what fits, MEASURES says
        sets.append((of(reals.samples[:SVM_MOST], reals.labels[:SVM_MOST]), reals.labels[:SVM_MOST]))
    return linear_svm(sets[0], sets[1]).accuracy


def discriminator_svm(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """A linear SVM on D's pooled features of reals (Radford et al. 2016, sec. 5.1); the fakes play no part."""
    judge = subject.discriminator
    assert judge is not None  # what fits, MEASURES says
    return {
        "svm_accuracy": _svm(
            subject, lambda samples, labels: judge(samples, labels, pooled_features).features[0]
        )
    }


def pixel_svm(subject: Subject, score: Any) -> Numbers:
    return {"svm_accuracy": _svm(subject, lambda samples, labels: samples.flatten(1))}


def covered(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"data_coverage": data_coverage(real, fake)}


def _parzen(subject: Subject, fake: Tensor) -> ParzenScore:
    """The bandwidth is chosen on one half of the held-out reals, the likelihood is that of the other."""
    held_out = (subject.part("pixels", "held_out") + 1) / 2
    half = len(held_out) // 2
    return parzen_score((fake + 1) / 2, held_out[:half], held_out[half:])


def parzen(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"parzen": _parzen(subject, fake).log_likelihood}


def parzen_error(
    subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
) -> dict[str, Interval]:
    """Of the mean over held-out reals; the density is taken as it is."""
    found = _parzen(subject, fake)
    return {"parzen": normal_interval(values["parzen"], found.standard_error, "mean of held-out reals")}


def parzen_of_reals(subject: Subject, score: Any) -> Numbers:
    """Training reals in the place of the fakes."""
    train = subject.part("pixels", "train")
    return parzen(subject, train, train[: len(subject.fake)])
