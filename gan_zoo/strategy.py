"""Data parallelism for two players: Lightning's DDP without DDP's reducer, since the play averages gradients itself."""

from __future__ import annotations

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy


class GradientAverage(DDPStrategy):
    """Lightning's process handling; the module stays unwrapped.

    DDP's reducer expects one backward for each forward and every parameter in it. Two players break both: it raises, or
    with find_unused_parameters walks the graph at each backward, and it stops synchronising buffers without a word. Here rank
    0's weights are broadcast once, and GAN averages each player's gradients in flat buckets just before its step.
    """

    strategy_name = "gradient_average"

    def configure_ddp(self) -> None:
        assert self.model is not None
        for value in self.model.state_dict().values():
            if isinstance(value, torch.Tensor):
                dist.broadcast(value, src=0)
