"""What was asked for on the command line, checked before anything heavy is imported."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from gan_zoo.schema import ConfigError
from gan_zoo.settings import Logger, Run, Trainer, Wandb
from gan_zoo.wording import raise_if, shown, suggestion

PACKAGE = Path(__file__).parent
OPTIONAL = ("experiment",)
FIXED: dict[tuple[str, ...], Any] = {
    (): Run,
    ("trainer",): Trainer,
    ("logger",): Logger,
    ("logger", "wandb"): Wandb,
}


@dataclass(frozen=True)
class Search:
    """What the search path holds: a group's choices ([] if it is none), what choices compose to."""

    groups: list[str]
    choices: Callable[[str], list[str]]
    composed: Callable[[list[str]], dict[str, Any]]


def corrected(overrides: Iterable[str], search: Search) -> tuple[list[str], bool]:
    """The overrides as Hydra takes them, in order, and whether only its class can judge some key.

    A key that its receiver takes but no YAML spells is added, `+key` of a known key is a plain change. Raises
    ConfigError with a line for each unknown key or choice and malformed override, naming the nearest right.
    """
    parsed = [parse(text, search) for text in overrides]
    chosen = [item for item in parsed if _is_choice(item, search)]
    problems = [problem for item in chosen for problem in _wrong_choice(item, search)]
    names = [item.key_or_group for item in chosen]
    problems += [
        f"{name}: came {names.count(name)} times, one choice was wanted"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    raise_if(problems)
    ready = [str(item.input_line).lstrip("+") if item in chosen else str(item.input_line) for item in parsed]
    base = search.composed(
        [text for text, item in zip(ready, parsed, strict=True) if item in chosen or item.is_hydra_override()]
    )
    doubtful = False
    for number, item in enumerate(parsed):
        if item in chosen or item.is_hydra_override():
            continue
        path = tuple(item.key_or_group.split("."))
        found = _holds(base, path)
        problem = None if found else _unknown(base, path, search)
        problems += [problem] if problem else []
        doubtful |= not found and len(path) > 1 and path[:-1] not in FIXED
        if not item.is_delete() and (item.is_add() or not found or isinstance(item.value(), dict)):
            ready[number] = f"++{ready[number].lstrip('+')}"
        elif item.is_delete() and not found and not problem:
            problems.append(f"{item.key_or_group}: not in this config, so that ~ has nothing to take away")
    raise_if(problems)
    return ready, doubtful


def parse(text: str, search: Search) -> Override:
    """One override; a sentence about what was wanted where Hydra's grammar refuses it."""
    key = text.lstrip("+~").partition("=")[0].strip()
    if "=" not in text and not text.startswith("~"):
        hint = (
            suggestion(key, {*search.groups, *(item.name for item in dataclasses.fields(Run))}) if key else ""
        )
        raise ConfigError(
            f"{shown(text)} came, key=value was wanted{'; ' + hint if hint.startswith('did') else ''}"
        )
    if text.startswith("-"):
        raise ConfigError(
            f"{shown(text)} came, key=value without dashes was wanted; write {text.lstrip('-')}"
        )
    malformed = ConfigError(
        f"{shown(text)} came, which is no key=value; put a value with spaces, commas, brackets or "
        f"quotes in quotes of its own: '{key or 'key'}=\"...\"'"
    )
    if not key:
        raise malformed
    try:
        item = OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError):
        raise malformed from None
    if item.is_sweep_override():
        raise ConfigError(
            f"{item.key_or_group}: {shown(text.partition('=')[2])} came, one value was wanted; -m runs each "
            f"of several, [a,b] is a list, and quotes keep a comma: '{key}=\"a,b\"'"
        )
    if item.package is not None and not item.is_hydra_override():
        raise ConfigError(f"{shown(text)} came, key=value was wanted; write {item.key_or_group}=...")
    return item


# --- groups -------------------------------------------------------------------------------------------------


def _is_choice(item: Override, search: Search) -> bool:
    if item.is_hydra_override():
        return False
    return (
        "/" in item.key_or_group
        or item.key_or_group in search.groups
        or bool(search.choices(item.key_or_group))
    )


