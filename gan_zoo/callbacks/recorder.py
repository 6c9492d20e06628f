"""The figures of a run: metrics.csv, the loggers, and whoever else wants to be told."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from gan_zoo import media
from gan_zoo.callbacks.clock import crosses, play_of
from gan_zoo.gan import GAN, Batch
from gan_zoo.schema import ConfigError

Kind = TypeVar("Kind", bound=Callback)


class Watcher(Callback):
    """A callback that is also told the figures of each log point and the samples of each picture point."""

    def on_figures(self, trainer: Trainer, gan: GAN, figures: dict[str, float]) -> None:
        """On every rank. figures: by name, averaged over ranks, of the step just made."""

    def on_samples(self, trainer: Trainer, gan: GAN, samples: Any, real: Tensor | None) -> None:
        """On every rank. samples: now, from the same latents each time; real: as many real ones."""


def callbacks_of(trainer: Trainer) -> list[Callback]:
    return cast(list[Callback], trainer.callbacks)  # type: ignore[attr-defined]


def watchers(trainer: Trainer) -> Iterator[Watcher]:
    return (callback for callback in callbacks_of(trainer) if isinstance(callback, Watcher))


def colleague(trainer: Trainer, kind: type[Kind]) -> Kind | None:
    """The trainer's callback of a class, if it has one."""
    return next((callback for callback in callbacks_of(trainer) if isinstance(callback, kind)), None)


def samples_in(batch: Batch, trainer: Trainer) -> int:
    """Real samples that all ranks together are given in this step."""
    return len(batch["real"]) * trainer.world_size


