"""Pictures that a program draws: each drawn when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gan_zoo.data.image_data import Rows
from gan_zoo.data.pyramid import shrink
from gan_zoo.schema import ConfigError

IN_MEMORY_BYTES = 2**32


class DrawnOnce:
    """A store of `shape` = (items, channels, side, side), uint8: rows that nobody asked for are never drawn.

    draw: rows -> uint8 [N, channels, side, side], a pure function of the rows.
    """

    def __init__(self, draw: Callable[[Rows], Tensor], shape: tuple[int, int, int, int]) -> None:
        if (needed := int(np.prod(shape))) > IN_MEMORY_BYTES:
            raise ConfigError(
                f"{shape[0]:,} pictures of {shape[-1]} px take {needed / 1e9:.1f} GB of memory; choose a smaller "
                "data.size or data.resolution"
            )
        self.draw, self.resolution = draw, shape[-1]
        self.pictures = torch.empty(shape, dtype=torch.uint8)  # the system gives memory when it is written to
        self.known = np.zeros(shape[0], bool)

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: Rows, resolution: int) -> Tensor:
        """uint8 [N, channels, resolution, resolution], a copy."""
        missing = np.unique(rows[~self.known[rows]])
        if len(missing):
            self.pictures[torch.from_numpy(missing)] = self.draw(missing)
            self.known[missing] = True
        return shrink(self.pictures[torch.from_numpy(rows)], resolution)
