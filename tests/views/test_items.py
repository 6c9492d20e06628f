"""Samples beside the training pictures nearest to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_zoo import loading, run
from gan_zoo.config import compose, validate
from gan_zoo.views import items


@pytest.fixture
def gan(monkeypatch: pytest.MonkeyPatch) -> Any:
    config = validate(compose(["model=vanilla", "data=digits", "data.resolution=16"]))
    monkeypatch.setattr(items, "data_of", lambda folder: run.data_module(config))
    return loading.build(config)


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 100])
def test_each_sample_is_followed_by_the_pictures_nearest_to_it(
    rows_at_once: int, gan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = gan.sample(2, seed=3)
    towards = torch.linspace(1, 0, 6).view(-1, 1, 1, 1)  # six steps from -1 to the first sample
    real = torch.cat([towards * -1 + (1 - towards) * samples[:1], samples[1:]])
    monkeypatch.setattr(items, "real_parts", lambda *given: real.split(rows_at_once))
    rows = items.nearest(gan, Path("run"), 2, seed=3, neighbours=2)
    expected = torch.stack([samples[0], real[5], real[4], samples[1], real[6], rows[5]])
    torch.testing.assert_close(rows, expected)


def test_training_pictures_come_in_parts_each_once_and_in_order(gan: Any) -> None:
    data = items.data_of(Path("run"))
    whole = torch.cat(list(run.real_parts(gan, data.train_set(), 16, rows=10_000)))
    parts = list(run.real_parts(gan, data.train_set(), 16, rows=500))
    assert len(parts) == -(-len(whole) // 500) and all(len(part) <= 500 for part in parts)
    assert torch.equal(torch.cat(parts), whole)
    assert whole.min() >= -1 and whole.max() <= 1 and len(whole) == len(data.train_set())
