"""Normalisation by name, for [N, F] and [N, C, H, W] alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

NormName = Literal["batch", "instance", "layer", "none"]
CriticNormName = Literal["auto", "batch", "instance", "layer", "none"]


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm (Ioffe & Szegedy 2015) of [N, F] or [N, F, ...].

    momentum: the weight of the new batch in the running averages, which is 1 minus what Keras calls momentum.
    running: keep running averages and use them outside training; without them each batch is judged by its own
    statistics, when sampling too, as the DCGAN authors do, so that a picture depends on its batch mates.
    gain_std: gains are drawn from N(1, gain_std).
    """

    def __init__(
        self,
        features: int,
        *,
        eps: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(gt=0, le=1)] = 0.1,
        affine: bool = True,
        running: bool = True,
        gain_std: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(features, eps=eps, momentum=momentum, affine=affine, track_running_stats=running)
        if affine and gain_std:
            nn.init.normal_(self.weight, 1.0, gain_std)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm wants [N, F, ...], got {tuple(input.shape)}")


class InstanceNorm(nn.Module):
    """[N, C, H, W]: each channel of each picture to mean 0 and variance 1, then a learnt gain and bias."""

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(features, eps=eps, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            raise ValueError(
                f"instance norm wants [N, C, H, W], got {tuple(x.shape)}; choose norm=batch, layer or none"
            )
        return self.norm(x)


class LayerNorm(nn.GroupNorm):
    """Each sample to mean 0 and variance 1 over all its values, then a gain and bias a channel (Ba et al.
    2016)."""

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__(1, features, eps=eps)


class PixelNorm(nn.Module):
    """[N, C, ...]: x / sqrt(mean over channels of x^2 + 1e-8), in float32 (Karras et al. 2018, sec. 4.2).

    The result has mean square 1 at each pixel, hence norm sqrt(C), not 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # 1e-8 is 0 in half precision
            y = x.float()
            return (y * (y.square().mean(1, keepdim=True) + 1e-8).rsqrt()).to(x.dtype)


def picture_norm(name: NormName, features: int, batch_norm: dict[str, Any] | None = None) -> nn.Module:
    """As normalisation, for networks that translate pictures: their instance norm has no gain and bias, as pix2pixHD's.

    torch's own: a group norm of one channel a group is the same map, and four times slower in bfloat16 on CPUs.
    """
    return nn.InstanceNorm2d(features) if name == "instance" else normalisation(name, features, batch_norm)


def normalisation(name: NormName, features: int, batch_norm: dict[str, Any] | None = None) -> nn.Module:
    """A fresh norm over `features` units or channels; batch_norm: keyword arguments of BatchNorm."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "batch": lambda: BatchNorm(features, **(batch_norm or {})),
        "instance": lambda: InstanceNorm(features),
        "layer": lambda: LayerNorm(features),
        "none": nn.Identity,
    }
    if name not in makers:
        raise ValueError(f"norm must be one of {', '.join(makers)}; got {name!r}")
    return makers[name]()


def resolve(name: CriticNormName, per_sample: bool) -> NormName:
    """`auto` is batch norm, or none where a gradient penalty takes each sample's score by itself."""
    if name != "auto":
        return name
    return "none" if per_sample else "batch"


def cancels_bias(norm: NormName) -> bool:
    """Whether a bias a channel before this norm is subtracted again. (Layer norm mixes channels, so there it
    is not.)"""
    return norm in ("batch", "instance")
