"""From the results of trials to table.md, table.csv, trials.csv and two pictures."""

from __future__ import annotations

import csv
import io
import math
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gan_zoo import media
from gan_zoo.benchmark.grid import Budget, Figure, Grid, Published, Trial
from gan_zoo.benchmark.trial import result
from gan_zoo.schema import ConfigError

STATUS = {
    "seen": "read in the paper",
    "code": "read in the authors' code",
    "secondhand": "read on a page about the paper or off a figure",
    "recalled": "recalled, not checked",
}
ABOUT = ("samples_seen", "generator_steps", "seconds", "total_seconds", "date", "git_commit")
ARROWS = {"higher": "↑", "lower": "↓"}


class Summary(NamedTuple):
    """One figure of one cell over its seeds. deviation: of the sample (n - 1); NaN for fewer than two."""

    mean: float
    deviation: float
    values: tuple[float, ...]


@dataclass
class Table:
    """A grid's trials with what came of them. results: None where a trial has not been run."""

    grid: Grid
    budget_name: str
    budget: Budget
    trials: list[Trial]
    command: str
    results: list[dict[str, Any] | None] = field(init=False)

    def __post_init__(self) -> None:
        self.results = [result(trial) for trial in self.trials]

    @property
    def failures(self) -> list[tuple[Trial, str]]:
        pairs = zip(self.trials, self.results, strict=True)
        return [(trial, found["error"]) for trial, found in pairs if found and found["error"]]

    @property
    def finished(self) -> int:
        return len(_finished(self))

    @property
    def data(self) -> list[str]:
        return list(dict.fromkeys(trial.data for trial in self.trials))

    @property
    def rows(self) -> list[str]:
        return list(dict.fromkeys(trial.row for trial in self.trials))

    def cell(self, data: str, row: str) -> list[tuple[Trial, dict[str, Any] | None]]:
        pairs = zip(self.trials, self.results, strict=True)
        return [(trial, found) for trial, found in pairs if (trial.data, trial.row) == (data, row)]

    def summary(self, data: str, row: str, name: str) -> Summary | None:
        """None where no trial of the cell has the figure."""
        found = [item["figures"].get(name) for _, item in self.cell(data, row) if item]
        return summarised(value for value in found if value is not None)

    def published(self, data: str, row: str | None) -> list[Published]:
        return [item for item in self.grid.published if (item.data, item.row) == (data, row)]


def summarised(values: Iterable[float]) -> Summary | None:
    """Mean and sample deviation; None of nothing."""
    found = tuple(map(float, values))
    if not found:
        return None
    return Summary(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else math.nan, found)


def writable(folder: Path) -> None:
    """Makes the folder of a table, and sees that it takes files; ConfigError, before anything is trained."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"output={folder}: no table can be written there ({error.strerror or error})"
        ) from None


def write(table: Table, folder: Path) -> None:
    """All files of a table, each whole or not at all."""
    from gan_zoo.benchmark import plots

    files = {"table.md": markdown(table), "table.csv": cells_csv(table), "trials.csv": trials_csv(table)}
    for name, text in files.items():
        media.publish(folder / name, text.encode())
    if table.finished:
        media.publish(folder / "figures.png", plots.figures(table))
        media.publish(folder / "samples.png", plots.samples(table))


# --- table.md -----------------------------------------------------------------------------------------------


def markdown(table: Table) -> str:
    """One table a data set, the papers' figures marked as theirs, then failures and the sources."""
    sources = _sources(table)
    parts = [f"# {table.grid.title}: {table.budget_name}", table.grid.question.strip(), _circumstances(table)]
    for data in table.data:
        parts += [f"## {table.grid.data[data].label}", _rows(table, data, sources)]
        if others := [item for item in table.published(data, None)]:
            parts += [
                "Methods that this grid does not have, as published:",
                _published_rows(table, others, sources),
            ]
    if table.failures:
        parts += [
            "## Failed trials",
            "\n".join(f"* {trial.name}: {error}" for trial, error in table.failures),
        ]
    if sources:
        parts += ["## Published figures", "The papers' own, not made by this command.",
                  "\n".join(f"* [{mark}] {text}" for text, mark in sources.items())]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _circumstances(table: Table) -> str:
    seconds = sum(item["total_seconds"] for item in _finished(table))
    lines = [
        f"Budget `{table.budget_name}`: {table.budget.description}",
        f"Trials: {table.finished} of {len(table.trials)} finished, {len(table.failures)} failed; "
        f"{seconds / 60:.0f} minutes of one process in sum.",
        *(f"Machine: {name}." for name in _machines(table)),
        f"Date: {_dates(table)}.",
        "Mean ± standard deviation over seeds (sample, n - 1).",
        f"Command:\n\n    {table.command}",
    ]
    return "  \n".join(line for line in lines if line)


