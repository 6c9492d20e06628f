"""What changes over time, as pure functions of samples seen: no state, exact on resume, testable as a table of numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo.schema import ConfigError

Schedule = Callable[[int], float]
SMALLEST = 7  # a side up to this is not halved further: 4 for powers of two, 7 for 28


def constant(value: float) -> Schedule:
    return lambda samples: value


def linear(value: float, to: float, length: int, start: int = 0) -> Schedule:
    """`value` until `start`, then a straight line to `to` over `length` samples, then `to`."""
    return lambda samples: value + (to - value) * min(max((samples - start) / length, 0.0), 1.0)


def cosine(value: float, to: float, length: int, start: int = 0) -> Schedule:
    """As linear, along half a cosine."""
    line = linear(0.0, 1.0, length, start)
    return lambda samples: to + (value - to) * (1 + math.cos(math.pi * line(samples))) / 2


def exponential(value: float, factor: float, every: int, floor: float = 0.0) -> Schedule:
    """value * factor^(samples / every), not below `floor`: a division by 1.000004 an update is factor 1 / 1.000004, every = batch."""
    return lambda samples: max(value * factor ** (samples / every), floor)


def staircase(value: float, factor: float, every: int) -> Schedule:
    """value * factor^floor(samples / every): halved each 100 epochs, say."""
    return lambda samples: value * factor ** (samples // every)


def inverse_time(value: float, decay: float, every: int) -> Schedule:
    """value / (1 + decay * samples / every): Keras's `decay` with every = batch size."""
    return lambda samples: value / (1 + decay * samples / every)


def staged(value: float, factors: list[float], starts: list[int], ramp: int = 0) -> Schedule:
    """value * factors[i] once samples exceed starts[i], `value` before all of them.

    Over the first `ramp` samples it rises as exp(-5 (1 - samples / ramp)^2), the code of Karras et al. 2018.
    """

    def at(samples: int) -> float:
        passed = sum(samples > start for start in starts)
        rise = math.exp(-5 * (1 - samples / ramp) ** 2) if samples < ramp else 1.0
        return value * (factors[passed - 1] if passed else 1.0) * rise

    return at


def restarted(value: float, stages: list[list[int]]) -> Schedule:
    """Stages [held, falling], one after the other: `value` for `held` samples, then a line to 0 over `falling`; 0 after the last.

    pix2pixHD's: [[100 epochs, 100 epochs], [50 epochs, 50 epochs]].
    """
    if not stages or any(len(stage) != 2 or min(stage) < 0 or sum(stage) == 0 for stage in stages):
        raise ConfigError(f"schedule restarted: stages are [held, falling] numbers of samples, got {stages}")

    def at(samples: int) -> float:
        for held, falling in stages:
            if samples < held + falling:
                return value if samples < held else value * (1 - (samples - held) / falling)
            samples -= held + falling
        return 0.0

    return at


def warm_up(value: float, length: int, start: int = 0) -> Schedule:
    """From 0 at `start` to `value` over `length` samples."""
    return linear(0.0, value, length, start)


_FUNCTIONS = (constant, linear, cosine, exponential, staircase, inverse_time, warm_up, staged, restarted)
_BY_NAME = {f.__name__: f for f in _FUNCTIONS}


def create(setting: float | int | dict[str, Any]) -> Schedule:
    """A schedule from a number, or from {name: linear, value: ..., ...}; lengths are in samples."""
    if isinstance(setting, (int, float)):
        return constant(float(setting))
    if not isinstance(setting, dict):
        raise ConfigError(f"a schedule is a number or {{name: linear, value: ..., ...}}; got {setting!r}")
    arguments = dict(setting)
    name = arguments.pop("name", None)
    if name not in _BY_NAME:
        raise ConfigError(f"a schedule's name must be one of {', '.join(_BY_NAME)}; got {name!r}")
    try:
        inspect.signature(_BY_NAME[name]).bind(**arguments)
    except TypeError as wrong:
        wanted = ", ".join(inspect.signature(_BY_NAME[name]).parameters)
        raise ConfigError(f"schedule {name} takes {wanted}; {wrong}") from None
    if any(arguments.get(key, 1) <= 0 for key in ("length", "every")):
        raise ConfigError(
            f"schedule {name}: length and every are numbers of samples above 0, got {arguments}"
        )
    return _BY_NAME[name](**arguments)


