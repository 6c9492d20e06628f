"""From settings to a model, and from a run, checkpoint or export back to one, without running anybody's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gan_zoo import __version__, chance, checkpoint, classes
from gan_zoo.gan import GAN
from gan_zoo.schema import CheckpointError, ConfigError

WEIGHTS, CARD, SETTINGS = "model.safetensors", "README.md", "model.json"


def build(config: dict[str, Any], model: type[GAN] | None = None) -> GAN:
    """The model of a composed config; its first weights are a function of the seed alone."""
    kind = model or classes.model_class(config["model"], local=True)
    settings = {key: value for key, value in config["model"].items() if key not in ("name", "_target_")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.mix(config["seed"], "initial weights"))
        gan: GAN = kind(loss=config["loss"], regularizer=config["regularizer"], seed=config["seed"], **settings)
        return gan


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
        content = checkpoint.read(checkpoint_in(path))
        gan, state = _rebuilt(content, path, model), content["state"]
    try:
        gan.load_state_dict(state)
    except RuntimeError as failure:
        raise CheckpointError(f"{path}: its weights do not fit the model it names: {failure}") from failure
    return gan.to(device).eval()


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
        return checkpoint.newest_good(folder)[0]


def modality_of(path: str | Path) -> str:
    """image, points, ...: what the model at `path` makes."""
    path = Path(path)
    if path.is_dir() and (path / SETTINGS).is_file():
        return str(json.loads((path / SETTINGS).read_text())["config"]["data"]["modality"])
    return str(checkpoint.read(checkpoint_in(path))["config"]["data"]["modality"])


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
    return dict(checkpoint.read(checkpoint_in(path))["state"])
