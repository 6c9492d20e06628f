"""Strips of pictures whose rows and columns are named."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from gan_zoo.media.letters import font
from gan_zoo.media.pictures import Picture, as_bytes
from gan_zoo.schema import ConfigError

INK, PAPER, GAP, LINE = (40, 40, 40), (255, 255, 255), 6, 13
SIDE = 128  # px; smaller pictures are enlarged by a whole number to about this


def labelled_strip(
    pictures: Tensor, rows: Sequence[str], columns: Sequence[str] = (), title: str = ""
) -> Picture:
    """Pictures [R * K, C, H, W] in [-1, 1] in R rows of K, each row under its name; names of columns on top, once."""
    frames = _enlarged(pictures)
    if not rows or len(frames) % len(rows):
        raise ConfigError(f"{len(frames)} pictures came for {len(rows)} rows; give as many for each row")
    across = len(frames) // len(rows)
    if columns and len(columns) != across:
        raise ConfigError(f"{len(columns)} names came for {across} columns; give one for each")
    height, side = frames[0].shape[:2]
    width = across * (side + GAP) + GAP
    heads = _band([_wrapped(name, side) for name in columns])
    names = [_wrapped(name, width - 2 * GAP) for name in rows]
    above = [LINE * len(lines) + 3 if "".join(lines) else 0 for lines in names]
    top = GAP + (LINE * len(_wrapped(title, width - 2 * GAP)) + 3 if title else 0)
    sheet = Image.new("RGB", (width, top + heads + sum(above) + len(rows) * (height + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (GAP, GAP), _wrapped(title, width - 2 * GAP) if title else [])
    for k, name in enumerate(columns):
        _write(pen, (GAP + k * (side + GAP), top), _wrapped(name, side))
    y = top + heads
    for r, lines in enumerate(names):
        _write(pen, (GAP, y), lines)
        y += above[r]
        for k in range(across):
            sheet.paste(Image.fromarray(frames[r * across + k]), (GAP + k * (side + GAP), y))
        y += height + GAP
    return np.asarray(sheet)


def _band(texts: list[list[str]]) -> int:
    return LINE * max(map(len, texts)) + 3 if texts else 0


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        pen.text((place[0], place[1] + LINE * number), line, INK, font(11, line))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of about `width` px; one empty line for no text."""
    return textwrap.wrap(text, max(8, int(width / 5.6))) or [""]


def _enlarged(pictures: Tensor) -> list[NDArray[np.uint8]]:
    """RGB frames [H, W, 3]."""
    frames = as_bytes(pictures)
    if not len(frames):
        raise ConfigError("no picture came to be labelled; give at least one")
    times = max(1, round(SIDE / frames.shape[1]))
    frames = frames.repeat(times, axis=1).repeat(times, axis=2)
    if frames.shape[3] == 4:
        frames = frames[..., :3]
    return list(frames.repeat(3, axis=3) if frames.shape[3] == 1 else frames)
