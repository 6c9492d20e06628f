"""A text-to-image run, trained for two steps, which the views of captions are taken of."""

from __future__ import annotations

from pathlib import Path

import pytest

from gan_zoo.config import compose, validate
from gan_zoo.run import train

SMALL = [
    "model=text_to_image", "data.resolution=16", "data.size=48", "data.held_out=16", "data.unseen=8", "data.batch_size=8",
    "model.generator.width=4", "model.discriminator.width=4", "model.text.size=8", "model.text.encoder={width: 8, word: 8}",
    "model.latent.size=5", "max_samples=16", "logger=csv", "trainer.threads=1", "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]  # fmt: skip


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "run"
    assert train(validate(compose([*SMALL, f"output_dir={directory}"]))) == 0
    return directory
