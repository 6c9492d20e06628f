"""A batch: tensors by name, a row for each sample."""

from __future__ import annotations

import torch
from torch import Tensor

Batch = dict[str, Tensor]  # reserved keys: real, latent, condition; docs/adding_a_variant.md lists them all


def repeated(batch: Batch, times: int) -> Batch:
    """All samples, one copy of the batch after the other."""
    return {key: torch.cat([value] * times) for key, value in batch.items()}


def in_parts(batch: Batch, count: int) -> list[Batch]:
    """Its samples in `count` micro-batches; of one, the batch itself."""
    if count == 1:
        return [batch]
    chunks = {key: value.chunk(count) for key, value in batch.items()}
    return [{key: parts[i] for key, parts in chunks.items()} for i in range(count)]


def rows(batch: Batch, start: int, stop: int, device: torch.device) -> Batch:
    """Samples start ... stop - 1 on a device."""
    return {key: value[start:stop].to(device) for key, value in batch.items()}