def _wrong_choice(item: Override, search: Search) -> list[str]:
    group, value = item.key_or_group, item.value()
    choices = search.choices(group)
    if not choices:
        return [f"{group}: no such group; {suggestion(group, search.groups)}"]
    if item.is_delete():
        return [f"{group}: a run cannot do without it; {suggestion('', choices)}"]
    if value is None and group in OPTIONAL:
        return []
    if isinstance(value, dict):
        return [f"{group}: {shown(value)} came, a name was wanted; single keys are set as {group}.key=value"]
    wrong = [
        name for name in (value if isinstance(value, list) else [value]) if not _is_name(name, group, search)
    ]
    return [
        f"{group}: {shown(name)} came; {suggestion(str(name or ''), choices, f'{group}=')}" for name in wrong
    ]


def _is_name(name: Any, group: str, search: Search) -> bool:
    folder, _, last = str(name).rpartition("/")
    return last in search.choices(f"{group}/{folder}" if folder else group)


# --- keys ---------------------------------------------------------------------------------------------------


def _holds(base: Any, path: tuple[str, ...]) -> bool:
    """Whether a composed config spells the key."""
    for name in path:
        if isinstance(base, list) and name.isdecimal() and int(name) < len(base):
            base = base[int(name)]
        elif isinstance(base, Mapping) and name in base:
            base = base[name]
        else:
            return False
    return True


def _unknown(base: dict[str, Any], path: tuple[str, ...], search: Search) -> str | None:
    """What is wrong with a key that no YAML spells; None where its receiver may take it all the same."""
    depth = next(n for n in range(len(path)) if not _holds(base, path[: n + 1]))
    parent, name = path[:depth], path[depth]
    siblings = base
    for step in parent:
        siblings = siblings[int(step)] if isinstance(siblings, list) else siblings[step]
    allowed = _declared_at(parent, base)
    if allowed is None or name in allowed:
        return None
    known = {
        *allowed,
        *(siblings if isinstance(siblings, Mapping) else ()),
        *(search.groups if not parent else ()),
    }
    prefix = "".join(f"{step}." for step in parent)
    elsewhere = [key for key in _all_keys(base) if key.rpartition(".")[2] == name]
    hint = f"did you mean {elsewhere[0]}?" if elsewhere else suggestion(name, known, prefix)
    return f"{'.'.join(path)}: no such key; {hint}"


def _all_keys(base: Any, prefix: str = "") -> list[str]:
    if not isinstance(base, Mapping):
        return []
    return [
        key
        for name, item in base.items()
        for key in (f"{prefix}{name}", *_all_keys(item, f"{prefix}{name}."))
    ]


def _declared_at(parent: tuple[str, ...], base: dict[str, Any]) -> set[str] | None:
    """The names that a part of the config may hold; None where only importing its class would tell."""
    if parent in FIXED:
        return {item.name for item in dataclasses.fields(FIXED[parent])}
    if parent in (("loss",), ("regularizer",)):
        names = declared("gan_zoo.losses" if parent == ("loss",) else "gan_zoo.regularizers", "create")
    elif parent == ("model",) and "_target_" not in base["model"]:
        names = declared(f"gan_zoo.models.{base['model'].get('name')}", None)
    elif parent in (("model",), ("data",)):
        module, _, name = str(base[parent[0]].get("_target_")).rpartition(".")
        names = declared(module, name)
    else:
        return None
    return None if names is None else {*names, "_target_", "name", "weights"}


def declared(module: str, name: str | None) -> set[str] | None:
    """Argument names of gan_zoo's function or class, its bases' too, from the source; None: unknown.

    name: None stands for the module's GAN.
    """
    file = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    if not module.startswith("gan_zoo.") or not file.is_file():
        return None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if functions:
        return _names(functions[0])
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    classes = [node for node in classes if (node.name == name if name else "GAN" in _bases(node))]
    return _declared_by(classes[0], module, tree) if classes else None


def _declared_by(node: ast.ClassDef, module: str, tree: ast.Module) -> set[str] | None:
    own = next(
        (item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None
    )
    found = _names(own) if own else set()
    if own and own.args.kwarg is None:
        return found
    imports = {
        alias.asname or alias.name: (str(line.module), alias.name)
        for line in tree.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    for base in _bases(node):
        inherited = declared(*imports.get(base, (module, base)))
        if inherited is None and base in imports and imports[base][0].startswith("gan_zoo."):
            return None
        found |= inherited or set()
    return found


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]


def _names(function: ast.FunctionDef) -> set[str]:
    return {
        item.arg for item in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    } - {"self"}
