"""Scores that ask G again, behind gan_zoo.metrics.table: how it moves with its latents, what it can draw at all.

Like those of gan_zoo.metrics.scores: (subject, real, fake) -> numbers by name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_zoo import chance
from gan_zoo.metrics.manifold import inversion_distances, manifold_scores, triangle_distances
from gan_zoo.metrics.measures import Score, normal_interval
from gan_zoo.metrics.path_length import PathLength, perceptual_path_length, squared_difference
from gan_zoo.metrics.protocol import Interval, Value
from gan_zoo.metrics.subject import Source, Subject

Numbers = dict[str, float]

PATHS, STEP = 2000, 1e-4
BANK = 4096  # latents among which the descent starts


def _source(subject: Subject) -> Source:
    assert subject.source is not None  # what fits, MEASURES says
    return subject.source


# ---------------------------------------------------------------- path length


def path_settings(subject: Subject) -> dict[str, Value]:
    return {"pairs": PATHS, "epsilon": STEP, "path": _source(subject).walk, "percentiles": "1 to 99"}


def _paths(subject: Subject) -> PathLength:
    source = _source(subject)

    def distance(near: Tensor, far: Tensor) -> Tensor:
        return squared_difference(*(subject.features.smooth(one).float() for one in (near, far)))

    def draw(n: int, generator: torch.Generator) -> Tensor:
        return source.latents(n, int(torch.randint(2**62, (1,), generator=generator)))

    return perceptual_path_length(
        source.sample, draw, distance=distance, interpolation=source.walk, pairs=PATHS, epsilon=STEP,
        batch=250, seed=subject.seed,
    )  # fmt: skip


def path_length(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Of the generator alone: real and fake play no part."""
    return {"path_length": subject.of_model("paths", lambda: _paths(subject)).mean}


def of_the_mean(
    subject: Subject, score: Score, real: Tensor, fake: Tensor, values: Numbers
) -> dict[str, Interval]:
    """The interval of a mean of independent paths."""
    found: PathLength = subject.of_model("paths", lambda: _paths(subject))
    error = found.std / max(found.kept - 1, 1) ** 0.5
    return {"path_length": normal_interval(found.mean, error, f"{found.kept} paths")}


# ---------------------------------------------------------------- a manifold that is known


def most(subject: Subject) -> int:
    """Pictures of each kind that are searched for."""
    return min(subject.search.most, len(subject.fake))


def manifold_settings(subject: Subject) -> dict[str, Value]:
    return {**subject.search._asdict(), "bank": BANK}


def _to_range(subject: Subject) -> Tensor:
    """Distance of each held-out picture looked at to what G can draw, [M]."""
    source, search = _source(subject), subject.search
    latents = source.latents(BANK, chance.mix(subject.seed, "inversion"))
    wanted = subject.held_out.samples[: most(subject)]
    return subject.of_model(
        "inversion",
        lambda: inversion_distances(
            source.differentiable, latents, wanted, starts=search.starts, steps=search.steps
        ),
    )


def manifold(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Of `fake` to the manifold of triangles, and of held-out triangles to the range of G."""
    search = subject.search
    near = triangle_distances(fake, starts=search.starts, steps=search.steps, seed=subject.seed)
    far = _to_range(subject)
    found = manifold_scores(near, far, search.threshold)
    return {
        **{f"manifold_{name}": value for name, value in found._asdict().items()},
        "distance": float(near.median()),
        "inversion_distance": float(far.median()),
    }


def of_real_triangles(subject: Subject, score: Score) -> Numbers:
    """Held-out triangles in the place of generated ones; what they say of G's range is no floor."""
    held_out = subject.held_out.samples[: min(128, most(subject))]
    found = score(subject.train.samples[:1], held_out)
    return {name: found[name] for name in ("manifold_precision", "distance")}


def searched(subject: Subject, real: Tensor, fake: Tensor) -> int:
    return len(_to_range(subject))
