"""What a network may ask of the noise it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gan_zoo.schema import ConfigError


class Noise(Protocol):
    """Anything with a size: a number, or the shape of one z."""

    size: int | Sequence[int]


def vector_size(latent: Noise | None) -> int:
    """Z of a latent [N, Z]; without noise, or with noise of another shape, ConfigError."""
    if latent is None:
        raise ConfigError(
            "model.latent is missing, but G starts from noise: set model.latent={size: 100, law: normal}"
        )
    if not isinstance(latent.size, int):
        raise ConfigError(
            f"model.latent.size must be one number, as G starts from a vector; got {list(latent.size)}"
        )
    return latent.size
