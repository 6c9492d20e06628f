"""Text as files: which line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_zoo import media
from gan_zoo.schema import ConfigError


def test_texts_stand_one_a_line(tmp_path: Path) -> None:
    path = media.save(tmp_path / "0000000000", ["a b", "c\nd", "back\\slash"], "text")
    assert path.suffix == ".txt" and path.read_text() == "a b\nc\\nd\nback\\\\slash\n"
    with pytest.raises(ConfigError, match="decode"):
        media.lines(torch.zeros(2, 3, 4))  # type: ignore[arg-type]


def test_lines_stand_in_groups_of_the_columns() -> None:
    assert media.lines(["a", "b\nc", "d"]) == "a\nb\\nc\nd\n"
    assert media.lines(["a", "b", "c", "d", "e"], 2) == "a\nb\n\nc\nd\n\ne\n"
