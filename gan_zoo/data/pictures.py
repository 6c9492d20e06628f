"""Picture files from anywhere: found and read; whatever cannot be used is a DataError that names the file.

What is done, so that nobody has to guess: EXIF rotation is applied; transparency is composited on
`background` (kept where four channels are asked for); 16-bit grey is scaled by 255/65535, not clipped, and
floats in [0, 1] by 255; CMYK is converted without a colour profile, with a warning; of an animation the first
frame is taken. Then the centre square is cut out and resized with Pillow's antialiased filter (`resample`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_zoo.schema import ConfigError, DataError

# Pillow reads more, but some of it (EPS) starts other programs; these cover what data sets are made of
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
}
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def printable(path: str | Path) -> str:
    """A path as text that every terminal can show: bytes that are not UTF-8 become \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def data_error(path: str | Path, reason: str) -> DataError:
    """A DataError whose path every terminal can show."""
    return DataError(printable(path), reason)


def root_of(name: str | None, root: str | None, layout: str) -> Path:
    """data.root of the data set `name` as a folder that exists; layout: what it must hold, for who gave none."""
    if root is None:
        raise ConfigError(f"data={name} reads files: set data.root=FOLDER. {layout}")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise data_error(root, f"there is no such folder. {layout}")
    return folder


# ---------------------------------------------------------------- reading one file


@dataclass(frozen=True)
class Reading:
    """How a picture file becomes uint8 [channels, resolution, resolution].

    size: (width, height) that every file must have, None for any. box: (left, top, right, bottom) cut out in
    place of the centre square. enlarge: pictures smaller than `resolution` are enlarged, otherwise refused.
    stretch: the whole picture is brought to a square, its aspect ratio not kept.
    background: red, green, blue under transparent parts. max_pixels: width x height at most, from the header.
    """

    resolution: int
    channels: int
    background: tuple[int, int, int] = (255, 255, 255)
    resample: Literal["box", "bicubic", "lanczos"] = "lanczos"
    enlarge: bool = False
    size: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None
    max_pixels: int = 64_000_000
    stretch: bool = False

    def __post_init__(self) -> None:
        if self.channels not in MODES:
            raise ConfigError(f"data.channels must be 1 (grey), 3 (RGB) or 4 (RGBA), got {self.channels}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise ConfigError(
                f"data.background must be three numbers from 0 to 255, got {list(self.background)}"
            )

    def __call__(self, path: Path) -> npt.NDArray[np.uint8]:
        """The picture; DataError(path, reason) if the file cannot be used, whatever is wrong with it."""
        return self._array(_attempt(path, lambda: self._fit(_decode(path, self), path)))

    def of_bytes(self, content: bytes, place: Path) -> npt.NDArray[np.uint8]:
        """The picture that a file's content is; `place` is what errors name."""
        return self._array(
            _attempt(place, lambda: self._fit(_opened(BytesIO(content), place, content[:16], self), place))
        )

    @staticmethod
    def _array(picture: Image.Image) -> npt.NDArray[np.uint8]:
        array = np.asarray(picture)
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))

    def whole(self, path: Path) -> Image.Image:
        """The picture upright at its own size, in the mode of `channels`; DataError as above."""
        return _attempt(path, lambda: _decode(path, self))

    def _fit(self, picture: Image.Image, path: Path) -> Image.Image:
        width, height = picture.size
        if self.size is not None and picture.size != self.size:
            raise data_error(path, f"is {width} x {height}, wanted {self.size[0]} x {self.size[1]}")
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = self.box or ((0, 0, width, height) if self.stretch else (left, top, left + side, top + side))
        side = min(box[2] - box[0], box[3] - box[1])
        if side < self.resolution and not self.enlarge:
            raise data_error(
                path,
                f"is {width} x {height}: its square of {side} px is too small for resolution "
                f"{self.resolution}; choose data.resolution <= {side}, data.enlarge=true, or remove the file",
            )
        target = (self.resolution, self.resolution)
        # not resize(box=...), whose filter reads pixels from outside the box
        return picture.crop(box).resize(target, Image.Resampling[self.resample.upper()])


def _attempt(path: Path, decode: Callable[[], Image.Image]) -> Image.Image:
    try:
        return decode()
    except DataError:
        raise
    except (
        Exception
    ) as error:  # Pillow raises OSError, ValueError, TypeError, SyntaxError, ... on damaged files
        raise data_error(path, f"cannot be decoded: {error or type(error).__name__}") from error


def read_ids(path: Path, max_pixels: int = 64_000_000) -> npt.NDArray[np.uint16]:
    """A map of ids, uint16 [H, W], from a picture of one channel of 8 or 16 bits; a palette's numbers, not its colours.

    Nothing is scaled, rotated or converted; DataError(path, reason) if the file is anything else.
    """

    def decode() -> Image.Image:
        if not path.is_file() or path.stat().st_size == 0:
            raise data_error(path, "is not a regular file or is empty")
        with path.open("rb") as file:
            if file.read(3) == b"\xff\xd8\xff":
                raise data_error(path, "is a JPEG, which changes numbers; a map of ids is a PNG")
        with Image.open(path, formats=("PNG", "TIFF", "BMP", "GIF", "PPM")) as image:
            _check_pixels(image.width * image.height, max_pixels, path)
            image.load()
            if image.mode not in ("L", "P", "1", "I", "I;16", "I;16B", "I;16L"):
                raise data_error(
                    path, f"is a picture of mode {image.mode}, a map of ids has one channel of whole numbers"
                )
            return image.copy()

    ids = np.asarray(_attempt(path, decode)).astype(np.int64)
    if ids.min() < 0 or ids.max() > 65535:
        raise data_error(path, f"has ids from {ids.min()} to {ids.max()}, wanted 0 to 65535")
    return ids.astype(np.uint16)


