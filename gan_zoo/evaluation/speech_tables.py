"""The tables of an evaluation of speech, for the console and the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gan_zoo.metrics.speech import FIGURES

SHORT = ("pesq", "segmental_snr", "stoi", "si_sdr")  # of the tables by noise and by SNR


def tables(details: dict[str, Any]) -> Iterable[tuple[str, list[str], list[list[str]]]]:
    """(title, head, lines) of the table of systems, and of those by noise, SNR and damage."""
    systems = details["systems"]
    names = [name for name in FIGURES if name in next(iter(systems.values()))]
    yield (
        "Systems",
        [
            "",
            *(system.replace("_", " ") for system in systems),
        ],  # down the page: eleven figures do not fit across a terminal
        [[FIGURES[name].label, *(_cell(row[name]) for row in systems.values())] for name in names],
    )
    short = [name for name in SHORT if name in names] or names[:2]
    for group, title in (("by_noise", "By noise"), ("by_snr", "By SNR"), ("by_damage", "By damage")):
        if details.get(group):
            lines = [
                [kind, system.replace("_", " "), *(_cell(row[name]) for name in short)]
                for kind, rows in details[group].items()
                for system, row in rows.items()
            ]
            yield title, ["", "system", *(FIGURES[name].label for name in short)], lines


def _cell(value: float | str) -> str:
    return f"{float(value):.2f}" if isinstance(value, float) else str(value)
