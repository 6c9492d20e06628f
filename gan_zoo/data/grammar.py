"""Context-free grammars, plain and probabilistic: read, counted, drawn from at a fixed length, and scored.

Everything of a fixed length n is exact: how many derivations there are, the law of the sentences (by weight of their
derivations), its entropy, the probability of a sentence (inside algorithm, Lari & Young 1990).
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gan_zoo.data.pictures import data_error
from gan_zoo.schema import DataError

TOKEN = re.compile(r"""\s*(?:(->)|(\|)|\[([0-9.eE+-]+)\]|"([^"]*)"|'([^']*)'|([\w/^<>-]+))""")
SUMS_TO_ONE = 1e-3  # how far the probabilities of a nonterminal may be from it, as written by hand


class Symbol(NamedTuple):
    """A word of the language, or the name of what is replaced."""

    name: str
    terminal: bool

    def __str__(self) -> str:
        return f'"{self.name}"' if self.terminal else self.name


class Rule(NamedTuple):
    """left -> right. weight: its probability; 1 in a grammar without probabilities, where all derivations weigh alike."""

    left: str
    right: tuple[Symbol, ...]
    weight: float

    def __str__(self) -> str:
        return f"{self.left} -> {' '.join(map(str, self.right))}"


class Grammar:
    """Rules by nonterminal, in the order of the file. start: left side of the first rule.

    probabilistic: the file gives probabilities, which are scaled to sum to 1 for each nonterminal.
    """

    def __init__(self, rules: Sequence[Rule], name: str = "grammar", probabilistic: bool = False) -> None:
        self.name, self.probabilistic, self.start = name, probabilistic, rules[0].left
        self.rules: dict[str, list[Rule]] = {}
        for rule in rules:
            self.rules.setdefault(rule.left, []).append(rule)
        if probabilistic:
            totals = {left: sum(rule.weight for rule in group) for left, group in self.rules.items()}
            self.rules = {
                left: [rule._replace(weight=rule.weight / totals[left]) for rule in group]
                for left, group in self.rules.items()
            }
        self._remember()

    def _remember(self) -> None:
        self._weight, self._log = cache(self._weight_of), cache(self._log_of)
        self._splits, self._rules = cache(self._splits_of), cache(self._rules_of)

    def __getstate__(self) -> dict[str, Any]:  # what is remembered cannot be sent to a data worker
        return {
            name: self.__dict__[name]
            for name in self.__dict__.keys() - {"_weight", "_log", "_splits", "_rules"}
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()

    @property
    def words(self) -> list[str]:
        """Terminals in the order of the file."""
        found = (symbol.name for rule in self for symbol in rule.right if symbol.terminal)
        return list(dict.fromkeys(found))

    def __iter__(self) -> Iterator[Rule]:
        for group in self.rules.values():
            yield from group

    # ---- all sentences of a length -----------------------------------------------------------------------------------

    def weight(self, length: int) -> float:
        """Sum of the weights of all derivations of `length` words: their number, or the probability of that length."""
        return self._weight((Symbol(self.start, False),), length)

    def _weight_of(self, sequence: tuple[Symbol, ...], length: int) -> float:
        first, rest = sequence[0], sequence[1:]
        if rest:
            return sum(w for _, w in self._splits(sequence, length))
        if first.terminal:
            return int(length == 1)
        return sum(rule.weight * self._weight(rule.right, length) for rule in self._able(first.name, length))

    def _able(self, left: str, length: int) -> list[Rule]:
        return [rule for rule in self.rules[left] if len(rule.right) <= length]  # no symbol is empty

    def _rules_of(self, left: str, length: int) -> tuple[list[Rule], list[float]]:
        """Rules that make `length` words of `left`, and the weights of all that they make."""
        weights = {rule: rule.weight * self._weight(rule.right, length) for rule in self._able(left, length)}
        return list(weights), list(weights.values())

    def _splits_of(self, sequence: tuple[Symbol, ...], length: int) -> list[tuple[int, float]]:
        """(words of the first symbol, weight) for each way to share `length` words between it and the rest."""
        sizes = (1,) if sequence[0].terminal else range(1, length - len(sequence) + 2)
        ways = ((n, self._weight(sequence[:1], n) * self._weight(sequence[1:], length - n))
                for n in sizes if length - n >= len(sequence) - 1)  # fmt: skip
        return [(n, w) for n, w in ways if w]

    def usable(self, length: int) -> list[Rule]:
        """Rules that some sentence of `length` words needs, in the order of the file."""
        reached: set[tuple[tuple[Symbol, ...], int]] = set()
        used: set[Rule] = set()

        def visit(sequence: tuple[Symbol, ...], n: int) -> None:
            if (sequence, n) in reached or not self._weight(sequence, n):
                return
            reached.add((sequence, n))
            first, rest = sequence[0], sequence[1:]
            if rest:
                for k, _ in self._splits(sequence, n):
                    visit(sequence[:1], k)
                    visit(rest, n - k)
            elif not first.terminal:
                for rule in self._able(first.name, n):
                    if self._weight(rule.right, n):
                        used.add(rule)
                        visit(rule.right, n)

        visit((Symbol(self.start, False),), length)
        return [rule for rule in self if rule in used]

    def draw(self, count: int, length: int, seed: int) -> list[list[str]]:
        """Independent sentences of `length` words, each derivation in proportion to its weight."""
        if not self.weight(length):
            lengths = ", ".join(str(n) for n in range(1, 41) if self.weight(n)) or "none up to 40"
            raise DataError(self.name, f"has no sentence of {length} words; its lengths are {lengths}")
        generator = random.Random(seed)
        return [self._drawn((Symbol(self.start, False),), length, generator) for _ in range(count)]

    def _drawn(self, sequence: tuple[Symbol, ...], length: int, generator: random.Random) -> list[str]:
        first, rest = sequence[0], sequence[1:]
        if rest:
            sizes = self._splits(sequence, length)
            n = sizes[_chosen([w for _, w in sizes], generator)][0]
            return self._drawn(sequence[:1], n, generator) + self._drawn(rest, length - n, generator)
        if first.terminal:
            return [first.name]
        rules, weights = self._rules(first.name, length)
        return self._drawn(rules[_chosen(weights, generator)].right, length, generator)

    def entropy(self, length: int) -> float:
        """Bits of a derivation of `length` words; of a sentence, where no sentence has two derivations."""
        start = (Symbol(self.start, False),)
        return math.log2(self._weight(start, length)) - self._log(start, length)

    def _log_of(self, sequence: tuple[Symbol, ...], length: int) -> float:
        """Mean log2 of the weight of a derivation, over the law of derivations of that length."""
        first, rest = sequence[0], sequence[1:]
        total = self._weight(sequence, length)
        if rest:
            return sum(w / total * (self._log(sequence[:1], n) + self._log(rest, length - n))
                       for n, w in self._splits(sequence, length))  # fmt: skip
        if first.terminal:
            return 0.0
        parts = [
            (rule, rule.weight * self._weight(rule.right, length)) for rule in self._able(first.name, length)
        ]
        return sum(
            w / total * (math.log2(rule.weight) + self._log(rule.right, length)) for rule, w in parts if w
        )

    # ---- one sentence ------------------------------------------------------------------------------------------------

    def inside(self, sentence: Sequence[str]) -> float:
        """Sum of the weights of the sentence's derivations; 0 where the grammar does not have it."""

        @cache
        def of(sequence: tuple[Symbol, ...], begin: int, end: int) -> float:
            first, rest = sequence[0], sequence[1:]
            if rest:
                last = begin + 1 if first.terminal else end - len(rest)
                return sum(
                    of(sequence[:1], begin, middle) * right
                    for middle in range(begin + 1, last + 1)
                    if (right := of(rest, middle, end))
                )
            if first.terminal:
                return int(end == begin + 1 and sentence[begin] == first.name)
            if not self._weight(sequence, end - begin):
                return 0
            return sum(
                rule.weight * of(rule.right, begin, end) for rule in self._able(first.name, end - begin)
            )

        return of((Symbol(self.start, False),), 0, len(sentence)) if sentence else 0

    def bits(self, sentence: Sequence[str]) -> float:
        """-log2 of its probability among the sentences of its length; infinite for what is not in the language."""
        inside = self.inside(sentence)
        return math.log2(self.weight(len(sentence))) - math.log2(inside) if inside else math.inf


def _chosen(weights: Sequence[float], generator: random.Random) -> int:
    at = generator.random() * sum(weights)
    for index, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return index
    return max(index for index, weight in enumerate(weights) if weight)


# ---- reading -------------------------------------------------------------------------------------------------------


def read(path: Path) -> Grammar:
    """The grammar of a file; DataError names the file and the line.

    A line is `S -> NP VP | "word" Q [0.5]`: words in quotes, probabilities in brackets for all alternatives or for
    none, `#` begins a comment. The format is that of nltk.CFG.fromstring and nltk.PCFG.fromstring.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise data_error(path, f"is no grammar that can be read: {error}") from error
    rules: list[Rule] = []
    given: set[bool] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if content := line.partition("#")[0].strip():
            for left, right, weight in _alternatives(content, path, number):
                given.add(weight is not None)
                rules.append(Rule(left, right, 1 if weight is None else weight))
    if not rules:
        raise data_error(path, 'holds no rule such as S -> NP "sleeps"')
    if len(given) > 1:
        raise data_error(path, "gives probabilities to some alternatives; give them to all or to none")
    grammar = Grammar(rules, str(path), probabilistic=True in given)
    _check(grammar, rules, path)
    return grammar


def _alternatives(
    line: str, path: Path, number: int
) -> Iterator[tuple[str, tuple[Symbol, ...], float | None]]:
    def wrong(what: str) -> DataError:
        return data_error(path, f'line {number}: {what}; a rule is S -> NP "sleeps" [0.4] | NP VP [0.6]')

    tokens, position = [], 0
    while position < len(line):
        found = TOKEN.match(line, position)
        if not found:
            raise wrong(f"{line[position:].strip()[:20]!r} cannot be read")
        tokens.append(found)
        position = found.end() + len(line[found.end() :]) - len(line[found.end() :].lstrip())
    if len(tokens) < 3 or not tokens[0][6] or not tokens[1][1]:
        raise wrong("no `NAME -> ...`")
    right: list[Symbol] = []
    weight: float | None = None
    for token in [*tokens[2:], None]:
        if token is None or token[2]:
            if not right:
                raise wrong("an alternative is empty, which is not supported")
            yield tokens[0][6], tuple(right), weight
            right, weight = [], None
        elif token[3]:
            weight = _probability(token[3], wrong)
        elif token[1] or weight is not None:
            raise wrong(f"{token[0].strip()!r} is out of place")
        elif token[6]:
            right.append(Symbol(token[6], False))
        else:
            word = token[4] if token[4] is not None else token[5]
            if not word or word.split() != [word]:
                raise wrong(f"the word {word!r} is empty or holds a space")
            right.append(Symbol(word, True))


def _probability(text: str, wrong) -> float:  # type: ignore[no-untyped-def]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise wrong(f"[{text}] is no probability")
    return value


def _check(grammar: Grammar, rules: Sequence[Rule], path: Path) -> None:
    for rule in rules:
        for symbol in rule.right:
            if not symbol.terminal and symbol.name not in grammar.rules:
                raise data_error(path, f"{symbol.name} (in {rule}) has no rule; words stand in quotes")
    if grammar.probabilistic:
        for left in grammar.rules:
            total = sum(rule.weight for rule in rules if rule.left == left)
            if abs(total - 1) > SUMS_TO_ONE:
                raise data_error(path, f"the probabilities of {left} sum to {total:g}, 1 was wanted")
    _refuse_circles(grammar, path)


def _refuse_circles(grammar: Grammar, path: Path) -> None:
    """A -> B -> A derives one sentence in endless ways."""

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " -> ".join([*above[above.index(name) :], name])
            raise data_error(path, f"{circle} goes round in a circle; remove one of these rules")
        for rule in grammar.rules[name]:
            if len(rule.right) == 1 and not rule.right[0].terminal:
                visit(rule.right[0].name, (*above, name))

    for name in grammar.rules:
        visit(name, ())
