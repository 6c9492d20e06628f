from __future__ import annotations

import json
import math

import pytest
import torch

from gan_zoo.metrics.frechet import frechet_distance
from gan_zoo.metrics.protocol import (
    Figure,
    Interval,
    Protocol,
    ProtocolMismatch,
    best,
    bootstrap_interval,
    floor,
    measure,
    subset_interval,
)
from tests.metrics.arrays import normal


def protocol(**changes) -> Protocol:
    values = {
        "metric": "fid", "features": "pixels", "features_sha256": None, "resize": "none",
        "n_real": 100, "n_fake": 100, "split": "train", "seed": 0, "version": "0.1.0", "settings": {"k": 3},
    }  # fmt: skip
    return Protocol(**{**values, **changes})


def mean_gap(real: torch.Tensor, fake: torch.Tensor) -> float:
    return float(fake.mean() - real.mean())


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "kid"},
        {"features": "inception"},
        {"features_sha256": "ab"},
        {"resize": "bicubic-299"},
        {"n_real": 99},
        {"n_fake": 99},
        {"split": "held_out"},
        {"version": "0.2.0"},
        {"settings": {"k": 5}},
        {"data": "grid"},
        {"shape": "1x16x16"},
    ],
)
def test_figures_made_in_different_ways_are_not_compared(change):
    one, other = Figure(1.0, protocol()), Figure(2.0, protocol(**change))
    with pytest.raises(ProtocolMismatch, match=next(iter(change))):
        one.better_than(other)
    with pytest.raises(ProtocolMismatch):
        best({"a": one, "b": other})


def test_another_seed_is_another_draw_and_may_be_compared():
    assert Figure(1.0, protocol()).better_than(Figure(2.0, protocol(seed=1)))
    assert not Figure(1.0, protocol(), lower_is_better=False).better_than(
        Figure(2.0, protocol(), lower_is_better=False)
    )


def test_the_best_figure_is_found_and_nan_never_wins():
    figures = {
        "a": Figure(math.nan, protocol()),
        "b": Figure(3.0, protocol()),
        "c": Figure(2.0, protocol(seed=4)),
    }
    assert best(figures) == "c"
    assert best({k: Figure(f.value, f.protocol, lower_is_better=False) for k, f in figures.items()}) == "b"


@pytest.mark.parametrize("value", [1.25, math.nan, math.inf])
def test_a_figure_survives_json(value):
    figure = Figure(value, protocol(), False, Interval(1.0, 2.0, 0.95, 0.25, "20 subsets of 0.5"), 0.5)
    stored = json.loads(json.dumps(figure.to_dict(), allow_nan=False))
    back = Figure.from_dict(stored)
    assert repr(back) == repr(figure)  # NaN equals nothing
    with pytest.raises(ValueError, match="'resize'"):
        Figure.from_dict(
            {**stored, "protocol": {k: v for k, v in stored["protocol"].items() if k != "resize"}}
        )


def test_a_figure_stored_before_data_and_shape_were_is_read_and_compared_with_none_that_has_them():
    figure = Figure(1.0, protocol(data="ring", shape="2"))
    stored = figure.to_dict()
    old = Figure.from_dict(
        {**stored, "interval": None, "floor": None,
         "protocol": {k: v for k, v in stored["protocol"].items() if k not in ("data", "shape")}}
    )  # fmt: skip
    assert old.value == 1.0
    with pytest.raises(ProtocolMismatch, match="data: '' and 'ring'"):
        old.better_than(figure)


def test_the_order_of_the_settings_does_not_matter():
    assert protocol(settings={"a": 1, "b": 2}) == protocol(settings={"b": 2, "a": 1})


def test_the_subset_interval_of_a_mean_has_the_textbook_error():
    real, fake = normal(800, 1, 0), normal(400, 1, 1)
    interval = subset_interval(mean_gap, real, fake, subsets=400)
    assert interval.error == pytest.approx(math.sqrt(1 / 800 + 1 / 400), rel=0.12)
    value = mean_gap(real, fake)
    assert (interval.low + interval.high) / 2 == pytest.approx(value)
    assert interval.high - value == pytest.approx(1.965927 * interval.error, rel=1e-6)  # Student, 399
    quarter = subset_interval(mean_gap, real, fake, subsets=400, share=0.25)
    assert quarter.error == pytest.approx(interval.error, rel=0.15)  # the share is accounted for


def test_the_bootstrap_of_a_mean_has_the_textbook_error():
    real, fake = normal(800, 1, 0), normal(400, 1, 1)
    interval = bootstrap_interval(mean_gap, real, fake, draws=400)
    assert interval.error == pytest.approx(math.sqrt(1 / 800 + 1 / 400), rel=0.12)
    assert interval.low < mean_gap(real, fake) < interval.high


def test_a_measured_figure_carries_its_floor_interval_and_numbers():
    real, held_out, fake = normal(400, 4, 0), normal(300, 4, 1), normal(200, 4, 2) + 0.5
    figure = measure(frechet_distance, real, fake, protocol(), held_out=held_out, subsets=10)
    assert (figure.protocol.n_real, figure.protocol.n_fake) == (400, 200)
    assert figure.value == frechet_distance(real, fake) and 0.7 < figure.value < 1.4  # 4 x 0.25 and the bias
    assert figure.floor is not None and 0 < figure.floor < 0.2
    assert figure.interval is not None and figure.interval.low < figure.value < figure.interval.high
    assert "floor" in str(figure) and "400 train reals, 200 fakes" in str(figure)
    other = measure(frechet_distance, real, normal(200, 4, 3) + 2, protocol(), subsets=10)
    assert figure.apart_from(other) and figure.better_than(other) and other.floor is None


def test_the_floor_uses_as_many_held_out_samples_as_there_are_fakes():
    def sizes(real: torch.Tensor, fake: torch.Tensor) -> float:
        return 1000 * len(real) + len(fake)

    assert floor(sizes, normal(50, 2, 0), normal(40, 2, 1), 30) == 50_030
    assert floor(sizes, normal(50, 2, 0), normal(40, 2, 1), 100) == 50_040
