"""Pictures with their captions beside them, in every view of a captioned model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gan_zoo import media
from gan_zoo.callbacks.pictures import told
from gan_zoo.media.captions import GAP, INK, PAPER, SIDE, TEXT, caption_sheet
from gan_zoo.schema import ConfigError

RED = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1)


def blocks(sheet: media.Picture, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    return int((sheet == np.array(colour, np.uint8)).all(-1).sum())


def test_every_picture_stands_there_whole_beside_its_words():
    side = 3 * 32
    sheet = caption_sheet(RED.expand(4, 3, 32, 32), ["a red flower"] * 4)
    assert sheet.shape == (29 + 2 * (side + GAP), 2 * (side + TEXT + 2 * GAP) + GAP, 3)
    assert blocks(sheet, (255, 0, 0)) == 4 * side * side
    assert blocks(sheet, INK) > 100
    assert blocks(sheet, PAPER) > 0.4 * sheet[..., 0].size


def test_the_picture_that_a_caption_describes_stands_beside_the_sample():
    sheet = caption_sheet(RED.expand(3, 3, 32, 32), ["red"] * 3, -RED.expand(3, 3, 32, 32))
    assert blocks(sheet, (255, 0, 0)) == blocks(sheet, (0, 255, 255)) == 3 * SIDE * SIDE


def test_a_longer_caption_takes_more_lines_and_what_does_not_fit_is_dotted():
    written = [
        blocks(caption_sheet(RED.expand(1, 3, 96, 96), [" ".join(["flower"] * words)]), INK)
        for words in (3, 12, 200, 400)
    ]
    assert written[0] < written[1] < written[2]
    assert written[2] == written[3]


def test_grey_and_transparent_pictures_are_shown_too():
    for channels in (1, 4):
        assert caption_sheet(torch.ones(2, channels, 16, 16), ["a", "b"]).shape[2] == 3


def test_a_caption_too_few_is_refused():
    with pytest.raises(ConfigError, match="2 pictures, 1 captions"):
        caption_sheet(RED.expand(2, 3, 8, 8), ["one"])


def test_the_medium_of_captions_writes_the_sheet_and_without_captions_a_grid(tmp_path: Path):
    samples = RED.expand(4, 3, 32, 32)
    with_words = media.save(tmp_path / "a", samples, "captioned", inputs={"captions": ["x"] * 4})
    plain = media.save(tmp_path / "b", samples, "captioned")
    assert with_words.read_bytes() == media.png(caption_sheet(samples, ["x"] * 4))
    assert plain.read_bytes() == media.png(media.grid(samples))


def test_captions_are_decoded_by_the_data():
    data: Any = SimpleNamespace(decode=lambda tokens: [f"caption {int(row[0])}" for row in tokens])
    inputs = {"tokens": torch.tensor([[3], [5]])}
    assert (told(data, inputs) or {})["captions"] == ["caption 3", "caption 5"]
    assert told(data, None) is None


def test_letters_that_are_not_ascii_are_drawn_and_differ() -> None:
    sheets = [
        caption_sheet(RED.expand(1, 3, 8, 8), [text]) for text in ("grün", "grön", "gr\u0431n", "gr\u0431n")
    ]
    assert not np.array_equal(sheets[0], sheets[1]) and not np.array_equal(sheets[1], sheets[2])
    assert np.array_equal(sheets[2], sheets[3])