def _finished(table: Table) -> list[dict[str, Any]]:
    return [item for item in table.results if item and not item["error"]]


def _machines(table: Table) -> list[str]:
    """Where the trials ran, with versions, each once."""
    texts = [
        f"{item['machine']['device_name']} ({item['machine']['device']}), {item['machine']['cpus']} CPUs, "
        f"{item['machine']['system']}; torch {item['versions']['torch']}, "
        f"gan_zoo {item['versions']['gan_zoo']}, commit {item['git_commit'] or 'unknown'}"
        for item in _finished(table)
    ]
    return list(dict.fromkeys(texts))


def _dates(table: Table) -> str:
    """The days of the first and the last trial."""
    days = sorted(item["date"][:10] for item in _finished(table))
    return " to ".join(dict.fromkeys([*days[:1], *days[-1:]])) or "no trial has finished"


def _rows(table: Table, data: str, sources: dict[str, str]) -> str:
    grid = table.grid
    header = [
        "method",
        "seeds",
        *(_heading(figure, data) for figure in grid.figures.values()),
        "seconds",
        "published",
    ]
    lines = [header, ["---", *["---:"] * (len(header) - 2), "---"]]
    for row in table.rows:
        found = [item for _, item in table.cell(data, row)]
        good = [item for item in found if item and not item["error"]]
        bad = sum(bool(item and item["error"]) for item in found)
        seeds = (
            f"{len(good)}"
            + (f" of {len(found)}" if len(good) < len(found) else "")
            + (f", {bad} failed" if bad else "")
        )
        numbers = [
            _number(figure, table.summary(data, row, name), len(good))
            for name, figure in grid.figures.items()
        ]
        time_taken = f"{statistics.fmean(item['seconds'] for item in good):.0f}" if good else ""
        theirs = "; ".join(_their_figures(grid, item, sources) for item in table.published(data, row))
        lines.append([grid.rows[row].label, seeds, *numbers, time_taken, theirs])
    return _lined(lines)


def _lined(lines: Iterable[Iterable[str]]) -> str:
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _heading(figure: Figure, data: str) -> str:
    best = figure.best(data)
    of = f", best {figure.written(best)}" if best is not None else ""
    return f"{figure.label}{', %' if figure.unit else ''} {ARROWS[figure.better]}{of}"


def _number(figure: Figure, found: Summary | None, of: int) -> str:
    """of: the trials that finished; said where some of them have no such number."""
    if found is None:
        return "–"
    count = len(found.values)
    spread = f" ± {figure.written(found.deviation)}" if count > 1 else ""
    return f"{figure.written(found.mean)}{spread}" + (f" ({count} of {of})" if count < of else "")


def _sources(table: Table) -> dict[str, str]:
    """A letter for each source with its protocol, in the order of the grid."""
    texts = dict.fromkeys(_source(item) for item in table.grid.published if item.data in table.data)
    return {text: chr(ord("a") + number) for number, text in enumerate(texts)}


