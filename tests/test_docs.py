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

from gan_zoo import command

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


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


def commands() -> list[str]:
    """The commands of the pages that a user may copy; `hydra/...` and folders of configs are not here."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(
        block
        for page in pages
        for block in re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    )
    lines = [line.split("  #")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    own = [line for line in lines if line.startswith("python -m gan_zoo.")]
    assert len(own) > 40
    return [line for line in own if not re.search(r"--config-dir|--help| hydra/|infogan", line)]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_pages_has_keys_and_choices_that_exist(line: str) -> None:
    _, _, module, *arguments = shlex.split(line)
    if module in ("gan_zoo.train", "gan_zoo.profile"):
        command._checked(arguments)
    else:
        command.parse_arguments(arguments, inspect.unwrap(importlib.import_module(module).main))


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
