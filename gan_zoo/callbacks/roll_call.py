"""Which process the others wait for in vain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from datetime import timedelta

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed import TCPStore

PATIENCE = 5.0  # seconds in which all that wait give up too: they began to within a step of one another


class RollCall(Callback):
    """When a collective times out, the processes that waited answer at torchrun's store; one that does not, hangs.

    Those of this machine are ended, so that the launcher need not wait for them. Without torchrun's store (SLURM) and with
    NCCL, which ends a waiting process itself, nobody is named. Must be the first callback: others take time to tidy up.
    """

    def __init__(self) -> None:
        self._store: TCPStore | None = None
        self._rank, self._world = 0, 1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._rank, self._world = trainer.global_rank, trainer.world_size
        if self._world == 1 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            return
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        with contextlib.suppress(RuntimeError):  # torch's DistError is one: nobody can be named then
            self._store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=10))
            self._store.set(f"roll_call/{self._rank}", f"{socket.gethostname()} {os.getpid()}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._store is not None:
            with contextlib.suppress(RuntimeError):
                self._store.set(f"roll_call/here/{self._rank}", "")

    def missing(self) -> list[str]:
        """After an exception: 'process 1 (pid 7 on host)' for each that does not answer; those of this machine are killed."""
        if self._store is None:
            return []
        with contextlib.suppress(RuntimeError):
            return [self._ended(rank) for rank in self._silent(self._store)]
        return []

    def _silent(self, store: TCPStore) -> list[int]:
        deadline, silent = time.monotonic() + PATIENCE, list(range(self._world))
        while silent and time.monotonic() < deadline:
            silent = [rank for rank in silent if not store.check([f"roll_call/here/{rank}"])]
            time.sleep(0.1)
        return silent

    def _ended(self, rank: int) -> str:
        assert self._store is not None
        host, pid = self._store.get(f"roll_call/{rank}").decode().split()
        if host == socket.gethostname():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), getattr(signal, "SIGKILL", signal.SIGTERM))
        return f"process {rank} (pid {pid} on {host})"


def timed_out(failure: BaseException) -> bool:
    """Whether a collective gave up waiting: gloo says so in words only.

    The operation that timed out first says the former; the others that this process had under way then say the latter.
    """
    words = ("Timed out waiting", "Application timeout caused pair closure")
    return isinstance(failure, RuntimeError) and any(word in str(failure) for word in words)


def lost_peer(failure: BaseException) -> bool:
    """Whether another process closed its connections, in gloo's words: it ended, by a mistake or a signal."""
    words = ("Connection closed by peer", "Connection reset by peer")
    return isinstance(failure, RuntimeError) and any(word in str(failure) for word in words)
