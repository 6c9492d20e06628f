"""A setting given once for all layers, or as a list with one value a layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor, nn

from gan_zoo.schema import ConfigError

T = TypeVar("T")


def per_layer(setting: T | list[T], count: int, name: str) -> list[T]:
    """`count` values: a list as it is, anything else repeated; another length is a ConfigError."""
    if not isinstance(setting, list):
        return [setting] * count
    if len(setting) != count:
        raise ConfigError(
            f"{name} has {len(setting)} values for {count} layers: {setting}; give {count}, or one for all"
        )
    return setting


def outputs_of(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each layer gives, each fed with what the one before gives."""
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
    return found


def without_identities(*layers: nn.Module) -> nn.Sequential:
    """The layers that do something, in order."""
    idle = (nn.Identity,)
    return nn.Sequential(
        *(m for m in layers if not isinstance(m, idle) and not (isinstance(m, nn.Dropout) and m.p == 0))
    )
