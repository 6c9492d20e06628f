"""Differentiable augmentation against what its words say."""

from __future__ import annotations

import pytest
import torch

from gan_zoo import chance
from gan_zoo.augmentation import Augmentation, recoloured, translated, with_hole
from gan_zoo.schema import ConfigError


def pictures(n: int = 512, side: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_translation_moves_whole_pictures_by_every_allowed_step() -> None:
    chance.begin_step(0, 0)
    x = torch.zeros(2000, 1, 16, 16)
    x[:, :, 8, 8] = 1.0
    moved = translated(x, 0.125)  # up to 2 pixels
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(2000))
    where = moved.flatten(1).argmax(1)
    steps = torch.stack([where // 16 - 8, where % 16 - 8], 1)
    assert {tuple(step) for step in steps.tolist()} == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}
    assert steps.float().mean(0).abs().max() < 0.15


def test_translation_by_nothing_changes_nothing() -> None:
    x = pictures()
    assert torch.equal(translated(x, 0.0), x)


def test_a_hole_has_the_asked_share_of_the_picture_and_the_rest_is_untouched() -> None:
    chance.begin_step(0, 0)
    x = torch.ones(4000, 1, 16, 16)
    cut = with_hole(x, 0.5)
    holes = (cut == 0).float().mean((1, 2, 3))
    assert holes.max() == pytest.approx(0.25)  # where it lies inside
    assert holes.mean() == pytest.approx(
        (0.5 * (1 - 0.5 / 4)) ** 2, abs=0.01
    )  # centres are even: a side loses 1/4 of its half at the edge
    assert set(cut.unique().tolist()) == {0.0, 1.0}


def test_colour_keeps_grey_pictures_grey_and_averages_out() -> None:
    chance.begin_step(0, 0)
    grey = pictures(2000)[:, :1].expand(-1, 3, -1, -1)
    changed = recoloured(grey, 0.5)
    torch.testing.assert_close(changed[:, 0], changed[:, 2])
    assert (changed - grey).mean().abs() < 0.02 and (changed - grey).abs().mean() > 0.1


def test_gradients_reach_the_picture_and_are_the_changes_own() -> None:
    chance.begin_step(0, 0)
    x = pictures(4, 8).double().requires_grad_()
    augment = Augmentation(colour=0.3, translation=0.2, cutout=0.4)

    def again(value: torch.Tensor) -> torch.Tensor:
        chance.begin_step(0, 0)
        return augment(value)

    assert torch.autograd.gradcheck(again, x)


def test_the_same_step_draws_the_same_changes_and_two_ranks_those_of_one_process() -> None:
    x, augment = pictures(8), Augmentation(colour=0.5, translation=0.125, cutout=0.5)
    chance.begin_step(3, 7)
    whole = augment(x)
    halves = []
    for rank in (0, 1):
        chance.begin_step(3, 7, rank, 2)
        halves.append(augment(x[4 * rank : 4 * rank + 4]))
    torch.testing.assert_close(torch.cat(halves), whole)


@pytest.mark.parametrize("amount", [-0.1, 1.0])
def test_amounts_outside_0_and_1_are_refused(amount: float) -> None:
    with pytest.raises(ConfigError, match=r"model.augment.cutout must be in \[0, 1\)"):
        Augmentation(cutout=amount)


def test_points_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"got \[5, 2\]; set it to null"):
        Augmentation(translation=0.1)(torch.zeros(5, 2))
