"""The command that draws: how a view is laid out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_zoo import loading, plain_yaml, run, sample
from gan_zoo.config import compose, validate
from gan_zoo.schema import ConfigError, DataError
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


@pytest.mark.parametrize(
    ("output", "stem"), [("a/b.png", "a/b"), ("a/b", "a/b"), ("a/b.jpg", "a/b"), ("a/truncation_0.5", None)]
)
def test_a_number_in_the_name_of_a_file_is_no_ending(output: str, stem: str | None) -> None:
    assert sample._stem(output) == Path(stem or output)


@pytest.mark.parametrize(
    ("modality", "view"), [("audio", "nearest"), ("points", "nearest"), ("points", "video")]
)
def test_views_of_pictures_are_refused_for_what_is_none(modality: str, view: Any) -> None:
    with pytest.raises(ConfigError, match=f"view={view} is of pictures, this model makes {modality}"):
        sample._refuse(view, modality, SimpleNamespace(conditioned_on=()))


def test_a_class_is_refused_by_a_model_that_is_given_none() -> None:
    gan = loading.build(validate(compose(["model=vanilla", "data=digits", "data.resolution=16"])))
    with pytest.raises(ConfigError, match="condition=3 came, but this model is given no class"):
        gan.sample(2, condition=3)


def test_what_a_run_read_and_is_not_seen_from_here_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = validate(compose(["model=vanilla", "data=folder", "data.root=photos", "data.resolution=16"]))
    plain_yaml.save(config, tmp_path / "config.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"no such folder.* data.root is 'photos', seen from .*config\.yaml"
    ) as error:
        run.data_of(tmp_path)
    assert str(tmp_path) in str(error.value)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="holds no picture") as error:
        run.data_of(tmp_path)
    assert "seen from" not in str(error.value)
