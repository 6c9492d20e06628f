"""Figures of a stored evaluation in the words and digits that readers see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from gan_zoo.metrics.measures import Meaning
from gan_zoo.metrics.protocol import Figure
from gan_zoo.metrics.table import MEASURES


class Row(NamedTuple):
    """One line of a table; first: of its measure. matched: value with as many fakes as the floor has reals."""

    measure: str
    first: bool
    name: str
    label: str
    says: str
    lower_is_better: bool
    value: str
    interval: str
    floor: str
    matched: str
    floor_samples: int
    figure: Figure


def figure_rows(content: dict[str, Any]) -> Iterator[Row]:
    """Rows of an evaluation.json, in the order of MEASURES."""
    order = sorted(
        content["measures"],
        key=lambda name: list(MEASURES).index(name) if name in MEASURES else len(MEASURES),
    )
    for measure in order:
        stored = content["measures"][measure]
        for number, (name, item) in enumerate(stored["figures"].items()):
            figure = Figure.from_dict(item["figure"])
            meaning = MEASURES[measure].figures.get(name) if measure in MEASURES else None
            meaning = meaning or Meaning(name, figure.lower_is_better, "")
            interval = (
                f"{digits(figure.interval.low)} – {digits(figure.interval.high)}" if figure.interval else ""
            )
            matched = digits(float(item["matched"])) if item["matched"] is not None else ""
            floor = digits(figure.floor) if figure.floor is not None else ""
            yield Row(
                stored["title"],
                number == 0,
                name,
                meaning.label,
                meaning.says,
                figure.lower_is_better,
                digits(figure.value),
                interval,
                floor,
                matched,
                item["floor_samples"],
                figure,
            )


def verdicts(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, words) of the measures of an evaluation.json that say in words what they found."""
    for stored in content["measures"].values():
        if said := stored["details"].get("verdict"):
            yield stored["title"], said


def digits(value: float) -> str:
    """Three significant digits, without exponents where they can be avoided."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "n/a")
    if value == 0 or (value == int(value) and abs(value) < 1e6):
        return f"{value:,.0f}".replace("-", "−")
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}" if places <= 5 else f"{value:.2e}"
    return text.replace("-", "−")


def protocol_words(figure: Figure) -> str:
    """The protocol in one line."""
    p = figure.protocol
    settings = "".join(f", {name} {value}" for name, value in p.settings.items())
    sha = f" ({p.features_sha256[:8]})" if p.features_sha256 else ""
    method = f"; interval: {figure.interval.method}" if figure.interval else ""
    numbers = f"{p.n_real:,} {p.split} reals, {p.n_fake:,} fakes, seed {p.seed}"
    return f"{p.features}{sha}, resize {p.resize}, {numbers}{settings}, gan_zoo {p.version}{method}"
