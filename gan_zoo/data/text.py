"""Lines of text as token ids: the English of Python's manual, files of one's own, the One Billion Word benchmark."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from gan_zoo import chance
from gan_zoo.data.folders import files_below
from gan_zoo.data.pictures import data_error
from gan_zoo.data.stream import DataModule, Key
from gan_zoo.data.text_files import FileLines, Lines, Some
from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import CHARACTERS, END, PAD, START, WORDS, Vocabulary

Level = Literal["character", "word"]
Crop = Literal["start", "random"]
Attribute = Literal["none", "question"]
COUNTED = 1_000_000  # lines at most that the vocabulary is counted on, evenly spread
SPELLINGS = {"character": CHARACTERS, "word": WORDS}


class Corpus(NamedTuple):
    """Lines to train with and lines held out."""

    train: Lines
    held_out: Lines


class Text(DataModule):
    """Base of sets of lines: int16 token ids [N, resolution] on the wire, `channels` different ones at most.

    level: what a token is. lower: case is folded. boundaries: lines begin and end with tokens of their own. crop:
    which part of a line that is too long: its start, or (a function of seed, epoch and index) a part that begins with
    a word; shorter lines are padded. parts: items that are made of each line, which differ where crop is random.
    attribute: what the class says of a whole line, `question`: it ends with a question mark; data.classes is 2 then
    and 0 otherwise.
    """

    def __init__(
        self,
        *,
        level: Level,
        lower: bool,
        boundaries: bool,
        crop: Crop,
        parts: PositiveInt = 1,
        attribute: Attribute,
        resolution: int,
        channels: int,
        classes: int,
        modality: str,
        **stream: Any,
    ) -> None:
        super().__init__(
            resolution=resolution, channels=channels, classes=classes, modality=modality, **stream
        )
        if modality != "text":
            raise ConfigError(f"{type(self).__name__} holds text: data.modality must be text, got {modality}")
        if not 5 <= channels < 2**15:
            raise ConfigError(f"data.channels counts token ids: 5 to {2**15 - 1}, got {channels}")
        if self.flip:
            raise ConfigError(f"data={self.name} holds no pictures to mirror; set data.flip=false")
        if parts > 1 and crop == "start":
            raise ConfigError(
                f"data.parts={parts} came, but with data.crop=start all parts of a line are one; set it to 1"
            )
        if (classes, attribute) not in ((0, "none"), (2, "question")):
            raise ConfigError(
                f"data.attribute={attribute} and data.classes={classes} do not go together; "
                "take question and 2, or none and 0"
            )
        self.level, self.lower, self.boundaries = level, lower, boundaries
        self.crop, self.parts, self.attribute = crop, parts, attribute
        self._corpus: Corpus | None = None
        self._vocabulary: Vocabulary | None = None
        self._conditions: Tensor | None = None

    @abstractmethod
    def load(self) -> Corpus:
        """Finds the lines; DataError names the file, what was wanted and the remedy."""

    @property
    def corpus(self) -> Corpus:
        if self._corpus is None:
            self._corpus = self.load()
        return self._corpus

    @property
    def vocabulary(self) -> Vocabulary:
        """Counted on the training lines alone."""
        if self._vocabulary is None:
            self._vocabulary = self.count()
        return self._vocabulary

    def count(self) -> Vocabulary:
        lines, counts = self.corpus.train, Counter[str]()
        spelling = SPELLINGS[self.level]
        for index in spread(len(lines), min(len(lines), COUNTED)):
            counts.update(spelling.split(self.folded(lines[int(index)])))
        return Vocabulary.counted(counts, self.channels, spelling, self.boundaries)

    def prepare(self) -> None:
        _ = self.vocabulary  # reads everything, and complains now

    def folded(self, line: str) -> str:
        return line.lower() if self.lower else line

    def asks(self, line: str) -> int:
        return int(line.rstrip().endswith("?"))

    def train_set(self) -> TextSet:
        return TextSet(self, self.corpus.train)

    def held_out_set(self) -> TextSet:
        return TextSet(self, self.corpus.held_out)

    def conditions(self) -> Tensor | None:
        if not self.classes:
            return None
        if self._conditions is None:
            lines = self.corpus.train
            asked = [self.asks(lines[i]) for i in range(len(lines))]
            self._conditions = torch.tensor(asked * self.parts)
        return self._conditions

    def decode(self, ids: Tensor) -> list[str]:
        """Lines of token ids [N, L]."""
        return self.vocabulary.lines(ids)


class TextSet:
    """Lines of a Text as a data set of whole batches. Item i is of line i mod the number of lines."""

    def __init__(self, source: Text, lines: Lines) -> None:
        self.source, self.lines = source, lines
        self.vocabulary, self.length = source.vocabulary, source.resolution

    def __len__(self) -> int:
        return len(self.lines) * self.source.parts

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        """real: int16 [N, resolution]; condition: int64 [N], where there is an attribute. Resolution is ignored."""
        lines = [self.lines[index % len(self.lines)] for index, _, _ in keys]
        ids = np.full((len(keys), self.length), PAD, np.int16)
        for row, line, (index, epoch, _) in zip(ids, lines, keys, strict=True):
            part = self.part(self.source.folded(line), index, epoch)
            row[: len(part)] = part
        batch = {"real": torch.from_numpy(ids)}
        if self.source.classes:
            batch["condition"] = torch.tensor([self.source.asks(line) for line in lines])
        return batch

    def part(self, line: str, index: int, epoch: int) -> list[int]:
        """At most `length` token ids of a line."""
        symbols = self.vocabulary.spelling.split(line)
        begin, end = 0, len(symbols)
        edges = 2 if self.source.boundaries else 0
        if self.source.crop == "random" and end + edges > self.length:
            begin = self._word(symbols, end + edges - self.length, index, epoch)
        ids = self.vocabulary.encode(symbols[begin : begin + self.length])
        if edges:
            ids = [START] * (begin == 0) + ids
            ids += [END] * (begin + self.length >= end)
        return ids[: self.length]

    def _word(self, symbols: Sequence[str], latest: int, index: int, epoch: int) -> int:
        """Where a word begins, not after `latest`."""
        words = self.vocabulary.spelling == WORDS  # not `is`: workers get copies
        begins = [i for i in range(1, latest + 1) if words or symbols[i - 1] == " "]
        number = chance.mix(self.source.seed, "crop", epoch, index) % (len(begins) + 1)
        return [0, *begins][number]


def spread(size: int, count: int) -> npt.NDArray[np.int64]:
    """`count` of the numbers below `size`, evenly spread; no chance in it."""
    return (2 * np.arange(count, dtype=np.int64) + 1) * size // (2 * max(1, count))


def split(lines: Lines, share: float) -> Corpus:
    """`share` of the lines held out, at least one, evenly spread over them."""
    size = len(lines)
    held_out: npt.NDArray[np.int64] = spread(size, max(1, round(share * size)))
    if size < 2:
        raise ConfigError(f"{size} line of text cannot be split into training and held-out ones; give more")
    return Corpus(Some(lines, np.setdiff1d(np.arange(size), held_out)), Some(lines, held_out))


# ---- what there is ----------------------------------------------------------------------------------------------


def sentences_of_the_manual() -> list[str]:
    """Sentences of pydoc_data's topics, each once, in the order of the manual; code, tables and headings are left out.

    They differ a little between versions of Python.
    """
    from pydoc_data.topics import topics

    found = (sentence for name in sorted(topics) for sentence in _sentences(topics[name]))
    return list(dict.fromkeys(found))


def _sentences(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        paragraph = " ".join(block.split())
        if any(mark in paragraph for mark in (">>>", "::=", "| ", "+--", "***", "---", "===")):
            continue
        paragraph = re.sub(r"^(?:[*•-]|\d+\.) +", "", paragraph)
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph):
            if re.fullmatch(r"[A-Z].{18,}[.!?]", sentence):
                yield sentence


class PythonManual(Text):
    """The English of Python's own manual, which ships with Python as pydoc_data: some 2,000 sentences.

    held_out: share of the sentences, evenly spread.
    """

    def __init__(self, *, held_out: Annotated[float, Field(gt=0, lt=1)], **text: Any) -> None:
        super().__init__(**text)
        self.held_out = held_out

    def load(self) -> Corpus:
        return split(sentences_of_the_manual(), self.held_out)


class _FromFiles(Text):
    """Lines of files. longest, most, on_error: see FileLines."""

    def __init__(
        self,
        *,
        longest: PositiveInt,
        most: PositiveInt | None,
        on_error: Literal["raise", "skip"],
        **text: Any,
    ) -> None:
        super().__init__(**text)
        self.longest, self.most, self.on_error = longest, most, on_error

    def read(self, files: list[Path], most: int | None = None) -> FileLines:
        return FileLines(files, longest=self.longest, most=most, on_error=self.on_error)

    def place(self, wanted: str) -> Path:
        if self.root is None:
            raise ConfigError(f"data={self.name} reads files: set data.root=PLACE. {wanted}")
        root = Path(self.root).expanduser()
        if not root.exists():
            raise data_error(root, f"is not there. {wanted}")
        if self.download:
            raise ConfigError(
                f"{self.name} cannot be downloaded by this program; set data.download=false. {wanted}"
            )
        return root


class TextFiles(_FromFiles):
    """Any text file, or folder of files that match `pattern`, one sentence a line. held_out: share, evenly spread."""

    WANTED = "It is a UTF-8 text file, or a folder of such files, one sentence a line."

    def __init__(self, *, pattern: str, held_out: Annotated[float, Field(gt=0, lt=1)], **text: Any) -> None:
        super().__init__(**text)
        self.pattern, self.held_out = pattern, held_out

    def load(self) -> Corpus:
        root = self.place(self.WANTED)
        files = [root] if root.is_file() else _matching(root, self.pattern)
        if not files:
            raise data_error(root, f"holds no file that matches data.pattern={self.pattern}. {self.WANTED}")
        return split(self.read(files, self.most), self.held_out)


class OneBillionWords(_FromFiles):
    """The One Billion Word benchmark in its own layout (Chelba et al. 2013): 99 shards to train with, 50 held out.

    Its words are separated by spaces. most: lines to train with, 10 million in Gulrajani et al. 2017; null: all 30
    million. held_out: shards of the held-out folder.
    """

    FOLDERS = (
        "training-monolingual.tokenized.shuffled",
        "heldout-monolingual.tokenized.shuffled",
    )
    PATTERNS = ("news.en-*-of-*", "news.en.heldout-*-of-*")
    WANTED = (
        "It holds the folders training-monolingual.tokenized.shuffled and heldout-monolingual.tokenized.shuffled of "
        "1-billion-word-language-modeling-benchmark-r13output.tar.gz (statmt.org/lm-benchmark)."
    )

    def __init__(self, *, held_out: PositiveInt, **text: Any) -> None:
        super().__init__(**text)
        self.held_out = held_out

    def load(self) -> Corpus:
        root = self.place(self.WANTED)
        train, held_out = (
            self._shards(root / folder, pattern)
            for folder, pattern in zip(self.FOLDERS, self.PATTERNS, strict=True)
        )
        return Corpus(self.read(train, self.most), self.read(held_out[: self.held_out]))

    def _shards(self, folder: Path, pattern: str) -> list[Path]:
        files = _matching(folder, pattern) if folder.is_dir() else []
        if not files:
            raise data_error(folder, f"holds no shard {pattern}. {self.WANTED}")
        return files


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Regular files below a folder by name, sorted; hidden ones are left out, links followed."""
    return sorted(path for path in files_below(folder) if path.match(pattern))
