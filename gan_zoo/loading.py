"""From settings to a model, and from a run, checkpoint or export back to one, without running anybody's code."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gan_zoo import __version__, chance, checkpoint, classes, plain_yaml
from gan_zoo import config as configs
from gan_zoo.gan import GAN, PLAYERS
from gan_zoo.schema import CheckpointError, ConfigError
from gan_zoo.settings import DATA_ARGUMENTS
from gan_zoo.signatures import coerce
from gan_zoo.wording import raise_if, shown

WEIGHTS, CARD, SETTINGS = "model.safetensors", "README.md", "model.json"
DATA = ("name", "resolution", "channels", "classes", "modality")  # what a file says of the data
COUNTERS = {"iteration", "samples_seen", "generator_steps", "critic_steps"}


# ---- building -----------------------------------------------------------------------------------------------


def build(config: dict[str, Any], model: type[GAN] | None = None) -> GAN:
    """The model of a composed config; its first weights are a function of the seed alone."""
    kind = model or classes.model_class(config["model"], local=True)
    settings = {key: value for key, value in config["model"].items() if key not in ("name", "_target_")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.mix(config["seed"], "initial weights"))
        gan: GAN = kind(
            loss=config["loss"], regularizer=config["regularizer"], seed=config["seed"], **settings
        )
        return gan


def described(config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint or export says of itself: enough to build the model again, as plain values."""
    kept = {key: config[key] for key in ("model", "loss", "regularizer", "seed")}
    kept["data"] = {key: config["data"][key] for key in DATA}
    return {
        "gan_zoo": __version__,
        "model": config["model"].get("name") or config["model"]["_target_"],
        "config": kept,
    }


# ---- loading ------------------------------------------------------------------------------------------------


def load(path: str | Path, model: type[GAN] | None = None, device: str = "cpu") -> GAN:
    """A trained model from a run directory, a checkpoint or an export, ready to `sample`.

    model: the class, for a model from outside the package. Nothing in the files is executed: tensors come by safetensors or
    weights_only=True, the class from gan_zoo.models by name. Before memory is spent, a model of gan_zoo is built as an outline
    (on torch's meta device) and its shapes are compared with those in the file; so its __init__ must not read tensors' values.
    """
    path = local(path)
    content = _content(path)
    gan = _rebuilt(content, path, model)
    gan.load_state_dict(content["state"])
    try:
        return gan.to(device).eval()
    except (RuntimeError, AssertionError) as failure:
        raise ConfigError(
            f"device: {device!r} came, which cannot be used here ({_first_line(failure)}); use cpu"
        ) from failure


def local(path: str | Path) -> Path:
    """`path`, if something is there; CheckpointError, since nothing is fetched, for addresses."""
    if "://" in str(path):
        raise CheckpointError(
            f"{path}: an address came, only local paths are read; download it first and give the path"
        )
    if not os.path.exists(path):  # Path.exists raises for names that are too long
        raise CheckpointError(
            f"{path}: not found; give a run directory, a .ckpt file or an export's directory"
        )
    return Path(path)


def folder_of(path: Path) -> Path:
    """Where files of a run, checkpoint or export go: the run that a checkpoint is of, an export's own folder."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "checkpoints" else folder


def checkpoint_in(path: Path) -> Path:
    """The checkpoint that stands for a run directory: its last, or the newest that verifies; a file is itself."""
    if path.is_file():
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    last = folder / "last.ckpt"
    try:
        checkpoint.verify(last)
        return last
    except CheckpointError:
        if not checkpoint.all_of(folder):
            raise CheckpointError(
                f"{path}: holds no checkpoint and no {SETTINGS}; give a run directory, a .ckpt file or an "
                f"export's directory"
            ) from None
        return checkpoint.newest_good(folder)[0]


def description_of(path: str | Path) -> dict[str, Any]:
    """{gan_zoo, model, config} as a run, checkpoint or export gives it, its types checked: see `described`."""
    path = local(path)
    return _described_in(_settings(path) if _is_export(path) else checkpoint.read(checkpoint_in(path)), path)


def modality_of(path: str | Path) -> str:
    """image, points, ...: what the model at `path` makes."""
    return str(description_of(path)["config"]["data"]["modality"])


def state_of(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The tensors by name and the counters of a checkpoint's content; CheckpointError where they are something else."""
    state = content.get("state")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(
            f"{path}: state: {shown(state)} came, tensors by name were wanted; use another checkpoint"
        )
    for name, value in state.items():
        if name == "_extra_state":
            _refuse_counters(value, path)
        elif (
            type(value) not in (Tensor, nn.Parameter)
            or value.layout != torch.strided
            or value.device.type != "cpu"
        ):
            raise CheckpointError(
                f"{path}: {name} is a {type(value).__name__}, a plain tensor was wanted; use another checkpoint"
            )
    if "_extra_state" not in state:
        raise CheckpointError(f"{path}: it does not say how many samples were seen; use another checkpoint")
    return state


