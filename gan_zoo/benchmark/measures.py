"""What a trial is scored by: from a trained model and its data to named figures, and samples to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from gan_zoo import chance, media
from gan_zoo.data.stream import DataModule
from gan_zoo.data.toy import Mixture
from gan_zoo.gan import GAN
from gan_zoo.metrics import digits_classifier, modes
from gan_zoo.metrics.manifold import inversion_distances, manifold_scores, triangle_distances
from gan_zoo.schema import ConfigError
from gan_zoo.wording import suggestion

SHOWN = 64  # pictures kept of each trial


class Measured(NamedTuple):
    """figures by name; samples: points float32 [N, 2], or some pictures uint8 [N, H, W, C]."""

    figures: dict[str, float]
    samples: NDArray[Any]


def mixture_modes(gan: GAN, data: DataModule, seed: int, *, samples: PositiveInt = 2500) -> Measured:
    """modes, high_quality (within 3 sigma of a mode) and reverse_kl, as metrics.modes defines them."""
    if not isinstance(data, Mixture):
        raise ConfigError(f"data={data.name} has no modes in the plane to count; take data=ring or data=grid")
    points = gan.sample(samples, seed=seed, chunk=samples)
    found = modes.mixture_modes(points, data.modes(), data.std)
    figures = {"modes": found.modes, "high_quality": found.high_quality, "reverse_kl": found.reverse_kl}
    return Measured(figures, points.numpy())


def stacked_modes(gan: GAN, data: DataModule, seed: int, *, samples: PositiveInt = 26_000) -> Measured:
    """modes of 1000 and reverse KL to uniform, by the digits classifier on each channel."""
    if data.channels != 3:
        raise ConfigError(f"data={data.name} shows no stacks of three digits; take data=stacked_digits")
    pictures = gan.sample(samples, seed=seed).clamp(-1, 1)
    found = modes.stacked_modes(modes.stacked_classes(pictures, digits_classifier.classify))
    return Measured({"modes": found.modes, "reverse_kl": found.reverse_kl}, media.as_bytes(pictures[:SHOWN]))


def triangles(
    gan: GAN, data: DataModule, seed: int, *,
    samples: PositiveInt = 1024, held_out: PositiveInt = 1024, threshold: PositiveFloat = 0.75,
    starts: PositiveInt = 3, steps: PositiveInt = 60,
) -> Measured:  # fmt: skip
    """precision, recall and f1 by distance to the manifold of triangles, and both median distances.

    Changes `gan`: it is frozen, with its averaged G in G's place.
    """
    if data.name != "triangles" or gan.latent is None:
        raise ConfigError(
            f"a known manifold is needed, and a latent to search; data={data.name} came, take data=triangles"
        )
    pictures = gan.sample(samples, seed=seed).clamp(-1, 1)
    real = data.held_out_set().__getitems__([(i, 0, data.resolution) for i in range(held_out)])["real"]
    bank = gan.latent.fixed(4096, chance.mix(seed, "inversion"))
    if gan.ema_generator is not None:
        gan.generator = gan.ema_generator
    gan.eval().requires_grad_(False)
    to_manifold = triangle_distances(pictures, starts=starts, steps=steps)
    to_range = inversion_distances(
        lambda z: gan.generate({"latent": z}), bank, real, starts=starts, steps=steps
    )
    scores = manifold_scores(to_manifold, to_range, threshold)
    medians = {"distance": float(to_manifold.median()), "inversion_distance": float(to_range.median())}
    return Measured({**scores._asdict(), **medians}, media.as_bytes(pictures[:SHOWN]))


def inception(
    gan: GAN, data: DataModule, seed: int, *,
    weights: str, samples: PositiveInt = 50_000, real: PositiveInt = 50_000, device: str = "cpu",
) -> Measured:  # fmt: skip
    """fid (against the training set) and inception_score (10 splits), on Inception-v3 with FID's weights."""
    from gan_zoo.metrics.features import extract, inception, stream
    from gan_zoo.metrics.frechet import frechet_distance
    from gan_zoo.metrics.inception_score import inception_score

    pictures = gan.to(device).sample(samples, seed=seed).clamp(-1, 1)
    items = data.train_set()
    count, chunk = min(real, len(items)), 1000
    training = (
        items.__getitems__([(i, 0, data.resolution) for i in range(start, min(start + chunk, count))])["real"]
        for start in range(0, count, chunk)
    )
    pool, head = (inception(weights, output=name, device=device) for name in ("2048", "logits_unbiased"))
    distance = frechet_distance(stream(training, pool, device=device), stream(pictures, pool, device=device))
    score = inception_score(extract(pictures, head, device=device).softmax(1))
    return Measured({"fid": float(distance), "inception_score": score.mean}, media.as_bytes(pictures[:SHOWN]))


MEASURES: dict[str, Callable[..., Measured]] = {
    "mixture_modes": mixture_modes,
    "stacked_modes": stacked_modes,
    "triangles": triangles,
    "inception": inception,
}


def check(settings: dict[str, Any]) -> None:
    """ConfigError where `measure:` of a grid names no measure, or an argument that it does not take."""
    from gan_zoo.signatures import arguments
    from gan_zoo.wording import raise_if

    name = settings.get("name")
    if name not in MEASURES:
        raise ConfigError(f"measure.name: {name} came; {suggestion(str(name), MEASURES)}")
    problems: list[str] = []
    options = {key: value for key, value in settings.items() if key != "name"}
    arguments(options, MEASURES[name], "measure", problems, given=("gan", "data", "seed"))
    raise_if(problems)


def measure(gan: GAN, data: DataModule, seed: int, settings: dict[str, Any]) -> Measured:
    """The measure that `settings` (name and arguments) declare."""
    check(settings)
    options = {key: value for key, value in settings.items() if key != "name"}
    found = MEASURES[settings["name"]](gan, data, seed, **options)
    return Measured(found.figures, np.ascontiguousarray(found.samples))
