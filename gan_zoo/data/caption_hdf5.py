"""Captioned pictures in one HDF5 file, in the layout that ports of Reed et al. share: read and written.

A group a split (train, valid, test), in it a group a caption: `img`, the bytes of a picture file; `txt`, the caption; `class` and
`name`, strings; `embeddings`, [E]. Captions of one `name` belong to one picture, whose bytes are stored with each.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_zoo.data.caption_embeddings import hdf5
from gan_zoo.data.caption_files import CaptionFiles
from gan_zoo.data.captions import CaptionData
from gan_zoo.data.drawn import in_chunks, on_disk
from gan_zoo.data.image_data import Loaded
from gan_zoo.data.picture_cache import cache_parent
from gan_zoo.data.pictures import data_error
from gan_zoo.data.pyramid import MappedPictures
from gan_zoo.data.stream import BatchDataset
from gan_zoo.schema import ConfigError, DataError


class Entry(NamedTuple):
    """One picture of the file: the path of a group that has its bytes, and what its captions' groups hold."""

    group: str
    split: str
    label: str
    captions: list[str]
    embeddings: list[np.ndarray]


class CaptionHDF5(CaptionFiles):
    """data.root=FILE.h5: pictures of the group `train` to train with, those of `held_out_split` held out."""

    def __init__(self, *, held_out_split: Literal["test", "valid"], **files: Any) -> None:
        super().__init__(**files)
        if held_out_split not in ("test", "valid"):
            raise ConfigError(f"data.held_out_split must be test or valid, got {held_out_split!r}")
        if self.on_error != "raise":
            raise ConfigError(
                f"{self.name} is one file, all of which must be good: data.on_error must be raise"
            )
        self.held_out_split = held_out_split
        self.found: list[Tensor] = []  # the file's own embeddings, of each row

    def layout(self) -> str:
        return (
            f"Expected data.root=FILE.h5 with groups train and {self.held_out_split}, in each one group a caption with img (the bytes "
            "of a picture file) and txt, and where there are some class, name and embeddings"
        )

    def file(self) -> Path:
        if self.root is None:
            raise ConfigError(f"data={self.name} reads a file: set data.root=FILE.h5. {self.layout()}")
        path = Path(self.root).expanduser()
        if not path.is_file():
            raise data_error(path, f"there is no such file. {self.layout()}")
        return path

    def load(self) -> Loaded:
        path = self.file()
        entries = self._entries(path)
        parts = np.array([entry.split for entry in entries])
        for split in ("train", self.held_out_split):
            if not (parts == split).any():
                raise data_error(path, f"has no picture in the group {split}. {self.layout()}")
        self.texts = [entry.captions for entry in entries]
        if len(sizes := {vector.size for entry in entries for vector in entry.embeddings}) > 1:
            raise data_error(
                path, f"has embeddings of {len(sizes)} sizes: {sorted(sizes)[:4]}; one is wanted"
            )
        self.found = [torch.from_numpy(np.stack(entry.embeddings)) for entry in entries if entry.embeddings]
        if len(self.found) not in (0, len(entries)):
            raise data_error(
                path,
                f"has embeddings for {len(self.found)} of {len(entries)} pictures; all or none are wanted",
            )
        labels = self.labels_of([entry.label for entry in entries])
        pictures = self._pictures(path, [entry.group for entry in entries])
        train, held_out = (np.flatnonzero(parts == split) for split in ("train", self.held_out_split))
        return Loaded(pictures, train, held_out, self.labelled(labels, len(self.names)))

    def unseen_set(self) -> BatchDataset:
        return self.held_out_set()

    def embedded(self, texts: list[str]) -> Tensor | None:
        if self.embeddings is not None or not self.found:
            return super().embedded(texts)
        return torch.cat(self.found).float()

    def _entries(self, path: Path) -> list[Entry]:
        try:
            with hdf5().File(path, "r") as file:
                splits = [split for split in ("train", self.held_out_split) if split in file]
                found: dict[tuple[str, str], Entry] = {}
                for split in splits:
                    for key in sorted(file[split]):
                        _gather(found, path, split, key, file[split][key])
                return list(found.values())
        except (DataError, ConfigError):
            raise
        except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... on damaged files
            raise data_error(path, f"cannot be read as HDF5 ({error}). {self.layout()}") from error

    def _pictures(self, path: Path, groups: list[str]) -> MappedPictures:
        """Decoded once into a folder beside the file."""
        status, reading = path.stat(), self.reading()
        known = repr((path.name, status.st_size, status.st_mtime_ns, asdict(reading), self.held_out_split))
        name = f"{path.stem}-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
        shape = (len(groups), self.channels, self.kept, self.kept)

        def chunks() -> Iterator[Tensor]:
            with hdf5().File(path, "r") as file:
                for rows in in_chunks(len(groups), self.kept, "pictures of one file"):
                    yield torch.from_numpy(
                        np.stack(
                            [
                                reading.of_bytes(_content(file[groups[row]]["img"]), path / groups[row])
                                for row in rows
                            ]
                        )
                    )

        return on_disk(cache_parent(path, self.cache) / name, shape, chunks, f"pictures of {path.name}")


