"""Street scenes drawn by the program at any size, with their label maps, which can be read back from the pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo.data.image_data import Rows
from gan_zoo.data.pair_data import PairData, Pairs
from gan_zoo.data.pyramid import with_channels
from gan_zoo.data.street_canvas import Painted
from gan_zoo.data.street_painter import paint
from gan_zoo.data.street_palette import CLASSES, read_labels
from gan_zoo.data.street_scene import draw_scene
from gan_zoo.schema import ConfigError

__all__ = ["CLASSES", "Streets", "draw", "read_labels"]

FIRST_HELD_OUT = 2**40  # held-out scenes are numbered from here on, so that no `size` reaches them
IN_MEMORY_BYTES = 2**31
SMALLEST = 16  # px: below, people are no longer pixels


class Drawn(NamedTuple):
    """pictures: uint8 [N, 3, H, W]; labels: uint8 [N, H, W]; instances: int32 [N, H, W]."""

    pictures: Tensor
    labels: Tensor
    instances: Tensor


def draw(drawing_seed: int, numbers: list[int], height: int, width: int) -> Drawn:
    """Those scenes of the city `drawing_seed`; each is a function of its number and the size alone."""
    return _stacked([paint(draw_scene(drawing_seed, number), height, width) for number in numbers])


def _stacked(painted: list[Painted]) -> Drawn:
    pictures, labels, instances = (np.stack(parts) for parts in zip(*painted, strict=True))
    return Drawn(*map(torch.from_numpy, (pictures, labels, instances.astype(np.int32))))


class StreetStore:
    """Scenes by row, drawn when first asked for and then kept, until there are IN_MEMORY_BYTES of them."""

    def __init__(self, data: Streets) -> None:
        self.data = data
        self.numbers: npt.NDArray[np.int64] = np.concatenate(
            [np.arange(data.size), FIRST_HELD_OUT + np.arange(data.held_out)]
        )
        self._kept: dict[tuple[int, int], Painted] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_bytes": 0}  # a worker draws its own share

    def _painted(self, row: int, resolution: int) -> Painted:
        if (kept := self._kept.get((row, resolution))) is not None:
            return kept
        scene = draw_scene(self.data.drawing_seed, int(self.numbers[row]))
        painted = paint(scene, resolution, self.data.width_at(resolution))
        size = sum(part.nbytes for part in painted)
        if self._bytes + size <= IN_MEMORY_BYTES:
            self._kept[row, resolution] = painted
            self._bytes += size
        return painted

    def take(self, rows: Rows, resolution: int) -> dict[str, Tensor]:
        if resolution < SMALLEST:
            raise ConfigError(f"streets are drawn from {SMALLEST} px on, got {resolution}")
        drawn = _stacked([self._painted(int(row), resolution) for row in rows])
        batch = {"real": with_channels(drawn.pictures, self.data.channels), "condition": drawn.labels}
        return batch | {"instances": drawn.instances} if self.data.instances else batch


class Streets(PairData):
    """`size` scenes to train on and `held_out` others, each drawn when first asked for: a picture from its label map.

    drawing_seed: which city; the pictures do not depend on `seed`. classes is 8, those of street_palette.CLASSES.
    """

    def __init__(
        self,
        *,
        size: PositiveInt,
        held_out: PositiveInt,
        drawing_seed: NonNegativeInt,
        **pairs: Any,
    ) -> None:
        super().__init__(**pairs)
        if self.classes != len(CLASSES) or self.input_channels:
            raise ConfigError(
                f"{self.name} are made from maps of {len(CLASSES)} classes: data.classes must be {len(CLASSES)} and "
                f"data.input_channels 0, got {self.classes} and {self.input_channels}"
            )
        if self.resolution < SMALLEST or self.width < SMALLEST:
            raise ConfigError(
                f"{self.name} are drawn from {SMALLEST} px on, got {self.width} x {self.resolution}; "
                "choose a larger data.resolution"
            )
        self.size, self.held_out, self.drawing_seed = size, held_out, drawing_seed
        self._store = StreetStore(self)

    def train_set(self) -> Pairs:
        rows = np.arange(self.size)
        return Pairs(self._store, rows, flip=self.flip, jitter=self.jitter, seed=self.seed)

    def held_out_set(self) -> Pairs:
        return Pairs(self._store, np.arange(self.size, self.size + self.held_out))
