"""Initial weights by name."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

InitName = Literal[
    "normal",
    "truncated_normal",
    "uniform",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "default",
]
Weighted = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def fans(layer: nn.Module) -> tuple[int, int]:
    """How many inputs each output of a layer reads, and how many outputs each input feeds (strides left out,
    as in Keras)."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    receptive = weight[0, 0].numel()
    rows, columns = weight.shape[0] * receptive, weight.shape[1] * receptive
    return (rows, columns) if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d)) else (columns, rows)


def _initialise_weight(layer: nn.Module, law: InitName, scale: float) -> None:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    fan_in, fan_out = fans(layer)
    if law == "normal":
        nn.init.normal_(weight, 0.0, scale)
    elif law == "truncated_normal":
        nn.init.trunc_normal_(weight, 0.0, scale, -2 * scale, 2 * scale)
    elif law == "uniform":
        nn.init.uniform_(weight, -scale, scale)
    else:
        family, _, shape = law.partition("_")
        std = scale * math.sqrt(2 / (fan_in + fan_out) if family == "glorot" else 2 / fan_in)
        if shape == "normal":
            nn.init.normal_(weight, 0.0, std)
        else:
            nn.init.uniform_(weight, -std * math.sqrt(3), std * math.sqrt(3))


def initialise(network: nn.Module, law: InitName, scale: float = 1.0) -> None:
    """Draws the weights of every linear and convolution layer of `network` anew and sets their biases to 0.

    scale: the standard deviation of normal, the bound of uniform, a factor on the others. truncated_normal is TensorFlow's:
    what lies beyond two deviations is drawn again, which leaves 0.88 of the deviation. `default` leaves torch's own.
    Embeddings and norms keep what they came with.
    """
    if law == "default":
        return
    for layer in network.modules():
        if isinstance(layer, Weighted):
            _initialise_weight(layer, law, scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
