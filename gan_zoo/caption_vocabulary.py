"""Words or characters by number, as they are stored with a model that reads text."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_zoo.schema import ConfigError

PAD, UNKNOWN = "<pad>", "<unknown>"
WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
BYTES = 32  # of a unit in a model's buffer


def words_of(caption: str) -> list[str]:
    """Lower-case words, 'heart-shaped' and "flower's" one each; punctuation is dropped."""
    return WORD.findall(caption.lower())


class CaptionVocabulary:
    """Units by number, 0 the pad: words where <unknown> is among them, else characters."""

    def __init__(self, units: Sequence[str]) -> None:
        self.units = list(units)
        self.of_words = UNKNOWN in self.units
        self.numbers = {name: number for number, name in enumerate(self.units)}

    def __len__(self) -> int:
        return len(self.units)

    def split(self, caption: str) -> list[str]:
        return words_of(caption) if self.of_words else list(" ".join(caption.lower().split()))

    def unknown(self, caption: str) -> list[str]:
        """The words (or characters) of a caption that have no number, each once, in order."""
        return list(dict.fromkeys(unit for unit in self.split(caption) if unit not in self.numbers))

    def encode(self, captions: Sequence[str], length: int) -> Tensor:
        """int16 [N, length]: what is unknown is left out, what is too long is cut."""
        tokens = torch.zeros(len(captions), length, dtype=torch.int16)
        for row, caption in zip(tokens, captions, strict=True):
            known = [self.numbers[unit] for unit in self.split(caption) if unit in self.numbers][:length]
            row[: len(known)] = torch.tensor(known, dtype=torch.int16)
        return tokens

    def decode(self, tokens: Tensor) -> list[str]:
        """The captions of whole numbers [N, L], without pads."""
        between = " " if self.of_words else ""
        return [
            between.join(self.units[number] for number in row if 0 < number < len(self))
            for row in tokens.tolist()
        ]

    def stored(self, room: int) -> Tensor:
        """uint8 [room, BYTES]: the units as a buffer of a model."""
        if len(self) > room:
            raise ConfigError(
                f"the data have {len(self):,} words, the model has room for {room:,}; set model.text.vocabulary={len(self)}"
            )
        buffer = torch.zeros(room, BYTES, dtype=torch.uint8)
        for row, unit in zip(buffer, self.units, strict=False):
            spelt = unit.encode()[:BYTES]
            row[: len(spelt)] = torch.tensor(list(spelt), dtype=torch.uint8)
        return buffer

    @classmethod
    def restored(cls, buffer: Tensor) -> CaptionVocabulary:
        """The inverse of `stored`; a buffer of zeros is an empty vocabulary."""
        rows = (bytes(row).rstrip(b"\0").decode(errors="ignore") for row in buffer.tolist())
        return cls([unit for unit in rows if unit])
