"""Maximum mean discrepancy (Gretton et al. 2012) and its cubic form, KID (Binkowski et al. 2018).

MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)
unbiased: the within terms leave the diagonal out and divide by m (m - 1); the cross term divides by m n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import squared_distances
from gan_zoo.metrics.inputs import at_least, feature_pair, positive, seeded, subset

Kernel = Callable[[Tensor, Tensor], Tensor]
ROWS = 256  # a block against 50,000 samples is 100 MB of doubles


class KID(NamedTuple):
    """Mean and population deviation over the subsets. The mean may be slightly negative: it is unbiased."""

    mean: float
    std: float
    values: tuple[float, ...]


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = (x.y / D + 1)^3, the kernel of KID."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(*bandwidths: float) -> Kernel:
    """k(x, y) = mean over bandwidths s of exp(-|x - y|^2 / (2 s^2))."""
    if not bandwidths:
        raise ValueError("no bandwidths given; one at least is needed, e.g. median_bandwidth")
    for bandwidth in bandwidths:
        positive(bandwidth=bandwidth)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squared = squared_distances(x, y)
        return torch.stack([(squared / (-2 * s * s)).exp() for s in bandwidths]).mean(0)

    return kernel


def median_bandwidth(real: Tensor, fake: Tensor, seed: int = 0, most: int = 2000) -> float:
    """The median distance of (at most `most`) pooled samples: the usual width of a Gaussian kernel."""
    at_least(2, most=most)
    real, fake = feature_pair(real, fake)
    pooled = torch.cat([real, fake])
    pooled = subset(pooled, min(most, len(pooled)), seeded(seed))
    above = torch.triu_indices(len(pooled), len(pooled), 1, device=pooled.device)
    median = float(squared_distances(pooled, pooled)[above[0], above[1]].median().sqrt())
    if median == 0:
        raise ValueError("more than half of all pairs are identical: no bandwidth; give one yourself")
    return median


def mmd(real: Tensor, fake: Tensor, kernel: Kernel = polynomial, *, unbiased: bool = True) -> float:
    """MMD^2 of two sets [N, D] and [M, D] in float64, row block by row block.

    unbiased: an estimate of expectation 0 for equal distributions (so it may be negative); otherwise the
    V-statistic, which is >= 0 and exactly 0 for equal sets.
    """
    real, fake = (one.double() for one in feature_pair(real, fake))
    within = _mean_kernel(real, real, kernel, unbiased) + _mean_kernel(fake, fake, kernel, unbiased)
    return float(within - 2 * _mean_kernel(real, fake, kernel, False))


def _mean_kernel(x: Tensor, y: Tensor, kernel: Kernel, without_diagonal: bool) -> Tensor:
    total = x.new_zeros(())
    for start in range(0, len(x), ROWS):
        block = kernel(x[start : start + ROWS], y)
        total += block.sum()
        if without_diagonal:
            total -= block.diagonal(start).sum()
    return total / (len(x) * (len(y) - without_diagonal))


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    kernel: Kernel = polynomial,
) -> KID:
    """KID: unbiased MMD^2 on random subsets without replacement (StyleGAN3: 100 of 1,000).

    real, fake: features [N, D], N >= subset_size, otherwise ValueError; with pool3 of Inception-v3 it is the
    KID.
    """
    at_least(1, subsets=subsets)
    at_least(2, subset_size=subset_size)
    real, fake = feature_pair(real, fake)
    if min(len(real), len(fake)) < subset_size:
        raise ValueError(
            f"subsets of {subset_size} need that many samples, got {len(real)} real and {len(fake)} fake; "
            f"lower subset_size and say so beside the figure"
        )
    generator = seeded(seed)
    values = [
        mmd(subset(real, subset_size, generator), subset(fake, subset_size, generator), kernel)
        for _ in range(subsets)
    ]
    return _summary(values)


def _summary(values: Sequence[float]) -> KID:
    spread = torch.tensor(values, dtype=torch.float64)
    return KID(float(spread.mean()), float(spread.std(correction=0)), tuple(values))
