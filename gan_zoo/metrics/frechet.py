"""Frechet distance of two sets of features; with Inception-v3's pool3 it is the FID (Heusel et al. 2017).

    FID = |mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2))          S with N - 1

Figures depend on N (the bias is positive and about 1/N), on the network and on the resize filter: store them
with their protocol (gan_zoo.metrics.protocol).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

from gan_zoo.metrics.inputs import as_features, feature_pair

CHUNK = 8192


class Moments:
    """Mean and covariance of a stream of features [N, D], in float64, mergeable across chunks and ranks.

    Chan, Golub & LeVeque 1983: each chunk is centred on its own mean, so the order and size of chunks do not
    matter beyond rounding. Memory is D^2 doubles (34 MB at 2048), whatever N.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self.scatter = torch.zeros(0, 0, dtype=torch.float64)  # sum of (x - mean)(x - mean)^T

    @classmethod
    def of(cls, features: Tensor | Iterable[Tensor]) -> Moments:
        """The moments of one set, or of an iterable of chunks."""
        moments = cls()
        for chunk in [features] if isinstance(features, Tensor) else features:
            moments.update(chunk)
        return moments

    def update(self, features: Tensor) -> None:
        """Adds features [N, D], N >= 1."""
        for chunk in as_features(features, least=1).split(CHUNK):
            chunk = chunk.double()
            mean = chunk.mean(0)
            deviation = chunk - mean
            self._add(len(chunk), mean, deviation.T @ deviation)

    def merge(self, other: Moments) -> Moments:
        """The moments of both streams together; neither is changed."""
        merged = Moments()
        for part in (self, other):
            if part.count:
                merged._add(part.count, part.mean, part.scatter)
        return merged

    def _add(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        if self.count == 0:
            self.count, self.mean, self.scatter = count, mean.clone(), scatter.clone()
            return
        if mean.shape != self.mean.shape:
            raise ValueError(f"features of {len(mean)} dimensions cannot join a stream of {len(self.mean)}")
        total = self.count + count
        gap = mean.to(self.mean.device) - self.mean
        self.scatter += scatter.to(gap.device)
        self.scatter.addr_(gap, gap, alpha=self.count * count / total)
        self.mean = self.mean + gap * (count / total)
        self.count = total

    @property
    def covariance(self) -> Tensor:
        """[D, D] with divisor N - 1."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.count}; draw more")
        return self.scatter / (self.count - 1)

    def across_ranks(self) -> Moments:
        """The moments of all ranks' streams together; itself without torch.distributed.

        Every rank must call it; a rank that saw nothing may. Sums run in rank order: bitwise equal
        everywhere.
        """
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return self
        states: list[tuple[int, Tensor, Tensor] | None] = [None] * dist.get_world_size()
        dist.all_gather_object(states, (self.count, self.mean.cpu(), self.scatter.cpu()))
        merged = Moments()
        for state in states:
            if state is not None and state[0]:
                merged._add(*state)
        return merged


def frechet_distance_of_moments(real: Moments, fake: Moments) -> float:
    """The Frechet distance of two Gaussians given by their moments."""
    first, second = real.covariance, fake.covariance.to(real.mean.device)
    if first.shape != second.shape:
        raise ValueError(
            f"real has {len(real.mean)} dimensions, fake {len(fake.mean)}; take both through the same features"
        )
    gap = real.mean - fake.mean.to(real.mean.device)
    traces = first.diagonal().sum() + second.diagonal().sum()
    return float(gap @ gap + traces - 2 * trace_of_root(first, second))


def trace_of_root(first: Tensor, second: Tensor) -> Tensor:
    """tr (A B)^(1/2) = sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), for covariances A and B.

    Symmetric eigenproblems only: real, no iteration that may fail on singular matrices (N < D), unlike sqrtm.
    Directions in which A is numerically nothing (below D eps of its largest eigenvalue) are left out.
    """
    values, vectors = torch.linalg.eigh(first)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1].clamp_min(0)
    half = vectors[:, kept] * values[kept].sqrt()  # A = half half^T
    inner = half.T @ second @ half
    return torch.linalg.eigvalsh((inner + inner.T) / 2).clamp_min(0).sqrt().sum()


def frechet_distance(real: Tensor | Iterable[Tensor], fake: Tensor | Iterable[Tensor]) -> float:
    """Frechet distance (FID's formula) of features [N, D] and [M, D], or of iterables of such chunks.

    0 for equal moments; may be -1e-6 or so by rounding. ValueError for fewer than two samples or NaN.
    """
    if isinstance(real, Tensor) and isinstance(fake, Tensor):
        real, fake = feature_pair(real, fake)
        if max(len(real), len(fake)) < real.shape[1]:
            return _of_few(real, fake)
    return frechet_distance_of_moments(Moments.of(real), Moments.of(fake))


def _of_few(real: Tensor, fake: Tensor) -> float:
    """The same from the samples, where they are fewer than dimensions: seconds in place of minutes.

    With A = X^T X and B = Y^T Y, the roots of the eigenvalues of A B are the singular values of X Y^T, [N, M].
    """
    real, fake = real.double(), fake.double()
    gap = real.mean(0) - fake.mean(0)
    first, second = ((one - one.mean(0)) / (len(one) - 1) ** 0.5 for one in (real, fake))
    traces = first.square().sum() + second.square().sum()
    return float(gap @ gap + traces - 2 * torch.linalg.svdvals(first @ second.T).sum())
