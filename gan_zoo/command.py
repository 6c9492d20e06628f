"""How commands are started: arguments checked; mistakes told in plain words, with exit code 2."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan_zoo.schema import CheckpointError, ConfigError, DataError

MOST_TRIALS_CHECKED = 64  # of a multirun, before its first; each trial is checked again when its turn comes
HELP = {"--help", "-h"}


@contextmanager
def reported(debug: bool = False) -> Iterator[None]:
    """A mistake of the user's, or of the file system, ends the process with a message on stderr and code 2, Ctrl-C with
    code 130; `debug` raises them.
    """
    if debug:
        yield
        return
    warnings.formatwarning = _in_one_line
    try:
        yield
    except (ConfigError, DataError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    except OSError as error:
        if not error.filename:  # not of a file, or not known of which: the trace tells more
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        raise SystemExit(130) from None


def _in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """gan_zoo's own warnings are for its users; others', for programmers, tell where they come from."""
    if Path(filename).is_relative_to(Path(__file__).parent):
        return f"warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def wants_debug(argv: Sequence[str]) -> bool:
    """Whether debug=true is among the arguments."""
    return any(re.fullmatch(r"\+{0,2}debug=true", text.strip(), re.IGNORECASE) for text in argv)


# --- key=value commands -------------------------------------------------------------------------------------


def command(main: Callable[..., Any]) -> Callable[..., Any]:
    """Makes `main(*, run: str, n: PositiveInt = 64)` a command: called without arguments, it takes sys.argv, and debug=true
    and trust=CLASS.

    Its docstring is the page that --help prints; a line `name: text` in it describes an argument.
    """

    @functools.wraps(main)
    def started(*args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return main(*args, **kwargs)
        argv = sys.argv[1:]
        debug = wants_debug(argv)
        with reported(debug):
            return main(**parse_arguments(_untrusting(argv), main))

    return started


def _untrusting(argv: Sequence[str]) -> list[str]:
    """The arguments of the command itself; classes that trust= names may be named by files from here on."""
    from gan_zoo import classes

    own = []
    for text in argv:
        if text.startswith("trust="):
            classes.TRUSTED.update(
                name.strip() for name in text.removeprefix("trust=").split(",") if name.strip()
            )
        elif not wants_debug([text]):
            own.append(text)
    return own


def parse_arguments(argv: Sequence[str], schema: Callable[..., Any]) -> dict[str, Any]:
    """key=value arguments of a function or class, split at the first `=`, so that a value may hold anything.

    Only what was given is returned. A string is taken as it stands; numbers, true, false, null, [lists] and
    {keys: values} are read as YAML where the annotation wants them. --help prints the docstring and ends.
    """
    from gan_zoo.signatures import signature
    from gan_zoo.wording import raise_if, shown, suggestion

    if HELP & set(argv):
        print(argument_help(schema))
        raise SystemExit(0)
    expected = {name: item for name, item in signature(schema).arguments.items() if item.settable}
    problems: list[str] = []
    found: dict[str, Any] = {}
    for text in argv:
        key, equals, value = text.partition("=")
        if not equals or key.startswith("-"):
            problems.append(
                f"{shown(text)} came, key=value was wanted; {suggestion(key.lstrip('-'), expected)}"
            )
        elif key not in expected:
            problems.append(f"{key}: no such key; {suggestion(key, expected)}")
        elif key in found:
            problems.append(f"{key}: came twice, one value was wanted")
        else:
            found[key] = _read(value, expected[key].annotation, key, problems)
    problems += [
        f"{name}: nothing came, {_wanted(item)} was wanted; give {name}=..."
        for name, item in expected.items()
        if item.required and not any(text.partition("=")[0] == name for text in argv)
    ]
    raise_if(problems)
    return found


def _wanted(item: Any) -> str:
    from gan_zoo.wording import describe

    return describe(item.annotation)


def _read(text: str, annotation: Any, key: str, problems: list[str]) -> Any:
    """`text` as YAML where the annotation takes that, and otherwise letter for letter."""
    import yaml

    from gan_zoo.signatures import coerce

    try:
        value = float(text) if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", text) else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = text
    if value is None and text != "null":  # an empty text and #red are comments and nothing to YAML
        value = text
    complaints: list[str] = []
    if not isinstance(value, str):
        found = coerce(value, annotation, key, complaints)
        if not complaints:
            return found
    as_text: list[str] = []
    found = coerce(text, annotation, key, as_text)
    problems += (complaints or as_text) if as_text else []
    return found


def argument_help(schema: Callable[..., Any], reads_files: bool = True) -> str:
    """Usage, the schema's docstring, and each argument with its type and default. reads_files: trust= is one, too."""
    from gan_zoo.signatures import signature
    from gan_zoo.wording import describe, shown

    document = inspect.getdoc(schema) or ""
    module = sys.modules.get(schema.__module__)
    spec = getattr(module, "__spec__", None)
    title = f"Usage: python -m {spec.name if spec else schema.__module__} key=value ..."
    told = {
        name: f"{describe(item.annotation)}; {'must be given' if item.required else f'default {shown(item.default)}'}"
        for name, item in signature(schema).arguments.items()
        if item.settable
    }
    if reads_files:
        told["trust"] = (
            "classes of your own, module.Class[,module.Class], that the files given may name; default none"
        )
    told["debug"] = "true shows where an error came from; default false"
    rows = [
        textwrap.fill(text, 110, initial_indent=f"  {name + '=':<24}", subsequent_indent=" " * 26)
        for name, text in told.items()
    ]
    return "\n".join([title, "", document, "", "Arguments", *rows])


