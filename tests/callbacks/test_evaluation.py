"""Metrics during training: which rows, which checkpoint is best, and that training does not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gan_zoo import checkpoint
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.evaluation import Evaluation
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.config import compose
from gan_zoo.data.toy import Ring
from gan_zoo.gan import GAN
from gan_zoo.schema import ConfigError

from ..games import points, trainer
from .test_recorder import bits

SAVED = {"gan_zoo": "test", "model": "points", "config": {}}


def ring() -> Ring:
    return Ring(name="ring", resolution=1, channels=2, classes=0, modality="points", batch_size=16, size=400, held_out=100, fresh=False,
                balanced=True, count=8, radius=1.0, std=0.05, divisor=1.0)  # fmt: skip


def play(gan: GAN, samples: int, *callbacks: Any) -> None:
    data = ring()
    data.begin(gan.samples_seen, None)
    trainer(samples, *callbacks).fit(gan, data)


def small(**settings: Any) -> Evaluation:
    return Evaluation(**{"every": 64, "n": 50, "reals": 100, **settings})


def test_figures_stand_in_rows_at_multiples(tmp_path: Path) -> None:
    play(points(), 160, small(), Recorder(tmp_path, 32))
    rows = [row for row in bits(tmp_path) if row["evaluation/modes"]]
    assert [row["samples_seen"] for row in rows] == ["64", "128"]
    names = {name.removeprefix("evaluation/") for name in rows[0] if name.startswith("evaluation/")}
    assert {"modes", "high_quality", "reverse_kl", "frechet_distance", "precision", "recall", "swd"} <= names
    assert rows[0]["discriminator/total"]  # completes the row of the step, does not repeat it


def test_training_does_not_notice(tmp_path: Path) -> None:
    alone, watched = (points(dropout=0.3, ema_half_life=100.0) for _ in range(2))
    play(alone, 160, Recorder(tmp_path / "a", 32))
    play(watched, 160, small(every=16), Recorder(tmp_path / "b", 32))
    for name, value in alone.state_dict().items():
        other = watched.state_dict()[name]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other, name
    kept = [
        {key: value for key, value in row.items() if not key.startswith("evaluation/")}
        for row in bits(tmp_path / "b")
    ]
    assert [row for row in kept if row["discriminator/total"]] == bits(tmp_path / "a")


def test_whatever_a_metric_does_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Draws(Evaluation):
        def figures(self, trainer: Any, gan: GAN) -> dict[str, float]:
            before = torch.get_rng_state(), gan.discriminator.training, gan.discriminator_loss_moments.clone()
            found = super().figures(trainer, gan)
            after = torch.get_rng_state(), gan.discriminator.training, gan.discriminator_loss_moments
            assert (
                torch.equal(before[0], after[0])
                and before[1] == after[1]
                and torch.equal(before[2], after[2])
            )
            return found

    gan = points()

    def careless(measure: Any, subject: Any) -> dict[str, float]:
        gan.discriminator.eval()
        gan.discriminator_loss_moments.add_(torch.rand(2))
        return {"reverse_kl": 1.0}

    monkeypatch.setattr("gan_zoo.callbacks.evaluation.quick", careless)
    play(gan, 64, Draws(every=64, n=50, reals=100))


def test_a_resumed_run_writes_the_same_rows_and_the_same_best(tmp_path: Path) -> None:
    def run(folder: Path, samples: int) -> None:
        content = (
            checkpoint.read(checkpoint.newest_good(folder / "checkpoints")[0])
            if (folder / "checkpoints").exists()
            else None
        )
        gan = points()
        if content:
            gan.set_extra_state(content["state"]["_extra_state"])
        play(
            gan,
            samples,
            small(),
            Recorder(folder, 32),
            Checkpoints(folder / "checkpoints", 48, SAVED, content),
        )

    run(tmp_path / "whole", 192)
    for stop in (96, 192):
        run(tmp_path / "parts", stop)
    assert bits(tmp_path / "whole") == bits(tmp_path / "parts")
    best = [checkpoint.read(tmp_path / kind / "checkpoints" / "best.ckpt") for kind in ("whole", "parts")]
    assert best[0]["state"]["_extra_state"] == best[1]["state"]["_extra_state"]
    assert best[0]["callbacks"]["Checkpoints"] == best[1]["callbacks"]["Checkpoints"]


@pytest.mark.parametrize(
    ("watch", "told", "wanted"),
    [("reverse_kl", [3.0, 1.0, 2.0], 128), ("modes", [3.0, 1.0, 5.0], 192), (None, [1.0] * 3, None)],
)
def test_the_watched_figure_chooses_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: str | None, told: list[float], wanted: int | None
) -> None:
    given = iter(told)
    monkeypatch.setattr(Evaluation, "figures", lambda self, trainer, gan: {str(watch): next(given)})
    play(points(), 192, small(watch=watch), Checkpoints(tmp_path, 10**9, SAVED))
    if wanted is None:
        assert not (tmp_path / "best.ckpt").exists()
    else:
        assert checkpoint.read(tmp_path / "best.ckpt")["state"]["_extra_state"]["samples_seen"] == wanted


def test_a_figure_that_is_no_number_chooses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([float("nan"), 2.0, float("nan")])
    monkeypatch.setattr(Evaluation, "figures", lambda self, trainer, gan: {"reverse_kl": next(given)})
    play(points(), 192, small(), Checkpoints(tmp_path, 10**9, SAVED))
    assert checkpoint.read(tmp_path / "best.ckpt")["state"]["_extra_state"]["samples_seen"] == 128


def test_auto_watches_the_modes_where_they_are_known(tmp_path: Path) -> None:
    callback = small()
    play(points(), 16, callback)
    assert callback._watched == ("reverse_kl", True)
    callback = small(metrics=["neighbours"])
    play(points(), 16, callback)
    assert callback._watched == ("precision", False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["mode"]}, "did you mean modes"),
        ({"metrics": ["ms_ssim"]}, "does not fit"),
        ({"watch": "reverse"}, "did you mean reverse_kl"),
    ],
)
def test_mistakes_are_told_before_the_first_step(settings: dict[str, Any], message: str) -> None:
    gan = points()
    with pytest.raises(ConfigError, match=message):
        play(gan, 64, small(**settings))
    assert gan.samples_seen == 0


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="n=3"):
        Evaluation(n=3)


def test_it_is_chosen_by_name() -> None:
    config = compose(["callbacks=evaluation", "callbacks.evaluation.every=5000"])
    assert config["callbacks"]["evaluation"]["_target_"] == "gan_zoo.callbacks.evaluation.Evaluation"
    settings = {key: value for key, value in config["callbacks"]["evaluation"].items() if key != "_target_"}
    assert Evaluation(**settings).every == 5000
