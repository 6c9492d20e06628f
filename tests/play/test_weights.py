"""Every term has a weight, every weight a term."""

from __future__ import annotations

import pytest
import torch

from gan_zoo.play.weights import weighted_sum
from gan_zoo.schema import ConfigError

from ..games import play, points


def test_terms_and_weights_must_have_the_same_names() -> None:
    gan = points(weights={"generator": {"l1": 100.0}})
    with pytest.raises(
        ConfigError, match=r"terms adversarial and weights adversarial, l1.*without a term: l1"
    ):
        play(gan, 1)


def test_the_models_weights_win_over_the_losss() -> None:
    gan = points(weights={"discriminator": {"fake": 0.5}})
    assert gan.weights == {"discriminator": {"real": 1.0, "fake": 0.5}, "generator": {"adversarial": 1.0}}


def test_the_sum_is_of_all_terms_or_of_one_or_of_all_but_one() -> None:
    terms = {"real": torch.tensor(2.0), "fake": torch.tensor(3.0), "drift": torch.tensor(5.0)}
    weights = {"real": 1.0, "fake": 0.5, "drift": 0.1}
    assert weighted_sum("discriminator", terms, weights).item() == pytest.approx(2 + 1.5 + 0.5)
    assert weighted_sum("discriminator", terms, weights, only="fake").item() == pytest.approx(1.5)
    assert weighted_sum("discriminator", terms, weights, leave_out="fake").item() == pytest.approx(2.5)
