"""Means over all ranks: differentiable ones for losses, flat ones for gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _MeanOverRanks(torch.autograd.Function):
    """Averages forward and, since gradients are averaged over ranks afterwards, backward too, as often as asked."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return mean_over_ranks(grads[0])


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of a tensor over all ranks; itself where there is one."""
    return value if world_size() == 1 else _MeanOverRanks.apply(value)


def rows_of_all_ranks(value: Tensor) -> Tensor:
    """[N, ...] of each of several ranks, N alike -> [ranks N, ...] in rank order; gradients return to who holds the rows."""
    world = world_size()
    if world == 1:
        return value
    shares = [torch.zeros_like(value)] * world
    shares[rank()] = value
    return mean_over_ranks(torch.cat(shares)) * world


@torch.no_grad()
def average_(tensors: Iterable[Tensor], bucket_bytes: int = 25 * 2**20) -> None:
    """Replaces tensors by their means over all ranks: one flat all-reduce for each bucket and dtype."""
    world = world_size()
    if world == 1:
        return
    buckets: dict[torch.dtype, list[Tensor]] = {}
    pending: list[tuple[Any, Tensor, list[Tensor]]] = []

    def send(bucket: list[Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        pending.append((dist.all_reduce(flat, async_op=True), flat, bucket))

    for tensor in tensors:
        bucket = buckets.setdefault(tensor.dtype, [])
        bucket.append(tensor)
        if sum(part.numel() * part.element_size() for part in bucket) >= bucket_bytes:
            send(buckets.pop(tensor.dtype))
    for bucket in buckets.values():
        send(bucket)
    for work, flat, bucket in pending:
        work.wait()
        parts = (flat / world).split([tensor.numel() for tensor in bucket])
        torch._foreach_copy_(
            bucket, [part.view_as(tensor) for part, tensor in zip(parts, bucket, strict=True)]
        )
