"""The documentation's examples are run as they stand."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gan_zoo.command import parse_arguments
from gan_zoo.config import compose, validate

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The words of every `python -m gan_zoo.X key=value ...` of a page's shell examples, without comments."""
    lines = "".join(
        re.findall(r"^ *```bash\n(.*?)^ *```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    )
    found = [shlex.split(line, comments=True) for line in lines.replace("\\\n", " ").splitlines()]
    return [words[2:] for words in found if words[:2] == ["python", "-m"]]


@pytest.mark.parametrize("page", ["captions.md", "sound.md", "text.md"])
def test_the_commands_of_a_page_are_understood(page: str) -> None:
    """What stands there composes and validates, or is an argument of its command; nothing is run."""
    found = commands(page)
    assert len(found) >= 6
    for module, *arguments in found:
        if module == "gan_zoo.train":
            validate(compose(arguments))
        else:
            parse_arguments(arguments, inspect.unwrap(importlib.import_module(module).main))


def run(command: str, folder: Path) -> str:
    words = shlex.split(command.replace("\\\n", " "))
    words[0] = sys.executable
    done = subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, to which an example may add its files."""
    for name in ("gan_zoo", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_worked_example_adds_a_variant_in_two_files(checkout: Path) -> None:
    (code,), (settings,), (command, *_) = (
        blocks("adding_a_variant.md", kind) for kind in ("python", "yaml", "bash")
    )
    (checkout / "gan_zoo/models/infogan.py").write_text(code)
    (checkout / "conf/model/infogan.yaml").write_text(settings)
    run(f"{command} data.resolution=8 output_dir=run", checkout)
    metrics = (checkout / "run/metrics.csv").read_text().splitlines()
    assert "generator/information" in metrics[0] and len(metrics) > 2
    assert "infogan" in run("python -m gan_zoo.train --help", checkout)


def test_a_data_module_of_ones_own(checkout: Path) -> None:
    (code,), (settings,), commands = (blocks("custom_data.md", kind) for kind in ("python", "yaml", "bash"))
    (checkout / "spirals.py").write_text(code)
    (checkout / "my_conf/data").mkdir(parents=True)
    (checkout / "my_conf/data/spirals.yaml").write_text(settings)
    run(f"{commands[-1].strip()} output_dir=run", checkout)
    assert (checkout / "run/samples/0000025600.png").is_file()
