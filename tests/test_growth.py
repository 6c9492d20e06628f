"""The schedule of progressive growing, as tables of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_zoo import schedules
from gan_zoo.config import compose
from gan_zoo.schedules import Growth, Moment, levels_of
from gan_zoo.schema import ConfigError

PRESETS = ("paper", "tf", "cifar10", "quick")


def growth(preset: str, resolution: int = 1024, **changes: Any) -> Growth:
    config = compose(["model=pggan", f"model/schedule={preset}", "data.batch_size=8"])
    return Growth(*levels_of(resolution), **{**config["model"]["schedule"], **changes})


@pytest.mark.parametrize(
    ("kimg", "lod", "level", "alpha"),
    [
        (0, 8.0, 0, 1.0),
        (800, 8.0, 0, 1.0),
        (1200, 7.5, 1, 0.5),
        (1600, 7.0, 1, 1.0),
        (2400, 7.0, 1, 1.0),
        (2600, 6.75, 2, 0.25),
        (12000, 1.0, 7, 1.0),
        (12400, 0.5, 8, 0.5),
        (12800, 0.0, 8, 1.0),
        (19000, 0.0, 8, 1.0),
    ],
)
def test_the_papers_table(kimg: int, lod: float, level: int, alpha: float) -> None:
    schedule = growth("paper")
    assert schedule.lod(kimg * 1000) == lod
    assert schedule.at(kimg * 1000) == Moment(level, alpha)


@pytest.mark.parametrize(("preset", "resolution", "kimg"), [("tf", 1024, 9600), ("cifar10", 32, 2400)])
def test_the_other_presets_are_whole_when_published(preset: str, resolution: int, kimg: int) -> None:
    schedule = growth(preset, resolution)
    assert schedule.lod(kimg * 1000 - 1) > 0 and schedule.lod(kimg * 1000) == 0


def authors_lod(nimg: int, resolution_log2: int, training: float, transition: float) -> float:
    """Level of detail in the authors' code: initial - phase - max(phase_kimg - training, 0) / transition."""
    phase, inside = divmod(nimg / 1000, training + transition)
    return max(resolution_log2 - 2 - phase - max(inside - training, 0.0) / transition, 0.0)


@settings(max_examples=200)
@given(samples=st.integers(0, 14_000_000))
def test_the_level_of_detail_is_the_authors_formula(samples: int) -> None:
    assert growth_800.lod(samples) == pytest.approx(authors_lod(samples, 10, 800, 800), abs=1e-9)


growth_800 = Growth(4, 9, stable=800000, fade=800000, batch_size=16)


def test_batch_sizes_are_the_published_ones_at_each_resolution_and_number_of_devices() -> None:
    def batches(schedule: Growth) -> list[int]:
        return [schedule.plan(end)[0] for end in schedule.ends]

    assert batches(growth("paper")) == [16, 16, 16, 16, 16, 16, 14, 6, 3]
    assert batches(growth("tf")) == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert batches(growth("tf", devices=4)) == [512, 256, 128, 64, 32, 16, 16, 16, 16]
    assert batches(growth("tf", devices=6)) == batches(growth("tf", devices=4))
    assert batches(growth("quick", 64)) == [8] * 5  # data.batch_size


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_the_tf_batches_can_be_shared(devices: int) -> None:
    growth("tf", devices=devices).require_shares()


def test_batches_that_cannot_be_shared_are_refused_with_those_that_could() -> None:
    with pytest.raises(ConfigError, match=r"is 14 at 256 px, which 4 devices x 1 .* 12 or 16 would work"):
        growth("paper", devices=4).require_shares()
    with pytest.raises(ConfigError, match=r"is 3 at 1024 px, which 1 devices x 2 .* 2 or 4 would work"):
        growth("paper").require_shares(accumulate=2)
    growth("paper", 128, devices=4).require_shares()


