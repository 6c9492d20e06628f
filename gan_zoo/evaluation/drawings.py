"""The pictures of an evaluation: what the figures mean, to be seen."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from gan_zoo import media
from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.duplicates import nearest_pairs, nearest_training
from gan_zoo.metrics.fingerprints import empirical_cdf, unit_pixels
from gan_zoo.metrics.low_level import radial_spectrum
from gan_zoo.metrics.modes import STACKED_CLASSES
from gan_zoo.metrics.neighbours import radii
from gan_zoo.metrics.scores import CONFIDENT
from gan_zoo.metrics.segmentation import IGNORED
from gan_zoo.metrics.subject import Subject

REAL, FAKE, HELD_OUT, WRONG = "0.62", "#0072B2", "#009E73", "#D55E00"  # Okabe and Ito 2008
MOST = 1500  # points of a scatter
SHEET = 16  # captions


class Drawing(NamedTuple):
    """When it fits, how it is drawn, and the caption under it."""

    fits: Callable[[Subject], bool]
    draw: Callable[[Subject], Figure | media.Picture]
    caption: str


def draw_all(
    subject: Subject, folder: Path, after: Callable[[str], None] = lambda name: None
) -> list[dict[str, str]]:
    """Writes every drawing that fits as folder/NAME.png; returns [{file, caption}]. after: told each name."""
    found = []
    for name, drawing in DRAWINGS.items():
        if drawing.fits(subject):
            drawn = drawing.draw(subject)
            content = _png(drawn) if isinstance(drawn, Figure) else media.png(drawn)
            media.publish(folder / f"{name}.png", content)
            found.append({"file": f"{name}.png", "caption": drawing.caption})
            after(name)
    return found


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def _quiet(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x, fontsize=9, color="0.3")
    axes.set_ylabel(y, fontsize=9, color="0.3")
    axes.grid(color="0.93", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("0.7")
    axes.tick_params(labelsize=8.5, color="0.7", labelcolor="0.3", which="both")


def _legend(axes: Axes, **options: Any) -> None:
    axes.legend(frameon=False, fontsize=8.5, **options)


# ---------------------------------------------------------------- modes and classes


def mixture(subject: Subject) -> Figure:
    """Samples over reals, coloured by quality, beside the counts of each mode."""
    centres, sigma = subject.truth.centres, subject.truth.sigma
    assert centres is not None
    points, reals = subject.fake, subject.train.samples[:MOST]
    squared, mode = nearest(points, centres, 1)
    good = (squared[:, 0] <= (3 * sigma) ** 2).numpy()
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for chosen, colour, label in ((good, FAKE, "within 3 sigma"), (~good, WRONG, "elsewhere")):
        some = points.numpy()[chosen][:MOST]
        left.scatter(
            *some.T, s=7, color=colour, alpha=0.5, linewidths=0, label=f"{chosen.sum():,} {label}", zorder=2
        )
    left.scatter(*reals.numpy().T, s=4, color=REAL, linewidths=0, label="real", zorder=1)
    half = 1.3 * float(centres.abs().max()) + 4 * sigma
    left.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    _quiet(left, "samples")
    _legend(left, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, markerscale=2)
    counts = mode[:, 0].bincount(minlength=len(centres)).numpy()
    counts_good = mode[torch.from_numpy(good), 0].bincount(minlength=len(centres)).numpy()
    right.bar(range(len(centres)), counts, color=WRONG, width=0.8, label="all, by nearest mode")
    right.bar(range(len(centres)), counts_good, color=FAKE, width=0.8, label="within 3 sigma")
    right.axhline(len(points) / len(centres), color="0.3", linewidth=1, linestyle="--", label="even share")
    _quiet(right, "samples of each mode", "mode", "samples")
    _legend(right, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return figure


def classes(subject: Subject) -> Figure:
    """Share of each class among fakes and reals, and how sure the classifier is."""
    train, held_out, fake = subject.view("probabilities")
    number = fake.shape[1]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for offset, part, colour, label in ((-0.2, train, REAL, "real"), (0.2, fake, FAKE, "generated")):
        shares = part.argmax(1).bincount(minlength=number).double() / len(part)
        left.bar(np.arange(number) + offset, shares.numpy(), 0.38, color=colour, label=label)
    left.set_xticks(range(number))
    _quiet(left, "classes", "class, as the classifier reads it", "share")
    _legend(left, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    for part, colour, label in ((held_out, HELD_OUT, "held out"), (fake, FAKE, "generated")):
        x, share = empirical_cdf(part.max(1).values)
        right.plot(x, share, color=colour, linewidth=1.8, label=label)
    right.axvline(CONFIDENT, color="0.3", linewidth=1, linestyle="--")
    right.set(xlim=(0, 1.01), ylim=(0, 1.01))
    _quiet(right, "confidence", "probability of the class shown", "share of samples below")
    _legend(right, loc="upper left")
    return figure


def stacked(subject: Subject) -> Figure:
    """Counts of the 10^C modes: a 10 x 10 map of the last two digits for each first digit."""
    channels = subject.fake.shape[1]
    counts = (
        subject.part("classes", "fake")[:, 0].bincount(minlength=STACKED_CLASSES**channels).view(-1, 10, 10)
    )
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(2, 5).ravel()
    shown = None
    for first, axes in enumerate(panels[: len(counts)]):
        shown = axes.imshow(counts[first].numpy(), cmap="viridis", vmin=0, vmax=float(counts.max()))
        axes.set_title(f"{first} · ·", fontsize=9)
        axes.set(xticks=[], yticks=[])
    if shown is not None:
        figure.colorbar(shown, ax=list(panels), shrink=0.8, label="samples")
    return figure


# ---------------------------------------------------------------- neighbours


def plane(*sets: Tensor) -> list[Tensor]:
    """The sets on the two main axes of the first one, [N, 2] each; two-dimensional ones as they are."""
    if sets[0].shape[1] == 2:
        return list(sets)
    mean = sets[0].double().mean(0)
    axes = torch.linalg.eigh(torch.cov((sets[0].double() - mean).T))[1][:, -2:].flip(1)
    return [(one.double() - mean) @ axes for one in sets]


def precision_recall(subject: Subject) -> Figure:
    """Fakes inside and outside the reals' manifold, and reals inside and outside the fakes', in the plane."""
    real, fake = (subject.part("features", part)[:MOST] for part in ("train", "fake"))
    inside = [_within(fake, real, subject.k), _within(real, fake, subject.k)]
    real_xy, fake_xy = (one.numpy() for one in plane(real, fake))
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    titles = ("precision: fakes near reals", "recall: reals near fakes")
    sides = ((real_xy, fake_xy), (fake_xy, real_xy))
    for axes, title, (behind, points), near in zip(figure.subplots(1, 2), titles, sides, inside, strict=True):
        axes.scatter(*behind.T, s=6, color="0.82", linewidths=0)
        for chosen, colour, label in ((near, FAKE, "inside"), (~near, WRONG, "outside")):
            axes.scatter(
                *points[chosen].T,
                s=8,
                color=colour,
                alpha=0.6,
                linewidths=0,
                label=f"{label} {chosen.mean():.0%}",
            )
        _quiet(axes, title)
        axes.set(xticks=[], yticks=[])
        _legend(axes, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.04), markerscale=2)
    return figure


def _within(points: Tensor, references: Tensor, k: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each point lies in the ball of some reference that reaches to its k-th neighbour."""
    reach = radii(references, k)
    found = torch.zeros(len(points), dtype=torch.bool)
    for start in range(0, len(points), 512):
        squared = torch.cdist(points[start : start + 512].double(), references.double()).square()
        found[start : start + 512] = (squared <= reach).any(1)
    return found.numpy()


