"""Samples of a generator: what is asked of it, what it is given of the data, and that they leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_zoo.latent import Latent
from gan_zoo.play.batch import Batch
from gan_zoo.play.weights import listed
from gan_zoo.schema import ConfigError


def asked(
    law: Latent | None,
    classes: int,
    n: int,
    seed: int,
    condition: Tensor | int | list[int] | None,
    latent: Tensor | None,
) -> Batch:
    """Latents of the seed, or those that came, and classes as asked, or in turn; ConfigError unless there are n of each."""
    batch: Batch = {}
    if law:
        batch["latent"] = law.fixed(n, seed) if latent is None else latent
    if condition is None and classes:
        condition = torch.arange(n) % classes
    if condition is not None and not classes:
        raise ConfigError(f"condition={condition} came, but this model is given no class; leave it out")
    if condition is not None:
        chosen = torch.as_tensor(condition)
        batch["condition"] = chosen.expand(n) if chosen.dim() == 0 else chosen
        if not bool(((batch["condition"] >= 0) & (batch["condition"] < classes)).all()):
            raise ConfigError(f"condition must be classes 0 ... {classes - 1}, got {condition}")
    for key, value in batch.items():
        if len(value) != n:
            raise ConfigError(f"{key} has {len(value)} entries for {n} samples; give one for each")
    return batch


def given(keys: Sequence[str], inputs: Batch | None, n: int, model: str) -> Batch:
    """Those keys of `inputs` that a model needs; ConfigError where one is missing or has fewer than n entries."""
    lacking = [key for key in keys if key not in (inputs or {})]
    if lacking:
        raise ConfigError(
            f"{model} makes its samples from {listed(keys)}, and {listed(lacking)} did not come; "
            f"give inputs={{{', '.join(f'{key!r}: ...' for key in keys)}}}, such as data.held_out_batch(n)"
        )
    found = {key: (inputs or {})[key] for key in keys}
    for key, value in found.items():
        if len(value) < n:
            raise ConfigError(f"{key} has {len(value)} entries for {n} samples; give one for each")
    return found


@contextmanager
def undisturbed(network: nn.Module, batch_statistics: bool) -> Iterator[None]:
    """In evaluation mode, or with batch statistics and dropout, within it; afterwards mode and buffers are as before."""
    was_training = network.training
    before = [buffer.clone() for buffer in network.buffers()]  # batch statistics would move running ones
    network.train(batch_statistics)
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.data.copy_(value)
        network.train(was_training)
