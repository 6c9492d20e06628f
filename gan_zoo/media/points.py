"""Points of the plane, as a scatter plot."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from gan_zoo.media.pictures import Picture, of_figure
from gan_zoo.schema import ConfigError


def scatter(points: Tensor, real: Tensor | None = None) -> Picture:
    """Points [N, 2] over grey real ones, whose extent fixes the axes; says how many fall outside them."""
    xy = points.detach().cpu().float().numpy()
    behind = xy if real is None else real.detach().cpu().float().numpy()
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ConfigError(f"points must be [N, 2], got {list(xy.shape)}; choose data whose modality fits")
    low, high = np.nanmin(behind, axis=0), np.nanmax(behind, axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2 * 1.25, 1e-3)
    figure = Figure(figsize=(5.6, 5.6), dpi=100)
    axes = figure.add_axes((0.09, 0.07, 0.88, 0.86))
    if real is not None:
        axes.scatter(
            behind[:, 0], behind[:, 1], s=9, color="0.78", linewidths=0, label=f"{len(behind):,} real"
        )
    axes.scatter(
        xy[:, 0], xy[:, 1], s=9, color="#0072B2", alpha=0.6, linewidths=0, label=f"{len(xy):,} generated"
    )
    axes.set(
        xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half), aspect="equal"
    )
    outside = int((~(np.abs(xy - centre) <= half).all(axis=1)).sum())
    figure.text(
        0.97, 0.955, f"{outside:,} outside" if outside else "", ha="right", fontsize=9, color="#D55E00"
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handletextpad=0.2,
        markerscale=2,
    )
    axes.tick_params(labelsize=8, color="0.6", labelcolor="0.3")
    axes.spines[:].set_color("0.8")
    return of_figure(figure)
