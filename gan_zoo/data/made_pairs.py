"""Pairs made from single pictures: noise, grey, few pixels or a hole to be undone; from any folder, or from drawn faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from gan_zoo import chance
from gan_zoo.data.avatars import Avatars
from gan_zoo.data.image_data import ImageData, Rows, none_held_out
from gan_zoo.data.images import Folder
from gan_zoo.data.pair_data import PairData, jittered, mirrored
from gan_zoo.data.pyramid import Store, columns, draws, shrink, with_channels
from gan_zoo.data.stream import Key
from gan_zoo.schema import ConfigError

Task = Literal["denoise", "colourise", "super_resolution", "inpaint"]
HOLE_GREY = 128


def noisy(picture: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """uint8 [C, H, W] with Gaussian noise of that many grey levels."""
    noise = torch.randn(picture.shape, generator=generator) * strength
    return (picture + noise).round().clamp(0, 255).to(torch.uint8)


def grey(picture: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """uint8 [3, H, W] -> [1, H, W], ITU-R 601 luma."""
    return with_channels(picture[None], 1)[0]


def coarse(picture: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """uint8 [C, H, W] averaged over squares of that side, and brought back smoothly (bicubic)."""
    side = picture.shape[-1]
    small = shrink(picture[None], max(1, round(side / strength))).float()
    smooth = F.interpolate(small, size=(side, side), mode="bicubic", antialias=True)
    return smooth[0].round().clamp(0, 255).to(torch.uint8)


def holed(picture: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """uint8 [3, H, W] -> [4, H, W]: a grey rectangle of that share of the area, and what is known (255) or not (0)."""
    height, width = picture.shape[-2:]
    stretch = 2 ** (torch.rand(1, generator=generator).item() - 0.5)
    tall = min(height, max(1, round(height * strength**0.5 * stretch)))
    wide = min(width, max(1, round(width * strength**0.5 / stretch)))
    top = int(torch.randint(height - tall + 1, (1,), generator=generator))
    left = int(torch.randint(width - wide + 1, (1,), generator=generator))
    made = torch.cat([picture, torch.full((1, height, width), 255, dtype=torch.uint8)])
    made[:3, top : top + tall, left : left + wide] = HOLE_GREY
    made[3, top : top + tall, left : left + wide] = 0
    return made


# what is done to a picture of how many channels, which gives how many; limits of the strength
TASKS: dict[str, tuple[Callable[[Tensor, torch.Generator, float], Tensor], tuple[int, ...], int, float]] = {
    "denoise": (noisy, (1, 3), 0, 255.0),
    "colourise": (grey, (3,), 1, 1.0),
    "super_resolution": (coarse, (1, 3), 0, 64.0),
    "inpaint": (holed, (3,), 4, 1.0),
}


class MadePairs(PairData):
    """Single square pictures and what a task leaves of them, as a function of (seed, epoch, index) alone.

    task and strength: denoise (deviation of the noise in grey levels), colourise (none), super_resolution (how many times
    fewer pixels a side), inpaint (share of the area that is missing). root: any folder of pictures; null draws faces
    (data=avatars). held_out: a share. size: faces to draw, with a tenth of them more held out.
    """

    def __init__(
        self,
        *,
        task: Task,
        strength: NonNegativeFloat,
        size: PositiveInt,
        held_out: float,
        background: list[int],
        enlarge: bool,
        max_pixels: PositiveInt,
        resample: Literal["box", "bicubic", "lanczos"],
        on_error: Literal["raise", "skip"],
        **pairs: Any,
    ) -> None:
        super().__init__(**pairs)
        if task not in TASKS:
            raise ConfigError(f"data.task must be one of {', '.join(TASKS)}, got {task!r}")
        self.make, of_channels, gives, most = TASKS[task]
        self.task, self.strength = task, strength
        wanted = gives or self.channels
        if self.channels not in of_channels or self.input_channels != wanted:
            raise ConfigError(
                f"data.task={task} makes data.input_channels={wanted} of data.channels={of_channels[-1]}, got "
                f"{self.input_channels} of {self.channels}"
            )
        if not 0 <= strength <= most or (task in ("super_resolution", "inpaint") and not strength):
            raise ConfigError(f"data.strength of {task} must lie between 0 and {most:g}, got {strength}")
        if self.width != self.resolution or self.instances:
            raise ConfigError(
                f"{self.name} are square pictures without instances: data.width must be null, got {self.width} for "
                f"data.resolution={self.resolution}"
            )
        files = {
            "background": background,
            "enlarge": enlarge,
            "max_pixels": max_pixels,
            "resample": resample,
            "on_error": on_error,
        }
        self._pictures = self._source(size, held_out, files)

    def _source(self, size: int, held_out: float, files: dict[str, Any]) -> ImageData:
        """The single pictures."""
        shared: dict[str, Any] = {
            "name": self.name,
            "resolution": self.resolution,
            "channels": self.channels,
            "classes": 0,
            "modality": "image",
            "batch_size": self.batch_size,
            "cache": self.cache,
        }
        if self.root is not None:
            return Folder(root=self.root, held_out=held_out, source=None, **files, **shared)
        return Avatars(size=size, held_out=max(1, size // 10), drawing_seed=0, label="hair_style", **shared)

    def prepare(self) -> None:
        if self.download:
            raise ConfigError(
                f"{self.name} are made from pictures of your own: set data.download=false and data.root=FOLDER"
            )
        self._pictures.prepare()

    def train_set(self) -> Made:
        data = self._pictures.loaded
        return Made(self, data.store, data.train, self.flip, self.jitter, self.seed)

    def held_out_set(self) -> Made:
        data = self._pictures.loaded
        if not len(data.held_out):
            raise none_held_out(self.name, len(data.train))
        return Made(self, data.store, data.held_out, False, 0.0, chance.mix("held out"))


class Made:
    """real: uint8 [N, C, R, R]; condition: uint8 [N, C', R, R], what the task leaves of it."""

    def __init__(
        self, data: MadePairs, store: Store, rows: Rows, flip: bool, jitter: float, seed: int
    ) -> None:
        self.data, self.store, self.rows = data, store, rows
        self.flip, self.jitter, self.seed = flip, jitter, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        index, epoch, resolution = columns(keys)
        batch = {"real": self.store.take(self.rows[index], resolution)}
        words = [draws(self.seed, epoch, index, stream=stream) for stream in range(4)]
        if self.jitter:
            batch = jittered(batch, self.jitter, words[1], words[2])
        if self.flip:
            batch = mirrored(batch, words[0])
        made = [
            self.data.make(
                picture,
                torch.Generator().manual_seed(int(word >> np.uint64(1))),
                self.data.strength,
            )
            for picture, word in zip(batch["real"], words[3], strict=True)
        ]
        return batch | {"condition": torch.stack(made)}