def test_rates_follow_the_resolution_and_rise_at_the_beginning() -> None:
    rate = schedules.create(growth("tf", devices=8).learning_rate(1e-3))
    at = {4: 0, 64: 5_400_000, 128: 5_400_001, 256: 7_000_000, 512: 8_000_000, 1024: 10_000_000}
    found = [rate(samples) for samples in at.values()]
    assert found == pytest.approx([1e-3, 1e-3, 1.5e-3, 2e-3, 3e-3, 3e-3])
    rising = schedules.create(growth("paper").learning_rate(1e-3))
    assert [rising(samples) for samples in (0, 20000, 40000, 10**7)] == pytest.approx(
        [1e-3 * 0.006737947, 1e-3 * 0.2865048, 1e-3, 1e-3]  # exp(-5), exp(-5 / 4)
    )
    assert growth("quick").learning_rate(1e-3) == 1e-3


def test_a_rate_that_is_a_schedule_of_its_own_is_refused_beside_factors() -> None:
    with pytest.raises(ConfigError, match="give lr as a number"):
        growth("paper").learning_rate({"name": "linear", "value": 1.0, "to": 0.0, "length": 5})


@pytest.mark.parametrize(
    ("resolution", "expected"), [(4, (4, 1)), (8, (4, 2)), (28, (7, 3)), (48, (6, 4)), (1024, (4, 9))]
)
def test_sides_from_4_to_7_are_doubled(resolution: int, expected: tuple[int, int]) -> None:
    assert levels_of(resolution) == expected


@pytest.mark.parametrize(
    ("resolution", "words"), [(3, "to 4"), (18, "16 or 20"), (33, "32 or 40"), (100, "96 or 112")]
)
def test_other_sides_are_refused_with_the_nearest(resolution: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        levels_of(resolution)


LENGTHS = st.integers(0, 40)


@given(
    stable=st.lists(LENGTHS, min_size=1, max_size=4),
    fade=st.lists(LENGTHS, min_size=1, max_size=4),
    batches=st.lists(st.integers(1, 17), min_size=1, max_size=4),
    first=st.sampled_from([4, 8, 32]),
)
def test_optimisers_start_afresh_exactly_where_the_walk_changes_its_stage(
    stable: list[int], fade: list[int], batches: list[int], first: int
) -> None:
    """Walking batch by batch, a change is a new (floor, ceiling) of the level of detail, as in their loop."""
    schedule = Growth(4, 4, stable=stable, fade=fade, batch_size=batches, initial_resolution=first)

    def stage(samples: int) -> tuple[int, bool]:
        level, alpha = schedule.at(samples)
        return level, alpha < 1

    position, seen = 0, stage(0)
    changed = set()
    while position <= 400:
        if stage(position) != seen:
            changed.add(position)
        seen = stage(position)
        position += schedule.plan(position)[0]
    assert changed == {place for place in schedule.changes if place <= 400} - skipped(schedule, changed)


def skipped(schedule: Growth, changed: set[int]) -> set[int]:
    """Ends of fades that no batch saw: one jumped over the whole fade, whose beginning is the change."""
    return {place for place in schedule.changes if place not in changed and schedule.at(place).alpha == 1}


def test_a_first_resolution_of_the_full_size_grows_nothing() -> None:
    schedule = growth("paper", 64, initial_resolution=64)
    assert schedule.at(0) == Moment(4, 1.0) and schedule.changes == frozenset()
    with pytest.raises(ConfigError, match="must be one of 4, 8, 16, 32, 64, got 24"):
        growth("paper", 64, initial_resolution=24)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": []}, "batch_size is empty"),
        ({"batch_size": {"2": [4]}}, "no entry for 1 devices, only for 2"),
        ({"rate_factor": {"many": [1.0]}}, "wants numbers of devices as keys"),
    ],
)
def test_schedules_that_cannot_be_right_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        growth("paper", **changes)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_can_be_chosen_and_changed_from_the_command_line(preset: str) -> None:
    config = compose(
        ["model=pggan", f"model/schedule={preset}", "model.schedule.stable=5", "trainer.devices=2"]
    )
    assert config["model"]["schedule"]["stable"] == 5 and config["model"]["schedule"]["devices"] == 2


def test_the_command_line_wins_over_the_schedule_of_an_experiment() -> None:
    config = compose(["experiment=pggan_cifar10", "model/schedule=tf"])
    assert config["model"]["schedule"]["stable"] == 600000
    with pytest.raises(ConfigError, match=r"model/schedule.*paper"):
        compose(["model=pggan", "model/schedule=papre"])
