"""Trials in processes: one each, so that a crash takes one trial with it."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from gan_zoo.benchmark.grid import Trial

PATIENCE = 60.0  # seconds that a told worker has to finish its step and save


def run(
    trials: Sequence[Trial], workers: int, work: Callable[[Trial], None], ended: Callable[[Trial, int], None]
) -> None:
    """Runs work(trial) for all trials, at most `workers` at once; ended(trial, exit code) after each, here.

    Linux forks, so that what this process has imported is there at once; elsewhere processes are spawned. On
    Ctrl-C and SIGTERM the workers are told, waited for, and KeyboardInterrupt is raised.
    """
    # fork is safe here: this process runs no threads and has not touched a GPU (see trial.preload)
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    waiting, running = list(reversed(trials)), {}
    with _terminable():
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    trial = waiting.pop()
                    process = context.Process(target=work, args=(trial,), daemon=False)
                    process.start()
                    running[process.sentinel] = process, trial
                for sentinel in wait(list(running)):
                    process, trial = running.pop(sentinel)
                    process.join()
                    ended(trial, process.exitcode or 0)
        except BaseException:
            _stop([process for process, _ in running.values()])
            raise


def _stop(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is taken like Ctrl-C, so that no worker outlives a benchmark that is told to end."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
