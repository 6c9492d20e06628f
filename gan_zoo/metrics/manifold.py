"""Precision, recall and F1 by distance to a manifold that is known (Lucic et al. 2018, "Are GANs Created
Equal?", sec. 5).

precision: share of generated pictures nearer than a threshold to the manifold of triangles.
recall: share of held-out pictures nearer than it to what G can draw, found by gradient descent on z.
Distances are Euclidean, of pixels in [0, 1]: at 28 x 28 two triangles are some 8 apart, and the threshold of
the paper, picked there by eye, is 0.75 (recalled, not checked).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.data.toy import coverage, triangle_vertices
from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.inputs import (
    as_pictures,
    as_values,
    at_least,
    feature_pair,
    positive,
    require_pictures,
    seeded,
)

THRESHOLD = 0.75
CORNERS = torch.tensor([math.radians(angle) for angle in (10, 130, 250)])  # where each corner's range begins
RANGE = math.radians(110)  # and how wide it is
CHUNK = 64  # pictures optimised at once


class ManifoldScores(NamedTuple):
    """Shares in [0, 1]; f1 is their harmonic mean, 0 where both are."""

    precision: float
    recall: float
    f1: float


def manifold_scores(fake: Tensor, real: Tensor, threshold: float = THRESHOLD) -> ManifoldScores:
    """From distances of generated pictures to the manifold [N] and of held-out ones to G's range [M]."""
    positive(threshold=threshold)
    fake, real = as_values(fake, "distances of fakes"), as_values(real, "distances of reals")
    precision, recall = (float((some < threshold).double().mean()) for some in (fake, real))
    return ManifoldScores(precision, recall, 2 * precision * recall / max(precision + recall, 1e-12))


def triangle_distances(
    pictures: Tensor, *, starts: int = 3, steps: int = 60, bank: int = 8192, seed: int = 0
) -> Tensor:
    """Distance of each picture [N, 1, R, R] in [-1, 1] to the nearest triangle, float32 [N].

    Minimised over the three corners and the rotation by gradient descent from the `starts` nearest of `bank`
    random triangles. An upper bound of the true distance, which better starts and more steps can only lower;
    a triangle of the data set comes to about 0.1, as its sub-pixels are counted and not measured.
    """
    at_least(1, starts=starts, bank=bank)
    at_least(0, steps=steps)
    shares = _darkness(pictures)
    side = shares.shape[-1]
    least = torch.cat([CORNERS, torch.zeros(1)])
    widths = torch.tensor([RANGE, RANGE, RANGE, 2 * math.pi])
    parameters = least + widths * torch.rand(bank, 4, generator=seeded(seed))
    drawn = torch.cat([_triangles(some, side) for some in parameters.split(512)]).detach()
    distances = [
        _descended(
            lambda x: _triangles(x, side), parameters[order], part.flatten(1), steps, rate=0.1, within=_within_range
        )
        for part in shares.split(CHUNK)
        for order in [nearest(part.flatten(1), drawn, min(starts, bank))[1]]
    ]  # fmt: skip
    return torch.cat(distances)


def inversion_distances(
    generate: Callable[[Tensor], Tensor],
    latents: Tensor,
    pictures: Tensor,
    *,
    starts: int = 3,
    steps: int = 60,
    rate: float = 0.1,
) -> Tensor:
    """Distance of each picture [M, C, R, R] in [-1, 1] to the nearest that `generate` can draw, float32 [M].

    latents: [B, ...] draws of G's law; the `starts` whose pictures are nearest are moved by gradient descent,
    anywhere, as the paper does. generate: [N, ...] -> [N, C, R, R] in [-1, 1], differentiable, each row by
    itself (G in evaluation mode). An upper bound, as for triangle_distances.
    """

    def drawn(z: Tensor) -> Tensor:
        return (generate(z).flatten(1) + 1) / 2

    at_least(1, starts=starts, latents=len(latents))
    at_least(0, steps=steps)
    positive(rate=rate)
    require_pictures(pictures)
    with torch.no_grad():
        known = torch.cat([drawn(some) for some in latents.split(512)])
    wanted = (as_pictures(pictures).flatten(1) + 1) / 2
    feature_pair(wanted, known, least=1, names=("pictures", "what generate draws"))
    distances = [
        _descended(drawn, latents[order], part, steps, rate)
        for part in wanted.split(CHUNK)
        for order in [nearest(part, known, min(starts, len(latents)))[1]]
    ]
    return torch.cat(distances)


def _darkness(pictures: Tensor) -> Tensor:
    """[N, R, R] in [0, 1]: how much of a triangle each pixel holds."""
    require_pictures(pictures)
    pictures = as_pictures(pictures)
    if pictures.shape[1] != 1 or pictures.shape[2] != pictures.shape[3]:
        raise ValueError(f"triangles are grey and square, [N, 1, R, R], got {tuple(pictures.shape)}")
    return (1 - pictures[:, 0]) / 2


def _triangles(parameters: Tensor, side: int) -> Tensor:
    """Three corners and a rotation, in radians [N, 4] -> darkness [N, side * side]."""
    vertices = triangle_vertices(parameters[:, :3], parameters[:, 3])
    return coverage(vertices, side, subpixels=4, smooth=True).flatten(1)


def _within_range(parameters: Tensor) -> None:
    """Puts corners back into their ranges, in place; a rotation may go round."""
    corners = parameters[:, :3]
    corners.copy_(corners.clamp(CORNERS.to(corners), CORNERS.to(corners) + RANGE))


def _descended(
    draw: Callable[[Tensor], Tensor],
    starts: Tensor,
    wanted: Tensor,
    steps: int,
    rate: float,
    within: Callable[[Tensor], None] = lambda point: None,
) -> Tensor:
    """The least distance that Adam finds from starts [N, K, ...] to wanted [N, D], [N].

    The rate falls to 0 along a cosine; the best point of the way counts, so steps never hurt. within: puts a
    point that left its domain back, in place.
    """
    count, several = starts.shape[:2]
    point = starts.flatten(0, 1).clone().requires_grad_()
    target = wanted.repeat_interleave(several, 0)
    optimizer = torch.optim.Adam([point], lr=rate)
    best = torch.full((len(point),), torch.inf)
    for step in range(steps + 1):
        squared = (draw(point) - target).square().sum(1)
        best = torch.minimum(best, squared.detach())
        if step == steps:
            break
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
        (gradient,) = torch.autograd.grad(squared.sum(), point)
        point.grad = gradient
        optimizer.step()
        with torch.no_grad():
            within(point)
    return best.unflatten(0, (count, several)).amin(1).sqrt()
