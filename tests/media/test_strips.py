"""Strips whose rows and columns are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_zoo import media
from gan_zoo.schema import ConfigError


def test_a_strip_needs_as_many_pictures_and_names_as_it_has_places():
    pictures = torch.zeros(6, 3, 16, 16)
    with pytest.raises(ConfigError, match="6 pictures came for 4 rows"):
        media.labelled_strip(pictures, ["a", "b", "c", "d"])
    with pytest.raises(ConfigError, match="2 names came for 3 columns"):
        media.labelled_strip(pictures, ["a", "b"], ["x", "y"])
    sheet = media.labelled_strip(torch.ones(2, 1, 16, 16) * -1, ["grey"], ["x", "y"], "title")
    assert sheet.shape[2] == 3 and (sheet == 0).all(axis=2).sum() == 2 * 128 * 128


def test_names_that_are_not_ascii_are_drawn_and_differ() -> None:
    first, second = (media.labelled_strip(torch.zeros(1, 3, 8, 8), [name]) for name in ("rosé", "rosè"))
    assert not np.array_equal(first, second)
