"""Euclidean distances between large sets, block by block: no [N, M] matrix is ever held."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS, COLUMNS = 2048, 8192  # a block of float32 is 64 MiB
DIRECT_DIMENSIONS = 64
CANDIDATES = 1024  # samples of which the centre is the median


def centred(*sets: Tensor) -> tuple[Tensor, ...]:
    """All sets less a point in the middle of the first: distances stay, |a|^2 + |b|^2 - 2ab loses fewer digits.

    Each coordinate of the point is a value that a sample has there, the median. So differences of integers stay integers and
    ties of binary vectors ties, which the mean, being no integer, would leave to rounding.
    """
    first = sets[0]
    if not len(first):
        return sets
    middle = first[:: -(-len(first) // CANDIDATES)].median(0).values  # the lower one of two, not their mean
    return tuple(one - middle for one in sets)


def squared_distances(a: Tensor, b: Tensor, norms_b: Tensor | None = None) -> Tensor:
    """|a_i - b_j|^2, [len(a), len(b)], in the dtype of the input.

    Up to 64 dimensions by direct differences: points on a ring of sigma 0.01 would drown in the cancellation
    of |a|^2 + |b|^2 - 2ab, which is used above, where it is fast and distances are large.
    """
    if a.shape[1] <= DIRECT_DIMENSIONS:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square_()
    if norms_b is None:
        norms_b = b.square().sum(1)
    return torch.addmm(norms_b, a, b.T, alpha=-2).add_(a.square().sum(1, keepdim=True)).clamp_min_(0)


def blocks(
    a: Tensor, b: Tensor, rows: int = ROWS, columns: int = COLUMNS
) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows of a, columns of b, their squared distances); memory is one block, however large the sets."""
    norms_b = b.square().sum(1)
    for i in range(0, len(a), rows):
        row = slice(i, min(i + rows, len(a)))
        for j in range(0, len(b), columns):
            column = slice(j, min(j + columns, len(b)))
            yield row, column, squared_distances(a[row], b[column], norms_b[column])


def nearest(
    queries: Tensor, references: Tensor, k: int = 1, *, exclude_self: bool = False
) -> tuple[Tensor, Tensor]:
    """Squared distances and indices of the k nearest references of each query, both [N, k], nearest first.

    exclude_self: queries and references are the same set and a sample is not its own neighbour (exact copies
    are).
    """
    available = len(references) - exclude_self
    if not 1 <= k <= available:
        raise ValueError(f"k must be between 1 and {available} (the other samples), got {k}")
    queries, references = centred(queries, references)
    best = queries.new_full((len(queries), k), torch.inf)
    index = torch.zeros(len(queries), k, dtype=torch.int64, device=queries.device)
    for row, column, squared in blocks(queries, references):
        if exclude_self:
            _hide_diagonal(squared, row, column)
        found, at = squared.topk(min(k, squared.shape[1]), dim=1, largest=False)
        joined = torch.cat([best[row], found], 1)
        best[row], order = joined.topk(k, dim=1, largest=False)
        index[row] = torch.cat([index[row], at + column.start], 1).gather(1, order)
    return best, index


def _hide_diagonal(squared: Tensor, row: slice, column: slice) -> None:
    low, high = max(row.start, column.start), min(row.stop, column.stop)
    if low < high:
        own = torch.arange(low, high, device=squared.device)
        squared[own - row.start, own - column.start] = torch.inf


def exact_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_i| of paired rows, float64 [N]: for the few pairs that are shown or thresholded."""
    return (a.double() - b.double()).square().sum(1).sqrt()
