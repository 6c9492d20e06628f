"""What is known of the language of the data: its words, its training lines, and the grammar where there is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gan_zoo.data.grammar import Grammar
from gan_zoo.data.sentences import Sentences
from gan_zoo.data.text import Text, spread
from gan_zoo.extras import needed
from gan_zoo.vocabulary import PAD

LINES = 200_000  # training lines at most that are searched for words and copies, evenly spread
WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
PARSED = 2_000  # sentences of each set that are parsed, at most


class Language:
    """Of a data set of text. grammar: None but for sentences of one."""

    def __init__(self, data: Text) -> None:
        self.data = data
        self.grammar: Grammar | None = data.grammar if isinstance(data, Sentences) else None
        self._trees: dict[str, list[int] | None] = {}

    def lines(self, ids: Tensor) -> list[str]:
        return self.data.decode(ids)

    @cached_property
    def training_lines(self) -> list[str]:
        lines = self.data.corpus.train
        return [self.data.folded(lines[int(i)]) for i in spread(len(lines), min(len(lines), LINES))]

    @cached_property
    def words(self) -> set[str]:
        """Words of the training lines, case folded."""
        return {word.lower() for line in self.training_lines for word in WORD.findall(line)}

    @cached_property
    def text(self) -> str:
        """The training lines, spelt as samples are: what the vocabulary lacks is one unknown symbol."""
        known = self.data.vocabulary
        return "\n".join(
            known.decode(known.encode(known.spelling.split(line))) for line in self.training_lines
        )

    # ---- one number a line, [N, ...] -----------------------------------------------------------------------------

    def known_words(self, ids: Tensor) -> Tensor:
        """(words that occur in the training lines, words) of each line, float [N, 2]; one that the end of a full line
        may have cut is not counted."""
        return torch.tensor([self._known(line, row) for line, row in zip(self.lines(ids), ids, strict=True)])

    def _known(self, line: str, row: Tensor) -> tuple[float, float]:
        found = list(WORD.finditer(line))
        cut = not self.data.vocabulary.spelling.joiner and int(row[-1]) != PAD
        if cut and found and found[-1].end() == len(line):
            found.pop()
        return float(sum(word[0].lower() in self.words for word in found)), float(len(found))

    def copied(self, ids: Tensor) -> Tensor:
        """1 for lines that stand in the training text, else 0: float [N, 1]."""
        return torch.tensor([[float(bool(line) and line in self.text)] for line in self.lines(ids)])

    def parsed(self, ids: Tensor) -> Tensor:
        """Of the first PARSED lines: accepted (0 or 1), bits (0 where not accepted), and of each rule whether the parse
        uses it: float [N, 2 + rules]."""
        assert self.grammar is not None
        number = len(list(self.grammar))
        rows = torch.zeros(min(len(ids), PARSED), 2 + number)
        for row, line in zip(rows, self.lines(ids[:PARSED]), strict=True):
            used = self.parse(line)
            if used is not None:
                row[0], row[1] = 1, self.grammar.bits(line.split())
                row[[2 + rule for rule in used]] = 1
        return rows

    def parse(self, line: str) -> list[int] | None:
        """Numbers of the rules in the first parse that NLTK's chart parser finds; None where there is none."""
        if line not in self._trees:
            self._trees[line] = self._parsed(line.split())
        return self._trees[line]

    def _parsed(self, words: Sequence[str]) -> list[int] | None:
        assert self.grammar is not None
        if not words or not set(words) <= set(
            self.grammar.words
        ):  # the parser raises on words it does not know
            return None
        tree = next(iter(self._parser.parse(list(words))), None)
        return None if tree is None else sorted({self._numbers[str(rule)] for rule in tree.productions()})

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {str(production): number for number, production in enumerate(self._productions)}

    @cached_property
    def _productions(self) -> list[Any]:
        nltk = _nltk()
        assert self.grammar is not None

        def made(symbol: Any) -> Any:
            return symbol.name if symbol.terminal else nltk.Nonterminal(symbol.name)

        return [
            nltk.Production(nltk.Nonterminal(rule.left), [made(symbol) for symbol in rule.right])
            for rule in self.grammar
        ]

    @cached_property
    def _parser(self) -> Any:
        nltk = _nltk()
        assert self.grammar is not None
        grammar = nltk.CFG(nltk.Nonterminal(self.grammar.start), self._productions)
        return nltk.parse.BottomUpLeftCornerChartParser(grammar)


def _nltk() -> Any:
    return needed("nltk", "parsing sentences", "choose other metrics")
