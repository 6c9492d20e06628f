"""Walks through the latents, closed so that their film can be played for ever."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from gan_zoo import chance, media
from gan_zoo.gan import GAN
from gan_zoo.latent import Latent, spherical, straight
from gan_zoo.schema import ConfigError
from gan_zoo.views import Walk


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
