"""Figures of each resolution of a growing run, when it is finished: resolutions.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from pydantic import PositiveInt

from gan_zoo import media
from gan_zoo.callbacks.clock import Clock, play_of
from gan_zoo.callbacks.evaluation import PREFIX, Evaluation
from gan_zoo.callbacks.recorder import Recorder, colleague
from gan_zoo.gan import GAN, Batch
from gan_zoo.metrics.measures import Measure
from gan_zoo.metrics.subject import Subject
from gan_zoo.metrics.table import MEASURES, meant
from gan_zoo.schema import ConfigError

NAME = "resolutions.csv"
USUAL = ("frechet", "neighbours", "patch_swd", "ms_ssim")


class Resolutions(Evaluation):
    """Before the last step of each resolution, and at the end: a row of resolutions.csv, and columns evaluation/<figure>.

    metrics: names of measures, of which those that fit the resolution are taken. n: samples of the seed; reals: training
    pictures of that resolution to compare them with, at most. The moments follow from the schedule and the latents are
    always the same, so that a resumed run writes the same rows; the training is the same as without it.
    """

    def __init__(
        self,
        metrics: list[str] | tuple[str, ...] = USUAL,
        n: PositiveInt = 2000,
        reals: PositiveInt = 5000,
        seed: int = 0,
    ) -> None:
        super().__init__(every=1, metrics=list(metrics), n=n, reals=reals, watch=None, seed=seed)
        for name in metrics:
            if name not in MEASURES:
                raise ConfigError(f"callbacks.resolutions.metrics: {name!r} came; {meant(name, MEASURES)}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = play_of(pl_module)
        if gan.batch_plan(gan.samples_seen) is None:
            raise ConfigError(
                f"callbacks=resolutions is for models that grow, {type(gan).__name__} does not; use callbacks=evaluation"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        gan = play_of(pl_module)
        size, resolution = gan.batch_plan(gan.samples_seen) or (0, 0)
        _, following = gan.batch_plan(gan.samples_seen + size) or (0, 0)
        if following > resolution:  # a step later the next resolution is there
            self._note(trainer, gan)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan, clock = play_of(pl_module), colleague(trainer, Clock)
        if clock is None or gan.samples_seen >= clock.max_samples:  # a run that goes on has no such moment
            self._note(trainer, gan)

    def _note(self, trainer: Trainer, gan: GAN) -> None:
        figures = self.figures(trainer, gan)
        if recorder := colleague(trainer, Recorder):
            recorder.record(trainer, gan, {f"{PREFIX}{name}": value for name, value in figures.items()})
            resolution = gan.batch_plan(gan.samples_seen)[1]  # type: ignore[index]
            if trainer.is_global_zero:
                note(recorder.path.parent / NAME, gan.samples_seen, resolution, figures)

    def _measures(self, subject: Subject) -> dict[str, Measure]:
        return {name: MEASURES[name] for name in self.metrics or () if MEASURES[name].fits(subject)}


def note(path: Path, samples_seen: int, resolution: int, figures: dict[str, float]) -> None:
    """Adds a row; those of this position and later ones, which a resumed run writes again, go."""
    _, rows = media.read_table(path)
    row = {"samples_seen": str(samples_seen), "resolution": str(resolution)}
    row |= {name: repr(float(value)) for name, value in figures.items()}
    rows = [*(one for one in rows if int(one["samples_seen"]) < samples_seen), row]
    columns = list(dict.fromkeys(name for one in rows for name in one))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    media.publish(path, file.getvalue().encode())
