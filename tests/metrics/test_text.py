"""Metrics of text: closed forms, NLTK's BLEU, and the table's figures on sentences whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gan_zoo.metrics.features import Features
from gan_zoo.metrics.language import Language
from gan_zoo.metrics.measures import take
from gan_zoo.metrics.subject import Reals, Subject, Truth
from gan_zoo.metrics.table import chosen
from gan_zoo.metrics.text import ngram_codes, ngram_divergence, self_bleu, uniqueness
from gan_zoo.schema import ConfigError
from tests.data.configured import made


def ids(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows)


def test_divergence_is_0_for_equal_and_1_bit_for_disjoint_text():
    one, other = torch.randint(0, 50, (40, 9)), torch.randint(50, 99, (30, 9))
    for n in (1, 2, 3, 4, 6):
        assert ngram_divergence(one, one.flip(0), n) == pytest.approx(0, abs=1e-12)
        assert ngram_divergence(one, other, n) == pytest.approx(1)
    assert ngram_divergence(one, one.flip(1), 1) == pytest.approx(0, abs=1e-12)  # order counts from n = 2 on
    assert ngram_divergence(one, one.flip(1), 2) > 0.1


def test_divergence_of_two_coins_is_the_closed_form():
    """p = (1/2, 1/2), q = (1, 0): H(3/4) - 1/2 bits."""
    h = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert ngram_divergence(ids([0, 1]), ids([0, 0], [0, 0]), 1) == pytest.approx(h - 0.5)


def test_ngrams_of_a_large_vocabulary_do_not_overflow():
    lines = torch.randint(30_000, 32_767, (50, 12))
    codes = ngram_codes(lines, 6)
    grams = [tuple(row[i : i + 6].tolist()) for row in lines for i in range(7)]
    assert len(set(codes.tolist())) == len(set(grams)) == 350


def test_uniqueness_is_the_share_of_different_lines():
    assert uniqueness(ids([1, 2], [1, 2], [2, 1], [1, 2])) == 0.5


@pytest.mark.parametrize("order", [2, 4])
def test_self_bleu_is_the_mean_of_nltks(order: int):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 9, (25,), generator=generator).tolist()
    sentences = [torch.randint(0, 6, (n,), generator=generator).tolist() for n in lengths]
    smooth = SmoothingFunction().method1
    expected = [
        sentence_bleu(
            sentences[:i] + sentences[i + 1 :], one, weights=[1 / order] * order, smoothing_function=smooth
        )
        for i, one in enumerate(sentences)
    ]
    assert self_bleu(sentences, order) == pytest.approx(sum(expected) / len(expected))


def test_self_bleu_of_equal_sentences_is_1():
    assert self_bleu([list("abcdef")] * 3) == pytest.approx(1)


# ---- the table --------------------------------------------------------------------------------------------------------


def subject_of(data: Any, fake: torch.Tensor) -> Subject:
    train, held_out = (
        Reals(items.__getitems__([(i, 0, 0) for i in range(min(len(items), 500))])["real"].long(), None)
        for items in (data.train_set(), data.held_out_set())
    )
    nothing = Features("coordinates", None, "none", lambda x: x)
    return Subject(train, held_out, fake, nothing, "text", data.name, Truth(language=Language(data)))


def figures(data: Any, lines: list[str], *names: str) -> dict[str, Any]:
    """The figures of `lines` in the place of generated ones."""
    rows = torch.zeros(len(lines), data.resolution, dtype=torch.int64)
    for row, line in zip(rows, lines, strict=True):
        encoded = data.vocabulary.encode(data.vocabulary.spelling.split(line))
        row[: len(encoded)] = torch.tensor(encoded)
    subject = subject_of(data, rows)
    measures = chosen(subject, list(names) or None)
    return {name: taken for measure in measures.values() for name, taken in take(measure, subject).items()}


@pytest.fixture(scope="module")
def grammar() -> Any:
    return made("grammar", size=500, held_out=200)


def test_held_out_sentences_get_the_best_figures_and_the_entropy(grammar: Any):
    held_out = grammar.decode(grammar.held_out_set().__getitems__([(i, 0, 0) for i in range(100)])["real"])
    found = figures(grammar, held_out, "grammar", "uniqueness")
    assert found["accepted"].figure.value == found["accepted"].figure.floor == 1
    assert found["bits"].figure.value == pytest.approx(math.log2(3280))  # all sentences are equally likely
    assert 0.6 < found["rules"].figure.value <= 1


def test_one_valid_sentence_over_and_over_is_accepted_and_not_unique(grammar: Any):
    found = figures(grammar, ["the dog sees bob ."] * 50, "grammar", "uniqueness", "self_bleu")
    assert found["accepted"].figure.value == 1 and found["self_bleu"].figure.value == pytest.approx(1)
    assert found["uniqueness"].figure.value == 1 / 50
    assert found["rules"].figure.value == pytest.approx(10 / 70)  # counted by hand


def test_what_the_parser_refuses_is_counted(grammar: Any):
    lines = ["the dog sees bob ."] * 3 + [
        "the dog see bob .",
        "dog the sees bob .",
        "the dog sees",
        "zebra . . . .",
    ]
    found = figures(grammar, lines, "grammar")
    figure = found["accepted"].figure
    assert figure.value == pytest.approx(3 / 7) and figure.interval.low < 3 / 7 < figure.interval.high
    assert figure.floor == 1 and figure.interval.method.startswith("Wilson")


def test_nothing_accepted_has_no_bits(grammar: Any):
    assert math.isnan(figures(grammar, ["dog dog dog dog dog"] * 4, "grammar")["bits"].figure.value)


def test_words_and_copies_of_the_manual():
    data = made("python_manual")
    sentence = data.corpus.train[0]
    copied = sentence[:32]
    lines = [copied, copied.swapcase(), "the xqzt of the method kzzzz is ", "zzzzz"]
    found = figures(data, lines, "words", "copied_lines")
    assert found["copied_lines"].figure.value == 1 / 4
    known = figures(data, ["the xqzt of the method kzzzz is "], "words")["real_words"].figure
    assert known.value == pytest.approx(5 / 7)
    assert known.floor > 0.9


def test_copied_words_are_found_though_the_vocabulary_lacks_some():
    data = made("python_manual", level="word", channels=500)
    lines = [
        " ".join(line.split()[:32])
        for line in map(str, (data.corpus.train[i] for i in range(300)))
        if len(line.split()) > 3
    ]
    assert (
        sum("<unk>" in line for line in data.vocabulary.lines(data.vocabulary.tokens(lines, 32)))
        > len(lines) / 2
    )
    assert figures(data, lines, "copied_lines")["copied_lines"].figure.value == 1
    backwards = [" ".join(reversed(line.split())) for line in lines]
    assert figures(data, backwards, "copied_lines")["copied_lines"].figure.value < 0.1


def test_a_word_that_the_end_may_have_cut_is_not_counted():
    data = made("python_manual")
    line = "the value of the attribute functi"[:32]
    assert len(line) == 32 and figures(data, [line], "words")["real_words"].figure.value == 1


def test_text_has_its_own_measures_and_no_others(grammar: Any):
    subject = subject_of(grammar, torch.zeros(4, 5, dtype=torch.int64))
    assert set(chosen(subject, None)) == {
        "grammar",
        "uniqueness",
        "short_ngrams",
        "self_bleu",
        "copied_lines",
    }
    with pytest.raises(ConfigError, match="does not fit text"):
        chosen(subject, ["frechet"])


def test_without_nltk_the_extra_is_named(grammar: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "nltk", None)
    with pytest.raises(ConfigError, match=r"gan-zoo\[text\]"):
        Language(grammar).parse("the dog sees bob .")
