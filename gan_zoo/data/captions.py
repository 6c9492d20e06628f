"""Pictures with captions: words and characters as numbers, which caption goes with which picture and which mismatches it."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PositiveInt
from torch import Tensor

from gan_zoo.data.caption_embeddings import read_embeddings
from gan_zoo.data.image_data import ImageData, Rows
from gan_zoo.data.pyramid import Store, columns, draws, shrink
from gan_zoo.data.stream import BatchDataset, Key
from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import (
    ALPHABET,
    CAPTION_CHARACTERS,
    CAPTION_WORDS,
    Vocabulary,
    storable,
    words_of,
)

Words = npt.NDArray[np.uint64]
CHARACTERS = 201  # Reed et al. 2016


@dataclass(frozen=True)
class CaptionTable:
    """The captions of all rows, one after the other: those of row r are starts[r] ... starts[r + 1] - 1.

    tokens: int16 [captions, L]. embedding: float [captions, E], or None.
    """

    texts: list[str]
    starts: Rows
    tokens: Tensor
    embedding: Tensor | None = None
    numbers: Rows = field(init=False, repr=False)  # equal captions have equal numbers

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        numbers = [seen.setdefault(" ".join(words_of(text)), len(seen)) for text in self.texts]
        object.__setattr__(self, "numbers", np.array(numbers, dtype=np.int64))

    def counts(self, rows: Rows) -> Rows:
        return self.starts[rows + 1] - self.starts[rows]

    def pick(self, rows: Rows, words: Words) -> Rows:
        """One caption of each row, by a random word each: indices into the table."""
        return self.starts[rows] + (words % self.counts(rows).view(np.uint64)).astype(np.int64)

    def said_of(self, rows: Rows, captions: Rows) -> npt.NDArray[np.bool_]:
        """Whether each caption is, word for word, one of its row's own."""
        most = int(self.counts(rows).max())
        own = self.starts[rows][:, None] + np.minimum(np.arange(most), self.counts(rows)[:, None] - 1)
        return (self.numbers[own] == self.numbers[captions][:, None]).any(1)


# Streams of `draws`: 0 mirrors, 1 and 2 crop, 8 ... choose captions, 2**10 ... mismatches.
_CROP, _CAPTION, _OTHER = 1, 8, 2**10
_TRIES = 16


