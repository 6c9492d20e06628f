"""k steps + resume + the rest equals all steps in one go, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

from gan_zoo import checkpoint
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.clock import Signals
from gan_zoo.gan import GAN
from gan_zoo.schema import CheckpointError

from .games import ADAM, JOINT, SEPARATE, CloudData, points, trainer

BATCH, STEPS = (
    16,
    15,
)  # 15 batches of 16 from 100 points: two and a half epochs, whose ends fall inside batches
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "loss": {"name": "hinge", "weights": SEPARATE},
        "n_critic": 3,
        "ema_half_life": 100.0,
        "dropout": 0.3,
        "fresh_fake": True,
        "regularizer": {
            "parts": {"gradient_penalty": {}, "drift": {}},
            "weights": {"discriminator": {"gradient_penalty": 10.0, "drift": 1e-3}},
        },
        "instance_noise": {"name": "linear", "value": 1.0, "to": 0.0, "length": 200},
        "optimizer": {
            "generator": {"name": "adam", "lr": {"name": "cosine", "value": 1e-3, "to": 0.0, "length": 240}},
            "discriminator": ADAM,
        },
    },
    "simultaneous": {
        "update": "simultaneous",
        "ema_decay": 0.9,
        "loss": {"name": "ragan_ls", "weights": JOINT},
    },
    "noisy labels": {
        "loss": {
            "name": "non_saturating",
            "weights": SEPARATE,
            "labels": {"real": [0.7, 1.2], "fake": [0.0, 0.3], "flip": 0.1},
        },
        "optimizer": {
            "generator": {"name": "rmsprop", "lr": 1e-3},
            "discriminator": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        },
    },
    "clipped": {
        "loss": {"name": "wasserstein", "weights": SEPARATE},
        "update": "generator_first",
        "regularizer": {"parts": {"weight_clipping": {"long": 4, "warm_up": 2, "every": 3}}},
    },
}


def go_on(
    settings: dict[str, Any],
    folder: Path,
    steps: int,
    *callbacks: Callback,
    every: int = BATCH,
    resume: bool = True,
    workers: int = 0,
    **options: Any,
) -> tuple[GAN, pl.Trainer]:
    """Trains to `steps` batches in all, from the newest good checkpoint of `folder`, saving every `every` samples."""
    content = (
        checkpoint.read(checkpoint.newest_good(folder)[0]) if resume and checkpoint.all_of(folder) else None
    )
    gan = points(**settings)
    if content:
        gan.set_extra_state(content["state"]["_extra_state"])
    data = CloudData(BATCH, workers=workers)
    data.begin(gan.samples_seen, None)
    saving = Checkpoints(folder, every, {"model": "points", "config": {}}, content, keep=1000)
    fitted = trainer(steps * BATCH, *callbacks, saving, **options)
    fitted.fit(gan, data)
    return gan, fitted


def digest(folder: Path) -> list[tuple[str, Any]]:
    """All of the newest checkpoint, flattened."""

    def flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
        if isinstance(value, dict):
            return [pair for key in value for pair in flat(value[key], f"{name}/{key}")]
        if isinstance(value, (list, tuple)):
            return [pair for i, item in enumerate(value) for pair in flat(item, f"{name}/{i}")]
        return [(name, value.tolist() if isinstance(value, Tensor) else value)]

    return flat(checkpoint.read(checkpoint.all_of(folder)[0]))


@pytest.mark.parametrize("name", SETTINGS)
def test_resume_from_every_batch_is_bitwise(name: str, tmp_path: Path) -> None:
    go_on(SETTINGS[name], tmp_path / "whole", STEPS)
    expected = digest(tmp_path / "whole")
    for k, saved in enumerate(sorted((tmp_path / "whole").glob("0*.ckpt"))[:-1]):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / saved.name).write_bytes(saved.read_bytes())
        go_on(SETTINGS[name], folder, STEPS, every=10**9)
        assert digest(folder) == expected, f"resumed after batch {k + 1}"


def test_two_resumes_in_a_row_are_bitwise(tmp_path: Path) -> None:
    settings = SETTINGS["everything"]
    go_on(settings, tmp_path / "whole", STEPS)
    for first in range(1, STEPS, 2):
        for second in range(first + 1, STEPS, 3):
            folder = tmp_path / f"{first}-{second}"
            for stop in (first, second, STEPS):
                go_on(settings, folder, stop, every=10**9)
            assert digest(folder) == digest(tmp_path / "whole"), f"resumed after {first} and {second}"


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_resumes_bitwise(precision: str, tmp_path: Path) -> None:
    def options() -> dict[str, Any]:
        if precision == "bf16-mixed":
            return {"precision": precision}
        return {
            "plugins": [
                MixedPrecision(
                    "16-mixed",
                    "cpu",
                    scaler=torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3),
                )
            ]
        }

    go_on(SETTINGS["everything"], tmp_path / "whole", STEPS, **options())
    for stop in (7, STEPS):
        go_on(SETTINGS["everything"], tmp_path / "parts", stop, every=10**9, **options())
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def test_workers_change_nothing(tmp_path: Path) -> None:
    go_on(SETTINGS["everything"], tmp_path / "0", 8)
    for stop in (5, 8):
        go_on(SETTINGS["everything"], tmp_path / "2", stop, workers=2)
    assert digest(tmp_path / "2") == digest(tmp_path / "0")


def test_a_finished_run_trains_no_further(tmp_path: Path) -> None:
    go_on({}, tmp_path, 5)
    before = digest(tmp_path)
    gan, _ = go_on({}, tmp_path, 5)
    assert gan.iteration == 5 and digest(tmp_path) == before


def test_a_longer_run_simply_trains_on(tmp_path: Path) -> None:
    go_on({}, tmp_path / "short", 5)
    go_on({}, tmp_path / "short", 9)
    go_on({}, tmp_path / "long", 9)
    assert digest(tmp_path / "short") == digest(tmp_path / "long")


def test_these_tests_have_teeth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the position of the data forgotten, or the step's seed, a resumed run must differ."""
    go_on(SETTINGS["everything"], tmp_path / "whole", STEPS)
    for what in ("data", "seed"):
        with monkeypatch.context() as patch:
            if what == "data":
                patch.setattr(CloudData, "begin", lambda self, start, plan: None)
            else:
                patch.setattr("gan_zoo.chance.begin_step", lambda *_: None)
            for stop in (7, STEPS):
                go_on(SETTINGS["everything"], tmp_path / what, stop, every=10**9)
        assert digest(tmp_path / what) != digest(tmp_path / "whole")


