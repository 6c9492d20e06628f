"""A run's own settings, with what the command line changes; what would make the continuation meaningless is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gan_zoo import classes, plain_yaml
from gan_zoo import config as configs
from gan_zoo.schema import CheckpointError, ConfigError
from gan_zoo.signatures import shown

FREE = (
    "max_samples",
    "log_every",
    "sample_every",
    "checkpoint_every",
    "resume",
    "debug",
    "compile",
    "logger",
    "callbacks",
    "data.root",
    "data.embeddings",
    "data.workers",
    "data.cache",
    "data.download",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.nodes",
    "trainer.timeout",
)
OWN_CALLBACKS = (  # those of conf/callbacks: what a file may ask for without the command line
    "gan_zoo.callbacks.evaluation.Evaluation",
    "gan_zoo.callbacks.resolutions.Resolutions",
)
MOST_SHOWN = 8  # of the changes that are refused; another model is another fifty values
_MISSING = object()


def continued(composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The saved config of composed["resume"] with the keys that `overrides` name; prints what changed.

    composed: the config of the command line. A class named by the saved file is taken only if gan_zoo defines it or the
    command line names it too.
    """
    directory = _run_directory(composed["resume"])
    saved = plain_yaml.plain(directory / "config.yaml")
    _distrust(saved, composed, directory)
    config = _copied(saved)
    for key in _named(overrides, saved):
        _put(config, key, _get(composed, key))
    config["resume"] = composed["resume"]
    try:
        config = configs.validate(config)
    except ConfigError as failure:
        raise ConfigError(f"{directory / 'config.yaml'}, with this command line: {failure}") from None
    changes = _differences(saved, config)
    refused = [change for key, change in changes.items() if not key.startswith(FREE)]
    if len(refused) > MOST_SHOWN:
        refused[MOST_SHOWN:] = [f"and {len(refused) - MOST_SHOWN} more"]
    if refused:
        raise ConfigError(
            f"{directory} cannot go on with other rules than it was played by: {'; '.join(refused)}. "
            f"Start a new run from its weights instead: init_from={directory}"
        )
    for key, change in changes.items():
        if key not in ("resume", "output_dir"):
            print(f"changed on resume: {change}")
    return config


def choices(overrides: list[str]) -> list[str]:
    """model=NAME, data=NAME and callbacks=NAME of the run that `overrides` resume, where they do not choose: its keys are then
    known.

    Nothing where there is no such run; what is wrong with it is said when it is resumed.
    """
    given = dict(text.partition("=")[::2] for text in overrides)
    file = Path(given.get("resume", ""), "config.yaml")
    if not given.get("resume") or "experiment" in given or not os.path.isfile(file):
        return []
    try:
        saved = plain_yaml.plain(file)
    except (CheckpointError, ConfigError):
        return []
    names = {group: _name(saved, group) for group in ("model", "data", "callbacks")}
    return [
        f"{group}={name}"
        for group, name in names.items()
        if group not in given
        and isinstance(name, str)
        and (configs.conf_dir() / group / f"{name}.yaml").is_file()
    ]


def _name(saved: dict[str, Any], group: str) -> Any:
    settings = saved.get(group)
    if not isinstance(settings, dict):
        return None
    if group == "callbacks":  # whose choices are called as what they hold
        return next(iter(settings)) if len(settings) == 1 else None
    return settings.get("name")


def _run_directory(name: str) -> Path:
    """`name`, if a run wrote it and going on in it would write nowhere else."""
    if "://" in name:
        raise CheckpointError(
            f"{name}: an address came, only local run directories are resumed; download it first"
        )
    directory = Path(name)
    if not os.path.isfile(directory / "config.yaml"):  # Path.is_file raises for names that are too long
        raise CheckpointError(
            f"{directory}: not a run directory (no config.yaml); resume= takes one that gan_zoo.train wrote"
        )
    for path in directory.rglob("*"):
        if path.is_symlink() and not path.is_dir() and not path.resolve().is_relative_to(directory.resolve()):
            raise CheckpointError(
                f"{path}: a link to {os.readlink(path)}, outside of the run, which going on might overwrite; "
                f"put the file itself there, or remove the link"
            )
    return directory


def _distrust(saved: dict[str, Any], composed: dict[str, Any], directory: Path) -> None:
    """CheckpointError for a class that only the saved file names; of its callbacks gan_zoo's own go on."""
    for group in ("model", "data"):
        if not isinstance(saved.get(group), dict):
            raise CheckpointError(
                f"{directory / 'config.yaml'}: {group}: {shown(saved.get(group))} came, keys and values were wanted"
            )
        target = saved[group].get("_target_")
        own = group == "data" and isinstance(target, str) and target.startswith("gan_zoo.data.")
        if target is not None and not own and target != composed[group].get("_target_"):
            raise CheckpointError(
                f"{directory} names a class from outside gan_zoo, {group}._target_: {shown(target)}; if it is yours, say "
                f"so on the command line, by {group}=... as when the run was started"
            )
        if own:
            classes.load_data_class(target)
    saved["callbacks"] = composed["callbacks"] | _own_callbacks(saved.get("callbacks"), composed["callbacks"])


def _own_callbacks(saved: Any, composed: dict[str, Any]) -> dict[str, Any]:
    """Those that the saved file may name; of the others it is said that they are left out."""
    kept: dict[str, Any] = {}
    for name, settings in (saved if isinstance(saved, dict) else {}).items():
        target = settings.get("_target_") if isinstance(settings, dict) else None
        if target in OWN_CALLBACKS:
            kept[name] = settings
        elif settings and name not in composed:
            print(
                f"left out on resume: callbacks.{name}, a class from outside gan_zoo ({shown(target)}); "
                f"name it on the command line again to have it"
            )
    return kept


def _named(overrides: list[str], saved: dict[str, Any]) -> list[str]:
    """Keys that the command line sets; a choice of a group sets all that the group holds, unless it is the run's own."""
    asked = [text.lstrip("+~").partition("=") for text in overrides]
    names = [
        key.partition("@")[0].replace("/", ".")
        for key, _, value in asked
        if value != _name(saved, key) or not value
    ]
    groups = [name for name in names if isinstance(saved.get(name), dict)]
    return [
        *groups,
        *(
            name
            for name in names
            if name not in groups and name not in ("resume", "experiment") and not name.startswith("hydra")
        ),
    ]


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _get(config: dict[str, Any], key: str) -> Any:
    """The value of a dotted key; _MISSING where the command line takes it away (~key)."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _put(config: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(config.get(parent), dict):
            config[parent] = {}
        config = config[parent]
    if value is _MISSING:
        config.pop(last, None)
    else:
        config[last] = value


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots, as they are written on the command line."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        nested = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _differences(saved: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    before, after = flat(saved), flat(config)
    return {
        key: f"{key}: {_said(before, key)} -> {_said(after, key)}"
        for key in sorted({*before, *after})
        if before.get(key, _MISSING) != after.get(key, _MISSING)
    }


def _said(flat: dict[str, Any], key: str) -> str:
    return shown(flat[key]) if key in flat else "not set"
