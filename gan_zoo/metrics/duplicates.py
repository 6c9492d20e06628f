"""Memory and support: duplicates among samples, copies of training samples, D's gap on held-out data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import exact_distances, nearest
from gan_zoo.metrics.inputs import as_features, as_values, at_least, feature_pair, share_of_one


class Pairs(NamedTuple):
    """Pairs (first[i], second[i]) of sample indices, nearest first, and their distances (float64)."""

    first: Tensor
    second: Tensor
    distance: Tensor


class Support(NamedTuple):
    """probability: share of batches with a duplicate; estimate: support that explains it; bound = size^2.

    estimate is inf when no batch had a duplicate: the support is then too large for this batch size.
    """

    size: int
    probability: float
    estimate: float
    bound: int


class Copies(NamedTuple):
    """Nearest training samples of each fake, nearest first: indices [N, k], distances [N, k] in float64.

    share: of fakes nearer to a training sample than the `quantile` of held-out samples are (see
    training_copies).
    """

    neighbour: Tensor
    distance: Tensor
    threshold: float
    share: float


class ScoreGap(NamedTuple):
    """D's mean scores of training and held-out reals, their gap, and the AUC of telling them apart by score.

    auc 0.5: D does not know its training set; near 1: it memorised it. p_value: two-sided Mann-Whitney, AUC =
    0.5.
    """

    train: float
    held_out: float
    gap: float
    auc: float
    p_value: float


def nearest_pairs(samples: Tensor, pairs: int = 20, neighbours: int = 5) -> Pairs:
    """The most similar pairs of a batch [N, ...] by Euclidean distance, to be drawn and judged by eye.

    Each sample offers its `neighbours` nearest others; pixels, or features of a network: state which.
    """
    features = as_features(samples)
    at_least(1, pairs=pairs, neighbours=neighbours)
    k = min(neighbours, len(features) - 1)
    index = nearest(features, features, k, exclude_self=True)[1]
    first = torch.arange(len(features), device=index.device)[:, None].expand_as(index).flatten()
    both = torch.stack([first, index.flatten()], 1).sort(1).values.unique(dim=0)
    distance = exact_distances(features[both[:, 0]], features[both[:, 1]])
    order = distance.argsort(stable=True)[:pairs]
    return Pairs(both[order, 0], both[order, 1], distance[order])


def duplicate_probability(size: int, support: int) -> float:
    """P(two of `size` uniform draws of `support` items are equal) = 1 - prod_{i < size} (1 - i/support)."""
    at_least(1, size=size, support=support)
    if size > support:
        return 1.0
    return -math.expm1(sum(math.log1p(-i / support) for i in range(size)))


def support_from_probability(size: int, probability: float) -> float:
    """The support that gives this duplicate probability at this batch size; inf for probability 0.

    Real-valued solution of prod (1 - i / n) = 1 - p by bisection; about size^2 / (2 ln(1 / (1 - p))).
    """
    at_least(1, size=size)
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability must lie in [0, 1], got {probability}")
    if size < 2 or probability == 0:
        return math.inf
    if probability == 1:
        return float(size - 1)  # an upper limit only: every batch of this size must repeat
    wanted, low, high = math.log1p(-probability), float(size - 1), float(size) ** 2 / min(probability, 0.5)
    for _ in range(100):
        middle = (low + high) / 2
        product = sum(math.log1p(-i / middle) if i < middle else -math.inf for i in range(size))
        low, high = (middle, high) if product < wanted else (low, middle)
    return (low + high) / 2


def birthday_support(
    draw: Callable[[int, int], Tensor], size: int, threshold: float, *, batches: int = 20, seed: int = 0
) -> Support:
    """Support of a generator by the birthday paradox (Arora & Zhang 2017), from batches of `size` samples.

    draw(n, seed) -> n samples; two samples at most `threshold` apart (Euclidean, in whatever they are:
    pixels, features) are duplicates. Around a 50 % chance the estimate is best; support <~ size^2. For
    uniform draws the estimate is unbiased in the limit; a generator with unequal mass has more items than it
    says, never fewer.
    """
    at_least(2, size=size)
    at_least(1, batches=batches)
    if not 0 <= threshold < math.inf:
        raise ValueError(f"threshold must be a distance >= 0, got {threshold}")
    hits = 0
    for batch in range(batches):
        closest = nearest_pairs(draw(size, seed + batch), pairs=1).distance
        hits += int(float(closest[0]) <= threshold)
    probability = hits / batches
    return Support(size, probability, support_from_probability(size, probability), size**2)


def nearest_training(samples: Tensor, train: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Indices and distances (Euclidean, float64) of each sample's k nearest training samples, both [N, k]."""
    samples, train = feature_pair(samples, train, least=1, names=("samples", "train"))
    index = nearest(samples, train, k)[1]
    columns = [exact_distances(samples, train[index[:, i]]) for i in range(k)]
    distance, order = torch.stack(columns, 1).sort(1)
    return index.gather(1, order), distance


def training_copies(
    fake: Tensor, train: Tensor, held_out: Tensor, *, k: int = 1, quantile: float = 0.01
) -> Copies:
    """Nearest training samples of each fake, and the share as near as the `quantile` of held-out reals is.

    Held-out reals are near to the training set by chance as often as an honest generator: expect share =
    quantile.
    """
    share_of_one(quantile=quantile)
    index, distance = nearest_training(fake, train, k)
    threshold = float(nearest_training(held_out, train)[1].quantile(quantile))
    return Copies(index, distance, threshold, float((distance[:, 0] <= threshold).double().mean()))


def score_gap(train: Tensor, held_out: Tensor) -> ScoreGap:
    """The gap of D's logits on training and held-out reals, [N] and [M], that tells of memorising."""
    a, b = as_values(train, "train scores", least=2), as_values(held_out, "held-out scores", least=2)
    pooled = torch.cat([a, b.to(a.device)])
    _, inverse, counts = pooled.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts.double() - 1) / 2)[inverse]  # ties share their mean rank
    n, m = len(a), len(b)
    auc = float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
    ties = float((counts.double() ** 3 - counts).sum()) / ((n + m) * (n + m - 1))
    spread = math.sqrt((n + m + 1 - ties) / (12 * n * m))
    p_value = math.erfc(abs(auc - 0.5) / spread / math.sqrt(2)) if spread > 0 else 1.0
    return ScoreGap(float(a.mean()), float(b.mean()), float(a.mean() - b.mean()), auc, p_value)