def test_the_newest_checkpoint_that_verifies_is_taken(tmp_path: Path) -> None:
    go_on({}, tmp_path, 5)
    newest, *older = checkpoint.all_of(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-200])
    path, broken = checkpoint.newest_good(tmp_path)
    assert path == older[0] and newest.name in broken[0]
    for old in older:
        old.unlink()
    with pytest.raises(CheckpointError, match=f"{newest.name}.*Start a new run without resume="):
        checkpoint.newest_good(tmp_path)


def test_another_models_checkpoint_is_refused(tmp_path: Path) -> None:
    go_on({}, tmp_path, 2)
    with pytest.raises(CheckpointError, match="does not fit this model"):
        go_on({"width": 17}, tmp_path, 4)


def test_old_checkpoints_go_only_after_the_newest_is_good(tmp_path: Path) -> None:
    gan = points()
    data = CloudData(BATCH)
    fitted = trainer(10 * BATCH, Checkpoints(tmp_path, BATCH, {}, keep=2))
    fitted.fit(gan, data)
    assert [path.name for path in checkpoint.all_of(tmp_path)] == ["0000000160.ckpt", "0000000144.ckpt"]
    assert checkpoint.read(tmp_path / "last.ckpt")["state"]["_extra_state"]["samples_seen"] == 160


class SignalAt(Callback):
    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)]
)
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(
    number: int, code: int, tmp_path: Path
) -> None:
    signals, before = Signals(), signal.getsignal(number)
    gan, _ = go_on({}, tmp_path / "cut", STEPS, SignalAt(4, number), signals, every=10**9)
    assert gan.iteration == 5 and signals.exit_code == code and signal.getsignal(number) == before
    go_on({}, tmp_path / "cut", STEPS, every=10**9)
    go_on({}, tmp_path / "whole", STEPS)
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


class Late(Callback):
    """Gives the killer time: a step takes a millisecond more."""

    def on_train_batch_start(self, *_: Any) -> None:
        time.sleep(0.001)


def killed_until_done(settings: dict[str, Any], folder: Path, seed: int) -> int:
    """Trains in forked processes that are killed at random moments until one ends by itself; returns the number of kills."""
    dice, kills = random.Random(seed), 0
    while True:
        child = os.fork()
        if child == 0:
            try:
                go_on(settings, folder, STEPS, Late(), every=BATCH)
                os._exit(0)
            except BaseException as failure:
                print(failure, file=sys.stderr)
                os._exit(1)
        time.sleep(dice.uniform(0.03, 0.35))
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return kills
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1


def count_kills(at_least: int, tmp_path: Path, seed: int) -> None:
    names = list(SETTINGS)
    wholes = {}
    for name in names:
        go_on(SETTINGS[name], tmp_path / name, STEPS)
        wholes[name] = digest(tmp_path / name)
    kills = run = 0
    while kills < at_least:
        name = names[run % len(names)]
        folder = tmp_path / f"run {run}"
        kills += killed_until_done(SETTINGS[name], folder, seed + run)
        assert digest(folder) == wholes[name], f"run {run} ({name}, seed {seed + run}) differs after kills"
        run += 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes, which only POSIX has")
def test_sixty_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    count_kills(60, tmp_path, seed=20261122)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes, which only POSIX has")
def test_two_hundred_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    count_kills(200, tmp_path, seed=int(time.time()))
