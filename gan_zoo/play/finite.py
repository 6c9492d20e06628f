"""The alarm for losses and gradients that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class NonFinite(RuntimeError):
    """A loss or gradient is NaN or infinite; the update was not made."""


class FiniteFlag:
    """Whether every step since the last reading was finite: stays on the device, so that a healthy step waits for nothing."""

    def __init__(self) -> None:
        self.unread: Tensor | None = None  # 0-d bool, or None where no step was noted

    def note(self, finite: Tensor) -> None:
        self.unread = finite if self.unread is None else finite & self.unread

    def read(self) -> bool:
        """Waits for the device, and begins anew."""
        unread, self.unread = self.unread, None
        return unread is None or bool(unread)


def diagnosis(
    observations: Mapping[str, Tensor], parameters: Iterable[tuple[str, nn.Parameter]], samples_seen: int
) -> str:
    """Which player's loss or gradient is not finite: the first observation, else the first gradient; and what may help."""
    terms = [name for name, value in observations.items() if not torch.isfinite(torch.as_tensor(value))]
    gradients = [name for name, p in parameters if p.grad is not None and not torch.isfinite(p.grad).all()]
    culprit = (terms or gradients or ["a total"])[0]
    player = culprit.split("/")[0].split(".")[0]
    return (
        f"{player}: {culprit} is not finite after {samples_seen} samples ({len(gradients)} gradient tensors, first "
        f"{gradients[0] if gradients else 'none'}); stopped before the update, all parameters are as they were. "
        f"Lower the learning rate, add a regulariser (regularizer=r1_r2) or use trainer.precision=32-true"
    )
