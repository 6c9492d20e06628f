"""Pairs: what a picture was made from, what was made, what is true, side by side."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

# sky, walls, leaves, asphalt, paving, cars, people, poles: as gan_zoo.data.streets numbers them; further ids get others
NAMED_COLOURS = ("#5B9BD5", "#C0503C", "#4F9B3A", "#59595E", "#B3A2D9", "#0F8F8B", "#D6408F", "#E8BE2C")
GOLDEN = 0.618034  # of a turn of the hue: any number of ids stay apart


@lru_cache(maxsize=8)
def class_colours(classes: int) -> Tensor:
    """A colour for each id, uint8 [classes, 3]; the first eight are NAMED_COLOURS."""
    named = [[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in NAMED_COLOURS[:classes]]
    more = [
        [
            round(255 * part)
            for part in colorsys.hsv_to_rgb(i * GOLDEN % 1, (0.75, 0.45)[i % 2], (0.9, 0.6, 0.75)[i % 3])
        ]
        for i in range(classes - len(named))
    ]
    return torch.tensor(named + more, dtype=torch.uint8)


def shown(condition: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """What a picture is made from, on the wire, as float [N, 3, H, W] in [-1, 1].

    Ids [N, H, W] become colours; grey becomes RGB; of four channels the fourth darkens what is not known. size: the
    nearest pixels at another height and width.
    """
    if condition.dim() == 3:
        ids = condition.long()
        pictures = class_colours(max(len(NAMED_COLOURS), int(ids.max()) + 1))[ids].permute(0, 3, 1, 2).float()
    else:
        pictures = condition.float()
        if pictures.shape[1] == 4:
            pictures = pictures[:, :3] * (0.4 + 0.6 * pictures[:, 3:] / 255)
        pictures = pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures
    if size is not None and pictures.shape[-2:] != torch.Size(size):
        pictures = F.interpolate(pictures, size=size, mode="nearest-exact")
    return pictures / 127.5 - 1


def in_rows(
    samples: Tensor, real: Tensor | None, inputs: dict[str, Tensor] | None, columns: int | None = None
) -> tuple[Tensor, int | None]:
    """Cells for a grid, float [M, 3, H, W] in [-1, 1], and how many make a row: input | output | truth, item by item.

    The truth is left out where there is none, the input too; two items stand in a row unless they are wide. columns: of
    samples whose inputs are not told.
    """
    if inputs is None or "condition" not in inputs:
        return samples, columns
    size = samples.shape[-2], samples.shape[-1]
    parts = [shown(inputs["condition"][: len(samples)].cpu(), size), _rgb(samples)]
    if real is not None:
        parts.append(_rgb(real[: len(samples)]))
    wide = size[1] > 1.5 * size[0]
    return torch.stack(parts, 1).flatten(0, 1), len(parts) * (1 if wide or len(samples) < 4 else 2)


def _rgb(pictures: Tensor) -> Tensor:
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures[:, :3]
