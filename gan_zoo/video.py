"""Films of walks through the latents: closed, so that they can be played for ever."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import imageio.v3 as iio
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from gan_zoo import chance, media
from gan_zoo.gan import GAN
from gan_zoo.latent import Latent, spherical, straight
from gan_zoo.schema import ConfigError

Walk = Literal["spherical", "straight", "walk"]
SUFFIXES = (".gif", ".mp4")
GREY = 48  # of the edge that makes sides even, which H.264 wants


def path_of(latent: Latent, n: int, frames: int, seed: int, walk: Walk, fps: int) -> Tensor:
    """[frames, n, *size]: n closed walks, each a function of (seed, its number, frames, fps) alone.

    spherical, straight: from one latent of the seed to the next, each for two seconds. walk: see `random_walk`.
    """
    if walk == "walk":
        return torch.stack([random_walk(latent, frames, chance.mix(seed, i), fps) for i in range(n)], 1)
    stops = max(2, round(frames / (2 * fps)))
    join = spherical if walk == "spherical" else straight
    at = torch.arange(frames) * stops / frames
    found = []
    for number in range(n):
        ends = latent.fixed(stops, chance.mix(seed, number))
        found.append(torch.cat([join(ends[i], ends[(i + 1) % stops], at[at.long() == i] - i) for i in range(stops)]))  # fmt: skip
    return torch.stack(found, 1)


def random_walk(latent: Latent, frames: int, seed: int, width: float) -> Tensor:
    """[frames, *size]: white noise smoothed over time by a Gaussian of `width` frames, round the end (the authors of
    Karras et al. 2018: one second), scaled back to variance 1, and through its distribution function for uniform laws.
    """
    noise = torch.randn(frames, *latent.shape, generator=torch.Generator().manual_seed(seed)).double()
    smooth = torch.from_numpy(gaussian_filter1d(noise.numpy(), width, axis=0, mode="wrap"))
    return latent.of_normal((smooth / smooth.square().mean().sqrt()).float())


def pictures(
    gan: GAN, latents: Tensor, seed: int, condition: int | list[int] | None
) -> Iterator[media.Picture]:
    """One sheet for each frame of latents [frames, n, *size]."""
    for some in latents:
        samples = gan.sample(len(some), seed=seed, latent=some, condition=condition)
        if samples.dim() != 4:
            raise ConfigError(
                f"view=video is of pictures, {type(gan).__name__} makes {list(samples.shape[1:])}"
            )
        yield media.grid(samples)


def write(frames: Iterable[media.Picture], path: Path, fps: int) -> Path:
    """A .gif, or an .mp4 (H.264, by imageio's ffmpeg), which readers see whole or not at all."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"output: {path.name} came, a film is one of {', '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        file = io.BytesIO()
        stack = [frame[:, :, 0] if frame.shape[2] == 1 else frame for frame in frames]
        iio.imwrite(file, np.stack(stack), extension=".gif", duration=1000 / fps, loop=0)
        media.publish(path, file.getvalue())
        return path
    part = path.with_name(f"{path.stem}.part.mp4")
    try:
        iio.imwrite(
            part, np.stack([_even(frame) for frame in frames]), plugin="FFMPEG", fps=fps, macro_block_size=2
        )
    except ImportError as error:
        raise ConfigError(
            "an .mp4 needs imageio's ffmpeg: pip install 'gan-zoo[video]', or give output=FILE.gif"
        ) from error
    os.replace(part, path)
    return path


def _even(frame: media.Picture) -> media.Picture:
    """RGB, with sides that are even."""
    frame = frame[:, :, :3] if frame.shape[2] >= 3 else frame.repeat(3, axis=2)
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=GREY)
