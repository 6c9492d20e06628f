"""Precision, recall and F1 by distance to a known manifold, on generators whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan_zoo.data.toy import coverage, triangle_vertices
from gan_zoo.metrics.manifold import (
    CORNERS,
    RANGE,
    inversion_distances,
    manifold_scores,
    triangle_distances,
)

SIDE = 28


def drawn(angles: Tensor, rotation: Tensor, *, smooth: bool = False) -> Tensor:
    """Pictures [N, 1, 28, 28] in [-1, 1]; counted sub-pixels are what the data set holds."""
    return 1 - 2 * coverage(triangle_vertices(angles, rotation), SIDE, smooth=smooth).unsqueeze(1)


def triangles(count: int, seed: int = 5, turn: float = 2 * math.pi) -> Tensor:
    """Triangles as the data set draws them, rounded to bytes."""
    generator = torch.Generator().manual_seed(seed)
    angles = CORNERS + RANGE * torch.rand(count, 3, generator=generator)
    pictures = drawn(angles, turn * torch.rand(count, generator=generator))
    return ((pictures + 1) * 127.5).round().to(torch.uint8)


def test_triangles_of_the_data_set_lie_on_the_manifold() -> None:
    distances = triangle_distances(triangles(32))
    typical = (triangles(32).float() - triangles(32, seed=6).float()).div(255).flatten(1).norm(dim=1)
    assert typical.median() > 5  # how far two triangles are from one another
    assert distances.max() < 0.4
    assert distances.median() < 0.15
    assert manifold_scores(distances, distances).precision == 1.0


def test_noise_and_other_shapes_lie_off_the_manifold() -> None:
    noise = torch.rand(8, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    square = torch.ones(1, 1, SIDE, SIDE)
    square[:, :, 8:20, 8:20] = -1
    distances = triangle_distances(torch.cat([noise, square, torch.ones(1, 1, SIDE, SIDE)]))
    assert distances.min() > 2
    assert manifold_scores(distances, distances).precision == 0.0


def test_a_triangle_with_corners_too_close_is_off_the_manifold() -> None:
    angles = torch.tensor(
        [[100.0, 102.0, 250.0], [118.0, 132.0, 250.0]]
    ).deg2rad()  # 10 degrees are the least
    thin, allowed = triangle_distances(drawn(angles, torch.zeros(2)))
    assert thin > 0.75
    assert allowed < 0.4


def test_the_distance_to_a_flaw_is_the_size_of_the_flaw() -> None:
    flawed = triangles(8).clone()
    flawed[:, :, 0, :9] = 0  # nine black pixels in the corner, which no triangle reaches: distance 3
    torch.testing.assert_close(triangle_distances(flawed), torch.full((8,), 3.0), atol=0.05, rtol=0)


def test_more_steps_never_lengthen_a_distance() -> None:
    pictures = triangles(8)
    near, far = (triangle_distances(pictures, starts=1, steps=steps, bank=256) for steps in (60, 0))
    assert (near <= far + 1e-6).all()
    assert near.median() < far.median() / 4


def from_latents(z: Tensor, share: float) -> Tensor:
    """A perfect triangle renderer of four normal latents that uses `share` of each corner's range."""
    places = share * torch.special.ndtr(z[:, :3])
    return drawn(CORNERS + RANGE * places, 2 * math.pi * torch.special.ndtr(z[:, 3]), smooth=True)


def test_recall_is_one_for_a_perfect_generator_and_falls_with_half_the_parameter_range() -> None:
    bank, real = torch.randn(2048, 4, generator=torch.Generator().manual_seed(1)), triangles(32)
    recalls = []
    for share in (1.0, 0.5):
        distances = inversion_distances(lambda z, s=share: from_latents(z, s), bank, real, steps=60)
        recalls.append(manifold_scores(torch.zeros(1), distances).recall)
    assert recalls[0] >= 0.95
    assert 0.05 < recalls[1] < 0.75


def test_inversion_reaches_the_distance_to_a_line_that_algebra_gives() -> None:
    direction = torch.tensor([0.6, 0.0, 0.8, 0.0])

    def line(z: Tensor) -> Tensor:
        return (0.2 * z * direction).unflatten(1, (1, 2, 2))

    picture = torch.tensor([[[[0.0, 0.4], [0.0, 0.0]]]])  # orthogonal to the line: 0.4 away, 0.2 of [0, 1]
    bank = torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        inversion_distances(line, bank, picture, steps=100), torch.tensor([0.2]), atol=1e-4, rtol=0
    )


def test_f1_is_the_harmonic_mean_and_zero_where_both_are() -> None:
    scores = manifold_scores(torch.tensor([0.1, 0.2, 0.9, 0.9]), torch.tensor([0.1, 0.1, 0.1, 0.9]))
    assert scores == pytest.approx((0.5, 0.75, 0.6))
    assert manifold_scores(torch.ones(2), torch.ones(2)).f1 == 0.0


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 28, 20)])
def test_pictures_that_cannot_be_triangles_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="grey and square"):
        triangle_distances(torch.zeros(shape))
    with pytest.raises(ValueError, match="threshold must be a positive number, got 0"):
        manifold_scores(torch.ones(1), torch.ones(1), threshold=0)
