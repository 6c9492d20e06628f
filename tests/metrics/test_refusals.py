"""Every public metric, given what it cannot measure, says so instead of giving a number."""

from __future__ import annotations

import importlib.util
import inspect
import math
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import gan_zoo
from gan_zoo.metrics import (
    bins,
    captions,
    duplicates,
    fingerprints,
    frechet,
    inception_score,
    kernel,
    low_level,
    manifold,
    modes,
    neighbours,
    parzen,
    path_length,
    segmentation,
    sliced_wasserstein,
    speech,
    structural,
    text,
    two_sample,
    usefulness,
)
from tests.metrics.arrays import normal

MODULES = [
    "bins", "captions", "duplicates", "fingerprints", "frechet", "inception_score", "kernel", "low_level", "manifold", "modes",
    "neighbours", "parzen", "path_length", "segmentation", "sliced_wasserstein", "speech", "structural", "text", "two_sample",
    "usefulness",
]  # fmt: skip

# What gives no figure of a set: parts that are given what is checked already, and what makes or turns pictures.
PARTS = [
    "captions.verdict", "fingerprints.unit_pixels", "fingerprints.unit_batches", "fingerprints.moments_of_batches",
    "fingerprints.spectral_centroid", "fingerprints.fast_gradient_set", "frechet.trace_of_root", "inception_score.kl_divergence",
    "inception_score.entropy", "kernel.polynomial", "neighbours.f1", "neighbours.radii", "path_length.lerp", "path_length.slerp",
    "path_length.squared_difference", "segmentation.network_segmenter", "segmentation.streets_segmenter",
    "segmentation.train_ids", "sliced_wasserstein.laplacian_pyramid", "sliced_wasserstein.level_sides",
    "sliced_wasserstein.patches", "sliced_wasserstein.pyramid_down", "sliced_wasserstein.pyramid_up", "speech.autocorrelation",
    "speech.composites", "speech.framed", "speech.predictor", "usefulness.convolutional_fit",
]  # fmt: skip


# ---------------------------------------------------------------- sets, good and bad


def marred(good: Any, value: float) -> Any:
    """`good` with one `value` in its last sample."""
    copy = good.copy() if isinstance(good, np.ndarray) else good.clone()
    copy.reshape(-1)[-1] = value
    return copy


def not_finite(good: Any) -> dict[str, Any]:
    return {"NaN": marred(good, math.nan), "inf": marred(good, math.inf), "-inf": marred(good, -math.inf)}


def bad_features(good: Tensor) -> dict[str, Any]:
    shapeless = {
        "0-d": torch.tensor(1.0),
        "1-d": good[:, 0],
        "a list": good.tolist(),
        "no dimensions": good[:, :0],
    }
    return {"empty": good[:0], **not_finite(good), **shapeless}


def bad_pictures(good: Tensor) -> dict[str, Any]:
    return {
        "empty": good[:0],
        **not_finite(good),
        "3-d": good[:, 0],
        "too bright": marred(good, 3.0),
        "int64": good.long(),
    }


def bad_probabilities(good: Tensor) -> dict[str, Any]:
    return {
        "empty": good[:0],
        **not_finite(good),
        "1-d": good[0],
        "logits": good.log(),
        "negative": good - 0.3,
    }


def bad_values(good: Tensor) -> dict[str, Any]:
    return {"empty": good[:0], **not_finite(good), "a list": good.tolist()}


def bad_counts(good: Tensor) -> dict[str, Any]:
    return {"empty": good[:0], "zeros": 0 * good, "negative": -good, **not_finite(good)}


def bad_classes(good: Tensor) -> dict[str, Any]:
    return {
        "empty": good[:0],
        "negative": -1 - good,
        "floats": good.double(),
        "NaN": torch.full_like(good, math.nan, dtype=torch.float),
    }


def bad_maps(good: Tensor) -> dict[str, Any]:
    return {**bad_classes(good), "2-d": good[0], "class 9": marred(good, 9)}


