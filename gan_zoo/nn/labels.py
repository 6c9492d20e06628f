"""Labels as inputs: appended to vectors and maps."""

from __future__ import annotations

import torch
from torch import Tensor


def append(x: Tensor, label: Tensor | None) -> Tensor:
    """[N, C, ...] and [N, L] -> [N, C + L, ...]: the label as constant maps beside x; None: x."""
    if label is None:
        return x
    label = label.to(x.dtype).view(*label.shape, *[1] * (x.dim() - 2))
    return torch.cat([x, label.expand(-1, -1, *x.shape[2:])], dim=1)
