"""What a value may be and what is said when it is not: the bottom of the import order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Arguments:
    """Marks a dict parameter as keyword arguments of `target`, less those in `given`, which the owner fills in.

        def __init__(self, *, generator: Annotated[dict[str, Any], Arguments(ConvGenerator, given=("channels",))])

    The config is then validated against `target`'s own annotations, however deep the nesting.
    """

    target: Any
    given: tuple[str, ...] = ()


class ByName(dict[str, Callable[..., Any]]):
    """Callables by name, as an Arguments target: `name` picks one. Hashed by identity, since types in annotations must be hashable."""

    __hash__ = object.__hash__  # type: ignore[assignment]


class ConfigError(ValueError):
    """A setting that cannot be right: what came, what was wanted, what to do."""


class CheckpointError(ValueError):
    """A checkpoint, export or run directory that cannot be used."""


class DataError(ValueError):
    """A file or folder of data that cannot be used."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = Path(path), reason

    def __reduce__(self) -> tuple[Any, ...]:  # crosses the process border of data workers
        return type(self), (str(self.path), self.reason)
