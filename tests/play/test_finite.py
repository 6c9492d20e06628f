"""What is not finite stops the game before the update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from gan_zoo.gan import NonFinite
from gan_zoo.play.finite import FiniteFlag

from ..games import play, points


class Poison(Callback):
    """Makes one real sample infinite at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.step:
            batch["real"][0] = torch.inf


def test_a_loss_that_is_not_finite_stops_before_the_update() -> None:
    gan, twin = points(), points()
    play(twin, 2)
    with pytest.raises(NonFinite, match=r"discriminator.*after 32 samples.*all parameters are as they were"):
        play(gan, 5, Poison(2))
    for mine, theirs in zip(gan.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_healthy_run_raises_no_alarm() -> None:
    play(points(), 200)


def test_one_step_that_is_not_finite_is_remembered_until_it_is_read() -> None:
    flag, yes, no = FiniteFlag(), torch.tensor(True), torch.tensor(False)
    assert flag.read()
    for steps in ([yes, no], [no, yes]):
        for step in steps:
            flag.note(step)
        assert not flag.read() and flag.read()  # read once, begun anew
    flag.note(yes)
    assert flag.read()
