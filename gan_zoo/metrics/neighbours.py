"""Metrics of nearest neighbours: precision, recall, density, coverage, F1 and the 1-NN two-sample test.

Distances are computed block by block (gan_zoo.metrics.distances): memory is bounded, 50,000 x 2048 takes
minutes. Ties of integers and of binary vectors are exact (see distances.centred). Otherwise rounding decides them
above 64 dimensions, and a set compared with itself has them everywhere (radius = distance): compare different sets.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import blocks, centred, nearest
from gan_zoo.metrics.inputs import at_least, feature_pair


class NeighbourScores(NamedTuple):
    """precision, recall: Kynkaanniemi et al. 2019 at k = 3; density, coverage: Naeem et al. 2020 at k = 5."""

    precision: float
    recall: float
    f1: float  # of precision and recall
    density: float
    coverage: float


class OneNearestNeighbour(NamedTuple):
    """Leave-one-out accuracies; 0.5 each = cannot be told apart.

    real low and fake high: fakes sit close together (mode collapse); both near 0: fakes copy reals
    (memorisation).
    """

    accuracy: float
    real: float
    fake: float


class _Tally(NamedTuple):
    precise: Tensor  # bool [M]: fake j lies in some real ball
    recalled: Tensor  # bool [N]: real i lies in some fake ball
    balls: Tensor  # int64 [M]: real balls (strict) around fake j
    nearest_fake: Tensor  # float [N]: squared distance of real i to the nearest fake


def radii(features: Tensor, k: int) -> Tensor:
    """Squared distance of each sample to its k-th other neighbour in the set, [N]."""
    return nearest(features, features, k, exclude_self=True)[0][:, -1]


def _tally(
    real: Tensor, fake: Tensor, manifold_radii: tuple[Tensor, Tensor], density_radii: Tensor
) -> _Tally:
    real_radii, fake_radii = manifold_radii
    tally = _Tally(
        torch.zeros(len(fake), dtype=torch.bool, device=real.device),
        torch.zeros(len(real), dtype=torch.bool, device=real.device),
        torch.zeros(len(fake), dtype=torch.int64, device=real.device),
        real.new_full((len(real),), torch.inf),
    )
    real, fake = centred(real, fake)
    for row, column, squared in blocks(real, fake):
        tally.nearest_fake[row] = torch.minimum(tally.nearest_fake[row], squared.amin(1))
        tally.recalled[row] |= (squared <= fake_radii[column]).any(1)
        tally.precise[column] |= (squared <= real_radii[row, None]).any(0)
        within = squared < density_radii[row, None]
        tally.balls[column] += within.sum(0, dtype=torch.int32)  # faster than int64
    return tally


def _scores(tally: _Tally, density_radii: Tensor, k_density: int) -> NeighbourScores:
    precision, recall = float(tally.precise.double().mean()), float(tally.recalled.double().mean())
    density = float(tally.balls.double().mean()) / k_density
    coverage = float((tally.nearest_fake < density_radii).double().mean())
    return NeighbourScores(precision, recall, f1(precision, recall), density, coverage)


def neighbour_scores(real: Tensor, fake: Tensor, *, k: int = 3, k_density: int = 5) -> NeighbourScores:
    """All five figures from one pass over the real-fake distances and one over each set's own.

    real, fake: features [N, D] and [M, D], float32 (fast) or float64 (exact), more than k samples each.
        precision = share of fakes with d(y, x_i) <= r_k(x_i) for some real x_i; recall with the roles swapped
        density   = 1 / (k M) sum_j #{i: d(y_j, x_i) < r_k(x_i)}          coverage = share of x_i with min_j d
        < r_k(x_i)
    """
    at_least(1, k=k, k_density=k_density)
    real, fake = feature_pair(real, fake)
    own = nearest(real, real, max(k, k_density), exclude_self=True)[0]
    density_radii = own[:, k_density - 1]
    tally = _tally(real, fake, (own[:, k - 1], radii(fake, k)), density_radii)
    return _scores(tally, density_radii, k_density)


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2); features [N, D] and [M, D]."""
    scores = neighbour_scores(real, fake, k=k, k_density=k)
    return scores.precision, scores.recall


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, eq. 3-4); needs the radii of the real set only."""
    real, fake = feature_pair(real, fake)
    real_radii = radii(real, k)
    none = fake.new_full((len(fake),), -1.0)
    scores = _scores(_tally(real, fake, (real_radii, none), real_radii), real_radii, k)
    return scores.density, scores.coverage


def f1(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def one_nearest_neighbour(real: Tensor, fake: Tensor) -> OneNearestNeighbour:
    """1-NN two-sample test (Lopez-Paz & Oquab 2017; halves apart as Xu et al. 2018), leave one out.

    Use as many fakes as reals: with unequal numbers chance is no longer 1/2. Ties between a real and a fake
    neighbour (exact copies) go to the other class, so copied training samples count as not told apart.
    """
    real, fake = feature_pair(real, fake)
    between = real.new_full((len(real),), torch.inf), real.new_full((len(fake),), torch.inf)
    a, b = centred(real, fake)
    for row, column, squared in blocks(a, b):
        between[0][row] = torch.minimum(between[0][row], squared.amin(1))
        between[1][column] = torch.minimum(between[1][column], squared.amin(0))
    told_real = float((radii(real, 1) < between[0]).double().mean())
    told_fake = float((radii(fake, 1) < between[1]).double().mean())
    together = (told_real * len(real) + told_fake * len(fake)) / (len(real) + len(fake))
    return OneNearestNeighbour(together, told_real, told_fake)


def mean_nearest_distance(real: Tensor, fake: Tensor) -> float:
    """Mean distance of reals to their nearest fake: how well the fakes cover the data, in feature units.

    (With the roles swapped: how far fakes lie from the data.)
    """
    real, fake = feature_pair(real, fake, least=1)
    return float(nearest(real, fake, 1)[0].double().sqrt().mean())
