"""Films: of the pictures that a run left behind, and of frames as they are made."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image

from gan_zoo.extras import needed
from gan_zoo.media.files import publish
from gan_zoo.media.pictures import GAP_LEVEL, Picture
from gan_zoo.schema import ConfigError

SUFFIXES = (".gif", ".mp4")


def film(
    frames: Sequence[Path],
    path: Path,
    *,
    milliseconds: int = 150,
    hold: int = 1500,
    most: int = 120,
    side: int = 640,
) -> None:
    """A GIF of pictures, in the order given; the first and the last stand for `hold` milliseconds.

    Of more than `most` frames an even choice is shown. Smaller frames are centred on the size of the largest,
    and all are shrunk to at most `side` pixels.
    """
    if not frames:
        raise ConfigError(f"{path}: a film needs at least one picture")
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    pictures = [_opaque(frames[i], side) for i in chosen]
    size = max(p.width for p in pictures), max(p.height for p in pictures)
    padded = [_quantised(_centred(picture, size)) for picture in pictures]
    duration = [milliseconds] * len(padded)
    duration[0] = duration[-1] = hold
    file = io.BytesIO()
    padded[0].save(
        file, "GIF", save_all=True, append_images=padded[1:], duration=duration, loop=0, disposal=1
    )
    publish(path, file.getvalue())


def write_film(frames: Iterable[Picture], path: Path, fps: int) -> Path:
    """A .gif, or an .mp4 (H.264, by imageio's ffmpeg), which readers see whole or not at all."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"output: {path.name} came, a film is one of {', '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        file = io.BytesIO()
        stack = [frame[:, :, 0] if frame.shape[2] == 1 else frame for frame in frames]
        iio.imwrite(file, np.stack(stack), extension=".gif", duration=1000 / fps, loop=0)
        publish(path, file.getvalue())
        return path
    needed("imageio_ffmpeg", "an .mp4", "give output=FILE.gif")
    part = path.with_name(f"{path.stem}.part.mp4")
    iio.imwrite(
        part, np.stack([_even(frame) for frame in frames]), plugin="FFMPEG", fps=fps, macro_block_size=2
    )
    os.replace(part, path)
    return path


def _opaque(path: Path, side: int) -> Image.Image:
    """One frame as grey or RGB; transparency is shown on white."""
    with Image.open(path) as opened:
        picture = opened.convert(opened.mode)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return picture


def _centred(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    canvas = Image.new(picture.mode, size, (GAP_LEVEL,) * len(picture.getbands()))
    canvas.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return canvas


def _quantised(picture: Image.Image) -> Image.Image:
    """256 colours chosen for the frame; grey pictures are exact."""
    return picture if picture.mode == "L" else picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)


def _even(frame: Picture) -> Picture:
    """RGB, with sides that are even, which H.264 wants."""
    frame = frame[:, :, :3] if frame.shape[2] >= 3 else frame.repeat(3, axis=2)
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=GAP_LEVEL)
