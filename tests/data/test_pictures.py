"""Picture files: what each kind becomes, what is refused and with which words, and the cache."""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_zoo.data import picture_cache
from gan_zoo.data.picture_cache import cache_parent, decode_all
from gan_zoo.data.pictures import Reading, list_pictures, printable
from gan_zoo.schema import ConfigError, DataError
from tests.data.noise import noise

GREY = Reading(8, 1)
COLOUR = Reading(8, 3)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds no pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


PHOTO = Image.fromarray(noise(32, 32, 3))
BROKEN_PNG = bytearray(encoded(PHOTO, "PNG"))
BROKEN_PNG[len(BROKEN_PNG) // 2] ^= 0xFF

REFUSED = {
    "empty.png": (b"", "is empty"),
    "text.png": (b"this is a text\n" * 9, "begins with b'this is a text"),
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", "begins with b'<!DOCTYPE html>"),
    "header_only.png": (b"\x89PNG\r\n\x1a\n", "PNG"),
    "truncated.jpg": (encoded(PHOTO, "JPEG")[:-200], "truncated"),
    "truncated.png": (encoded(PHOTO, "PNG")[:-300], "truncated"),
    "truncated.bmp": (encoded(PHOTO, "BMP")[:-300], "truncated"),
    "truncated.gif": (encoded(PHOTO, "GIF")[:-700], "truncated"),
    "broken.png": (bytes(BROKEN_PNG), "cannot be decoded"),
    "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n", "is none of"),
    "huge.png": (png_header(12_000, 12_000), "144,000,000 pixels"),
    "enormous.png": (png_header(20_000, 20_000), "more than 64,000,000 pixels"),
    "dot.png": (encoded(Image.new("L", (1, 1)), "PNG"), "1 x 1.*too small for resolution 8"),
    "line.png": (encoded(Image.new("L", (1, 2000)), "PNG"), "1 x 2000.*too small"),
    "small.png": (encoded(Image.new("L", (9, 7)), "PNG"), "9 x 7: its square of 7 px.*resolution <= 7"),
    "wide_float.tif": (
        encoded(Image.fromarray(np.full((8, 8), 3.5, np.float32)), "TIFF"),
        "values from 3.5 to 3.5",
    ),
    "nan.tif": (encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), "NaN"),
    "long.tif": (encoded(Image.fromarray(np.full((8, 8), 70_000, np.int32)), "TIFF"), "70000"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_cannot_be_used_is_a_data_error_with_its_path_and_the_reason(
    name: str, tmp_path: Path
) -> None:
    content, reason = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        COLOUR(tmp_path / name)
    assert caught.value.path == tmp_path / name
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_the_pixel_limit_is_read_from_the_header_and_can_be_moved(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.new("L", (20, 10)))
    assert Reading(8, 1, max_pixels=200)(path).shape == (1, 8, 8)
    with pytest.raises(DataError, match="200 pixels by its header, at most 199"):
        Reading(8, 1, max_pixels=199)(path)


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name in ("absent.png", "folder.png"):
        with pytest.raises(DataError, match=name):
            GREY(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are a POSIX thing")
def test_a_fifo_is_refused_at_once_where_opening_it_would_wait_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    saved(tmp_path, "a.png", Image.new("L", (8, 8)))
    with pytest.raises(DataError, match="not a regular file"):
        GREY(tmp_path / "pipe.png")
    listing = list_pictures(tmp_path)
    assert [file.name for file in listing.files] == ["a.png"]
    assert "pipe.png: is neither a file nor a folder" in str(listing.bad[0])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind root")
def test_an_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.new("L", (8, 8)))
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        GREY(path)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (256, 1), (32768, 128), (65407, 255), (65535, 255)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_255_over_65535(
    value: int, expected: int, suffix: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(np.full((8, 8), value, np.uint16)))
    assert (GREY(path) == expected).all()


def test_a_sixteen_bit_pgm_keeps_its_order_of_bytes(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(GREY(tmp_path / "a.pgm")[0], np.round(values / 257).astype(np.uint8))


def test_a_sixteen_bit_tiff_whose_white_is_zero_is_turned(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((8, 8), 65535, np.uint16))
    path = saved(tmp_path, "a.tif", image, tiffinfo={262: 0})
    assert path.read_bytes().find(struct.pack("<HHIHH", 262, 3, 1, 0, 0)) > 0  # the tag is really there
    assert (GREY(path) == 0).all()


def test_a_transparent_sixteen_bit_level_shows_the_background(tmp_path: Path) -> None:
    values = np.full((8, 8), 65535, np.uint16)
    values[:, :4] = 1000
    path = saved(tmp_path, "a.png", Image.fromarray(values), transparency=1000)
    read = Reading(8, 1, background=(10, 10, 10))(path)[0]
    assert (read[:, :4] == 10).all() and (read[:, 4:] == 255).all()


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (0.5, 128), (1.0, 255)])
def test_floats_from_0_to_1_are_scaled_by_255(value: float, expected: int, tmp_path: Path) -> None:
    path = saved(tmp_path, "a.tif", Image.fromarray(np.full((8, 8), value, np.float32)))
    assert (GREY(path) == expected).all()


