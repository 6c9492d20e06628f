"""Rows of samples that tell what the latents mean: ways between them, sums of them, the same ones under every class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan_zoo.gan import GAN
from gan_zoo.latent import Latent, spherical, straight
from gan_zoo.schema import ConfigError

MOST_LATENTS = 2**20  # of a seed


def interpolation(
    gan: GAN, rows: int, seed: int, path: str = "spherical", steps: int = 9, condition: Any = None
) -> Tensor:
    """[rows * steps, ...]: row i walks from latent i to latent i + 1."""
    ends = latent_of(gan).fixed(rows + 1, seed)
    walk = spherical if path == "spherical" else straight
    share = torch.linspace(0, 1, steps)
    latent = torch.cat([walk(ends[i], ends[i + 1], share) for i in range(rows)])
    if isinstance(condition, int) or condition is None:  # one class along a walk, not all in turn
        condition = condition or 0 if getattr(gan, "classes", 0) else None
    return gan.sample(len(latent), seed=seed, latent=latent, condition=condition)


def arithmetic(
    gan: GAN, seed: int, plus: list[list[int]], minus: list[list[int]], condition: Any = None
) -> Tensor:
    """The mean latent of each list, as a picture, and last their sum, added and subtracted (Radford et al. 2015, sec. 6.3.2)."""
    if not plus or not all([*plus, *minus]):
        raise ConfigError(
            "arithmetic needs lists of latent numbers, such as plus=[[0,3,5],[7,8]] minus=[[1,2]]; look at view=grid for them"
        )
    last = max(i for chosen in [*plus, *minus] for i in chosen)
    if last >= MOST_LATENTS:
        raise ConfigError(
            f"latent number {last:,} came; a seed's latents are drawn from the first on, and {MOST_LATENTS:,} is where it ends; "
            "take the numbers of pictures of view=grid"
        )
    z = latent_of(gan).fixed(last + 1, seed)
    means = torch.stack([z[chosen].mean(0) for chosen in [*plus, *minus]])
    signs = torch.tensor([1.0] * len(plus) + [-1.0] * len(minus)).view(-1, *[1] * (means.dim() - 1))
    latent = torch.cat([means, (signs * means).sum(0, keepdim=True)])
    return gan.sample(len(latent), seed=seed, latent=latent, condition=condition)


def classes(gan: GAN, columns: int, seed: int) -> Tensor:
    """[classes * columns, ...]: one row for each class, the same latents in every row."""
    number = getattr(gan, "classes", 0)
    if not number:
        raise ConfigError(
            "view=classes came, but this model is not conditional; train one with model=cgan, or use view=grid"
        )
    latent = latent_of(gan).fixed(columns, seed)
    latent = latent.repeat(number, *[1] * (latent.dim() - 1))
    return gan.sample(
        len(latent), seed=seed, latent=latent, condition=torch.arange(number).repeat_interleave(columns)
    )


def latent_of(gan: GAN) -> Latent:
    if gan.latent is None:
        raise ConfigError(f"{type(gan).__name__} has no latent; only view=grid and view=nearest fit it")
    return gan.latent
