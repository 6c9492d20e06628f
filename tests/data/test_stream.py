"""The endless stream: its order is a pure function of the position, for any number of ranks and workers."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gan_zoo.data.stream import DataModule, EndlessBatchSampler, Key, Order, lost_worker
from gan_zoo.schema import ConfigError, DataError
from tests.data.configured import made

Plan = Callable[[int], tuple[int, int]]
sizes, seeds = st.integers(1, 60), st.integers(0, 2**32 - 1)


def growing(position: int) -> tuple[int, int]:
    """Smaller batches of larger pictures as time goes on."""
    return (12, 4) if position < 50 else (6, 8) if position < 100 else (2, 16)


def batches(
    order: Order, plan: Plan, count: int, start: int = 0, rank: int = 0, world: int = 1
) -> list[list[Key]]:
    return list(itertools.islice(EndlessBatchSampler(order, plan, start, rank, world), count))


# ---- order -------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(size=sizes, seed=seeds, batch=st.integers(1, 100))
def test_each_index_comes_once_an_epoch_whatever_the_batch_size(size: int, seed: int, batch: int) -> None:
    count = -(-3 * size // batch)  # batches that hold three epochs
    keys = [key for found in batches(Order(size, seed), lambda _: (batch, 8), count) for key in found][
        : 3 * size
    ]
    for epoch in range(3):
        part = keys[epoch * size : (epoch + 1) * size]
        assert sorted(index for index, _, _ in part) == list(range(size))
        assert {number for _, number, _ in part} == {epoch}


@settings(max_examples=300, deadline=None)
@given(size=sizes, seed=seeds, start=st.integers(0, 500), count=st.integers(0, 200))
def test_a_piece_of_the_stream_is_the_same_wherever_reading_begins(
    size: int, seed: int, start: int, count: int
) -> None:
    assert Order(size, seed).keys(start, count) == Order(size, seed).keys(0, start + count)[start:]


@settings(max_examples=200, deadline=None)
@given(
    size=sizes,
    seed=seeds,
    skipped=st.integers(0, 20),
    world=st.sampled_from([1, 2]),
    plan=st.sampled_from(["fixed", "growing"]),
)
def test_resuming_at_any_batch_gives_the_rest_of_the_stream(
    size: int, seed: int, skipped: int, world: int, plan: str
) -> None:
    chosen: Plan = growing if plan == "growing" else lambda _: (6, 8)
    whole = [batches(Order(size, seed), chosen, 30, 0, rank, world) for rank in range(world)]
    position = sum(len(ranks[batch]) for ranks in whole for batch in range(skipped))
    for rank in range(world):
        assert (
            batches(Order(size, seed), chosen, 30 - skipped, position, rank, world) == whole[rank][skipped:]
        )


@settings(max_examples=200, deadline=None)
@given(size=sizes, seed=seeds, world=st.integers(1, 6), share=st.integers(1, 9), start=st.integers(0, 200))
def test_ranks_are_the_parts_of_the_global_batch_in_order(
    size: int, seed: int, world: int, share: int, start: int
) -> None:
    def plan(position: int) -> tuple[int, int]:
        return share * world, 8

    alone = batches(Order(size, seed), plan, 5, start)
    ranks = [batches(Order(size, seed), plan, 5, start, rank, world) for rank in range(world)]
    for step in range(5):
        parts = [found[step] for found in ranks]
        assert [len(part) for part in parts] == [share] * world
        assert list(itertools.chain(*parts)) == alone[step]  # disjoint, since the whole has no position twice


def test_ranks_share_no_item_within_an_epoch() -> None:
    ranks = [batches(Order(48, 0), lambda _: (12, 8), 4, rank=rank, world=3) for rank in range(3)]
    seen = [{index for found in rank for index, _, _ in found} for rank in ranks]
    assert [len(items) for items in seen] == [16, 16, 16] and len(set.union(*seen)) == 48


def test_the_plan_is_asked_at_the_position_of_each_batch() -> None:
    found = batches(Order(1000, 0), growing, 18)
    assert [len(keys) for keys in found] == [12] * 5 + [6] * 7 + [2] * 6  # 0, 12 ... 48 | 60 ... 96 | 102 ...
    assert [{resolution for _, _, resolution in keys} for keys in found] == [{4}] * 5 + [{8}] * 7 + [{16}] * 6


def test_epochs_and_seeds_are_shuffled_differently() -> None:
    orders = [
        Order(50, seed).epoch(epoch).tolist() for seed in (-2, -1, 0, 1, 2, 2**32 - 1) for epoch in range(5)
    ]
    assert len({tuple(order) for order in orders}) == 30


def test_every_place_is_equally_likely() -> None:
    places = Counter(Order(4, seed).epoch(0).tolist().index(0) for seed in range(4000))
    assert [places[place] for place in range(4)] == pytest.approx([1000] * 4, abs=5 * (4000 * 3 / 16) ** 0.5)


def test_an_order_is_not_disturbed_by_other_draws() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = Order(20, 5).epoch(3).clone()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    order = Order(20, 5)
    order.epoch(9)
    assert torch.equal(order.epoch(3), first)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one item, got 0"):
        Order(0, 0)


@pytest.mark.parametrize(
    ("batch", "world", "words"),
    [(64, 3, "63 or 66 would work"), (5, 2, "4 or 6 would work"), (7, 4, "4 or 8 would work")],
)
def test_a_batch_that_cannot_be_shared_is_refused_with_sizes_that_can(
    batch: int, world: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=f"batch size {batch} cannot be shared by {world} devices; {words}"):
        batches(Order(10, 0), lambda _: (batch, 8), 1, world=world)


def test_a_batch_smaller_than_the_devices_is_refused_with_a_size_that_works() -> None:
    with pytest.raises(
        ConfigError, match=r"batch size 1 cannot be shared by 4 devices; 4 (or 8 )?would work"
    ):
        batches(Order(10, 0), lambda _: (1, 8), 1, world=4)


@pytest.mark.parametrize("batch", [0, -4])
def test_a_batch_of_nothing_is_refused(batch: int) -> None:
    with pytest.raises(ConfigError, match=f"batch size.*{batch}"):
        batches(Order(10, 0), lambda _: (batch, 8), 1)


# ---- data module -------------------------------------------------------------------------------------------


class Numbers:
    """Item i is i, with its class, epoch and resolution."""

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        index = torch.tensor([index for index, _, _ in keys])
        return {"real": torch.tensor(keys), "condition": self.labels[index]}


class NumberData(DataModule):
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])

    def __init__(self, **stream: Any) -> None:
        super().__init__(
            **{
                "name": "numbers",
                "resolution": 8,
                "channels": 1,
                "classes": 3,
                "modality": "points",
                "batch_size": 16,
                **stream,
            }
        )

    def train_set(self) -> Numbers:
        return Numbers(self.labels)

    def conditions(self) -> Tensor | None:
        return self.labels if self.classes else None


def loaded(data: NumberData, count: int) -> list[dict[str, Tensor]]:
    return list(itertools.islice(iter(data.train_dataloader()), count))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    found = []
    for number in (0, workers):
        data = NumberData(workers=number, seed=4)
        data.begin(40, growing)
        found.append(loaded(data, 20))
    assert [len(batch["real"]) for batch in found[0][:3]] == [12, 6, 6]  # the plan at 40, 52 and 58
    for alone, parallel in zip(*found, strict=True):
        assert torch.equal(alone["real"], parallel["real"]) and torch.equal(
            alone["condition"], parallel["condition"]
        )


FEW = {  # of each kind of data set, as few items as it takes
    "colourise": {"size": 4},
    "digits": {},
    "edges": {},
    "eight_gaussians": {},
    "flowers": {"size": 60, "held_out": 40, "unseen": 20},
    "grammar": {"size": 50, "held_out": 20},
    "probabilistic_grammar": {"size": 50, "held_out": 20},
    "python_manual": {},
    "speech": {"speakers": 2, "utterances": 2},
    "stacked_digits": {},
    "streets": {"size": 4, "held_out": 4},
    "triangles": {"size": 4, "held_out": 4},
}


@pytest.mark.parametrize("name", FEW)
def test_a_spawned_worker_reads_what_a_forked_one_does(name: str) -> None:
    """On macOS and Windows a worker is sent the data set, and with some the module, while a trainer holds it."""
    data = made(name, **FEW[name])
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, hook=lambda: None)
    data.begin(0, lambda position: None)
    items, keys = data.train_set(), [(0, 0, data.resolution), (1, 3, data.resolution)]
    sent = pickle.loads(pickle.dumps(items))  # noqa: TID251
    ours, theirs = items.__getitems__(keys), sent.__getitems__(keys)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("refusal", [DataError("a/b.png", "it is cut off"), ConfigError("no such key")])
def test_what_a_worker_refuses_arrives_as_it_was_said(refusal: ValueError, workers: int) -> None:
    with pytest.raises(type(refusal)) as caught:
        loaded(Unwilling(refusal, workers=workers), 1)
    assert str(caught.value) == str(refusal)
    if isinstance(caught.value, DataError):
        assert (caught.value.path, caught.value.reason) == (Path("a/b.png"), "it is cut off")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a worker as POSIX does")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_worker_that_is_lost_ends_the_waiting(number: int) -> None:
    data = Unwilling(number, workers=1)
    data.timeout = 2.0
    with pytest.raises(RuntimeError) as caught:
        loaded(data, 1)
    assert lost_worker(caught.value) and not lost_worker(RuntimeError("shapes differ"))


class Unwilling(NumberData):
    """Refuses every batch, or sends the worker that should read it a signal."""

    def __init__(self, why: ValueError | int, **stream: Any) -> None:
        super().__init__(**stream)
        self.why = why

    def train_set(self) -> Refused:
        return Refused(self.why)


class Refused(Numbers):
    def __init__(self, why: ValueError | int) -> None:
        super().__init__(NumberData.labels)
        self.why = why

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        if isinstance(self.why, ValueError):
            raise self.why
        os.kill(os.getpid(), self.why)
        return {}


def test_the_loader_begins_where_it_is_told() -> None:
    whole, rest = NumberData(), NumberData()
    rest.begin(7 * 16, None)
    torch.testing.assert_close(loaded(rest, 10), loaded(whole, 17)[7:])


def test_without_a_plan_batches_have_the_modules_size_and_resolution() -> None:
    (batch,) = loaded(NumberData(batch_size=5, resolution=32), 1)
    assert batch["real"].shape == (5, 3) and (batch["real"][:, 2] == 32).all()


def test_the_loader_takes_the_ranks_share() -> None:
    (alone,) = loaded(NumberData(), 1)
    parts = []
    for rank in range(2):
        data = NumberData()
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        parts.append(loaded(data, 1)[0]["real"])
    assert torch.equal(torch.cat(parts), alone["real"])


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.2, 0.0, 0.6], [5.0, 2.0, 1.0]])
def test_class_weights_are_the_shares_of_the_classes(weights: list[float]) -> None:
    data = NumberData(class_weights=weights, batch_size=1000)
    drawn = torch.cat([batch["condition"] for batch in loaded(data, 20)])
    shares = torch.tensor(weights) / sum(weights)
    found = torch.bincount(drawn, minlength=3) / len(drawn)
    spread = (shares * (1 - shares) / len(drawn)).sqrt()
    assert ((found - shares).abs() <= 5 * spread).all()


def test_items_of_a_class_are_equally_likely() -> None:
    data = NumberData(class_weights=[0.0, 1.0, 0.0], batch_size=900)
    index = torch.cat([batch["real"][:, 0] for batch in loaded(data, 10)])
    counts = torch.bincount(index, minlength=100)[90:99]
    assert counts.sum() == 9000 and ((counts - 1000).abs() < 5 * (9000 * 8 / 81) ** 0.5).all()


def test_weighted_streams_resume_too() -> None:
    weights = torch.arange(1.0, 21.0)
    assert Order(20, 3, weights).keys(33, 40) == Order(20, 3, weights).keys(0, 73)[33:]


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ({"class_weights": [1.0, 1.0]}, "data.class_weights has 2 entries, numbers has 3 classes"),
        (
            {"class_weights": [1.0], "classes": 0},
            "needs labelled data, numbers has no classes; set it to null",
        ),
        ({"class_weights": [0.0, 0.0, 0.0]}, "data.class_weights"),
        ({"class_weights": [1.0, -1.0, 1.0]}, "data.class_weights"),
        ({"class_weights": [1.0, float("nan"), 1.0]}, "data.class_weights"),
    ],
)
def test_class_weights_that_cannot_be_right_are_refused(stream: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(NumberData(**stream), 1)


def test_a_data_set_must_say_what_it_holds() -> None:
    data = DataModule(name="none", resolution=8, channels=1, classes=0, modality="image", batch_size=4)
    for ask, name in ((data.train_set, "train_set"), (data.held_out_set, "held_out_set")):
        with pytest.raises(NotImplementedError, match=rf"DataModule must define {name}\(\)"):
            ask()
