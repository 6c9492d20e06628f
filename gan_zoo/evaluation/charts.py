"""Curves as inline SVG whose colours come from the page's style sheet, and the numbers that its script reads."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gan_zoo import media
from gan_zoo.metrics.table import MEASURES

WIDTH, HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30
MOST = 600  # points of a curve; of more an even choice is drawn


class Panel(NamedTuple):
    """One chart: curves are {label: column}. noisy: single steps, which are smoothed; else every point counts."""

    title: str
    curves: dict[str, str]
    logarithmic: bool = False
    noisy: bool = True


def panels(columns: Sequence[str]) -> list[Panel]:
    """Losses, gradients and accuracy of both players, then each figure measured during training."""
    found = [
        Panel(f"{player.capitalize()} loss", media.terms_of(player, columns))
        for player in ("generator", "discriminator")
    ]
    found.append(
        Panel(
            "Gradient norm",
            {player: f"{player}/gradient_norm" for player in ("generator", "discriminator")},
            True,
        )
    )
    found.append(
        Panel("Accuracy of D", {f"on {kind}": f"discriminator/accuracy_{kind}" for kind in ("real", "fake")})
    )
    measured = [name for name in columns if name.startswith("evaluation/")]
    found += [Panel(_title(name), {"during training": name}, noisy=False) for name in measured]
    return found


def _title(column: str) -> str:
    """The label that an evaluation gives the same figure."""
    name = column.removeprefix("evaluation/")
    meanings = [measure.figures[name] for measure in MEASURES.values() if name in measure.figures]
    label = meanings[0].label if meanings else name.replace("_", " ")
    return label[0].upper() + label[1:]


def curves(metrics: Path) -> list[str]:
    """A <figure> for each panel that has numbers, from a metrics.csv."""
    columns, rows = media.read_table(metrics)
    table = {name: np.array([float(row[name] or "nan") for row in rows]) for name in columns}
    drawn = (chart(panel, table) for panel in panels(columns))
    return [figure for figure in drawn if figure]


def chart(panel: Panel, table: dict[str, media.Numbers]) -> str:
    """One <figure>: legend, raw curves in faint and smoothed ones in full ink; empty without numbers."""
    series = {label: _finite(table["samples_seen"], table[name], panel.logarithmic)
              for label, name in panel.curves.items() if name in table}  # fmt: skip
    series = {label: points for label, points in series.items() if len(points[0])}
    if not series:
        return ""
    every = np.concatenate([y for _, y in series.values()])
    low, high = _limits(every, panel.logarithmic)
    width = float(max(x[-1] for x, _ in series.values())) or 1.0

    def place(x: media.Numbers, y: media.Numbers) -> str:
        across = LEFT + x / width * (WIDTH - LEFT - RIGHT)
        scaled = np.log10(np.clip(y, 1e-300, None)) if panel.logarithmic else y
        down = TOP + (high - np.clip(scaled, low, high)) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))

    paths = []
    for number, (x, y) in enumerate(series.values()):
        if len(x) > 1:
            strong = media.smoothed(y) if panel.noisy else y
            paths.append(f'<polyline class="raw s{number % 6}" points="{place(x, y)}"/>')
            paths.append(f'<polyline class="line s{number % 6}" points="{place(x, strong)}"/>')
        paths += [f'<circle class="dot s{number % 6}" r="2.6" cx="{at.split(",")[0]}" cy="{at.split(",")[1]}"/>'
                  for at in place(x, y).split() if len(x) <= 12]  # fmt: skip
    legend = "".join(
        f'<span class="key s{i % 6}">{html.escape(label)}</span>' for i, label in enumerate(series)
    )
    numbers = [
        {"label": label, "x": x.tolist(), "y": [float(f"{v:.6g}") for v in y]}
        for label, (x, y) in series.items()
    ]
    frame = {"left": LEFT, "right": RIGHT, "width": WIDTH, "most": width, "series": numbers}
    data = html.escape(json.dumps(frame, separators=(",", ":")))
    return (f'<figure class="chart"><figcaption><b>{html.escape(panel.title)}</b><span class="keys">{legend}</span></figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(panel.title)}" data-chart="{data}">'
            f'{_grid(low, high, width, panel.logarithmic)}{"".join(paths)}'
            f'<line class="cross" y1="{TOP}" y2="{HEIGHT - BOTTOM}" hidden/></svg></figure>')  # fmt: skip


def _finite(x: media.Numbers, y: media.Numbers, logarithmic: bool) -> tuple[media.Numbers, media.Numbers]:
    known = np.isfinite(y) & ((y > 0) | (not logarithmic))
    x, y = x[known], y[known]
    chosen = np.unique(np.linspace(0, max(len(x) - 1, 0), min(MOST, len(x))).round().astype(int))
    return x[chosen], y[chosen]


def _limits(values: media.Numbers, logarithmic: bool) -> tuple[float, float]:
    """The range that one spike in two hundred does not widen, with a margin."""
    scaled = np.log10(values) if logarithmic else values
    low, high = float(np.quantile(scaled, 0.005)), float(np.quantile(scaled, 0.995))
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
    return low - margin, high + margin


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) within [low, high]."""
    power = 10 ** math.floor(math.log10((high - low) / about))
    step = min(
        (factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs((high - low) / step - about)
    )
    first = math.ceil(low / step)
    return [round(i * step, 12) for i in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Exponents of 1, 2, 5, 10, ... within [low, high]; of powers of ten alone where they are many."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [at for power in powers for at in (power + math.log10(f) for f in factors) if low <= at <= high]


def _grid(low: float, high: float, width: float, logarithmic: bool) -> str:
    parts = []
    for at in _log_ticks(low, high) if logarithmic else ticks(low, high):
        y = TOP + (high - at) / (high - low) * (HEIGHT - TOP - BOTTOM)
        label = f"{10**at:.3g}" if logarithmic else f"{at:g}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="tick" x="{LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{label.replace("-", "−")}</text>')  # fmt: skip
    for at in ticks(0, width, 5):
        x = LEFT + at / width * (WIDTH - LEFT - RIGHT)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{thousands(at)}</text>'
        )
    return "".join(parts)


def thousands(samples: float) -> str:
    """12k, 1.5M: samples seen in few letters."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if samples >= size:
            return f"{samples / size:g}{letter}"
    return f"{samples:g}"


def whisker(value: float, interval: tuple[float, float] | None, floor: float | None) -> str:
    """A value with its interval and the floor on one line; empty where there is nothing to compare."""
    points = [value, *(interval or ()), *([floor] if floor is not None else [])]
    if len(points) < 2 or not all(map(math.isfinite, points)) or min(points) == max(points):
        return ""
    low, high = min(points), max(points)

    def at(x: float) -> float:
        return 8 + (x - low) / (high - low) * 144

    parts = ['<line class="axis" x1="4" x2="156" y1="11" y2="11"/>']
    if interval:
        parts.append(
            f'<line class="bar" x1="{at(interval[0]):.1f}" x2="{at(interval[1]):.1f}" y1="11" y2="11"/>'
        )
    if floor is not None:
        parts.append(f'<line class="floor" x1="{at(floor):.1f}" x2="{at(floor):.1f}" y1="3" y2="19"/>')
    parts.append(f'<circle class="dot" cx="{at(value):.1f}" cy="11" r="4"/>')
    return f'<svg class="whisker" viewBox="0 0 160 22" aria-hidden="true">{"".join(parts)}</svg>'
