"""Symbols and token ids: numbers, what is unknown, what a table of bytes holds, and tables of older files."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import (
    ALPHABET,
    CAPTION_CHARACTERS,
    CAPTION_WORDS,
    CHARACTERS,
    END,
    PAD,
    START,
    SYMBOL_BYTES,
    UNKNOWN,
    WORDS,
    Spelling,
    Vocabulary,
)

FLOWER = Vocabulary(["a", "b", "c", "flower", "red"], CAPTION_WORDS)
REED = Vocabulary(ALPHABET, CAPTION_CHARACTERS)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_symbols_are_by_frequency_after_pad_and_unknown():
    vocabulary = Vocabulary.counted(Counter("abbccc"), 4, CHARACTERS)
    assert (PAD, UNKNOWN, START, END) == (0, 1, 2, 3)
    assert vocabulary.encode("cbaz") == [2, 3, UNKNOWN, UNKNOWN]  # two fit
    assert Vocabulary.counted(Counter("ba"), 9, CHARACTERS).encode("ab") == [2, 3]  # equal: by code point


def test_captions_are_numbered_from_2_padded_and_cut():
    tokens = FLOWER.tokens(["a red flower", "A zebra, b.", "", "a b c a b c"], 4)
    assert tokens.dtype == torch.int16
    assert tokens.tolist() == [[2, 6, 5, 0], [2, 1, 3, 0], [0, 0, 0, 0], [2, 3, 4, 2]]
    assert FLOWER.lines(tokens) == ["a red flower", "a <unknown> b", "", "a b c a"]


def test_characters_are_numbered_as_by_the_authors():
    """Their Lua table numbers 70 characters from 1, and a later entry wins: '-' is 60 and not 37."""
    assert len(ALPHABET) == 70 and ALPHABET.count("-") == 2 and len(REED) == 71
    assert REED.tokens(["az09- é"], 9).tolist() == [[1, 26, 27, 36, 60, 70, 0, 0, 0]]  # unknown ones are pads
    assert REED.lines(REED.tokens(["two-lipped  Petals, 5!", "aéb"], 30)) == ["two-lipped petals, 5!", "a␀b"]


def test_more_ids_than_16_bits_hold_are_refused():
    with pytest.raises(ConfigError, match="too large"):
        Vocabulary([str(number) for number in range(40_000)], CAPTION_WORDS)


@pytest.mark.parametrize("spelling", [CHARACTERS, WORDS, CAPTION_WORDS])
def test_what_is_unknown_is_the_unknown_symbol_and_named_once(spelling: Spelling):
    vocabulary = Vocabulary(["a", "b", " "], spelling)
    line = spelling.joiner.join("azbzy")
    assert vocabulary.tokens([line], 6).tolist() == [[2, UNKNOWN, 3, UNKNOWN, UNKNOWN, PAD]]
    assert vocabulary.unknown(line) == ["z", "y"]


def test_a_hyphened_word_is_one_word():
    assert FLOWER.unknown("a blue Zebra-like flower") == ["blue", "zebra-like"]


def test_what_is_out_of_place_is_shown():
    vocabulary = Vocabulary(["a", "b"], CHARACTERS, boundaries=True)
    a, b = vocabulary.encode("ab")
    assert vocabulary.decode([START, a, b, END, PAD, PAD]) == "ab"
    assert vocabulary.decode([a, PAD, b]) == "a␀b"
    assert vocabulary.decode([a, END, b, START]) == "a</s>b<s>"
    assert vocabulary.decode([UNKNOWN, 8]) == "��"  # 8 stands for nothing


# ---- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundaries", [False, True])
@pytest.mark.parametrize(
    ("spelling", "symbols"), [(CHARACTERS, [*"aé€😀 "]), (WORDS, ["héllo", "a", "<s>x"])]
)
def test_a_vocabulary_survives_as_a_tensor(spelling: Spelling, symbols: list[str], boundaries: bool):
    vocabulary = Vocabulary(symbols, spelling, boundaries)
    again = Vocabulary.from_table(vocabulary.table(12))
    assert again == vocabulary and (again.spelling, again.boundaries) == (spelling, boundaries)
    line = spelling.joiner.join(symbols)
    ids = [START] * boundaries + again.encode(spelling.split(line)) + [END] * boundaries
    assert again.decode([*ids, PAD]) == line


@pytest.mark.parametrize("vocabulary", [FLOWER, REED], ids=["words", "characters"])
def test_a_vocabulary_of_captions_survives_as_a_tensor(vocabulary: Vocabulary):
    again = Vocabulary.from_table(vocabulary.table(80))
    assert again == vocabulary and again.spelling is vocabulary.spelling
    assert Vocabulary.listed(vocabulary.symbols) == vocabulary


@pytest.mark.parametrize(
    ("rows", "line", "ids"),
    [
        (b"<pad>|<unknown>|a|red||", "A red rose", [2, 3, 1]),
        (b"<pad>|a|b| ||", "b A", [2, 3, 1]),
        (b"|\xef\xbf\xbd|a|b||", "bax", [3, 2, 1]),
        (b" |<unk>|<s>|</s>|a|b||", "b a x", [5, 4, 1]),
    ],
    ids=["caption words", "caption characters", "characters", "words with boundaries"],
)
def test_tables_of_weights_from_before_there_was_one_class_are_read(rows: bytes, line: str, ids: list[int]):
    again = Vocabulary.from_table(table_of(rows))
    assert again.encode(again.spelling.split(line)) == ids
    assert torch.equal(again.table(rows.count(b"|") + 1), table_of(rows))


def test_a_table_is_filled_once_and_then_checked():
    table = torch.zeros(9, SYMBOL_BYTES, dtype=torch.uint8)
    with pytest.raises(ConfigError, match="knows no symbols yet"):
        Vocabulary.from_table(table)
    FLOWER.store(table, "data.channels")
    FLOWER.store(table, "data.channels")
    assert Vocabulary.from_table(table) == FLOWER
    with pytest.raises(ConfigError, match="for other symbols"):
        Vocabulary(["a"], CAPTION_WORDS).store(table, "data.channels")
    with pytest.raises(ConfigError, match=r"have 7 symbols, the model has room for 6; set data\.channels=7"):
        FLOWER.store(torch.zeros(6, SYMBOL_BYTES, dtype=torch.uint8), "data.channels")


def test_a_table_of_something_else_is_refused():
    with pytest.raises(ConfigError, match="damaged"):
        Vocabulary.from_table(table_of(b"one|two|three"))


def table_of(rows: bytes) -> Tensor:
    """uint8 [rows, SYMBOL_BYTES] of rows between bars."""
    return torch.stack([
        torch.tensor(list(row.ljust(SYMBOL_BYTES, b"\0")), dtype=torch.uint8) for row in rows.split(b"|")
    ])  # fmt: skip
