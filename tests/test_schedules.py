"""Schedules as tables of numbers, the papers' among them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_zoo import schedules
from gan_zoo.schema import ConfigError

EPOCH = 400  # samples

LINEAR: dict[str, Any] = {"name": "linear", "value": 1.0, "to": 0.2, "length": 100, "start": 50}
COSINE: dict[str, Any] = {**LINEAR, "name": "cosine"}
TABLES: list[tuple[dict[str, Any], dict[int, float]]] = [
    ({"name": "constant", "value": 0.3}, {0: 0.3, 10**12: 0.3}),
    (LINEAR, {0: 1.0, 50: 1.0, 51: 0.992, 75: 0.8, 100: 0.6, 150: 0.2, 10**9: 0.2}),
    ({"name": "linear", "value": 0.0, "to": 5.0, "length": 10}, {0: 0.0, 1: 0.5, 10: 5.0, 11: 5.0}),
    (COSINE, {0: 1.0, 50: 1.0, 75: 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 100: 0.6, 150: 0.2, 10**9: 0.2}),
    (
        {"name": "exponential", "value": 8.0, "factor": 0.5, "every": 10},
        {0: 8.0, 5: 8 * math.sqrt(0.5), 10: 4.0, 30: 1.0},
    ),
    (
        {"name": "exponential", "value": 8.0, "factor": 0.5, "every": 10, "floor": 1.5},
        {20: 2.0, 30: 1.5, 10**6: 1.5},
    ),
    (
        {"name": "staircase", "value": 8.0, "factor": 0.5, "every": 10},
        {0: 8.0, 9: 8.0, 10: 4.0, 19: 4.0, 20: 2.0},
    ),
    ({"name": "inverse_time", "value": 1.0, "decay": 0.01, "every": 32}, {0: 1.0, 3200: 0.5, 9600: 0.25}),
    (
        {"name": "warm_up", "value": 0.001, "length": 40_000},
        {0: 0.0, 10_000: 0.00025, 40_000: 0.001, 80_000: 0.001},
    ),
    ({"name": "warm_up", "value": 2.0, "length": 10, "start": 5}, {0: 0.0, 5: 0.0, 10: 1.0, 15: 2.0}),
    (
        {"name": "staged", "value": 0.001, "factors": [1.0, 1.5, 2.0], "starts": [-1, 100, 200]},
        {0: 0.001, 100: 0.001, 101: 0.0015, 200: 0.0015, 201: 0.002, 10**9: 0.002},
    ),
    (  # Karras et al. 2018's code: the rate rises as exp(-5 (1 - t)^2)
        {"name": "staged", "value": 2.0, "factors": [1.0], "starts": [-1], "ramp": 40_000},
        {0: 2 * math.exp(-5), 20_000: 2 * math.exp(-1.25), 40_000: 2.0, 50_000: 2.0},
    ),
    # pix2pix's port: 100 epochs at 2e-4, then 100 epochs straight to 0
    (
        {"name": "linear", "value": 2e-4, "to": 0.0, "start": 100 * EPOCH, "length": 100 * EPOCH},
        {
            0: 2e-4,
            100 * EPOCH: 2e-4,
            101 * EPOCH: 1.98e-4,
            150 * EPOCH: 1e-4,
            199 * EPOCH: 2e-6,
            200 * EPOCH: 0.0,
        },
    ),
    # progressive growing, Karras et al. 2018: 800k samples as they are, then 800k to fade the new block in
    (
        {"name": "linear", "value": 0.0, "to": 1.0, "start": 800_000, "length": 800_000},
        {0: 0.0, 800_000: 0.0, 1_200_000: 0.5, 1_600_000: 1.0, 2_000_000: 1.0},
    ),
    # Goodfellow et al. 2014: the rate divided by 1.000004 after each batch of 100; momentum 0.5 to 0.7
    (
        {"name": "exponential", "value": 0.1, "factor": 1 / 1.000004, "every": 100, "floor": 1e-6},
        {
            0: 0.1,
            100: 0.1 / 1.000004,
            50_000: 0.1 / 1.000004**500,
            12_500_000: 0.1 * math.exp(-0.499999),
            287_800_000: 0.1 / 1.000004**2_878_000,
            287_900_000: 1e-6,
        },
    ),  # the floor comes after 2,878,237 updates
    (
        {"name": "linear", "value": 0.5, "to": 0.7, "length": 250 * 50_000},
        {0: 0.5, 125 * 50_000: 0.6, 250 * 50_000: 0.7, 10**8: 0.7},
    ),
    # Keras's RMSprop(2e-4, decay=6e-8): lr / (1 + decay * iterations), batches of 256
    (
        {"name": "inverse_time", "value": 2e-4, "decay": 6e-8, "every": 256},
        {0: 2e-4, 256 * 10**4: 2e-4 / 1.0006, 256 * 10**6: 2e-4 / 1.06},
    ),
    # Reed et al. 2016: 2e-4, halved each 100 epochs
    (
        {"name": "staircase", "value": 2e-4, "factor": 0.5, "every": 100 * EPOCH},
        {
            0: 2e-4,
            100 * EPOCH - 1: 2e-4,
            100 * EPOCH: 1e-4,
            200 * EPOCH - 1: 1e-4,
            200 * EPOCH: 5e-5,
            599 * EPOCH: 6.25e-6,
        },
    ),
]


@pytest.mark.parametrize(("setting", "table"), TABLES, ids=lambda item: item.get("name"))
def test_schedules_follow_their_tables(setting: dict[str, Any], table: dict[int, float]) -> None:
    schedule = schedules.create(setting)
    assert {samples: schedule(samples) for samples in table} == pytest.approx(table, rel=1e-7, abs=1e-12)


def test_division_after_every_update_is_the_exponential() -> None:
    schedule = schedules.create({"name": "exponential", "value": 0.1, "factor": 1 / 1.000004, "every": 100})
    rate = 0.1
    for update in range(2000):
        assert schedule(100 * update) == pytest.approx(rate, rel=1e-9)
        rate /= 1.000004


@pytest.mark.parametrize("number", [3, 3.0])
def test_a_number_is_a_constant(number: float) -> None:
    schedule = schedules.create(number)
    assert schedule(0) == schedule(10**9) == 3.0 and isinstance(schedule(0), float)
    assert schedules.is_constant(number) and not schedules.is_constant(LINEAR)


@given(samples=st.integers(0, 10**12), later=st.integers(0, 10**12))
def test_decays_only_fall_and_stay_between_their_ends(samples: int, later: int) -> None:
    first, second = sorted((samples, later))
    for setting in (LINEAR, COSINE):
        schedule = schedules.create(setting)
        assert 1.0 + 1e-12 >= schedule(first) >= schedule(second) - 1e-12 and schedule(second) >= 0.2 - 1e-12


@given(st.lists(st.integers(0, 10**9), max_size=10))
def test_schedules_have_no_memory(positions: list[int]) -> None:
    for setting, _ in TABLES:
        used = schedules.create(setting)
        for position in positions:
            assert used(position) == schedules.create(setting)(position)


def test_a_setting_is_not_changed_by_its_use() -> None:
    setting = dict(LINEAR)
    schedules.create(setting)(10)
    assert setting == LINEAR


@pytest.mark.parametrize("name", ["liner", None, "create", "math"])
def test_unknown_names_are_refused_with_those_that_exist(name: str | None) -> None:
    with pytest.raises(
        ConfigError, match=rf"must be one of constant, linear, cosine, .*warm_up, .*; got {name!r}"
    ):
        schedules.create({"name": name, "value": 1.0} if name else {"value": 1.0})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"name": "linear", "value": 1.0}, r"schedule linear takes value, to, length, start; missing .*'to'"),
        (
            {"name": "linear", "value": 1.0, "to": 0.0, "length": 5, "begin": 3},
            "takes value, to, length, start; .*'begin'",
        ),
        (
            {"name": "staircase", "value": 1.0, "factor": 0.5, "length": 5},
            "schedule staircase takes value, factor, every; ",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_the_right_ones(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        schedules.create(setting)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        (LINEAR, "length"),
        (COSINE, "length"),
        ({"name": "staircase", "value": 1.0, "factor": 0.5}, "every"),
        ({"name": "inverse_time", "value": 1.0, "decay": 0.5}, "every"),
        ({"name": "warm_up", "value": 1.0}, "length"),
    ],
)
@pytest.mark.parametrize("wrong", [0, -5])
def test_lengths_that_divide_by_zero_are_refused(setting: dict[str, Any], key: str, wrong: int) -> None:
    with pytest.raises(ConfigError, match="length and every are numbers of samples above 0"):
        schedules.create({**setting, key: wrong})


@pytest.mark.parametrize("setting", ["linear", "1e-4", None, [1.0, 2.0], ("name", "linear"), object()])
def test_what_is_neither_number_nor_names_is_no_schedule(setting: object) -> None:
    with pytest.raises(ConfigError, match=r"a schedule is a number or \{name: linear"):
        schedules.create(setting)  # type: ignore[arg-type]
