"""Layers for sound: pre-emphasis, strided convolutions that keep lengths exact, and the U-shaped generator of SEGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from scipy.signal import lfilter
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.schema import ConfigError

Padding = Literal["zeros", "reflect"]
DecoderName = Literal["transposed", "upsample"]
SkipName = Literal["plain", "learnt", "none"]


def full_scale(sound: Tensor) -> Tensor:
    """int16 -> float32 in [-1, 1], -32768 and 32767 at the ends: (2 / 65535) (x - 32767) + 1, as SEGAN's authors write it.

    Floats pass as they are.
    """
    return sound if sound.is_floating_point() else (2 * sound.float() + 1) / 65535


def pre_emphasis(sound: Tensor, coefficient: float) -> Tensor:
    """[..., T] -> y[t] = x[t] - c x[t-1]; the first sample is kept."""
    return torch.cat([sound[..., :1], sound[..., 1:] - coefficient * sound[..., :-1]], dim=-1)


def de_emphasis(sound: Tensor, coefficient: float) -> Tensor:
    """[..., T] on the CPU -> y[t] = x[t] + c y[t-1]: the inverse of pre_emphasis; without gradients."""
    return torch.from_numpy(lfilter([1.0], [1.0, -coefficient], sound.detach().double().numpy())).to(
        sound.dtype
    )


def emphasised(batch: dict[str, Tensor], coefficient: float) -> dict[str, Tensor]:
    """A batch whose `real` and `condition`, where they came, are at full scale and behind pre_emphasis."""
    sounds = {key: full_scale(batch[key]) for key in ("real", "condition") if key in batch}
    return {**batch, **{key: pre_emphasis(sound, coefficient) for key, sound in sounds.items()}}


def code_length(resolution: int, stride: int, layers: int) -> int:
    """Length of the code of a window; ConfigError where the strides do not divide it."""
    factor = stride**layers
    if resolution % factor or resolution < factor:
        below, above = max(1, resolution // factor) * factor, (resolution // factor + 1) * factor
        raise ConfigError(
            f"{layers} layers of stride {stride} need windows of a multiple of {factor} samples, data.resolution={resolution} "
            f"came; {' or '.join(map(str, sorted({below, above})))} would work"
        )
    return resolution // factor


def code_latent(
    latent: dict[str, Any] | None, resolution: int, generator: dict[str, Any]
) -> tuple[int, dict[str, Any] | None]:
    """(channels of z, settings of a Latent as long as the code of WaveGenerator); (0, None) where there is no z."""
    length = code_length(resolution, generator["stride"], len(generator["channels"]))
    if latent is None:
        return 0, None
    channels = int(latent["size"])
    return channels, {**latent, "size": [channels, length]}


class Shrink(nn.Module):
    """[N, C, T] -> [N, K, T / stride]: a convolution. before: samples of padding on the left; the rest is on the right.

    TensorFlow's SAME padding is (kernel - stride) // 2 before and zeros; SEGAN+ reflects kernel // 2 - 1 and kernel // 2.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, padding: Padding, bias: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)
        before = (kernel - stride) // 2 if padding == "zeros" else kernel // 2 - 1
        after = kernel - stride - before if padding == "zeros" else kernel // 2
        self.padding, self.mode = (before, after), "constant" if padding == "zeros" else "reflect"

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "reflect" and x.shape[-1] <= max(self.padding):  # too short to be reflected
            return self.conv(F.pad(x, self.padding, mode="replicate"))
        return self.conv(F.pad(x, self.padding, mode=self.mode))


