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
from gan_zoo.views import OF_A_CAPTION, USES, Options, items


@pytest.mark.parametrize(("asked", "columns"), [(2, 3), (9, 4)])
def test_a_row_is_a_sample_and_its_neighbours_also_where_there_are_fewer_than_asked(
    asked: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = loading.build(validate(compose(["model=vanilla", "data=digits", "data.resolution=16"])))
    data = SimpleNamespace(plain_train_set=list, resolution=16, flip=False)
    monkeypatch.setattr(items, "data_of", lambda run: data)
    monkeypatch.setattr(items, "real_parts", lambda *given: iter([torch.rand(3, 1, 16, 16)]))
    options = Options(n=2, neighbours=asked)
    samples, across = sample._laid_out(
        sample.Task(gan, "image", Path("run"), "nearest", 0, options, Path("x.png"))
    )
    assert (len(samples), across) == (2 * columns, columns)


@pytest.mark.parametrize(
    ("output", "suffix", "target"),
    [
        (None, ".png", "RUN/generated/grid-3.png"),
        ("a/b.png", ".png", "a/b.png"),
        ("a/b", ".txt", "a/b.txt"),
        ("a/truncation_0.5", ".png", "a/truncation_0.5.png"),
        ("a/b", ".gif", "a/b.gif"),
        ("a/b.mp4", ".gif", "a/b.mp4"),
    ],
)
def test_files_are_named_as_asked_with_the_ending_of_what_is_in_them(
    output: str | None, suffix: str, target: str
) -> None:
    assert sample._target(Path("RUN"), "grid", 3, suffix, output) == Path(target)


@pytest.mark.parametrize(
    ("output", "suffix", "words"),
    [
        ("a/b.jpg", ".png", r"output=a/b.jpg: this is written as .png; name it a/b.png"),
        ("b.webm", ".gif", r"output=b.webm: this is written as .gif or .mp4; name it b.gif"),
    ],
)
def test_an_ending_that_is_not_what_is_written_is_refused(output: str, suffix: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sample._target(Path("RUN"), "grid", 3, suffix, output)


@pytest.mark.parametrize(
    ("view", "given", "words"),
    [
        ("grid", {"fps": 10}, "fps came, view=grid does not use it; leave it out, or take view=video"),
        (
            "arithmetic",
            {"n": 4},
            "n came, view=arithmetic does not use it; .*=grid, interpolation, classes, ",
        ),
        ("classes", {"condition": 2}, "condition came, view=classes does not"),
        (
            "grid",
            {"caption": "a", "condition": 2},
            "condition came, view=grid of a caption does not use it",
        ),
        ("interpolation", {"caption": "a", "other": "b"}, "other came, .* or take view=grid, captions, "),
        ("nearest", {"caption": "a"}, "view=nearest draws no captions; leave the caption out, or take grid"),
        ("grid", {"style": "a.png"}, "style came, view=grid .* view=style with caption=..."),
        ("grid", {"encoder": "x"}, "encoder came, view=grid does not use it"),
    ],
)
def test_what_a_view_would_not_look_at_is_refused(view: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sample.refuse_unused(view, Options(**given))


def test_what_a_view_looks_at_is_taken() -> None:
    for uses in (USES, OF_A_CAPTION):
        for view, names in uses.items():
            told = {"caption": "a"} if uses is OF_A_CAPTION else {}
            for name in names:
                sample.refuse_unused(view, Options(**{**told, name: "other"}))
    assert set().union(*USES.values(), *OF_A_CAPTION.values()) == set(Options._fields)


@pytest.mark.parametrize(
    ("modality", "view"), [("audio", "nearest"), ("points", "nearest"), ("points", "video")]
)
def test_views_of_pictures_are_refused_for_what_is_none(modality: str, view: Any) -> None:
    with pytest.raises(ConfigError, match=f"view={view} is of pictures, this model makes {modality}"):
        sample.refuse_unfit(view, modality, SimpleNamespace(conditioned_on=()))


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
