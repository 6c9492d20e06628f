"""What latents mean, as rows of samples: each is what the model makes of a latent that can be written down."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gan_zoo import loading
from gan_zoo.config import compose, validate
from gan_zoo.schema import ConfigError
from gan_zoo.views import latents

SMALL = ("data=digits", "data.resolution=16")


@pytest.fixture(scope="module")
def plain() -> Any:
    return loading.build(validate(compose(["model=vanilla", *SMALL])))


@pytest.fixture(scope="module")
def conditional() -> Any:
    return loading.build(validate(compose(["model=cgan", *SMALL])))


@pytest.mark.parametrize("path", ["spherical", "straight"])
def test_rows_walk_from_each_latent_to_the_next(plain: Any, path: str) -> None:
    rows = latents.interpolation(plain, 2, seed=4, path=path, steps=5)
    ends = plain.sample(3, latent=plain.latent.fixed(3, 4))
    assert len(rows) == 10
    torch.testing.assert_close(rows[[0, 4, 5, 9]], ends[[0, 1, 1, 2]])


def test_a_straight_walk_passes_through_the_middle(plain: Any) -> None:
    z = plain.latent.fixed(2, 0)
    middle = latents.interpolation(plain, 1, seed=0, path="straight", steps=3)[1:2]
    torch.testing.assert_close(middle, plain.sample(1, latent=z.mean(0, keepdim=True)))


def test_a_walk_of_a_conditional_model_is_of_one_class(conditional: Any) -> None:
    z = conditional.latent.fixed(2, 1)
    for condition, shown in ((None, 0), (7, 7)):
        rows = latents.interpolation(conditional, 1, seed=1, steps=2, condition=condition)
        torch.testing.assert_close(rows, conditional.sample(2, latent=z, condition=shown))


def test_means_of_latents_are_added_and_subtracted(plain: Any) -> None:
    z = plain.latent.fixed(6, 3)
    row = latents.arithmetic(plain, 3, plus=[[0, 2], [5]], minus=[[1, 4]])
    mean, other, less = (z[0] + z[2]) / 2, z[5], (z[1] + z[4]) / 2
    expected = plain.sample(4, latent=torch.stack([mean, other, less, mean + other - less]))
    torch.testing.assert_close(row, expected)


@pytest.mark.parametrize(("plus", "minus"), [([], []), ([[]], []), ([[1]], [[]])])
def test_arithmetic_of_nothing_is_refused(plain: Any, plus: list[Any], minus: list[Any]) -> None:
    with pytest.raises(ConfigError, match="needs lists of latent numbers"):
        latents.arithmetic(plain, 0, plus, minus)


def test_every_class_is_a_row_of_the_same_latents(conditional: Any) -> None:
    rows = latents.classes(conditional, 3, seed=2)
    z = conditional.latent.fixed(3, 2)
    assert len(rows) == 10 * 3
    torch.testing.assert_close(rows[21:24], conditional.sample(3, latent=z, condition=7))


def test_a_model_without_classes_has_no_rows_of_them(plain: Any) -> None:
    with pytest.raises(ConfigError, match="not conditional"):
        latents.classes(plain, 3, seed=0)
