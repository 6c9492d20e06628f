"""What is not finite stops the game before the update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from gan_zoo.gan import Batch, NonFinite, Terms
from gan_zoo.play.finite import FiniteFlag, Turn

from ..games import ADAM, SEPARATE, Points, play, points


class Poison(Callback):
    """Makes one real sample infinite at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.step:
            batch["real"][0] = torch.inf


def unchanged(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_loss_that_is_not_finite_stops_before_the_update() -> None:
    gan, twin = points(), points()
    play(twin, 2)
    with pytest.raises(NonFinite, match=r"discriminator.*after 32 samples.*stopped before this update"):
        play(gan, 5, Poison(2))
    assert unchanged(gan, twin)


def test_where_the_device_leaves_updates_out_none_follows_the_sick_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU: D's sick update is left out, then G's and its average's, and the next step begins with the alarm."""
    monkeypatch.setattr(Points, "_masks", lambda self, optimizer: True)
    gan, twin = points(ema_half_life=16.0), points(ema_half_life=16.0)
    play(twin, 2)
    with pytest.raises(
        NonFinite, match=r"discriminator: discriminator/real is.*after 32 samples \(4 gradient"
    ):
        play(gan, 5, Poison(2))
    assert (gan.iteration, twin.iteration) == (3, 2) and unchanged(gan, twin)


class SickGenerator(Points):
    """G's loss is not finite from a step on, while D's is."""

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = super().generator_terms(batch, fake)
        return {name: term / (self.iteration < 2) for name, term in terms.items()}


@pytest.mark.parametrize("masks", [False, True])
def test_of_two_simultaneous_updates_neither_is_made(masks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Points, "_masks", lambda self, optimizer: masks)
    twin = points(update="simultaneous")
    play(twin, 2)
    torch.manual_seed(0)
    gan = SickGenerator(
        loss={"name": "non_saturating", "weights": SEPARATE},
        latent={"size": 8},
        optimizer={"generator": ADAM, "discriminator": ADAM},
        update="simultaneous",
    )
    with pytest.raises(NonFinite, match=r"^generator: generator/adversarial is not finite after 32 samples"):
        play(gan, 5)
    assert unchanged(gan, twin)


def test_a_gradient_that_is_not_finite_is_named() -> None:
    gan = points()
    gan.discriminator[3].bias.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(NonFinite, match=r"discriminator\.3\.bias is not finite.*1 gradient tensors"):
        play(gan, 1)


def test_a_healthy_run_raises_no_alarm() -> None:
    play(points(), 200)


def turn(finite: bool) -> Turn:
    one = torch.ones(())
    return Turn("generator", 0, torch.tensor(finite), {"generator/total": one}, one.reshape(1), [])


@pytest.mark.parametrize("late", [False, True])
def test_one_turn_that_is_not_finite_is_remembered_until_it_is_read(late: bool) -> None:
    flag = FiniteFlag()
    read = flag.read_late if late else flag.read
    assert read()
    for turns in ([True, False], [False, True]):
        for finite in turns:
            flag.note(turn(finite))
        assert not read() and read()  # read once, begun anew
    flag.turns.clear()
    flag.note(turn(True))
    assert read() and not flag.turns


@pytest.mark.gpu
def test_a_gpu_answers_a_step_later_and_forgets_no_turn() -> None:
    flag = FiniteFlag()
    sick, healthy = (
        turn(finite)._replace(finite=torch.tensor(finite, device="cuda")) for finite in (False, True)
    )
    answers = []
    for noted in (healthy, healthy, sick, healthy):
        answers.append(flag.read_late())
        flag.note(noted)
    assert answers == [True] * 4 and flag.read_late() is False
    assert [one.finite.item() for one in flag.turns] == [False, True]
