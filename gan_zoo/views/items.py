"""Samples as they come, beside what they were made from, and beside the training pictures nearest to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_zoo.callbacks.pictures import told
from gan_zoo.gan import GAN
from gan_zoo.metrics.duplicates import nearest_training
from gan_zoo.run import data_of, real_parts


def made(gan: GAN, run: Path, n: int, seed: int, condition: Any = None) -> Tensor:
    """n samples; of a model that is conditioned on more than a class, made from the run's held-out items."""
    inputs = data_of(run).held_out_batch(n) if gan.conditioned_on else None
    return gan.sample(n, seed=seed, condition=condition, inputs=inputs)


def beside(gan: GAN, run: Path, n: int) -> dict[str, Any]:
    """What the samples of `made` were made from, and the truth, as keyword arguments of media.save."""
    data = data_of(run)
    inputs = data.held_out_batch(n)
    prepared = gan.prepare_batch({key: value.to(gan.device) for key, value in inputs.items()})
    return {"inputs": told(data, inputs), "real": gan.readable(prepared["real"].float().cpu())}


def nearest(gan: GAN, run: Path, n: int, seed: int, neighbours: int, condition: Any = None) -> Tensor:
    """[n * (neighbours + 1), ...]: each sample, then the training pictures nearest to it in Euclidean distance of pixels.

    The training pictures are read in parts: no more than the nearest so far and one part are in memory.
    """
    samples, data = made(gan, run, n, seed, condition), data_of(run)
    items = data.plain_train_set()
    print(f"comparing with {len(items):,} training pictures", file=sys.stderr, flush=True)
    best = samples.unsqueeze(1)[:, :0]
    for part in real_parts(gan, items, data.resolution):
        if data.flip:  # G was shown each picture either way round
            part = torch.cat([part, part.flip(-1)])
        best = _nearer(samples, best, part, neighbours)
    return torch.cat([samples.unsqueeze(1), best], dim=1).flatten(0, 1)


def _nearer(samples: Tensor, best: Tensor, part: Tensor, k: int) -> Tensor:
    """[N, at most k, ...]: for each sample the nearest of `best` [N, b, ...] and of `part` [M, ...], nearest first."""
    index, _ = nearest_training(samples.flatten(1), part.flatten(1), k=min(k, len(part)))
    found = torch.cat([best, part[index]], dim=1)
    distance = (found - samples.unsqueeze(1)).double().flatten(2).square().sum(2)
    order = distance.argsort(dim=1, stable=True)[:, :k]
    return found[torch.arange(len(samples)).unsqueeze(1), order]
