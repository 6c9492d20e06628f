"""Pictures as bytes: levels, grids, PNG."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_zoo.schema import ConfigError

Picture = NDArray[np.uint8]  # [H, W, C] with 1 (grey), 3 (RGB) or 4 (RGBA) channels

GAP, GAP_LEVEL = 2, 48  # pixels and grey level between the pictures of a grid


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
    empty = [GAP_LEVEL] * channels if channels < 4 else [0, 0, 0, 0]
    cells = np.empty((rows * columns, height + GAP, across + GAP, channels), np.uint8)
    cells[:] = empty
    cells[:n, :height, :across] = frames
    sheet = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * (height + GAP), columns * (across + GAP), channels)[:-GAP, :-GAP]


def png(picture: Picture) -> bytes:
    """Lossless, and the same bytes for the same pixels."""
    file = io.BytesIO()
    as_image(picture).save(file, "PNG")
    return file.getvalue()


def as_image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def of_figure(figure: Figure) -> Picture:
    """A drawn figure, RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
