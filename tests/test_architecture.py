"""The import order and the calls that no file may make, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gan_zoo"
SOURCES = sorted(PACKAGE.rglob("*.py"))
BANNED_NAMES = ("utils", "common", "core", "helpers", "helper", "misc", "registry")

BOTTOM = (
    "schema",
    "extras",
    "nn",
    "losses",
    "regularizers",
    "schedules",
    "augmentation",
    "averaging",
    "chance",
    "latent",
    "optimizers",
    "play",
    "checkpoint",
    "media",
    "vocabulary",
    "strategy",
)
LEVELS = {**dict.fromkeys(BOTTOM, 0), "gan": 1, "models": 2, "data": 3, "metrics": 3, "callbacks": 3}
ENTRY = 4  # every other file: what starts, composes, loads or writes a run
KNOW_HYDRA = ("config", "overrides", "command", "train", "benchmark")

BANNED_CALLS = (
    "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.hub.load", "torch.hub.load_state_dict_from_url",
    "torch.export.load", "joblib.load", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "os.system",
    "hydra.utils.instantiate", "hydra.utils.get_class", "hydra.utils.get_object", "eval", "exec",
)  # fmt: skip
BANNED_METHODS = ("extractall", "load_from_checkpoint", "get_class", "get_object")
BANNED_OPTIONS = (("weights_only", False), ("shell", True), ("allow_pickle", True))


def unit(module: str) -> str:
    """gan_zoo.data.images -> data: the part that has a place in the order."""
    return [*module.split("."), ""][1]


def level(module: str) -> int:
    return LEVELS.get(unit(module), ENTRY)


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, inside functions too, but not for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "gan_zoo" else [str(node.module)]
        else:
            yield from imports(node)


def out_of_order(source: str, module: str) -> list[str]:
    """Imports of gan_zoo's that point upwards, or from one model to another."""
    own = [
        name
        for name in imports(ast.parse(source))
        if name.startswith("gan_zoo.") and unit(name) != "__version__"
    ]
    wrong = [name for name in own if level(name) > level(module)]
    if unit(module) == "models":
        wrong += [name for name in own if unit(name) == "models" and name != module]
    if module == "gan_zoo.schema":
        wrong += own
    return wrong


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def banned(source: str) -> list[str]:
    """Calls that run code from files or the network, or would."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        options = {
            item.arg: item.value.value for item in call.keywords if isinstance(item.value, ast.Constant)
        }
        if name in BANNED_CALLS or name.rpartition(".")[2] in BANNED_METHODS:
            found.append(name)
        if name == "torch.load" and options.get("weights_only") is not True:
            found.append("torch.load without weights_only=True")
        found += [f"{key}={value}" for key, value in BANNED_OPTIONS if options.get(key) is value]
    return found


@pytest.mark.parametrize("file", SOURCES, ids=module_of)
def test_imports_point_downwards(file: Path) -> None:
    assert out_of_order(file.read_text(encoding="utf-8"), module_of(file)) == []


@pytest.mark.parametrize("file", SOURCES, ids=module_of)
def test_no_call_runs_code_from_a_file(file: Path) -> None:
    assert banned(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", SOURCES, ids=module_of)
def test_only_entry_points_know_hydra_and_only_the_run_knows_loggers(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(ast.parse(file.read_text(encoding="utf-8")))}
    if unit(module_of(file)) not in KNOW_HYDRA:
        assert not roots & {"hydra", "omegaconf"}
    if level(module_of(file)) < 3 or unit(module_of(file)) == "metrics":
        assert not roots & {"wandb", "tensorboard"}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [file for file in SOURCES if file.stem in BANNED_NAMES or file.parent.name in BANNED_NAMES] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gan_zoo.losses", "from gan_zoo.gan import GAN"),
        ("gan_zoo.nn.norms", "import gan_zoo.models.dcgan"),
        ("gan_zoo.gan", "def late():\n    from gan_zoo import data"),
        ("gan_zoo.models.cgan", "from gan_zoo.models.dcgan import DCGAN"),
        ("gan_zoo.data.images", "from gan_zoo.config import compose"),
        ("gan_zoo.schema", "from gan_zoo import losses"),
    ],
)
def test_the_order_check_has_teeth(module: str, source: str) -> None:
    assert out_of_order(source, module) != []


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=flag)",
        "torch.load(path, weights_only=False)",
        "pickle.load(file)",
        "yaml.load(text, Loader=yaml.Loader)",
        "archive.extractall(folder)",
        "subprocess.run('ls', shell=True)",
        "torch.hub.load('a', 'b')",
        "np.load(path, allow_pickle=True)",
        "GAN.load_from_checkpoint(path)",
        "get_class(name)",
        "eval(text)",
    ],
)
def test_the_ban_has_teeth(source: str) -> None:
    assert banned(source) != []


@pytest.mark.parametrize(
    "source",
    ["torch.load(path, map_location='cpu', weights_only=True)", "yaml.safe_load(text)", "model.eval()"],
)
def test_the_ban_lets_the_safe_form_pass(source: str) -> None:
    assert banned(source) == []
