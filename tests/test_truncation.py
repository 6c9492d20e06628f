"""Latents drawn towards their mean: less variety, down to one picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gan_zoo import loading
from gan_zoo.config import compose, validate
from gan_zoo.schema import ConfigError
from gan_zoo.truncation import truncated

PGGAN = ("model=pggan", "data.resolution=16", "data.batch_size=8", "model.schedule.initial_resolution=16")
DCGAN = (
    "model=dcgan",
    "data=digits",
    "data.resolution=16",
    "model.generator.width=4",
    "model.discriminator.width=4",
)


def built(*overrides: str) -> Any:
    return loading.build(validate(compose(overrides)))


def test_truncation_of_pggan_draws_its_first_layer_towards_the_mean() -> None:
    gan = built(*PGGAN)
    seen: list[torch.Tensor] = []
    gan.ema_generator.stem.dense.register_forward_hook(lambda layer, given, made: seen.append(made.clone()))
    whole = gan.sample(4, seed=1)
    for share in (1.0, 0.7, 0.0):
        with truncated(gan, share):
            drawn = gan.sample(4, seed=1)
        torch.testing.assert_close(seen[-1], share * seen[0])  # E W z = 0: the rest of w is the bias
        assert torch.equal(drawn, whole) == (share == 1.0)
    with truncated(gan, 0.0):
        one = gan.sample(4)
    torch.testing.assert_close(one, one[:1].expand_as(one))
    assert torch.equal(gan.sample(4, seed=1), whole)  # nothing of it stays


def test_truncation_scales_the_latents_of_other_models_around_the_mean_of_their_law() -> None:
    gan = built(*DCGAN, "model.latent.law=unit_uniform")
    z = gan.latent.fixed(3, 2)
    with truncated(gan, 0.5):
        drawn = gan.sample(3, seed=2)
    torch.testing.assert_close(drawn, gan.sample(3, latent=0.5 + 0.5 * (z - 0.5)))
    with pytest.raises(ConfigError, match=r"between 0 .* and 1 .* got 1\.5"), truncated(gan, 1.5):
        pass


def test_the_label_of_a_conditional_pggan_is_not_truncated() -> None:
    gan = built("experiment=pggan_conditional", *PGGAN[1:])
    with truncated(gan, 0.0):
        drawn = gan.sample(2, condition=torch.tensor([1, 2]))
    assert not torch.allclose(drawn[0], drawn[1])