# --- Hydra applications -------------------------------------------------------------------------------------


def application(main: Callable[[dict[str, Any]], Any], page: Callable[[], str] | None = None) -> Any:
    """Runs `main(config)` with the validated config of the command line; Hydra's flags and multirun work.

    page: what --help prints. Keys and choices are checked before Hydra, torch and the data are touched.
    """
    argv, debug = sys.argv[1:], wants_debug(sys.argv[1:])
    if HELP & set(argv):
        from gan_zoo.help import choices_help, train_help

        print(choices_help(argv) or (page or train_help)())
        return None
    os.environ.setdefault(
        "HYDRA_FULL_ERROR", "1"
    )  # an error of ours keeps its whole trace; the user's never get so far
    with reported(debug):
        sys.argv[1:] = _checked(argv)
        return _under_hydra(main, debug)()


def _under_hydra(main: Callable[[dict[str, Any]], Any], debug: bool) -> Callable[[], Any]:
    import hydra

    from gan_zoo.config import conf_dir, plain_container, validate

    def trial(config: Any) -> Any:
        with reported(debug):
            return main(validate(plain_container(config)))

    options: dict[str, Any] = {"version_base": "1.3", "config_path": str(conf_dir()), "config_name": "config"}
    if (
        "execution_whitelist" in inspect.signature(hydra.main).parameters
    ):  # hydra 1.4 warns without; nothing is instantiated
        options["execution_whitelist"] = ("gan_zoo.*",)
    return hydra.main(**options)(trial)


def _checked(argv: list[str]) -> list[str]:
    """The command line with its overrides as Hydra takes them; ConfigError where one cannot be right."""
    from hydra._internal.utils import (
        get_args_parser,
    )  # the parser that hydra.main uses, there is no public name for it

    known, rest = get_args_parser().parse_known_args(argv)
    if (
        known.hydra_help
        or known.shell_completion
        or known.experimental_rerun
        or known.config_path
        or known.config_name
    ):
        return argv
    dashed = [text for text in rest if text.startswith("-")]
    if dashed:
        raise ConfigError(
            f"{dashed[0]!r} came, which is no flag; settings are written without dashes: "
            f"{dashed[0].lstrip('-').replace(' ', '=')}{'' if '=' in dashed[0] else '=value'}"
        )
    overrides = [*known.overrides, *rest]
    flags = _flags(argv, overrides)
    if not known.multirun:
        from gan_zoo.resuming import choices

        overrides = [*choices(overrides), *overrides]
    return [*flags, *_corrected(overrides, known.multirun, known.config_dir)]


def _flags(argv: list[str], overrides: list[str]) -> list[str]:
    left = list(overrides)
    found = []
    for text in argv:
        if text in left:
            left.remove(text)
        else:
            found.append(text)
    return found


def _corrected(overrides: list[str], multirun: bool, folder: str | Path | None) -> list[str]:
    """Each override corrected; a sweep keeps its values as written, its first trials are checked."""
    from gan_zoo.config import correct

    if not multirun:
        return correct(overrides, folder)[0]
    values = [_values(text) for text in overrides]
    if math.prod(map(len, values)) > 1:
        _refuse_one_directory(overrides)
    trials = itertools.product(*values)
    fixed: list[str] = []
    for trial in itertools.islice(trials, MOST_TRIALS_CHECKED):
        fixed = correct(trial, folder)[0]
    return [
        new.partition("=")[0] + "".join(old.partition("=")[1:])
        for new, old in zip(fixed, overrides, strict=True)
    ]


def _refuse_one_directory(overrides: list[str]) -> None:
    """ConfigError where all trials of a sweep would be written into one folder: the second would be refused, after the first."""
    for text in overrides:
        key, _, place = text.lstrip("+").partition("=")
        if key == "output_dir" and place and "${" not in place and len(_values(text)) == 1:
            raise ConfigError(
                f"output_dir={place} is one folder for all trials of the sweep; name what differs in it, as in "
                f"'output_dir={place}/${{seed}}', or leave it out"
            )


def _values(override: str) -> list[str]:
    """The single overrides that a sweep stands for: model=dcgan,cgan is model=dcgan and model=cgan."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ValueType
    from hydra.errors import HydraException

    try:
        item = OverridesParser.create().parse_override(override)
    except HydraException:
        return [override]  # refused in our own words when it is checked
    if not item.is_discrete_sweep() or item.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return [override]
    key = item.get_key_element()
    return [f"{key}={value}" for value in itertools.islice(item.sweep_string_iterator(), MOST_TRIALS_CHECKED)]