def neighbours(subject: Subject, rows: int = 4, count: int = 5) -> Figure:
    """Left the fakes nearest to the training set, right ordinary ones, each with its nearest training pictures (where training
    mirrored: to it or to its mirror image)."""
    train = subject.part("pixels", "train")
    fakes = [subject.fake[:5000], *([subject.fake[:5000].flip(-1)] if subject.mirrored else [])]
    found = [nearest_training(fake.flatten(1), train, min(count, len(train))) for fake in fakes]
    nearer = torch.stack([distance[:, 0] for _, distance in found]).argmin(0)
    index, distance = (
        torch.stack(list(part))[nearer, torch.arange(len(nearer))] for part in zip(*found, strict=True)
    )
    order = distance[:, 0].argsort().tolist()
    sides = order[:rows], order[len(order) // 2 :][:rows]

    def strip(row: int) -> tuple[list[Tensor | None], list[str]]:
        near = list(subject.train.samples[index[row]])
        return [subject.fake[row], *near], ["sample", *(f"{one:.1f}" for one in distance[row].tolist())]

    pictures, labels = [], []
    for left, right in zip(*sides, strict=True):
        (some, texts), (others, more) = strip(left), strip(right)
        pictures.append([*some, None, *others])
        labels.append([*texts, "", *more])
    return _sheet(pictures, labels)


def duplicates(subject: Subject, rows: int = 3, across: int = 4) -> Figure:
    """The most similar pairs among the samples, most similar first."""
    pairs = nearest_pairs(subject.part("pixels", "fake")[:5000], pairs=rows * across)
    pictures: list[list[Tensor | None]] = [[] for _ in range(rows)]
    labels: list[list[str]] = [[] for _ in range(rows)]
    for number, (a, b, distance) in enumerate(zip(*(one.tolist() for one in pairs), strict=True)):
        gap: list[Tensor | None] = [None] if number % across else []
        pictures[number // across] += [*gap, subject.fake[a], subject.fake[b]]
        labels[number // across] += [*("" for _ in gap), "", f"{distance:.1f}"]
    return _sheet(pictures, labels, narrow=0.35)


def _sheet(
    rows: Sequence[Sequence[Tensor | None]], labels: Sequence[Sequence[str]], narrow: float = 0.5
) -> Figure:
    """Pictures in rows, a small label under each; None is a gap of `narrow` pictures' width."""
    gaps = {at for row in rows for at, picture in enumerate(row) if picture is None}
    widths = [narrow if at in gaps else 1.0 for at in range(max(map(len, rows)))]
    scale = 10 / (sum(widths) * 1.06)
    figure = Figure(figsize=(10, scale * 1.26 * len(rows)))
    grid = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.2 / (1.26 * len(rows)), top=0.995, wspace=0.06, hspace=0.24
    )
    for axes in grid.flat:
        axes.axis("off")
    for line, row, texts in zip(grid, rows, labels, strict=True):
        for axes, picture, text in zip(line, row, texts, strict=False):
            if picture is None:
                continue
            frame = media.as_bytes(picture[None])[0]
            axes.imshow(
                frame[:, :, 0] if frame.shape[2] == 1 else frame,
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
            )
            axes.text(
                0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", fontsize=8, color="0.35"
            )
    return figure


def pairs(subject: Subject) -> Figure:
    """Input, output and truth of six items from the nearest to its truth to the farthest; labels, where they are read."""
    conditions, segmenter = subject.conditions, subject.truth.segmenter
    assert conditions is not None  # what fits, DRAWINGS says
    away = (subject.fake - subject.held_out.samples[: len(subject.fake)]).abs().mean((1, 2, 3))
    order = away.argsort()[torch.linspace(0, len(away) - 1, min(6, len(away))).round().long()]
    given = media.pairs.shown(conditions[order], (subject.fake.shape[-2], subject.fake.shape[-1]))
    rows: list[list[Tensor | None]] = []
    labels: list[list[str]] = []
    for index, picture in zip(order.tolist(), given, strict=True):
        rows.append([picture, subject.fake[index]])
        labels.append(["input", f"output, L1 {float(away[index]):.3f}"])
        if segmenter is not None and conditions.dim() == 3:
            truth = segmenter.truth(conditions[index : index + 1])
            read = segmenter.read(subject.fake[index : index + 1])
            counted = truth != IGNORED
            right = float((read == truth)[counted].double().mean())
            rows[-1].append(media.pairs.shown(read)[0])
            labels[-1].append(f"labels read back, {right:.0%} right")
        rows[-1].append(subject.held_out.samples[index])
        labels[-1].append("truth")
    return _sheet(rows, labels)


# ---------------------------------------------------------------- pixels and frequencies


def spectra(subject: Subject) -> Figure:
    """Radial power spectra, and the cumulative distribution of pixels."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    parts = (("train", REAL, "training"), ("held_out", HELD_OUT, "held out"), ("fake", FAKE, "generated"))
    for part, colour, label in parts:
        pictures = subject.samples(part)[:2000]
        found = radial_spectrum(pictures)
        left.loglog(
            found.frequency,
            found.power,
            color=colour,
            linewidth=1.8,
            label=label,
            linestyle="--" if part == "held_out" else "-",
        )
        x, share = empirical_cdf(unit_pixels(pictures[:500]))
        right.plot(
            x, share, color=colour, linewidth=1.8, label=label, linestyle="--" if part == "held_out" else "-"
        )
    left.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.5]))
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.xaxis.set_minor_locator(NullLocator())
    _quiet(left, "power spectrum", "frequency, cycles a pixel", "power")
    _quiet(right, "pixels", "pixel, 0 black to 1 white", "share of pixels below")
    _legend(left)
    _legend(right, loc="lower right")
    return figure


# ---------------------------------------------------------------- captions


def captioned(subject: Subject) -> media.Picture:
    """Samples, the held-out pictures of the same captions, and the captions."""
    assert subject.told is not None  # what fits, DRAWINGS says
    n = min(SHEET, len(subject.fake))
    return media.caption_sheet(
        subject.fake[:n], subject.told.wanted("fake", n).captions, subject.held_out.samples[:n]
    )


def unseen(subject: Subject) -> media.Picture:
    """The same of pairs that were never trained on."""
    assert subject.told is not None
    return media.caption_sheet(*subject.told.drawn_unseen(SHEET))


DRAWINGS: dict[str, Drawing] = {
    "modes": Drawing(
        lambda s: s.truth.centres is not None, mixture,
        "Samples on the mixture, and how many each mode received."),
    "classes": Drawing(
        lambda s: s.truth.judge is not None and s.truth.judge.probabilities is not None, classes,
        "Which classes appear, and how sure the classifier is of them."),
    "stacked_modes": Drawing(
        lambda s: s.truth.spelled and s.fake.shape[1] == 3, stacked,
        "Samples of each of the 1000 modes: first digit by panel, then row and column."),
    "pairs": Drawing(
        lambda s: s.pictures and s.conditions is not None, pairs,
        "Before and after: what it was made from, what was made, what is true; from the nearest to its truth to the farthest."),
    "precision_recall": Drawing(
        lambda s: min(len(s.fake), len(s.train.samples)) > s.k + 1, precision_recall,
        "Precision and recall, seen in the plane of the reals' two main axes; inside and outside are judged in all dimensions."),
    "nearest_neighbours": Drawing(
        lambda s: s.pictures and len(s.fake) >= 8, neighbours,
        "Does it copy? Samples, each followed by the training pictures nearest to it and their distances: left the nearest "
        "of all, right ordinary ones."),
    "duplicates": Drawing(
        lambda s: s.pictures and len(s.fake) > 12, duplicates,
        "Does it repeat itself? The most similar pairs of samples, and their distance in pixels."),
    "captions": Drawing(
        lambda s: s.told is not None, captioned,
        "Samples beside the held-out pictures of the same captions."),
    "unseen_captions": Drawing(
        lambda s: s.told is not None and s.told.has_unseen, unseen,
        "Captions whose pair of petal colour and petal shape was never trained on."),
    "spectra": Drawing(
        lambda s: s.side >= 8, spectra,
        "Fingerprints: generated pictures often differ at high frequency, and at pure black."),
}  # fmt: skip
