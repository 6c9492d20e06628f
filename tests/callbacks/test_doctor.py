"""The doctor speaks of what is there, once, and is silent about what is well."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_zoo.callbacks.doctor import Doctor, spread
from gan_zoo.callbacks.pictures import Pictures
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.gan import NonFinite

from ..games import ADAM, JOINT, SEPARATE, play, points

TRAINER: Any = SimpleNamespace(is_global_zero=True)
WELL = {
    "discriminator/total": 1.2,
    "discriminator/real": 0.6,
    "discriminator/fake": 0.6,
    "discriminator/accuracy_real": 0.7,
    "discriminator/accuracy_fake": 0.7,
    "discriminator/gradient_norm": 1.0,
    "discriminator/loss_variance": 0.1,
    "generator/total": 0.9,
    "generator/gradient_norm": 1.0,
}
LOSSES = {"non_saturating": SEPARATE, "wasserstein": SEPARATE, "least_squares": SEPARATE, "rpgan": JOINT}


def told(
    *sick: dict[str, float], loss: str = "non_saturating", well: int = 30, doctor: Doctor | None = None
) -> list[str]:
    """The symptoms found in log points: `well` healthy ones, then those given as changes to a healthy one."""
    doctor = doctor or Doctor()
    bounded = {"parts": {"weight_clipping": {}}} if loss == "wasserstein" else {}
    gan = points(loss={"name": loss, "weights": LOSSES[loss]}, regularizer=bounded)
    for change in [{}] * well + list(sick):
        gan.samples_seen += 100
        doctor.on_figures(TRAINER, gan, WELL | change)
    return [remark["symptom"] for remark in doctor.remarks]


ZERO = {"discriminator/real": 0.004, "discriminator/fake": 0.005}
RIGHT = {"discriminator/accuracy_real": 1.0, "discriminator/accuracy_fake": 0.995}
FOOLED = {"discriminator/accuracy_fake": 0.0}


@pytest.mark.parametrize(
    ("symptom", "change", "points_in_a_row"),
    [
        ("discriminator_loss_zero", ZERO, 5),
        ("discriminator_always_right", RIGHT, 20),
        ("discriminator_always_fooled", FOOLED, 20),
        ("generator_gradient_growing", {"generator/gradient_norm": 101.0}, 3),
        ("discriminator_gradient_growing", {"discriminator/gradient_norm": 101.0}, 3),
        ("discriminator_loss_variance", {"discriminator/loss_variance": 3.1}, 3),
        ("loss_scale_small", {"loss_scale": 0.5}, 1),
    ],
)
def test_each_symptom_is_seen_when_it_lasts_and_said_once(
    symptom: str, change: dict[str, float], points_in_a_row: int
) -> None:
    assert told(*[change] * points_in_a_row) == [symptom]
    assert told(*[change] * (points_in_a_row - 1)) == []
    assert told(*[change] * (points_in_a_row - 1), {}, *[change] * (points_in_a_row - 1)) == []
    assert told(*[change] * points_in_a_row, {}, {}, *[change] * points_in_a_row).count(symptom) == 1


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"generator/gradient_norm": 99.0},
        {"discriminator/loss_variance": 2.9},
        {"loss_scale": 1.0},
        {"discriminator/real": 0.006, "discriminator/fake": 0.005},
        {"discriminator/accuracy_fake": 0.98},
        {"discriminator/accuracy_fake": 0.03},
        {"generator/gradient_norm": math.nan},
    ],
)
def test_what_is_short_of_a_symptom_is_passed_over(change: dict[str, float]) -> None:
    assert told(*[change] * 25) == []


def test_nothing_is_compared_with_a_median_of_a_few() -> None:
    assert told(*[{"generator/gradient_norm": 1e4}] * 5, well=10) == []


def test_norms_that_grow_slowly_are_seen_in_the_end() -> None:
    assert told(*[{"generator/gradient_norm": 1.1**i} for i in range(120)]) == ["generator_gradient_growing"]


@pytest.mark.parametrize(
    ("loss", "seen"),
    [
        ("non_saturating", {"discriminator_loss_zero", "discriminator_always_right"}),
        ("least_squares", {"discriminator_loss_zero", "discriminator_always_right"}),
        ("wasserstein", set()),
    ],
)
def test_a_critics_scores_have_no_zero_and_its_loss_no_floor(loss: str, seen: set[str]) -> None:
    assert set(told(*[ZERO | RIGHT] * 20, loss=loss)) == seen


def test_a_pairing_loss_is_judged_by_its_one_term() -> None:
    doctor, gan = Doctor(), points(loss={"name": "rpgan", "weights": JOINT})
    for _ in range(5):
        doctor.on_figures(TRAINER, gan, {"discriminator/total": 0.0, "discriminator/adversarial": 0.001})
    assert [remark["symptom"] for remark in doctor.remarks] == ["discriminator_loss_zero"]


def test_terms_of_other_names_are_not_taken_for_a_loss_of_0() -> None:
    doctor, gan = Doctor(), points()
    for _ in range(9):
        doctor.on_figures(TRAINER, gan, {"discriminator/total": 0.7, "discriminator/energy": 0.7})
    assert doctor.remarks == []


def test_figures_of_a_metric_do_not_end_a_streak() -> None:
    doctor = Doctor()
    told(*[RIGHT] * 19, doctor=doctor)
    doctor.on_figures(TRAINER, points(), {"frechet_distance": 3.0})
    assert told(RIGHT, well=0, doctor=doctor) == ["discriminator_always_right"]


def test_a_resumed_doctor_goes_on_where_it_was() -> None:
    changes = [{"generator/gradient_norm": 1.2**i} for i in range(40)]
    whole, first, second = Doctor(), Doctor(), Doctor()
    told(*changes, doctor=whole)
    told(*changes[:17], doctor=first)
    second.load_state_dict(first.state_dict())
    told(*changes[17:], well=0, doctor=second)
    without = [
        {key: value for key, value in remark.items() if key != "samples_seen"} for remark in whole.remarks
    ]
    assert without and second.state_dict() | {"remarks": without} == whole.state_dict() | {"remarks": without}
    assert [remark["symptom"] for remark in second.remarks] == [remark["symptom"] for remark in whole.remarks]


def test_a_resumed_doctor_knows_that_there_was_variety() -> None:
    first, second, gan, real = Doctor(), Doctor(), points(), torch.randn(64, 3)
    gan.samples_seen = 100
    first.on_samples(TRAINER, gan, real, real)
    second.load_state_dict(first.state_dict())
    second.on_samples(TRAINER, gan, 0.2 * real, real)
    assert [remark["symptom"] for remark in second.remarks] == ["variety_lost"]


def test_its_state_is_plain_and_its_own() -> None:
    doctor = Doctor()
    told(*[ZERO] * 6, doctor=doctor)
    state = doctor.state_dict()
    before = repr(state)
    told(*[FOOLED] * 12, well=0, doctor=doctor)
    assert repr(state) == before

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
        return all(map(plain, value)) if isinstance(value, list) else isinstance(value, (str, int, float))

    assert plain(state)


def shown(shares: list[float], start: int = 100) -> list[str]:
    doctor, gan = Doctor(), points()
    real = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    for i, share in enumerate(shares):
        gan.samples_seen = start + i * 100
        doctor.on_samples(TRAINER, gan, share * real, real)
    return [remark["symptom"] for remark in doctor.remarks]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([0.1, 0.5, 0.9, 1.0, 0.31], False),
        ([0.1, 0.5, 0.9, 1.0, 0.29], True),
        ([0.5, 0.59, 0.2], False),
        ([0.1] * 4, False),
        ([0.1] * 5, True),
        ([0.16] * 9, False),
    ],
)
def test_lost_variety_is_seen_where_there_was_some_or_never_came_any(shares: list[float], said: bool) -> None:
    assert shown(shares) == ["variety_lost"] * said


def test_an_untrained_generator_is_not_blamed() -> None:
    doctor, gan = Doctor(), points()
    for _ in range(9):
        doctor.on_samples(TRAINER, gan, torch.zeros(8, 2), torch.randn(8, 2))
    assert doctor.remarks == []


def test_the_spread_is_the_mean_distance_of_pairs() -> None:
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])  # sides 3, 4, 5
    assert spread(corners) == pytest.approx(4.0)
    picture = corners.view(3, 2, 1, 1).expand(3, 2, 64, 64)  # averaged to 32 x 32: each pixel counts
    assert spread(picture) == pytest.approx(4.0 * 32)
    assert spread(corners + 100) == pytest.approx(4.0, rel=1e-4)


def test_it_speaks_where_the_run_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    told(*[ZERO] * 5)
    assert capsys.readouterr().out.startswith("doctor, after 3,500 samples: D's loss is 0")
    silent: Any = SimpleNamespace(is_global_zero=False)
    Doctor()._remark(silent, points(), "x", "y")
    assert capsys.readouterr().out == ""


def test_a_run_that_diverges_is_named_in_the_remarks(tmp_path: Path) -> None:
    doctor = Doctor()
    wild = {"name": "sgd", "lr": 1e30}
    with pytest.raises(NonFinite):
        play(
            points(
                optimizer={"generator": wild, "discriminator": wild},
                loss={"name": "least_squares", "weights": SEPARATE},
            ),
            50,
            Recorder(tmp_path, 16),
            doctor,
        )
    assert (
        doctor.remarks[-1]["symptom"] == "not_finite"
        and "is not finite after" in doctor.remarks[-1]["advice"]
    )


def test_a_real_collapse_is_seen_and_a_healthy_run_is_left_alone(tmp_path: Path) -> None:
    healthy, sick = Doctor(), Doctor()
    play(points(), 60, Recorder(tmp_path, 16), Pictures(tmp_path, 320), healthy)
    assert healthy.remarks == []
    still, fast = {"name": "sgd", "lr": 0.0}, {**ADAM, "lr": 0.05}
    play(
        points(optimizer={"generator": still, "discriminator": fast}),
        150,
        Recorder(tmp_path, 16),
        Pictures(tmp_path, 320),
        sick,
    )
    assert {"discriminator_loss_zero", "discriminator_always_right"} <= {
        remark["symptom"] for remark in sick.remarks
    }
