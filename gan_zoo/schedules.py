"""What changes over time, as pure functions of samples seen: no state, exact on resume, testable as a table of numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from gan_zoo.schema import ConfigError

Schedule = Callable[[int], float]


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


def warm_up(value: float, length: int, start: int = 0) -> Schedule:
    """From 0 at `start` to `value` over `length` samples."""
    return linear(0.0, value, length, start)


_BY_NAME = {f.__name__: f for f in (constant, linear, cosine, exponential, staircase, inverse_time, warm_up)}


def create(setting: float | int | dict[str, Any]) -> Schedule:
    """A schedule from a number, or from {name: linear, value: ..., ...}; lengths are in samples."""
    if isinstance(setting, (int, float)):
        return constant(float(setting))
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
        raise ConfigError(f"schedule {name}: length and every are numbers of samples above 0, got {arguments}")
    return _BY_NAME[name](**arguments)


def is_constant(setting: float | int | dict[str, Any]) -> bool:
    return not isinstance(setting, dict)
