"""What all data of picture pairs share: what they declare, and batches that are mirrored and jittered together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo.data.image_data import Rows
from gan_zoo.data.pyramid import columns, draws
from gan_zoo.data.stream import DataModule, Key
from gan_zoo.schema import ConfigError


class PairStore(Protocol):
    """Where pairs lie. take: the rows at that many pixels of height, as a batch on the wire, new tensors."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows, resolution: int) -> dict[str, Tensor]: ...


class Pairs:
    """The rows of a store as a data set of whole batches.

    real: uint8 [N, C, H, W], the picture to make. condition: uint8 [N, C', H, W], a picture, or uint8 [N, H, W], class
    ids. instances: int32 [N, H, W], where the data have them. flip mirrors an item with probability 1/2; jitter enlarges
    it by that share and cuts a place of the old size out of it. Both are the same for all of an item, and functions of
    (seed, epoch, index) alone.
    """

    def __init__(
        self, store: PairStore, rows: Rows, *, flip: bool = False, jitter: float = 0.0, seed: int = 0
    ) -> None:
        self.store, self.rows, self.flip, self.jitter, self.seed = store, rows, flip, jitter, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        index, epoch, resolution = columns(keys)
        batch = self.store.take(self.rows[index], resolution)
        if self.jitter:
            batch = jittered(
                batch,
                self.jitter,
                draws(self.seed, epoch, index, stream=1),
                draws(self.seed, epoch, index, stream=2),
            )
        if self.flip:
            batch = mirrored(batch, draws(self.seed, epoch, index, stream=0))
        return batch


def mirrored(batch: dict[str, Tensor], words: np.ndarray[Any, np.dtype[np.uint64]]) -> dict[str, Tensor]:
    """Those items left to right whose word has its highest bit set."""
    chosen = torch.from_numpy(np.flatnonzero(words >> np.uint64(63)))
    turned = {key: value.clone() for key, value in batch.items()}
    for value in turned.values():
        value[chosen] = value[chosen].flip(-1)
    return turned


def jittered(
    batch: dict[str, Tensor],
    share: float,
    down: np.ndarray[Any, np.dtype[np.uint64]],
    right: np.ndarray[Any, np.dtype[np.uint64]],
) -> dict[str, Tensor]:
    """Every item enlarged by `share` and cut back to its size, all places alike (Isola et al. 2017: 256 -> 286 -> 256).

    Pictures are enlarged smoothly (bicubic), ids by the nearest. down, right: a 64-bit word an item each.
    """
    height, width = batch["real"].shape[-2:]
    large = round(height * (1 + share)), round(width * (1 + share))
    top = (down % np.uint64(large[0] - height + 1)).astype(np.int64).tolist()
    left = (right % np.uint64(large[1] - width + 1)).astype(np.int64).tolist()
    places = list(zip(top, left, strict=True))
    return {
        key: torch.stack(
            [
                item[..., y : y + height, x : x + width]
                for item, (y, x) in zip(_enlarged(value, large), places, strict=True)
            ]
        )
        for key, value in batch.items()
    }


def _enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
    if values.dim() == 4:
        smooth = F.interpolate(values.float(), size=size, mode="bicubic", antialias=True)
        return smooth.round().clamp(0, 255).to(torch.uint8)
    return F.interpolate(values[:, None].double(), size=size, mode="nearest-exact")[:, 0].to(values.dtype)


class PairData(DataModule):
    """Base of data of pairs: a picture to make and what to make it from.

    resolution is the height and width the width in pixels (null: square). input_channels: those of the picture to make it
    from; 0 where that is a map of class ids, of which there are then `classes`. instances: batches hold the map of
    instance ids. jitter: a share, 0.1171875 for 256 -> 286.
    """

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        width: PositiveInt | None,
        channels: int,
        input_channels: NonNegativeInt,
        classes: NonNegativeInt,
        instances: bool,
        jitter: NonNegativeFloat,
        modality: str,
        **stream: Any,
    ) -> None:
        super().__init__(
            resolution=resolution, channels=channels, classes=classes, modality=modality, **stream
        )
        if modality != "pair":
            raise ConfigError(
                f"{type(self).__name__} holds pairs of pictures: data.modality must be pair, got {modality}"
            )
        if channels not in (1, 3):
            raise ConfigError(f"data.channels must be 1 (grey) or 3 (RGB), got {channels}")
        if input_channels not in (0, 1, 3, 4):
            raise ConfigError(
                f"data.input_channels must be 1 (grey), 3 (RGB), 4 (RGB and a mask) or 0 (class ids), got {input_channels}"
            )
        if (input_channels == 0) != (classes > 0):
            raise ConfigError(
                f"class ids need data.input_channels=0 and data.classes > 0, pictures data.input_channels > 0 and "
                f"data.classes=0; got {input_channels} and {classes}"
            )
        if classes > 256:
            raise ConfigError(
                f"class ids are kept as bytes, so data.classes may be 256 at most, got {classes}"
            )
        if not 0 <= jitter <= 1:
            raise ConfigError(f"data.jitter is a share from 0 to 1, got {jitter}")
        self.width = width or resolution
        self.input_channels, self.instances, self.jitter = input_channels, instances, jitter

    def _plain(self) -> Self:
        plain = super()._plain()
        plain.jitter = 0.0
        return plain

    def width_at(self, resolution: int) -> int:
        """The width that goes with another height than the data's own."""
        return max(1, round(self.width * resolution / self.resolution))
