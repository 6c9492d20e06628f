"""What all data sets of single pictures share: rows of a store, labels, a split, one reading of the files."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_zoo.data.pictures import MODES, root_of
from gan_zoo.data.pyramid import MemoryPictures, Pictures, Store, enlarge, pad, with_channels
from gan_zoo.data.stream import BatchDataset, DataModule
from gan_zoo.schema import ConfigError

Rows = npt.NDArray[np.int64]
FITS: dict[str, Callable[[Tensor, int], Tensor]] = {"resize": enlarge, "pad": pad}


@dataclass(frozen=True)
class Loaded:
    """What a module has read: `train` and `held_out` are rows of the store; labels: class of every *row*."""

    store: Store
    train: Rows
    held_out: Rows
    labels: Tensor | None

    def labels_of(self, rows: Rows) -> Tensor | None:
        return None if self.labels is None else self.labels[torch.from_numpy(rows)]


def spread(labels: Rows, count: int) -> Rows:
    """`count` rows to hold out: each class in proportion (largest remainder), evenly spread over its rows.

    No random numbers, so that the split is the same everywhere and for ever: of a class with n rows of which
    h are held out, these are the rows of rank floor((i + 1/2) n / h), i = 0 ... h - 1. Returned in ascending
    order.
    """
    sizes = np.bincount(labels)
    exact = count * sizes / len(labels)
    shares = exact.astype(np.int64)
    missing = count - shares.sum()
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    parts = []
    for label, share in enumerate(shares):
        ranks = (2 * np.arange(share) + 1) * sizes[label] // (2 * max(1, share))
        parts.append(np.flatnonzero(labels == label)[ranks])
    return np.sort(np.concatenate(parts))


def none_held_out(name: str | None, pictures: int) -> ConfigError:
    """What is asked for by evaluation and was kept from training of so few pictures, or at a share of 0."""
    share = max(0.1, math.ceil(100 / max(2, pictures)) / 100)
    return ConfigError(
        f"no picture of {name} is held out; train again with data.held_out={share:g}, which keeps {round(share * pictures)} of "
        f"{pictures} from training"
    )


class ImageData(DataModule):
    """Base of data sets of single pictures: a subclass says in `load` what there is, once.

    classes: 0 gives the pictures without labels; otherwise it must be what the data have.
    """

    MODALITY = "image"

    def __init__(self, *, resolution: int, channels: int, modality: str, **stream: Any) -> None:
        super().__init__(resolution=resolution, channels=channels, modality=modality, **stream)
        if modality != self.MODALITY:
            raise ConfigError(
                f"{type(self).__name__} holds {'single ' if self.MODALITY == 'image' else 'captioned '}pictures: "
                f"data.modality must be {self.MODALITY}, got {modality}"
            )
        if channels not in MODES:
            raise ConfigError(f"data.channels must be 1 (grey), 3 (RGB) or 4 (RGBA), got {channels}")
        if resolution < 1:
            raise ConfigError(f"data.resolution must be at least 1, got {resolution}")
        self._loaded: Loaded | None = None

    @abstractmethod
    def load(self) -> Loaded:
        """Reads the files, whole; DataError names the file, the layout wanted and the remedy."""

    @property
    def loaded(self) -> Loaded:
        if self._loaded is None:
            self._loaded = self.load()
        return self._loaded

    def prepare(self) -> None:
        if self.download:
            self.fetch()
        _ = self.loaded  # reads everything, and complains now rather than in the tenth epoch

    def fetch(self) -> None:
        """Downloads the data set into `root`; asked for by data.download=true."""
        raise ConfigError(
            f"{self.name} cannot be downloaded by this program; set data.download=false. {self.layout()}"
        )

    def layout(self) -> str:
        """What `root` must hold, and where it comes from."""
        return ""

    def folder(self) -> Path:
        """`root` as a folder that exists."""
        return root_of(self.name, self.root, self.layout())

    def train_set(self) -> BatchDataset:
        data = self.loaded
        return Pictures(data.store, data.train, data.labels_of(data.train), flip=self.flip, seed=self.seed)

    def held_out_set(self) -> BatchDataset:
        data = self.loaded
        return Pictures(data.store, data.held_out, data.labels_of(data.held_out))

    def conditions(self) -> Tensor | None:
        return self.loaded.labels_of(self.loaded.train)

    def labelled(self, labels: Rows, classes: int) -> Tensor | None:
        """The labels as a tensor; None where data.classes is 0, ConfigError where it is another number."""
        if self.classes == 0:
            return None
        if self.classes != classes:
            raise ConfigError(
                f"{self.name} has {classes} classes, data.classes is {self.classes}; "
                f"set it to {classes}, or to 0 to leave the labels out"
            )
        return torch.from_numpy(labels)

    def in_memory(self, pictures: Tensor, fit: str = "resize") -> MemoryPictures:
        return MemoryPictures(with_channels(pictures, self.channels), self.resolution, FITS[fit])
