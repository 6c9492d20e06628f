"""One trial: trained, loaded again as a user would, scored; its result is one JSON file, a failure too."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from gan_zoo import media
from gan_zoo.benchmark.grid import Trial, composed
from gan_zoo.schema import CheckpointError, ConfigError

RESULT, SAMPLES, LOG, RUN = "result.json", "samples.npy", "log.txt", "run"
INTERRUPTED = (130, 143)
HELD = 75  # exit code of a worker whose trial another process is at (EX_TEMPFAIL)


class TrialError(RuntimeError):
    """A trial that ended without figures."""


def preload() -> None:
    """Imports what every trial needs, so that forked workers share it. Runs no operation of torch's:
    its threads would not live through a fork."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    import gan_zoo.benchmark.measures
    import gan_zoo.run  # noqa: F401

    torch.set_num_threads(1)


def finished(trial: Trial) -> dict[str, Any] | None:
    """The result of a trial that was made with these settings and did not fail, else None."""
    found = result(trial)
    return found if found and not found["error"] else None


def result(trial: Trial) -> dict[str, Any] | None:
    """What there is of a trial, made with these settings: figures or an error."""
    try:
        found = json.loads((trial.directory / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("fingerprint") == trial.fingerprint else None


def work(trial: Trial) -> None:
    """The life of a worker: everything said goes to log.txt, and result.json is there at the end. Of two at one trial the
    second leaves it alone."""
    from gan_zoo.run import owned

    try:
        with owned(trial.directory):
            _work(trial)
    except ConfigError:
        raise SystemExit(HELD) from None


def _work(trial: Trial) -> None:
    with (trial.directory / LOG).open("w", encoding="utf-8", buffering=1) as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
        try:
            play(trial)
        except Exception as error:
            traceback.print_exc()
            record_failure(trial, f"{type(error).__name__}: {error}")


def play(trial: Trial) -> None:
    """Trains (or goes on from the last checkpoint of these settings), measures, writes result.json."""
    from gan_zoo import loading, run
    from gan_zoo.benchmark import measures

    started, directory = time.monotonic(), trial.directory / RUN
    config = composed([*trial.overrides, f"seed={trial.seed}", f"output_dir={json.dumps(str(directory))}"])
    code = run.train(_going_on(config, directory, trial))
    if code in INTERRUPTED:
        raise SystemExit(code)
    summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    if code:
        raise TrialError(summary.get("error") or f"training ended with exit code {code}")
    trained = time.monotonic()
    data = run.data_module(config)
    found = measures.measure(loading.load(directory), data, trial.seed, trial.measure)
    np.save(trial.directory / SAMPLES, found.samples, allow_pickle=False)
    seconds = {"seconds": summary["wall_seconds"], "measuring_seconds": round(time.monotonic() - trained, 3),
               "total_seconds": round(time.monotonic() - started, 3)}  # fmt: skip
    kept = ("samples_seen", "generator_steps", "parameters", "versions", "machine", "git_commit")
    _write(trial, {"figures": found.figures, "error": None, **seconds, **{key: summary[key] for key in kept}})


def _going_on(config: dict[str, Any], directory: Path, trial: Trial) -> dict[str, Any]:
    """The config that resumes what was trained with these settings; what others left behind is removed."""
    from gan_zoo import checkpoint

    mark = trial.directory / "training.txt"
    same = mark.is_file() and mark.read_text(encoding="utf-8").strip() == trial.training
    (trial.directory / RESULT).unlink(missing_ok=True)
    try:
        if same and (directory / "config.yaml").is_file():
            checkpoint.newest_good(directory / "checkpoints")
            return {**config, "resume": str(directory)}
    except CheckpointError:
        pass  # interrupted before the first checkpoint
    shutil.rmtree(directory, ignore_errors=True)
    mark.write_text(trial.training + "\n", encoding="utf-8")
    return config


def record_failure(trial: Trial, error: str) -> None:
    """A failed trial has a result too; it is tried again by the next call."""
    _write(trial, {"figures": {}, "error": " ".join(error.split())})


def _write(trial: Trial, content: dict[str, Any]) -> None:
    head = {"data": trial.data, "row": trial.row, "seed": trial.seed, "fingerprint": trial.fingerprint,
            "date": time.strftime("%Y-%m-%d %H:%M"), "overrides": list(trial.overrides),
            "measure": trial.measure}  # fmt: skip
    figures = {name: value if math.isfinite(value) else None for name, value in content["figures"].items()}
    text = json.dumps({**head, **content, "figures": figures}, indent=2, allow_nan=False)
    media.publish(trial.directory / RESULT, (text + "\n").encode())