def _refuse_counters(value: Any, path: Path) -> None:
    fits = isinstance(value, dict) and value.keys() == COUNTERS
    if not fits or not all(type(number) is int and 0 <= number < 2**63 for number in value.values()):
        raise CheckpointError(
            f"{path}: counters: {shown(value)} came, {', '.join(sorted(COUNTERS))} were wanted, each an integer "
            f">= 0; use another checkpoint"
        )


def _content(path: Path) -> dict[str, Any]:
    """Description and state of a checkpoint or export."""
    if not _is_export(path):
        content = checkpoint.read(checkpoint_in(path))
        return {**_described_in(content, path), "state": state_of(content, path)}
    settings = _settings(path)
    content = {"state": {**_tensors(path / WEIGHTS), "_extra_state": settings.get("counters")}}
    return {**_described_in(settings, path), "state": state_of(content, path)}


def _is_export(path: Path) -> bool:
    return path.is_dir() and (path / SETTINGS).exists()


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(plain_yaml.text_of(path / SETTINGS))
        plain_yaml.refuse_code(settings, SETTINGS)
    except (ValueError, RecursionError) as failure:
        raise CheckpointError(f"{path}: not an export that can be read: {failure}") from failure
    checkpoint.refuse_format(settings, path)
    return dict(settings)


