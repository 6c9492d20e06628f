"""config.yaml of a run directory: written plainly, and read as data when it comes from a stranger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_zoo.schema import ConfigError
from gan_zoo.wording import shown

LARGEST_FILE, DEEPEST, MOST_NODES = 2**20, 32, 50_000
_LONG_NUMBER = re.compile(
    r"[-+0-9_:.]{200,}"
)  # 1:59:59... in base 60 takes a time that grows with the square


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
    text = text_of(path)
    try:
        _limited(text, path)
        config = yaml.safe_load(text)
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: no plain YAML ({' '.join(str(error).split())})") from None
    refuse_code(config, str(path))
    return dict(config)


def text_of(path: Path) -> str:
    """A small file of text; ConfigError where it is none, is missing, or is a pipe that would never end."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: cannot be read as a config (there is no such file)")
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes, a config has at most {LARGEST_FILE}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a config ({error})") from None


def _limited(text: str, path: Path) -> None:
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(
                f"{path}: line {line} holds the alias *{event.anchor}, which a run never writes"
            )
        if isinstance(event, yaml.ScalarEvent) and _LONG_NUMBER.fullmatch(event.value):
            raise ConfigError(f"{path}: line {line} holds a number of {len(event.value)} characters")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        _refuse_size(depth, nodes, str(path))


def _refuse_size(depth: int, nodes: int, file: str) -> None:
    if depth > DEEPEST or nodes > MOST_NODES:
        raise ConfigError(
            f"{file}: nested deeper than {DEEPEST} or longer than {MOST_NODES} values, no run writes that"
        )


def refuse_code(config: Any, file: str) -> None:
    """ConfigError unless `config` is keys and plain values alone, of a size that a run writes."""
    if not isinstance(config, dict):
        raise ConfigError(f"{file}: keys and values were wanted, {shown(config)} came")
    left: list[tuple[str, Any, int]] = [("", config, 0)]
    nodes = 0
    while left:  # a recursion would not end where a pickle's list holds itself
        key, value, depth = left.pop()
        nodes += 1
        _refuse_size(depth, nodes, file)
        if isinstance(value, dict):
            if strange := [name for name in value if not isinstance(name, str)]:
                raise ConfigError(
                    f"{file}: {key or 'config'} has the key {shown(strange[0])}, a name was wanted"
                )
            left += [(f"{key}.{name}" if key else name, item, depth + 1) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(f"{key}[{number}]", item, depth + 1) for number, item in enumerate(value)]
        else:
            _refuse_value(value, key, file)


def _refuse_value(value: Any, key: str, file: str) -> None:
    if isinstance(value, str) and "${" in value:
        raise ConfigError(
            f"{file}: {key} holds the interpolation {shown(value)}, which a run never writes "
            f"and which is not followed"
        )
    if value is not None and type(value) not in (bool, int, float, str):
        raise ConfigError(f"{file}: {key} holds a {type(value).__name__}, a plain value was wanted")
