"""The smallest real game, for tests of the play: an MLP that learns points, and a way to train it by hand."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from gan_zoo.callbacks.clock import Clock
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import GAN, Batch, Judgement

SEPARATE = {"discriminator": {"real": 1.0, "fake": 1.0}, "generator": {"adversarial": 1.0}}
JOINT = {"discriminator": {"adversarial": 1.0}, "generator": {"adversarial": 1.0}}
ADAM = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
SGD = {"name": "sgd", "lr": 0.1}
BOTH_SGD = {"generator": SGD, "discriminator": SGD}


class Points(GAN):
    """Two MLPs on 2-D points."""

    modality = "points"

    def __init__(self, width: int = 16, dropout: float = 0.0, **play: Any) -> None:
        super().__init__(**play)
        self.generator = nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Linear(width, 2))
        self.discriminator = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1)
        )

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        features = self.discriminator[:3](sample)
        return Judgement(self.discriminator[3](features).squeeze(1), (features,))


class Cloud:
    """A fixed Gaussian cloud around (3, 3)."""

    def __init__(self, size: int) -> None:
        self.points = torch.randn(size, 2, generator=torch.Generator().manual_seed(0)) + 3

    def __len__(self) -> int:
        return len(self.points)

    def __getitems__(self, keys: Any) -> Batch:
        return {"real": self.points[[index for index, _, _ in keys]]}


class CloudData(DataModule):
    def __init__(self, batch_size: int = 16, size: int = 100, workers: int = 0) -> None:
        super().__init__(
            name="cloud",
            resolution=1,
            channels=2,
            classes=0,
            modality="points",
            batch_size=batch_size,
            workers=workers,
        )
        self.size = size

    def train_set(self) -> Cloud:
        return Cloud(self.size)


def points(seed: int = 0, **settings: Any) -> Points:
    torch.manual_seed(seed)
    play = {
        "loss": {"name": "non_saturating", "weights": SEPARATE},
        "latent": {"size": 8},
        "optimizer": {"generator": ADAM, "discriminator": ADAM},
    }
    return Points(**{**play, **settings})


def trainer(samples: int, *callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    options: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "logger": False, **settings}
    return pl.Trainer(
        max_epochs=-1,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock(samples), *callbacks],
        **options,
    )


def play(gan: GAN, steps: int, *callbacks: pl.Callback, batch_size: int = 16, **settings: Any) -> pl.Trainer:
    """Plays on from where `gan` is, for `steps` batches."""
    data = CloudData(batch_size)
    data.begin(gan.samples_seen, None)
    fitted = trainer(gan.samples_seen + steps * batch_size, *callbacks, **settings)
    fitted.fit(gan, data)
    return fitted
