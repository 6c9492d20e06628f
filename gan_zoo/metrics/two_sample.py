"""Classifier two-sample test (Lopez-Paz & Oquab 2017): can a small network tell unseen fakes from reals?

H0 (equal distributions): accuracy on n held-out samples ~ N(1/2, 1/(4 n)); p = 1 - Phi((accuracy - 1/2) 2
sqrt(n)). The 1-NN form is gan_zoo.metrics.neighbours.one_nearest_neighbour.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gan_zoo.metrics.inputs import at_least, feature_pair, seeded


class TwoSampleTest(NamedTuple):
    """Held-out accuracy, its one-sided p-value under "both are equal", and the accuracy on each half."""

    accuracy: float
    p_value: float
    real: float
    fake: float
    held_out: int


def accuracy_p_value(accuracy: float, n: int) -> float:
    """P(an accuracy at least this high | H0), normal approximation N(1/2, 1/(4 n))."""
    at_least(1, n=n)
    if not 0 <= accuracy <= 1:
        raise ValueError(f"an accuracy must lie in [0, 1], got {accuracy}")
    return 0.5 * math.erfc((accuracy - 0.5) * 2 * math.sqrt(n) / math.sqrt(2))


def classifier_two_sample(
    real: Tensor,
    fake: Tensor,
    *,
    hidden: int = 20,
    epochs: int = 100,
    lr: float = 0.01,
    batch: int = 64,
    seed: int = 0,
) -> TwoSampleTest:
    """Trains one hidden ReLU layer with Adam on half of both sets and tests it on the other half.

    real, fake: features [N, D]; the larger set is cut to the size of the smaller, so that chance is 1/2.
    Inputs are standardised by the training half. Deterministic for a seed on one machine; the global random
    state is not touched.
    """
    at_least(1, hidden=hidden, epochs=epochs, batch=batch)
    real, fake = (one.float() for one in feature_pair(real, fake, least=4))
    generator = seeded(seed)
    n = min(len(real), len(fake))
    chosen = [one[torch.randperm(len(one), generator=generator)[:n].to(one.device)] for one in (real, fake)]
    half = n // 2
    train = torch.cat([one[:half] for one in chosen])
    held_out = torch.cat([one[half:] for one in chosen])
    std, mean = torch.std_mean(train, 0)
    train, held_out = ((one - mean) / std.clamp_min(1e-6) for one in (train, held_out))
    logits = _fitted(train, hidden, epochs, lr, batch, generator)(held_out).squeeze(1)
    tested = n - half
    right_real = float((logits[:tested] > 0).double().mean())
    right_fake = float((logits[tested:] <= 0).double().mean())
    accuracy = (right_real + right_fake) / 2
    return TwoSampleTest(accuracy, accuracy_p_value(accuracy, 2 * tested), right_real, right_fake, 2 * tested)


def _fitted(
    train: Tensor, hidden: int, epochs: int, lr: float, batch: int, generator: torch.Generator
) -> nn.Module:
    """The first half of `train` is real (label 1), the second fake (label 0)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        network = nn.Sequential(nn.Linear(train.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, 1)).to(train)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    labels = torch.zeros(len(train), 1, device=train.device)
    labels[: len(train) // 2] = 1
    with torch.enable_grad():
        for _ in range(epochs):
            for index in torch.randperm(len(train), generator=generator).to(train.device).split(batch):
                optimizer.zero_grad()
                binary_cross_entropy_with_logits(network(train[index]), labels[index]).backward()
                optimizer.step()
    return network.requires_grad_(False)
