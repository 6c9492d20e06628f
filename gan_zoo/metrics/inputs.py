"""What the metrics accept: sets of feature vectors [N, D], pictures [N, C, H, W] in [-1, 1], and a seed."""

from __future__ import annotations

import math
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
    if not samples[:1].numel() and len(samples):
        raise ValueError(
            f"{name} have no dimensions, got {tuple(samples.shape)}; a sample needs at least one value"
        )
    flat = samples.detach().flatten(1)
    flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    if not all(bool(torch.isfinite(rows).all()) for rows in flat.split(at_once(flat))):  # masks are as large
        bad = int((~torch.isfinite(flat)).any(1).sum())
        raise ValueError(
            f"{name}: {bad} of {len(flat)} samples hold NaN or Inf; a metric of them would mean nothing"
        )
    return flat


def feature_pair(
    real: Tensor, fake: Tensor, least: int = 2, names: tuple[str, str] = ("real", "fake")
) -> tuple[Tensor, Tensor]:
    """Both sets as float [N, D] and [M, D], one dtype, on the first set's device; ValueError if D differs."""
    real, fake = as_features(real, names[0], least), as_features(fake, names[1], least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"{names[0]} has {real.shape[1]} dimensions, {names[1]} {fake.shape[1]}; take both through the same "
            f"features"
        )
    dtype = torch.promote_types(real.dtype, fake.dtype)
    return real.to(dtype), fake.to(real.device, dtype)


def as_values(values: Tensor, name: str = "values", least: int = 1) -> Tensor:
    """All numbers of `values` as float64 [P]; ValueError for fewer than `least`, NaN or Inf."""
    require_values(values, name, least)
    return values.detach().flatten().double()


def require_values(values: Tensor, name: str = "values", least: int = 1) -> None:
    """The same check of a set of any size, of which no copy is made."""
    if not isinstance(values, Tensor) or values.is_complex():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"{name} must be a tensor of real numbers, got {kind}")
    if values.numel() < least:
        raise ValueError(f"{name} holds {values.numel()} values, at least {least} are needed; draw more")
    bad = sum(int((~torch.isfinite(some)).sum()) for some in values.detach().flatten().split(VALUES))
    if bad:
        raise ValueError(
            f"{name}: {bad} of {values.numel()} values are NaN or Inf; a metric of them would mean nothing"
        )


def as_histogram(counts: Tensor, name: str = "counts") -> Tensor:
    """Counts or shares of any shape, as float64; ValueError unless all are >= 0 and some are more."""
    require_values(counts, name)
    counts = counts.detach().double()
    if counts.min() < 0 or not counts.sum() > 0:
        raise ValueError(
            f"{name} must be a non-empty histogram of counts >= 0, got {tuple(counts.shape)} from {float(counts.min()):g} "
            f"on with the sum {float(counts.sum()):g}; count samples first"
        )
    return counts


def histogram_pair(
    p: Tensor, q: Tensor, names: tuple[str, str] = ("first", "second")
) -> tuple[Tensor, Tensor]:
    """Two histograms of one shape as float64 shares that sum to 1."""
    p, q = as_histogram(p, names[0]), as_histogram(q, names[1])
    if p.shape != q.shape:
        raise ValueError(
            f"{names[0]} is {tuple(p.shape)} and {names[1]} {tuple(q.shape)}; two non-empty histograms of one shape are "
            f"needed, so count over the same bins"
        )
    return p / p.sum(), q / q.sum()


def as_classes(numbers: Tensor, name: str = "labels", classes: int | None = None, least: int = 1) -> Tensor:
    """Class numbers as int64 [N], each from 0 to `classes` - 1; ValueError for floats and for fewer than `least`."""
    if not isinstance(numbers, Tensor) or numbers.ndim != 1 or numbers.is_floating_point():
        shape = (
            f"{tuple(numbers.shape)} of {numbers.dtype}"
            if isinstance(numbers, Tensor)
            else type(numbers).__name__
        )
        raise ValueError(
            f"{name} must be a tensor of integers [N], got {shape}; give one class number a sample"
        )
    require_values(numbers, name, least)
    numbers = numbers.long()
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or (classes is not None and high >= classes):
        wrong, end = (low, "from 0 on") if low < 0 else (high, f"0 ... {int(classes or 0) - 1}")
        raise ValueError(f"{name}: class {wrong} does not exist; count classes {end}")
    return numbers


def at_least(least: int, **given: int) -> None:
    """ValueError that names the first setting below `least`."""
    for name, value in given.items():
        if not value >= least:  # written so that NaN is refused too
            raise ValueError(f"{name} must be at least {least}, got {value}")


def positive(**given: float) -> None:
    """ValueError that names the first setting that is not a positive number."""
    for name, value in given.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, got {value}")


