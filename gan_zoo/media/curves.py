"""The curves of a run: metrics.csv read, and drawn as losses.png."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from gan_zoo.media.files import publish
from gan_zoo.media.pictures import of_figure, png

Numbers = NDArray[np.float64]
Row = dict[str, str]


def read_table(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and whole rows of a metrics.csv, without what a killed writer left of its last line."""
    if not path.is_file():
        return [], []
    whole, newline, _ = path.read_text(errors="replace").rpartition("\n")
    reader = csv.reader(io.StringIO(whole + newline))
    columns = next(reader, [])
    rows = [
        dict(zip(columns, cells, strict=True))
        for cells in reader
        if len(cells) == len(columns) and cells[0].isdecimal()
    ]
    return columns, rows


def loss_curves(metrics: Path, path: Path) -> None:
    """losses.png from metrics.csv: both players' terms, gradient norms, D's accuracy, over samples seen."""
    columns, rows = read_table(metrics)
    if not rows:
        return
    table = {name: np.array([float(row[name] or "nan") for row in rows]) for name in columns}
    figure = Figure(figsize=(12, 7.6), dpi=110)
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for axes, player in zip(panels[:2], ("generator", "discriminator"), strict=True):
        _panel(axes, f"{player} loss", table, terms_of(player, columns))
    _panel(
        panels[2],
        "gradient norm",
        table,
        {player: f"{player}/gradient_norm" for player in ("generator", "discriminator")},
        logarithmic=True,
    )
    _panel(
        panels[3],
        "discriminator accuracy",
        table,
        {kind: f"discriminator/accuracy_{kind}" for kind in ("real", "fake")},
    )
    panels[3].set_ylim(-0.03, 1.03)
    for axes in panels[2:]:
        axes.set_xlabel("samples seen (thousands)", fontsize=9, color="0.3")
    figure.tight_layout(pad=1.2, h_pad=1.6)
    publish(path, png(of_figure(figure)))


_NOT_TERMS = (
    "gradient_norm",
    "learning_rate",
    "loss_variance",
    "logit_real",
    "logit_fake",
    "accuracy_real",
    "accuracy_fake",
)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito 2008


def terms_of(player: str, columns: Sequence[str]) -> dict[str, str]:
    """Label to column, the total first; a single term is the total and is not drawn twice."""
    names = [
        name for name in columns if name.startswith(f"{player}/") and name.split("/", 1)[1] not in _NOT_TERMS
    ]
    total = f"{player}/total"
    terms = [name for name in names if name != total]
    shown = ([total] if total in names else []) + (terms if len(terms) > 1 or total not in names else [])
    return {name.split("/", 1)[1].replace("_", " "): name for name in shown}


def _panel(
    axes: Axes, title: str, table: dict[str, Numbers], curves: dict[str, str], logarithmic: bool = False
) -> None:
    kimg = table["samples_seen"] / 1000
    drawn: list[Numbers] = []
    for index, (label, name) in enumerate(curves.items()):
        values = table.get(name, np.full(len(kimg), np.nan))
        known = np.isfinite(values) & ((values > 0) | (not logarithmic))
        if not known.any():
            continue
        colour = _COLOURS[index % len(_COLOURS)]
        marker = "o" if known.sum() == 1 else None
        axes.plot(kimg[known], values[known], color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(
            kimg[known],
            smoothed(np.clip(values[known], *_usual(values[known]))),
            color=colour,
            linewidth=1.8,
            label=label,
            marker=marker,
        )
        drawn.append(values[known])
    if logarithmic:
        axes.set_yscale("log")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("0.7")
    axes.tick_params(labelsize=9, color="0.7", labelcolor="0.3", which="both")
    if drawn:
        axes.legend(frameon=False, fontsize=9, ncols=2, loc="best")
        _fit(axes, np.concatenate(drawn), logarithmic)
    else:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color="0.5")


def _usual(values: Numbers) -> tuple[float, float]:
    """The range that one spike in two hundred does not widen."""
    low, high = np.quantile(values, 0.005, method="lower"), np.quantile(values, 0.995, method="higher")
    return float(low), float(high)


def _fit(axes: Axes, values: Numbers, logarithmic: bool) -> None:
    low, high = _usual(np.log10(values) if logarithmic else values)
    margin = 0.08 * (high - low) or 0.1
    if not logarithmic:
        axes.set_ylim(low - margin, high + margin)
        return
    axes.set_ylim(10 ** (low - margin), 10 ** (high + margin))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    between = "25" if high - low < 3 else ""  # 0.2, 0.5, 1, 2, 5: powers of ten alone where they are many
    axes.yaxis.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in between else "")
    )


def smoothed(values: Numbers, share: float = 0.03) -> Numbers:
    """Mean over a centred window of about `share` of the points, cut off at both ends."""
    half = int(len(values) * share / 2 + 1) if len(values) > 4 else 0
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
