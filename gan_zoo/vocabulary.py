"""Words or characters by number, as they are stored with a model that reads or writes text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gan_zoo.schema import ConfigError

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
BYTES = 32  # of an entry in a model's buffer


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; punctuation is left out, a hyphen or apostrophe within a word stays."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """Entries numbered from 1; 0 is padding. Entries of one character each that hold the space make it one of characters."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.entries = list(entries)
        self.characters = " " in self.entries and all(len(entry) == 1 for entry in self.entries)
        self._number = {entry: number for number, entry in enumerate(self.entries, 1)}

    def __len__(self) -> int:
        return len(self.entries)

    def split(self, text: str) -> list[str]:
        return list(text.lower()) if self.characters else words_of(text)

    def unknown(self, text: str) -> list[str]:
        """The parts of a text that have no number, each once, in order."""
        return list(dict.fromkeys(part for part in self.split(text) if part not in self._number))

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """int16 [N, length]; unknown words are left out, unknown characters become spaces, what is too long is cut."""
        tokens = torch.zeros(len(texts), length, dtype=torch.int16)
        stand_in = self._number[" "] if self.characters else None
        for row, text in enumerate(texts):
            numbers = [self._number.get(part, stand_in) for part in self.split(text)]
            known = [number for number in numbers if number is not None][:length]
            tokens[row, : len(known)] = torch.tensor(known, dtype=torch.int16)
        return tokens

    def decode(self, tokens: Tensor) -> list[str]:
        """The texts of ids [N, L]."""
        between = "" if self.characters else " "
        return [
            between.join(self.entries[number - 1] for number in row if 0 < number <= len(self))
            for row in tokens.tolist()
        ]

    def stored(self, room: int) -> Tensor:
        """uint8 [room, BYTES]: the entries as a buffer of a model."""
        if len(self) >= room:
            raise ConfigError(
                f"the data have {len(self)} words, the model has room for {room - 1}; set model.text.vocabulary={len(self) + 1}"
            )
        buffer = torch.zeros(room, BYTES, dtype=torch.uint8)
        for row, entry in enumerate(self.entries, 1):
            spelt = entry.encode()[:BYTES]
            buffer[row, : len(spelt)] = torch.tensor(list(spelt), dtype=torch.uint8)
        return buffer

    @classmethod
    def restored(cls, buffer: Tensor) -> Vocabulary:
        """The inverse of `stored`; a buffer of zeros is an empty vocabulary."""
        rows = (bytes(row).rstrip(b"\0").decode(errors="ignore") for row in buffer[1:].tolist())
        return cls(entry for entry in rows if entry)
