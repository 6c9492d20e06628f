"""Plain values against the annotations of what will receive them."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gan_zoo.schema import Arguments
from gan_zoo.wording import (
    SCALARS,
    SEQUENCES,
    describe,
    is_plain,
    is_union,
    nearest,
    shown,
    split,
    suggestion,
)

NOTHING: Mapping[str, Any] = types.MappingProxyType({})


@dataclass(frozen=True)
class Argument:
    """One argument of a callable; `settable` is false where only a program can make its value."""

    annotation: Any
    required: bool
    default: Any
    settable: bool


@dataclass(frozen=True)
class Signature:
    """What a callable takes by name; `open` when it ends in **kwargs that nothing types."""

    arguments: Mapping[str, Argument]
    open: bool


# --- what a callable takes ----------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def signature(target: Callable[..., Any]) -> Signature:
    """Arguments of a function or class, whose **kwargs are followed to the next __init__ of its bases."""
    found: dict[str, Argument] = {}
    for function in _initialisers(target):
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.name != "self" and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                annotation = hints.get(parameter.name, Any)
                required = parameter.default is parameter.empty
                found.setdefault(
                    parameter.name, Argument(annotation, required, parameter.default, is_plain(annotation))
                )
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return Signature(found, open=False)
    return Signature(found, open=not inspect.isclass(target))


def _initialisers(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The function itself, or the __init__ methods of a class and its bases in the order they are called."""
    if not inspect.isclass(target):
        return [target]
    own = [base for base in target.__mro__ if isinstance(vars(base).get("__init__"), types.FunctionType)]
    return [
        vars(base)["__init__"] for base in own if not base.__module__.startswith(("torch.", "lightning."))
    ]


# --- checking -----------------------------------------------------------------------------------------------


