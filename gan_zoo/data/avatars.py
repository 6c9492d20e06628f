"""Cartoon faces drawn by the program, at any power of two from 4 to 1024 px, with attributes that are
known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo.data.avatar_attributes import CHOICES, Avatar, sample
from gan_zoo.data.avatar_painter import EYE_Y, GAP, VIEW, paint
from gan_zoo.data.drawing import Box
from gan_zoo.data.drawn import in_chunks, on_disk
from gan_zoo.data.image_data import ImageData, Loaded
from gan_zoo.data.pyramid import MappedPictures, MemoryPictures, shrink, with_channels
from gan_zoo.schema import ConfigError

Label = Literal[
    "skin",
    "hair_style",
    "hair_colour",
    "eye_shape",
    "eye_colour",
    "mouth",
    "background",
    "glasses",
    "beard",
    "earrings",
    "clothes",
]
FIRST_HELD_OUT = 2**40  # held-out avatars are numbered from here on, so that no `size` reaches them
DRAWN_AT_LEAST = 64  # px; smaller pictures are box-filtered from this, because thin lines need it
IN_MEMORY_BYTES = 2**31
UNREAD = -1


def draw(avatars: Sequence[Avatar], resolution: int) -> Tensor:
    """uint8 [N, 3, resolution, resolution]; each picture is a function of its avatar and the resolution
    alone."""
    side = max(resolution, DRAWN_AT_LEAST)
    with ThreadPoolExecutor(
        min(16, os.cpu_count() or 1)
    ) as pool:  # numpy lets go of the lock; pays from 256 px on
        parts = list(pool.map(lambda avatar: paint(avatar, side).bytes(), avatars))
    return shrink(torch.from_numpy(np.stack(parts)), resolution)


def attribute_table(avatars: Sequence[Avatar]) -> dict[str, Tensor]:
    """Each attribute of CHOICES as int64 [N], indices into its choices."""
    return {
        name: torch.tensor([getattr(avatar, name) for avatar in avatars], dtype=torch.int64)
        for name in CHOICES
    }


class Avatars(ImageData):
    """`size` avatars to train on and `held_out` others, drawn when first asked for.

    drawing_seed: which gallery; the pictures do not depend on `seed`. label: the attribute that is the
    condition, with classes its number of choices, or 0 for no labels. cache: a folder for a memory-mapped
    copy, made once and found again; null keeps the pictures in memory, at most 2 GiB of them.
    """

    def __init__(
        self,
        *,
        resolution: int,
        size: PositiveInt,
        held_out: PositiveInt,
        drawing_seed: NonNegativeInt,
        label: Label,
        **stream: Any,
    ) -> None:
        super().__init__(resolution=resolution, **stream)
        if resolution not in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(
                f"avatars are drawn at a power of two from 4 to 1024 px, data.resolution is {resolution}"
            )
        self.size, self.held_out, self.drawing_seed, self.label = size, held_out, drawing_seed, label
        self._avatars: tuple[Avatar, ...] = ()

    @property
    def avatars(self) -> tuple[Avatar, ...]:
        """All avatars, first those to train on, then those held out."""
        if not self._avatars:
            numbers = [*range(self.size), *range(FIRST_HELD_OUT, FIRST_HELD_OUT + self.held_out)]
            self._avatars = tuple(sample(self.drawing_seed, number) for number in numbers)
        return self._avatars

    def attributes(self, index: int) -> dict[str, str]:
        """What is known of item `index`: names of its choices. Held-out items follow the training ones, from
        `size` on."""
        return {name: values[getattr(self.avatars[index], name)] for name, values in CHOICES.items()}

    def attribute_table(self) -> dict[str, Tensor]:
        """Each attribute of every item as int64 [size + held_out], indices into CHOICES."""
        return attribute_table(self.avatars)

    def load(self) -> Loaded:
        labels = self.labelled(self.attribute_table()[self.label].numpy(), len(CHOICES[self.label]))
        rows = np.arange(len(self.avatars))
        return Loaded(self._store(), rows[: self.size], rows[self.size :], labels)

    def _store(self) -> MemoryPictures | MappedPictures:
        needed = len(self.avatars) * self.channels * self.resolution**2
        if self.cache is not None:
            return self._mapped(Path(self.cache).expanduser())
        if needed > IN_MEMORY_BYTES:
            fitting = max(1, IN_MEMORY_BYTES * len(self.avatars) // needed - self.held_out)
            raise ConfigError(
                f"{len(self.avatars)} avatars of {self.resolution} px take {needed / 1e9:.1f} GB of memory: "
                f"set data.cache=FOLDER for a copy on disk, or data.size to at most {fitting}"
            )
        return MemoryPictures(torch.cat(list(self._chunks())), self.resolution)

    def _chunks(self) -> Iterator[Tensor]:
        """All pictures in order, uint8 [n, C, R, R] at a time."""
        for rows in in_chunks(len(self.avatars), self.resolution, "avatars"):
            yield with_channels(draw(self.avatars[rows.start : rows.stop], self.resolution), self.channels)

    def _mapped(self, parent: Path) -> MappedPictures:
        """The pictures and their halvings, one file a side, in a folder named by what they are."""
        style = hashlib.sha256(
            draw([sample(0, number) for number in range(8)], 64).numpy().tobytes()
        ).hexdigest()[:8]
        words = (style, self.drawing_seed, self.size, self.held_out, f"{self.resolution}x{self.channels}")
        folder = parent / "-".join(["avatars", *map(str, words)])
        shape = (len(self.avatars), self.channels, self.resolution, self.resolution)
        return on_disk(folder, shape, self._chunks, "avatars")


# Where an attribute shows, whatever the others are: boxes of the plane, of which the mean colour is taken.
SPOTS: dict[str, tuple[Box, ...]] = {
    "background": ((-0.86, -0.92, -0.68, -0.74), (0.68, -0.92, 0.86, -0.74)),
    "skin": ((-0.03, 0.09, 0.03, 0.215),),
    "hair_colour": ((-0.2, -0.49, 0.2, -0.39),),
    "eye_colour": tuple((x - 0.06, EYE_Y, x + 0.06, EYE_Y + 0.075) for x in (-GAP, GAP)),
}
READ_FROM = {"background": 8, "skin": 16, "hair_colour": 16, "eye_colour": 32}  # px
FINEST = 64  # px; larger pictures are box-filtered to this before they are read


def _spot(pictures: Tensor, name: str) -> Tensor:
    """Mean colour of the spot of each picture, float [N, 3 * spots]; pictures: float [N, 3, R, R]."""
    side, found = pictures.shape[-1], []
    for box in SPOTS[name]:
        first = [(edge - VIEW[number % 2]) / VIEW[2] * side for number, edge in enumerate(box)]
        left, top = round(first[0]), round(first[1])
        right, bottom = max(left + 1, round(first[2])), max(top + 1, round(first[3]))
        found.append(pictures[:, :, top:bottom, left:right].mean((2, 3)))
    return torch.cat(found, 1)


@lru_cache(maxsize=8)
def _examples(name: str) -> Tensor:
    """Faces that show what each choice of an attribute looks like: uint8 [choices, glasses, 8, 3, 64, 64].

    With each kind of glasses where they stand before the spot. For `scalp` the choices are those of skin, and
    the faces are bald.
    """
    attribute = "skin" if name == "scalp" else name
    kinds = range(len(CHOICES["glasses"])) if name in ("skin", "eye_colour") else range(1)
    faces = [sample(2**31, index) for index in range(8)]  # a gallery of its own
    if name == "hair_colour":
        faces = [replace(face, hair_style=4 + index) for index, face in enumerate(faces)]
    elif name == "scalp":
        faces = [replace(face, hair_style=0) for face in faces]
    variants = [
        replace(face, glasses=glasses, **{attribute: choice})  # type: ignore[arg-type]
        for choice in range(len(CHOICES[attribute]))
        for glasses in kinds
        for face in faces
    ]
    return draw(variants, FINEST).unflatten(0, (-1, len(kinds), len(faces)))


def _distances(pictures: Tensor, name: str) -> Tensor:
    """[N, choices]: distance of the spot's colour to the nearest mean look of each choice, with any
    glasses."""
    examples, spot = _examples(name), "hair_colour" if name == "scalp" else name
    looks = _spot(_pooled(examples.flatten(0, 2).float(), pictures.shape[-1]), spot)
    means = looks.unflatten(0, examples.shape[:3]).mean(2)  # [choices, glasses, features]
    return torch.cdist(_spot(pictures, spot), means.flatten(0, 1)).unflatten(1, means.shape[:2]).amin(2)


def _pooled(pictures: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(pictures, pictures.shape[-1] // side)


def read_attributes(pictures: Tensor) -> dict[str, Tensor]:
    """Background, skin, hair colour and eye colour, read back from pictures by the nearest mean look of each
    choice.

    pictures: [N, 3, R, R], uint8, or float in [-1, 1] as a generator makes them; R a power of two from 8 on.
    Returns int64 [N] each, indices into CHOICES; UNREAD (-1) for the hair colour of the bald, and for what
    cannot be seen at that size: skin and hair below 16 px, eyes below 32 px. Accuracy on real avatars:
    tests/data/test_avatars.py.
    """
    side = pictures.shape[-1]
    if (
        pictures.dim() != 4
        or pictures.shape[1] != 3
        or pictures.shape[2] != side
        or side < 8
        or side & (side - 1)
    ):
        raise ConfigError(
            f"avatars are read from [N, 3, R, R], R a power of two from 8 on; got {list(pictures.shape)}"
        )
    shown = pictures.float() if pictures.dtype == torch.uint8 else (pictures.float() + 1) * 127.5
    shown = _pooled(shown.cpu(), min(side, FINEST))
    read = {name: torch.full((len(pictures),), UNREAD) for name in SPOTS}
    for name, least in READ_FROM.items():
        if side < least:
            continue
        distances = _distances(shown, name)
        read[name] = distances.argmin(1)
        if name == "hair_colour":
            bare = _distances(shown, "scalp").gather(1, read["skin"][:, None]).squeeze(1)
            read[name][bare < distances.amin(1)] = UNREAD
    return read