def _decode(path: Path, how: Reading) -> Image.Image:
    """The picture upright, in the mode of `how.channels`, at its own size."""
    status = path.stat()
    if not path.is_file():  # opening a FIFO would wait for ever
        raise data_error(path, "is not a regular file")
    if status.st_size == 0:
        raise data_error(path, "is empty (0 bytes)")
    with path.open("rb") as file:
        beginning = file.read(16)
    return _opened(path, path, beginning, how)


def _opened(source: Path | BytesIO, path: Path, beginning: bytes, how: Reading) -> Image.Image:
    try:
        with Image.open(source, formats=FORMATS) as image:
            _check_pixels(image.width * image.height, how.max_pixels, path)
            image.load()
            # Pillow turns a TIFF whose white is zero (tag 262) only when it has 8 bits
            inverted = getattr(image, "tag_v2", {}).get(262) == 0
            return _in_mode(_in_eight_bits(ImageOps.exif_transpose(image), path, inverted), how)
    except UnidentifiedImageError as error:
        wanted = ", ".join(FORMATS)
        raise data_error(path, f"is none of {wanted}; it begins with {beginning!r}") from error
    except Image.DecompressionBombError as error:
        raise data_error(path, f"has more than {how.max_pixels:,} pixels ({error})") from error


def _check_pixels(pixels: int, limit: int, path: Path) -> None:
    if pixels > limit:
        raise data_error(
            path,
            f"has {pixels:,} pixels by its header, at most {limit:,} are allowed; "
            "make it smaller, or raise data.max_pixels",
        )


def _in_eight_bits(image: Image.Image, path: Path, inverted: bool) -> Image.Image:
    """16-bit grey 0 .. 65535 and float grey 0 .. 1 scaled to mode L (or LA); other modes as they are."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not np.isfinite(values).all():
        raise data_error(path, "has pixels that are NaN or infinite")
    if values.min() < 0 or values.max() > top:
        raise data_error(
            path,
            f"has values from {values.min():g} to {values.max():g}; {image.mode} pixels must lie "
            f"in 0 .. {top:g} to have a known scale; convert the file to 8 bits",
        )
    grey = np.floor(values * (255 / top) + 0.5).astype(np.uint8)
    scaled = Image.fromarray(255 - grey if inverted else grey)
    if isinstance(transparent := image.info.get("transparency"), int):
        scaled.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return scaled


def _in_mode(image: Image.Image, how: Reading) -> Image.Image:
    if image.mode == "CMYK":
        warnings.warn(
            "CMYK pictures are converted to RGB without a colour profile: colours are approximate",
            stacklevel=2,
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if how.channels != 4:
            ground = Image.new("RGBA", image.size, (*how.background, 255))
            image = Image.alpha_composite(ground, image).convert("RGB")
    if image.mode in ("1", "L") and how.channels == 1:
        return image.convert("L")
    return image.convert("RGBA" if image.mode == "RGBA" else "RGB").convert(MODES[how.channels])


# ---------------------------------------------------------------- finding files


@dataclass(frozen=True)
class Listing:
    """The pictures under `root`, sorted by relative path, and what looked like one and is not."""

    root: Path
    files: tuple[Path, ...]
    bad: tuple[DataError, ...]


def list_pictures(root: Path) -> Listing:
    """Regular files with a picture's suffix (upper case too), in sub-folders too; hidden names are left out.

    Links are followed after everything else, and what can be reached on two ways counts once, so that loops
    end.
    """
    if not root.is_dir():
        raise data_error(root, "is not a folder" if root.exists() else "there is no such folder")
    files: list[Path] = []
    bad: list[DataError] = []
    seen: set[str] = set()
    folders, links = [root], list[Path]()
    while folders or links:
        if not folders:
            link = links.pop(0)
            if link.is_dir():
                folders.append(link)
            else:
                _add(link, os.path.realpath(link), files, bad, seen)
            continue
        folder = folders.pop()
        if (real := os.path.realpath(folder)) in seen:
            continue
        seen.add(real)
        for entry in _entries(folder, bad):
            path = folder / entry.name
            if entry.is_symlink():
                links.append(path)
            elif entry.is_dir():
                folders.append(path)
            else:
                _add(path, os.path.join(real, entry.name), files, bad, seen)
    files.sort(key=lambda file: os.fsencode(file.relative_to(root)))
    return Listing(root, tuple(files), tuple(bad))


def _entries(folder: Path, bad: list[DataError]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
            )
    except OSError as error:
        bad.append(data_error(folder, f"the folder cannot be listed: {error.strerror}"))
        return []


def _add(path: Path, real: str, files: list[Path], bad: list[DataError], seen: set[str]) -> None:
    """Puts a path that looks like a picture where it belongs."""
    if path.suffix.lower() not in SUFFIXES or real in seen:
        return
    seen.add(real)
    if path.is_file():
        files.append(path)
    else:
        kind = "is neither a file nor a folder" if os.path.exists(real) else "is a link to nothing"
        bad.append(data_error(path, kind))