def is_constant(setting: float | int | dict[str, Any]) -> bool:
    return not isinstance(setting, dict)


# ---- progressive growing --------------------------------------------------------------------------


class Moment(NamedTuple):
    """level: doublings above the smallest side; alpha in (0, 1]: weight of the newest path, 1 once alone."""

    level: int
    alpha: float


def levels_of(resolution: int) -> tuple[int, int]:
    """The smallest side, 4 to 7, and the number of resolutions from there: (4, 9) for 1024, (7, 3) for 28."""
    side, levels = resolution, 1
    while side > SMALLEST and side % 2 == 0:
        side, levels = side // 2, levels + 1
    if not 4 <= side <= SMALLEST:
        below = next(s for s in range(resolution, 3, -1) if _grows(s)) if resolution > 4 else 4
        above = next(s for s in range(max(resolution, 4), 10**9) if _grows(s))
        raise ConfigError(
            f"progressive growing doubles a side of 4 to 7, which does not lead to {resolution}; "
            f"set data.resolution to {below if below == above else f'{below} or {above}'}"
        )
    return side, levels


def _grows(side: int) -> bool:
    while side > SMALLEST and side % 2 == 0:
        side //= 2
    return 4 <= side <= SMALLEST


class Growth:
    """Progressive growing (Karras et al. 2018, sec. 2): each resolution alone, then the next one fades in.

    side, levels: the smallest side and how many resolutions there are. Lists hold one value a resolution, the
    smallest first; the last one stands for all that follow, a single value for all.

    stable: samples at a resolution before the next fades in. fade: samples while a resolution fades in.
    batch_size: global; {devices: list} for lists by number of devices, of which the largest number not above
    `devices` is taken. rate_factor: on the learning rates, in the same forms. ramp: samples over which the
    rates rise at the beginning. initial_resolution: where to begin; null is the smallest side, the full one
    grows nothing.
    """

    def __init__(
        self,
        side: int,
        levels: int,
        *,
        stable: NonNegativeInt | list[NonNegativeInt],
        fade: NonNegativeInt | list[NonNegativeInt],
        batch_size: PositiveInt | list[PositiveInt] | dict[str, list[PositiveInt]],
        rate_factor: PositiveFloat | list[PositiveFloat] | dict[str, list[PositiveFloat]] = 1.0,
        ramp: NonNegativeInt = 0,
        initial_resolution: PositiveInt | None = None,
        devices: PositiveInt = 1,
    ) -> None:
        self.side, self.levels, self.devices, self.ramp = side, levels, devices, ramp
        self.batch_sizes = _each(_of_devices(batch_size, devices, "batch_size"), levels, "batch_size")
        self.rate_factors = _each(_of_devices(rate_factor, devices, "rate_factor"), levels, "rate_factor")
        self.first = self._level_of(initial_resolution)
        self._lay_out(_each(stable, levels, "stable"), _each(fade, levels, "fade"))
        self.changes = self._changes()

    def _level_of(self, resolution: int | None) -> int:
        sides = [self.resolution(level) for level in range(self.levels)]
        if resolution is not None and resolution not in sides:
            known = ", ".join(map(str, sides))
            raise ConfigError(f"model.schedule.initial_resolution must be one of {known}, got {resolution}")
        return sides.index(resolution) if resolution else 0

    def _lay_out(self, stable: list[int], fade: list[int]) -> None:
        """starts[level], ends[level]: the samples between which a level fades in."""
        self.starts, self.ends, total = [0] * self.levels, [0] * self.levels, 0
        for level in range(self.first + 1, self.levels):
            self.starts[level] = total = total + stable[level - 1]
            self.ends[level] = total = total + fade[level]

    def at(self, samples_seen: int) -> Moment:
        """Level and alpha of the batch that begins there; a fade has begun after its start, not at it."""
        above = range(self.levels - 1, self.first, -1)
        level = next((level for level in above if samples_seen > self.starts[level]), self.first)
        length = self.ends[level] - self.starts[level]
        if samples_seen >= self.ends[level]:
            return Moment(level, 1.0)
        return Moment(level, (samples_seen - self.starts[level]) / length)

    def lod(self, samples_seen: int) -> float:
        """Resolutions still missing, the authors' level of detail: falls from levels - 1 to 0."""
        level, alpha = self.at(samples_seen)
        return self.levels - level - alpha

    def resolution(self, level: int) -> int:
        return self.side * 2**level

    def plan(self, samples_seen: int) -> tuple[int, int]:
        """(global batch size, resolution) of the batch that begins there."""
        level = self.at(samples_seen).level
        return self.batch_sizes[level], self.resolution(level)

    def _changes(self) -> frozenset[int]:
        """Where the first batch of each fade begins, and the first one after it: the optimisers start afresh.

        Positions follow from the batch sizes alone, so that a resumed run, too, finds itself exactly on them.
        """
        position, found = 0, set()
        for level in range(self.first + 1, self.levels):
            for wanted in (self.starts[level] + 1, self.ends[level]):
                batch = self.batch_sizes[self.at(position).level]
                position += max(0, math.ceil((wanted - position) / batch)) * batch
                found.add(position)
        return frozenset(found)

    def learning_rate(self, setting: Any) -> Any:
        """An optimiser's `lr` with this growth's factors and ramp; as it is where there are none."""
        if self.ramp == 0 and set(self.rate_factors) == {1.0}:
            return setting
        if isinstance(setting, dict):
            raise ConfigError(
                f"model.schedule has a ramp or rate factors, and an optimiser's lr is a schedule of its own, "
                f"{setting}; give lr as a number, or set model.schedule.ramp=0 model.schedule.rate_factor=1.0"
            )
        levels = range(self.first, self.levels)
        starts = [-1 if level == self.first else self.starts[level] for level in levels]
        factors = [self.rate_factors[level] for level in levels]
        return {"name": "staged", "value": setting, "factors": factors, "starts": starts, "ramp": self.ramp}

    def require_shares(self, accumulate: int = 1) -> None:
        """ConfigError unless each batch can be shared by all devices and accumulated micro-batches."""
        shares = self.devices * accumulate
        for level in range(self.first, self.levels):
            batch = self.batch_sizes[level]
            if batch % shares:
                below, above = batch // shares * shares, (batch // shares + 1) * shares
                working = f"{below} or {above}" if below else str(above)
                raise ConfigError(
                    f"model.schedule.batch_size is {batch} at {self.resolution(level)} px, which "
                    f"{self.devices} devices x {accumulate} accumulated batches cannot share equally; {working} "
                    "would work: give model.schedule.batch_size as a list, the smallest resolution first, or "
                    "model/schedule=tf"
                )


def _of_devices(values: Any, devices: int, name: str) -> Any:
    """The entry for the largest listed number of devices that is not above `devices`."""
    if not isinstance(values, dict):
        return values
    if not values or not all(key.isdecimal() for key in values):
        raise ConfigError(f"model.schedule.{name} wants numbers of devices as keys, got {list(values)}")
    fitting = [int(key) for key in values if int(key) <= devices]
    if not fitting:
        known = ", ".join(values)
        raise ConfigError(f"model.schedule.{name} has no entry for {devices} devices, only for {known}")
    return values[str(max(fitting))]


def _each(values: Any, levels: int, name: str) -> list[Any]:
    """One value a level; the last of a list is repeated."""
    if not isinstance(values, list):
        return [values] * levels
    if not values:
        raise ConfigError(f"model.schedule.{name} is empty; give one value a resolution, the smallest first")
    return [*values, *[values[-1]] * (levels - len(values))][:levels]
