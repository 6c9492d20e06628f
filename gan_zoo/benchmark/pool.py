"""Trials in processes: one each, so that a crash takes one trial with it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

from gan_zoo.benchmark.grid import Trial

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
PATIENCE = 60.0  # seconds that a told worker has to finish its step and save
GLANCE = 0.5  # seconds between two looks at the signals


def run(
    trials: Sequence[Trial], workers: int, work: Callable[[Trial], None], ended: Callable[[Trial, int], None]
) -> None:
    """Runs work(trial) for all trials, at most `workers` at once; ended(trial, exit code) after each, here.

    Linux forks, so that what this process has imported is there at once; elsewhere processes are spawned. On
    Ctrl-C and SIGTERM the workers are told, waited for, and KeyboardInterrupt is raised.
    """
    context = _context()
    waiting = list(reversed(trials))
    running: dict[int, tuple[BaseProcess, Trial]] = {}
    with _signals() as received:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    trial = waiting.pop()
                    process = context.Process(target=_work, args=(work, trial, os.getpid()))
                    process.start()
                    running[process.sentinel] = process, trial
                for sentinel in cast(list[int], wait(list(running), GLANCE)):
                    process, trial = running.pop(sentinel)
                    process.join()
                    ended(trial, process.exitcode or 0)
                if received:
                    raise KeyboardInterrupt
        finally:
            _stop([process for process, _ in running.values()])


def _context() -> Any:
    # fork is safe here: this process runs no threads and has not touched a GPU (see trial.preload)
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def apart(call: Callable[[Any], None], given: Any) -> None:
    """call(given) in a process of its own, so that this one runs nothing of torch's before it forks; its errors are raised here."""
    with ProcessPoolExecutor(1, mp_context=_context()) as executor:
        executor.submit(call, given).result()


def _work(work: Callable[[Trial], None], trial: Trial, parent: int) -> None:
    """A worker answers signals by itself: a fork has inherited its parent's way. It ends, and saves, where its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before that
            raise SystemExit(143)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work(trial)


def _stop(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM within the block, as they came; a second Ctrl-C is raised at once.

    Noted and not raised: an exception that arrives within a destructor is lost.
    """
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
