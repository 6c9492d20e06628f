"""Layers that show D the variety of its batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gan_zoo.nn.parallel import mean_over_ranks, rank, rows_of_all_ranks, world_size

MinibatchName = Literal["none", "stddev", "discrimination"]


class MinibatchStdDev(nn.Module):
    """[N, C, ...] -> [N, C + 1, ...]: appends the mean std of the sample's group as a channel (Karras et al.
    2018, sec. 3).

    group: samples a group, at most; None is the whole batch, as in the paper. With M groups sample i is in
    group i mod M, as in the authors' TensorFlow code. A batch that `group` does not divide takes the largest
    size below that does. The batch is the global one: several processes see what one would.
    """

    def __init__(self, group: int | None = None) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n = len(x) * world_size()
        group = next(g for g in range(min(self.group or n, n), 0, -1) if n % g == 0)
        with torch.autocast(x.device.type, enabled=False):  # 1e-8 is 0 in half precision
            y = x.float()
            std = _over_ranks(y, n // group, group) if world_size() > 1 else _over_batch(y, group)
        std = std.to(x.dtype).view(-1, 1, *[1] * (x.dim() - 2))
        return torch.cat([x, std.expand(-1, 1, *x.shape[2:])], dim=1)


def _over_batch(x: Tensor, group: int) -> Tensor:
    """The mean std of each sample's group, [N]."""
    y = x.unflatten(0, (group, -1))  # [group, M, C, ...]
    return (y.var(0, correction=0) + 1e-8).sqrt().flatten(1).mean(1).repeat(group)  # of group i mod M


def _over_ranks(x: Tensor, groups: int, size: int) -> Tensor:
    """The same where each rank holds a part of the batch: sums over all ranks, then of squares."""
    x = x.flatten(1)
    mine = (rank() * len(x) + torch.arange(len(x), device=x.device)) % groups

    def group_means(values: Tensor) -> Tensor:
        sums = values.new_zeros(groups, values.shape[1]).index_add(0, mine, values)
        return mean_over_ranks(sums) * (world_size() / size)

    deviation = x - group_means(x)[mine]
    return (group_means(deviation.square()) + 1e-8).sqrt().mean(1)[mine]


class MinibatchDiscrimination(nn.Module):
    """[N, F] -> [N, F + kernels]: appends how near each sample is to the others (Salimans et al. 2016, sec.
    3.2).

    o_b(x_i) = sum over j != i of exp(-||M_ib - M_jb||_1), where row b of M = T x has `dims` values. The
    paper's sum has j = i too, a constant 1 that is left out here. While training the batch is the global one,
    of all processes.
    """

    def __init__(self, in_features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        self.kernels, self.dims = kernels, dims
        self.projection = nn.Linear(in_features, kernels * dims, bias=False)  # distances would cancel a bias

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            m = self.projection(x.float()).unflatten(1, (self.kernels, self.dims))
            others = rows_of_all_ranks(m) if self.training else m
            distance = (others.unsqueeze(0) - m.unsqueeze(1)).abs().sum(3)  # [N, others, kernels]
            nearness = torch.exp(-distance).sum(1) - 1
        return torch.cat([x, nearness.to(x.dtype)], dim=1)