class Grow(nn.Module):
    """[N, C, T] -> [N, K, stride T]: a transposed convolution, or the nearest sample repeated and then a convolution.

    The ends are cut as in TensorFlow's SAME padding; a kernel narrower than the stride is refused.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, decoder: DecoderName, bias: bool
    ) -> None:
        super().__init__()
        self.stride, self.before = stride, (kernel - stride) // 2
        if decoder == "transposed":
            self.conv: nn.Module = nn.ConvTranspose1d(inputs, outputs, kernel, stride, bias=bias)
        else:
            self.conv = nn.Conv1d(inputs, outputs, kernel, bias=bias)
            self.padding = (kernel - 1) // 2, kernel // 2
        self.upsamples = decoder == "upsample"

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[-1] * self.stride
        if self.upsamples:
            return self.conv(F.pad(x.repeat_interleave(self.stride, dim=-1), self.padding))
        return self.conv(x)[..., self.before : self.before + length]


class WaveGenerator(nn.Module):
    """(noisy [N, 1, T], z [N, Z, T'] or None) -> [N, 1, T] in [-1, 1] (Pascual et al. 2017, fig. 2).

    channels: of the encoder's layers; the decoder mirrors them. The decoder's layers get the encoder's maps of their length,
    taken before the activation. skips: plain; learnt, with a gain a channel that starts at 1 (SEGAN+); or none.
    slope: PReLU's, one a channel, at the start. latent_channels: of z, which is put before the code; 0: no z.
    decoder_init: law of the decoder's weights; None: the encoder's, and `default` leaves torch's own weights and biases.
    """

    def __init__(
        self,
        *,
        latent_channels: NonNegativeInt,
        channels: list[PositiveInt],
        kernel: PositiveInt,
        stride: PositiveInt,
        padding: Padding,
        skips: SkipName,
        decoder: DecoderName,
        bias: bool,
        slope: float = 0.0,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        decoder_init: InitName | None = None,
    ) -> None:
        super().__init__()
        refuse_kernel(kernel, stride)
        into = [1, *channels[:-1]]
        self.encoder = nn.ModuleList(
            Shrink(i, o, kernel, stride, padding, bias) for i, o in zip(into, channels, strict=True)
        )
        self.encoder_activations = nn.ModuleList(nn.PReLU(o, init=slope) for o in channels)
        outputs = into[::-1]  # ... and the last one is the sound
        beside = [latent_channels, *([0] * len(outputs) if skips == "none" else channels[-2::-1])]
        inputs = [size + more for size, more in zip([channels[-1], *outputs[:-1]], beside, strict=False)]
        self.decoder = nn.ModuleList(
            Grow(i, o, kernel, stride, decoder, bias) for i, o in zip(inputs, outputs, strict=True)
        )
        self.decoder_activations = nn.ModuleList(
            [*(nn.PReLU(o, init=slope) for o in outputs[:-1]), nn.Tanh()]
        )
        self.gains = (
            nn.ParameterList(nn.Parameter(torch.ones(size, 1)) for size in channels[:-1])
            if skips == "learnt"
            else None
        )
        self.skips = skips != "none"
        initialise(self.encoder, init, init_scale)
        initialise(self.decoder, decoder_init or init, 1.0 if decoder_init else init_scale)

    def forward(self, noisy: Tensor, z: Tensor | None) -> Tensor:
        x, maps = noisy, []
        for layer, activation in zip(self.encoder, self.encoder_activations, strict=True):
            linear = layer(x)
            maps.append(linear)
            x = activation(linear)
        x = x if z is None else torch.cat([z.to(x.dtype), x], dim=1)
        last = len(self.decoder) - 1
        for depth, (layer, activation) in enumerate(zip(self.decoder, self.decoder_activations, strict=True)):
            x = activation(layer(x))
            if self.skips and depth < last:
                x = torch.cat([x, self._gained(maps, last - 1 - depth)], dim=1)
        return x

    def _gained(self, maps: Sequence[Tensor], layer: int) -> Tensor:
        return maps[layer] if self.gains is None else self.gains[layer] * maps[layer]


def refuse_several_channels(channels: int) -> None:
    if channels != 1:
        raise ConfigError(f"this model hears one channel, got data.channels={channels}; average them first")


def refuse_kernel(kernel: int, stride: int) -> None:
    if kernel < stride + 1 or kernel % 2 == 0:
        raise ConfigError(
            f"kernel must be odd and wider than the stride, got kernel {kernel} and stride {stride}"
        )
