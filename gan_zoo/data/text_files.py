"""Lines of text files that need not fit in memory: found once, read where they are asked for."""

from __future__ import annotations

import logging
import mmap
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from gan_zoo.data.pictures import data_error, printable

SKIPPED_AT_MOST = 0.01
NAMED = 10  # bad lines of a kind that a message lists
BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
UTF8_BOM = b"\xef\xbb\xbf"
log = logging.getLogger(__name__)


class Lines(Protocol):
    """Lines of text by number, without line ends."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...


class Bad:
    """Lines that cannot be used: how many of each kind, and where the first ones are."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[str]] = {}

    def note(self, kind: str, path: Path, line: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        named = self.first.setdefault(kind, [])
        if len(named) < NAMED:
            named.append(f"{printable(path)}:{line}")

    def __str__(self) -> str:
        def one(kind: str) -> str:
            more = self.counts[kind] - len(self.first[kind])
            return f"{self.counts[kind]:,} {kind} ({', '.join(self.first[kind])}{f' and {more:,} more' if more else ''})"

        return "; ".join(map(one, self.counts))


class FileLines:
    """UTF-8 lines of `files`, memory-mapped: 12 bytes of memory a line. Line ends are \\n or \\r\\n and nothing else.

    longest: bytes that a line may have. most: lines that are taken at most, from the first file on; None: all. Empty
    lines are left out. Lines that are too long or not UTF-8 are refused (on_error `raise`) or, where they are at most
    1 %, left out (`skip`); whatever is left out is counted and named in the log.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        longest: int,
        most: int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        self.files = list(files)
        self.firsts: list[int] = []  # number of each file's first line
        self._starts, self._lengths = array("q"), array("i")
        self._maps: dict[int, mmap.mmap] = {}
        bad, empty = Bad(), Bad()
        for path in self.files:
            self.firsts.append(len(self._starts))
            if most is None or len(self) < most:
                self._scan(path, longest, most, bad, empty)
        self._judge(bad, empty, on_error)

    def _scan(self, path: Path, longest: int, most: int | None, bad: Bad, empty: Bad) -> None:
        try:
            with path.open("rb") as file:
                begun = file.read(3)
                if begun[:2] in BOMS:
                    raise data_error(path, f"is {BOMS[begun[:2]]}, UTF-8 was wanted; convert it")
                position = len(UTF8_BOM) if begun == UTF8_BOM else 0
                file.seek(position)
                number = 0
                while (most is None or len(self) < most) and (raw := file.readline(longest + 2)):
                    number += 1
                    start, position = position, position + len(raw)
                    line = raw.rstrip(b"\r\n")
                    if len(line) > longest:
                        while not raw.endswith(b"\n") and (raw := file.readline(1 << 20)):
                            position += len(raw)
                    self._keep(line, start, longest, path, number, bad, empty)
        except OSError as error:
            raise data_error(path, f"cannot be read: {error.strerror or error}") from error

    def _keep(
        self, line: bytes, start: int, longest: int, path: Path, number: int, bad: Bad, empty: Bad
    ) -> None:
        if len(line) > longest:
            return bad.note(f"lines of more than {longest:,} bytes", path, number)
        if not line.strip():
            return empty.note("empty lines", path, number)
        try:
            line.decode()
        except UnicodeDecodeError:
            return bad.note("lines that are not UTF-8", path, number)
        self._starts.append(start)
        self._lengths.append(len(line))

    def _judge(self, bad: Bad, empty: Bad, on_error: str) -> None:
        root = self.files[0] if len(self.files) == 1 else self.files[0].parent
        if bad.counts:
            count = sum(bad.counts.values())
            share = count / (count + len(self))
            if on_error == "raise":
                raise data_error(root, f"{bad}. Repair them, or leave them out by data.on_error=skip")
            if share > SKIPPED_AT_MOST:
                raise data_error(
                    root, f"{bad}. {share:.1%} of all lines are bad; data.on_error=skip leaves out at most "
                    f"{SKIPPED_AT_MOST:.0%}. Repair them",
                )  # fmt: skip
            log.warning("%s: %s. They are left out.", printable(root), bad)
        if empty.counts:
            log.info("%s: %s. They are left out.", printable(root), empty)
        if not len(self):
            raise data_error(root, f"holds no line of text{f': {empty}' if empty.counts else ''}")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> str:
        file = bisect_right(self.firsts, index) - 1
        start = self._starts[index]
        return self._map(file)[start : start + self._lengths[index]].decode()

    def _map(self, file: int) -> mmap.mmap:
        if file not in self._maps:
            with self.files[file].open("rb") as opened:
                self._maps[file] = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        return self._maps[file]

    def __getstate__(self) -> dict[str, Any]:  # a worker process maps the files itself
        return {**self.__dict__, "_maps": {}}


class Some:
    """Lines of chosen numbers."""

    def __init__(self, lines: Lines, numbers: npt.NDArray[np.int64]) -> None:
        self.lines, self.numbers = lines, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> str:
        return self.lines[int(self.numbers[index])]
