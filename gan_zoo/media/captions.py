"""Captioned pictures: each with its caption beside it, on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_zoo.media.letters import font
from gan_zoo.media.pictures import Picture, as_bytes, grid
from gan_zoo.schema import ConfigError

PAPER, INK, PALE = (255, 255, 255), (32, 32, 36), (140, 140, 148)
SIDE, GAP = 96, 8  # px: of a picture, between things
TEXT, SIZE = 236, 13  # px: width of a caption, height of its letters


def captioned(
    samples: Tensor, real: Tensor | None, columns: int | None, inputs: dict[str, Any] | None
) -> Picture:
    """Samples with their captions, `inputs["captions"]`, and the pictures that these describe; a plain grid without them."""
    if inputs is None or "captions" not in inputs:
        return grid(samples, columns)
    return caption_sheet(samples, inputs["captions"], real, columns)


def caption_sheet(
    samples: Tensor, captions: Sequence[str], real: Tensor | None = None, columns: int | None = None
) -> Picture:
    """Samples [N, C, H, W] in [-1, 1], each with its caption and, where `real` is given, the picture that it describes.

    columns: how many stand side by side, 2 by default. Pictures are enlarged by a whole number to about 96 px.
    """
    if len(captions) < len(samples) or (real is not None and len(real) < len(samples)):
        raise ConfigError(
            f"a caption sheet needs a caption for each picture: {len(samples)} pictures, {len(captions)} captions, "
            f"{'no' if real is None else len(real)} real ones"
        )
    shown = [_enlarged(samples), *([] if real is None else [_enlarged(real[: len(samples)])])]
    side = shown[0].shape[1]
    wide = len(shown) * (side + GAP) + TEXT + GAP
    across = min(columns or 2, len(samples))
    rows, head = math.ceil(len(samples) / across), SIZE + 2 * GAP
    sheet = Image.new("RGB", (across * wide + GAP, head + rows * (side + GAP)), PAPER)
    write = ImageDraw.Draw(sheet)
    for column in range(across):
        for order, title in enumerate(("generated", "real")[: len(shown)] if real is not None else ()):
            write.text((GAP + column * wide + order * (side + GAP), GAP), title, PALE, font(SIZE, title))
    for number, caption in enumerate(captions[: len(samples)]):
        row, column = divmod(number, across)
        left, top = GAP + column * wide, head + row * (side + GAP)
        for order, pictures in enumerate(shown):
            sheet.paste(Image.fromarray(pictures[number]), (left + order * (side + GAP), top))
        letters = font(SIZE, caption)
        lines = _wrapped(caption, letters, side // (SIZE + 4))
        write.multiline_text((left + len(shown) * (side + GAP), top), lines, INK, letters, spacing=4)
    return np.asarray(sheet).copy()


def _enlarged(pictures: Tensor) -> Picture:
    """uint8 [N, H, W, 3], pixels repeated up to about SIDE."""
    frames = as_bytes(pictures)[..., :3]
    times = max(1, round(SIDE / frames.shape[2]))
    return frames.repeat(times, 1).repeat(times, 2).repeat(3 // frames.shape[3], 3)


def _wrapped(caption: str, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont, most: int) -> str:
    """The caption in at most `most` lines of TEXT pixels; what is left out is shown by three dots."""
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if letters.getlength(longer) <= TEXT or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."])
