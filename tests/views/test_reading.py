"""Captions as a model reads them: unknown words are named."""

from __future__ import annotations

import pytest
import torch

from gan_zoo.loading import load
from gan_zoo.schema import ConfigError
from gan_zoo.views import reading


def test_unknown_words_are_named_and_left_out(run, capsys):
    gan = load(run)
    unknown = reading.warn_of_unknown(gan, ["a chartreuse flower with six yellow tepals"])
    assert unknown == ["chartreuse", "tepals"]
    said = capsys.readouterr().err
    assert "'chartreuse', 'tepals'" in said and "yellow" not in said
    torch.testing.assert_close(
        gan.read(["a chartreuse flower with six yellow tepals"]), gan.read(["a flower with six yellow"])
    )
    with pytest.raises(ConfigError, match="knows none of its words"):
        reading.warn_of_unknown(gan, ["zebras galore"])
