"""Films as files: which frame, how long, of what size."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image, ImageSequence

from gan_zoo import media
from gan_zoo.schema import ConfigError


def frames_of(path: Path) -> list[tuple[np.ndarray, int]]:
    with Image.open(path) as opened:
        return [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(opened)
        ]


def flat(path: Path, level: int, size: int = 8, channels: int = 1) -> Path:
    media.publish(path, media.png(np.full((size, size, channels), level, np.uint8)))
    return path


def test_a_film_keeps_order_and_holds_both_ends(tmp_path: Path) -> None:
    frames = [flat(tmp_path / f"{i}.png", level) for i, level in enumerate((0, 90, 180, 255))]
    media.film(frames, tmp_path / "a.gif", milliseconds=100, hold=900)
    found = frames_of(tmp_path / "a.gif")
    assert [(int(picture[4, 4, 0]), length) for picture, length in found] == [
        (0, 900),
        (90, 100),
        (180, 100),
        (255, 900),
    ]


def test_frames_of_different_sizes_are_centred_on_the_largest(tmp_path: Path) -> None:
    media.film([flat(tmp_path / "0.png", 255, 4), flat(tmp_path / "1.png", 255, 12)], tmp_path / "a.gif")
    small, large = (picture for picture, _ in frames_of(tmp_path / "a.gif"))
    assert small.shape == large.shape == (12, 12, 3)
    assert (small[4:8, 4:8] == 255).all() and (small == 255).sum() == 4 * 4 * 3


def test_a_long_film_is_an_even_choice_with_both_ends(tmp_path: Path) -> None:
    frames = [flat(tmp_path / f"{i:03d}.png", i) for i in range(200)]
    media.film(frames, tmp_path / "a.gif", most=5)
    assert [int(picture[0, 0, 0]) for picture, _ in frames_of(tmp_path / "a.gif")] == [0, 50, 100, 149, 199]


def test_transparency_is_shown_on_white_and_large_frames_shrink(tmp_path: Path) -> None:
    media.publish(tmp_path / "0.png", media.png(np.zeros((1300, 650, 4), np.uint8)))
    media.film([tmp_path / "0.png"], tmp_path / "a.gif")
    ((picture, _),) = frames_of(tmp_path / "a.gif")
    assert picture.shape == (640, 320, 3) and (picture == 255).all()


def test_a_film_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one picture"):
        media.film([], tmp_path / "a.gif")


def test_a_gif_holds_its_frames(tmp_path: Path) -> None:
    frames = [np.full((12, 20, 3), level, np.uint8) for level in (0, 128, 255)]
    path = media.write_film(frames, tmp_path / "film.gif", 25)
    read = iio.imread(path, index=None, mode="RGB")
    assert np.array_equal(read, np.stack(frames))
    assert iio.immeta(path)["duration"] == 40 and iio.immeta(path)["loop"] == 0


def test_a_film_that_is_neither_gif_nor_mp4_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"film\.avi came"):
        media.write_film([], tmp_path / "film.avi", 25)


def test_an_mp4_has_even_sides(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    frames = [np.full((33, 47, 1), level, np.uint8) for level in (0, 128, 255)]
    read = iio.imread(media.write_film(frames, tmp_path / "film.mp4", 25), plugin="FFMPEG")
    assert read.shape == (3, 34, 48, 3)
    assert [abs(int(read[i, 10, 10, 0]) - level) < 8 for i, level in enumerate((0, 128, 255))] == [True] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
