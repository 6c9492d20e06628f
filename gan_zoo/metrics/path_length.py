"""Perceptual path length (Karras et al. 2019, sec. 4.1): how far pictures move when latents move a little.

PPL = E d(G(z(t)), G(z(t + e))) / e^2          d already quadratic, e = 1e-4
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gan_zoo.metrics.inputs import as_features, as_values, at_least, positive, seeded

Distance = Callable[[Tensor, Tensor], Tensor]


class PathLength(NamedTuple):
    """Mean and population deviation of the kept values, and how many were kept."""

    mean: float
    std: float
    kept: int


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Sum of squared differences of each pair, [N]: the plain quadratic distance."""
    return (a - b).flatten(1).square().sum(1)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Great-circle interpolation of normalised latents, t [N]; the result has norm 1 (StyleGAN's, for Z)."""
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    overlap = (a * b).sum(1, keepdim=True)
    angle = t[:, None] * overlap.clamp(-1, 1).acos()
    across = b - overlap * a
    across = across / across.norm(dim=1, keepdim=True).clamp_min(torch.finfo(a.dtype).tiny)
    return a * angle.cos() + across * angle.sin()


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Straight interpolation, t [N] (for W, or latents without a preferred norm)."""
    return a + (b - a) * t[:, None]


def perceptual_path_length(
    generate: Callable[[Tensor], Tensor],
    draw: Callable[[int, torch.Generator], Tensor],
    *,
    distance: Distance = squared_difference,
    interpolation: Literal["slerp", "lerp"] = "slerp",
    where: Literal["full", "end"] = "full",
    pairs: int = 50_000,
    epsilon: float = 1e-4,
    percentiles: tuple[float, float] | None = (1, 99),
    batch: int = 64,
    seed: int = 0,
    scale: Literal["unit", "sphere"] = "sphere",
) -> PathLength:
    """PPL of `generate`: latents [N, Z] -> samples, with latents from `draw(n, generator)`.

    distance: quadratic, [N, ...] x [N, ...] -> [N]. The papers use LPIPS-VGG16 as the squared L2 of its
    weighted features on pictures of 256 pixels; the default, plain squared difference, is not comparable with
    them. where: t ~ U(0, 1) ("full") or t = 0 ("end"). percentiles: values outside them are dropped, None
    keeps all. scale: with slerp, whether latents given to G have norm 1 ("unit", StyleGAN, whose mapping
    normalises) or sqrt(Z) ("sphere", where G was trained on N(0, I)). Give float64 latents for a small
    epsilon: the gap of float32 pictures at 1e-4 has about three digits.
    """
    positive(epsilon=epsilon)
    at_least(1, pairs=pairs, batch=batch)
    if percentiles is not None and not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError(f"percentiles must rise within 0 ... 100, got {percentiles}; None keeps all paths")
    generator = seeded(seed)
    values = []
    with torch.no_grad():
        for start in range(0, pairs, batch):
            n = min(batch, pairs - start)
            a, b = (_latents(draw(n, generator), n) for _ in range(2))
            t = torch.rand(n, generator=generator, dtype=torch.float64) if where == "full" else torch.zeros(n)
            t = t.to(a)
            near, far = _path(a, b, t, epsilon, interpolation, scale)
            values.append((distance(generate(near), generate(far)).double() / epsilon**2).cpu())
    found = as_values(torch.cat(values), "path lengths")
    if len(found) != pairs:
        raise ValueError(f"distance must give one value a pair, got {len(found)} values of {pairs} pairs")
    return _summary(found, percentiles)


def _latents(drawn: Tensor, wanted: int) -> Tensor:
    as_features(drawn, "latents", least=1)
    if len(drawn) != wanted:
        raise ValueError(f"draw was asked for {wanted} latents and has given {len(drawn)}")
    return drawn


def _path(
    a: Tensor, b: Tensor, t: Tensor, epsilon: float, interpolation: str, scale: str
) -> tuple[Tensor, Tensor]:
    if interpolation == "lerp":
        return lerp(a, b, t), lerp(a, b, t + epsilon)
    length = a.shape[1] ** 0.5 if scale == "sphere" else 1.0
    return length * slerp(a, b, t), length * slerp(a, b, t + epsilon)


def _summary(values: Tensor, percentiles: tuple[float, float] | None) -> PathLength:
    if percentiles is not None:
        ordered = values.sort().values
        at = [share / 100 * (len(ordered) - 1) for share in percentiles]
        low, high = (
            ordered[math.floor(at[0])],
            ordered[math.ceil(at[1])],
        )  # as the authors: numpy's lower, higher
        values = values[(values >= low) & (values <= high)]
    return PathLength(float(values.mean()), float(values.std(correction=0)), len(values))
