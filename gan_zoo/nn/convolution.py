"""Convolutional generator and discriminator of any square side, every layer by arguments: DCGAN's and its
relatives'."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, cat, nn

from gan_zoo.nn.activations import ActivationName, OutputName, ToUnitRange, activation, output_activation
from gan_zoo.nn.dense import BatchNormSettings, Probability, minibatch_layer
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.labels import append
from gan_zoo.nn.minibatch import MinibatchName, MinibatchStdDev
from gan_zoo.nn.norms import CriticNormName, NormName, cancels_bias, normalisation, resolve
from gan_zoo.nn.per_layer import per_layer, without_identities
from gan_zoo.nn.resampling import UpsampleName, down_convolution, pyramid, sides_down, up_convolution
from gan_zoo.schema import ConfigError

Bias = bool | Literal["auto"]


def _with_bias(setting: Bias | list[Bias], norms: list[NormName], name: str = "bias") -> list[bool]:
    """One answer a layer and one for the last: `auto` leaves the bias out where the norm would subtract it
    again."""
    settings: list[Bias] = per_layer(setting, len(norms) + 1, name)
    automatic = [not cancels_bias(norm) for norm in norms] + [True]
    return [auto if given == "auto" else bool(given) for given, auto in zip(settings, automatic, strict=True)]


class _Stem(nn.Module):
    """[N, in_features] -> [N, channels, side, side]: a linear layer, or a transposed convolution from a 1x1
    map (one bias a channel); then norm, activation and dropout. unit: the norm is over each of the channels *
    side * side units."""

    def __init__(
        self,
        in_features: int,
        channels: int,
        side: int,
        kind: str,
        unit: bool,
        bias: bool,
        norm: NormName,
        batch_norm: dict[str, Any] | None,
        finish: list[nn.Module],
    ) -> None:
        super().__init__()
        if kind == "conv" and unit:
            raise ConfigError("stem_norm=unit needs stem=linear; a convolution's norm is one a channel")
        self.shape = (channels, side, side)
        self.map: nn.Module = (
            nn.ConvTranspose2d(in_features, channels, side, bias=bias)
            if kind == "conv"
            else nn.Linear(in_features, math.prod(self.shape), bias)
        )
        self.unit_norm = normalisation(norm, math.prod(self.shape), batch_norm) if unit else nn.Identity()
        self.finish = without_identities(
            nn.Identity() if unit else normalisation(norm, channels, batch_norm), *finish
        )

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.map, nn.ConvTranspose2d):
            return self.finish(self.map(x[:, :, None, None]))
        return self.finish(self.unit_norm(self.map(x)).unflatten(1, self.shape))


class ConvGenerator(nn.Module):
    """[N, latent] -> [N, image_channels, resolution, resolution] in [-1, 1], whatever the output's own range.

    Dense layers of `hidden` units, a stem that makes channels[0] maps of the smallest side, and one
    up-sampling layer for each of `channels`, the last to the picture. norm, activation and dropout go with
    `hidden` + `channels`; kernel, stride and upsample with the layer that leaves each of `channels`; bias
    with all of them. Without `channels` the net fits itself to the resolution: widths double from `width`
    towards the smallest map.

    label: values of a label [N, label] that every layer reads beside its input. maps: channels [N, maps,
    start, start] that the first up-sampling layer reads beside the stem's.
    """

    def __init__(
        self,
        latent: int,
        resolution: int,
        image_channels: int,
        *,
        label: NonNegativeInt = 0,
        maps: NonNegativeInt = 0,
        width: PositiveInt = 64,
        channels: list[PositiveInt] | None = None,
        max_channels: PositiveInt = 512,
        hidden: list[PositiveInt] | None = None,
        start: PositiveInt | None = None,
        stem: Literal["linear", "conv"],
        stem_norm: Literal["channel", "unit"] = "channel",
        kernel: PositiveInt | list[PositiveInt],
        stride: PositiveInt | list[PositiveInt] = 2,
        upsample: UpsampleName | list[UpsampleName] = "transposed",
        norm: NormName | list[NormName],
        batch_norm: BatchNormSettings | None = None,
        activation: ActivationName | list[ActivationName],
        slope: float = 0.2,
        dropout: Probability | list[Probability] = 0.0,
        bias: Bias | list[Bias] = "auto",
        output: OutputName,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        hidden = hidden or []
        down = channels[::-1] if channels else None
        turned = stride[::-1] if isinstance(stride, list) else stride
        down, strides = pyramid(resolution, width, down, max_channels, turned, start)
        widths, strides = down[::-1], strides[::-1]
        sides = sides_down(resolution, strides[::-1])[::-1]
        self.start, first, count = sides[0], len(hidden), len(hidden) + len(widths)
        norms: list[NormName] = per_layer(norm, count, "norm")
        biases = _with_bias(bias, norms)
        kernels = per_layer(kernel, len(widths), "kernel")
        modes: list[UpsampleName] = per_layer(upsample, len(widths), "upsample")
        finish = _finishes(
            per_layer(activation, count, "activation"), slope, per_layer(dropout, count, "dropout")
        )

        self.hidden = nn.ModuleList(
            without_identities(
                nn.Linear(i + label, o, biases[k]), normalisation(norms[k], o, batch_norm), *finish[k]
            )
            for k, (i, o) in enumerate(zip([latent, *hidden], hidden, strict=False))
        )
        self.stem = _Stem(
            (hidden or [latent])[-1] + label,
            widths[0],
            self.start,
            stem,
            stem_norm == "unit",
            biases[first],
            norms[first],
            batch_norm,
            finish[first],
        )
        self.layers = nn.ModuleList()
        for i, (inward, outward) in enumerate(zip(widths, [*widths[1:], image_channels], strict=True)):
            extra, last = label + (maps if i == 0 else 0), i == len(widths) - 1
            layer = up_convolution(
                inward + extra,
                outward,
                kernels[i],
                strides[i],
                modes[i],
                sides[i],
                sides[i + 1],
                biases[first + i + 1],
            )
            after = (
                [output_activation(output)]
                if last
                else [normalisation(norms[first + i + 1], outward, batch_norm), *finish[first + i + 1]]
            )
            self.layers.append(without_identities(layer, *after))
        initialise(self, init, init_scale)

    def forward(self, z: Tensor, label: Tensor | None = None, maps: Tensor | None = None) -> Tensor:
        x = z
        for layer in self.hidden:
            x = layer(append(x, label))
        x = self.stem(append(x, label))
        if maps is not None:
            x = cat([x, maps], dim=1)
        for layer in self.layers:
            x = layer(append(x, label))
        return x


def _finishes(names: list[ActivationName], slope: float, drops: list[float]) -> list[list[nn.Module]]:
    return [[activation(name, slope), nn.Dropout(drop)] for name, drop in zip(names, drops, strict=True)]


class ConvDiscriminator(nn.Module):
    """[N, image_channels, resolution, resolution] -> (logits [N], the outputs of its layers).

    One convolution for each of `channels`, then flattened or pooled, dense layers of `hidden` units, one
    logit. norm, activation, dropout and bias go with `channels` + `hidden` (bias: + the head). A norm given
    once leaves the first layer without, as a norm there would hide the scale of the picture. The last feature
    is the vector that the head reads.

    label: values of a label [N, label] that every layer, the head too, reads beside its input. per_sample:
    norm `auto` is none. unit_range: the net itself works on pixels in [0, 1]. head: `pool` averages each map
    over the picture.
    """

    def __init__(
        self,
        resolution: int,
        image_channels: int,
        *,
        label: NonNegativeInt = 0,
        per_sample: bool = False,
        unit_range: bool = False,
        width: PositiveInt = 64,
        channels: list[PositiveInt] | None = None,
        max_channels: PositiveInt = 512,
        hidden: list[PositiveInt] | None = None,
        end: PositiveInt | None = None,
        kernel: PositiveInt | list[PositiveInt],
        stride: PositiveInt | list[PositiveInt] = 2,
        norm: CriticNormName | list[CriticNormName],
        batch_norm: BatchNormSettings | None = None,
        activation: ActivationName | list[ActivationName],
        slope: float = 0.2,
        dropout: Probability | list[Probability] = 0.0,
        bias: Bias | list[Bias] = "auto",
        head: Literal["linear", "pool"] = "linear",
        minibatch: MinibatchName = "none",
        minibatch_group: PositiveInt | None = None,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        hidden = hidden or []
        widths, strides = pyramid(resolution, width, channels, max_channels, stride, end)
        sides, count = sides_down(resolution, strides), len(widths) + len(hidden)
        kernels = per_layer(kernel, len(widths), "kernel")
        norms = self._norms(norm, count, per_sample)
        biases = _with_bias(bias, norms)
        finish = _finishes(
            per_layer(activation, count, "activation"), slope, per_layer(dropout, count, "dropout")
        )

        self.input = ToUnitRange() if unit_range else nn.Identity()
        self.layers = nn.ModuleList(
            without_identities(
                down_convolution(inward + label, outward, kernels[i], strides[i], sides[i], biases[i]),
                normalisation(norms[i], outward, batch_norm),
                *finish[i],
            )
            for i, (inward, outward) in enumerate(zip([image_channels, *widths], widths, strict=False))
        )
        self.pool = head == "pool"
        self.stddev = MinibatchStdDev(minibatch_group) if minibatch == "stddev" else None
        vector = (widths[-1] + (self.stddev is not None)) * (1 if self.pool else sides[-1] ** 2)
        self.hidden = nn.ModuleList(
            without_identities(
                nn.Linear(inward + label, outward, biases[len(widths) + i]),
                normalisation(norms[len(widths) + i], outward, batch_norm),
                *finish[len(widths) + i],
            )
            for i, (inward, outward) in enumerate(zip([vector, *hidden], hidden, strict=False))
        )
        among = "none" if minibatch == "stddev" else minibatch
        self.minibatch, vector = minibatch_layer(among, [vector, *hidden][-1], minibatch_group)
        self.head = nn.Linear(vector + label, 1, biases[-1])
        initialise(self, init, init_scale)

    @staticmethod
    def _norms(norm: CriticNormName | list[CriticNormName], count: int, per_sample: bool) -> list[NormName]:
        given: list[CriticNormName] = per_layer(norm, count, "norm")
        if not isinstance(norm, list):
            given[0] = "none"
        return [resolve(name, per_sample) for name in given]

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        features: list[Tensor] = []
        x = self.input(x)
        for layer in self.layers:
            x = layer(append(x, label))
            features.append(x)
        vector = self._vector(features.pop())
        for layer in self.hidden:
            features.append(vector)
            vector = layer(append(vector, label))
        vector = self.minibatch(vector)
        return self.head(append(vector, label)).squeeze(1), (*features, vector)

    def _vector(self, maps: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, F]: with the minibatch's std, pooled or flattened."""
        if self.stddev is not None:
            maps = self.stddev(maps)
        return maps.mean((2, 3)) if self.pool else maps.flatten(1)
