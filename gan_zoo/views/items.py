"""Samples as they come, beside what they were made from, and beside the training pictures nearest to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_zoo.callbacks.pictures import told
from gan_zoo.gan import GAN
from gan_zoo.metrics.duplicates import nearest_training
from gan_zoo.run import data_of, real_samples


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
    """[n * (neighbours + 1), ...]: each sample, then the training pictures nearest to it in Euclidean distance of pixels."""
    samples = made(gan, run, n, seed, condition)
    data = data_of(run)
    real = real_samples(gan, data.train_set(), data.resolution)
    order, _ = nearest_training(samples.flatten(1), real.flatten(1), k=min(neighbours, len(real)))
    return torch.cat([torch.cat([samples[i : i + 1], real[order[i]]]) for i in range(n)])
