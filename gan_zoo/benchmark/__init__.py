"""Runs a declared grid of trials and writes its table:
python -m gan_zoo.benchmark experiment=mode_collapse budget=quick

A plain key=value command and no Hydra application: its arguments are not keys of a run (conf/experiment/ has
presets of its own), and each trial is composed from conf/ by itself, as gan_zoo.train would.
"""

from __future__ import annotations

import math
import os
import shlex
import time
from pathlib import Path
from typing import Any

import yaml
from pydantic import PositiveInt

from gan_zoo.command import command


@command
def main(
    *,
    experiment: str,
    budget: str = "quick",
    workers: PositiveInt | None = None,
    rows: list[str] | None = None,
    data: list[str] | None = None,
    seeds: PositiveInt | None = None,
    overrides: list[str] | None = None,
    measure: dict[str, Any] | None = None,
    runs: str = "runs/benchmark",
    output: str | None = None,
) -> None:
    """Trains and scores every row of experiments/NAME/grid.yaml on every data set with every seed, in
    processes of one thread each, and writes table.md, table.csv, trials.csv, figures.png and samples.png.

    A second call goes on where the first stopped: finished trials are not run again, interrupted ones resume,
    failed ones are tried again. The table is always that of the whole grid, with what there is of it. The
    exit code is 1 where a trial that was asked for failed; the table has its error.

    experiment: a name (a folder of experiments/) or the path of a folder with a grid.yaml
    budget: one of the grid's, quick and full in all of ours
    workers: trials at a time; default: the number of CPUs
    rows, data, seeds: run a part of the grid only: rows=[hinge,ragan] data=[ring] seeds=2
    overrides: for every trial, such as overrides=[data.root=DIR,trainer.accelerator=gpu]
    measure: arguments of the measure, such as measure={weights: inception.pth}
    runs: where runs and results are kept
    output: the folder of the table; default: the experiment's own, in a sub-folder of the budget's name
    """
    from gan_zoo.benchmark import grid as grids
    from gan_zoo.benchmark import measures, pool, tables, trial

    folder = grids.folder_of(experiment)
    grid = grids.read(folder)
    chosen = grids.chosen(grid.budgets, [budget], "budget")[budget]
    wanted = set(grids.chosen(grid.data, data, "data")), set(grids.chosen(grid.rows, rows, "rows"))
    trial.preload()
    directory, most = Path(runs, folder.resolve().name, budget), max(seeds or 0, chosen.seeds)
    trials = grids.trials(grid, chosen, directory, most, overrides or (), measure)
    measures.check(trials[0].measure)
    measures.check_figures(grid.figures, [*grid.measure.get("metrics", ()), *trials[0].measure["metrics"]])
    asked = [
        item
        for item in trials
        if item.data in wanted[0]
        and item.row in wanted[1]
        and item.seed < chosen.first_seed + (seeds or most)
    ]
    where = Path(output) if output else folder / budget
    tables.writable(where)
    pool.apart(measures.check_weights, trials[0].measure)
    given = {"experiment": experiment, "budget": budget, "seeds": seeds if most > chosen.seeds else None,
             "overrides": overrides, "measure": measure}  # fmt: skip
    try:
        _run(asked, workers or os.cpu_count() or 1)
    finally:  # also of a run broken off: what there is of it
        table = tables.Table(grid, budget, chosen, trials, _written(given))
        tables.write(table, where)
    print(
        f"{where}: {table.finished} of {len(trials)} trials in the table, {len(table.failures)} failed",
        flush=True,
    )
    if any(not trial.finished(item) for item in asked):
        raise SystemExit(1)


def _written(arguments: dict[str, Any]) -> str:
    """The command line that makes the whole table, without what changes no figure."""
    words = [
        f"{key}={value if isinstance(value, str | int) else yaml.safe_dump(value, default_flow_style=True, width=math.inf).strip()}"
        for key, value in arguments.items()
        if value is not None
    ]
    return shlex.join(["python", "-m", "gan_zoo.benchmark", *words])


def _run(trials: list[Any], workers: int) -> None:
    """Runs what is not finished, and says so line by line."""
    from gan_zoo.benchmark import pool, trial

    waiting = [item for item in trials if not trial.finished(item)]
    begun, done = time.monotonic(), 0
    finished = len(trials) - len(waiting)
    print(
        f"{len(trials)} trials, {finished} finished, {len(waiting)} to run, {workers} at a time", flush=True
    )

    def ended(item: Any, code: int) -> None:
        nonlocal done
        done += 1
        if code and code not in (*trial.INTERRUPTED, trial.HELD):
            words = f"its process ended with exit code {code}; see {item.directory / trial.LOG}"
            try:
                trial.record_failure(item, words)
            except OSError as error:  # a full disk takes no other trial with it
                print(f"{item.name}: {words}; that could not be written down: {error}", flush=True)
        left = (time.monotonic() - begun) / done * (len(waiting) - done) / 60
        print(
            f"{done:4d}/{len(waiting)}  {item.name}: {_said(trial.result(item), code)}  ({left:.0f} min left)",
            flush=True,
        )

    try:
        pool.run(waiting, workers, trial.work, ended)
    except KeyboardInterrupt:
        print(
            f"interrupted after {done} of {len(waiting)} trials; the same command goes on from here",
            flush=True,
        )
        raise SystemExit(130) from None


def _said(result: dict[str, Any] | None, code: int) -> str:
    from gan_zoo.benchmark.trial import HELD

    if code == HELD:
        return "not run: another call is at it, or its folder cannot be written to"
    if result is None:
        return "interrupted"
    if result["error"]:
        return f"FAILED, {result['error']}"
    figures = ", ".join(
        f"{name} {value:.4g}" if value is not None else name for name, value in result["figures"].items()
    )
    return f"{figures}; {result['total_seconds']:.0f} s"
