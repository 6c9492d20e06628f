"""Two processes play the game that one process with the whole batch plays."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from gan_zoo import checkpoint
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.clock import Signals
from gan_zoo.gan import GAN, NonFinite
from gan_zoo.strategy import GradientAverage

from .games import ADAM, JOINT, SEPARATE, CloudData, points, trainer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks two gloo processes")
STEPS, BATCH = 6, 16
SGD = {
    "name": "sgd",
    "lr": 0.02,
}  # Adam would blow up rounding where a gradient is 0, as a relativistic output bias's is

GAMES: dict[str, dict[str, Any]] = {
    **{
        name: {"loss": {"name": name, "weights": SEPARATE}}
        for name in ("minimax", "non_saturating", "least_squares", "hinge")
    },
    **{
        name: {"loss": {"name": name, "weights": JOINT}}
        for name in ("rpgan", "rpgan_ls", "rpgan_hinge", "ragan", "ragan_ls", "ragan_hinge")
    },
    **{
        part: {"regularizer": {"parts": {part: {}}, "weights": {"discriminator": {part: 1.0}}}}
        for part in ("gradient_penalty", "r1", "r2", "dragan", "drift")
    },
    "clipping": {
        "loss": {"name": "wasserstein", "weights": SEPARATE},
        "regularizer": {"parts": {"weight_clipping": {"long": 3, "warm_up": 1}}},
    },
    "spectral": {"regularizer": {"parts": {"spectral_norm": {}}}},
    "labels": {
        "loss": {
            "name": "non_saturating",
            "weights": SEPARATE,
            "labels": {"real": [0.7, 1.2], "fake": [0.0, 0.3], "flip": 0.2},
        }
    },
    "simultaneous": {"update": "simultaneous", "ema_half_life": 50.0},
    "feature matching": {"weights": {"generator": {"feature_matching": 1.0}}},
    "mode seeking": {"weights": {"generator": {"mode_seeking": 0.1}}},
    "own fakes": {"fresh_fake": True, "n_critic": 2, "clip": {"generator": 0.1, "discriminator": 0.1}},
}


class Read(Callback):
    """Writes each rank's weights and figures where the test can read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        figures = pl_module.figures()
        content = {
            "state": dict(pl_module.state_dict()),
            "figures": figures,
            "latent": pl_module.latent.draw(2, torch.device("cpu")),
        }
        torch.save(content, self.folder / f"{trainer.world_size}-{trainer.global_rank}.pt")


def fit(
    settings: dict[str, Any], processes: int, folder: Path, *callbacks: Callback, steps: int = STEPS
) -> None:
    gan, data = (
        points(**{"optimizer": {"generator": SGD, "discriminator": SGD}, **settings}),
        CloudData(BATCH),
    )
    content = checkpoint.read(checkpoint.newest_good(folder)[0]) if checkpoint.all_of(folder) else None
    if content:
        gan.set_extra_state(content["state"]["_extra_state"])
    data.begin(gan.samples_seen, None)
    strategy = GradientAverage(start_method="fork", process_group_backend="gloo") if processes > 1 else "auto"
    saving = Checkpoints(folder, 10**9, {}, content)
    trainer(steps * BATCH, Read(folder), *callbacks, saving, devices=processes, strategy=strategy).fit(
        gan, data
    )


def read(folder: Path, name: str) -> dict[str, Any]:
    return torch.load(folder / f"{name}.pt", weights_only=True)


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_equal_one_with_the_whole_batch(name: str, tmp_path: Path) -> None:
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        fit(GAMES[name], processes, tmp_path / str(processes))
    one, first, second = read(tmp_path / "1", "1-0"), read(tmp_path / "2", "2-0"), read(tmp_path / "2", "2-1")
    for key, value in one["state"].items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(
                first["state"][key], value, atol=2e-5, rtol=1e-4, msg=lambda m, key=key: f"{key}: {m}"
            )
            assert torch.equal(first["state"][key], second["state"][key]), key
    for key, figure in one["figures"].items():
        assert first["figures"][key] == pytest.approx(figure, abs=1e-4, rel=1e-3), key


def test_each_rank_draws_its_own_latents(tmp_path: Path) -> None:
    fit({}, 2, tmp_path)
    assert not torch.allclose(read(tmp_path, "2-0")["latent"], read(tmp_path, "2-1")["latent"])


def test_two_processes_resume_bitwise(tmp_path: Path) -> None:
    game = {
        "optimizer": {"generator": ADAM, "discriminator": ADAM},
        "loss": {"name": "ragan", "weights": JOINT},
        "dropout": 0.3,
        "ema_half_life": 40.0,
        "n_critic": 2,
    }
    (tmp_path / "whole").mkdir(), (tmp_path / "parts").mkdir()
    fit(game, 2, tmp_path / "whole")
    for steps in (3, STEPS):
        fit(game, 2, tmp_path / "parts", steps=steps)
    for rank in (0, 1):
        whole, parts = (read(tmp_path / place, f"2-{rank}")["state"] for place in ("whole", "parts"))
        assert all(torch.equal(whole[key], parts[key]) for key in whole if isinstance(whole[key], Tensor))


class SignalToOne(Callback):
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: GAN, *_: Any) -> None:
        if trainer.global_rank == 1 and pl_module.iteration == 2:
            os.kill(os.getpid(), signal.SIGTERM)


class ExitCode(Callback):
    def __init__(self, signals: Signals, folder: Path) -> None:
        self.signals, self.folder = signals, folder

    def on_train_end(self, trainer: pl.Trainer, pl_module: GAN) -> None:
        (self.folder / f"code-{trainer.global_rank}").write_text(str(self.signals.exit_code))


def test_a_signal_to_one_of_two_ends_both_a_step_later_and_the_run_goes_on_bitwise(tmp_path: Path) -> None:
    signals, (whole, cut) = Signals(), (tmp_path / "whole", tmp_path / "cut")
    whole.mkdir(), cut.mkdir()
    fit({}, 2, whole)
    fit({}, 2, cut, signals, ExitCode(signals, cut), SignalToOne())
    assert [(cut / f"code-{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
    assert {read(cut, f"2-{rank}")["state"]["_extra_state"]["iteration"] for rank in (0, 1)} == {4}
    assert checkpoint.all_of(cut)[0].stem == f"{4 * BATCH:010d}"
    fit({}, 2, cut)
    mine, theirs = read(cut, "2-1")["state"], read(whole, "2-1")["state"]
    assert all(torch.equal(mine[key], theirs[key]) for key in mine if isinstance(mine[key], Tensor))


class PoisonOneRank(Callback):
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == 1 and pl_module.iteration == 2:
            batch["real"][0] = torch.nan


def test_a_nan_on_one_rank_stops_both_before_the_update(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"discriminator.*after 32 samples") as caught:
        fit({}, 2, tmp_path, PoisonOneRank())
    assert NonFinite.__name__ in type(caught.value).__name__ or "NonFinite" in str(caught.value)
