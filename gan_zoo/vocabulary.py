"""Symbols (words or characters) and the token ids that stand for them.

What is unknown has one rule: it reads as the unknown symbol, in lines to train with as in a caption that a user types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.schema import ConfigError

PAD, UNKNOWN, START, END = range(4)  # START and END only where there are boundaries
BOUNDARIES = ("<s>", "</s>")
SYMBOL_BYTES = 32  # of UTF-8; a longer word is unknown
MOST = 2**15  # ids that int16 holds
PAD_SHOWN = "\N{SYMBOL FOR NULL}"  # a pad that is followed by something else
WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
# Zhang et al. 2015, as Reed et al. 2016 number it: '-' stands twice, and its second number counts.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "


def words_of(caption: str) -> list[str]:
    """Lower-case words, 'heart-shaped' and "flower's" one each; punctuation is dropped."""
    return WORD.findall(caption.lower())


def characters_of(caption: str) -> str:
    """Lower case, one space between words."""
    return " ".join(caption.lower().split())


class Spelling(NamedTuple):
    """How a line is cut into symbols, and what stands between them when they are a line again.

    pad, unknown: the first of its symbols, by which a stored vocabulary's spelling is known. unknown None: what is
    unknown is a pad, as in the code of Reed et al. 2016.
    """

    pad: str
    unknown: str | None
    joiner: str
    split: Callable[[str], Sequence[str]]


CHARACTERS = Spelling("", "\N{REPLACEMENT CHARACTER}", "", str)
WORDS = Spelling(" ", "<unk>", " ", str.split)
CAPTION_WORDS = Spelling("<pad>", "<unknown>", " ", words_of)
CAPTION_CHARACTERS = Spelling("<pad>", None, "", characters_of)


class Vocabulary:
    """symbols: by token id, after the dedicated ones: pad, unknown and, with `boundaries`, start and end of a line.

    ids: of those that a line can hold. Ids beyond the symbols are never used by data and are read as unknown.
    """

    def __init__(self, symbols: Sequence[str], spelling: Spelling, boundaries: bool = False) -> None:
        first = dedicated(spelling, boundaries)
        self.symbols, self.spelling, self.boundaries = [*first, *symbols], spelling, boundaries
        if len(self) > MOST:
            raise ConfigError(f"a vocabulary of {len(self):,} symbols is too large, at most {MOST:,} fit")
        self.ids = {symbol: i for i, symbol in enumerate(self.symbols) if i >= len(first)}
        self.unknown_id = PAD if spelling.unknown is None else UNKNOWN

    @classmethod
    def counted(
        cls, counts: Mapping[str, int], size: int, spelling: Spelling, boundaries: bool = False
    ) -> Vocabulary:
        """The most frequent symbols that fit into `size` ids; equally frequent ones in the order of their code points."""
        room = size - len(dedicated(spelling, boundaries))
        if room < 1:
            raise ConfigError(f"data.channels={size} leaves no token id for a symbol; set it to 5 or more")
        ranked = sorted(filter(storable, counts), key=lambda symbol: (-counts[symbol], symbol))
        return cls(ranked[:room], spelling, boundaries)

    @classmethod
    def listed(cls, symbols: Sequence[str]) -> Vocabulary:
        """Of all its symbols by id, the dedicated ones too, which tell the spelling."""
        spelling = _spelling_of(symbols)
        boundaries = tuple(symbols[START : END + 1]) == BOUNDARIES
        return cls(symbols[len(dedicated(spelling, boundaries)) :], spelling, boundaries)

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    __hash__ = None  # type: ignore[assignment]

    def unknown(self, line: str) -> list[str]:
        """The symbols of a line that are unknown, each once, in order."""
        return [symbol for symbol in dict.fromkeys(self.spelling.split(line)) if symbol not in self.ids]

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """Token ids, of unknown symbols too; no start, end or pad."""
        get, unknown = self.ids.get, self.unknown_id
        return [get(symbol, unknown) for symbol in symbols]

    def tokens(self, lines: Sequence[str], length: int) -> Tensor:
        """int16 [N, length]: lines without start or end, cut or padded."""
        tokens = torch.full((len(lines), length), PAD, dtype=torch.int16)
        for row, line in zip(tokens, lines, strict=True):
            ids = self.encode(self.spelling.split(line)[:length])
            row[: len(ids)] = torch.tensor(ids, dtype=torch.int16)
        return tokens

    def decode(self, ids: Sequence[int]) -> str:
        """The line. Pads at its end, a start at its beginning and an end before the pads are left out; others are shown."""
        kept = list(ids)
        while kept and kept[-1] == PAD:
            kept.pop()
        if self.boundaries:
            kept = kept[kept[:1] == [START] :]
            kept = kept[: len(kept) - (kept[-1:] == [END])]
        return self.spelling.joiner.join(map(self._shown, kept))

    def lines(self, ids: Tensor) -> list[str]:
        """The lines of token ids [N, L]."""
        return [self.decode(row) for row in ids.tolist()]

    def _shown(self, i: int) -> str:
        if PAD < i < len(self):
            return self.symbols[i]
        return PAD_SHOWN if i == PAD else self.spelling.unknown or PAD_SHOWN

    # ---- as a tensor, which weights can be stored with -------------------------------------------------------------

    def table(self, size: int) -> Tensor:
        """uint8 [size, SYMBOL_BYTES]: UTF-8 of every symbol, zeros after it."""
        table = torch.zeros(size, SYMBOL_BYTES, dtype=torch.uint8)
        for row, symbol in zip(table[: len(self)], self.symbols, strict=True):
            content = symbol.encode()
            row[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        return table

    @classmethod
    def from_table(cls, table: Tensor) -> Vocabulary:
        """The inverse of `table`, of any device; bytes that are no UTF-8 become U+FFFD."""
        rows = [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in table.tolist()]
        if not any(rows):
            raise ConfigError(
                "this model knows no symbols yet, it gets them from the data when training begins; train it first"
            )
        while not rows[-1]:
            rows.pop()
        return cls.listed(rows)

    def store(self, table: Tensor, room: str) -> None:
        """Fills the table of a model; ConfigError where it holds other symbols already, or has not enough room.

        room: the setting that says how much it has.
        """
        if bool(table.any()) and Vocabulary.from_table(table) != self:
            raise ConfigError(
                "the weights are for other symbols than the data's: the text, or how it is read, has changed; take the data "
                "that training began with, or train anew"
            )
        if len(self) > len(table):
            raise ConfigError(
                f"the data have {len(self):,} symbols, the model has room for {len(table):,}; set {room}={len(self)}"
            )
        table.copy_(self.table(len(table)))


def dedicated(spelling: Spelling, boundaries: bool = False) -> list[str]:
    """The symbols that open a vocabulary."""
    unknown = () if spelling.unknown is None else (spelling.unknown,)
    return [spelling.pad, *unknown, *(BOUNDARIES if boundaries else ())]


def storable(symbol: str) -> bool:
    """Whether a table has room for it."""
    return len(symbol.encode()) <= SYMBOL_BYTES and "\0" not in symbol


def _spelling_of(symbols: Sequence[str]) -> Spelling:
    for spelling in (CHARACTERS, WORDS, CAPTION_WORDS, CAPTION_CHARACTERS):
        first = dedicated(spelling)
        if list(symbols[: len(first)]) == first:
            return spelling
    raise ConfigError(
        f"a vocabulary begins with its pad and its unknown symbol, {', '.join(map(repr, symbols[:2])) or 'nothing'} came; "
        "it is damaged, or of another program"
    )