def bad_lines(good: Tensor) -> dict[str, Any]:
    return {**bad_classes(good), "1-d": good[0], "short": good[:, :1]}


def bad_sounds(good: Any) -> dict[str, Any]:
    return {"empty": good[:0], **not_finite(good), "2-d": good[None], "one sample": good[:1]}


class Kind(NamedTuple):
    good: Callable[[int], Any]
    bad: Callable[[Any], dict[str, Any]]
    other: Callable[[Any], dict[str, Any]] = (
        lambda good: {}
    )  # good by itself, but not beside others of its kind


def pictures(seed: int) -> Tensor:
    return normal(6, 32 * 32, seed).tanh().float().reshape(6, 1, 32, 32)


KINDS = {
    "features": Kind(lambda seed: normal(12, 5, seed), lambda good: {**bad_features(good), "one": good[:1]},
                     lambda good: {"other dimensions": good[:, :4]}),
    "some features": Kind(lambda seed: normal(12, 5, seed), bad_features, lambda good: {"other dimensions": good[:, :4]}),
    "pictures": Kind(pictures, bad_pictures,
                     lambda good: {"other side": good[..., :16, :16], "other channels": good.expand(-1, 3, -1, -1)}),
    "probabilities": Kind(lambda seed: normal(12, 4, seed).softmax(1), bad_probabilities,
                          lambda good: {"other classes": good[:, :3].softmax(1), "one class": torch.ones(12, 1)}),
    "values": Kind(lambda seed: normal(12, 1, seed)[:, 0], bad_values),
    "scores": Kind(lambda seed: normal(12, 1, seed)[:, 0], lambda good: {**bad_values(good), "one": good[:1]}),
    "distances": Kind(lambda seed: normal(12, 1, seed)[:, 0].abs(), bad_values),
    "counts": Kind(lambda seed: torch.arange(1.0, 6.0) + seed, bad_counts, lambda good: {"other classes": good[:4], "one": good[:1]}),
    "shares": Kind(lambda seed: torch.tensor([0.2, 0.5]), lambda good: {**bad_values(good), "above 1": good + 1, "negative": good - 1}),
    "classes": Kind(lambda seed: torch.arange(12) % 2, bad_classes),
    "numbers": Kind(lambda seed: torch.arange(12), lambda good: {**bad_classes(good), "1000": marred(good, 1000), "2-d": good[None]}),
    "maps": Kind(lambda seed: torch.arange(18).reshape(2, 3, 3) % 3, bad_maps, lambda good: {"one map": good[:1]}),
    "confusion": Kind(lambda seed: torch.arange(9).reshape(3, 3),
                      lambda good: {"empty": good[:0], "1-d": good[0], "negative": -good, "not square": good[:2]}),
    "lines": Kind(lambda seed: torch.arange(30).reshape(5, 6) % (5 + seed), bad_lines, lambda good: {"other length": good[:, :4]}),
    "sound": Kind(lambda seed: np.random.default_rng(seed).normal(size=16_000) / 9, bad_sounds, lambda good: {"other length": good[:-1]}),
    "within and between": Kind(lambda seed: normal(12, 2, seed).abs(), lambda good: {**bad_features(good), "one column": good[:, :1]}),
    "groups": Kind(lambda seed: normal(6, 4, seed).reshape(2, 3, 4),
                   lambda good: {"empty": good[:0], "one": good[:1], "one a group": good[:, :1], **not_finite(good)}),
}  # fmt: skip


# ---------------------------------------------------------------- metrics and what they take


class Case(NamedTuple):
    """call(*arguments of `kinds`); least: figures that want fewer or more than two samples say so themselves."""

    call: Callable[..., Any]
    kinds: tuple[str, ...]
    needs: str = ""


def grey(drawn: Tensor) -> Tensor:
    return drawn.tanh().reshape(-1, 1, 2, 2)