def share_of_one(**given: float) -> None:
    """ValueError that names the first setting outside (0, 1)."""
    for name, value in given.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {value}")


def as_pictures(pictures: Tensor, name: str = "pictures") -> Tensor:
    """`pictures` as float [N, C, H, W] in [-1, 1]; uint8 0 ... 255 is scaled, floats beyond [-1, 1] are
    refused.
    """
    if not isinstance(pictures, Tensor) or pictures.ndim != 4:
        shape = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        raise ValueError(f"{name} must be a tensor [N, C, H, W], got {shape}")
    if pictures.dtype == torch.uint8:
        return _scaled(pictures, torch.float32)
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


def _scaled(levels: Tensor, dtype: torch.dtype) -> Tensor:
    """In the dtype that is wanted: through float32, a level would not equal the same one of float64 pictures."""
    return levels.to(dtype) / 127.5 - 1


def require_pictures(pictures: Tensor, name: str = "pictures", least: int = 1, side: int = 1) -> None:
    """ValueError for what is no pictures, for fewer than `least` and for smaller ones; looks at the first alone."""
    as_pictures(pictures[:1] if isinstance(pictures, Tensor) and pictures.ndim == 4 else pictures, name)
    if len(pictures) < least:
        raise ValueError(f"{name} holds {len(pictures)} pictures, at least {least} are needed; draw more")
    if pictures.shape[1] < 1 or min(pictures.shape[2:]) < side:
        raise ValueError(
            f"{name} need a channel and sides of at least {side}, got {tuple(pictures.shape[1:])}"
        )


def at_once(samples: Tensor, most: int | None = None) -> int:
    """How many samples [N, ...] hold VALUES values together: at least 1, at most `most`."""
    found = max(1, VALUES // max(1, samples[:1].numel()))
    return found if most is None else min(most, found)


def picture_batches(
    pictures: Tensor, name: str = "pictures", dtype: torch.dtype | None = None
) -> Iterator[Tensor]:
    """The pictures batch by batch as `as_pictures` gives them (as `dtype`, if any), so that no copy of a set is made."""
    require_pictures(pictures, name, least=0)
    for batch in pictures.split(at_once(pictures)):
        ready = (
            as_pictures(batch, name) if batch.dtype != torch.uint8 or dtype is None else _scaled(batch, dtype)
        )
        yield ready if dtype is None else ready.to(dtype)


def as_bytes(pictures: Tensor, name: str = "pictures") -> Tensor:
    """`pictures` as uint8 0 ... 255, rounded to the nearest level; uint8 passes unchanged."""
    if isinstance(pictures, Tensor) and pictures.dtype == torch.uint8 and pictures.ndim == 4:
        return pictures
    return ((as_pictures(pictures, name) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def picture_pair(real: Tensor, fake: Tensor, least: int = 0, side: int = 1) -> tuple[Tensor, Tensor]:
    """Both sets as float pictures in [-1, 1] of one dtype; ValueError when C, H or W differ, or as require_pictures."""
    require_pictures(real, "real", least, side)
    require_pictures(fake, "fake", least, side)
    real, fake = as_pictures(real, "real"), as_pictures(fake, "fake")
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"real pictures are {tuple(real.shape[1:])}, fake ones {tuple(fake.shape[1:])}; resize one set"
        )
    dtype = torch.promote_types(real.dtype, fake.dtype)
    return real.to(dtype), fake.to(real.device, dtype)


def probabilities(given: Tensor, name: str = "probabilities") -> Tensor:
    """`given` checked to be rows of probabilities, as float64 [N, K]; what rounding took from a sum of 1 is put back.

    bfloat16 has 8 bits: its softmax sums to 1 within 0.4 %, and within 1 % is taken for 1.
    """
    rows = as_features(given, name, least=1).double()
    rounding = torch.finfo(given.dtype).eps if given.is_floating_point() else 0.0
    sums = rows.sum(1)
    if rows.min() < 0 or (sums - 1).abs().max() > max(1e-3, rounding):
        raise ValueError(
            f"{name}: each row must be >= 0 and sum to 1, got values from {float(rows.min()):.4g} on and sums of "
            f"{float(sums.min()):.4g} ... {float(sums.max()):.4g}; apply softmax to logits first"
        )
    return rows / sums[:, None]


def probability_pair(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Both as rows of probabilities over the same classes, float64 [N, K] and [M, K]."""
    fake, real = probabilities(fake, "fake"), probabilities(real, "real")
    if fake.shape[1] != real.shape[1]:
        raise ValueError(
            f"fake has {fake.shape[1]} classes, real {real.shape[1]}; ask one classifier about both"
        )
    return fake, real.to(fake.device)


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
