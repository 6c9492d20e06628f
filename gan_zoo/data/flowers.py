"""Drawn flowers with captions, at any power of two from 8 to 1024 px, with attributes that are known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo.data.captions import CaptionData
from gan_zoo.data.drawn import DrawnOnce, Shape, in_chunks, on_disk
from gan_zoo.data.flower_attributes import CHOICES, CLASSES, UNSEEN_CLASSES, Flower, class_name, sample
from gan_zoo.data.flower_grammar import ASKED, asked, describe, vocabulary
from gan_zoo.data.flower_painter import paint
from gan_zoo.data.flower_reader import read_attributes
from gan_zoo.data.image_data import Loaded, Rows
from gan_zoo.data.pyramid import MappedPictures, shrink, with_channels
from gan_zoo.data.stream import BatchDataset
from gan_zoo.schema import ConfigError

__all__ = ["Flowers", "draw", "read_attributes"]

FIRST_HELD_OUT, FIRST_UNSEEN = 2**40, 2**41  # numbers of flowers that no `size` reaches
DRAWN_AT_LEAST = 64  # px; smaller pictures are box-filtered from this, because thin lines need it
LONGEST = 40  # words; no caption of the grammar has more


def draw(flowers: Sequence[Flower], resolution: int) -> Tensor:
    """uint8 [N, 3, resolution, resolution]; each picture is a function of its flower and the resolution alone."""
    side = max(resolution, DRAWN_AT_LEAST)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # numpy lets go of the lock
        parts = list(pool.map(lambda flower: paint(flower, side).bytes(), flowers))
    return shrink(torch.from_numpy(np.stack(parts)), resolution)


class Flowers(CaptionData):
    """`size` flowers to train on, `held_out` others of the same kinds, and `unseen` ones whose pair of petal colour and
    petal shape is never trained on.

    garden_seed: which garden; pictures and captions do not depend on `seed`. captions: how many are known of each flower.
    A class is a pair of petal colour and petal shape: 40, of which 8 are unseen. Pictures are
    drawn when first asked for; cache: a folder for a copy on disk of all of them, drawn once, or null.
    """

    def __init__(
        self,
        *,
        size: PositiveInt,
        held_out: PositiveInt,
        unseen: PositiveInt,
        captions: PositiveInt,
        garden_seed: NonNegativeInt,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if self.resolution not in (8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(
                f"flowers are drawn at a power of two from 8 to 1024 px, data.resolution is {self.resolution}"
            )
        if self.flip:
            raise ConfigError("captions of flowers say left and right: data.flip must be false")
        self.size, self.held_out, self.unseen, self.captions = size, held_out, unseen, captions
        self.garden_seed = garden_seed
        self._flowers: tuple[Flower, ...] = ()

    @property
    def flowers(self) -> tuple[Flower, ...]:
        """All flowers: those to train on, those held out, those of unseen kinds."""
        if not self._flowers:
            seed = self.garden_seed
            self._flowers = (
                *(sample(seed, number) for number in range(self.size)),
                *(sample(seed, FIRST_HELD_OUT + number) for number in range(self.held_out)),
                *(sample(seed, FIRST_UNSEEN + number, UNSEEN_CLASSES) for number in range(self.unseen)),
            )
        return self._flowers

    def attribute_table(self) -> dict[str, Tensor]:
        """Each attribute of every flower as int64 [size + held_out + unseen], indices into CHOICES."""
        return {
            name: torch.tensor([getattr(flower, name) for flower in self.flowers], dtype=torch.int64)
            for name in CHOICES
        }

    def load(self) -> Loaded:
        labels = self.labelled(np.array([flower.species for flower in self.flowers], dtype=np.int64), CLASSES)
        rows = np.arange(len(self.flowers))
        shape = (len(rows), self.channels, self.resolution, self.resolution)
        held_out = rows[self.size : self.size + self.held_out]
        return Loaded(self._store(shape), rows[: self.size], held_out, labels)

    def _store(self, shape: Shape) -> DrawnOnce | MappedPictures:
        if self.cache is None:
            return DrawnOnce(self._drawn, shape)
        style = hashlib.sha256(draw([sample(0, number) for number in range(8)], 64).numpy().tobytes())
        words = (
            style.hexdigest()[:8],
            self.garden_seed,
            self.size,
            self.held_out,
            self.unseen,
            f"{shape[-1]}x{shape[1]}",
        )
        folder = Path(self.cache).expanduser() / "-".join(["flowers", *map(str, words)])
        return on_disk(folder, shape, self._chunks, "flowers")

    def _chunks(self) -> Iterator[Tensor]:
        for rows in in_chunks(len(self.flowers), self.resolution, "flowers"):
            yield self._drawn(np.array(rows))

    def _drawn(self, rows: Rows) -> Tensor:
        return with_channels(draw([self.flowers[row] for row in rows], self.resolution), self.channels)

    def unseen_set(self) -> BatchDataset:
        """Flowers of kinds that are not among those to train on."""
        return self.captioned(np.arange(self.size + self.held_out, len(self.flowers)), must_mismatch=False)

    def texts_of(self) -> list[list[str]]:
        return [[describe(flower, number) for number in range(self.captions)] for flower in self.flowers]

    def asked(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """What captions ask for: petal colour, shape and number, centre and edge colour, int64 [N] each, indices into CHOICES; -1
        where a caption does not say it."""
        found = [asked(caption) for caption in captions]
        return {name: torch.tensor([one.get(name, -1) for one in found], dtype=torch.int64) for name in ASKED}

    def words(self) -> list[str]:
        return vocabulary()

    def longest(self) -> int:
        return LONGEST

    def class_names(self) -> list[str]:
        return [class_name(number) for number in range(CLASSES)]
