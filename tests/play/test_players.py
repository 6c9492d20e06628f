"""From a loss to a step: clipping, rates, stale states."""

from __future__ import annotations

import pytest
import torch

from ..games import ADAM, BOTH_SGD, SEPARATE, Points, play, points


def test_clipping_bounds_the_step() -> None:
    gan = points(optimizer=BOTH_SGD, clip={"discriminator": 1e-3}, n_critic=100)
    before = torch.cat([p.detach().flatten().clone() for p in gan.discriminator.parameters()])
    play(gan, 1)
    moved = torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()]) - before
    assert moved.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_learning_rates_follow_samples_seen() -> None:
    decaying = {"name": "adam", "lr": {"name": "linear", "value": 1e-3, "to": 0.0, "length": 160}}
    gan = points(optimizer={"generator": decaying, "discriminator": ADAM})
    play(gan, 6)
    assert gan.figures()["generator/learning_rate"] == pytest.approx(
        1e-3 * (1 - 80 / 160)
    )  # the sixth step began at 80 samples


def test_a_stale_optimiser_state_is_cleared() -> None:
    class Growing(Points):
        def advance(self, samples_seen: int) -> bool:
            return samples_seen == 48

    torch.manual_seed(0)
    gan = Growing(
        loss={"name": "hinge", "weights": SEPARATE},
        latent={"size": 8},
        optimizer={"generator": ADAM, "discriminator": ADAM},
    )
    play(gan, 5)
    steps = {int(state["step"]) for state in gan._optimizer("discriminator").state.values()}
    assert steps == {2}  # counted anew from the fourth step on