def transparent(mode: str) -> Image.Image:
    """8 x 8, left half opaque black, right half transparent and white beneath."""
    alpha = np.repeat(np.array([[255] * 4 + [0] * 4], np.uint8), 8, axis=0)
    grey = Image.fromarray(255 - alpha)
    grey.putalpha(Image.fromarray(alpha))
    if mode != "P":
        return grey.convert(mode)
    palette = Image.fromarray((255 - alpha) // 255, "P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.info["transparency"] = 1
    return palette


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_parts_show_the_stated_background(mode: str, tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", transparent(mode))
    read = Reading(8, 3, background=(200, 100, 50))(path)
    assert (read[:, :, :4] == 0).all()
    assert (read[:, :, 4:] == np.array([200, 100, 50])[:, None, None]).all()
    assert (COLOUR(path)[:, :, 4:] == 255).all()  # white, unless something else is asked for
    kept = Reading(8, 4)(path)
    assert (kept[3, :, :4] == 255).all() and (kept[3, :, 4:] == 0).all()


def test_a_transparent_colour_of_an_rgb_file_shows_the_background(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.new("RGB", (8, 8), (1, 2, 3)), transparency=(1, 2, 3))
    assert (Reading(8, 3, background=(9, 8, 7))(path)[:, 0, 0] == [9, 8, 7]).all()


def test_cmyk_is_converted_with_a_warning(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.tif", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    with pytest.warns(UserWarning, match="CMYK"):
        read = COLOUR(path)
    assert (read[:, 0, 0] == [255, 0, 0]).all()  # magenta + yellow is red


def test_palette_bilevel_and_grey_files_come_in_the_channels_asked_for(tmp_path: Path) -> None:
    for mode in ("P", "1", "L", "RGB"):
        path = saved(tmp_path, f"{mode}.png", Image.new("L", (8, 8), 255).convert(mode))
        for channels in (1, 3, 4):
            read = Reading(8, channels)(path)
            assert read.dtype == np.uint8 and read.shape == (channels, 8, 8) and (read == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_exif_rotation_is_applied(suffix: str, tmp_path: Path) -> None:
    """Orientation 6: the stored top is the right side of what was seen."""
    values = np.zeros((16, 16), np.uint8)
    values[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(values), exif=exif)
    read = Reading(16, 1)(path)[0]
    assert read[:, 9:].min() > 250 and read[:, :7].max() < 5


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (255, 0, 0)]
    path = saved(tmp_path, "a.GIF", frames[0], save_all=True, append_images=frames[1:], format="GIF")
    with Image.open(path) as image:
        assert image.n_frames == 2  # Pillow joins the equal ones
    assert (GREY(path) == 255).all()


def test_the_centre_square_is_cut_out(tmp_path: Path) -> None:
    values = np.zeros((8, 20), np.uint8)
    values[:, 6:14] = noise(8, 8)
    path = saved(tmp_path, "a.png", Image.fromarray(values))
    np.testing.assert_array_equal(GREY(path)[0], noise(8, 8))


def test_no_pixel_outside_the_square_is_mixed_in(tmp_path: Path) -> None:
    values = np.zeros((32, 64), np.uint8)
    values[:, 16:48] = 255
    assert (GREY(saved(tmp_path, "a.png", Image.fromarray(values))) == 255).all()


def test_making_smaller_does_not_alias_and_box_is_the_mean(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (16, 8))
    path = saved(tmp_path, "a.png", Image.fromarray(stripes))
    for resample in ("box", "bicubic", "lanczos"):
        read = Reading(4, 1, resample=resample)(path)  # type: ignore[arg-type]
        assert read.min() > 110 and read.max() < 145
    assert set(np.unique(Reading(8, 1, resample="box")(path))) <= {127, 128}


def test_small_pictures_are_enlarged_only_when_asked(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.png", Image.new("L", (4, 4), 77))
    assert (Reading(8, 1, enlarge=True)(path) == 77).all()
    with pytest.raises(DataError, match="too small"):
        GREY(path)


def test_impossible_settings_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="channels must be 1"):
        Reading(8, 2)
    with pytest.raises(ConfigError, match="background"):
        Reading(8, 3, background=(0, 0, 256))


SEEDS = [
    encoded(PHOTO.convert(mode), kind)
    for mode, kind in [
        ("RGB", "JPEG"),
        ("P", "PNG"),
        ("LA", "PNG"),
        ("RGB", "GIF"),
        ("RGB", "BMP"),
        ("I;16", "TIFF"),
        ("RGB", "WEBP"),
    ]
    if mode != "I;16"
]
SEEDS.append(encoded(Image.fromarray(np.full((32, 32), 9, np.uint16)), "TIFF"))


@settings(max_examples=300, deadline=None)
@given(
    content=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1),
    cut=st.booleans(),
)
def test_damaged_files_give_a_picture_or_a_data_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    edits: list[tuple[int, int]],
    keep: float,
    cut: bool,
) -> None:
    damaged = bytearray(content)
    for place, value in edits:
        damaged[place % len(damaged)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(damaged[: int(keep * len(damaged))] if cut else damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = COLOUR(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert read.shape == (3, 8, 8) and read.dtype == np.uint8


# ---------------------------------------------------------------- finding files


def populate(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(8, 8, seed=number)).save(root / name, "PNG")


def names_of(root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in list_pictures(root).files]


def test_a_listing_is_sorted_and_leaves_hidden_and_other_files_out(tmp_path: Path) -> None:
    populate(
        tmp_path,
        "b.PNG",
        "a/z.JpEg",
        "a/é ü 猫 🐈.png",
        ".hidden.png",
        ".git/x.png",
        ".ipynb_checkpoints/y.png",
    )
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert names_of(tmp_path) == ["a/z.JpEg", "a/é ü 猫 🐈.png", "b.PNG"]
    assert list_pictures(tmp_path).bad == ()
    assert GREY(tmp_path / "a/é ü 猫 🐈.png").shape == (1, 8, 8)


def test_links_that_form_a_loop_add_nothing(tmp_path: Path) -> None:
    populate(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "sub/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "again.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "self.png").symlink_to("self.png")
    listing = list_pictures(tmp_path)
    assert names_of(tmp_path) == ["a.png", "sub/b.png"]
    assert [error.path.name for error in listing.bad] == ["self.png"]


def test_links_to_elsewhere_are_followed_and_dangling_ones_named(tmp_path: Path) -> None:
    populate(tmp_path / "elsewhere", "x.png", "deep/y.png")
    populate(tmp_path / "root", "a.png")
    (tmp_path / "root/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root/one.png").symlink_to(tmp_path / "elsewhere/x.png")  # the same file on a second way
    (tmp_path / "root/gone.png").symlink_to(tmp_path / "nowhere.png")
    listing = list_pictures(tmp_path / "root")
    assert len(listing.files) == 3
    assert [str(error) for error in listing.bad] == [f"{tmp_path}/root/gone.png: is a link to nothing"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_a_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    path.write_bytes(b"text")
    assert printable(path).endswith("/\\xff\\xfe.png")
    with pytest.raises(DataError) as caught:
        decode_all(list_pictures(tmp_path), GREY, cache=tmp_path / "cache")
    str(caught.value).encode("utf-8")  # no lone surrogate


def test_a_root_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="no such folder"):
        list_pictures(tmp_path / "absent")
    with pytest.raises(DataError, match="is not a folder"):
        list_pictures(tmp_path / "file")


# ---------------------------------------------------------------- the cache


def decode(root: Path, reading: Reading = GREY, **options: object) -> picture_cache.Decoded:
    return decode_all(list_pictures(root), reading, cache=root.parent / "cache", **options)  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    populate(tmp_path / "pictures", *(f"{number:03d}.png" for number in range(200)))
    return tmp_path / "pictures"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by the path of every file that is decoded."""
    seen: list[Path] = []
    original = Reading.__call__

    def counted(self: Reading, path: Path) -> np.ndarray:
        seen.append(path)
        return original(self, path)

    monkeypatch.setattr(Reading, "__call__", counted)
    return seen


def test_decoded_pictures_are_the_files_in_order_at_every_level(root: Path) -> None:
    decoded = decode(root)
    assert [file.name for file in decoded.files] == [f"{number:03d}.png" for number in range(200)]
    rows = np.array([199, 0, 70, 70])
    expected = np.stack([noise(8, 8, seed=row)[None] for row in rows])
    np.testing.assert_array_equal(decoded.pictures.take(rows, 8).numpy(), expected)
    means = expected.reshape(4, 1, 4, 2, 4, 2).mean((3, 5))
    np.testing.assert_array_equal(decoded.pictures.take(rows, 4).numpy(), np.floor(means + 0.5))
    assert (decoded.pictures.folder / "4.npy").is_file()


def test_a_cache_is_read_again_and_not_made_again(root: Path, reads: list[Path]) -> None:
    first = decode(root)
    assert len(reads) == 200
    second = decode(root)
    assert len(reads) == 200 and first.pictures.folder == second.pictures.folder


def test_of_ranks_that_start_together_one_makes_the_cache_and_all_read_it(
    root: Path, reads: list[Path]
) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: decode(root), range(3)))
    assert len(reads) == 200  # each picture once, not once a rank
    rows = np.array([7])
    assert all(torch.equal(one.pictures.take(rows, 4), made[0].pictures.take(rows, 4)) for one in made)
    assert [path.is_dir() for path in (root.parent / "cache").iterdir()] == [True]  # and no lock stays


@pytest.mark.parametrize(
    "change", ["touched", "grown", "added", "removed", "renamed", "resolution", "background"]
)
def test_a_cache_is_made_anew_when_files_or_settings_change(
    change: str, root: Path, reads: list[Path]
) -> None:
    decode(root)
    file, reading = root / "007.png", GREY
    status = file.stat()
    changes: dict[str, Callable[[], object]] = {
        "touched": lambda: os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000)),
        "grown": lambda: (
            file.write_bytes(file.read_bytes() + b"\0"),
            os.utime(file, ns=(0, status.st_mtime_ns)),
        ),
        "added": lambda: populate(root, "200.png"),
        "removed": file.unlink,
        "renamed": lambda: file.rename(root / "zzz.png"),
    }
    if change in changes:
        changes[change]()
    else:
        reading = {"resolution": Reading(6, 1), "background": Reading(8, 1, background=(0, 0, 0))}[change]
    reads.clear()
    assert len(decode(root, reading).files) == len(reads) >= 199


def test_a_damaged_cache_is_made_again(
    root: Path, reads: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = decode(root).pictures.folder
    content = (folder / "8.npy").read_bytes()
    (folder / "8.npy").write_bytes(content[:-1])
    decode(root)
    assert len(reads) == 400 and "is damaged" in caplog.text
    assert (folder / "8.npy").read_bytes() == content


def test_bad_files_are_all_listed_before_training_ten_by_name(root: Path) -> None:
    for number in range(0, 24, 2):
        (root / f"{number:03d}.png").write_bytes(b"broken")
    (root / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError) as caught:
        decode(root)
    message = str(caught.value)
    assert "13 of 201 pictures cannot be used" in message and "... and 3 more" in message
    assert message.count(": is none of") == 9 and "gone.png: is a link to nothing" in message
    assert not list((root.parent / "cache").iterdir())  # nothing half done is left
    with pytest.raises(DataError, match=r"6\.5% are bad; data.on_error=skip leaves out at most 1%"):
        decode(root, on_error="skip")


def test_skip_leaves_out_at_most_one_per_cent_and_says_which(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("003.png", "150.png"):
        (root / name).write_bytes(b"broken")
    for _ in range(2):  # made, then read again
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            decoded = decode(root, on_error="skip")
        assert "2 of 200" in caplog.text and "003.png" in caplog.text and "150.png" in caplog.text
        assert len(decoded.files) == len(decoded.pictures) == 198
        assert not {"003.png", "150.png"} & {file.name for file in decoded.files}
        last = decoded.pictures.take(np.array([197]), 8).numpy()
        np.testing.assert_array_equal(last[0, 0], noise(8, 8, seed=199))
    with pytest.raises(DataError, match=r"or set data\.on_error=skip"):
        decode(root, on_error="raise")
    (root / "004.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"1\.5% are bad"):
        decode(root, on_error="skip")


def test_a_folder_of_bad_files_or_of_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        decode(tmp_path / "root")
    (tmp_path / "root/a.png").write_bytes(b"broken")
    for on_error in ("raise", "skip"):
        with pytest.raises(DataError, match="1 of 1 pictures"):
            decode(tmp_path / "root", on_error=on_error)


def test_the_cache_lies_beside_the_root_or_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    assert cache_parent(root, None) == tmp_path / ".gan_zoo_cache"
    assert cache_parent(root, tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "mine"))
    assert cache_parent(root, "~/cache") == tmp_path / "mine/cache"
    (tmp_path / ".gan_zoo_cache").rmdir()
    (tmp_path / ".gan_zoo_cache").write_text("a file where the folder should be")
    monkeypatch.setattr(picture_cache, "_user_cache", lambda: tmp_path / "home")
    assert cache_parent(root, None) == tmp_path / "home"
    with pytest.raises(DataError, match=r"set data\.cache"):
        cache_parent(root, tmp_path / ".gan_zoo_cache")


def test_a_disk_that_is_too_small_is_refused_before_decoding(
    root: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_cache.shutil, "disk_usage", lambda path: _Usage(17_066))
    decode(root)  # 200 * 8 * 8 * 4 / 3 bytes
    reads.clear()
    monkeypatch.setattr(picture_cache.shutil, "disk_usage", lambda path: _Usage(17_065))
    with pytest.raises(DataError, match=r"set data\.cache to another disk"):
        decode(root, Reading(8, 1, background=(0, 0, 0)))
    assert not reads


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_what_a_killed_process_left_is_removed_a_day_later(root: Path) -> None:
    for name, age in (("unfinished-old", 90_000), ("unfinished-new", 80_000)):
        folder = root.parent / "cache" / name
        folder.mkdir(parents=True)
        for path in (folder / "8.npy", folder):
            path.touch()
            os.utime(path, (time.time() - age,) * 2)
    decode(root)
    assert not (root.parent / "cache/unfinished-old").exists()
    assert (root.parent / "cache/unfinished-new").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE as a full disk")
def test_a_write_that_fails_is_a_data_error_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, shape: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture_cache, "write_header", full)
    with pytest.raises(DataError, match=r"No space left on device.*data\.cache"):
        decode(root)
    assert not list((root.parent / "cache").iterdir())


def test_source_files_may_go_while_the_cache_is_in_use(root: Path) -> None:
    decoded = decode(root)
    for file in root.iterdir():
        file.unlink()
    np.testing.assert_array_equal(decoded.pictures.take(np.array([5]), 8)[0, 0].numpy(), noise(8, 8, seed=5))
