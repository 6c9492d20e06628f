"""Layers that show D the variety of its batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

MinibatchName = Literal["none", "stddev", "discrimination"]


class MinibatchStdDev(nn.Module):
    """[N, C, ...] -> [N, C + 1, ...]: appends the mean std of the sample's group as a channel (Karras et al.
    2018, sec. 3).

    group: samples a group, at most; None is the whole batch, as in the paper. With M groups sample i is in
    group i mod M, as in the authors' TensorFlow code. A batch that `group` does not divide takes the largest
    size below that does.
    """

    def __init__(self, group: int | None = None) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        group = next(g for g in range(min(self.group or n, n), 0, -1) if n % g == 0)
        with torch.autocast(x.device.type, enabled=False):  # 1e-8 is 0 in half precision
            y = x.float().unflatten(0, (group, -1))  # [group, M, C, ...]
            std = (y.var(0, correction=0) + 1e-8).sqrt()
            std = std.flatten(1).mean(1).repeat(group).to(x.dtype)  # [N], the value of group i mod M
        return torch.cat([x, std.view(-1, 1, *[1] * (x.dim() - 2)).expand(-1, 1, *x.shape[2:])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """[N, F] -> [N, F + kernels]: appends how near each sample is to the others (Salimans et al. 2016, sec.
    3.2).

    o_b(x_i) = sum over j != i of exp(-||M_ib - M_jb||_1), where row b of M = T x has `dims` values. The
    paper's sum has j = i too, a constant 1 that is left out here.
    """

    def __init__(self, in_features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        self.kernels, self.dims = kernels, dims
        self.projection = nn.Linear(in_features, kernels * dims, bias=False)  # distances would cancel a bias

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            m = self.projection(x.float()).unflatten(1, (self.kernels, self.dims))
            distance = (m.unsqueeze(0) - m.unsqueeze(1)).abs().sum(3)  # [N, N, kernels]
            nearness = torch.exp(-distance).sum(1) - 1
        return torch.cat([x, nearness.to(x.dtype)], dim=1)
