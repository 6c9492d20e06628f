"""Levels, grids and PNGs: which pixel is where."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import media
from gan_zoo.schema import ConfigError


def test_bytes_are_the_inverse_of_the_scaling_of_the_data() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    back = media.as_bytes(levels.float() / 127.5 - 1)
    assert np.array_equal(back, levels.permute(0, 2, 3, 1).numpy())


def test_values_beyond_the_range_are_clipped_and_nan_is_grey() -> None:
    wild = torch.tensor([-9.0, 9.0, math.nan, math.inf, -math.inf, 0.0]).view(1, 1, 2, 3)
    assert media.as_bytes(wild).ravel().tolist() == [0, 255, 128, 255, 0, 128]


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (2, 5, 8, 8), (8, 8)])
def test_what_is_not_a_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="1, 3 or 4 channels"):
        media.as_bytes(torch.zeros(shape))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_grid_shows_each_picture_at_its_place(channels: int) -> None:
    pictures = (40.0 * torch.arange(7) / 127.5 - 1).view(7, 1, 1, 1).expand(7, channels, 8, 8)
    sheet = media.grid(pictures, columns=4, width=60)  # 4 x 8 = 32 pixels are enlarged twice; gaps of 2
    assert sheet.shape == (2 * 16 + 2, 4 * 16 + 3 * 2, channels) and sheet.dtype == np.uint8
    for i in range(7):
        top, left = 18 * (i // 4), 18 * (i % 4)
        assert (sheet[top : top + 16, left : left + 16] == 40 * i).all()
    gap = sheet[0, 16]
    assert gap.tolist() == [[48] * 3, [0] * 4][channels == 4][:channels]
    assert (sheet[:, 16:18] == gap).all() and (sheet[18:, 54:] == gap).all()  # gaps and the empty eighth


@pytest.mark.parametrize(
    ("side", "n", "width"),
    [
        (8, 64, 8 * 64 + 14),
        (28, 64, 8 * 84 + 14),
        (32, 64, 8 * 64 + 14),
        (64, 64, 8 * 64 + 14),
        (256, 4, 2 * 256 + 2),
        (1024, 1, 1024),
        (32, 1, 512),
    ],
)
def test_a_grid_is_square_and_at_least_512_pixels_wide(side: int, n: int, width: int) -> None:
    assert media.grid(torch.zeros(n, 3, side, side)).shape[1] == width


def test_enlargement_adds_no_colour() -> None:
    pictures = torch.tensor([-1.0, 1.0]).repeat(32).view(1, 1, 8, 8)
    assert set(np.unique(media.grid(pictures))) == {0, 255}


def test_a_png_reads_back_exactly(tmp_path: Path) -> None:
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        pictures = torch.rand(9, channels, 16, 16) * 2 - 1
        path = media.save(tmp_path / f"a.{channels}", pictures, "image")
        with Image.open(path) as opened:
            assert path.name == f"a.{channels}.png" and opened.mode == mode
            assert np.array_equal(
                np.asarray(opened).reshape(media.grid(pictures).shape), media.grid(pictures)
            )
