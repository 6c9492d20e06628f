"""What people look at: samples as files, their film, and the curves of a run.

One table, MEDIA, says what each data modality is shown as; training and the sample command both use it.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_zoo import audio, pair_view
from gan_zoo.schema import ConfigError

Picture = NDArray[np.uint8]  # [H, W, C] with 1 (grey), 3 (RGB) or 4 (RGBA) channels
Numbers = NDArray[np.float64]
Row = dict[str, str]

_GAP, _GAP_LEVEL = 2, 48  # pixels and grey level between the pictures of a grid


def publish(path: Path, content: bytes) -> None:
    """Writes a file that readers see whole or not at all, also when the writer is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


# ---- samples -------------------------------------------------------------------------------------


def as_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """[N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], the inverse of x / 127.5 - 1.

    Values beyond the range are clipped and NaN becomes mid-grey: a picture never ends a run.
    """
    if pictures.dim() != 4 or pictures.shape[1] not in (1, 3, 4):
        raise ConfigError(
            f"pictures must be [N, C, H, W] with 1, 3 or 4 channels, got {list(pictures.shape)}"
        )
    levels = pictures.detach().cpu().float().add(1).mul(127.5).nan_to_num(127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def grid(pictures: Tensor, columns: int | None = None, width: int = 512) -> Picture:
    """Pictures [N, C, H, W] in [-1, 1] row by row, enlarged by a whole number to at least `width` pixels.

    columns: default ceil(sqrt(N)). Enlarged pixels stay squares.
    """
    frames = as_bytes(pictures)
    columns = min(columns or math.ceil(math.sqrt(len(frames))), len(frames))
    rows = math.ceil(len(frames) / columns)
    times = max(1, math.ceil(width / (columns * frames.shape[2])))
    frames = frames.repeat(times, axis=1).repeat(times, axis=2)
    n, height, across, channels = frames.shape
    empty = [_GAP_LEVEL] * channels if channels < 4 else [0, 0, 0, 0]
    cells = np.empty((rows * columns, height + _GAP, across + _GAP, channels), np.uint8)
    cells[:] = empty
    cells[:n, :height, :across] = frames
    sheet = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * (height + _GAP), columns * (across + _GAP), channels)[:-_GAP, :-_GAP]


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
    return _drawn(figure)


def lines(texts: Sequence[str], columns: int | None = None) -> str:
    """One text a line; line breaks within a text are shown as such. columns: an empty line after so many."""
    if isinstance(texts, Tensor):
        raise ConfigError(
            f"text must come as strings, got a tensor {list(texts.shape)}; decode it with the data's alphabet"
        )
    shown = [text.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for text in texts]
    every = columns or max(1, len(shown))
    return "\n".join("".join(shown[i : i + every]) for i in range(0, len(shown), every))


def png(picture: Picture) -> bytes:
    """Lossless, and the same bytes for the same pixels."""
    file = io.BytesIO()
    as_image(picture).save(file, "PNG")
    return file.getvalue()


def as_image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def captioned(
    samples: Tensor, real: Tensor | None, columns: int | None, inputs: dict[str, Any] | None
) -> Picture:
    """Samples with their captions, `inputs["captions"]`, and the pictures that these describe; a plain grid without them."""
    if inputs is None or "captions" not in inputs:
        return grid(samples, columns)
    from gan_zoo.caption_sheet import caption_sheet

    return caption_sheet(samples, inputs["captions"], real, columns)


class Medium(NamedTuple):
    """How samples of a modality are shown: render(samples, real, columns, inputs), then encode to bytes.

    real: real ones in the same order, or None; inputs: what the samples were made from, on the wire, or None; captions
    stand in it as strings, under "captions". beside: further files, as suffix -> bytes, of what was rendered.
    """

    suffix: str
    samples: int  # how many make a good view
    render: Callable[[Any, Any, int | None, dict[str, Any] | None], Any]
    encode: Callable[[Any], bytes]
    beside: Callable[[Any], dict[str, bytes]] = lambda content: {}


