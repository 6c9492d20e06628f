"""Every model, found by listing conf/model: it composes, builds, plays, resumes to the same bits and samples."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

from gan_zoo import checkpoint, loading
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.clock import Clock
from gan_zoo.config import compose, conf_dir, validate
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import GAN
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError

MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
LOSSES = sorted(path.stem for path in (conf_dir() / "loss").glob("*.yaml"))
REGULARIZERS = sorted(path.stem for path in (conf_dir() / "regularizer").glob("*.yaml"))
BATCH = 8


def composed(model: str, *overrides: str) -> dict[str, Any]:
    return validate(compose([f"model={model}", f"data.batch_size={BATCH}", *overrides]))


def ready(config: dict[str, Any], content: dict[str, Any] | None = None) -> tuple[GAN, DataModule]:
    gan, data = loading.build(config), data_module(config)
    if content:
        gan.set_extra_state(content["state"]["_extra_state"])
    data.begin(gan.samples_seen, gan.batch_plan)
    return gan, data


def play(config: dict[str, Any], folder: Path, batches: int, **options: Any) -> GAN:
    """Plays to `batches` batches in all, from the newest checkpoint in `folder` where there is one."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    content = checkpoint.read(checkpoint.newest_good(folder)[0]) if checkpoint.all_of(folder) else None
    gan, data = ready(config, content)
    samples, position = 0, 0
    for _ in range(batches):  # batch sizes may change on the way
        position += (gan.batch_plan(position) or (BATCH, 0))[0]
        samples = position
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock(samples), Checkpoints(folder, 10**12, loading.described(config), content)],
        **options,
    )
    trainer.fit(gan, data)
    return gan


def steps_of(config: dict[str, Any]) -> int:
    """Enough for G to play twice."""
    return 2 * int(config["model"].get("n_critic") or 1)


def flat(gan: GAN, player: str) -> Tensor:
    return torch.cat([p.detach().flatten() for p in getattr(gan, player).parameters()])


@pytest.mark.parametrize("model", MODELS)
def test_both_players_move_and_all_stays_finite(model: str, tmp_path: Path) -> None:
    config = composed(model)
    fresh, _ = ready(config)
    gan = play(config, tmp_path, steps_of(config))
    for player in ("generator", "discriminator"):
        assert not torch.equal(flat(fresh, player), flat(gan, player)), player
        assert flat(gan, player).isfinite().all(), player
    assert all(math.isfinite(figure) for figure in gan.figures().values())


@pytest.mark.parametrize("model", MODELS)
def test_a_checkpoint_reloads_to_the_same_next_step(model: str, tmp_path: Path) -> None:
    config = composed(model)
    steps = steps_of(config)
    play(config, tmp_path / "whole", steps + 2)
    for stop in (steps - 1, steps + 2):
        play(config, tmp_path / "parts", stop)
    whole, parts = (
        checkpoint.read(checkpoint.newest_good(tmp_path / place)[0]) for place in ("whole", "parts")
    )
    assert same(whole, parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rhythm", [[], ["model.n_critic=2", "model.ema_half_life=100", "model.instance_noise=0.1"]]
)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("model", MODELS)
def test_two_resumes_are_bitwise_in_every_way_of_training(
    model: str, precision: str, workers: int, rhythm: list[str], tmp_path: Path
) -> None:
    """The product that the default suite has in pairs: its whole runs without workers, its parts with them."""
    alone, shared = (composed(model, *rhythm, f"data.workers={count}") for count in (0, workers))
    steps = steps_of(alone)
    play(alone, tmp_path / "whole", steps + 3, precision=precision)
    for stop in (steps - 1, steps + 1, steps + 3):
        play(shared, tmp_path / "parts", stop, precision=precision)
    whole, parts = (
        checkpoint.read(checkpoint.newest_good(tmp_path / place)[0]) for place in ("whole", "parts")
    )
    for content in (whole, parts):
        content.pop("config")  # tells the number of workers
    assert same(whole, parts)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, Tensor) else bool(a == b)


@pytest.mark.parametrize("model", MODELS)
def test_samples_are_a_function_of_the_seed_and_survive_loading_and_export(
    model: str, tmp_path: Path
) -> None:
    config = composed(model)
    gan = play(config, tmp_path, 1)
    inputs = data_module(config).held_out_batch(3) if gan.conditioned_on else None
    samples = gan.sample(3, seed=5, inputs=inputs)
    assert len(samples) == 3 and samples.isfinite().all()
    assert torch.equal(gan.sample(3, seed=5, inputs=inputs), samples)
    if gan.latent is not None:
        assert not torch.equal(gan.sample(3, seed=6, inputs=inputs), samples)
    loading.export(gan, tmp_path / "export", loading.described(config), "card")
    for place in (tmp_path, tmp_path / "last.ckpt", tmp_path / "export"):
        assert torch.equal(loading.load(place).sample(3, seed=5, inputs=inputs), samples), place


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "precision", ["bf16-mixed", pytest.param("16-mixed", marks=pytest.mark.slow)]
)  # float16 crawls on CPUs
def test_it_plays_in_mixed_precision(model: str, precision: str, tmp_path: Path) -> None:
    config = composed(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    options: dict[str, Any] = (
        {"precision": precision}
        if precision == "bf16-mixed"
        else {"plugins": [MixedPrecision("16-mixed", "cpu", scaler=scaler)]}
    )
    gan = play(config, tmp_path, steps_of(config), **options)
    assert all(math.isfinite(figure) for figure in gan.figures().values())
    assert flat(gan, "generator").isfinite().all() and flat(gan, "generator").dtype == torch.float32


@pytest.mark.parametrize("model", MODELS)
def test_it_fits_itself_to_the_data(model: str) -> None:
    config = composed(model)
    gan, data = ready(config)
    batch = data.train_set().__getitems__([(0, 0, data.resolution), (1, 0, data.resolution)])
    real = gan.outcome(gan.prepare_batch(batch)["real"])
    assert gan.sample(2, inputs=batch if gan.conditioned_on else None).shape == real.shape


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_goes_with_every_regularizer(loss: str, regularizer: str, tmp_path: Path) -> None:
    """On the default model; combinations that cannot be right say why."""
    config = composed(
        "dcgan",
        f"loss={loss}",
        f"regularizer={regularizer}",
        "data.resolution=8",
        "model.generator.width=4",
        "model.discriminator.width=4",
    )
    if loss == "wasserstein" and regularizer == "none":
        with pytest.raises(ConfigError, match="nothing bounds"):
            loading.build(config)
        return
    if regularizer == "weight_clipping":
        config["regularizer"]["parts"]["weight_clipping"]["long"] = 0
    gan = play(config, tmp_path, 2)
    assert all(math.isfinite(figure) for figure in gan.figures().values())


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("regularizer", ["gradient_penalty", "r1_r2", "spectral_norm"])
@pytest.mark.parametrize("loss", ["hinge", "rpgan", "ragan_ls"])
def test_every_model_takes_other_losses(model: str, loss: str, regularizer: str, tmp_path: Path) -> None:
    gan = play(composed(model, f"loss={loss}", f"regularizer={regularizer}"), tmp_path, 2)
    assert all(math.isfinite(figure) for figure in gan.figures().values())
