"""Parzen-window log-likelihood (Goodfellow et al. 2014, sec. 5).

    log p(x) = log mean_i exp(-|x - m_i|^2 / (2 s^2)) - D log(s sqrt(2 pi))

Kept because the first papers print it. Unreliable in high dimension: models that memorise, or K-means
centres, can beat the truth (Theis et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.distances import blocks, centred
from gan_zoo.metrics.inputs import feature_pair, positive, share_of_one
from gan_zoo.metrics.kernel import median_bandwidth

BANDWIDTHS = tuple(
    10 ** (-1 + i / 9) for i in range(10)
)  # logspace(-1, 0, 10), the authors' grid, for pixels in [0, 1]


class ParzenScore(NamedTuple):
    """Mean log-likelihood in nats a sample, its standard error, and the bandwidth used."""

    log_likelihood: float
    standard_error: float
    bandwidth: float


def parzen_log_likelihood(samples: Tensor, centres: Tensor, bandwidth: float) -> Tensor:
    """log p of each sample under Gaussians of deviation `bandwidth` on the centres, float64 [N].

    samples [N, D], centres [M, D] (generated); the papers' pixels are in [0, 1], so scale (x + 1) / 2 first.
    """
    return _log_likelihoods(samples, centres, [bandwidth])[0]


def _log_likelihoods(samples: Tensor, centres: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """[len(bandwidths), N]; the distances are computed once for all bandwidths."""
    if not len(bandwidths):
        raise ValueError("no bandwidths given; one at least is needed")
    for bandwidth in bandwidths:
        positive(bandwidth=bandwidth)
    pair = feature_pair(samples, centres, least=1, names=("samples", "centres"))
    samples, centres = (one.double() for one in pair)
    samples, centres = centred(samples, centres)
    total = samples.new_full((len(bandwidths), len(samples)), -torch.inf)
    for row, _, squared in blocks(samples, centres):
        for i, s in enumerate(bandwidths):
            total[i, row] = torch.logaddexp(total[i, row], (squared / (-2 * s * s)).logsumexp(1))
    dimensions = samples.shape[1]
    constants = [
        math.log(len(centres)) + dimensions * math.log(s * math.sqrt(2 * math.pi)) for s in bandwidths
    ]
    return total - total.new_tensor(constants)[:, None]


def choose_bandwidth(validation: Tensor, centres: Tensor, bandwidths: Sequence[float] = BANDWIDTHS) -> float:
    """The bandwidth of the highest mean log-likelihood of validation samples (the paper: the first 1,000)."""
    means = _log_likelihoods(validation, centres, bandwidths).mean(1)
    return bandwidths[int(means.argmax())]


def parzen_score(
    fake: Tensor, validation: Tensor, test: Tensor, bandwidths: Sequence[float] = BANDWIDTHS
) -> ParzenScore:
    """Mean test log-likelihood, the bandwidth chosen on validation; the error is over test samples."""
    bandwidth = choose_bandwidth(validation, fake, bandwidths)
    each = parzen_log_likelihood(test, fake, bandwidth)
    error = float(each.std(correction=1)) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    return ParzenScore(float(each.mean()), error, bandwidth)


def data_coverage(
    real: Tensor, fake: Tensor, *, share: float = 0.95, bandwidths: Sequence[float] | None = None
) -> float:
    """Share of reals [N, D] that lie where the model's density is above that of `share` of its own samples [M, D].

    Coverage of AdaGAN (Tolstikhin et al. 2017, sec. 4): P_data(p_model > t) with P_model(p_model > t) = share. The density is
    a Parzen window on one half of the fakes; the other half chooses its bandwidth and t, so that equal distributions come to
    `share`. bandwidths: to choose from; default: 2 ** -8 ... 2 of the fakes' median distance. Low: modes are missing.
    """
    real, fake = feature_pair(real, fake)
    share_of_one(share=share)
    if len(fake) < 4:
        raise ValueError(f"at least 4 fakes are needed, half of them as centres, got {len(fake)}; draw more")
    centres, others = fake[::2], fake[1::2]
    if bandwidths is None:
        width = median_bandwidth(centres, others)
        bandwidths = [width * 2.0**power for power in range(-8, 2)]
    bandwidth = choose_bandwidth(others, centres, bandwidths)
    threshold = parzen_log_likelihood(others, centres, bandwidth).quantile(1 - share)
    return float((parzen_log_likelihood(real, centres, bandwidth) > threshold).double().mean())
