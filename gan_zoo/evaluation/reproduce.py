"""The command that makes a run again, found from its config.yaml and checked by composing it."""

from __future__ import annotations

import shlex
from typing import Any

from gan_zoo.config import compose, conf_dir
from gan_zoo.resuming import flat
from gan_zoo.schema import ConfigError

NOT_OF_THE_RUN = (
    "output_dir",
    "resume",
    "debug",
    "trainer.accelerator",
    "trainer.timeout",
)  # where and how, not what
GROUPS = ("loss", "regularizer")
_MISSING = object()


def command_of(config: dict[str, Any]) -> tuple[str, bool]:
    """(`python -m gan_zoo.train ...`, whether composing it gives this config again, apart from where it was written).

    A run with classes of one's own (`_target_` of a model) cannot be composed here: its command is a beginning only.
    """
    words = [f"model={config['model'].get('name')}", f"data={config['data'].get('name')}"]
    try:
        words += _groups(config, compose(words))
        words += _values(config, compose(words))
        exact = not _values(config, compose(words))
    except (ConfigError, KeyError, TypeError):
        exact = False
    return f"python -m gan_zoo.train {shlex.join(words)}", exact


def _groups(config: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """loss=NAME and regularizer=NAME where they are not those that the model chooses."""
    return [
        f"{group}={name}"
        for group in GROUPS
        if config[group] != base[group] and (name := _file_of(group, config[group])) is not None
    ]


def _file_of(group: str, wanted: dict[str, Any]) -> str | None:
    """The choice of a group that composes to `wanted`, or the one of its name."""
    names = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    own = wanted.get("name")
    for name in sorted(names, key=lambda name: name != own):
        if (own is None or name.startswith(str(own))) and compose([f"{group}={name}"])[group] == wanted:
            return name
    return own if own in names else None


def _values(config: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """key=value for each value that differs."""
    mine, theirs = flat(config), flat(base)
    found = []
    for key, value in mine.items():
        if not key.startswith(NOT_OF_THE_RUN) and theirs.get(key, _MISSING) != value:
            found.append(f"{key}={_written(value)}")
    return found


def _written(value: Any) -> str:
    """As Hydra reads it back."""
    words = {True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return "null" if value is None else words[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    return str(value)
