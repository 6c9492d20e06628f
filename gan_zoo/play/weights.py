"""Weights of the terms that each player minimises: every term has one, every one has a term."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from gan_zoo.losses import Terms
from gan_zoo.schema import ConfigError

Player = Literal["generator", "discriminator"]
PLAYERS: tuple[Player, Player] = ("generator", "discriminator")
Weights = dict[Player, dict[str, float]]


def merged(*layers: Weights | None) -> Weights:
    """Of all layers together; the last one that names a term wins."""
    found: Weights = {"generator": {}, "discriminator": {}}
    for layer in layers:
        for player, weights in (layer or {}).items():
            found[player] |= weights
    return found


def weighted_sum(
    player: Player, terms: Terms, weights: Mapping[str, float], only: str = "", leave_out: str = ""
) -> Tensor:
    """The weighted sum of all terms, of `only` one, or of all but the one to `leave_out`.

    ConfigError where terms and weights have different names.
    """
    if terms.keys() != weights.keys():
        raise ConfigError(
            f"{player}: terms {listed(terms)} and weights {listed(weights)} must have the same names; "
            f"without a weight: {listed(terms.keys() - weights.keys())}; "
            f"without a term: {listed(weights.keys() - terms.keys())}"
        )
    counted = [name for name in terms if counts(name, only, leave_out)]
    return torch.stack([weights[name] * terms[name] for name in counted]).sum()


def counts(name: str, only: str = "", leave_out: str = "") -> bool:
    """Whether a term is of a turn that plays for `only` one, or for all but the one to `leave_out`."""
    return name != leave_out and only in ("", name)


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
