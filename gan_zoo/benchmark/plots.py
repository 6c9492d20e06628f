"""The pictures of a table: figures with their spread beside the papers', and samples of every cell."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gan_zoo import media
from gan_zoo.benchmark.trial import SAMPLES

if TYPE_CHECKING:
    from gan_zoo.benchmark.tables import Table

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.55"
COLUMNS = 10  # panels of samples side by side: more cannot be read in a README
OUTLINE = 1.3  # of the square that is drawn, in units of the outermost mode


def figures(table: Table) -> bytes:
    """PNG, a panel for each (figure, data set): dots are seeds, bars mean and deviation, diamonds papers'."""
    names, height = list(table.grid.figures), 0.36 * len(table.rows) + 1.1
    sheet = Figure(figsize=(1.9 + 3.1 * len(names), height * len(table.data) + 0.5), layout="constrained")
    panels = sheet.subplots(len(table.data), len(names), squeeze=False, sharey=True)
    for line, data in zip(panels, table.data, strict=True):
        for axes, name in zip(line, names, strict=True):
            _panel(axes, table, data, name)
    for axes in panels[:, 0]:
        axes.set_yticks(
            range(len(table.rows)), [table.grid.rows[row].label for row in table.rows], fontsize=9
        )
        axes.set_ylim(len(table.rows) - 0.5, -0.5)
    theirs = " Orange: as published" if any(item.row for item in table.grid.published) else ""
    sheet.suptitle(
        f"{table.grid.title}: {table.budget_name}. Blue: ours, mean ± deviation and each seed.{theirs}",
        fontsize=9,
    )
    return _png(sheet)


def _panel(axes: Axes, table: Table, data: str, name: str) -> None:
    figure = table.grid.figures[name]
    scale = 100.0 if figure.unit == "%" else 1.0
    for place, row in enumerate(table.rows):
        if found := table.summary(data, row, name):
            values = np.array(found.values) * scale
            axes.plot(
                values,
                np.full(len(values), place),
                "o",
                color=BLUE,
                alpha=0.35,
                markersize=4,
                markeredgewidth=0,
            )
            spread = 0.0 if math.isnan(found.deviation) else found.deviation * scale
            axes.errorbar(
                found.mean * scale, place, xerr=spread, fmt="|", color=BLUE, capsize=3, markersize=11
            )
        for item in table.published(data, row):
            if name in item.figures:
                axes.errorbar(
                    item.figures[name] * scale, place, xerr=item.deviations.get(name, 0.0) * scale, fmt="D", color=ORANGE,
                    fillstyle="none", markersize=6, capsize=2, linewidth=0.8,
                )  # fmt: skip
    if (best := figure.best(data)) is not None:
        axes.axvline(best * scale, color=GREY, linewidth=0.8, linestyle=":")
    unit = ", %" if figure.unit else ""
    title = f"{table.grid.data[data].label}: {figure.label}{unit}, {figure.better} is better"
    axes.set_title(textwrap.fill(title, 40), fontsize=8)
    axes.tick_params(labelsize=8, color="0.6")
    axes.grid(axis="y", color="0.93")
    axes.spines[:].set_color("0.8")


def samples(table: Table) -> bytes:
    """PNG: what the first finished seed of every cell draws; the rows of each data set side by side, COLUMNS a line."""
    columns = min(len(table.rows), COLUMNS)
    lines = math.ceil(len(table.rows) / columns)
    sheet = Figure(figsize=(1.9 * columns, 2.4 * len(table.data) * lines), layout="constrained")
    panels = sheet.subplots(len(table.data) * lines, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for data, own in zip(table.data, panels.reshape(len(table.data), -1), strict=True):
        cells = [_first(table, data, row) for row in table.rows]
        half = _half(cells)
        for axes, row, (seed, content) in zip(own, table.rows, cells, strict=False):
            axes.set_axis_on()
            _show(axes, content, half)
            label = textwrap.fill(table.grid.rows[row].label, 22)
            drawn = f"{data}, seed {seed}" if seed is not None else f"{data}: none"
            axes.set_title(f"{label}\n{drawn}", fontsize=7)
    return _png(sheet)


def _first(table: Table, data: str, row: str) -> tuple[int | None, NDArray[Any] | None]:
    for trial, found in table.cell(data, row):
        if found and not found["error"]:
            return trial.seed, np.load(trial.directory / SAMPLES, allow_pickle=False)
    return None, None


def _half(cells: list[tuple[int | None, NDArray[Any] | None]]) -> float:
    """Half the side of the square that all panels of points show: the median cell's 99 % and a margin."""
    spans = [
        float(np.quantile(np.abs(points), 0.99))
        for _, points in cells
        if points is not None and points.ndim == 2
    ]
    return OUTLINE * float(np.median(spans)) if spans else 1.0


def _show(axes: Axes, content: NDArray[Any] | None, half: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    if content is None:
        return
    if content.dtype.kind == "U":
        lines = [part for line in content for part in textwrap.wrap(str(line), 44, subsequent_indent="    ")]
        page = "\n".join(lines[:21]).replace("$", r"\$")
        axes.text(0.02, 0.98, page, va="top", fontsize=4.5, transform=axes.transAxes)
        return
    if content.ndim == 2:
        axes.scatter(content[:, 0], content[:, 1], s=2, color=BLUE, alpha=0.4, linewidths=0)
        axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
        outside = int((np.abs(content).max(1) > half).sum())
        axes.set_xlabel(f"{outside:,} outside" if outside else "", fontsize=6, color=ORANGE)
        return
    pictures = torch.from_numpy(content[:25]).permute(0, 3, 1, 2) / 127.5 - 1
    axes.imshow(media.grid(pictures, 5, width=0), cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _png(sheet: Figure) -> bytes:
    file = io.BytesIO()
    sheet.savefig(file, format="png", dpi=110, bbox_inches="tight", pad_inches=0.05)
    return file.getvalue()
