"""How far, how fast, how long still: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from rich import progress
from rich.console import Console

from gan_zoo.callbacks.clock import crosses, play_of
from gan_zoo.callbacks.recorder import Watcher
from gan_zoo.gan import GAN, Batch

COUNTED = 10_000  # runs shorter than this are told in samples, longer ones in thousands
_LOSSES = ("discriminator/total", "generator/total")


class Progress(Watcher):
    """Images seen (in kimg, thousands, where a run is long; `noun` names what is no image), the side where it grows,
    images a second, both losses of the last log point, time left.

    Losses are read at log points alone, so that the bar never makes the host wait for the device. Without a
    terminal: a line each 10 % or `seconds`, whichever comes first. Rank 0 only.
    For Trainer(enable_progress_bar=False).
    """

    def __init__(
        self,
        max_samples: int,
        noun: str = "images",
        *,
        seconds: float = 30.0,
        refresh: float = 0.25,
        console: Console | None = None,
    ) -> None:
        self.max_samples, self.noun, self.seconds, self.refresh = max_samples, noun, seconds, refresh
        self.console = console or Console()
        self._bar: progress.Progress | None = None
        self._losses: dict[str, float] = {}
        self._side: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = play_of(pl_module)
        self._shown, self._shown_at = gan.samples_seen, time.monotonic()
        if not trainer.is_global_zero or gan.samples_seen >= self.max_samples:
            return
        if self.console.is_terminal:
            # no refreshing thread: data workers are forked, and a fork copies held locks
            self._bar = progress.Progress(*_columns(), console=self.console, auto_refresh=False)
            self._bar.add_task(
                "", total=self.max_samples, completed=gan.samples_seen, text=self._text(gan.samples_seen, 0.0)
            )
            self._bar.start()

    def on_figures(self, trainer: Trainer, gan: GAN, figures: dict[str, float]) -> None:
        self._losses |= {name: figures[name] for name in _LOSSES if name in figures}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        gan, now = play_of(pl_module), time.monotonic()
        seen, plan = gan.samples_seen, gan.batch_plan(gan.samples_seen)
        self._side = plan[1] if plan else None
        passed = now - self._shown_at
        tenth = crosses(self._shown * 10, seen * 10, self.max_samples)
        if passed >= (self.refresh if self._bar else self.seconds) or tenth:
            self._show(seen, (seen - self._shown) / max(passed, 1e-9))
            self._shown, self._shown_at = seen, now

    def _show(self, seen: int, speed: float) -> None:
        text = self._text(seen, speed)
        if self._bar:
            self._bar.update(progress.TaskID(0), completed=seen, text=text, refresh=True)
            return
        share = min(100, 100 * seen // self.max_samples)
        left = duration(max(self.max_samples - seen, 0) / speed) if speed else "unknown"
        self.console.print(f"{share:3d} %  {text}  {left} left", highlight=False, soft_wrap=True)

    def _text(self, seen: int, speed: float) -> str:
        parts = [
            f"{_position(seen, self.max_samples)} {_unit(self.max_samples, self.noun)}",
            f"{self._side} px" if self._side else "",
            f"{speed:,.0f} {self.noun}/s" if speed else "",
        ]
        parts += [f"{name[0].upper()} {self._losses[name]:.3f}" for name in _LOSSES if name in self._losses]
        return "  ".join(part for part in parts if part)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar:
            self._bar.refresh()
            self._bar.stop()
            self._bar = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_train_end(trainer, pl_module)


def _columns() -> tuple[progress.ProgressColumn, ...]:
    return (
        progress.BarColumn(bar_width=24),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )


def _position(seen: int, most: int) -> str:
    return f"{seen:,} of {most:,}" if most < COUNTED else f"{seen / 1000:.1f} of {most / 1000:.1f}"


def _unit(most: int, noun: str) -> str:
    if most < COUNTED:
        return noun
    return "kimg" if noun == "images" else f"thousand {noun}"


def duration(seconds: float) -> str:
    """Two units at most: 42 s, 7 min, 3 h 20 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    hours = minutes // 60
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
