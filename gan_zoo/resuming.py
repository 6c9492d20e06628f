"""A run's own settings, with what the command line changes; what would make the continuation meaningless is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan_zoo import classes, plain_yaml
from gan_zoo import config as configs
from gan_zoo.schema import CheckpointError, ConfigError
from gan_zoo.signatures import shown

FREE = ("max_samples", "log_every", "sample_every", "checkpoint_every", "resume", "debug", "compile", "logger", "callbacks",
        "data.root", "data.workers", "data.cache", "data.download", "trainer.accelerator", "trainer.devices", "trainer.nodes",
        "trainer.timeout")
_MISSING = object()


def continued(composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The saved config of composed["resume"] with the keys that `overrides` name; prints what changed.

    composed: the config of the command line. A class named by the saved file is taken only if gan_zoo defines it or the
    command line names it too.
    """
    directory = Path(composed["resume"])
    if not (directory / "config.yaml").is_file():
        raise CheckpointError(f"{directory}: not a run directory (no config.yaml); resume= takes one that gan_zoo.train wrote")
    saved = plain_yaml.plain(directory / "config.yaml")
    _distrust(saved, composed)
    config = _copied(saved)
    for key in _named(overrides, saved):
        _put(config, key, _get(composed, key))
    config["resume"] = composed["resume"]
    changes = _differences(saved, config)
    refused = [change for key, change in changes.items() if not key.startswith(FREE)]
    if refused:
        raise ConfigError(f"{directory} cannot go on with other rules than it was played by: {'; '.join(refused)}. "
                          f"Start a new run from its weights instead: init_from={directory}")
    for key, change in changes.items():
        if key not in ("resume", "output_dir"):
            print(f"changed on resume: {change}")
    return configs.validate(config)


def _distrust(saved: dict[str, Any], composed: dict[str, Any]) -> None:
    for group in ("model", "data"):
        target = (saved.get(group) or {}).get("_target_")
        own = group == "data" and isinstance(target, str) and target.startswith("gan_zoo.data.")
        if target is not None and not own and target != composed[group].get("_target_"):
            raise CheckpointError(f"the run names a class from outside gan_zoo, {group}._target_: {shown(target)}; if it is yours, say "
                                  f"so on the command line, by {group}=... as when the run was started")
        if own:
            classes.load_data_class(target)
    saved["callbacks"] = composed["callbacks"]


def _named(overrides: list[str], saved: dict[str, Any]) -> list[str]:
    """Keys that the command line sets; a choice of a group sets all that the group holds."""
    names = [text.lstrip("+~").partition("=")[0] for text in overrides]
    groups = [name for name in names if isinstance(saved.get(name), dict)]
    return [*groups, *(name for name in names if name not in groups and name not in ("resume", "experiment") and "/" not in name
                       and not name.startswith("hydra"))]


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _get(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value[part]
    return value


def _put(config: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def _differences(saved: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    before, after = _flat(saved), _flat(config)
    return {key: f"{key}: {_said(before, key)} -> {_said(after, key)}"
            for key in sorted({*before, *after}) if before.get(key, _MISSING) != after.get(key, _MISSING)}


def _said(flat: dict[str, Any], key: str) -> str:
    return shown(flat[key]) if key in flat else "not set"
