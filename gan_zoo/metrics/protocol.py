"""A figure is its value and the way it was made: figures made in different ways are not compared.

The same model gets FID 17 to 54 depending on network, resize filter and numbers of samples. So each figure
carries its protocol, the floor (the same metric of held-out reals against training reals) and an interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

import torch
from scipy.special import stdtrit
from torch import Tensor

from gan_zoo.metrics.inputs import seeded, subset

Metric = Callable[[Tensor, Tensor], float]
Value = str | int | float | bool | None
NOT_COMPARED = frozenset({"seed"})  # another draw of the same experiment


class ProtocolMismatch(ValueError):
    """Two figures were made in different ways and cannot be compared."""


@dataclass(frozen=True)
class Protocol:
    """How a figure was made; two figures may be compared when all but the seed agree.

    features, features_sha256, resize: of gan_zoo.metrics.features.Features; split: of the real data; version:
    of gan_zoo; settings: of the metric (k, subsets, ...); data: the name of the data set; shape: of one sample, "3x64x64".
    """

    metric: str
    features: str
    features_sha256: str | None
    resize: str
    n_real: int
    n_fake: int
    split: str
    seed: int
    version: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    data: str = ""
    shape: str = ""

    def __post_init__(self) -> None:
        if self.n_real < 1 or self.n_fake < 1:
            raise ValueError(f"n_real and n_fake must be positive, got {self.n_real} and {self.n_fake}")
        object.__setattr__(self, "settings", dict(sorted(self.settings.items())))

    def differences(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """The fields that forbid a comparison: name -> (mine, the other's)."""
        names = [one.name for one in fields(self) if one.name not in NOT_COMPARED]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@dataclass(frozen=True)
class Interval:
    """low ... high at `level` (0.95); method says how; error is the standard error it was made from."""

    low: float
    high: float
    level: float
    error: float
    method: str


@dataclass(frozen=True)
class Figure:
    """A measured value with all that is needed to judge it; `to_dict` and `from_dict` are plain JSON."""

    value: float
    protocol: Protocol
    lower_is_better: bool = True
    interval: Interval | None = None
    floor: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values only. NaN and Inf become their names, since JSON has none."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Figure:
        """The figure that `to_dict` stored; ValueError names missing and unknown keys."""
        _same_keys(cls, stored)
        _same_keys(Protocol, stored["protocol"])
        interval = stored["interval"]
        return cls(
            float(stored["value"]),
            Protocol(**stored["protocol"]),
            bool(stored["lower_is_better"]),
            None if interval is None else _interval(interval),
            None if stored["floor"] is None else float(stored["floor"]),
        )

    def better_than(self, other: Figure) -> bool:
        """Whether this figure is strictly better; ProtocolMismatch where the two cannot be compared."""
        require_same_protocol(self, other)
        return self.value < other.value if self.lower_is_better else self.value > other.value

    def apart_from(self, other: Figure) -> bool:
        """Whether the two intervals do not overlap: a difference that more samples would not explain away."""
        require_same_protocol(self, other)
        if self.interval is None or other.interval is None:
            raise ValueError("both figures need an interval; measure them with subset_interval")
        return self.interval.high < other.interval.low or other.interval.high < self.interval.low

    def __str__(self) -> str:
        text = f"{self.protocol.metric} {self.value:.4g}"
        if self.interval is not None:
            text += f" [{self.interval.low:.4g}, {self.interval.high:.4g}]"
        if self.floor is not None:
            text += f", floor {self.floor:.4g}"
        p = self.protocol
        return f"{text} ({p.features}, {p.resize}, {p.n_real} {p.split} reals, {p.n_fake} fakes)"


def require_same_protocol(*figures: Figure) -> None:
    """Raises ProtocolMismatch unless all figures were made in the same way."""
    for other in figures[1:]:
        different = figures[0].protocol.differences(other.protocol)
        if different:
            listed = "; ".join(f"{name}: {a!r} and {b!r}" for name, (a, b) in different.items())
            raise ProtocolMismatch(
                f"these figures cannot be compared, they differ in {listed}. Measure both the same way"
            )


def best(figures: Mapping[str, Figure]) -> str:
    """The name of the best figure; ProtocolMismatch when they were made in different ways. NaN never wins."""
    if not figures:
        raise ValueError("there are no figures to choose from")
    require_same_protocol(*figures.values())
    sign = 1 if next(iter(figures.values())).lower_is_better else -1
    return min(
        figures, key=lambda name: math.inf if math.isnan(figures[name].value) else sign * figures[name].value
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _interval(stored: Mapping[str, Any]) -> Interval:
    _same_keys(Interval, stored)
    low, high, level, error = (float(stored[key]) for key in ("low", "high", "level", "error"))
    return Interval(low, high, level, error, str(stored["method"]))


def _same_keys(kind: type, stored: Mapping[str, Any]) -> None:
    known = {one.name for one in fields(kind)}
    needed = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
    missing, unknown = sorted(needed - set(stored)), sorted(set(stored) - known)
    if missing or unknown:
        raise ValueError(
            f"a stored {kind.__name__} lacks {missing} and has unknown {unknown}; measure it again"
        )


# ---------------------------------------------------------------- floors and intervals


def floor(metric: Metric, train: Tensor, held_out: Tensor, n_fake: int, seed: int = 0) -> float:
    """The metric of held-out reals in the place of fakes: what a perfect generator would get.

    Uses min(n_fake, held-out) samples. Where fewer are held out than fakes were drawn, the bias of FID-like
    metrics makes the floor too high: say the number beside it.
    """
    return metric(train, subset(held_out, min(n_fake, len(held_out)), seeded(seed)))


def _students_interval(value: float, error: float, level: float, draws: int, method: str) -> Interval:
    """value +- Student's quantile times an error that is known from `draws` figures alone."""
    half = float(stdtrit(draws - 1, (1 + level) / 2)) * error
    return Interval(value - half, value + half, level, error, method)


def subset_interval(
    metric: Metric,
    real: Tensor,
    fake: Tensor,
    *,
    value: float | None = None,
    subsets: int = 20,
    share: float = 0.5,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """value +- t error (Student's), from random subsets without replacement (delete-d jackknife, Shao & Wu 1989).

    error = deviation over subsets of m of n samples x sqrt(m / (n - m)): with m = n / 2 the deviation itself.
    Fit for nearest-neighbour metrics, which a bootstrap's repeated samples would break; the bias of FID at m
    cancels. value: the figure of the whole sets, computed here when None.
    """
    if not (0 < share < 1 and subsets >= 2):
        raise ValueError(f"share must lie in (0, 1) and subsets be at least 2, got {share} and {subsets}")
    generator = seeded(seed)
    sizes = [max(2, round(share * len(one))) for one in (real, fake)]
    drawn = [
        metric(subset(real, sizes[0], generator), subset(fake, sizes[1], generator)) for _ in range(subsets)
    ]
    spread = float(torch.tensor(drawn, dtype=torch.float64).std(correction=1))
    value = metric(real, fake) if value is None else value
    error = spread * math.sqrt(share / (1 - share))
    return _students_interval(value, error, level, subsets, f"{subsets} subsets of {share:g}")


def bootstrap_interval(
    metric: Metric, real: Tensor, fake: Tensor, *, draws: int = 200, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap, with replacement: for means and shares, not for neighbour metrics.

    The quantiles are of the resampled figures themselves, so FID's interval lies above its value: use subsets
    there.
    """
    generator = seeded(seed)

    def again(one: Tensor) -> Tensor:
        return one[torch.randint(len(one), (len(one),), generator=generator).to(one.device)]

    drawn = torch.tensor([metric(again(real), again(fake)) for _ in range(draws)], dtype=torch.float64)
    low, high = drawn.quantile(drawn.new_tensor([(1 - level) / 2, (1 + level) / 2])).tolist()
    return Interval(low, high, level, float(drawn.std(correction=1)), f"bootstrap of {draws}")


def measure(
    metric: Metric,
    real: Tensor,
    fake: Tensor,
    protocol: Protocol,
    *,
    held_out: Tensor | None = None,
    lower_is_better: bool = True,
    subsets: int = 20,
) -> Figure:
    """The whole figure: value, subset interval (subsets 0: none) and, with held-out features, the floor.

    protocol's n_real and n_fake are set from the tensors.
    """
    protocol = replace(protocol, n_real=len(real), n_fake=len(fake))
    value = metric(real, fake)
    interval = None
    if subsets:
        interval = subset_interval(metric, real, fake, value=value, subsets=subsets, seed=protocol.seed)
    lowest = None if held_out is None else floor(metric, real, held_out, len(fake), protocol.seed)
    return Figure(value, protocol, lower_is_better, interval, lowest)
