"""Figures of a growing run: of each resolution at its last moment, the same after a resume, unnoticed by training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_zoo import checkpoint, loading, media
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.callbacks.resolutions import NAME, Resolutions
from gan_zoo.config import compose, validate
from gan_zoo.gan import GAN
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError

from ..games import points, trainer
from .test_evaluation import ring

CONFIG = ("model=pggan", "data=avatars", "data.size=60", "data.held_out=30", "data.resolution=16", "data.classes=0",
          "data.batch_size=10", "model.schedule.stable=20", "model.schedule.fade=20", "model.generator.base=32",
          "model.discriminator.base=32", "model.latent.size=8", "model.discriminator.minibatch_group=null")  # fmt: skip


def play(folder: Path, samples: int, *callbacks: Any) -> GAN:
    config = validate(compose(CONFIG))
    data, gan = data_module(config), loading.build(config)
    content = None
    if checkpoint.all_of(folder / "checkpoints"):
        content = checkpoint.read(checkpoint.newest_good(folder / "checkpoints")[0])
        gan.set_extra_state(content["state"]["_extra_state"])
    data.begin(gan.samples_seen, gan.batch_plan)
    saving = Checkpoints(folder / "checkpoints", 10**9, {}, content)
    trainer(samples, Recorder(folder, 20), *callbacks, saving).fit(gan, data)
    return gan


def rows(folder: Path) -> list[dict[str, str]]:
    return media.read_table(folder / NAME)[1]


def test_each_resolution_has_a_row_of_its_last_moment(tmp_path: Path) -> None:
    """4 px until 20 samples, 8 px from the step that begins at 30 (fade 20 to 40), 16 px likewise after 60."""
    noted, alone = (play(tmp_path / name, 110, *callbacks) for name, callbacks in
                    (("noted", [Resolutions(n=30, reals=60)]), ("alone", [])))  # fmt: skip
    found = rows(tmp_path / "noted")
    assert [(row["samples_seen"], row["resolution"]) for row in found] == [
        ("20", "4"),
        ("60", "8"),
        ("110", "16"),
    ]
    assert noted.batch_plan(20)[1] == 4 and noted.batch_plan(30)[1] == 8  # type: ignore[index]
    assert all(row["frechet_distance"] and row["precision"] for row in found)
    assert [bool(row["patch_swd_16"]) for row in found] == [False, False, True]
    for name, value in alone.state_dict().items():
        assert not isinstance(value, torch.Tensor) or torch.equal(value, noted.state_dict()[name]), name
    curves = media.read_table(tmp_path / "noted" / "metrics.csv")[1]
    assert [row["samples_seen"] for row in curves if row["evaluation/frechet_distance"]] == [
        "20",
        "60",
        "110",
    ]


def test_a_resumed_run_writes_the_same_rows(tmp_path: Path) -> None:
    play(tmp_path / "whole", 110, Resolutions(n=30, reals=60))
    for stop in (50, 110):
        play(tmp_path / "parts", stop, Resolutions(n=30, reals=60))
    assert rows(tmp_path / "whole") == [
        row for row in rows(tmp_path / "parts") if row["samples_seen"] != "50"
    ]


def test_models_that_do_not_grow_and_wrong_names_are_refused(tmp_path: Path) -> None:
    data = ring()
    data.begin(0, None)
    with pytest.raises(ConfigError, match=r"Points.*does not; use callbacks=evaluation"):
        trainer(16, Resolutions(), Recorder(tmp_path, 16)).fit(points(), data)
    with pytest.raises(ConfigError, match="did you mean frechet"):
        Resolutions(metrics=["frechett"])


def test_it_is_chosen_by_name_and_stands_in_the_report(tmp_path: Path) -> None:
    from gan_zoo.evaluation.report import _resolutions

    settings = compose(["callbacks=resolutions"])["callbacks"]["resolutions"]
    assert settings.pop("_target_") == "gan_zoo.callbacks.resolutions.Resolutions"
    assert Resolutions(**settings).metrics == ["frechet", "neighbours", "patch_swd", "ms_ssim"]
    assert _resolutions(tmp_path) == ""
    (tmp_path / NAME).write_text("samples_seen,resolution,frechet_distance,ms_ssim\n2000,8,1.5,\n")
    shown = _resolutions(tmp_path)
    assert "2,000" in shown and "1.50" in shown and "ms ssim" in shown
