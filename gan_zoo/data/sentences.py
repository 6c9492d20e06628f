"""Sentences of a grammar, all of one length: data whose truth is known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from gan_zoo import chance
from gan_zoo.data.grammar import Grammar, read
from gan_zoo.data.pictures import data_error
from gan_zoo.data.text import Corpus, Text
from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import WORDS, Vocabulary

GRAMMARS = Path(__file__).parent / "grammars"


class Sentences(Text):
    """`size` sentences of exactly `resolution` words (less start and end), drawn by the seed from a grammar.

    grammar: a name in gan_zoo/data/grammars (english.cfg, english.pcfg), or a file of one's own, see
    gan_zoo.data.grammar.read. held_out: sentences of a second, independent draw; both parts may share some.
    """

    def __init__(self, *, grammar: str, size: PositiveInt, held_out: PositiveInt, **text: Any) -> None:
        super().__init__(**text)
        if (self.level, self.lower, self.crop) != ("word", False, "start"):
            raise ConfigError(
                f"data={self.name} is made of a grammar's words: data.level must be word, data.lower false and data.crop start"
            )
        self.file, self.size, self.held_out = grammar, size, held_out
        self._grammar: Grammar | None = None

    @property
    def grammar(self) -> Grammar:
        if self._grammar is None:
            self._grammar = read(self._path())
        return self._grammar

    def _path(self) -> Path:
        places = [Path(self.file).expanduser(), GRAMMARS / self.file]
        for place in places:
            if place.is_file():
                return place
        names = ", ".join(sorted(path.name for path in GRAMMARS.iterdir()))
        raise data_error(places[0], f"there is no such grammar; give a file, or one of {names}")

    @property
    def words(self) -> int:
        """Words of a sentence."""
        return self.resolution - (2 if self.boundaries else 0)

    def load(self) -> Corpus:
        seeds = (chance.mix(self.seed, "sentences", part) for part in ("train", "held out"))
        return Corpus(*(
            [" ".join(words) for words in self.grammar.draw(count, self.words, seed)]
            for count, seed in zip((self.size, self.held_out), seeds, strict=True)
        ))  # fmt: skip

    def count(self) -> Vocabulary:
        """Every word of the grammar, the most frequent first."""
        counts = dict.fromkeys(self.grammar.words, 0)
        lines = self.corpus.train
        for index in range(len(lines)):
            for word in WORDS.split(lines[index]):
                counts[word] += 1
        needed = len(counts) + (4 if self.boundaries else 2)
        if needed > self.channels:
            raise ConfigError(
                f"data.channels={self.channels} came, {self.file} has {len(counts)} words; set data.channels={needed}"
            )
        return Vocabulary.counted(counts, self.channels, WORDS, self.boundaries)