def inverted(given: Tensor) -> Tensor:
    return manifold.inversion_distances(
        grey, normal(8, 4, 0).float(), given[..., -2:, -2:], starts=1, steps=1
    )


def ten_answers(channel: Tensor) -> Tensor:
    return channel.flatten(1)[:, :10].softmax(1)


def svm(x: Tensor, labels: Tensor, tested: Tensor, wanted: Tensor) -> Any:
    return usefulness.linear_svm((x, labels), (tested, wanted), c=(0.1,))


def classified(a: Tensor, p: Tensor, q: Tensor) -> Any:
    labels = torch.arange(len(a)) % 2 if isinstance(a, Tensor) and a.ndim else torch.zeros(0).long()

    def guess(x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda given: y[: len(given)]

    real, test = ((one, torch.arange(len(one)) % 2) for one in (p, q))
    return usefulness.classification_performance((a, labels), real, test, guess)


def labelled(labels: Tensor) -> Any:
    good = (pictures(0), torch.arange(6) % 2)
    given = labels[:6] if len(labels) >= 6 else labels
    return usefulness.classification_performance(
        (pictures(1), given), good, good, lambda x, y: lambda a: y[: len(a)]
    )


def report(p: Tensor, q: Tensor, a: Tensor, b: Tensor) -> Any:
    return modes.class_report(p, q, a, b)


FIGURES: dict[str, list[Case]] = {
    "bins.two_proportion_p": [Case(lambda p, q: bins.two_proportion_p(p, 5, q, 6), ("shares", "shares"))],
    "bins.jensen_shannon": [Case(bins.jensen_shannon, ("counts", "counts"))],
    "bins.different_bins": [Case(partial(bins.different_bins, bins=3), ("features", "features"))],
    "captions.correct": [],
    "captions.r_precision": [Case(lambda a, b: captions.r_precision(a, b, range(12)), ("features", "features"))],
    "captions.distances_of": [Case(captions.distances_of, ("groups",))],
    "captions.variety": [Case(captions.variety, ("within and between",))],
    "duplicates.nearest_pairs": [Case(duplicates.nearest_pairs, ("features",))],
    "duplicates.duplicate_probability": [],
    "duplicates.support_from_probability": [],
    "duplicates.birthday_support": [Case(lambda a: duplicates.birthday_support(lambda n, seed: a, 4, 0.1), ("features",))],
    "duplicates.nearest_training": [Case(duplicates.nearest_training, ("some features",) * 2)],
    "duplicates.training_copies": [Case(duplicates.training_copies, ("some features",) * 3)],
    "duplicates.score_gap": [Case(duplicates.score_gap, ("scores", "scores"))],
    "fingerprints.pixel_histogram": [Case(fingerprints.pixel_histogram, ("pictures",))],
    "fingerprints.histogram": [],
    "fingerprints.pixel_divergence": [Case(fingerprints.pixel_divergence, ("pictures",) * 2)],
    "fingerprints.kolmogorov_smirnov": [Case(fingerprints.kolmogorov_smirnov, ("values",) * 2)],
    "fingerprints.pixel_kolmogorov_smirnov": [Case(fingerprints.pixel_kolmogorov_smirnov, ("pictures",) * 2)],
    "fingerprints.empirical_cdf": [Case(fingerprints.empirical_cdf, ("values",))],
    "fingerprints.spectral_slope": [],
    "fingerprints.moments": [Case(fingerprints.moments, ("values",))],
    "fingerprints.moments_by_feature": [Case(fingerprints.moments_by_feature, ("features",))],
    "fingerprints.fingerprint": [Case(fingerprints.fingerprint, ("pictures",) * 2)],
    "fingerprints.bernoulli_set": [],
    "fingerprints.matching_bernoulli_set": [Case(fingerprints.matching_bernoulli_set, ("pictures",))],
    "frechet.frechet_distance": [
        Case(frechet.frechet_distance, ("features",) * 2),
        Case(lambda a, b: frechet.frechet_distance(a, [b]), ("features",) * 2),
    ],
    "frechet.frechet_distance_of_moments": [
        Case(lambda a, b: frechet.frechet_distance_of_moments(*map(frechet.Moments.of, (a, b))), ("features",) * 2)
    ],
    "inception_score.inception_score": [Case(lambda p: inception_score.inception_score(p, 2), ("probabilities",))],
    "inception_score.mode_score": [Case(inception_score.mode_score, ("probabilities",) * 2)],
    "inception_score.modified_inception_score": [Case(inception_score.modified_inception_score, ("probabilities",))],
    "inception_score.modified_score_by_class": [Case(inception_score.modified_score_by_class, ("probabilities",))],
    "inception_score.am_score": [Case(inception_score.am_score, ("probabilities",) * 2)],
    "kernel.gaussian": [],
    "kernel.median_bandwidth": [Case(kernel.median_bandwidth, ("features",) * 2)],
    "kernel.mmd": [Case(kernel.mmd, ("features",) * 2)],
    "kernel.kernel_distance": [Case(partial(kernel.kernel_distance, subset_size=4, subsets=2), ("features",) * 2)],
    "low_level.power_spectrum": [Case(low_level.power_spectrum, ("pictures",))],
    "low_level.radial_spectrum": [Case(low_level.radial_spectrum, ("pictures",))],
    "low_level.spectrum_slope": [Case(lambda a: low_level.spectrum_slope(low_level.Spectrum(torch.arange(1.0, 13.0), a)), ("distances",))],
    "low_level.spectrum_gap": [Case(low_level.spectrum_gap, ("pictures",) * 2)],
    "low_level.low_level_statistics": [Case(low_level.low_level_statistics, ("pictures",))],
    "manifold.manifold_scores": [Case(manifold.manifold_scores, ("distances",) * 2)],
    "manifold.triangle_distances": [Case(partial(manifold.triangle_distances, starts=1, steps=1, bank=4), ("pictures",))],
    "manifold.inversion_distances": [Case(inverted, ("pictures",))],
    "modes.histogram_kl": [Case(modes.histogram_kl, ("counts", "counts")), Case(modes.histogram_kl, ("counts",))],
    "modes.mixture_modes": [Case(partial(modes.mixture_modes, sigma=0.1), ("some features",) * 2)],
    "modes.stacked_classes": [Case(lambda a: modes.stacked_classes(a, ten_answers), ("pictures",))],
    "modes.stacked_modes": [Case(modes.stacked_modes, ("numbers",))],
    "modes.variety": [],  # NaN for fewer than two samples, which a class may have
    "modes.class_report": [Case(report, ("probabilities",) * 2 + ("some features",) * 2)],
    "neighbours.neighbour_scores": [Case(neighbours.neighbour_scores, ("features",) * 2)],
    "neighbours.precision_recall": [Case(neighbours.precision_recall, ("features",) * 2)],
    "neighbours.density_coverage": [Case(neighbours.density_coverage, ("features",) * 2)],
    "neighbours.one_nearest_neighbour": [Case(neighbours.one_nearest_neighbour, ("features",) * 2)],
    "neighbours.mean_nearest_distance": [Case(neighbours.mean_nearest_distance, ("some features",) * 2)],
    "parzen.parzen_log_likelihood": [Case(partial(parzen.parzen_log_likelihood, bandwidth=0.3), ("some features",) * 2)],
    "parzen.choose_bandwidth": [Case(parzen.choose_bandwidth, ("some features",) * 2)],
    "parzen.parzen_score": [Case(parzen.parzen_score, ("some features",) * 3)],
    "parzen.data_coverage": [Case(parzen.data_coverage, ("features",) * 2)],
    "path_length.perceptual_path_length": [
        Case(lambda a: path_length.perceptual_path_length(lambda z: z, lambda n, g: a, pairs=12), ("features",))
    ],
    "segmentation.confusions": [Case(partial(segmentation.confusions, classes=3), ("maps",) * 2)],
    "segmentation.by_class": [Case(segmentation.by_class, ("confusion",))],
    "segmentation.segmentation_scores": [Case(segmentation.segmentation_scores, ("confusion",))],
    "sliced_wasserstein.sliced_wasserstein": [Case(sliced_wasserstein.sliced_wasserstein, ("features",) * 2)],
    "sliced_wasserstein.laplacian_swd": [
        Case(partial(sliced_wasserstein.laplacian_swd, patches_per_picture=2, repeats=1), ("pictures",) * 2)
    ],
    **{f"speech.{name}": [Case(getattr(speech, name), ("sound",) * 2, name)] for name in
       ("snr", "si_sdr", "segmental_snr", "lsd", "llr", "wss", "pesq", "stoi")},
    "speech.scores": [Case(partial(speech.scores, names=["snr", "llr"]), ("sound",) * 2)],
    "structural.ssim": [Case(structural.ssim, ("pictures",) * 2)],
    "structural.psnr": [Case(structural.psnr, ("pictures",) * 2)],
    "structural.l1": [Case(structural.l1, ("pictures",) * 2)],
    "structural.sharpness_difference": [Case(structural.sharpness_difference, ("pictures",) * 2)],
    "structural.ms_ssim": [Case(structural.ms_ssim, ("pictures",) * 2)],
    "structural.ms_ssim_diversity": [Case(partial(structural.ms_ssim_diversity, pairs=60), ("pictures",))],
    "text.ngram_codes": [Case(partial(text.ngram_codes, n=2), ("lines",))],
    "text.ngram_divergence": [Case(partial(text.ngram_divergence, n=2), ("lines",) * 2)],
    "text.uniqueness": [],
    "text.self_bleu": [],
    "two_sample.accuracy_p_value": [],
    "two_sample.classifier_two_sample": [Case(partial(two_sample.classifier_two_sample, epochs=1), ("features",) * 2)],
    "usefulness.classification_performance": [Case(classified, ("pictures",) * 3), Case(labelled, ("classes",))],
    "usefulness.pooled_features": [],
    "usefulness.linear_svm": [Case(svm, ("some features", "classes") * 2)],
}  # fmt: skip


def test_every_public_metric_is_looked_at():
    found = set()
    for name in MODULES:
        module = import_module(f"gan_zoo.metrics.{name}")
        for function, made in inspect.getmembers(module, inspect.isfunction):
            subject = "subject" in inspect.signature(made).parameters  # an entry of the table
            if made.__module__ == module.__name__ and not function.startswith("_") and not subject:
                found.add(f"{name}.{function}")
    assert found == set(FIGURES) | set(PARTS)
    assert not set(FIGURES) & set(PARTS)


def given(case: Case) -> list[Any]:
    return [KINDS[kind].good(seed) for seed, kind in enumerate(case.kinds)]


CASES = [(f"{name}-{i}", case) for name, cases in FIGURES.items() for i, case in enumerate(cases)]


def spoilt() -> list[Any]:
    """Each case with one of its arguments replaced by each bad one of its kind."""
    found = []
    for name, case in CASES:
        for at, kind in enumerate(case.kinds):
            good = given(case)
            bad = KINDS[kind].bad(good[at])
            if case.kinds.count(kind) > 1:
                bad |= KINDS[kind].other(good[at])
            for what, wrong in bad.items():
                arguments = [*good[:at], wrong, *good[at + 1 :]]
                found.append(pytest.param(case, arguments, id=f"{name}-{at}-{what}"))
    return found


@pytest.mark.parametrize(("name", "case"), [pytest.param(*one, id=one[0]) for one in CASES])
def test_good_sets_are_measured(name, case):
    if (
        case.needs in ("pesq", "stoi")
        and importlib.util.find_spec({"stoi": "pystoi"}.get(case.needs, case.needs)) is None
    ):
        pytest.skip(f"{case.needs} is not installed")
    case.call(*given(case))


CAME = re.compile(r"got |holds? |has |have |are |is |came|cannot|no bandwidths|does not exist")


def refused(call: Callable[[], Any]) -> None:
    """A ValueError of ours, not one of the library beneath, that says what came."""
    with pytest.raises(ValueError) as failure:
        call()
    raised = Path(str(failure.traceback[-1].path))
    assert Path(gan_zoo.__file__).parent in raised.parents, f"{raised} raised it: {failure.value}"
    assert CAME.search(str(failure.value)), str(failure.value)


@pytest.mark.parametrize(("case", "arguments"), spoilt())
def test_bad_sets_are_refused(case, arguments):
    refused(lambda: case.call(*arguments))


A, B, PICTURES = normal(12, 5, 0), normal(12, 5, 1), pictures(0)
NAN = math.nan
SETTINGS: dict[str, Callable[[], Any]] = {
    "no subsets": lambda: kernel.kernel_distance(A, B, subsets=0, subset_size=4),
    "subsets of one": lambda: kernel.kernel_distance(A, B, subset_size=1),
    "no bandwidth": lambda: kernel.gaussian(),
    "a bandwidth of 0": lambda: kernel.gaussian(1.0, 0.0),
    "a bandwidth that is NaN": lambda: kernel.gaussian(1.0, NAN),
    "a median of one": lambda: kernel.median_bandwidth(A, B, most=1),
    "no Parzen bandwidth": lambda: parzen.choose_bandwidth(A, B, []),
    "a Parzen bandwidth that is NaN": lambda: parzen.parzen_log_likelihood(A, B, NAN),
    "all covered": lambda: parzen.data_coverage(A, B, share=1.0),
    "no neighbour": lambda: neighbours.neighbour_scores(A, B, k_density=0),
    "minus one neighbours": lambda: neighbours.neighbour_scores(A, B, k_density=-1),
    "as many neighbours as samples": lambda: neighbours.precision_recall(A, B, 12),
    "no spread": lambda: modes.mixture_modes(A, B, 0.0),
    "a spread that is NaN": lambda: modes.mixture_modes(A, B, NAN),
    "no channel": lambda: modes.stacked_modes(torch.arange(3), 0),
    "a judge of 11 classes": lambda: modes.stacked_classes(PICTURES, lambda x: torch.ones(len(x), 11)),
    "a judge that says NaN": lambda: modes.stacked_classes(PICTURES, lambda x: torch.full((len(x), 10), NAN)),
    "a name too few": lambda: modes.class_report(torch.eye(3), torch.eye(3), A[:3], B[:3], ("a", "b")),
    "a feature too few": lambda: modes.class_report(torch.eye(3), torch.eye(3), A[:2], B[:3]),
    "a class with NaN": lambda: modes.variety(marred(A, NAN)),
    "one bin": lambda: bins.different_bins(A, B, bins=1),
    "a level that is NaN": lambda: bins.Bins(A, 3).score(B, NAN),
    "shares of nobody": lambda: bins.two_proportion_p(torch.ones(2), 0, torch.ones(2), 1),
    "all alike": lambda: bins.different_bins(torch.ones(12, 5), B.float(), bins=3),
    "no pair": lambda: duplicates.nearest_pairs(A, pairs=0),
    "no batch": lambda: duplicates.birthday_support(lambda n, seed: A, 4, 0.1, batches=0),
    "a threshold that is NaN": lambda: duplicates.birthday_support(lambda n, seed: A, 4, NAN),
    "no birthday": lambda: duplicates.duplicate_probability(2, 0),
    "a probability of 2": lambda: duplicates.support_from_probability(3, 2.0),
    "a quantile of 2": lambda: duplicates.training_copies(A, B, A, quantile=2.0),
    "KS at the level NaN": lambda: fingerprints.kolmogorov_smirnov(A, B, NAN),
    "a line through one point": lambda: fingerprints.spectral_slope(PICTURES, 1),
    "a distribution function of one point": lambda: fingerprints.empirical_cdf(A, 1),
    "a histogram of NaN": lambda: fingerprints.histogram(marred(A, NAN), 5, (0, 1)),
    "limits that fall": lambda: fingerprints.histogram(A, 5, (1, 0)),
    "a coin of 2": lambda: fingerprints.bernoulli_set(3, (1, 2, 2), 2.0),
    "pictures of one pixel": lambda: low_level.low_level_statistics(torch.zeros(3, 1, 1, 1)),
    "sharpness of one pixel": lambda: structural.sharpness_difference(torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1)),
    "variety of one picture": lambda: structural.ms_ssim_diversity(PICTURES[:1]),
    "no pair of pictures": lambda: structural.ms_ssim_diversity(PICTURES, pairs=0),
    "no direction": lambda: sliced_wasserstein.sliced_wasserstein(A, B, directions=0),
    "no patch": lambda: sliced_wasserstein.laplacian_swd(PICTURES, PICTURES, patches_per_picture=0),
    "more splits than samples": lambda: inception_score.inception_score(torch.eye(3), 4),
    "no step of a path": lambda: path_length.perceptual_path_length(grey, lambda n, g: A[:n], epsilon=NAN),
    "percentiles that fall": lambda: path_length.perceptual_path_length(grey, lambda n, g: A[:n], percentiles=(99, 1)),
    "a manifold at NaN": lambda: manifold.manifold_scores(A.abs(), B.abs(), NAN),
    "no start": lambda: manifold.triangle_distances(PICTURES, starts=0),
    "G that draws NaN": lambda: manifold.inversion_distances(lambda z: grey(z) * NAN, A[:, :4].float(), PICTURES[..., :2, :2]),
    "G of another size": lambda: manifold.inversion_distances(grey, A[:, :4].float(), PICTURES),
    "one caption to choose from": lambda: captions.r_precision(A, B, range(12), candidates=1),
    "attributes of other samples": lambda: captions.correct({"a": torch.zeros(3)}, {"a": torch.zeros(1)}),
    "self-BLEU of one": lambda: text.self_bleu([["a"]]),
    "self-BLEU of order 0": lambda: text.self_bleu([["a"], ["b"]], 0),
    "n-grams of nothing": lambda: text.ngram_divergence(torch.ones(2, 3).long(), torch.ones(2, 3).long(), 0),
    "no line": lambda: text.uniqueness(torch.zeros(0, 3).long()),
    "lines of floats": lambda: text.uniqueness(torch.full((2, 3), NAN)),
    "an accuracy of 2": lambda: two_sample.accuracy_p_value(2.0, 5),
    "an accuracy of no sample": lambda: two_sample.accuracy_p_value(0.5, 0),
    "no epoch": lambda: two_sample.classifier_two_sample(A, B, epochs=0),
    "layers of other samples": lambda: usefulness.pooled_features([torch.zeros(2, 3), torch.zeros(3, 3)]),
    "one fold": lambda: usefulness.linear_svm((A, torch.arange(12) % 2), (B, torch.arange(12) % 2), folds=1),
    "two samples a class": lambda: usefulness.linear_svm((A[:4], torch.arange(4) % 2), (B, torch.arange(12) % 2)),
    "chunks of nothing": lambda: frechet.frechet_distance([], []),
    "chunks of other dimensions": lambda: frechet.frechet_distance([A, A[:, :3]], [B]),
}  # fmt: skip


@pytest.mark.parametrize("call", SETTINGS.values(), ids=SETTINGS)
def test_bad_settings_are_refused(call):
    refused(call)
