"""MEDIA, the one table that says what samples of each modality are shown as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gan_zoo.media import audio, pairs
from gan_zoo.media.captions import captioned
from gan_zoo.media.files import publish
from gan_zoo.media.pictures import grid, png
from gan_zoo.media.points import scatter
from gan_zoo.media.text import lines
from gan_zoo.schema import ConfigError


class Medium(NamedTuple):
    """How samples of a modality are shown: render(samples, real, columns, inputs), then encode to bytes.

    real: real ones in the same order, or None; inputs: what the samples were made from, on the wire, or None; captions
    stand in it as strings, under "captions". beside: further files, as suffix -> bytes, of what was rendered.
    """

    noun: str  # what many samples are called
    suffix: str
    samples: int  # how many make a good view
    render: Callable[[Any, Any, int | None, dict[str, Any] | None], Any]
    encode: Callable[[Any], bytes]
    beside: Callable[[Any], dict[str, bytes]] = lambda content: {}

    def write(self, stem: Path, content: Any) -> Path:
        """Writes what was rendered as `stem` + the suffix, and what goes beside it; returns the path."""
        path = stem.with_name(stem.name + self.suffix)
        publish(path, self.encode(content))
        for suffix, more in self.beside(content).items():
            publish(stem.with_name(stem.name + suffix), more)
        return path


MEDIA: dict[str, Medium] = {
    "image": Medium("images", ".png", 64, lambda samples, real, columns, inputs: grid(samples, columns), png),
    "pair": Medium(
        "images",
        ".png",
        12,
        lambda samples, real, columns, inputs: grid(*pairs.in_rows(samples, real, inputs, columns)),
        png,
    ),
    "captioned": Medium("images", ".png", 16, captioned, png),
    "points": Medium(
        "points", ".png", 2000, lambda samples, real, columns, inputs: scatter(samples, real), png
    ),
    "audio": Medium(
        "sounds",
        ".wav",
        16,
        lambda samples, real, columns, inputs: audio.heard(samples, real, inputs),
        lambda content: audio.wav(content.sound),
        audio.beside,
    ),
    "text": Medium(
        "lines", ".txt", 64, lambda samples, real, columns, inputs: lines(samples, columns), str.encode
    ),
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
    return medium.write(stem, medium.render(samples, real, columns, inputs))