@contextmanager
def undisturbed(gan: GAN) -> Iterator[None]:
    """Training goes on as if nothing had happened: random state, buffers and modes are put back."""
    buffers = [(buffer, buffer.clone()) for buffer in gan.buffers()]
    modes = [(module, module.training) for module in gan.modules()]
    with torch.random.fork_rng(devices=[gan.device] if gan.device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for buffer, value in buffers:
                buffer.copy_(value)


class Recorder(Watcher):
    """One row of metrics.csv for each `log_every` samples, and for the first and the last step; the same to all loggers.

    A row holds the figures of one step, not a mean, so that a resumed run writes the same bits. Where G plays
    in some steps only, the row waits for the next such step, at most until another row is due. A row of the last
    step that was not due goes again where a larger max_samples trains on, as if the run had never ended there.
    directory: the run directory. max_samples: where the run ends; without it the last step is as
    any other. Only rank 0 writes. A callback that saves comes after those of this folder, so that what it saves
    holds the state of the moment.
    """

    def __init__(self, directory: str | Path, log_every: int, max_samples: float = math.inf) -> None:
        if log_every < 1:
            raise ConfigError(f"log_every is a number of samples of at least 1, got {log_every}")
        self.path, self.log_every = Path(directory) / "metrics.csv", log_every
        self.max_samples = max_samples
        self.latest: dict[str, float] = {}
        self._due = self._overdue = self._ending = False
        self._columns: list[str] = []
        self._last: media.Row = {}
        self._seconds_before, self._started = 0.0, time.monotonic()
        self._mark: tuple[int, float] | None = None  # where and when the speed was last measured

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training that led to this position, over all resumes."""
        return self._seconds_before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        return {"due": self._due, "ending": self._ending}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._due, self._ending = bool(state_dict["due"]), bool(state_dict.get("ending"))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        samples_seen = play_of(pl_module).samples_seen
        self._mark = None
        if trainer.is_global_zero:
            kept = samples_seen - self._ending  # without the row that only a run's end asked for
            self.rewind(kept)
            for logger in trainer.loggers:
                _begin(logger, kept)
        self._started = time.monotonic()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        gan = play_of(pl_module)
        end = gan.samples_seen + samples_in(batch, trainer)
        crossing = crosses(gan.samples_seen, end, self.log_every)
        self._overdue = self._due and crossing
        self._due = self._due or crossing
        due = self._due or gan.iteration == 0
        self._ending = end >= self.max_samples and not due
        gan.observing = due or self._ending

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        gan = play_of(pl_module)
        generator_played = any(name.startswith("generator/") for name in gan.observations)
        now = generator_played or self._overdue or gan.iteration == 1 or gan.samples_seen >= self.max_samples
        if gan.observing and now:
            self._due = self._due and not generator_played
            self.record(trainer, gan, gan.figures())
        if self._mark is None:
            self._mark = gan.samples_seen, time.monotonic()  # the first step warms up and is not timed

    def record(self, trainer: Trainer, gan: GAN, figures: dict[str, float]) -> None:
        """Figures of this position go to the table, the loggers and the watchers; call it on all ranks."""
        self.latest |= figures
        if trainer.is_global_zero:
            timed = figures | self._speed(gan.samples_seen)
            self.write(gan.samples_seen, timed | {"seconds": self.seconds})
            for logger in trainer.loggers:
                axis = {"samples_seen": float(gan.samples_seen)} if isinstance(logger, WandbLogger) else {}
                logger.log_metrics(timed | axis, step=gan.samples_seen)
        for watcher in watchers(trainer):
            watcher.on_figures(trainer, gan, figures)

    def _speed(self, samples_seen: int) -> dict[str, float]:
        if self._mark is None or self._mark[0] == samples_seen:
            return {}
        before, then = self._mark
        self._mark = samples_seen, time.monotonic()
        speed = (samples_seen - before) / max(self._mark[1] - then, 1e-9)
        return {"images_per_second": speed, "seconds_per_kimg": 1000 / speed}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            media.loss_curves(self.path, self.path.with_name("losses.png"))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_train_end(trainer, pl_module)

    # ---- the table -----------------------------------------------------------------------------------

    def write(self, samples_seen: int, figures: dict[str, float]) -> None:
        """Appends a row, or completes the last one if it is of the same position; written out at once."""
        row = {"samples_seen": str(samples_seen)} | {
            name: repr(float(value)) for name, value in figures.items()
        }
        repeated = self._last.get("samples_seen") == row["samples_seen"]
        row = (self._last if repeated else {}) | row
        if repeated or not row.keys() <= set(self._columns):
            self._columns = ordered({*self._columns, *row})
            _, rows = media.read_table(self.path)
            self._replace([*(rows[:-1] if repeated else rows), row])
        else:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                file.write(_lines(self._columns, [row]))
        self._last = row

    def rewind(self, samples_seen: int) -> None:
        """Drops the rows after a position, which a resumed run writes again, and half-written ones."""
        self._columns, rows = media.read_table(self.path)
        kept = [row for row in rows if int(row["samples_seen"]) <= samples_seen] if samples_seen else []
        self._last = kept[-1] if kept else {}
        self.latest = {
            name: float(value)
            for row in kept
            for name, value in row.items()
            if value and name not in _NOT_FIGURES
        }
        self._seconds_before = float(self._last.get("seconds") or 0.0)
        if self._columns:
            self._replace(kept)

    def _replace(self, rows: Sequence[media.Row]) -> None:
        media.publish(
            self.path,
            (
                _lines(self._columns, [dict(zip(self._columns, self._columns, strict=True))])
                + _lines(self._columns, rows)
            ).encode(),
        )


_NOT_FIGURES = ("samples_seen", "seconds_per_kimg", "images_per_second", "seconds")


def ordered(columns: set[str]) -> list[str]:
    """samples_seen, G's figures, D's figures, all others, then what the clock on the wall decides."""

    def place(name: str) -> tuple[int, str]:
        fixed = {"samples_seen": 0, "seconds_per_kimg": 4, "images_per_second": 5, "seconds": 6}
        players = {"generator": 1, "discriminator": 2}
        return fixed.get(name, players.get(name.split("/")[0], 3)), name

    return sorted(columns, key=place)


def _lines(columns: Sequence[str], rows: Sequence[media.Row]) -> str:
    file = io.StringIO()
    csv.DictWriter(file, columns, restval="", lineterminator="\n").writerows(rows)
    return file.getvalue()


def _begin(logger: Logger, samples_seen: int) -> None:
    """Puts W&B on the samples_seen axis; has TensorBoard forget what a killed run logged later."""
    if isinstance(logger, WandbLogger):
        logger.experiment.define_metric("samples_seen")
        logger.experiment.define_metric("*", step_metric="samples_seen")
    if isinstance(logger, TensorBoardLogger) and samples_seen:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        start = Event(session_log=SessionLog(status=SessionLog.START))
        logger.experiment.file_writer.add_event(start, step=samples_seen + 1)
