"""Randomness as a function of (seed, step, rank)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from gan_zoo import chance

CPU = torch.device("cpu")
Rows = Callable[[list[int], torch.device], Tensor]


@pytest.fixture(autouse=True)
def one_process_afterwards() -> Iterator[None]:
    yield
    chance.begin_step(0, 0)


def rows(draw: Rows, shape: list[int], rank: int, world: int, step: int = 3, seed: int = 7) -> Tensor:
    chance.begin_step(seed, step, rank, world)
    return draw(shape, CPU)


@pytest.mark.parametrize("draw", [chance.uniform_rows, chance.normal_rows])
@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("shape", [[], [1, 1], [5, 7]])
def test_ranks_together_draw_what_one_process_draws(draw: Rows, world: int, shape: list[int]) -> None:
    together = torch.cat([rows(draw, [2, *shape], rank, world) for rank in range(world)])
    assert torch.equal(together, rows(draw, [2 * world, *shape], 0, 1))
    assert len(together.unique()) == together.numel()  # no rank repeats another's


def test_later_draws_of_a_step_agree_too() -> None:
    def second(rank: int, world: int) -> Tensor:
        rows(chance.normal_rows, [8 // world, 3], rank, world)
        return chance.uniform_rows([8 // world, 2], CPU)

    assert torch.equal(torch.cat([second(0, 2), second(1, 2)]), second(0, 1))


def test_the_default_streams_differ_between_ranks() -> None:
    draws = []
    for rank in range(4):
        chance.begin_step(7, 3, rank, 4)
        draws.append(torch.rand(100))
    assert len(torch.cat(draws).unique()) > 395
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(4)
    assert correlations.abs().max() < 0.5


def test_shared_and_default_streams_are_apart() -> None:
    alone = rows(chance.uniform_rows, [6], 0, 1)
    chance.begin_step(7, 3)
    default = torch.rand(6)
    assert torch.equal(
        chance.uniform_rows([6], CPU), alone
    )  # dropout on one rank does not shift the shared stream
    assert not torch.equal(default, alone)


def test_the_same_step_draws_the_same_whatever_came_before() -> None:
    first = rows(chance.normal_rows, [9], 0, 1), torch.rand(9)
    torch.rand(1000), chance.normal_rows([1000], CPU)
    again = rows(chance.normal_rows, [9], 0, 1), torch.rand(9)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


def test_another_step_or_seed_draws_anew() -> None:
    draws = [
        rows(chance.normal_rows, [9], 0, 1, step, seed) for step, seed in ((3, 7), (4, 7), (3, 8), (7, 3))
    ]
    assert len(torch.cat(draws).unique()) == 36


def test_rows_follow_their_laws() -> None:
    uniform, normal = rows(chance.uniform_rows, [100_000], 1, 2), rows(chance.normal_rows, [100_000], 1, 2)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.005) and uniform.var().item() == pytest.approx(
        1 / 12, rel=0.02
    )
    assert normal.mean().item() == pytest.approx(0.0, abs=0.016) and normal.std().item() == pytest.approx(
        1.0, rel=0.02
    )


def test_mixing_separates_neighbours_and_words() -> None:
    parts = [(seed, step, rank) for seed in range(10) for step in range(100) for rank in range(4)]
    seeds = {chance.mix(*part) for part in parts} | {
        chance.mix(1, 23),
        chance.mix(12, 3),
        chance.mix("1", 23),
        chance.mix("shared"),
    }
    assert len(seeds) == 4004 and all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_is_the_same_on_every_machine_and_python() -> None:
    written = hashlib.blake2b(b"(0, 1, 'shared')", digest_size=8).digest()
    assert chance.mix(0, 1, "shared") == int.from_bytes(written, "little") >> 1 == 5095292726795784812


def test_seeding_a_step_leaves_nothing_behind() -> None:
    """torch.manual_seed queues a call and a stack trace for a GPU that may never come."""
    before = len(torch.cuda._queued_calls)
    for step in range(3):
        chance.begin_step(0, step)
    assert len(torch.cuda._queued_calls) == before
