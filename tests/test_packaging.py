"""What the wheel holds, what pyproject promises, and the Makefile on a machine without a fitting Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from gan_zoo.extras import EXTRAS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").touch()
    outer = {
        "MAKEFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
        "PYTHON",
        "VENV",
    }  # of a `make test PYTHON=...` around us
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    environment["PATH"] = path or os.environ["PATH"]
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.slow
def test_the_wheel_carries_the_configs_and_the_type_marker(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it comes with the extra dev")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    names = set(zipfile.ZipFile(tmp_path / built.stdout.split()[-1]).namelist())
    configs = {f"gan_zoo/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert configs <= names
    assert {"gan_zoo/py.typed", "gan_zoo/schema.py"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"gan_zoo"}


def test_every_import_of_the_package_is_a_dependency() -> None:
    called = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit_learn", "hydra": "hydra_core"}
    project = PROJECT["project"]
    declared = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    installable = {re.split(r"[<>=\[ ]", item)[0].lower().replace("-", "_") for item in declared}
    text = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "gan_zoo").rglob("*.py"))
    found = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE)) - sys.stdlib_module_names
    foreign = {called.get(name, name) for name in found - {"gan_zoo"} if _is_module(name)}
    assert foreign - installable == set()


def test_every_extra_that_a_message_names_installs_the_library() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for module, extra in EXTRAS.items():
        names = [re.split(r"[<>=]", item)[0].replace("-", "_") for item in extras[extra]]
        assert module in names, (module, extra)


def _is_module(name: str) -> bool:
    """Prose such as `from the papers` in a docstring is no import."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def test_known_bad_releases_are_below_the_bounds() -> None:
    dependencies = PROJECT["project"]["dependencies"]
    assert "lightning>=2.6.6,<3" in dependencies  # 2.6.2 and 2.6.3 were malware
    assert "hydra-core>=1.3.8,<1.5" in dependencies
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"


@needs_make
def test_make_help_lists_the_targets(tmp_path: Path) -> None:
    listed = make(tmp_path, "help")
    assert listed.returncode == 0
    assert all(
        f"make {target} " in listed.stdout for target in ("train", "test", "lint", "types", "check", "clean")
    )


@needs_make
def test_make_says_so_where_no_python_fits(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    (tools / "python3").write_text(
        "#!/bin/sh\nexit 1\n"
    )  # as a Python that is too old, or a shim without one, answers
    (tools / "python3").chmod(0o755)
    refused = make(tmp_path, "train", path=str(tools))
    assert refused.returncode != 0
    assert "no Python 3.11, 3.12 or 3.13 found" in refused.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_check_of_a_bare_machine_can_be_started() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
