"""config.yaml of a run directory: written plainly, and read as data when it comes from a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_zoo.schema import ConfigError
from gan_zoo.wording import shown

LARGEST_FILE, DEEPEST, MOST_NODES = 2**20, 32, 50_000


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # `plain` refuses them


def save(config: Mapping[str, Any], path: str | Path) -> None:
    """Writes a plain config so that `plain` reads the same back."""
    text = yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    Path(path).write_text(text, encoding="utf-8")


def plain(path: str | Path) -> dict[str, Any]:
    """A run directory's config.yaml, perhaps a stranger's, as plain data: tags, aliases, ${} are refused."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes, a config has at most {LARGEST_FILE}")
        text = path.read_text(encoding="utf-8")
        _limited(text, path)
        config = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a config ({error})") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: no plain YAML ({' '.join(str(error).split())})") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: keys and values were wanted, {shown(config)} came")
    _refuse_code(config, str(path), "")
    return config


def _limited(text: str, path: Path) -> None:
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise ConfigError(
                f"{path}: line {line} holds the alias *{event.anchor}, which a run never writes"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or nodes > MOST_NODES:
            raise ConfigError(
                f"{path}: nested deeper than {DEEPEST} or longer than {MOST_NODES} values, no run writes that"
            )


def _refuse_code(value: Any, file: str, key: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise ConfigError(f"{file}: {key or 'config'} has the key {shown(name)}, a name was wanted")
            _refuse_code(item, file, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_code(item, file, f"{key}[{number}]")
    elif isinstance(value, str) and "${" in value:
        raise ConfigError(
            f"{file}: {key} holds the interpolation {shown(value)}, which a run never writes "
            f"and which is not followed"
        )
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise ConfigError(f"{file}: {key} holds a {type(value).__name__}, a plain value was wanted")
