"""experiments/NAME/grid.yaml: which trials there are, how long, how they are scored, what the papers say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from gan_zoo.schema import ConfigError
from gan_zoo.wording import raise_if, shown, suggestion

FILE = "grid.yaml"
CHECKOUT = Path(__file__).parents[2] / "experiments"
# where a run is written and how often it reports does not change what comes out
WITHOUT_EFFECT = ("output_dir", "resume", "debug", "log_every", "sample_every", "checkpoint_every", "logger")
Item = TypeVar("Item")


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]  # also the name of a folder


class _Once(yaml.SafeLoader):
    """YAML of which no mapping has a key twice: the second would replace the first in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one mapping", node.start_mark
                )
        return super().construct_mapping(node, deep)


class Choice(_Checked):
    """A row or a data set: what the table calls it, and the overrides that make it."""

    label: str
    overrides: tuple[str, ...] = ()


class Budget(_Checked):
    """How long a trial is. rows, data: further overrides of one row, of one data set; a row's win. first_seed: so
    that a search of settings needs none of the seeds that the table is made with."""

    description: str
    seeds: PositiveInt
    first_seed: NonNegativeInt = 0
    overrides: tuple[str, ...] = ()
    data: dict[str, tuple[str, ...]] = {}
    rows: dict[str, tuple[str, ...]] = {}
    measure: dict[str, Any] = {}


class Figure(_Checked):
    """One column: how its numbers are written. ideal: the best there is, by data set or for all."""

    label: str
    better: Literal["higher", "lower"]
    unit: Literal["", "%"] = ""
    decimals: int = Field(2, ge=0, le=6)
    ideal: float | dict[str, float] | None = None

    def written(self, value: float) -> str:
        """Without the unit; a share is written in percent."""
        return f"{value * (100 if self.unit == '%' else 1):.{self.decimals}f}"

    def best(self, data: str) -> float | None:
        return self.ideal.get(data) if isinstance(self.ideal, dict) else self.ideal


class Published(_Checked):
    """Numbers of a paper. row: the row they stand beside; none for a method that the grid does not have.

    status says who read them where: seen (in the paper), code, secondhand, or recalled and unchecked.
    """

    data: str
    row: str | None = None
    label: str
    source: str
    protocol: str
    status: Literal["seen", "code", "secondhand", "recalled"]
    figures: dict[str, float]
    deviations: dict[str, float] = {}


class Grid(_Checked):
    """All of a grid.yaml. Overrides count in this order: overrides, data, row, budget, its data, its row."""

    title: str
    question: str
    overrides: tuple[str, ...] = ()
    data: Annotated[dict[Key, Choice], Field(min_length=1)]
    rows: Annotated[dict[Key, Choice], Field(min_length=1)]
    budgets: Annotated[dict[Key, Budget], Field(min_length=1)]
    measure: dict[str, Any]
    figures: Annotated[dict[str, Figure], Field(min_length=1)]
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> Grid:
        problems: list[str] = []
        for key, budget in self.budgets.items():
            problems += _strangers(budget.rows, self.rows, f"budgets.{key}.rows")
            problems += _strangers(budget.data, self.data, f"budgets.{key}.data")
        for number, item in enumerate(self.published):
            problems += _strangers([item.data], self.data, f"published[{number}].data")
            problems += _strangers([item.row] if item.row else [], self.rows, f"published[{number}].row")
            problems += _strangers(item.figures, self.figures, f"published[{number}].figures")
            problems += _strangers(item.deviations, item.figures, f"published[{number}].deviations")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _strangers(names: Any, known: Any, key: str) -> list[str]:
    return [
        f"{key}: {name} is not declared; {suggestion(name, known)}" for name in names if name not in known
    ]


class Trial(NamedTuple):
    """One cell of the grid with one seed. fingerprint: of all that decides its figures; other settings are another
    trial. training: of what decides its weights; a trial that is only measured anew is not trained anew. directory: named
    after training too, so that trials of other settings, and of a grid of the same name elsewhere, are kept beside it."""

    data: str
    row: str
    seed: int
    overrides: tuple[str, ...]
    measure: dict[str, Any]
    training: str
    fingerprint: str
    directory: Path

    @property
    def name(self) -> str:
        return f"{self.data} / {self.row} / seed {self.seed}"


# --- reading ------------------------------------------------------------------------------------------------


def folder_of(experiment: str) -> Path:
    """The folder of a grid: a path, or a name in ./experiments or in the checkout's."""
    places = [Path(experiment).expanduser(), Path("experiments", experiment), CHECKOUT / experiment]
    for place in places:
        if (place / FILE).is_file():
            return place
    names = {file.parent.name for root in (Path("experiments"), CHECKOUT) for file in root.glob(f"*/{FILE}")}
    raise ConfigError(f"experiment={experiment}: no {FILE} there; {suggestion(experiment, names)}")


def read(folder: Path) -> Grid:
    """The grid of a folder; ConfigError names the key that cannot be right."""
    path = folder / FILE
    try:
        return Grid.model_validate(_Once(path.read_text(encoding="utf-8")).get_single_data())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or 'grid'}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"{path}: " + "\n".join(lines)) from None


def chosen(declared: dict[str, Item], wanted: Sequence[str] | None, key: str) -> dict[str, Item]:
    """The items asked for, in the order of the grid; all where none are named."""
    if wanted is None:
        return declared
    raise_if(
        [
            f"{key}: {shown(name)} came; {suggestion(name, declared)}"
            for name in wanted
            if name not in declared
        ]
    )
    return {name: item for name, item in declared.items() if name in wanted}


# --- trials -------------------------------------------------------------------------------------------------


def overrides_of(grid: Grid, budget: Budget, data: str, row: str) -> tuple[str, ...]:
    """What would stand on the command line of gan_zoo.train, without seed and directory."""
    return (
        *grid.overrides,
        *grid.data[data].overrides,
        *grid.rows[row].overrides,
        *budget.overrides,
        *budget.data.get(data, ()),
        *budget.rows.get(row, ()),
        "trainer.threads=1",
    )


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The checked config of a trial."""
    from gan_zoo.config import compose, validate

    return validate(compose(overrides))


def fingerprint(config: dict[str, Any], seed: int, measure: dict[str, Any]) -> str:
    """16 hex digits of everything that decides a trial's figures."""
    settings = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
    text = json.dumps([settings, seed, measure], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trials(
    grid: Grid, budget: Budget, directory: Path, seeds: int, extra: Sequence[str] = (),
    measure: dict[str, Any] | None = None,
) -> list[Trial]:  # fmt: skip
    """Seed by seed, so that a table broken off early has all rows; a row that does not compose is refused."""
    settings = {**grid.measure, **budget.measure, **(measure or {})}
    cells = {}
    for name in grid.data:
        for row in grid.rows:
            overrides = (*overrides_of(grid, budget, name, row), *extra)
            try:
                cells[name, row] = overrides, composed(overrides)
            except ConfigError as error:
                raise ConfigError(f"data {name}, row {row}: {error}") from None
    return [
        Trial(
            name, row, seed, overrides, settings, fingerprint(config, seed, {}),
            fingerprint(config, seed, settings), directory / name / row / f"seed-{seed}-{fingerprint(config, seed, {})[:8]}",
        )
        for seed in range(budget.first_seed, budget.first_seed + seeds)
        for (name, row), (overrides, config) in cells.items()
    ]  # fmt: skip
