"""What a trial is scored by: figures of gan_zoo.metrics.table, and samples to look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from gan_zoo import media
from gan_zoo.data.stream import DataModule
from gan_zoo.evaluation import VGG, FeatureChoice, SegmentationNetwork
from gan_zoo.evaluation.speech import speech_figures
from gan_zoo.evaluation.subjects import chosen_features, measured
from gan_zoo.gan import GAN
from gan_zoo.metrics.measures import quick
from gan_zoo.metrics.speech import FIGURES
from gan_zoo.metrics.subject import SEARCH, Search
from gan_zoo.metrics.table import MEASURES, chosen, meant
from gan_zoo.schema import ConfigError

SHOWN = 64  # pictures kept of each trial


class Measured(NamedTuple):
    """figures by name; samples: points float32 [N, 2], some pictures uint8 [N, H, W, C], or some lines of text [N]."""

    figures: dict[str, float]
    samples: NDArray[Any]


def measure(gan: GAN, data: DataModule, seed: int, settings: dict[str, Any]) -> Measured:
    """The figures that `settings` (arguments of `figures`) declare."""
    check(settings)
    return figures(gan, data, seed, **settings)


def figures(
    gan: GAN,
    data: DataModule,
    seed: int,
    *,
    metrics: list[str],
    n: PositiveInt,
    reals: PositiveInt = 10_000,
    features: FeatureChoice = "auto",
    weights: str | None = None,
    sha256: str | None = None,
    network: str = VGG,
    download: bool = False,
    joint_encoder: str | None = None,
    k: PositiveInt = 3,
    k_density: PositiveInt = 5,
    threshold: PositiveFloat = SEARCH.threshold,
    starts: PositiveInt = SEARCH.starts,
    steps: PositiveInt = SEARCH.steps,
    device: str = "cpu",
    segmenter: str | None = None,
    segmenter_network: SegmentationNetwork = "deeplabv3_resnet50",
    segmenter_height: PositiveInt | None = None,
) -> Measured:
    """Those of gan_zoo.evaluate, of n samples and the same settings, without floors and intervals.

    threshold, starts, steps: of the search for the nearest point of a manifold, which looks at all n samples.
    """
    if data.modality == "audio":
        return Measured(*speech_figures(gan.to(device), data, metrics, n, seed))
    subject = measured(
        gan.to(device), data, n, reals=reals, seed=seed, features=features, weights=weights, sha256=sha256,
        network=network, download=download, device=device, joint_encoder=joint_encoder, k=k, k_density=k_density,
        search=Search(n, threshold, starts, steps), segmenter=segmenter,
        segmenter_network=segmenter_network, segmenter_height=segmenter_height,
    )  # fmt: skip
    found: dict[str, float] = {}
    for one in chosen(subject, metrics).values():
        found |= quick(one, subject)
    fake = subject.fake
    if subject.modality == "text":
        return Measured(found, np.array(gan.readable(fake[:SHOWN])))
    shown = media.as_bytes(fake[:SHOWN]) if subject.pictures else fake.numpy()
    return Measured(found, np.ascontiguousarray(shown))


def check(settings: dict[str, Any]) -> None:
    """ConfigError for an argument or metric of a grid's `measure` that does not exist."""
    from gan_zoo.signatures import arguments
    from gan_zoo.wording import raise_if

    problems: list[str] = []
    arguments(settings, figures, "measure", problems, given=("gan", "data", "seed"))
    raise_if(problems)
    for name in settings["metrics"]:
        if name not in {**MEASURES, **FIGURES}:
            raise ConfigError(f"measure.metrics: {name!r} came; {meant(name, {**MEASURES, **FIGURES})}")


def check_weights(settings: dict[str, Any]) -> None:
    """ConfigError where the weights that the measure reads are missing or not the ones asked for; before anything is trained."""
    chosen_features(
        settings.get("features", "auto"), settings.get("weights"), settings.get("sha256"), "cpu",
        network=settings.get("network", VGG), download=settings.get("download", False),
    )  # fmt: skip


def check_figures(wanted: Iterable[str], metrics: Iterable[str]) -> None:
    """ConfigError for a column of a grid that none of its metrics gives."""
    given = {
        name for metric in metrics for name in (MEASURES[metric].figures if metric in MEASURES else [metric])
    }
    for name in wanted:
        if name not in given:
            raise ConfigError(f"figures.{name}: none of the metrics measured gives it; {meant(name, given)}")
