"""Samples, films and curves as files: which pixel, which frame, which line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

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


def ink(picture: media.Picture) -> np.ndarray:
    """Where a scatter plot is blue, the colour of what was generated."""
    channels = picture.astype(int)
    return np.argwhere(channels[:, :, 2] - channels[:, :, 0] > 60)


def test_generated_points_stand_where_the_axes_of_the_real_ones_put_them() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    low = ink(media.scatter(torch.tensor([[-0.5, -0.5]]).repeat(50, 1), real))
    high = ink(media.scatter(torch.tensor([[0.5, 0.5]]).repeat(50, 1), real))
    inside = low[low[:, 0] > 45], high[high[:, 0] > 45]  # below the legend
    (low_y, low_x), (high_y, high_x) = (part.mean(0) for part in inside)
    side = 560 * 0.86 * 1.0 / 2.5  # data units -1.25 ... 1.25 over the height of the axes
    assert low_y - high_y == pytest.approx(side, abs=2) and high_x - low_x == pytest.approx(side, abs=2)


def test_the_axes_do_not_move_with_the_samples() -> None:
    real = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    near, far = media.scatter(real * 0.1, real), media.scatter(real * 50, real)
    assert near.shape == far.shape == (560, 560, 3)
    assert np.array_equal(near[-40:], far[-40:])  # the same ticks below
    assert not np.array_equal(near[:40], far[:40])  # above, the count of those outside


def test_points_of_another_dimension_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[N, 2\], got \[4, 3\]"):
        media.scatter(torch.zeros(4, 3))


def test_nan_points_are_counted_as_outside() -> None:
    real = torch.randn(50, 2)
    assert not np.array_equal(
        media.scatter(torch.full((9, 2), math.nan), real)[:40], media.scatter(real[:9], real)[:40]
    )


def test_texts_stand_one_a_line(tmp_path: Path) -> None:
    path = media.save(tmp_path / "0000000000", ["a b", "c\nd", "back\\slash"], "text")
    assert path.suffix == ".txt" and path.read_text() == "a b\nc\\nd\nback\\\\slash\n"
    with pytest.raises(ConfigError, match="decode"):
        media.lines(torch.zeros(2, 3, 4))  # type: ignore[arg-type]


def test_one_table_decides_by_modality() -> None:
    assert {"image", "points", "text", "pair", "captioned"} <= media.MEDIA.keys()
    with pytest.raises(ConfigError, match="'smell' cannot be shown"):
        media.save(Path("x"), torch.zeros(1), "smell")


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


def test_the_table_is_read_without_what_a_killed_writer_left(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("samples_seen,a\n1,0.5\n2,0.25\n3,0.12")
    assert media.read_table(tmp_path / "m.csv") == (
        ["samples_seen", "a"],
        [{"samples_seen": "1", "a": "0.5"}, {"samples_seen": "2", "a": "0.25"}],
    )
    assert media.read_table(tmp_path / "none.csv") == ([], [])


@pytest.mark.parametrize(
    "rows",
    [
        ["1,,0.5,", "2,,nan,", "3,,inf,0.1"],  # holes, what is not finite, a column that comes late
        ["64,1.0,0.0,1e-3"],  # a single row, a zero on a logarithmic axis
        ["64,1.0,1.0,1.0", "128,1.0,1.0,1.0"],  # nothing changes
        [f"{i * 64},{i},{-i},{10.0 ** (i % 9)}" for i in range(50)],
    ],
)
def test_curves_are_drawn_whatever_the_table_holds(rows: list[str], tmp_path: Path) -> None:
    header = "samples_seen,generator/total,discriminator/total,generator/gradient_norm"
    (tmp_path / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    media.loss_curves(tmp_path / "metrics.csv", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as opened:
        assert opened.size == (1320, 836)


def test_no_table_no_curves(tmp_path: Path) -> None:
    media.loss_curves(tmp_path / "metrics.csv", tmp_path / "losses.png")
    assert not (tmp_path / "losses.png").exists()


def test_terms_are_drawn_with_the_total_first_and_never_twice() -> None:
    columns = [
        "samples_seen",
        "generator/adversarial",
        "generator/gradient_norm",
        "generator/total",
        "discriminator/fake",
        "discriminator/gradient_penalty",
        "discriminator/real",
        "discriminator/total",
        "discriminator/accuracy_real",
    ]
    assert list(media._terms_of("generator", columns)) == ["total"]  # its one term is the total
    assert list(media._terms_of("discriminator", columns)) == ["total", "fake", "gradient penalty", "real"]


def test_smoothing_keeps_constants_and_straight_lines_inside() -> None:
    assert np.allclose(media.smoothed(np.full(300, 2.5)), 2.5)
    line = np.arange(300.0)
    assert np.allclose(media.smoothed(line)[20:-20], line[20:-20])
    assert media.smoothed(np.array([1.0, 5.0])).tolist() == [1.0, 5.0]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    media.publish(tmp_path / "new" / "a.txt", b"one")
    media.publish(tmp_path / "new" / "a.txt", b"two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"] and (
        tmp_path / "new" / "a.txt"
    ).read_bytes() == b"two"


def test_lines_stand_in_groups_of_the_columns() -> None:
    assert media.lines(["a", "b\nc", "d"]) == "a\nb\\nc\nd\n"
    assert media.lines(["a", "b", "c", "d", "e"], 2) == "a\nb\n\nc\nd\n\ne\n"
