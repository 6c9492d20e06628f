"""Text and grammars: what a line becomes, numbers by hand and by NLTK, and what is refused."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import nltk
import pytest
import torch

from gan_zoo.data import sentences, text
from gan_zoo.data.grammar import Grammar, read
from gan_zoo.data.text_files import FileLines
from gan_zoo.schema import DataError
from gan_zoo.vocabulary import END, PAD, START, UNKNOWN
from tests.data.configured import made

COIN = 'S -> A A [0.5] | "x" A [0.5]\nA -> "h" [0.25] | "t" [0.75]\n'


def first(module: Any, count: int = 4, epoch: int = 0) -> dict[str, torch.Tensor]:
    return module.train_set().__getitems__([(i, epoch, 0) for i in range(count)])


def written(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def from_lines(folder: Path, lines: str | bytes, **changes: Any) -> Any:
    return made("text", root=str(written(folder, a__txt=lines) / "a.txt"), **changes)


def grammar_of(folder: Path, content: str) -> Grammar:
    return read(written(folder, g__cfg=content) / "g.cfg")


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_is_its_first_symbols_then_pads(tmp_path: Path):
    module = from_lines(tmp_path, "abc\nabcdefgh\nxy\n", resolution=5, held_out=0.3)
    batch = first(module, 2)
    assert batch["real"].dtype == torch.int16 and batch["real"].shape == (2, 5)
    assert module.decode(batch["real"]) == ["abc", "xy"]  # the middle one of three is held out
    assert batch["real"][1, 2:].tolist() == [PAD] * 3
    held_out = module.held_out_set().__getitems__([(0, 0, 0)])["real"]
    assert held_out[0].tolist() == module.vocabulary.encode("abcde")
    assert UNKNOWN in held_out[0].tolist()  # d stands in the held-out line alone, of which nothing is counted


def test_boundaries_stand_where_the_line_begins_and_ends(tmp_path: Path):
    module = from_lines(tmp_path, "ab\nabcdef\nab\nab\n", resolution=6, boundaries=True, held_out=0.25)
    rows = first(module, 3)["real"].tolist()
    assert [row[0] for row in rows] == [START] * 3
    assert sorted(END in row for row in rows) == [False, True, True]  # abcdef and its start fill the line


def test_words_and_folded_case(tmp_path: Path):
    module = from_lines(
        tmp_path, "The dog  and THE cat\nthe the\n", level="word", lower=True, resolution=4, held_out=0.5
    )
    assert module.decode(first(module, 1)["real"])[0].split()[0] == "the"
    assert "The" not in module.vocabulary.symbols


def test_random_parts_begin_with_words_and_are_pure_functions(tmp_path: Path):
    line = "alpha beta gamma delta epsilon zeta eta theta"
    module = from_lines(tmp_path, f"{line}\n{line}\n", crop="random", parts=20, resolution=10, held_out=0.5)
    assert len(module.train_set()) == 20
    parts = module.decode(first(module, 20)["real"])
    assert (
        parts == module.decode(first(module, 20)["real"]) != module.decode(first(module, 20, epoch=1)["real"])
    )
    begins = {i for i in range(len(line) - 9) if i == 0 or line[i - 1] == " "}
    assert {line.index(part) for part in parts} <= begins and len(set(parts)) > 2


@pytest.mark.parametrize("name", ["python_manual", "grammar"])
def test_training_and_held_out_parts_are_the_same_everywhere_and_apart(name: str):
    one, other = made(name), made(name)
    assert torch.equal(first(one)["real"], first(other)["real"])
    if name == "python_manual":
        parts = [{part[i] for i in range(len(part))} for part in one.corpus]
        assert not parts[0] & parts[1] and len(parts[1]) == round(0.1 * (len(parts[0]) + len(parts[1])))


def test_the_manual_gives_english_sentences():
    found = text.sentences_of_the_manual()
    assert len(found) == len(set(found)) > 1500
    assert all(s[0].isupper() and s[-1] in ".!?" and "\n" not in s for s in found)
    assert sum(" the " in s for s in found) > len(found) / 2


def test_questions_are_a_class(tmp_path: Path):
    module = from_lines(tmp_path, "why?\nso.\nwho ?\nyes\n", attribute="question", classes=2, held_out=0.2)
    lines = module.decode(first(module, 3)["real"])
    assert first(module, 3)["condition"].tolist() == [int("?" in line) for line in lines]
    assert module.conditions().tolist() == first(module, 3)["condition"].tolist()


def test_files_are_mapped_and_read_alike_by_workers(tmp_path: Path):
    written(tmp_path, b__txt="three\r\nfour", a__txt="\ufeffone\n\ntwo\u2028zwei\n")
    lines = FileLines([tmp_path / "a.txt", tmp_path / "b.txt"], longest=100)
    assert [lines[i] for i in range(len(lines))] == ["one", "two\u2028zwei", "three", "four"]
    again = pickle.loads(pickle.dumps(lines))  # noqa: TID251
    assert [again[i] for i in range(len(again))] == [lines[i] for i in range(len(lines))]
    assert len(FileLines([tmp_path / "a.txt", tmp_path / "b.txt"], longest=100, most=3)) == 3


def test_one_billion_words_is_read_in_its_own_layout(tmp_path: Path):
    train, held_out = (tmp_path / name for name in text.OneBillionWords.FOLDERS)
    written(train, **{f"news__en-0000{i}-of-00100": f"shard {i} line 0\nshard {i} line 1\n" for i in (1, 2)})
    written(held_out, **{f"news__en__heldout-0000{i}-of-00050": f"held {i}\n" for i in (0, 1)})
    module = made("one_billion_words", root=str(tmp_path), most=3)
    assert module.decode(first(module, 3)["real"]) == ["shard 1 line 0", "shard 1 line 1", "shard 2 line 0"]
    assert len(module.held_out_set()) == 1


def test_a_corpus_is_not_read_into_memory(tmp_path: Path):
    """12 bytes a line, whatever the lines hold."""
    written(tmp_path, a__txt=("x" * 10_000 + "\n") * 200)
    lines = FileLines([tmp_path / "a.txt"], longest=20_000)
    assert len(lines) == 200 and len(pickle.dumps(lines)) < 200 * 12 + 2_000


BAD_FILES = {
    "invalid": (
        b"good\n\xff\xfebad\nfine\n\xe9\n",
        ["2 lines that are not UTF-8", "a.txt:2", "a.txt:4", "on_error=skip"],
    ),
    "long": (b"short\n" + b"x" * 200 + b"\nshort\n", ["1 lines of more than 100 bytes", "a.txt:2"]),
    "empty": (b"\n \n\n", ["holds no line of text", "3 empty lines", "a.txt:1"]),
    "nothing": (b"", ["holds no line of text"]),
    "utf16": ("hello".encode("utf-16"), ["is UTF-16", "convert"]),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_lines_are_named_and_counted(kind: str, tmp_path: Path):
    content, said = BAD_FILES[kind]
    with pytest.raises(DataError) as failure:
        from_lines(tmp_path, content, longest=100).prepare()
    assert all(part in str(failure.value) for part in said)


def test_at_most_one_percent_of_bad_lines_is_left_out_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    module = from_lines(tmp_path, b"line\n" * 150 + b"\xff\n", on_error="skip")
    module.prepare()
    assert len(module.corpus.train) + len(module.corpus.held_out) == 150 and "a.txt:151" in caplog.text
    with pytest.raises(DataError, match="at most 1%"):
        from_lines(tmp_path, b"line\n" * 50 + b"\xff\n", on_error="skip").prepare()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("python_manual", {"modality": "image"}, "must be text"),
        ("python_manual", {"channels": 4}, "5 to"),
        ("python_manual", {"flip": True}, "no pictures"),
        ("python_manual", {"attribute": "question"}, "do not go together"),
        ("python_manual", {"crop": "start"}, "all parts of a line are one"),
        ("text", {}, "data.root=PLACE"),
        ("text", {"root": "nowhere"}, "is not there"),
        ("text", {"root": "."}, r"matches data.pattern=\*.txt"),
        ("one_billion_words", {"root": "."}, "training-monolingual"),
        ("grammar", {"channels": 20}, "set data.channels=60"),
        ("grammar", {"level": "character"}, "must be word"),
        ("grammar", {"grammar": "klingon.cfg"}, "english.cfg"),
        (
            "grammar",
            {"resolution": 3, "size": 10, "grammar": "english.cfg", "boundaries": True},
            "its lengths are 3, 4",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(name: str, changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        made(name, **changes).prepare()


# ---- grammars --------------------------------------------------------------------------------------------------------


def test_probabilities_and_entropy_by_hand(tmp_path: Path):
    """Two coins that show h with 1/4, or x and one coin: H = 1 + (2 h(1/4) + h(1/4)) / 2 bits."""
    grammar = grammar_of(tmp_path, COIN)
    coin = -0.25 * math.log2(0.25) - 0.75 * math.log2(0.75)
    assert grammar.entropy(2) == pytest.approx(1 + 1.5 * coin)
    assert grammar.inside(["h", "t"]) == pytest.approx(0.5 * 0.25 * 0.75)
    assert grammar.bits(["x", "t"]) == pytest.approx(-math.log2(0.375))
    assert grammar.bits(["x", "x"]) == math.inf and grammar.inside([]) == 0
    assert grammar.weight(2) == pytest.approx(1) and grammar.weight(3) == 0


def test_a_plain_grammar_counts_derivations(tmp_path: Path):
    """Bracketings of n words: the Catalan numbers."""
    grammar = grammar_of(tmp_path, 'S -> S S | "a"\n')
    assert [grammar.weight(n) for n in range(1, 8)] == [1, 1, 2, 5, 14, 42, 132]
    assert grammar.inside(["a"] * 5) == 14 and grammar.entropy(5) == pytest.approx(math.log2(14))
    assert grammar.bits(["a"] * 5) == 0  # one sentence, however it is derived


@pytest.mark.parametrize(("name", "length"), [("grammar", 5), ("grammar", 11), ("probabilistic_grammar", 7)])
def test_nltk_accepts_every_sentence_of_ours_and_reads_our_files(name: str, length: int):
    module = made(name, resolution=length, size=200, held_out=5)
    reader = nltk.PCFG if name == "probabilistic_grammar" else nltk.CFG
    parser = nltk.parse.BottomUpLeftCornerChartParser(
        reader.fromstring((sentences.GRAMMARS / module.file).read_text())
    )
    for line in module.decode(first(module, 200)["real"]):
        assert len(line.split()) == length
        assert next(iter(parser.parse(line.split())), None) is not None, line
        assert module.grammar.inside(line.split()) > 0


def test_nltk_gives_the_same_probabilities():
    module = made("probabilistic_grammar", size=20, held_out=5)
    parser = nltk.InsideChartParser(nltk.PCFG.fromstring((sentences.GRAMMARS / "english.pcfg").read_text()))
    for line in module.decode(first(module, 20)["real"]):
        trees = list(parser.parse(line.split()))
        assert module.grammar.inside(line.split()) == pytest.approx(sum(tree.prob() for tree in trees))


def test_mean_bits_of_drawn_sentences_are_the_entropy():
    grammar = made("probabilistic_grammar").grammar
    bits = torch.tensor([grammar.bits(words) for words in grammar.draw(2000, 5, seed=3)])
    error = bits.std() / math.sqrt(len(bits))
    assert abs(bits.mean() - grammar.entropy(5)) < 4 * error and error < 0.1


def test_drawn_frequencies_are_the_probabilities(tmp_path: Path):
    grammar = grammar_of(tmp_path, COIN)
    counts = Counter(" ".join(words) for words in grammar.draw(4000, 2, seed=0))
    for sentence, count in counts.items():
        share = grammar.inside(sentence.split())
        assert abs(count / 4000 - share) < 4 * math.sqrt(share / 4000)
    assert len(counts) == 6


def test_rules_that_a_length_cannot_use_are_known(tmp_path: Path):
    grammar = grammar_of(tmp_path, 'S -> "a" | B C\nB -> "b"\nC -> "c" | "c" C\n')
    assert [str(rule) for rule in grammar.usable(2)] == ["S -> B C", 'B -> "b"', 'C -> "c"']
    assert len(grammar.usable(3)) == 4


BAD_GRAMMARS = {
    "": "holds no rule",
    "S -> A": "A .in S -> A. has no rule",
    'S "a"': "line 1: no `NAME",
    'S -> "a" |': "alternative is empty",
    'S -> "a" [0.5]': "sum to 0.5",
    'S -> "a" [0.5] | "b"': "to all or to none",
    'S -> "a" [2.0]': "no probability",
    'S -> A | "a"\nA -> S': "S -> A -> S goes round",
    'S -> "a b"': "holds a space",
    "S -> 'a": "cannot be read",
}


@pytest.mark.parametrize("content", BAD_GRAMMARS)
def test_a_grammar_that_cannot_be_used_says_where(content: str, tmp_path: Path):
    with pytest.raises(DataError, match=BAD_GRAMMARS[content]):
        grammar_of(tmp_path, content)
