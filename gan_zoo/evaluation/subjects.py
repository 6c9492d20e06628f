"""From what a command says to what is measured: a trained model, its data, and the features asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

from gan_zoo.data.stream import DataModule
from gan_zoo.evaluation import FeatureChoice
from gan_zoo.evaluation.cache import remembered
from gan_zoo.gan import GAN
from gan_zoo.metrics import features as networks
from gan_zoo.metrics.features import Features
from gan_zoo.metrics.subject import Subject, subject_of
from gan_zoo.schema import ConfigError


def measured(
    gan: GAN,
    data: DataModule,
    n: int,
    *,
    reals: int,
    seed: int,
    features: FeatureChoice = "auto",
    weights: str | None = None,
    sha256: str | None = None,
    device: str = "cpu",
    **options: Any,
) -> Subject:
    """n samples of `gan` beside at most `reals` reals; with features=inception its classes give the Inception score.

    auto leaves the features to the data. weights, sha256: of Inception. options: further fields of Subject.
    """
    chosen, scorer = chosen_features(features, weights, sha256, device)
    return subject_of(
        gan, data, n, reals=reals, seed=seed, features=chosen, scorer=scorer, remember=partial(remembered, device=device), **options
    )  # fmt: skip


def chosen_features(
    choice: FeatureChoice, weights: str | None, sha256: str | None, device: str
) -> tuple[Features | None, Features | None]:
    """(features, what gives the probabilities of the Inception score); None leaves either to the data."""
    if choice != "inception":
        if weights or sha256:
            raise ConfigError(f"weights and sha256 are for features=inception, features={choice} came")
        made = {"auto": lambda: None, "digits": networks.digits_features, "pixels": networks.raw_pixels}
        return made[choice](), None
    if not weights:
        raise ConfigError(
            f"features=inception needs its weights: fetch {networks.INCEPTION_URL} and give weights=FILE"
        )
    wanted: dict[str, Any] = {"sha256": sha256 or networks.INCEPTION_SHA256, "device": device}
    try:
        pool = networks.inception(weights, **wanted)
        return pool, probabilities_of(networks.inception(weights, output="logits_unbiased", **wanted))
    except networks.WeightsError as failure:
        raise ConfigError(str(failure)) from None


def probabilities_of(logits: Features) -> Features:
    """The softmax of features that are logits."""
    return Features(f"{logits.name}-softmax", logits.sha256, logits.resize, lambda x: logits(x).softmax(1))