def _source(item: Published) -> str:
    return f"{item.source}; {item.protocol.strip()} ({STATUS[item.status]})"


def _their_number(figure: Figure, item: Published, name: str) -> str:
    spread = f" ± {figure.written(item.deviations[name])}" if name in item.deviations else ""
    return f"{figure.written(item.figures[name])}{spread}"


def _their_figures(grid: Grid, item: Published, sources: dict[str, str]) -> str:
    words = [
        f"{grid.figures[name].label} {_their_number(grid.figures[name], item, name)}" for name in item.figures
    ]
    return f"{item.label}: {', '.join(words)} [{sources[_source(item)]}]"


def _published_rows(table: Table, items: list[Published], sources: dict[str, str]) -> str:
    figures = table.grid.figures
    names = [name for name in figures if any(name in item.figures for item in items)]
    header = ["published method", *(_heading(figures[name], items[0].data) for name in names), "source"]
    lines = [header, ["---", *["---:"] * len(names), "---"]]
    for item in items:
        numbers = [
            _their_number(figures[name], item, name) if name in item.figures else "–" for name in names
        ]
        lines.append([item.label, *numbers, f"[{sources[_source(item)]}]"])
    return _lined(lines)


# --- tables for programs ------------------------------------------------------------------------------------


def cells_csv(table: Table) -> str:
    """A line for each (data, row, figure), and each published number with its source; no percent."""
    return _csv(_cell_lines(table))


def _cell_lines(table: Table) -> Iterator[dict[str, Any]]:
    about = {"command": table.command, "date": _dates(table), "machine": "; ".join(_machines(table))}
    empty = dict.fromkeys(("source", "protocol"), "")
    for data in table.data:
        for row in table.rows:
            failed = sum(bool(item and item["error"]) for _, item in table.cell(data, row))
            for name in table.grid.figures:
                numbers = {**_numbers(table.summary(data, row, name)), "failed": failed}
                yield {**_head(table, "measured", data, row, name), **numbers, **empty, **about}
    for item in (one for one in table.grid.published if one.data in table.data):
        source = {"source": f"{item.source} ({STATUS[item.status]})", "protocol": item.protocol.strip()}
        for name, value in item.figures.items():
            numbers = {
                **_numbers(Summary(value, item.deviations.get(name, math.nan), ())),
                "seeds": "",
                "failed": "",
            }
            head = _head(table, "published", item.data, item.row or item.label, name)
            yield {**head, **numbers, **source, **dict.fromkeys(about, "")}


def _head(table: Table, kind: str, data: str, method: str, figure: str) -> dict[str, str]:
    return {
        "experiment": table.grid.title,
        "budget": table.budget_name,
        "kind": kind,
        "data": data,
        "method": method,
        "figure": figure,
    }


def _numbers(found: Summary | None) -> dict[str, Any]:
    """mean, deviation, seeds; what there is not is empty."""

    def exact(value: float) -> str:
        return "" if math.isnan(value) else repr(float(value))

    found = found or Summary(math.nan, math.nan, ())
    return {"mean": exact(found.mean), "deviation": exact(found.deviation), "seeds": len(found.values)}


def trials_csv(table: Table) -> str:
    """A line for each trial, run or not: its figures, seconds and settings, or its error."""
    lines = []
    for trial, found in zip(table.trials, table.results, strict=True):
        own = found or {"figures": {}, "error": "not run"}
        head = {"data": trial.data, "method": trial.row, "seed": trial.seed, "fingerprint": trial.fingerprint}
        figures = {name: own["figures"].get(name, "") for name in table.grid.figures}
        about = {key: own.get(key, "") for key in ABOUT}
        tail = {"error": own["error"] or "", "overrides": " ".join(trial.overrides)}
        lines.append({**head, **figures, **about, **tail})
    return _csv(lines)


def _csv(lines: Iterable[dict[str, Any]]) -> str:
    found = list(lines)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return file.getvalue()
