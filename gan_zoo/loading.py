"""From settings to a model, and from a run, checkpoint or export back to one, without running anybody's code."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gan_zoo import __version__, chance, checkpoint
from gan_zoo.gan import GAN
from gan_zoo.schema import CheckpointError, ConfigError

WEIGHTS, CARD, SETTINGS = "model.safetensors", "README.md", "model.json"


def model_class(name: str) -> type[GAN]:
    """The GAN of gan_zoo/models/<name>.py: a model's name is its file's name, and nothing else is imported."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigError(f"model.name must be the name of a file in gan_zoo/models, got {name!r}")
    module_name = f"gan_zoo.models.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name != module_name:
            raise
        raise ConfigError(f"there is no gan_zoo/models/{name}.py; a model from elsewhere is given as load(path, model=MyGAN)") from None
    return sole_gan(module)


def sole_gan(module: Any) -> type[GAN]:
    """The one GAN that a module defines."""
    found = [value for value in vars(module).values()
             if inspect.isclass(value) and issubclass(value, GAN) and value.__module__ == module.__name__]
    if len(found) != 1:
        raise ConfigError(f"{module.__name__} must define one subclass of GAN, it defines {len(found)}: {[c.__name__ for c in found]}")
    return found[0]


def build(config: dict[str, Any], model: type[GAN] | None = None) -> GAN:
    """The model of a composed config; its first weights are a function of the seed alone."""
    settings = dict(config["model"])
    name = settings.pop("name", None)
    kind = model or (_target(settings.pop("_target_")) if "_target_" in settings else model_class(name))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.mix(config["seed"], "initial weights"))
        return kind(loss=_call_arguments(config["loss"]), regularizer=_call_arguments(config["regularizer"]), seed=config["seed"], **settings)


def _call_arguments(group: dict[str, Any] | None) -> dict[str, Any]:
    return dict(group or {})


def _target(path: str) -> type[GAN]:
    """A class of the user's own, named in a local config."""
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name, None) if module else None
    if not (inspect.isclass(found) and issubclass(found, GAN)):
        raise ConfigError(f"model._target_ must name a subclass of gan_zoo.GAN as package.module.Class, got {path!r}")
    return found


def described(config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint or export says of itself: enough to build the model again, as plain values."""
    kept = {key: config[key] for key in ("model", "loss", "regularizer", "seed")}
    kept["data"] = {key: config["data"][key] for key in ("name", "resolution", "channels", "classes", "modality")}
    return {"gan_zoo": __version__, "model": config["model"].get("name") or config["model"]["_target_"], "config": kept}


def load(path: str | Path, model: type[GAN] | None = None, device: str = "cpu") -> GAN:
    """A trained model from a run directory, a checkpoint or an export, ready to `sample`.

    model: the class, for a model from outside the package. Nothing in the files is executed: tensors come by safetensors or
    weights_only=True, the class from gan_zoo.models by name.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: not found; give a run directory, a .ckpt file or an export's directory")
    if path.is_dir() and (path / SETTINGS).is_file():
        gan, state = _from_export(path, model)
    else:
        content = checkpoint.read(_checkpoint_in(path))
        gan, state = _rebuilt(content, path, model), content["state"]
    try:
        gan.load_state_dict(state)
    except RuntimeError as failure:
        raise CheckpointError(f"{path}: its weights do not fit the model it names: {failure}") from failure
    return gan.to(device).eval()


def _checkpoint_in(path: Path) -> Path:
    if path.is_file():
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    last = folder / "last.ckpt"
    try:
        checkpoint.verify(last)
        return last
    except CheckpointError:
        return checkpoint.newest_good(folder)[0]


def _rebuilt(content: dict[str, Any], path: Path, model: type[GAN] | None) -> GAN:
    try:
        config = content["config"]
        if model is None and "_target_" in config["model"]:
            raise CheckpointError(f"{path}: holds a model from outside gan_zoo, {config['model']['_target_']!r}; classes are never "
                                  f"imported by a file's word: give it as load(path, model=MyGAN)")
        settings = {key: value for key, value in config["model"].items() if key != "_target_"}
        return build({**config, "model": settings}, model)
    except (KeyError, TypeError, AttributeError, ConfigError) as failure:
        raise CheckpointError(f"{path}: the model it describes cannot be built here: {failure}") from failure


def export(gan: GAN, folder: Path, description: dict[str, Any], card: str) -> None:
    """Writes weights (safetensors), settings (JSON) and a model card; `load` reads them back bit for bit."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous().clone() for name, value in gan.state_dict().items() if isinstance(value, torch.Tensor)}
    save_file(tensors, folder / WEIGHTS)
    settings = {"format": checkpoint.FORMAT, **description, "counters": gan.get_extra_state()}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
    (folder / CARD).write_text(card)


def _from_export(path: Path, model: type[GAN] | None) -> tuple[GAN, dict[str, Any]]:
    try:
        settings = json.loads((path / SETTINGS).read_text())
        tensors = load_file(path / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as failure:
        raise CheckpointError(f"{path}: not an export that can be read ({SETTINGS} and {WEIGHTS}): {failure}") from failure
    if settings.get("format") != checkpoint.FORMAT:
        raise CheckpointError(f"{path}: format {settings.get('format')} came, {checkpoint.FORMAT} was wanted")
    return _rebuilt(settings, path, model), {**tensors, "_extra_state": settings["counters"]}


def initialise_from(gan: GAN, path: str | Path) -> tuple[list[str], list[str]]:
    """Copies the weights that match in name and shape from a run or export; returns the names (matched, not matched).

    Counters and the optimisers' state stay as new.
    """
    source = _weights_of(Path(path))
    own = gan.state_dict()
    matched = [name for name, value in own.items() if isinstance(value, torch.Tensor)
               and isinstance(source.get(name), torch.Tensor) and source[name].shape == value.shape]
    if not matched:
        raise CheckpointError(f"{path}: no weight has the name and shape of one of this {type(gan).__name__}; choose the same model and size")
    gan.load_state_dict({**own, **{name: source[name] for name in matched}})
    return matched, [name for name in own if name not in matched and name != "_extra_state"]


def _weights_of(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise CheckpointError(f"{path}: not found; init_from takes a run directory, a .ckpt file or an export's directory")
    if path.is_dir() and (path / WEIGHTS).is_file():
        try:
            return dict(load_file(path / WEIGHTS))
        except SafetensorError as failure:
            raise CheckpointError(f"{path}: {WEIGHTS} cannot be read: {failure}") from failure
    return dict(checkpoint.read(_checkpoint_in(path))["state"])
