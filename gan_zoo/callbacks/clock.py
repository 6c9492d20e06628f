"""Samples seen decide when a run ends; signals end it between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_zoo.gan import GAN
from gan_zoo.nn.parallel import world_size


def crosses(before: int, now: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, now]."""
    return now // every > before // every


class Clock(Callback):
    """Stops at `max_samples`, by the play's own counter: Lightning's epochs and global steps decide nothing."""

    def __init__(self, max_samples: int) -> None:
        self.max_samples = max_samples

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._look(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, gan: Any) -> None:
        if gan.samples_seen >= self.max_samples:
            trainer.should_stop = True


class Signals(Callback):
    """SIGINT, SIGTERM and SLURM's SIGUSR1 end the run after the step in progress; a second SIGINT ends it at once.

    Every rank looks at the same steps, so that all stop together. `received` is the signal, or None; the exit code a shell
    expects is 128 + its number, with SIGUSR1 counted as SIGTERM.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._handlers: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        if self.received is None:
            return 0
        return 128 + (signal.SIGINT if self.received == signal.SIGINT else signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # not earlier: Lightning installs handlers of its own before, whose SIGTERM ends the run with exit code 0
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers
        wanted = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])]
        self._handlers = {number: signal.signal(number, self._receive) for number in wanted}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            self._restore()
            raise KeyboardInterrupt
        self.received = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.received = self._of_any_rank(pl_module.device)
        if self.received is not None:
            trainer.should_stop = True

    def _of_any_rank(self, device: torch.device) -> int | None:
        if world_size() == 1:
            return self.received
        number = torch.tensor(self.received or 0, device=device)
        dist.all_reduce(number, op=dist.ReduceOp.MAX)
        return int(number) or None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()  # before Lightning restores those it found

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}


def play_of(module: LightningModule) -> GAN:
    """The module as what it is here."""
    assert isinstance(module, GAN)
    return module
