"""What the metrics accept: sets of feature vectors [N, D], pictures [N, C, H, W] in [-1, 1], and a seed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

VALUES = 2**20  # looked at together where a set is gone through batch by batch


def as_features(samples: Tensor, name: str = "features", least: int = 2) -> Tensor:
    """`samples` as float [N, D] (anything per sample is flattened; integers and half precision become
    float32).

    float64 stays float64. Raises ValueError when there are fewer than `least` samples or a value is not
    finite.
    """
    if not isinstance(samples, Tensor) or samples.ndim < 2:
        shape = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise ValueError(
            f"{name} must be a tensor [N, D], got {shape}; stack the samples along the first axis"
        )
    if len(samples) < least:
        raise ValueError(f"{name} holds {len(samples)} samples, at least {least} are needed; draw more")
    flat = samples.detach().flatten(1)
    flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    if not all(bool(torch.isfinite(rows).all()) for rows in flat.split(at_once(flat))):  # masks are as large
        bad = int((~torch.isfinite(flat)).any(1).sum())
        raise ValueError(
            f"{name}: {bad} of {len(flat)} samples hold NaN or Inf; a metric of them would mean nothing"
        )
    return flat


def feature_pair(real: Tensor, fake: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets as float [N, D] and [M, D], one dtype, on the real set's device; ValueError if D differs."""
    real, fake = as_features(real, "real", least), as_features(fake, "fake", least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real has {real.shape[1]} dimensions, fake {fake.shape[1]}; take both through the same features"
        )
    dtype = torch.promote_types(real.dtype, fake.dtype)
    return real.to(dtype), fake.to(real.device, dtype)


def as_pictures(pictures: Tensor, name: str = "pictures") -> Tensor:
    """`pictures` as float [N, C, H, W] in [-1, 1]; uint8 0 ... 255 is scaled, floats beyond [-1, 1] are
    refused.
    """
    if not isinstance(pictures, Tensor) or pictures.ndim != 4:
        shape = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        raise ValueError(f"{name} must be a tensor [N, C, H, W], got {shape}")
    if pictures.dtype == torch.uint8:
        return pictures.float() / 127.5 - 1
    if not pictures.is_floating_point():
        raise ValueError(f"{name} must be uint8 or float in [-1, 1], got {pictures.dtype}")
    pictures = pictures.detach() if pictures.dtype == torch.float64 else pictures.detach().float()
    if pictures.numel() == 0:
        return pictures
    low, high = float(pictures.min()), float(pictures.max())
    if not (low >= -1.001 and high <= 1.001):  # written so that NaN is refused too
        raise ValueError(
            f"{name} must lie in [-1, 1], got [{low:.4g}, {high:.4g}]; scale 0 ... 255 by x / 127.5 - 1"
        )
    return pictures.clamp(-1, 1)


def at_once(samples: Tensor, most: int | None = None) -> int:
    """How many samples [N, ...] hold VALUES values together: at least 1, at most `most`."""
    found = max(1, VALUES // max(1, samples[:1].numel()))
    return found if most is None else min(most, found)


def picture_batches(
    pictures: Tensor, name: str = "pictures", dtype: torch.dtype | None = None
) -> Iterator[Tensor]:
    """The pictures batch by batch as `as_pictures` gives them (as `dtype`, if any), so that no copy of a set is made."""
    as_pictures(pictures[:0] if isinstance(pictures, Tensor) else pictures, name)  # shape and type
    for batch in pictures.split(at_once(pictures)):
        ready = as_pictures(batch, name)
        yield ready if dtype is None else ready.to(dtype)


def as_bytes(pictures: Tensor, name: str = "pictures") -> Tensor:
    """`pictures` as uint8 0 ... 255, rounded to the nearest level; uint8 passes unchanged."""
    if isinstance(pictures, Tensor) and pictures.dtype == torch.uint8 and pictures.ndim == 4:
        return pictures
    return ((as_pictures(pictures, name) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def picture_pair(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets as float pictures in [-1, 1] of one dtype; ValueError when C, H or W differ."""
    real, fake = as_pictures(real, "real"), as_pictures(fake, "fake")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"real pictures are {tuple(real.shape[1:])}, fake ones {tuple(fake.shape[1:])}; resize one set"
        )
    dtype = torch.promote_types(real.dtype, fake.dtype)
    return real.to(dtype), fake.to(real.device, dtype)


def probabilities(given: Tensor, name: str = "probabilities") -> Tensor:
    """`given` checked to be rows of probabilities, as float64 [N, K]."""
    rows = as_features(given, name, least=1).double()
    if rows.min() < 0 or (rows.sum(1) - 1).abs().max() > 1e-3:
        raise ValueError(f"{name}: each row must be >= 0 and sum to 1; apply softmax to logits first")
    return rows


def seeded(seed: int) -> torch.Generator:
    """A CPU generator of its own: the global random state is never touched."""
    return torch.Generator().manual_seed(seed)


def subset(samples: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """`size` of the samples, drawn without replacement."""
    if size > len(samples):
        raise ValueError(
            f"a subset of {size} cannot be drawn from {len(samples)} samples without replacement"
        )
    chosen = torch.randperm(len(samples), generator=generator)[:size]
    return samples[chosen.to(samples.device)]