class CaptionedPictures:
    """Rows of a store with one caption each and one that mismatches, as a data set of whole batches.

    rows: int64 [items]. classes: class of every *row*, or None. averaged: how many captions the embedding is the mean of,
    drawn with replacement (Reed et al. 2016: 4). flip: mirror with probability 1/2. crop: side of the random square that is
    cut out, in pixels of the store; None takes all. centred: it is cut out of the middle.
    must_mismatch: otherwise a set of which nothing mismatches is given without mismatches, and not refused.
    """

    def __init__(
        self,
        store: Store,
        rows: Rows,
        table: CaptionTable,
        classes: Rows | None,
        *,
        averaged: int = 1,
        flip: bool = False,
        crop: int | None = None,
        centred: bool = False,
        must_mismatch: bool = True,
        seed: int = 0,
    ) -> None:
        self.store, self.rows, self.table, self.classes = store, rows, table, classes
        self.averaged, self.flip, self.crop, self.centred, self.seed = averaged, flip, crop, centred, seed
        labels = np.zeros(len(rows), np.int64) if classes is None else classes[rows]
        self.present, group = np.unique(labels, return_inverse=True)  # classes that there are
        self.members = np.argsort(group, kind="stable")  # items sorted by class
        self.sizes = np.bincount(group)
        self.begins = np.cumsum(self.sizes) - self.sizes
        self.group = group
        texts = table.numbers[np.concatenate([np.arange(*table.starts[r : r + 2]) for r in rows])]
        self.mismatches = len(rows) > 1 and bool((texts != texts[0]).any())
        if must_mismatch and not self.mismatches:
            raise ConfigError(
                f"a mismatching caption needs two pictures that are described differently; there are {len(rows)} pictures "
                f"with {len(np.unique(texts))} different captions"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        """real, tokens, embedding, class, mismatch_tokens and mismatch_embedding, see the module's `conf/data`."""
        index, epoch, resolution = columns(keys)
        rows = self.rows[index]
        batch = {"real": self._pictures(rows, index, epoch, resolution)}
        classes = np.full(len(rows), -1) if self.classes is None else self.classes[rows]
        batch["class"] = torch.from_numpy(classes.astype(np.int64))
        chosen = self._captions(rows, index, epoch, _CAPTION)
        batch["tokens"] = self._tokens(chosen[:, 0])
        if self.table.embedding is not None:
            batch["embedding"] = self._embedding(chosen)
        return {**batch, **self._mismatches(index, epoch)} if self.mismatches else batch

    def _mismatches(self, index: Rows, epoch: Rows) -> dict[str, Tensor]:
        other, mismatch = self.mismatch(index, epoch)
        batch = {"mismatch_tokens": self._tokens(mismatch)}
        if self.table.embedding is not None:
            others = self._captions(self.rows[other], index, epoch, _OTHER // 2)
            others[:, 0] = mismatch
            batch["mismatch_embedding"] = self._embedding(others)
        return batch

    def _pictures(self, rows: Rows, index: Rows, epoch: Rows, resolution: int) -> Tensor:
        whole = self.crop is None
        pictures = self.store.take(rows, resolution) if whole else self._cut(rows, index, epoch, resolution)
        if self.flip:
            chosen = torch.from_numpy(
                np.flatnonzero(draws(self.seed, epoch, index, stream=0) >> np.uint64(63))
            )
            pictures[chosen] = pictures[chosen].flip(-1)
        return pictures

    def _cut(self, rows: Rows, index: Rows, epoch: Rows, resolution: int) -> Tensor:
        """A square of each picture, where (seed, epoch, index) say."""
        side = self.crop or self.store.resolution
        room = self.store.resolution - side
        corners = np.full((2, len(rows)), room // 2)
        if not self.centred:
            words = np.stack([draws(self.seed, epoch, index, stream=_CROP + axis) for axis in (0, 1)])
            corners = (words % np.uint64(room + 1)).astype(np.int64)
        whole = self.store.take(rows, self.store.resolution)
        cut = [
            picture[:, y : y + side, x : x + side]
            for picture, (y, x) in zip(whole, corners.T.tolist(), strict=True)
        ]
        return shrink(torch.stack(cut), resolution)

    def _captions(self, rows: Rows, index: Rows, epoch: Rows, stream: int) -> Rows:
        """`averaged` captions of each row, [N, averaged]; the first is the one whose words are shown."""
        chosen = [
            self.table.pick(rows, draws(self.seed, epoch, index, stream=stream + k))
            for k in range(self.averaged)
        ]
        return np.stack(chosen, 1)

    def mismatch(self, index: Rows, epoch: Rows) -> tuple[Rows, Rows]:
        """(item, caption) that does not describe each item: of another class drawn uniformly, where there are classes, and
        never, word for word, one of the item's own captions."""
        item, caption = np.empty_like(index), np.empty_like(index)
        left = np.arange(len(index))
        for attempt in range(_TRIES):
            words = [draws(self.seed, epoch[left], index[left], _OTHER + 4 * attempt + k) for k in range(3)]
            item[left] = self._other(index[left], words[0], words[1])
            caption[left] = self.table.pick(self.rows[item[left]], words[2])
            left = left[self.table.said_of(self.rows[index[left]], caption[left])]
            if not len(left):
                return item, caption
        for position in left:  # captions that nearly all pictures share: the next item that has another
            item[position], caption[position] = self._next(int(index[position]))
        return item, caption

    def _other(self, index: Rows, first: Words, second: Words) -> Rows:
        """An item of another class, every class equally likely; without classes any other item."""
        if len(self.present) < 2:
            return (index + 1 + (first % np.uint64(len(self.rows) - 1)).astype(np.int64)) % len(self.rows)
        group = (first % np.uint64(len(self.present) - 1)).astype(np.int64)
        group += group >= self.group[index]
        return self.members[
            self.begins[group] + (second % self.sizes[group].view(np.uint64)).astype(np.int64)
        ]

    def _next(self, index: int) -> tuple[int, int]:
        own = self.rows[[index]]
        for step in range(1, len(self.rows)):
            item = (index + step) % len(self.rows)
            for caption in range(*self.table.starts[self.rows[item] : self.rows[item] + 2]):
                if not self.table.said_of(own, np.array([caption]))[0]:
                    return item, caption
        raise ConfigError(f"no caption of the data mismatches item {index}: all pictures are described alike")

    def _tokens(self, captions: Rows) -> Tensor:
        return self.table.tokens[torch.from_numpy(captions)]

    def _embedding(self, captions: Rows) -> Tensor:
        assert self.table.embedding is not None  # asked by the caller
        return self.table.embedding[torch.from_numpy(captions)].float().mean(1)


class CaptionData(ImageData):
    """Base of pictures with captions: a subclass reads pictures in `load` and says in `texts_of` what is said of each row.

    unit: words or characters. caption_length: units a caption is cut or padded to; None takes what the longest needs
    (201 characters). captions_averaged: captions whose embeddings are averaged. sampling: "items" gives every picture once an
    epoch, "classes" draws the class uniformly and then a picture of it, as Reed et al. 2016 do.
    embeddings: file of embeddings of the captions (gan_zoo.data.caption_embeddings), or None.
    """

    MODALITY = "captioned"

    def __init__(
        self,
        *,
        unit: Literal["word", "character"],
        caption_length: PositiveInt | None,
        captions_averaged: PositiveInt,
        sampling: Literal["items", "classes"],
        embeddings: str | None,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if unit not in ("word", "character"):
            raise ConfigError(f"data.unit must be word or character, got {unit!r}")
        if sampling not in ("items", "classes"):
            raise ConfigError(f"data.sampling must be items or classes, got {sampling!r}")
        if sampling == "classes" and not self.classes:
            raise ConfigError(
                f"data.sampling=classes needs classes, {self.name} has none: set data.sampling=items"
            )
        if caption_length is not None and caption_length < 1:
            raise ConfigError(f"data.caption_length must be at least 1, got {caption_length}")
        self.unit, self._caption_length = unit, caption_length
        self.captions_averaged, self.sampling, self.embeddings = captions_averaged, sampling, embeddings

    def prepare(self) -> None:
        super().prepare()
        if self.embeddings is not None:
            _ = self.table  # complains now about a file that is not of these captions

    @abstractmethod
    def texts_of(self) -> list[list[str]]:
        """The captions of every row of the store, at least one each."""

    def words(self) -> list[str]:
        """The words of the vocabulary; here those of the training captions, sorted."""
        texts = self.texts_of()
        counts = Counter(
            chain.from_iterable(words_of(text) for row in self.loaded.train for text in texts[row])
        )
        return sorted(counts)

    def longest(self) -> int:
        """Words of the longest caption."""
        return max(1, *(len(words_of(text)) for texts in self.texts_of() for text in texts))

    def class_names(self) -> list[str]:
        """What each class is called."""
        return [str(number) for number in range(self.classes)]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The characters of Reed et al. by their numbers, or `words`, of which very long ones are left out."""
        if self.unit == "character":
            return Vocabulary(ALPHABET, CAPTION_CHARACTERS)
        return Vocabulary(list(filter(storable, self.words())), CAPTION_WORDS)

    @cached_property
    def caption_length(self) -> int:
        if self._caption_length is not None:
            return self._caption_length
        return CHARACTERS if self.unit == "character" else self.longest()

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Captions as int16 [N, caption_length]."""
        return self.vocabulary.tokens(captions, self.caption_length)

    def decode(self, tokens: Tensor) -> list[str]:
        return self.vocabulary.lines(tokens)

    @cached_property
    def table(self) -> CaptionTable:
        """All captions of all rows."""
        texts = self.texts_of()
        flat = [text for row in texts for text in row]
        starts = np.cumsum([0, *map(len, texts)]).astype(np.int64)
        return CaptionTable(flat, starts, self.encode(flat), self.embedded(flat))

    def embedded(self, texts: list[str]) -> Tensor | None:
        """float [captions, E] of all captions in order; None where none were computed."""
        return None if self.embeddings is None else read_embeddings(self.embeddings, texts)[0]

    def captioned(self, rows: Rows, **how: Any) -> CaptionedPictures:
        labels = self.loaded.labels
        return CaptionedPictures(
            self.loaded.store,
            rows,
            self.table,
            None if labels is None else labels.numpy(),
            averaged=self.captions_averaged,
            **how,
        )

    def train_set(self) -> BatchDataset:
        return self.captioned(self.loaded.train, flip=self.flip, seed=self.seed)

    def held_out_set(self) -> BatchDataset:
        return self.captioned(self.loaded.held_out, must_mismatch=False)

    def _item_weights(self) -> Tensor | None:
        labels = self.conditions()
        if self.sampling == "items" or labels is None:
            return super()._item_weights()
        if self.class_weights is not None:
            raise ConfigError(
                "data.sampling=classes draws every class equally often; set data.class_weights to null"
            )
        return (1 / torch.bincount(labels).double().clamp_min(1))[labels]
