"""Drawn objects with shading and texture, and their edges: a small honest twin of edges2shoes and edges2handbags."""

from __future__ import annotations

from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo import chance
from gan_zoo.data.image_data import Rows
from gan_zoo.data.pair_data import PairData, Pairs
from gan_zoo.data.pyramid import with_channels
from gan_zoo.data.sketch import Sketch
from gan_zoo.data.sketched_objects import KINDS
from gan_zoo.schema import ConfigError

Kind = Literal["sneaker", "boot", "pump", "handbag", "mug", "teapot", "vase", "hat"]
FIRST_HELD_OUT = 2**40
IN_MEMORY_BYTES = 2**31
SMALLEST = 16


class Drawn(NamedTuple):
    """picture: uint8 [3, R, R]; edges: uint8 [1, R, R], black lines on white."""

    picture: npt.NDArray[np.uint8]
    edges: npt.NDArray[np.uint8]


def draw(drawing_seed: int, number: int, side: int, kinds: tuple[str, ...] = tuple(KINDS)) -> Drawn:
    """Object `number` of the endless collection `drawing_seed`, a function of these and the size alone."""
    random = Random(chance.mix(drawing_seed, "object", number))
    kind = kinds[random.randrange(len(kinds))]
    noise = np.random.default_rng(random.getrandbits(60)).random((64, 64), np.float32)
    paint, (left, top, extent) = KINDS[kind]
    larger = random.uniform(1.0, 1.12)  # no two stand at quite the same place
    shift = [random.uniform(0.3, 0.7) * extent * (larger - 1) for _ in range(2)]
    view = left - shift[0], top - shift[1], extent * larger
    sketch = Sketch(side, np.full(3, 0.985, np.float32), noise, view)
    paint(sketch, random)
    edges = np.rint(255 * (1 - np.clip(sketch.ink, 0, 1))).astype(np.uint8)[None]
    return Drawn(sketch.canvas.bytes(), edges)


class ObjectStore:
    """Objects by row, drawn when first asked for and then kept, until there are IN_MEMORY_BYTES of them."""

    def __init__(self, data: Edges) -> None:
        self.data = data
        self.numbers: npt.NDArray[np.int64] = np.concatenate(
            [np.arange(data.size), FIRST_HELD_OUT + np.arange(data.held_out)]
        )
        self._kept: dict[tuple[int, int], Drawn] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_bytes": 0}  # a worker draws its own share

    def _drawn(self, row: int, resolution: int) -> Drawn:
        if (kept := self._kept.get((row, resolution))) is not None:
            return kept
        drawn = draw(self.data.drawing_seed, int(self.numbers[row]), resolution, self.data.kinds)
        size = sum(part.nbytes for part in drawn)
        if self._bytes + size <= IN_MEMORY_BYTES:
            self._kept[row, resolution] = drawn
            self._bytes += size
        return drawn

    def take(self, rows: Rows, resolution: int) -> dict[str, Tensor]:
        if resolution < SMALLEST:
            raise ConfigError(f"edges are drawn from {SMALLEST} px on, got {resolution}")
        pictures, edges = zip(*(self._drawn(int(row), resolution) for row in rows), strict=True)
        return {
            "real": with_channels(torch.from_numpy(np.stack(pictures)), self.data.channels),
            "condition": with_channels(torch.from_numpy(np.stack(edges)), self.data.input_channels),
        }


class Edges(PairData):
    """`size` objects to train on and `held_out` others, each drawn when first asked for: a picture from its edges.

    kinds: which objects; null is all of them. drawing_seed: which collection; independent of `seed`.
    """

    def __init__(
        self,
        *,
        size: PositiveInt,
        held_out: PositiveInt,
        drawing_seed: NonNegativeInt,
        kinds: list[Kind] | None,
        **pairs: Any,
    ) -> None:
        super().__init__(**pairs)
        if self.classes or self.input_channels not in (1, 3) or self.instances:
            raise ConfigError(
                f"{self.name} are made from pictures of lines: data.input_channels must be 1 or 3, data.classes 0 and "
                f"data.instances false, got {self.input_channels}, {self.classes} and {self.instances}"
            )
        if self.width != self.resolution or self.resolution < SMALLEST:
            raise ConfigError(
                f"{self.name} are square pictures from {SMALLEST} px on: data.width must be null, got {self.width} x "
                f"{self.resolution}"
            )
        if kinds is not None and not (kinds and set(kinds) <= set(KINDS)):
            raise ConfigError(
                f"data.kinds must name some of {', '.join(KINDS)}, or be null for all; got {kinds}"
            )
        self.size, self.held_out, self.drawing_seed = size, held_out, drawing_seed
        self.kinds: tuple[str, ...] = tuple(kinds or KINDS)
        self._store = ObjectStore(self)

    def train_set(self) -> Pairs:
        rows = np.arange(self.size)
        return Pairs(self._store, rows, flip=self.flip, jitter=self.jitter, seed=self.seed)

    def held_out_set(self) -> Pairs:
        return Pairs(self._store, np.arange(self.size, self.size + self.held_out))
