"""NDB: number of statistically different bins (Richardson & Weiss 2018, sec. 3).

K-means on the training set gives K bins; a bin differs when its share of fakes and its share of training
samples fail a pooled two-proportion z-test. 5 % of the bins fail by chance alone: print the held-out set's
NDB beside a model's.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.inputs import as_features, at_least, histogram_pair, require_values, seeded, share_of_one

MANY_DIMENSIONS = 1000


class DifferentBins(NamedTuple):
    """ndb of K bins differ, share = ndb / K; js in nats; proportions of the samples [K]."""

    ndb: int
    share: float
    js: float
    proportions: Tensor
    different: Tensor


def two_proportion_p(p1: Tensor, n1: int, p2: Tensor, n2: int) -> Tensor:
    """Two-sided p-value of z = (p1 - p2) / sqrt(p (1 - p) (1/n1 + 1/n2)), p pooled; 1 where p1 = p2."""
    at_least(1, n1=n1, n2=n2)
    for name, one in (("p1", p1), ("p2", p2)):
        require_values(one, name)
        if one.min() < 0 or one.max() > 1:
            raise ValueError(
                f"{name} must be shares in [0, 1], got {float(one.min()):g} ... {float(one.max()):g}"
            )
    pooled = (p1 * n1 + p2 * n2) / (n1 + n2)
    error = (pooled * (1 - pooled) * (1 / n1 + 1 / n2)).sqrt()
    z = torch.where(p1 == p2, 0.0, (p1 - p2) / error)
    return torch.special.erfc(z.abs() / 2**0.5)


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon divergence of two histograms, in nats: 0 when equal, log 2 when disjoint."""
    p, q = histogram_pair(p, q)
    middle = (p + q) / 2
    halves = (torch.xlogy(one, one) - torch.xlogy(one, middle) for one in (p, q))
    return float(sum(half.sum() for half in halves) / 2)


class Bins:
    """K-means bins of a training set [N, D], kept to score any number of sample sets.

    There are fewer than `bins` of a set with fewer different samples; of one without two, ValueError.
    Above 1,000 dimensions the bins are found and assigned on a random sixth of them, as in the authors' code.
    """

    def __init__(self, train: Tensor, bins: int = 100, *, whiten: bool = False, seed: int = 0) -> None:
        train = as_features(train, "train")
        if not 2 <= bins <= len(train):
            raise ValueError(f"bins must be between 2 and {len(train)} (the training samples), got {bins}")
        self.count = len(train)
        self.mean = train.mean(0) if whiten else torch.zeros_like(train[0])
        self.std = train.std(0, correction=0) + 1e-6 if whiten else torch.ones_like(train[0])
        dimensions = train.shape[1]
        used = dimensions // 6 if dimensions > MANY_DIMENSIONS else dimensions
        self.used = torch.randperm(dimensions, generator=seeded(seed))[:used].sort().values
        self.centres = _different(_cluster(self._prepared(train), bins, seed))
        if len(self.centres) < 2:
            raise ValueError(f"the {len(train)} training samples are all alike; bins need two different ones")
        shares = self.assign(train).bincount(minlength=len(self.centres)).double() / len(train)
        order = shares.argsort(descending=True)
        self.centres, self.proportions = self.centres[order], shares[order]

    def _prepared(self, samples: Tensor) -> Tensor:
        if samples.shape[1] != len(self.mean):
            raise ValueError(f"samples have {samples.shape[1]} dimensions, the bins {len(self.mean)}")
        return ((samples.to(self.mean) - self.mean) / self.std)[:, self.used]

    def assign(self, samples: Tensor) -> Tensor:
        """The bin of each sample, int64 [N]: the nearest centre."""
        return nearest(self._prepared(as_features(samples)), self.centres, 1)[1][:, 0]

    def score(self, samples: Tensor, significance: float = 0.05) -> DifferentBins:
        """Compares samples [M, D] with the training set."""
        share_of_one(significance=significance)
        counts = self.assign(samples).bincount(minlength=len(self.centres)).double()
        shares = counts / counts.sum()
        different = two_proportion_p(self.proportions, self.count, shares, len(samples)) < significance
        js = jensen_shannon(self.proportions, shares)
        return DifferentBins(int(different.sum()), float(different.double().mean()), js, shares, different)


def _cluster(samples: Tensor, bins: int, seed: int) -> Tensor:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different samples than bins: `_different`
        found = KMeans(bins, n_init=1, max_iter=100, random_state=seed).fit(samples.cpu().numpy())
    return torch.from_numpy(found.cluster_centers_).to(samples)


def _different(centres: Tensor) -> Tensor:
    """The centres less those that equal an earlier one but for rounding: which of two is nearer, chance would say."""
    near = 16 * torch.finfo(centres.dtype).eps * float(centres.abs().max())
    kept: list[int] = []
    for i, centre in enumerate(centres):
        if not kept or float((centres[kept] - centre).abs().amax(1).min()) > near:
            kept.append(i)
    return centres[kept]


def different_bins(train: Tensor, samples: Tensor, bins: int = 100, *, seed: int = 0) -> DifferentBins:
    """NDB of samples [M, D] against a training set [N, D] in one call."""
    return Bins(train, bins, seed=seed).score(samples)
