"""Measures time and peak memory of the large metrics on features of the usual size, a process each.

    python experiments/metrics/benchmark.py                     50,000 x 2048, two threads
    python experiments/metrics/benchmark.py --samples 5000      a quick look

Features are standard normal, the fakes shifted by 0.05; the time does not depend on the values.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

METRICS = ("features only", "frechet", "kid", "neighbour_scores", "one_nearest_neighbour")


def load(samples: int, dimensions: int) -> tuple[Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    real = torch.randn(samples, dimensions, generator=generator)
    return real, torch.randn(samples, dimensions, generator=generator).add_(0.05)


def metric(name: str) -> Callable[[Any, Any], Any]:
    from gan_zoo.metrics.frechet import frechet_distance
    from gan_zoo.metrics.kernel import kernel_distance
    from gan_zoo.metrics.neighbours import neighbour_scores, one_nearest_neighbour

    found: dict[str, Callable[[Any, Any], Any]] = {
        "features only": lambda real, fake: None,
        "frechet": frechet_distance,
        "kid": lambda real, fake: kernel_distance(real, fake, subset_size=min(1000, len(real)))[:2],
        "neighbour_scores": neighbour_scores,
        "one_nearest_neighbour": one_nearest_neighbour,
    }
    return found[name]


def measure(name: str, samples: int, dimensions: int, threads: int, queue: Any) -> None:
    import torch

    torch.set_num_threads(threads)
    real, fake = load(samples, dimensions)
    begun, cpu = time.perf_counter(), time.process_time()
    value = metric(name)(real, fake)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    unit = 1024**2 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    spent = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mib": round(peak)}
    queue.put({"metric": name, **spent, "value": value})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.SimpleQueue()
    print(
        f"{platform.processor() or platform.machine()}, {given.threads} threads, "
        f"{given.samples} x {given.dimensions} float32 each"
    )
    for name in given.metrics:
        process = spawn.Process(
            target=measure, args=(name, given.samples, given.dimensions, given.threads, queue)
        )
        process.start()
        process.join()
        if process.exitcode != 0:
            raise SystemExit(f"{name} ended with code {process.exitcode}")
        print(json.dumps(queue.get()), flush=True)


if __name__ == "__main__":
    main()
