"""Nonlinearities by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

ActivationName = Literal["relu", "leaky_relu", "elu", "silu", "gelu", "tanh", "sigmoid", "linear"]
OutputName = Literal["tanh", "sigmoid", "linear"]


class UnitSigmoid(nn.Module):
    """A sigmoid whose pictures in [0, 1] are stretched to [-1, 1], the range every picture has outside a
    network."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid() * 2 - 1


class ToUnitRange(nn.Module):
    """[-1, 1] -> [0, 1], for a discriminator whose paper scores pixels in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


def activation(name: ActivationName, slope: float = 0.2) -> nn.Module:
    """A fresh module; `slope` is leaky_relu's, on the negative side, and ignored by the others."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(slope),
        "elu": nn.ELU,
        "silu": nn.SiLU,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "linear": nn.Identity,
    }
    if name not in makers:
        raise ValueError(f"activation must be one of {', '.join(makers)}; got {name!r}")
    return makers[name]()


def output_activation(name: OutputName) -> nn.Module:
    """A generator's last layer: values in (-1, 1) for tanh and sigmoid, unbounded for linear."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "tanh": nn.Tanh,
        "sigmoid": UnitSigmoid,
        "linear": nn.Identity,
    }
    if name not in makers:
        raise ValueError(f"output must be one of {', '.join(makers)}; got {name!r}")
    return makers[name]()
