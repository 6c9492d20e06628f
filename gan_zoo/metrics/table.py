"""Each figure that an evaluation can give: what it compares, what it says, and when it fits.

An entry of MEASURES: title, view of the samples, function of (subject, real, fake), the meaning of each number, and
what the subject must be.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from torch import Tensor

from gan_zoo.metrics import captions, generator_scores, scores
from gan_zoo.metrics.captions import ATTRIBUTES
from gan_zoo.metrics.measures import (
    JACKKNIFE,
    Meaning,
    Measure,
    Numbers,
    Score,
    both,
    by_bootstrap,
    by_subsets,
    by_trials,
    no_floor,
    only,
    wilson,
)
from gan_zoo.metrics.protocol import Interval, Value
from gan_zoo.metrics.subject import Subject
from gan_zoo.metrics.text_table import TEXT_MEASURES, TOKEN_VIEWS
from gan_zoo.schema import ConfigError


def chosen(subject: Subject, names: list[str] | None, *, cheap: bool = False) -> dict[str, Measure]:
    """The measures named, or all usual (and cheap) ones that fit; ConfigError for a name that is unknown or unfit."""
    kind = [name for name in MEASURES if (MEASURES[name].view in TOKEN_VIEWS) == (subject.modality == "text")]
    fitting = {name: MEASURES[name] for name in kind if MEASURES[name].fits(subject)}
    if names is None:
        return {
            name: measure
            for name, measure in fitting.items()
            if measure.usual
            and (measure.cheap or not cheap)
            and (subject.modality != "pair" or name in OF_PAIRS)
        }
    for name in names:
        if name not in MEASURES:
            raise ConfigError(f"metrics: {name!r} came; {meant(name, MEASURES)}")
        if name not in fitting:
            raise ConfigError(
                f"metrics: {name} does not fit {subject.modality} of data={subject.data}; these do: {', '.join(fitting)}"
            )
    return {name: fitting[name] for name in names}


def meant(word: str, names: Iterable[str]) -> str:
    """'did you mean neighbours?', or all names."""
    close = difflib.get_close_matches(word, names := sorted(names), n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


# ---------------------------------------------------------------- what fits what


def _mixture(subject: Subject) -> bool:
    return subject.truth.centres is not None


def _pictures(subject: Subject) -> bool:
    return subject.pictures


def _read(subject: Subject) -> bool:
    return subject.truth.judge is not None and subject.truth.judge.probabilities is not None


def _scored(subject: Subject) -> bool:
    return subject.scorer is not None or _read(subject)


def _pyramid(subject: Subject) -> bool:
    return (
        subject.pictures
        and subject.fake.shape[-1] == subject.fake.shape[-2]
        and scores.halves_to_16(subject.side)
    )


def _conditional(subject: Subject) -> bool:
    return (
        subject.asked is not None and subject.truth.judge is not None and subject.held_out.labels is not None
    )


def _classified(subject: Subject) -> bool:
    """Labelled pictures of not too many classes, and fakes that were asked for them."""
    labels = subject.train.labels
    return (
        subject.pictures
        and subject.asked is not None
        and labels is not None
        and int(labels.max()) < 20
        and subject.side >= 8
    )


def _watched(subject: Subject) -> bool:
    return subject.discriminator is not None


def _watched_and_labelled(subject: Subject) -> bool:
    """A conditional D is told the label, so that its features would give it away."""
    labelled = subject.train.labels is not None and subject.held_out.labels is not None
    return _watched(subject) and labelled and subject.asked is None


def _enough_neighbours(subject: Subject) -> bool:
    """Half of each set, for the interval, has more samples than a neighbour is asked for."""
    fewest = min(len(part) for part in subject.view("samples"))
    return fewest // 2 > max(subject.k, subject.k_density) + 1


def _readable(subject: Subject) -> bool:
    return subject.told is not None and subject.told.readable


def _with_unseen(subject: Subject) -> bool:
    return subject.told is not None and subject.told.has_unseen


def _matched(subject: Subject) -> bool:
    return subject.told is not None and subject.told.joint is not None


def _of_those_asked(
    subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
) -> dict[str, Interval]:
    """Wilson's interval of each column's share; NaN marks what was not asked."""
    counts = (~fake.isnan()).sum(0).tolist()
    return {name: wilson(values[name], count) for name, count in zip(values, counts, strict=True) if count}


def _held_out(subject: Subject) -> dict[str, Value]:
    """Of figures that held-out reals decide."""
    return {"held_out": len(subject.held_out.samples)}


def _tested(subject: Subject, real: Tensor, fake: Tensor) -> int:
    """Samples that the two-sample test keeps for testing."""
    n = min(len(real), len(fake))
    return 2 * (n - n // 2)


OF_PAIRS = (
    "segmentation",
    "pairs",
    "frechet",
    "kernel",
    "neighbours",
    "spectrum",
)  # of pairs these are usual

SHARE, POSITIVE = (0.0, 1.0), (0.0, math.inf)

MEASURES: dict[str, Measure] = {
    "modes": Measure(
        "Modes of the mixture", "samples", scores.modes,
        {"modes": Meaning("modes found", False, "Modes of the data with a sample within 3 sigma."),
         "high_quality": Meaning(
             "high-quality share", False,
             "Samples within 3 sigma of their nearest mode; of perfect 2-D ones 98.9 % are.", SHARE),
         "reverse_kl": Meaning(
             "reverse KL", True, "KL of samples over the modes from uniform, in nats; 0: all equally often.", POSITIVE)},
        _mixture, both(by_bootstrap(200), only(JACKKNIFE, "reverse_kl")), cheap=True, settings=lambda s: {"deviations": 3.0},
        details=scores.mode_counts),
    "stacked_modes": Measure(
        "Modes of 1000", "classes", scores.stacked,
        {"stacked_modes": Meaning(
            "modes of 1000", False, "Distinct triples of digits among the samples, as the classifier reads them."),
         "stacked_kl": Meaning(
             "reverse KL", True, "KL of the triples from uniform, in nats; above 0 by chance for few samples.", POSITIVE)},
        lambda s: s.truth.spelled, cheap=True, details=scores.stacked_counts),
    "digits": Measure(
        "Digits, as a classifier reads them", "probabilities", scores.digits,
        {"confident": Meaning(
            "confident share", False, "Samples that the classifier calls a digit with at least 0.9.", SHARE),
         "classes_found": Meaning("classes found", False, "Classes with at least one confident sample."),
         "class_kl": Meaning(
             "class imbalance", True, "KL of the classes of samples from those of training reals, in nats.", POSITIVE)},
        _read,
        both(both(by_bootstrap(200), only(JACKKNIFE, "class_kl")), by_trials(lambda s, r, f: len(f), "confident")), cheap=True,
        settings=lambda s: {"threshold": scores.CONFIDENT},
        details=scores.class_table),
    "asked_class": Measure(
        "The class that was asked for", "asked", scores.share,
        {"asked_class": Meaning(
            "class accuracy", False, "Samples that show the class the model was asked for, as the judge reads them.", SHARE)},
        _conditional, by_bootstrap(400), cheap=True),
    "told_attributes": Measure(
        "What the captions ask for", "told", captions.attribute_shares,
        {name: Meaning(
            name.replace("_", " "), False, "Samples that show what their caption asks for, of those where it asks.", SHARE)
         for name in ATTRIBUTES},
        _readable, _of_those_asked, cheap=True, details=captions.said),
    "unseen_attributes": Measure(
        "The same of pairs that were never trained on", "unseen", captions.unseen_shares,
        {f"unseen_{name}": Meaning(
            f"{name.replace('_', ' ')}, unseen", False, "Of captions whose pair of petal colour and shape is new.", SHARE)
         for name in ATTRIBUTES},
        _with_unseen, _of_those_asked, cheap=True),
    "caption_variety": Measure(
        "Variety under one caption", "one_caption", captions.caption_variety,
        {"caption_variety": Meaning(
            "variety under one caption", False,
            "Distance of two samples of a caption over that of samples of two captions; 0: z is ignored. Floor: of a class.",
            POSITIVE)},
        lambda s: s.told is not None, by_bootstrap(200), cheap=True, floors=captions.variety_of_reals,
        details=captions.variety_said),
    "r_precision": Measure(
        "Captions found again", "matches", captions.retrieval,
        {"r_precision": Meaning(
            "R-precision", False, "Samples whose caption the joint encoder ranks first of 100; 0.01 by chance.", SHARE)},
        _matched, by_trials(lambda s, r, f: len(f), "r_precision"), settings=lambda s: {"candidates": captions.CANDIDATES}),
    "frechet": Measure(
        "Fréchet distance", "features", scores.frechet,
        {"frechet_distance": Meaning(
            "Fréchet distance", True,
            "Of Gaussians fitted to the features: the FID where they are Inception's. Biased by about 1/N.", POSITIVE)},
        lambda s: True, cheap=True, details=scores.frechet_said),
    "kernel": Measure(
        "Kernel distance", "features", scores.kernel,
        {"kernel_distance": Meaning(
            "kernel distance", True, "Unbiased MMD² with the kernel of KID: 0 on average for equal sets.")},
        _pictures, settings=lambda s: {"subsets": scores.KID_SUBSETS, "subset_size": scores.kid_size(s)},
        most=20_000),
    "inception_score": Measure(
        "Class scores", "scored", scores.class_scores,
        {"inception_score": Meaning(
            "Inception score", False, "exp E KL(p(y|x) || p(y)); between 1 and the number of classes."),
         "mode_score": Meaning(
             "mode score", False, "Equal to the Inception score of one split, as the terms of the data cancel."),
         "modified_inception_score": Meaning(
             "modified Inception score", False, "Of pairs within a class, the mean over classes: above 1 where a class varies."),
         "am_score": Meaning(
             "AM score", True, "0 when each sample is certain and the classes are as frequent as in the data.", POSITIVE)},
        _scored, settings=lambda s: {"splits": scores.splits(s)}),
    "mmd": Measure(
        "Maximum mean discrepancy", "features", scores.discrepancy,
        {"mmd": Meaning("MMD²", True, "Unbiased, of a Gaussian kernel; 0 on average for equal sets.")},
        lambda s: True, settings=lambda s: {"kernel": "gaussian", "bandwidth": scores.bandwidth(s)}, most=5_000),
    "neighbours": Measure(
        "Precision, recall, density, coverage", "features", scores.neighbours,
        {"precision": Meaning("precision", False, "Fakes within the reals' manifold: quality.", SHARE),
         "recall": Meaning("recall", False, "Reals within the fakes' manifold: variety.", SHARE),
         "f1": Meaning("F1", False, "Harmonic mean of both.", SHARE),
         "density": Meaning("density", False, "Real balls around a fake, over k; 1 for equal sets.", POSITIVE),
         "coverage": Meaning("coverage", False, "Reals with a fake in their ball.", SHARE)},
        _enough_neighbours, cheap=True, most=20_000, settings=lambda s: {"k": s.k, "k_density": s.k_density}),
    "one_nearest_neighbour": Measure(
        "1-NN two-sample test", "features", scores.one_nearest,
        {"nn_accuracy": Meaning("1-NN accuracy", True, "0.5: cannot be told apart; 1: always; near 0: copies.", SHARE),
         "nn_real": Meaning("on reals", True, "Low with the next one high: fakes sit close together.", SHARE),
         "nn_fake": Meaning("on fakes", True, "High: fakes have fakes as neighbours.", SHARE)},
        lambda s: True, equal=True, most=10_000),
    "two_sample": Measure(
        "Classifier two-sample test", "features", scores.two_sample,
        {"c2st_accuracy": Meaning(
            "C2ST accuracy", True, "A small network's accuracy on unseen samples; 0.5: cannot be told apart.", SHARE)},
        lambda s: True, by_trials(_tested, "c2st_accuracy"), equal=True, most=5_000,
        settings=lambda s: {"hidden": 20, "epochs": scores.C2ST_EPOCHS}),
    "swd": Measure(
        "Sliced Wasserstein distance", "samples", scores.points_swd,
        {"swd": Meaning(
            "sliced Wasserstein", True, "Mean distance of sorted projections, in the unit of the points.", POSITIVE)},
        lambda s: not s.pictures, cheap=True, equal=True),
    "patch_swd": Measure(
        "Sliced Wasserstein distance of patches", "samples", scores.patch_swd,
        {"patch_swd": Meaning(
            "patch SWD", True, "x 1000; local structure, the mean over the levels of a Laplacian pyramid.", POSITIVE),
         **{f"patch_swd_{side}": Meaning(f"at {side} px", True, "x 1000; of that level alone.", POSITIVE)
            for side in (1024, 512, 256, 128, 64, 32, 16)}},
        _pyramid, by_subsets(4), equal=True, most=2_000, settings=lambda s: {"patches": scores.PATCHES}),
    "pairs": Measure(
        "Pictures beside their partners", "pairs", scores.pairs,
        {"ssim": Meaning("SSIM", False, "Structural similarity of each sample and the true picture; 1: equal."),
         "psnr": Meaning("PSNR", False, "Of the same pairs, dB."),
         "sharpness": Meaning("sharpness", False, "Sharpness difference (Mathieu et al. 2016), dB; high: as sharp."),
         "l1": Meaning("L1", True, "Mean difference of pixels in [-1, 1].", POSITIVE)},
        lambda s: s.paired and s.told is None and s.side >= 11, by_bootstrap(200), cheap=True, split="held_out", floors=no_floor),
    "segmentation": Measure(
        "Labels, read back from the pictures", "confusions", scores.segmentation,
        {"pixel_accuracy": Meaning(
            "per-pixel accuracy", False, "Pixels that show the class they were made from; floor: those of the true pictures.", SHARE),
         "class_accuracy": Meaning("per-class accuracy", False, "The mean over the classes.", SHARE),
         "mean_iou": Meaning("class IoU", False, "Intersection over union, the mean over the classes.", SHARE)},
        lambda s: s.truth.segmenter is not None and s.conditions is not None and s.conditions.dim() == 3,
        by_bootstrap(200), cheap=True, split="held_out", details=scores.segmentation_table),
    "data_coverage": Measure(
        "Data that the samples cover", "pixels", scores.covered,
        {"data_coverage": Meaning(
            "data covered", False,
            "Reals where the samples are as dense as at 95 % of themselves (Tolstikhin et al. 2017); 0.95 for equal sets.", SHARE)},
        lambda s: len(s.fake) >= 8, by_trials(lambda s, r, f: len(r), "data_coverage"), most=5_000),
    "ms_ssim": Measure(
        "MS-SSIM diversity", "samples", scores.ms_ssim,
        {"ms_ssim": Meaning(
            "MS-SSIM of pairs", True,
            "Similarity of random pairs; above the floor: little variety, far below: noise.", SHARE)},
        lambda s: s.side >= 16, by_subsets(5), settings=lambda s: {"pairs": scores.SSIM_PAIRS}),
    "ndb": Measure(
        "Statistically different bins", "pixels", scores.different_bins,
        {"ndb": Meaning(
            "NDB / K", True, "K-means bins of the training set that the fakes fill differently; 0.05 by chance.", SHARE),
         "ndb_js": Meaning(
             "bins' divergence", True, "Jensen-Shannon, nats; above 0 by chance alone for few samples.", POSITIVE)},
        lambda s: len(s.train.samples) >= 40, settings=lambda s: {"bins": scores.bin_count(s)}, most=10_000),
    "copies": Measure(
        "Copies of training samples", "pixels", scores.copies,
        {"copied": Meaning(
            "copied share", True,
            "Fakes nearer to a training sample than 99 % of held-out reals are; 0.01 by chance.", SHARE),
         "nearest_distance": Meaning(
             "nearest distance", False,
             "Median distance to the nearest training sample, over that of held-out reals; well below 1: copies.", POSITIVE)},
        lambda s: True, both(by_subsets(5), by_trials(lambda s, r, f: len(f), "copied")), most=10_000,
        settings=lambda s: {"quantile": 0.01, "mirrored": s.mirrored, **_held_out(s)}),
    "birthday": Measure(
        "Birthday paradox", "pixels", scores.birthday,
        {"duplicates": Meaning(
            "batches with a duplicate", True,
            "Batches with two samples closer than any two different training samples are.", SHARE),
         "support": Meaning(
             "support", False, "Number of distinct samples that explains it; ∞: more than this test can see.", POSITIVE)},
        _pictures, by_trials(lambda s, r, f: scores.BATCHES, "duplicates"), most=5_000,
        settings=scores.birthday_settings),
    "fingerprints": Measure(
        "Fingerprints (TequilaGAN)", "samples", scores.fingerprints,
        {"pixel_js": Meaning("pixel histogram", True, "Jensen-Shannon divergence of the pixels' values, nats.", POSITIVE),
         "pixel_js_inner": Meaning(
             "pixel histogram, inner", True, "The same within [0.11, 0.88], without ink and paper.", POSITIVE),
         "pixel_ks": Meaning("pixel KS", True, "Largest gap of the pixels' cumulative distributions.", SHARE),
         "centroid_ks": Meaning("centroid KS", True, "The same of the columns' spectral centroids.", SHARE),
         "slope_ks": Meaning("slope KS", True, "The same of the centroids' slopes.", SHARE)},
        lambda s: s.side >= 8, by_subsets(5), most=1_000, details=scores.fingerprint_references),
    "spectrum": Measure(
        "Power spectrum", "samples", scores.spectrum,
        {"spectrum_gap": Meaning(
            "spectrum gap", True, "Root mean square difference of log10 radial power; 1: a factor of ten.", POSITIVE),
         "slope_gap": Meaning("slope gap", True, "Difference of the spectra's slopes on log-log axes.", POSITIVE)},
        lambda s: s.side >= 8, most=5_000, details=scores.low_level),
    "classification": Measure(
        "Train on fake, test on real", "samples", scores.classification,
        {"fake_trained": Meaning(
            "accuracy, trained on fakes", False,
            "Of a small classifier, on held-out reals; for the floor it was trained on reals.", SHARE)},
        _classified, by_trials(lambda s, r, f: len(s.held_out.samples), "fake_trained"),
        floors=scores.real_trained, most=10_000, equal=True, settings=_held_out),
    "path_length": Measure(
        "Perceptual path length", "features", generator_scores.path_length,
        {"path_length": Meaning(
            "path length", True, "E d(G(z), G(z + e)) / e² along random paths, d the squared distance of features: "
            "not that of papers, whose features are LPIPS.", POSITIVE)},
        lambda s: s.pictures and s.source is not None, generator_scores.of_the_mean, floors=no_floor,
        settings=generator_scores.path_settings),
    "manifold": Measure(
        "Distance to the manifold", "samples", generator_scores.manifold,
        {"manifold_precision": Meaning("precision", False, "Samples on the manifold of the data, within the threshold.", SHARE),
         "manifold_recall": Meaning("recall", False, "Held-out pictures that G can draw, by descent on its latent.", SHARE),
         "manifold_f1": Meaning("F1", False, "Harmonic mean of both.", SHARE),
         "distance": Meaning("median distance of samples", True, "To the nearest triangle, pixels in [0, 1].", POSITIVE),
         "inversion_distance": Meaning("median distance of held-out", True, "To the nearest picture of G's.", POSITIVE)},
        lambda s: s.truth.triangles and s.source is not None,
        both(by_trials(lambda s, r, f: len(f), "manifold_precision"), by_trials(generator_scores.searched, "manifold_recall")),
        floors=generator_scores.of_real_triangles, settings=generator_scores.manifold_settings, most=generator_scores.most),
    "attributes": Measure(
        "Attributes, as the program reads them", "attributes", scores.attribute_divergence,
        {"attribute_kl": Meaning(
            "attributes' imbalance", True, "KL of each attribute's choices from those of training reals, nats; the mean.", POSITIVE),
         "attribute_pair_kl": Meaning(
             "pairs of attributes", True, "The same of pairs: large where faces are learnt by heart. Above 0 by chance.", POSITIVE)},
        lambda s: s.truth.attributes is not None, cheap=True, details=scores.attribute_table),
    "memory": Measure(
        "What D remembers", "samples", scores.memory,
        {"memory_auc": Meaning(
            "AUC of D", True, "How well D's score tells training from held-out reals; 0.5: not at all.", SHARE)},
        _watched, scores.memory_error, floors=no_floor, details=scores.memory_details, settings=_held_out),
    "discriminator_svm": Measure(
        "D's features", "samples", scores.discriminator_svm,
        {"svm_accuracy": Meaning(
            "linear SVM on D", False, "Accuracy on held-out reals, trained on reals; floor: on raw pixels.", SHARE)},
        _watched_and_labelled, by_trials(scores.svm_tested, "svm_accuracy"), floors=scores.pixel_svm, usual=False,
        most=scores.SVM_MOST, settings=_held_out),
    "parzen": Measure(
        "Parzen-window log-likelihood", "pixels", scores.parzen,
        {"parzen": Meaning(
            "Parzen log-likelihood", False,
            "Nats a sample; misleading in high dimension, printed by the first papers.")},
        lambda s: len(s.held_out.samples) >= 20, scores.parzen_error, floors=scores.parzen_of_reals, usual=False,
        settings=_held_out),
    **TEXT_MEASURES,
}  # fmt: skip
