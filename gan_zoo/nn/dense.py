"""Fully connected generator and discriminator, for pictures and for points: what Goodfellow et al. 2014 and
the toy critics are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo.nn.activations import ActivationName, OutputName, ToUnitRange, activation, output_activation
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.maxout import Maxout
from gan_zoo.nn.minibatch import MinibatchDiscrimination, MinibatchName, MinibatchStdDev
from gan_zoo.nn.norms import BatchNorm, CriticNormName, NormName, cancels_bias, normalisation, resolve
from gan_zoo.nn.per_layer import per_layer, without_identities
from gan_zoo.schema import Arguments

DenseActivation = ActivationName | Literal["maxout"]
Probability = Annotated[float, Field(ge=0, lt=1)]
BatchNormSettings = Annotated[dict[str, Any], Arguments(BatchNorm, given=("features",))]


def dense_layer(
    in_features: int,
    units: int,
    *,
    activation_name: DenseActivation,
    slope: float,
    pieces: int,
    norm: NormName,
    batch_norm: dict[str, Any] | None,
    dropout: float,
    bias: bool,
) -> nn.Sequential:
    """Linear (or maxout), norm, activation, dropout."""
    if activation_name == "maxout":
        head: list[nn.Module] = [Maxout(in_features, units, pieces), normalisation(norm, units, batch_norm)]
    else:
        head = [
            nn.Linear(in_features, units, bias),
            normalisation(norm, units, batch_norm),
            activation(activation_name, slope),
        ]
    return without_identities(*head, nn.Dropout(dropout))


class DenseStack(nn.Module):
    """[N, in_features] -> the outputs of its layers, [N, units[i]] each. Settings are one for all layers or
    one a layer."""

    def __init__(
        self,
        in_features: int,
        units: list[PositiveInt],
        *,
        activation: DenseActivation | list[DenseActivation],
        slope: float = 0.2,
        pieces: PositiveInt | list[PositiveInt] = 1,
        norm: NormName | list[NormName] = "none",
        batch_norm: BatchNormSettings | None = None,
        dropout: Probability | list[Probability] = 0.0,
    ) -> None:
        super().__init__()
        n = len(units)
        names: list[DenseActivation] = per_layer(activation, n, "activation")
        norms: list[NormName] = per_layer(norm, n, "norm")
        drops, folds = per_layer(dropout, n, "dropout"), per_layer(pieces, n, "pieces")
        self.in_features, self.out_features = in_features, units[-1] if units else in_features
        self.layers = nn.ModuleList(
            dense_layer(
                wide,
                narrow,
                activation_name=names[i],
                slope=slope,
                pieces=folds[i],
                norm=norms[i],
                batch_norm=batch_norm,
                dropout=drops[i],
                bias=not cancels_bias(norms[i]),
            )
            for i, (wide, narrow) in enumerate(zip([in_features, *units], units, strict=False))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class DenseGenerator(nn.Module):
    """[N, latent] -> [N, *shape] through hidden layers of `units`; pictures in [-1, 1], whatever the output's
    own range.

    output `auto` is tanh for pictures and linear for points.
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        units: list[PositiveInt],
        activation: ActivationName | list[ActivationName],
        slope: float = 0.2,
        norm: NormName | list[NormName] = "none",
        batch_norm: BatchNormSettings | None = None,
        dropout: Probability | list[Probability] = 0.0,
        output: OutputName | Literal["auto"],
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.hidden = DenseStack(
            latent,
            units,
            activation=activation,  # type: ignore[arg-type]
            slope=slope,
            norm=norm,
            batch_norm=batch_norm,
            dropout=dropout,
        )
        self.last = nn.Linear(self.hidden.out_features, math.prod(shape))
        if output == "auto":
            output = "linear" if len(self.shape) == 1 else "tanh"
        self.output = output_activation(output)
        initialise(self, init, init_scale)

    def forward(self, z: Tensor) -> Tensor:
        x = self.hidden(z)[-1] if len(self.hidden.layers) else z
        return self.output(self.last(x)).unflatten(1, self.shape)


class DenseDiscriminator(nn.Module):
    """[N, ...] -> (logits [N], the outputs of the hidden layers).

    in_features: values a sample. Dropout stays on in training mode for both players' steps: G's gradient goes
    through the dropped-out pass, as in the authors' code. input_dropout works on the sample itself.
    """

    def __init__(
        self,
        in_features: int,
        *,
        per_sample: bool = False,
        unit_range: bool = False,
        units: list[PositiveInt],
        activation: DenseActivation | list[DenseActivation],
        slope: float = 0.2,
        pieces: PositiveInt | list[PositiveInt] = 1,
        norm: CriticNormName = "none",
        batch_norm: BatchNormSettings | None = None,
        input_dropout: Probability = 0.0,
        dropout: Probability | list[Probability] = 0.0,
        minibatch: MinibatchName = "none",
        minibatch_group: PositiveInt | None = None,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        first_without: list[NormName] = ["none", *[resolve(norm, per_sample)] * (len(units) - 1)][
            : len(units)
        ]
        self.input = without_identities(
            ToUnitRange() if unit_range else nn.Identity(), nn.Dropout(input_dropout)
        )
        self.hidden = DenseStack(
            in_features,
            units,
            activation=activation,
            slope=slope,
            pieces=pieces,
            norm=first_without,
            batch_norm=batch_norm,
            dropout=dropout,
        )
        self.minibatch, seen = minibatch_layer(minibatch, self.hidden.out_features, minibatch_group)
        self.head = nn.Linear(seen, 1)
        initialise(self, init, init_scale)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = self.hidden(self.input(x.flatten(1))) or [x.flatten(1)]
        features[-1] = self.minibatch(features[-1])
        return self.head(features[-1]).squeeze(1), tuple(features)


def minibatch_layer(name: MinibatchName, features: int, group: int | None) -> tuple[nn.Module, int]:
    """A layer on [N, features] that shows D its batch, and the width it returns."""
    if name == "stddev":
        return MinibatchStdDev(group), features + 1
    if name == "discrimination":
        layer = MinibatchDiscrimination(features)
        return layer, features + layer.kernels
    return nn.Identity(), features