def _beside_sound(content: audio.Heard) -> dict[str, bytes]:
    """Its spectrograms; of real ones also what was heard of them."""
    noisy = (
        {"_noisy.wav": audio.wav(content.rows["noisy"])} if list(content.rows) == ["clean", "noisy"] else {}
    )
    return {".png": png(audio.spectrograms(content.rows)), **noisy}


_GRID = Medium(".png", 64, lambda samples, real, columns, inputs: grid(samples, columns), png)
MEDIA: dict[str, Medium] = {
    "image": _GRID,
    "pair": Medium(
        ".png",
        12,
        lambda samples, real, columns, inputs: grid(*pair_view.in_rows(samples, real, inputs)),
        png,
    ),
    "captioned": Medium(".png", 16, lambda *shown: captioned(*shown), png),
    "points": Medium(".png", 2000, lambda samples, real, columns, inputs: scatter(samples, real), png),
    "audio": Medium(
        ".wav",
        16,
        lambda samples, real, columns, inputs: audio.heard(samples, real, inputs),
        lambda content: audio.wav(content.sound),
        _beside_sound,
    ),
    "text": Medium(".txt", 64, lambda samples, real, columns, inputs: lines(samples, columns), str.encode),
}


def medium_of(modality: str) -> Medium:
    if modality not in MEDIA:
        raise ConfigError(
            f"samples of modality {modality!r} cannot be shown, those of {', '.join(MEDIA)} can; "
            f"add an entry to gan_zoo.media.MEDIA"
        )
    return MEDIA[modality]


def save(
    stem: Path,
    samples: Any,
    modality: str,
    *,
    real: Any = None,
    columns: int | None = None,
    inputs: dict[str, Any] | None = None,
) -> Path:
    """Writes samples as `stem` + the suffix of their modality; returns the path."""
    medium = medium_of(modality)
    path = stem.with_name(stem.name + medium.suffix)
    content = medium.render(samples, real, columns, inputs)
    publish(path, medium.encode(content))
    for suffix, more in medium.beside(content).items():
        publish(stem.with_name(stem.name + suffix), more)
    return path


# ---- film ----------------------------------------------------------------------------------------


def film(
    frames: Sequence[Path],
    path: Path,
    *,
    milliseconds: int = 150,
    hold: int = 1500,
    most: int = 120,
    side: int = 640,
) -> None:
    """A GIF of pictures, in the order given; the first and the last stand for `hold` milliseconds.

    Of more than `most` frames an even choice is shown. Smaller frames are centred on the size of the largest,
    and all are shrunk to at most `side` pixels.
    """
    if not frames:
        raise ConfigError(f"{path}: a film needs at least one picture")
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    pictures = [_opaque(frames[i], side) for i in chosen]
    size = max(p.width for p in pictures), max(p.height for p in pictures)
    padded = [_quantised(_centred(picture, size)) for picture in pictures]
    duration = [milliseconds] * len(padded)
    duration[0] = duration[-1] = hold
    file = io.BytesIO()
    padded[0].save(
        file, "GIF", save_all=True, append_images=padded[1:], duration=duration, loop=0, disposal=1
    )
    publish(path, file.getvalue())


def _opaque(path: Path, side: int) -> Image.Image:
    """One frame as grey or RGB; transparency is shown on white."""
    with Image.open(path) as opened:
        picture = opened.convert(opened.mode)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return picture


def _centred(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    canvas = Image.new(picture.mode, size, (_GAP_LEVEL,) * len(picture.getbands()))
    canvas.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return canvas


def _quantised(picture: Image.Image) -> Image.Image:
    """256 colours chosen for the frame; grey pictures are exact."""
    return picture if picture.mode == "L" else picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)


# ---- curves --------------------------------------------------------------------------------------


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
        _panel(axes, f"{player} loss", table, _terms_of(player, columns))
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
    publish(path, png(_drawn(figure)))


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


def _terms_of(player: str, columns: Sequence[str]) -> dict[str, str]:
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


def _drawn(figure: Figure) -> Picture:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
