"""Randomness as a pure function of (seed, step, rank): nothing to save, so nothing to lose on resume.

Two streams a step. The default generators differ between ranks (dropout, noise, augmentation). The shared stream,
`uniform_rows` and `normal_rows`, draws for the whole global batch and hands each rank its own rows, so that several
processes draw what one process with the global batch would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def mix(*parts: int | str) -> int:
    """A seed in [0, 2**63) from any integers and words; the same on every machine and Python version."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class _Shared:
    """The stream of the whole global batch, and which rows of it are this rank's."""

    def __init__(self) -> None:
        self.rank, self.world = 0, 1
        self.generator: torch.Generator | None = None


_shared = _Shared()


def seed_default(seed: int, device: torch.device) -> None:
    """Seeds the default generators of the CPU and of `device`.

    Not torch.manual_seed: on a CUDA build without a GPU it formats a stack trace and keeps it for ever, at each call.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def begin_step(
    seed: int, step: int, rank: int = 0, world: int = 1, device: torch.device | str = "cpu"
) -> None:
    """Seeds both streams for one training step."""
    device = torch.device(device)
    seed_default(mix(seed, step, rank), device)
    if _shared.generator is None or _shared.generator.device != device:
        _shared.generator = torch.Generator(device)
    _shared.generator.manual_seed(mix(seed, step, "shared"))
    _shared.rank, _shared.world = rank, world


def _rows(draw: Tensor, rows: int) -> Tensor:
    return draw[_shared.rank * rows : (_shared.rank + 1) * rows]


def _stream(device: torch.device) -> torch.Generator | None:
    """None, the default generator, outside a step or on another device than the step's."""
    generator = _shared.generator
    return generator if generator is not None and generator.device == device else None


def uniform_rows(shape: Sequence[int], device: torch.device) -> Tensor:
    """This rank's rows of U(0, 1) draws, [N, ...] = shape."""
    draw = torch.rand(_shared.world * shape[0], *shape[1:], generator=_stream(device), device=device)
    return _rows(draw, shape[0])


def normal_rows(shape: Sequence[int], device: torch.device) -> Tensor:
    """This rank's rows of N(0, 1) draws, [N, ...] = shape."""
    draw = torch.randn(_shared.world * shape[0], *shape[1:], generator=_stream(device), device=device)
    return _rows(draw, shape[0])