def _gather(found: dict[tuple[str, str], Entry], path: Path, split: str, key: str, group: Any) -> None:
    """Adds one caption's group to the picture that it belongs to."""
    place = path / split / key
    if not isinstance(group, Mapping) or "img" not in group or "txt" not in group:
        raise data_error(place, "is no group with img and txt")
    caption = " ".join(_text(group["txt"]).split())
    if not caption:
        raise data_error(place, "has an empty caption")
    name = _text(group["name"]) if "name" in group else key
    label = _text(group["class"]) if "class" in group else ""
    entry = found.setdefault((split, name), Entry(f"{split}/{key}", split, label, [], []))
    if entry.label != label:
        raise data_error(
            place, f"says that {name} is of the class {label!r}, another caption says {entry.label!r}"
        )
    entry.captions.append(caption)
    if "embeddings" in group:
        entry.embeddings.append(np.asarray(group["embeddings"][()], np.float32).reshape(-1))
    if entry.embeddings and len(entry.embeddings) != len(entry.captions):
        raise data_error(place, f"{name} has embeddings for some captions only")


def _text(data: Any) -> str:
    value = data[()]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _content(data: Any) -> bytes:
    value = data[()]
    return value.tobytes() if hasattr(value, "tobytes") else bytes(value)


def write_captions(
    path: str | Path,
    data: CaptionData,
    embedding: Tensor | None = None,
    said: Mapping[str, str] | None = None,
) -> None:
    """All training and held-out pictures of a data set as one such file: PNG bytes, captions, classes and embeddings.

    embedding: [captions, E] in the order of data.table.texts; None: the data's own, if it has any. said: whose they are, kept as
    attributes of the file. Held-out pictures go to `test`. Whole or not at all.
    """
    path = Path(path).expanduser()
    embedding = data.table.embedding if embedding is None else embedding
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix="unfinished-", dir=path.parent)
    os.close(handle)
    try:
        with hdf5().File(unfinished, "w") as file:
            file.attrs.update(said or {})
            for split, rows in (("train", data.loaded.train), ("test", data.loaded.held_out)):
                group = file.create_group(split)
                for row in rows.tolist():
                    _write_row(group, data, row, embedding)
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _write_row(group: Any, data: CaptionData, row: int, embedding: Tensor | None) -> None:
    table, labels = data.table, data.loaded.labels
    picture = data.loaded.store.take(np.array([row]), data.loaded.store.resolution)[0]
    content = io.BytesIO()
    pixels = picture.permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if len(picture) == 1 else pixels).save(content, "PNG")
    name = f"{row:07d}"
    for which, caption in enumerate(range(*table.starts[row : row + 2].tolist())):
        entry = group.create_group(f"{name}_{which}")
        entry["name"], entry["txt"] = name, table.texts[caption]
        entry["img"] = np.void(content.getvalue())
        if labels is not None:
            entry["class"] = data.class_names()[int(labels[row])]
        if embedding is not None:
            entry["embeddings"] = embedding[caption].numpy()
