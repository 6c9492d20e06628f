"""The exponential moving average of a generator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from gan_zoo.schema import ConfigError


class MovingAverage:
    """Where the weights of `average` go: after each G step towards the generator's, buffers as they are.

    Either a half-life in real samples seen, which survives a change of batch size, or a decay for each step, as the
    papers print it; ConfigError for both. After n steps at constant weights w it is w + (w0 - w) * decay^n.
    """

    def __init__(self, half_life: float | None, decay: float | None) -> None:
        if half_life is not None and decay is not None:
            raise ConfigError(
                f"ema_half_life={half_life:g} and ema_decay={decay:g} both came, one average was wanted; set one of them to null"
            )
        self.half_life, self.decay = half_life, decay

    @staticmethod
    def copy_of(network: nn.Module) -> nn.Module:
        return copy.deepcopy(network).requires_grad_(False)

    def share(self, samples: int) -> float:
        """How far one step that follows `samples` new ones moves the average, in [0, 1]."""
        if self.half_life is not None:
            return 1 - 0.5 ** (samples / self.half_life)
        return 1 - cast(float, self.decay)

    @torch.no_grad()
    def update(
        self,
        average: nn.Module,
        network: nn.Module,
        samples: int,
        finite: Tensor | None = None,
        of: Callable[[nn.Module], Iterable[nn.Parameter]] = nn.Module.parameters,
    ) -> None:
        """finite: a 0-d flag on the device; where it is 0 the average stays as it is. of: which parameters move."""
        ours: list[Tensor] = list(of(average))
        theirs: list[Tensor] = list(of(network))
        if finite is None:
            torch._foreach_lerp_(ours, theirs, self.share(samples))
        else:
            moved = torch._foreach_lerp(ours, theirs, self.share(samples))
            kept = [torch.where(finite > 0, new, old) for new, old in zip(moved, ours, strict=True)]
            torch._foreach_copy_(ours, kept)
        for mine, other in zip(average.buffers(), network.buffers(), strict=True):
            mine.copy_(other if finite is None else torch.where(finite > 0, other, mine))
