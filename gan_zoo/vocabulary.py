"""The symbols of a text model (characters or words) and the token ids that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from gan_zoo.schema import ConfigError

PAD, UNKNOWN, START, END = range(4)  # START and END only where there are boundaries
NAMES = {START: "<s>", END: "</s>"}
SYMBOL_BYTES = 32  # of UTF-8; a longer word is unknown
PAD_SHOWN = "\N{SYMBOL FOR NULL}"  # a pad that is followed by something else


class Vocabulary:
    """Symbols by frequency after the dedicated ones: pad, unknown and, with `boundaries`, start and end of a line.

    joiner: what stands between two symbols in a line: nothing for characters, a space for words. size: how many
    token ids there are; those beyond the symbols are never used by data and are read as unknown.
    """

    def __init__(self, symbols: Sequence[str], size: int, joiner: str, boundaries: bool = False) -> None:
        special = ["", unknown_of(joiner), *(NAMES.values() if boundaries else ())]
        if len(special) + len(symbols) > size:
            raise ConfigError(
                f"{len(symbols)} symbols and {len(special)} dedicated ones came for {size} token ids; "
                f"set data.channels={len(special) + len(symbols)} or more"
            )
        self.symbols, self.size, self.joiner, self.boundaries = [*special, *symbols], size, joiner, boundaries
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols) if i >= len(special)}

    @classmethod
    def counted(
        cls, counts: Mapping[str, int], size: int, joiner: str, boundaries: bool = False
    ) -> Vocabulary:
        """The most frequent symbols that fit; equally frequent ones in the order of their code points."""
        room = size - (4 if boundaries else 2)
        if room < 1:
            raise ConfigError(f"data.channels={size} leaves no token id for a symbol; set it to 5 or more")
        fitting = (s for s in counts if len(s.encode()) <= SYMBOL_BYTES and "\0" not in s)
        ranked = sorted(fitting, key=lambda symbol: (-counts[symbol], symbol))
        return cls(ranked[:room], size, joiner, boundaries)

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and torch.equal(self.table(), other.table())

    __hash__ = None  # type: ignore[assignment]

    def split(self, line: str) -> Sequence[str]:
        return line.split() if self.joiner else line

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """Token ids, of unknown symbols too; no start, end or pad."""
        get = self._ids.get
        return [get(symbol, UNKNOWN) for symbol in symbols]

    def decode(self, ids: Sequence[int]) -> str:
        """The line. Pads at its end, a start at its beginning and an end before the pads are left out; others are shown."""
        kept = list(ids)
        while kept and kept[-1] == PAD:
            kept.pop()
        if self.boundaries:
            kept = kept[kept[:1] == [START] :]
            kept = kept[: len(kept) - (kept[-1:] == [END])]
        return self.joiner.join(self._shown(i) for i in kept)

    def _shown(self, i: int) -> str:
        if i == PAD:
            return PAD_SHOWN
        return self.symbols[i] if i < len(self.symbols) else self.symbols[UNKNOWN]

    # ---- as a tensor, which weights can be stored with -------------------------------------------------------------

    def table(self) -> Tensor:
        """uint8 [size, SYMBOL_BYTES]: UTF-8 of every symbol, zeros after it; row 0, the pad's, holds the joiner."""
        table = torch.zeros(self.size, SYMBOL_BYTES, dtype=torch.uint8)
        for row, symbol in zip(table, [self.joiner, *self.symbols[1:]], strict=False):
            content = symbol.encode()
            row[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        return table

    @classmethod
    def from_table(cls, table: Tensor) -> Vocabulary:
        """The inverse of `table`; bytes that are no UTF-8 become U+FFFD."""
        rows = [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in table.tolist()]
        boundaries = rows[START : END + 1] == list(NAMES.values())
        symbols = rows[4 if boundaries else 2 :]
        while symbols and not symbols[-1]:
            symbols.pop()
        return cls(symbols, len(rows), rows[PAD], boundaries)


def unknown_of(joiner: str) -> str:
    """How an unknown symbol is shown."""
    return "<unk>" if joiner else "\N{REPLACEMENT CHARACTER}"
