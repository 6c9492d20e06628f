"""Maxout (Goodfellow et al. 2013)."""

from __future__ import annotations

from torch import Tensor, nn


class Maxout(nn.Module):
    """[N, in_features] -> [N, units]: each unit is the largest of `pieces` linear maps of its own."""

    def __init__(self, in_features: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(in_features, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.units, self.pieces)).amax(2)
