"""A model of speech beside the noisy input and two filters: one table, and the same by noise and by SNR."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gan_zoo import __version__, media
from gan_zoo.data.damage import KINDS
from gan_zoo.data.speech import Pair, SpeechData
from gan_zoo.enhance import enhance
from gan_zoo.evaluation import record
from gan_zoo.evaluation.report import write_report
from gan_zoo.evaluation.speech_tables import tables
from gan_zoo.gan import GAN
from gan_zoo.media import audio
from gan_zoo.metrics.denoisers import DENOISERS
from gan_zoo.metrics.measures import Taken
from gan_zoo.metrics.protocol import Figure, Interval, Protocol
from gan_zoo.metrics.speech import FIGURES, scores
from gan_zoo.schema import ConfigError

MODEL = "enhanced"
SHOWN = 3  # utterances that are kept to be heard and seen
Denoiser = Callable[[audio.Sound], audio.Sound]
Row = dict[str, float]


class Scored(NamedTuple):
    """One utterance through one system."""

    system: str
    noise: str
    snr: str
    figures: Row


def evaluate_speech(
    gan: GAN,
    data: Any,
    directory: Path,
    moment: dict[str, Any],
    names: list[str] | None,
    n: int | None,
    seed: int,
    fresh: bool,
) -> Path:
    """Writes evaluation.json, evaluation/*.wav and *.png and report.html; prints the tables.

    The model's windows lie side by side, as the paper's were; `enhanced, faded` is what gan_zoo.enhance gives by default.
    """
    data = _speech(data)
    chosen = _chosen(names)
    systems: dict[str, Denoiser] = {
        **DENOISERS,
        MODEL: _model(gan, seed),
        "enhanced, faded": lambda noisy: enhance(gan, noisy, seed=seed),
    }
    blank = record.empty(moment, {"n": n or len(data.pairs("test")), "seed": seed, "figures": chosen})
    content = blank if fresh else record.begun(directory, blank)
    if "speech" not in content["measures"]:
        begun = time.perf_counter()
        every = _some(data, n)
        found = [
            one for pair in track(every, "speech", transient=True) for one in scored(pair, systems, chosen)
        ]
        found += [
            one
            for kind in _damages(data)
            for pair in data.utterances(kind)
            for one in scored(pair, systems, chosen)
        ]
        content["measures"]["speech"] = _entry(found, chosen, seed, data.name, time.perf_counter() - begun)
        content["pictures"] = _to_be_heard(every, systems[MODEL], directory / "evaluation")
        record.write(directory, record.plain(content))
    details = content["measures"]["speech"]["details"]
    for title, head, lines in tables(details):
        _print(title, head, lines)
    print(write_report(directory))
    return directory / record.NAME


def speech_figures(
    gan: GAN, data: Any, names: list[str], n: int, seed: int
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Means over n held-out utterances, windows side by side; and spectrograms of the first, clean, noisy and enhanced,
    uint8 [3, bins, frames, 1]."""
    pairs = _some(_speech(data), n)
    found = [one for pair in pairs for one in scored(pair, {MODEL: _model(gan, seed)}, _chosen(names))]
    first = pairs[0].clean, pairs[0].noisy, _model(gan, seed)(pairs[0].noisy)
    spectra = np.stack([audio.spectrum(sound)[::-1] for sound in first])
    shown = np.clip((spectra - audio.FLOOR) / (audio.CEILING - audio.FLOOR), 0, 1)
    return _means(found, lambda one: one.system)[MODEL], (255 * shown).astype(np.uint8)[..., None]


def _speech(data: Any) -> SpeechData:
    if not isinstance(data, SpeechData):
        raise ConfigError(
            f"data={data.name} has no clean and noisy utterances; evaluate on data of gan_zoo.data.speech"
        )
    return data


def _some(data: SpeechData, n: int | None) -> list[Pair]:
    """An even choice of the held-out utterances."""
    pairs = data.pairs("test")
    return [pairs[int(i)] for i in np.linspace(0, len(pairs) - 1, min(n or len(pairs), len(pairs))).round()]


def _model(gan: GAN, seed: int) -> Denoiser:
    return lambda noisy: enhance(gan, noisy, overlap="none", level="keep", seed=seed)


def _chosen(names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in FIGURES:
            raise ConfigError(f"metrics: {name!r} came; for sound there are {', '.join(FIGURES)}")
    return [name for name in FIGURES if names is None or name in names]


def _damages(data: SpeechData) -> list[str]:
    """What the model was trained to mend besides noise; evaluated apart."""
    return [kind for kind in KINDS if data.damage.get(kind)]


def scored(pair: Pair, systems: dict[str, Denoiser], names: Sequence[str]) -> Iterable[Scored]:
    """The utterance through each system."""
    label = "" if pair.snr is None else f"{pair.snr:g} dB"
    for name, clean in systems.items():
        yield Scored(name, pair.noise, label, scores(pair.clean, clean(pair.noisy), names))


# ---------------------------------------------------------------- tables


def _means(found: Sequence[Scored], key: Callable[[Scored], str]) -> dict[str, Row]:
    """Mean of each figure by key, without what is no number (PESQ of an utterance without speech)."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for one in found:
        groups[key(one)].append(one.figures)
    return {
        name: {figure: _mean([row[figure] for row in rows]) for figure in rows[0]}
        for name, rows in groups.items()
    }


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _entry(
    found: Sequence[Scored], names: Sequence[str], seed: int, data: str, seconds: float
) -> dict[str, Any]:
    noise = [one for one in found if one.noise not in KINDS]
    details: dict[str, Any] = {
        "systems": _means(noise, lambda one: one.system),
        "utterances": len(noise) // _systems(noise),
    }
    for title, key in (("noise", lambda one: one.noise), ("snr", lambda one: one.snr)):
        kinds = sorted({key(one) for one in noise} - {""}, key=lambda text: (_number(text), text))
        details[f"by_{title}"] = {
            kind: _means([one for one in noise if key(one) == kind], lambda one: one.system) for kind in kinds
        }
    damaged = sorted({one.noise for one in found if one.noise in KINDS})
    details["by_damage"] = {
        kind: _means([one for one in found if one.noise == kind], lambda one: one.system) for kind in damaged
    }
    mine = [one.figures for one in noise if one.system == MODEL]
    taken = {
        name: Taken(_figure(name, [row[name] for row in mine], seed, data), len(mine), None) for name in names
    }
    return record.entry("Enhanced speech", taken, details, seconds)


def _systems(found: Sequence[Scored]) -> int:
    return len({one.system for one in found}) or 1


def _number(text: str) -> float:
    return float(text.split()[0]) if text.endswith(" dB") else 0.0


def _figure(name: str, values: Sequence[float], seed: int, data: str) -> Figure:
    """The mean over utterances with its normal interval."""
    known = [value for value in values if math.isfinite(value)]
    value, error = _mean(values), float(np.std(known, ddof=1) / len(known) ** 0.5) if len(known) > 1 else 0.0
    interval = Interval(
        value - 1.96 * error, value + 1.96 * error, 0.95, error, f"normal, {len(known)} utterances"
    )
    protocol = Protocol(
        name, "waveform, 16 kHz", None, "none", max(1, len(values)), max(1, len(values)), "held out", seed, __version__,
        {"overlap": "none"}, data,
    )  # fmt: skip
    return Figure(value, protocol, FIGURES[name].lower_is_better, interval if error else None, None)


def _print(title: str, head: list[str], lines: list[list[str]]) -> None:
    found = Table(title=title, title_justify="left")
    for index, name in enumerate(head):
        found.add_column(name, justify="left" if not index or name == "system" else "right")
    for line in lines:
        found.add_row(*line)
    Console().print(found)


# ---------------------------------------------------------------- to be heard


def _to_be_heard(pairs: Sequence[Pair], model: Denoiser, folder: Path) -> list[dict[str, str]]:
    """Some utterances, clean, noisy and enhanced, as wav files and spectrograms; returns what the report shows."""
    shown = []
    for number, index in enumerate(
        np.linspace(0, len(pairs) - 1, min(SHOWN, len(pairs))).round().astype(int)
    ):
        pair = pairs[int(index)]
        rows = {"clean": pair.clean, "noisy": pair.noisy, "enhanced": model(pair.noisy)}
        for name, sound in rows.items():
            media.publish(folder / f"speech_{number}_{name}.wav", audio.wav(sound))
        media.publish(folder / f"speech_{number}.png", media.png(audio.spectrograms(rows)))
        condition = ", ".join(
            text for text in (pair.noise, "" if pair.snr is None else f"{pair.snr:g} dB") if text
        )
        shown.append({"file": f"speech_{number}.png", "caption": f"{pair.name}: {condition or 'noisy'}"})
    return shown
