"""Captions as a model reads them: unknown words are named."""

from __future__ import annotations

import pytest

from gan_zoo import sample
from gan_zoo.loading import load
from gan_zoo.schema import ConfigError
from gan_zoo.views import reading


def test_unknown_words_are_named_once_and_read_as_the_unknown_symbol(run, capsys, tmp_path):
    gan, odd, other = load(run), "a chartreuse flower with six yellow tepals", "a red blossom"
    sample.main(
        run=str(run), caption=odd, other=other, view="captions", n=1, steps=2, output=str(tmp_path / "s.png")
    )
    said = capsys.readouterr().err
    assert said.count("warning") == 1 and "'chartreuse', 'tepals'" in said and "yellow" not in said
    known = gan.vocabulary.ids
    expected = [known["a"], 1, *(known[word] for word in ["flower", "with", "six", "yellow"]), 1]
    assert gan.tokens([odd])[0, :7].tolist() == expected and not gan.tokens([odd])[0, 7:].any()
    with pytest.raises(ConfigError, match="knows none of its words; it knows 3, 4, "):
        reading.warn_of_unknown(gan.vocabulary, ["zebras galore"])
