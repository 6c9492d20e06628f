"""evaluation.json: figures with their protocols, written after each measure, and compared only where that is fair."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gan_zoo import media
from gan_zoo.metrics.measures import Taken
from gan_zoo.metrics.protocol import Figure, ProtocolMismatch
from gan_zoo.schema import ConfigError

NAME, FORMAT = "evaluation.json", 1


def empty(run: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """run: which model on which data, at which position; settings: what decides the figures."""
    return {"format": FORMAT, "run": run, "settings": settings, "measures": {}, "pictures": []}


def read(run: Path) -> dict[str, Any] | None:
    """The evaluation of a run directory; None where there is none; ConfigError where it cannot be read."""
    path = run / NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']} came, {FORMAT} was wanted")
        figures_in(content)
        return dict(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
        raise ConfigError(
            f"{path}: not an evaluation that can be read ({failure}); remove it and evaluate again"
        ) from None


def begun(run: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """What an earlier, perhaps interrupted evaluation of the same moment and settings found; else `fresh`."""
    try:
        earlier = read(run)
    except ConfigError:
        return fresh
    same = earlier is not None and all(earlier[key] == plain(fresh[key]) for key in ("run", "settings"))
    return earlier if same and earlier else fresh


def write(run: Path, content: dict[str, Any]) -> Path:
    media.publish(run / NAME, (json.dumps(plain(content), indent=1, allow_nan=False) + "\n").encode())
    return run / NAME


def entry(title: str, taken: dict[str, Taken], details: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One measure as it is stored; `matched` is the value with as many fakes as the floor has held-out reals."""
    figures = {name: {"figure": one.figure.to_dict(), "floor_samples": one.floor_samples, "matched": one.matched}
               for name, one in taken.items()}  # fmt: skip
    return {"title": title, "seconds": round(seconds, 2), "figures": figures, "details": details}


def plain(value: Any) -> Any:
    """Plain JSON: tuples are lists; NaN and Inf, which JSON does not have, become their names."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def figures_in(content: dict[str, Any]) -> dict[str, Figure]:
    """All figures of an evaluation by name."""
    return {
        name: Figure.from_dict(item["figure"])
        for measure in content["measures"].values()
        for name, item in measure["figures"].items()
    }


def figures(run: str | Path) -> dict[str, Figure]:
    """The figures of an evaluated run; ConfigError where it has not been evaluated."""
    content = read(Path(run))
    if content is None:
        raise ConfigError(f"{run}: not evaluated yet; run python -m gan_zoo.evaluate run={run}")
    return figures_in(content)


def compared(mine: dict[str, Figure], theirs: dict[str, Figure]) -> dict[str, str]:
    """Of each figure that both have: better, worse, equal, or 'not apart' where the intervals overlap.

    ProtocolMismatch, with all that differs, where two figures of one name were made in different ways.
    """
    return {name: _verdict(mine[name], theirs[name]) for name in mine if name in theirs}


def _verdict(mine: Figure, theirs: Figure) -> str:
    better, worse = mine.better_than(theirs), theirs.better_than(mine)
    if not better and not worse:
        return "equal"
    if mine.interval and theirs.interval and not mine.apart_from(theirs):
        return "not apart"
    return "better" if better else "worse"


__all__ = [
    "ProtocolMismatch",
    "begun",
    "compared",
    "empty",
    "entry",
    "figures",
    "figures_in",
    "plain",
    "read",
    "write",
]
