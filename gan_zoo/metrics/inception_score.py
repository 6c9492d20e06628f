"""Scores from class probabilities p(y|x) alone: Inception, mode, modified Inception and AM score.

All take rows of probabilities [N, K] (softmax of Inception's logits, or a classifier of your own) and use
natural logarithms. KL is summed over the classes, then averaged over samples.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.inputs import probabilities, probability_pair, seeded


class InceptionScore(NamedTuple):
    """Mean and population deviation over the splits; 1 <= score <= number of classes."""

    mean: float
    std: float


def _log(p: Tensor) -> Tensor:
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()  # 0 log 0 = 0


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) = sum_k p_k log(p_k / q_k) of each row, in nats; broadcasts. Infinite where q = 0 < p."""
    infinite = ((q == 0) & (p > 0)).any(-1)
    return (p * (_log(p) - _log(q))).sum(-1).masked_fill(infinite, torch.inf)


def entropy(p: Tensor) -> Tensor:
    """-sum_k p_k log p_k of each row, in nats."""
    return -(p * _log(p)).sum(-1)


def inception_score(given: Tensor, splits: int = 10, seed: int | None = 0) -> InceptionScore:
    """exp(E_x KL(p(y|x) || p(y))) with the marginal p(y) taken inside each split (Salimans et al. 2016).

    given: probabilities [N, K]; the papers use 50,000 samples in 10 splits. seed: the samples are shuffled
    first, None keeps their order (samples sorted by class would make every split's marginal narrow).
    """
    rows = probabilities(given)
    if not 1 <= splits <= len(rows):
        raise ValueError(f"splits must be between 1 and {len(rows)} (the samples), got {splits}")
    if seed is not None:
        rows = rows[torch.randperm(len(rows), generator=seeded(seed)).to(rows.device)]
    edges = [i * len(rows) // splits for i in range(splits + 1)]
    scores = torch.stack([_score(rows[low:high]) for low, high in pairwise(edges)])
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)))


def _score(rows: Tensor) -> Tensor:
    return kl_divergence(rows, rows.mean(0)).mean().exp()


def mode_score(given: Tensor, real: Tensor) -> float:
    """exp(E_x KL(p(y|x) || p_real(y)) - KL(p_fake(y) || p_real(y))) (Che et al. 2017).

    given, real: probabilities [N, K] and [M, K] of fake and real samples. Algebraically the terms in p_real
    cancel and what is left is the Inception score of one split (Zhou et al. 2018, sec. 5): it adds no
    information to it.
    """
    fake_rows, real_rows = probability_pair(given, real)
    marginal, truth = fake_rows.mean(0), real_rows.mean(0)
    if bool(((truth == 0) & (marginal > 0)).any()):  # both terms infinite; their difference has this limit
        return float(_score(fake_rows))
    return float((kl_divergence(fake_rows, truth).mean() - kl_divergence(marginal, truth)).exp())


def modified_inception_score(given: Tensor) -> float:
    """exp(E_i E_j KL(p(y|x_i) || p(y|x_j))): rewards variety within a class too (Gurumurthy et al. 2017).

    Over all pairs i, j of the rows given; apply it to one class at a time, as the authors do, and average.
    """
    rows = probabilities(given)
    # E_i E_j sum_k p_ik (log p_ik - log p_jk) = -E_i H(p_i) - <mean p, mean log p>
    return float((-entropy(rows).mean() - (rows.mean(0) * _log(rows).mean(0)).sum()).exp())


def modified_score_by_class(given: Tensor) -> float:
    """modified_inception_score of each class (by argmax) that has two samples or more, averaged over those classes."""
    rows = probabilities(given)
    shown = rows.argmax(1)
    groups = [rows[shown == k] for k in shown.unique()]
    scores = [modified_inception_score(group) for group in groups if len(group) > 1]
    return sum(scores) / len(scores) if scores else 1.0


def am_score(given: Tensor, real: Tensor) -> float:
    """KL(p_real(y) || p_fake(y)) + E_x H(y|x) (Zhou et al. 2018); lower is better.

    0 when every sample is certain and the marginals agree.

    Infinite when the fakes give no probability at all to a class that the real data have.
    """
    fake_rows, real_rows = probability_pair(given, real)
    return float(kl_divergence(real_rows.mean(0), fake_rows.mean(0)) + entropy(fake_rows).mean())
