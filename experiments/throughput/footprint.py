"""Peak memory of gan_zoo, of the tuned loop and of the tutorial's, and how long gan_zoo takes to its first step.

    python experiments/throughput/footprint.py                          # memory of all models, start-up
    python experiments/throughput/footprint.py model=dcgan,cgan precision=bf16-mixed steps=8

Memory: each contender trains for `steps` steps in a process of its own, with one thread; the figure is the largest resident
size less the size once data are read and before networks are built. Start-up: wall time of `--help`, and from the command to
the first logged step of the default run, the third of three.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import benchmark
import lightning.pytorch as pl
import torch

from gan_zoo import loading
from gan_zoo.config import compose, validate
from gan_zoo.run import data_module

CONTENDERS = ("gan_zoo", "tuned", "tutorial")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Enough(pl.Callback):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.left -= 1
        trainer.should_stop = self.left == 0


def resident() -> float:
    """MiB now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def train(model: str, precision: str, contender: str, steps: int) -> float:
    """MiB that training added at its peak, in this process."""
    torch.set_num_threads(1)
    config = validate(compose([*benchmark.SETTINGS[model], "seed=1"]))
    data = data_module(config)
    items = data.train_set()
    whole = items.__getitems__([(i, 0, data.resolution) for i in range(min(len(items), 2000))])
    before = resident()
    if contender == "gan_zoo":
        gan = loading.build(config)
        data.begin(0, None)
        gan.observing = False
        benchmark.trainer(precision, Enough(steps)).fit(gan, data)
    else:
        loop = benchmark.contender(contender, config, whole, precision)
        for _ in range(steps):
            loop.step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def apart(model: str, precision: str, contender: str, steps: int) -> float:
    """As train, in a process of its own."""
    command = [
        sys.executable,
        __file__,
        f"model={model}",
        f"precision={precision}",
        f"contender={contender}",
        f"steps={steps}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def seconds_of_help() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "gan_zoo.train", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def seconds_to_the_first_step() -> float:
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "run", "metrics.csv")
        command = [
            sys.executable,
            "-m",
            "gan_zoo.train",
            "log_every=1",
            "max_samples=6400",
            f"output_dir={folder}/run",
        ]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while not (figures.exists() and figures.read_text().count("\n") > 1):
                if process.poll() is not None:
                    raise RuntimeError(
                        f"{' '.join(command)} ended with {process.returncode} before its first step"
                    )
                time.sleep(0.02)
            passed = time.perf_counter() - started
            process.kill()
    return passed


def main(arguments: list[str]) -> None:
    chosen = dict(argument.split("=", 1) for argument in arguments)
    steps = int(chosen.get("steps", 6))
    if contender := chosen.get("contender"):
        benchmark.silence()
        print(json.dumps(train(chosen["model"], chosen["precision"], contender, steps)))
        return
    rows = []
    for model in chosen.get("model", ",".join(benchmark.SETTINGS)).split(","):
        for precision in chosen.get("precision", "32-true,bf16-mixed").split(","):
            peak = {name: apart(model, precision, name, steps) for name in CONTENDERS}
            rows.append(
                {"model": model, "precision": precision}
                | {f"{name}, MiB": round(size) for name, size in peak.items()}
                | {"of tuned": round(peak["gan_zoo"] / peak["tuned"], 3)}
            )
            print(rows[-1], flush=True)
    helped, began = (
        [measure() for _ in range(3)][-1] for measure in (seconds_of_help, seconds_to_the_first_step)
    )
    start = f"`--help`: {helped:.2f} s; the first step of the default run: {began:.1f} s."
    print(start)
    benchmark.write(rows, 1, Path(chosen.get("output", benchmark.HERE)), "memory", start)


if __name__ == "__main__":
    main(sys.argv[1:])
