"""What --help prints: read from the YAML files and the sources, so that no torch is needed."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from gan_zoo.config import conf_dir

WIDTH = 110
PACKAGE = Path(__file__).parent
USAGE = """\
Usage: python -m gan_zoo.train [group=choice ...] [key=value ...] [flags]

  python -m gan_zoo.train                                          the default: digits, drawn by a DCGAN
  python -m gan_zoo.train model=cgan data=mnist data.root=DIR      another model, other data
  python -m gan_zoo.train max_samples=2_000_000 trainer.devices=4  longer, on four devices
  python -m gan_zoo.train -m model=dcgan,vanilla seed=0,1,2        six runs, one after the other
  python -m gan_zoo.train resume=RUN_DIR                           go on where a run stopped
"""
FLAGS = """\
Flags
  --help            this page                      --cfg job [--resolve]  the composed config, without running
  -m, --multirun    every combination of choices   --config-dir DIR       a folder with configs of your own
"""


def train_help() -> str:
    """The page of `python -m gan_zoo.train --help`, at most 110 columns wide."""
    folder = conf_dir()
    groups = [
        _group(path, folder)
        for top in sorted(folder.iterdir(), key=_rank)
        for path in sorted([top, *top.rglob("*/")])
        if any(path.glob("*.yaml"))
    ]
    keys = _section("Keys", _keys(folder / "config.yaml")) + "\n"
    trainer = _section("Keys of trainer", _keys(folder / "trainer" / "default.yaml", "trainer.")) + "\n"
    return "\n".join([USAGE, *groups, keys, trainer, FLAGS, other_commands()])


def other_commands() -> str:
    """Every `python -m gan_zoo.NAME` with the first line of its docstring."""
    found = []
    for file in sorted(PACKAGE.glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if re.search(r'^if __name__ == "__main__"', source, re.MULTILINE):
            found.append(
                (f"python -m gan_zoo.{file.stem}", _first_line(ast.get_docstring(ast.parse(source))))
            )
    return _section("Commands, each with its own --help", found)


def _rank(path: Path) -> tuple[int, str]:
    order = ("model", "data", "experiment", "loss", "regularizer", "trainer", "logger", "callbacks")
    return (order.index(path.name) if path.name in order else len(order), path.name)


def _group(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    choices = [(file.stem, description(file)) for file in sorted(path.glob("*.yaml"))]
    return _section(f"{name}=", choices) + "\n"


def description(file: Path) -> str:
    """The first comment line of a YAML file that is not an instruction to Hydra."""
    comments = (
        line[1:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    )
    return next((line for line in comments if line and not line.startswith("@")), "")


def _keys(file: Path, prefix: str = "") -> list[tuple[str, str]]:
    """key=default and its comment, for the top-level lines `key: default  # comment` of a file."""
    lines = (
        re.match(r"(\w+): (\S[^#]*?)\s*(?:# (.+))?$", line)
        for line in file.read_text(encoding="utf-8").splitlines()
    )
    return [(f"{prefix}{line[1]}={line[2]}", line[3] or "") for line in lines if line]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    column = max((len(name) for name, _ in rows if len(name) <= 34), default=0) + 4
    return "\n".join([title, *(_row(name, text, column) for name, text in rows)])


def _row(name: str, text: str, column: int) -> str:
    head = f"  {name}"
    if len(head) >= column:
        return f"{head}\n{_wrapped(text, ' ' * column)}" if text else head
    return _wrapped(text, " " * column, head.ljust(column)) if text else head


def _wrapped(text: str, indent: str, first: str | None = None) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=indent if first is None else first, subsequent_indent=indent
    )
