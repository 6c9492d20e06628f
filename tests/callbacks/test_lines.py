"""Text in files, loggers and report: lines everywhere, pictures nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from gan_zoo import loading
from gan_zoo.callbacks.pictures import Pictures
from gan_zoo.config import compose, validate
from gan_zoo.evaluation.report import _texts
from gan_zoo.gan import GAN
from gan_zoo.run import data_module

from ..games import trainer
from .offline import wandb_records

SMALL = ["model=wgan_gp_text", "data=grammar", "data.size=100", "data.held_out=20", "data.batch_size=8", "model.n_critic=1",
         "model.generator.width=8", "model.discriminator.width=8", "model.generator.blocks=1", "model.discriminator.blocks=1"]  # fmt: skip


def written(folder: Path, logger: Any) -> tuple[GAN, list[str]]:
    """A run of two batches; its model and the lines of its last file."""
    config = validate(compose(SMALL))
    gan, data = loading.build(config), data_module(config)
    data.begin(0, None)
    trainer(16, Pictures(folder, every=8), logger=logger).fit(gan, data)
    return gan, (folder / "samples" / "0000000016.txt").read_text().splitlines()


def test_tensorboard_gets_the_lines_as_text(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    gan, lines = written(tmp_path, TensorBoardLogger(tmp_path, name="tensorboard", version=""))
    assert lines == gan.readable(gan.sample(64, seed=0)) and len(lines) == 64
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {
        "0000000000.txt",
        "0000000008.txt",
        "0000000016.txt",
        "real.txt",
    }
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert found.Tags()["images"] == []
    events = found.Tensors("samples/text_summary")
    assert [event.step for event in events] == [0, 8, 16]
    shown = events[-1].tensor_proto.string_val[0].decode()
    assert shown.splitlines() == [f"    {line}" for line in lines]
    page = _texts(tmp_path / "samples")
    assert lines[0] in page and (tmp_path / "samples" / "real.txt").read_text().splitlines()[0] in page
    assert page.count("<details>") == 2 and "<img" not in page


def test_wandb_gets_the_lines_as_a_table(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    from lightning.pytorch.loggers import WandbLogger

    _, lines = written(tmp_path, WandbLogger(save_dir=tmp_path, offline=True, project="test"))
    wandb.finish()
    rows = [row for row in wandb_records(tmp_path)["history"] if "samples/path" in row]
    assert [row["samples_seen"] for row in rows] == [0, 8, 16]
    assert rows[-1]["samples/_type"] == "table-file" and rows[-1]["samples/nrows"] == len(lines)
