"""Walks through the latents that close, and their pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from gan_zoo import loading, media
from gan_zoo.config import compose, validate
from gan_zoo.latent import Latent
from gan_zoo.views import walks


def built(*overrides: str) -> Any:
    return loading.build(validate(compose(overrides)))


@pytest.mark.parametrize("walk", ["spherical", "straight", "walk"])
def test_walks_close_and_go_in_small_even_steps(walk: walks.Walk) -> None:
    path = walks.path_of(Latent(64), 3, 200, 5, walk, 25)
    assert path.shape == (200, 3, 64)
    steps = (path - path.roll(1, 0)).norm(dim=2)  # the first one from the last frame to the first
    typical = math.sqrt(2 * 64)  # between two independent latents
    assert steps.max() < 0.12 * typical
    assert steps[0].max() <= steps.max() and (path[0, 0] - path[100, 0]).norm() > 0.4 * typical
    assert not torch.allclose(path[:, 0], path[:, 1])
    assert torch.equal(path, walks.path_of(Latent(64), 3, 200, 5, walk, 25))


def test_a_great_circle_keeps_the_norm_that_a_straight_line_loses() -> None:
    def least(walk: walks.Walk) -> float:
        norms = walks.path_of(Latent(512), 1, 200, 0, walk, 25).norm(dim=2)
        return float(norms.min() / math.sqrt(512))

    assert least("spherical") == pytest.approx(1.0, abs=0.1)
    assert least("straight") == pytest.approx(
        math.sqrt(0.5), abs=0.08
    )  # half way between two of right angles


def test_a_random_walk_is_smooth_over_its_width_and_keeps_the_law() -> None:
    path = walks.random_walk(Latent(256), 2000, 0, 25).double()
    assert float(path.square().mean()) == pytest.approx(1.0, abs=1e-6)
    # white noise under a Gaussian of width s is correlated by exp(-t^2 / (4 s^2)) at a distance of t
    for apart in (10, 25, 50):
        found = float((path * path.roll(apart, 0)).mean())
        assert found == pytest.approx(math.exp(-(apart**2) / (4 * 25**2)), abs=0.04)


@pytest.mark.parametrize(("law", "low", "high"), [("uniform", -1, 1), ("unit_uniform", 0, 1)])
def test_a_random_walk_of_a_uniform_law_is_uniform(law: str, low: float, high: float) -> None:
    path = walks.random_walk(Latent(64, law), 3000, 1, 3)
    assert float(path.min()) > low and float(path.max()) < high
    thinned = path[::20].flatten().numpy()
    assert stats.kstest(thinned, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    sphere = walks.random_walk(Latent(64, "sphere"), 50, 1, 3)
    torch.testing.assert_close(sphere.square().mean(1), torch.ones(50))


def test_a_film_shows_every_walk_in_every_frame() -> None:
    gan = built(
        "model=dcgan",
        "data=digits",
        "data.resolution=16",
        "model.generator.width=4",
        "model.discriminator.width=4",
    )
    latents = walks.path_of(gan.latent, 4, 6, 0, "spherical", 25)
    frames = list(walks.pictures(gan, latents, 0, None))
    assert len(frames) == 6
    for frame, latent in zip(frames, latents, strict=True):
        assert np.array_equal(frame, media.grid(gan.sample(4, latent=latent)))
