"""The command that draws: how a view is laid out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gan_zoo import loading, sample
from gan_zoo.config import compose, validate
from gan_zoo.views import items


@pytest.mark.parametrize(("asked", "columns"), [(2, 3), (9, 4)])
def test_a_row_is_a_sample_and_its_neighbours_also_where_there_are_fewer_than_asked(
    asked: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = loading.build(validate(compose(["model=vanilla", "data=digits", "data.resolution=16"])))
    data = SimpleNamespace(train_set=list, resolution=16)
    monkeypatch.setattr(items, "data_of", lambda run: data)
    monkeypatch.setattr(items, "real_samples", lambda *given: torch.rand(3, 1, 16, 16))
    samples, across = sample._sheet(
        gan,
        Path("run"),
        "nearest",
        2,
        0,
        None,
        path="spherical",
        steps=9,
        plus=[],
        minus=[],
        neighbours=asked,
    )
    assert (len(samples), across) == (2 * columns, columns)
