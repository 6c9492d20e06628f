"""Samples seen decide when a run ends; signals end it between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

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
    """SIGINT, SIGTERM and SLURM's SIGUSR1 end the run after the step in progress; a second SIGINT, and each of them before
    the first step, when there is nothing to save, ends it at once.

    Of several processes all stop together, a step later: what each has received is exchanged while the next step is played, on
    the CPU, so that no step waits for it. `received` is the signal, or None; the exit code a shell expects is 128 + its number,
    with SIGUSR1 counted as SIGTERM.
    """

    def __init__(self) -> None:
        self.received: int | None = None  # known to all processes
        self._own: int | None = None  # what this process was sent
        self._playing = False
        self._handlers: dict[int, Any] = {}
        self._group: dist.ProcessGroup | None = None
        self._exchange: tuple[dist.Work, torch.Tensor] | None = None

    @property
    def exit_code(self) -> int:
        if self.received is None:
            return 0
        return 128 + (signal.SIGINT if self.received == signal.SIGINT else signal.SIGTERM)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within it signals come here, from before the data are read on."""
        self._listen()
        try:
            yield
        finally:
            self._restore()

    def _listen(self) -> None:
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers
        wanted = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])]
        self._handlers = {number: signal.signal(number, self._receive) for number in wanted}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGINT and self._own == signal.SIGINT
        self._own = number
        if self._playing and not again:
            return
        self.received = number
        self._restore()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(self.exit_code)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if world_size() > 1:
            self._group = cast(dist.ProcessGroup, dist.new_group(backend="gloo"))
        self._playing = True
        self._listen()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.received = self._own
        if self._group is not None:
            self.received = self._exchanged()
            number = torch.tensor(self._own or 0)
            work = dist.all_reduce(number, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
            self._exchange = work, number
        if self.received is not None:
            trainer.should_stop = True

    def _exchanged(self) -> int | None:
        """What any process had received a step ago."""
        if self._exchange is None:
            return None
        (work, number), self._exchange = self._exchange, None
        work.wait()
        return int(number) or None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._exchanged()  # begun in the last step, and nobody's any more
        self._restore()

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
