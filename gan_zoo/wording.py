"""How values and types are told to a user: what came, what was wanted, which name was probably meant."""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from gan_zoo.schema import Arguments, ConfigError

SCALARS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    Path: "a path",
}
SEQUENCES = (list, tuple)


def raise_if(problems: list[str]) -> None:
    """ConfigError with one line a problem."""
    if problems:
        head = "" if len(problems) == 1 else f"{len(problems)} settings cannot be right:\n"
        raise ConfigError(head + "\n".join(problems))


def of_unread(failures: Sequence[Exception], total: int) -> str:
    """That some of a folder's files could not be read, which is no reason to leave out the others; ten are named."""
    more = [f"... and {len(failures) - 10} more"] if len(failures) > 10 else []
    named = [*map(str, failures[:10]), *more]
    return "\n  ".join([f"{len(failures)} of {total} files could not be read; the others are made:", *named])


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, or None."""
    folded = {choice.lower(): choice for choice in choices}
    begun = [choice for choice in folded if len(word) > 1 and choice.startswith(word.lower())]
    found = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6) or begun
    return folded[found[0]] if found else None


def suggestion(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """'did you mean model.n_critic?', or the list of what there is."""
    names = sorted(choices)
    match = nearest(word, names)
    if match is not None:
        return f"did you mean {prefix}{match}?"
    if not names:
        return "none is wanted here"
    return f"there are {', '.join(names)}" if len(names) > 1 else f"there is only {names[0]}"


def shown(value: Any) -> str:
    """A value as YAML would write it, at most 60 characters."""
    words = {True: "true", False: "false"}
    text = "null" if value is None else words[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Annotated[base, ...] into base and flat metadata; (annotation, ()) for all else."""
    if get_origin(annotation) is not Annotated:
        return annotation, ()
    base, *metadata = get_args(annotation)
    flat: list[Any] = []
    for item in metadata:
        flat += item.metadata if isinstance(item, FieldInfo) else [item]
    return base, tuple(flat)


def is_union(base: Any) -> bool:
    return get_origin(base) in (Union, types.UnionType)


def is_plain(annotation: Any) -> bool:
    """Whether a YAML value can be of this type."""
    base, metadata = split(annotation)
    if any(isinstance(item, Arguments) for item in metadata):
        return True
    if base in (Any, None, types.NoneType, dict, *SCALARS, *SEQUENCES) or get_origin(base) is Literal:
        return True
    if is_union(base):
        return any(is_plain(member) for member in get_args(base) if member is not types.NoneType)
    return get_origin(base) in (dict, *SEQUENCES) and all(
        is_plain(m) for m in get_args(base) if m is not Ellipsis
    )


def describe(annotation: Any) -> str:
    """A type in words: 'an integer >= 1', 'one of adam, sgd', 'a list of numbers > 0, or null'."""
    base, metadata = split(annotation)
    if is_union(base):
        members = [
            Annotated[(member, *metadata)] if metadata and member is not types.NoneType else member
            for member in get_args(base)
        ]
        words = list(dict.fromkeys(describe(member) for member in members if _nameable(member)))
        words = ["a list of such" if word == _list_of(words[0]) else word for word in words]
        before = [f"{word}," if word.startswith("a list") else word for word in words[:-1]]
        return " or ".join([*before, *words[-1:]])
    if base in (None, types.NoneType):
        return "null"
    if get_origin(base) is Literal:
        values = [item if isinstance(item, str) else shown(item) for item in get_args(base)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if base in SCALARS:
        return SCALARS[base] + _limits(base, metadata)
    return _container(base) + _limits(base, metadata)


def _nameable(annotation: Any) -> bool:
    return annotation is types.NoneType or is_plain(annotation)


def _container(base: Any) -> str:
    origin, members = get_origin(base) or base, get_args(base)
    if origin is dict:
        return "keys and values"
    if origin is tuple and members and Ellipsis not in members:
        return f"a list of {len(members)}: {', '.join(describe(member) for member in members)}"
    if origin in SEQUENCES:
        return _list_of(describe(members[0])) if members else "a list"
    return "any plain value"


def _list_of(item: str) -> str:
    """'a list of integers >= 1', of 'an integer >= 1'; what has no simple plural stands in brackets."""
    noun = re.match(r"an? (\w+)", item)
    if noun is None or " or " in item:
        return f"a list (each {item})"
    return f"a list of {noun[1]}s{item[noun.end(1) :]}"


def _limits(base: Any, metadata: Iterable[Any]) -> str:
    words: list[str] = []
    for item in metadata:
        for name, sign in (
            ("gt", ">"),
            ("ge", ">="),
            ("lt", "<"),
            ("le", "<="),
            ("multiple_of", "a multiple of"),
        ):
            limit = getattr(item, name, None)
            if limit is not None:
                whole = (
                    base is int and name == "gt"
                )  # "> 0" reads better as ">= 1" where only integers are meant
                words.append(f">= {limit + 1}" if whole else f"{sign} {limit}")
        for name, sign in (("min_length", "at least"), ("max_length", "at most")):
            if getattr(item, name, None) is not None:
                words.append(f"{sign} {getattr(item, name)} long")
        if (function := getattr(item, "func", None)) is not None:
            words.append((inspect.getdoc(function) or function.__name__).splitlines()[0].rstrip("."))
    return f" {' and '.join(words)}" if words else ""
