"""What cannot be right is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from gan_zoo.schema import ConfigError

from ..games import ADAM, JOINT, SEPARATE, Points, points


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": {"name": "wasserstein", "weights": SEPARATE}}, "nothing bounds"),
        (
            {"loss": {"name": "rpgan", "weights": JOINT}, "discriminator_update": "separate"},
            "scores real and fake together",
        ),
        ({"generator_batch_factor": 2}, "needs model.fresh_fake=true"),
    ],
)
def test_combinations_that_cannot_be_right_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        points(**settings)


class Normed(Points):
    def __init__(self, last: nn.Module, **play: Any) -> None:
        super().__init__(**play)
        self.discriminator = nn.Sequential(nn.Linear(2, 4), last)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (nn.BatchNorm1d(4), "cannot be right on a discriminator with batch norm"),
        (nn.Sigmoid(), "ends in a sigmoid"),
    ],
)
def test_networks_that_cannot_be_right_are_refused(last: nn.Module, words: str) -> None:
    penalty = {"parts": {"gradient_penalty": {}}, "weights": {"discriminator": {"gradient_penalty": 10.0}}}
    with pytest.raises(ConfigError, match=words):
        Normed(
            last,
            loss={"name": "hinge", "weights": SEPARATE},
            regularizer=penalty,
            latent={"size": 8},
            optimizer={"generator": ADAM, "discriminator": ADAM},
        )
