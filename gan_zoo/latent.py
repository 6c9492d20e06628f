"""What the generator starts from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_zoo import chance
from gan_zoo.schema import ConfigError

LAWS = ("normal", "uniform", "unit_uniform", "unit_variance_uniform", "rademacher", "sphere")

UNIFORM = {
    "uniform": (-1.0, 1.0),
    "unit_uniform": (0.0, 1.0),
    "unit_variance_uniform": (-math.sqrt(3), math.sqrt(3)),
}


class Latent:
    """z of shape [N, Z] (or [N, *size]): normal N(0, 1); uniform U(-1, 1); unit_uniform U(0, 1); unit_variance_uniform
    U(-sqrt 3, sqrt 3); rademacher, -1 or 1 at even chances; sphere, a normal projected to norm sqrt(Z), so that its
    mean square is 1.

    Where the data are discrete and G is smooth, a z of one piece has to pass through mixtures on its way from one kind of
    sample to another; rademacher draws none of the points between.
    """

    def __init__(self, size: int | Sequence[int], law: str = "normal") -> None:
        if law not in LAWS:
            raise ConfigError(f"model.latent.law must be one of {', '.join(LAWS)}; got {law!r}")
        self.size, self.law = size, law
        self.shape = (size,) if isinstance(size, int) else tuple(size)

    def draw(self, n: int, device: torch.device) -> Tensor:
        """This rank's z of the current training step, [n, *size]."""
        return self._shaped(
            n,
            lambda shape: chance.normal_rows(shape, device),
            lambda shape: chance.uniform_rows(shape, device),
        )

    def fixed(self, n: int, seed: int) -> Tensor:
        """[n, *size] on the CPU, a function of seed alone; the first n of a longer draw are the same."""
        generator = torch.Generator().manual_seed(chance.mix(seed, "latent"))
        return self._shaped(
            n,
            lambda shape: torch.stack([torch.randn(shape[1:], generator=generator) for _ in range(n)]),
            lambda shape: torch.stack([torch.rand(shape[1:], generator=generator) for _ in range(n)]),
        )

    @property
    def mean(self) -> float:
        return 0.5 if self.law == "unit_uniform" else 0.0

    def of_normal(self, z: Tensor) -> Tensor:
        """Standard normal numbers [N, *size] turned into ones of this law, each by itself; without a jump where it has values
        between."""
        if self.law == "rademacher":
            return signs(z)
        if self.law in UNIFORM:
            low, high = UNIFORM[self.law]
            return low + (high - low) * torch.special.ndtr(z)
        return on_sphere(z) if self.law == "sphere" else z

    def _shaped(
        self, n: int, normal: Callable[[list[int]], Tensor], uniform: Callable[[list[int]], Tensor]
    ) -> Tensor:
        shape = [n, *self.shape]
        if self.law == "normal":
            return normal(shape)
        if self.law == "sphere":
            return on_sphere(normal(shape))
        if self.law == "rademacher":
            return signs(uniform(shape) - 0.5)
        low, high = UNIFORM[self.law]
        return low + (high - low) * uniform(shape)


def signs(x: Tensor) -> Tensor:
    """1 where x is 0 or more, -1 elsewhere."""
    return torch.where(x >= 0, 1.0, -1.0)


def on_sphere(z: Tensor) -> Tensor:
    """[N, ...] scaled to mean square 1."""
    return z * z.flatten(1).square().mean(1).rsqrt().view(-1, *[1] * (z.dim() - 1))


def straight(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Points between a and b, each [*size], at shares [N] in [0, 1]: [N, *size]."""
    weight = share.view(-1, *[1] * a.dim())
    return torch.lerp(a.unsqueeze(0), b.unsqueeze(0), weight)


def spherical(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """As straight, along the great circle from a to b, norms interpolated too (White 2016, sec. 2.1).

    A straight line between two Gaussian latents passes through points whose norm no latent has. Parallel ends: the line.
    """
    norms = a.norm(), b.norm()
    cosine = (a / norms[0] * (b / norms[1])).sum().clamp(-1, 1)
    angle = torch.acos(cosine)
    if angle.sin() < 1e-4:
        return straight(a, b, share)
    weight = share.view(-1, *[1] * a.dim())
    direction = (
        torch.sin((1 - weight) * angle) * (a / norms[0]) + torch.sin(weight * angle) * (b / norms[1])
    ) / angle.sin()
    return direction * torch.lerp(norms[0], norms[1], weight)
