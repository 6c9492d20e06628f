"""Samples: from the average, of what was asked and given, without a trace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gan_zoo.gan import Batch
from gan_zoo.schema import ConfigError

from ..games import BOTH_SGD, SEPARATE, Points, play, points


def test_samples_come_from_the_average_and_leave_no_trace() -> None:
    gan = points(ema_decay=0.999, dropout=0.5)
    play(gan, 5)
    state, rng = copy.deepcopy(gan.state_dict()), torch.get_rng_state()
    first = gan.sample(10, seed=3)
    assert torch.equal(torch.get_rng_state(), rng) and gan.generator.training
    torch.testing.assert_close(first, gan.ema_generator(gan.latent.fixed(10, 3)))
    assert all(
        torch.equal(gan.state_dict()[name], value)
        for name, value in state.items()
        if isinstance(value, Tensor)
    )
    torch.testing.assert_close(gan.sample(4, seed=3), first[:4])


class Moved(Points):
    """Makes a point from a given one, which the wire carries as centimetres."""

    conditioned_on = ("condition",)

    def prepare_batch(self, batch: Batch) -> Batch:
        return super().prepare_batch(batch) | {"condition": batch["condition"].float() / 100}

    def generate(self, batch: Batch) -> Tensor:
        return batch["condition"] + 0 * self.generator(batch["latent"])


def moved() -> Moved:
    setting = {
        "loss": {"name": "non_saturating", "weights": SEPARATE},
        "latent": {"size": 8},
        "optimizer": BOTH_SGD,
    }
    return Moved(**setting)


def test_samples_are_made_from_given_inputs_prepared_as_in_training() -> None:
    gan = moved()
    given = torch.tensor([[100, 200], [300, 400], [500, 600]], dtype=torch.int16)
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for chunk in (1, 2, 256):
        torch.testing.assert_close(gan.sample(3, inputs={"condition": given}, chunk=chunk), expected)
    torch.testing.assert_close(gan.sample(2, condition=given), expected[:2])


def test_inputs_that_lack_or_are_too_few_are_refused() -> None:
    with pytest.raises(ConfigError, match="makes its samples from condition, and condition did not come"):
        moved().sample(2)
    with pytest.raises(ConfigError, match="condition has 3 entries for 4 samples"):
        moved().sample(4, inputs={"condition": torch.zeros(3, 2)})


def test_sampling_with_batch_statistics_leaves_the_running_ones_alone() -> None:
    gan = points(batch_statistics=True)
    gan.generator = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = copy.deepcopy(gan.state_dict())
    together, alone = (
        gan.sample(2),
        gan.sample(2, latent=torch.cat([gan.latent.fixed(1, 0), torch.zeros(1, 8)])),
    )
    assert not torch.allclose(together[0], alone[0])  # a sample depends on its batch mates
    assert all(
        torch.equal(gan.state_dict()[name], value)
        for name, value in before.items()
        if isinstance(value, Tensor)
    )
