"""Walks through the latents that close, films of them, and latents drawn towards their mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from scipy import stats

from gan_zoo import loading, video
from gan_zoo.config import compose, validate
from gan_zoo.latent import Latent
from gan_zoo.schema import ConfigError
from gan_zoo.truncation import truncated

PGGAN = ("model=pggan", "data.resolution=16", "data.batch_size=8", "model.schedule.initial_resolution=16")
DCGAN = (
    "model=dcgan",
    "data=digits",
    "data.resolution=16",
    "model.generator.width=4",
    "model.discriminator.width=4",
)


def built(*overrides: str) -> Any:
    return loading.build(validate(compose(overrides)))


# ---- walks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("walk", ["spherical", "straight", "walk"])
def test_walks_close_and_go_in_small_even_steps(walk: video.Walk) -> None:
    path = video.path_of(Latent(64), 3, 200, 5, walk, 25)
    assert path.shape == (200, 3, 64)
    steps = (path - path.roll(1, 0)).norm(dim=2)  # the first one from the last frame to the first
    typical = math.sqrt(2 * 64)  # between two independent latents
    assert steps.max() < 0.12 * typical
    assert steps[0].max() <= steps.max() and (path[0, 0] - path[100, 0]).norm() > 0.4 * typical
    assert not torch.allclose(path[:, 0], path[:, 1])
    assert torch.equal(path, video.path_of(Latent(64), 3, 200, 5, walk, 25))


def test_a_great_circle_keeps_the_norm_that_a_straight_line_loses() -> None:
    def least(walk: video.Walk) -> float:
        norms = video.path_of(Latent(512), 1, 200, 0, walk, 25).norm(dim=2)
        return float(norms.min() / math.sqrt(512))

    assert least("spherical") == pytest.approx(1.0, abs=0.1)
    assert least("straight") == pytest.approx(
        math.sqrt(0.5), abs=0.08
    )  # half way between two of right angles


def test_a_random_walk_is_smooth_over_its_width_and_keeps_the_law() -> None:
    path = video.random_walk(Latent(256), 2000, 0, 25).double()
    assert float(path.square().mean()) == pytest.approx(1.0, abs=1e-6)
    # white noise under a Gaussian of width s is correlated by exp(-t^2 / (4 s^2)) at a distance of t
    for apart in (10, 25, 50):
        found = float((path * path.roll(apart, 0)).mean())
        assert found == pytest.approx(math.exp(-(apart**2) / (4 * 25**2)), abs=0.04)


@pytest.mark.parametrize(("law", "low", "high"), [("uniform", -1, 1), ("unit_uniform", 0, 1)])
def test_a_random_walk_of_a_uniform_law_is_uniform(law: str, low: float, high: float) -> None:
    path = video.random_walk(Latent(64, law), 3000, 1, 3)
    assert float(path.min()) > low and float(path.max()) < high
    thinned = path[::20].flatten().numpy()
    assert stats.kstest(thinned, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    sphere = video.random_walk(Latent(64, "sphere"), 50, 1, 3)
    torch.testing.assert_close(sphere.square().mean(1), torch.ones(50))


# ---- films ---------------------------------------------------------------------------------------


def test_a_film_holds_its_frames(tmp_path: Path) -> None:
    gan = built(*DCGAN)
    latents = video.path_of(gan.latent, 4, 6, 0, "spherical", 25)
    frames = list(video.pictures(gan, latents, 0, None))
    path = video.write(frames, tmp_path / "film.gif", 25)
    read = iio.imread(path, index=None, mode="RGB")
    assert read.shape == (6, *frames[0].shape[:2], 3)
    assert np.abs(read[0].astype(int) - frames[0].astype(int)).mean() < 2
    assert iio.immeta(path)["duration"] == 40 and iio.immeta(path)["loop"] == 0
    with pytest.raises(ConfigError, match=r"film\.avi came"):
        video.write(frames, tmp_path / "film.avi", 25)


def test_an_mp4_has_even_sides(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    frames = [np.full((33, 47, 1), level, np.uint8) for level in (0, 128, 255)]
    read = iio.imread(video.write(frames, tmp_path / "film.mp4", 25), plugin="FFMPEG")
    assert read.shape == (3, 34, 48, 3)
    assert [abs(int(read[i, 10, 10, 0]) - level) < 8 for i, level in enumerate((0, 128, 255))] == [True] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


# ---- truncation ----------------------------------------------------------------------------------


def test_truncation_of_pggan_draws_its_first_layer_towards_the_mean() -> None:
    gan = built(*PGGAN)
    seen: list[torch.Tensor] = []
    gan.ema_generator.stem.dense.register_forward_hook(lambda layer, given, made: seen.append(made.clone()))
    whole = gan.sample(4, seed=1)
    for share in (1.0, 0.7, 0.0):
        with truncated(gan, share):
            drawn = gan.sample(4, seed=1)
        torch.testing.assert_close(seen[-1], share * seen[0])  # E W z = 0: the rest of w is the bias
        assert torch.equal(drawn, whole) == (share == 1.0)
    with truncated(gan, 0.0):
        one = gan.sample(4)
    torch.testing.assert_close(one, one[:1].expand_as(one))
    assert torch.equal(gan.sample(4, seed=1), whole)  # nothing of it stays


def test_truncation_scales_the_latents_of_other_models_around_the_mean_of_their_law() -> None:
    gan = built(*DCGAN, "model.latent.law=unit_uniform")
    z = gan.latent.fixed(3, 2)
    with truncated(gan, 0.5):
        drawn = gan.sample(3, seed=2)
    torch.testing.assert_close(drawn, gan.sample(3, latent=0.5 + 0.5 * (z - 0.5)))
    with pytest.raises(ConfigError, match=r"between 0 .* and 1 .* got 1\.5"), truncated(gan, 1.5):
        pass


def test_the_label_of_a_conditional_pggan_is_not_truncated() -> None:
    gan = built("experiment=pggan_conditional", *PGGAN[1:])
    with truncated(gan, 0.0):
        drawn = gan.sample(2, condition=torch.tensor([1, 2]))
    assert not torch.allclose(drawn[0], drawn[1])
