"""The table of media."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_zoo import media
from gan_zoo.schema import ConfigError


def test_one_table_decides_by_modality() -> None:
    assert {"image", "points", "text", "pair", "captioned"} <= media.MEDIA.keys()
    with pytest.raises(ConfigError, match="'smell' cannot be shown"):
        media.save(Path("x"), torch.zeros(1), "smell")
