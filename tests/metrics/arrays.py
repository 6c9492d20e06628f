"""Arrays to measure: fixed ones, which every machine and library version makes alike and the references saw, and normal ones."""

from __future__ import annotations

import torch
from torch import Tensor


def fixed(count: int, dimensions: int, step: float = 1.7, shift: float = 0.0) -> Tensor:
    """float64 [count, dimensions] in [shift, shift + 1): fractional parts of a quadratic sequence."""
    at = torch.arange(1, count * dimensions + 1, dtype=torch.float64)
    return (at * at * step * 0.6180339887498949 % 1).reshape(count, dimensions) + shift


def real_and_fake() -> tuple[Tensor, Tensor]:
    """[60, 8] and [50, 8], which overlap in part."""
    return fixed(60, 8), 1.15 * fixed(50, 8, step=2.3) + 0.1


def normal(n: int, d: int, seed: int) -> Tensor:
    """float64 [n, d] from N(0, 1)."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