def _tensors(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise CheckpointError(f"{file}: there is no such file; an export holds {SETTINGS} and {WEIGHTS}")
    try:
        return dict(load_file(file))
    except (
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        SafetensorError,
    ) as failure:
        raise CheckpointError(
            f"{file}: not a safetensors file that can be read ({_first_line(failure)}); get it again"
        ) from failure


def _described_in(content: dict[str, Any], path: Path) -> dict[str, Any]:
    config = content.get("config")
    try:
        plain_yaml.refuse_code(config, "its config")
        assert isinstance(config, dict)
        problems: list[str] = []
        data = config.get("data")
        for key in DATA:
            coerce(
                data.get(key) if isinstance(data, dict) else None,
                DATA_ARGUMENTS[key],
                f"data.{key}",
                problems,
            )
        for key in ("gan_zoo", "model"):
            coerce(content.get(key), str, key, problems)
        raise_if(problems)
    except ConfigError as failure:
        raise CheckpointError(
            f"{path}: does not say what it holds: {failure}; use a file that gan_zoo wrote"
        ) from failure
    return {"gan_zoo": content["gan_zoo"], "model": content["model"], "config": config}


def _rebuilt(content: dict[str, Any], path: Path, model: type[GAN] | None) -> GAN:
    """The model of a checked content, with new weights."""
    config, state = content["config"], content["state"]
    settings = config.get("model")
    if model is None and isinstance(settings, dict) and "_target_" in settings:
        if not classes.trusted(settings["_target_"]):
            raise CheckpointError(
                f"{path}: holds a model from outside gan_zoo, {shown(settings['_target_'])}; classes are never imported by "
                f"a file's word: give it as load(path, model=MyGAN), on the command line by trust={settings['_target_']}"
            )
        model = classes.model_class(settings, local=True)
    try:
        config = configs.validate_parts(config, ("model", "loss", "regularizer", "seed"), model)
        if model is None:
            with torch.device("meta"), _at_most(4 * len(state) + 100):
                _refuse_misfit(build(config), state)
        gan = build(config, model)
        _refuse_misfit(gan, state)
        return gan
    except _Misfit as misfit:
        raise CheckpointError(f"{path}: its weights do not fit the model it names: {misfit}") from misfit
    except Exception as failure:  # the settings are a stranger's: a constructor may fail in any way
        raise CheckpointError(
            f"{path}: the model it describes cannot be built here: {_words_of(failure)}"
        ) from failure


class _Misfit(ValueError):
    """Weights of other names or shapes than the model's."""


def _refuse_misfit(gan: GAN, state: dict[str, Any]) -> None:
    own = gan.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in state] + [
        f"{name} is not known" for name in state if name not in own
    ]
    wrong += [
        f"{name} is {_shape(state[name])}, {_shape(own[name])} was wanted"
        for name in own
        if name in state and not _alike(own[name], state[name])
    ]
    if wrong:
        raise _Misfit("; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""))


def _alike(own: Any, other: Any) -> bool:
    """Whether `other` can be copied into `own`: both counters, or tensors of one shape and kind of number."""
    if not isinstance(own, Tensor) or not isinstance(other, Tensor):
        return not isinstance(own, Tensor) and not isinstance(other, Tensor)
    kinds = [(value.is_floating_point(), value.is_complex()) for value in (own, other)]
    return own.shape == other.shape and kinds[0] == kinds[1]


def _shape(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Ends the building of a model that has far more parameters than its file: a depth of 10**9, say."""
    left = parameters

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Misfit(f"it has more than {parameters} parameters")

    handle = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _words_of(failure: Exception) -> str:
    return str(failure) if isinstance(failure, ConfigError) else _first_line(failure)


def _first_line(failure: BaseException) -> str:
    return next(iter(str(failure).splitlines()), "") or type(failure).__name__


# ---- exporting, and starting from weights -------------------------------------------------------------------


def export(gan: GAN, folder: Path, description: dict[str, Any], card: str) -> None:
    """Writes weights (safetensors), settings (JSON) and a model card; `load` reads them back bit for bit."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.contiguous().clone()
        for name, value in gan.state_dict().items()
        if isinstance(value, Tensor)
    }
    save_file(tensors, folder / WEIGHTS)
    settings = {"format": checkpoint.FORMAT, **description, "counters": gan.get_extra_state()}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")


def initialise_from(gan: GAN, path: str | Path) -> tuple[list[str], list[str]]:
    """Copies the weights that match in name and shape from a run or export; returns the names (matched, not matched).

    An average of G that the source does not have begins at the source's G. Counters and the optimisers' state stay as new.
    """
    source = _weights_of(local(path))
    if not any(name.startswith("ema_generator.") for name in source):
        source |= {f"ema_{name}": value for name, value in source.items() if name.startswith("generator.")}
    own = {name: value for name, value in gan.state_dict().items() if isinstance(value, Tensor)}
    matched = [name for name, value in own.items() if _alike(value, source.get(name))]
    if not {name for name, _ in gan.named_parameters()} & set(matched):  # every GAN has buffers that match
        raise CheckpointError(
            f"{path}: no weight has the name and shape of one of this {type(gan).__name__}; "
            f"choose the same model and size"
        )
    if not shares_of(gan, matched)["generator"]:
        resolution = description_of(path)["config"]["data"].get("resolution")
        raise CheckpointError(
            f"{path}: none of G's weights fits this {type(gan).__name__}, only some of D's; choose the same model and sizes"
            f"{f' (that run has data.resolution={resolution})' if resolution else ''}"
        )
    gan.load_state_dict({**gan.state_dict(), **{name: source[name] for name in matched}})
    return matched, [name for name in own if name not in matched]


def shares_of(gan: GAN, names: Collection[str]) -> dict[str, float]:
    """Of each player's weights (not its counters), which share `names` holds."""
    found: dict[str, float] = {}
    for player in PLAYERS:
        sizes = {
            name: value.numel() for name, value in gan.named_parameters() if name.startswith(f"{player}.")
        }
        found[player] = sum(size for name, size in sizes.items() if name in names) / max(
            1, sum(sizes.values())
        )
    return found


def _weights_of(path: Path) -> dict[str, Any]:
    if path.is_dir() and (path / WEIGHTS).exists():
        return _tensors(path / WEIGHTS)
    return state_of(checkpoint.read(checkpoint_in(path)), path)