def arguments(
    value: Any,
    target: Any,
    key: str,
    problems: list[str],
    given: Iterable[str] = (),
    closer: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """The keyword arguments of `target` out of a config, coerced; what is wrong is appended to `problems`.

    target: a callable, or a mapping of names to callables among which `value["name"]` picks. given: names
    that the program fills in, refused here. closer: annotations that say more than the target's own.
    """
    if not isinstance(value, Mapping):
        problems.append(f"{key or 'config'}: {shown(value)} came, keys and values were wanted")
        return {}
    if isinstance(target, Mapping):
        return _named(value, target, key, problems, given)
    expected = signature(target)
    known = {
        name: item for name, item in expected.arguments.items() if item.settable and name not in set(given)
    }
    found: dict[str, Any] = {}
    for name, item in value.items():
        path = f"{key}.{name}" if key else str(name)
        if name in known:
            found[name] = coerce(item, closer.get(name, known[name].annotation), path, problems)
        elif expected.open and isinstance(name, str):
            found[name] = coerce(item, Any, path, problems)
        else:
            prefix = f"{key}." if key else ""
            problems.append(f"{path}: no such key; {suggestion(str(name), known, prefix)}")
    missing = [name for name, item in known.items() if item.required and name not in value]
    problems += [
        f"{key + '.' if key else ''}{name}: nothing came, {describe(known[name].annotation)} was wanted"
        for name in missing
    ]
    return found


def _named(
    value: Mapping[str, Any], targets: Mapping[str, Any], key: str, problems: list[str], given: Iterable[str]
) -> dict[str, Any]:
    name = value.get("name")
    if not isinstance(name, str) or name not in targets:
        problems.append(f"{key}.name: {shown(name)} came; {suggestion(str(name), targets)}")
        return {}
    # null takes a key back that another choice of the group has set: betas of adam under sgd
    rest = {item: content for item, content in value.items() if item != "name" and content is not None}
    return {"name": name, **arguments(rest, targets[name], key, problems, given)}


def coerce(value: Any, annotation: Any, key: str, problems: list[str]) -> Any:
    """`value` as `annotation` wants it (1 -> 1.0, tuple -> list); what is wrong is appended to `problems`."""
    base, metadata = split(annotation)
    marker = next((item for item in metadata if isinstance(item, Arguments)), None)
    if value is None and _takes_null(base):
        return None
    if marker is not None:
        return arguments(value, marker.target, key, problems, marker.given)
    if base is Any:
        return _anything(value, key, problems)
    if is_union(base):
        return _one_of(
            value,
            [Annotated[(m, *metadata)] if metadata else m for m in get_args(base)],
            annotation,
            key,
            problems,
        )
    if (get_origin(base) or base) in (dict, *SEQUENCES):
        return _filled(value, base, metadata, annotation, key, problems)
    return _scalar(value, base, metadata, annotation, key, problems)


def _takes_null(base: Any) -> bool:
    return base in (None, types.NoneType) or (is_union(base) and types.NoneType in get_args(base))


def _refuse(value: Any, annotation: Any, key: str, problems: list[str]) -> Any:
    base, _ = split(annotation)
    hint = ""
    if isinstance(value, str):
        choices = (
            [item for item in get_args(base) if isinstance(item, str)] if get_origin(base) is Literal else []
        )
        match = nearest(value, choices)
        hint = f"; did you mean {match}?" if match else ""
    problems.append(f"{key}: {shown(value)} came, {describe(annotation)} was wanted{hint}")
    return value


def _shape(annotation: Any) -> type:
    """dict, list or object: which kind of YAML value a type is written as."""
    base, metadata = split(annotation)
    if any(isinstance(item, Arguments) for item in metadata):
        return dict
    origin = get_origin(base) or base
    return dict if origin is dict else list if origin in SEQUENCES else object


def _one_of(value: Any, members: list[Any], annotation: Any, key: str, problems: list[str]) -> Any:
    wanted = dict if isinstance(value, Mapping) else list if isinstance(value, SEQUENCES) else object
    fitting = [
        m for m in members if split(m)[0] is not types.NoneType and is_plain(m) and _shape(m) is wanted
    ]
    if len(fitting) == 1 and wanted is not object:
        return coerce(
            value, fitting[0], key, problems
        )  # the message can then name the very key that is wrong
    for member in fitting:
        complaints: list[str] = []
        found = coerce(value, member, key, complaints)
        if not complaints:
            return found
    return _refuse(value, annotation, key, problems)


def _filled(
    value: Any, base: Any, metadata: tuple[Any, ...], annotation: Any, key: str, problems: list[str]
) -> Any:
    origin, members = get_origin(base) or base, get_args(base)
    before = len(problems)
    found: Any
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            return _refuse(value, annotation, key, problems)
        allowed, inner = members if members else (str, Any)
        names = get_args(allowed) if get_origin(allowed) is Literal else value
        problems += [
            f"{key}.{name}: no such key; {suggestion(name, names, f'{key}.')}"
            for name in value
            if name not in names
        ]
        found = {
            name: coerce(item, inner, f"{key}.{name}", problems)
            for name, item in value.items()
            if name in names
        }
    else:
        if not isinstance(value, SEQUENCES):
            return _refuse(value, annotation, key, problems)
        fixed = origin is tuple and members and Ellipsis not in members
        if fixed and len(members) != len(value):
            return _refuse(value, annotation, key, problems)
        inners = members if fixed else [members[0] if members else Any] * len(value)
        found = [
            coerce(item, inner, f"{key}[{n}]", problems)
            for n, (item, inner) in enumerate(zip(value, inners, strict=True))
        ]
    if len(problems) == before and not _satisfies(found, dict if origin is dict else list, metadata):
        return _refuse(value, annotation, key, problems)
    return found


def _scalar(
    value: Any, base: Any, metadata: tuple[Any, ...], annotation: Any, key: str, problems: list[str]
) -> Any:
    found = value
    if get_origin(base) is Literal:
        fits = any(
            type(item) is type(value) and item == value for item in get_args(base)
        )  # True == 1 in Python
        return value if fits else _refuse(value, annotation, key, problems)
    if base is int and isinstance(value, float) and value.is_integer():
        found = int(value)  # 1e5 is how people write a hundred thousand
    elif base is float and isinstance(value, int) and not isinstance(value, bool):
        found = float(value) if abs(value) < 2**1023 else math.inf
    if base is float and isinstance(found, float) and not math.isfinite(found):
        return _refuse(value, annotation, key, problems)
    if base is Path:
        return value if isinstance(value, str) and value else _refuse(value, annotation, key, problems)
    return found if _satisfies(found, base, metadata) else _refuse(value, annotation, key, problems)


def _satisfies(value: Any, base: Any, metadata: tuple[Any, ...]) -> bool:
    if base not in (*SCALARS, dict, list):
        return False
    try:
        TypeAdapter(Annotated[(base, *metadata)] if metadata else base).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _anything(value: Any, key: str, problems: list[str]) -> Any:
    """Plain data of any shape; a NaN, an infinity or an object of Python is refused."""
    if isinstance(value, Mapping):
        return {str(name): _anything(item, f"{key}.{name}", problems) for name, item in value.items()}
    if isinstance(value, SEQUENCES):
        return [_anything(item, f"{key}[{number}]", problems) for number, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{key}: {shown(value)} came, a finite number was wanted")
    elif value is not None and not isinstance(value, bool | int | float | str):
        problems.append(f"{key}: a {type(value).__name__} came, a plain value was wanted")
    return value
