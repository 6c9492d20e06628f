"""When a run is saved, what is in it, and how it goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_zoo import checkpoint
from gan_zoo.callbacks.clock import crosses, play_of
from gan_zoo.gan import GAN, PLAYERS
from gan_zoo.schema import CheckpointError


class Checkpoints(Callback):
    """Saves at batch ends: each `every` samples, at the end and after a signal; keeps the last `keep` and the best.

    description: what the file says of itself (model's name, config as plain values). resume: the content of the checkpoint
    to go on from. watched: the column of the metrics by which `best.ckpt` is chosen, the smallest being best.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        description: dict[str, Any],
        resume: dict[str, Any] | None = None,
        keep: int = 2,
    ) -> None:
        self.folder, self.every, self.description, self.resume, self.keep = (
            folder,
            every,
            description,
            resume,
            keep,
        )
        self._before = self._saved_at = -1
        self.best: float | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            checkpoint.sweep(self.folder)
        if self.resume:
            restore(trainer, play_of(pl_module), self.resume)
            self._saved_at = play_of(pl_module).samples_seen

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._before = play_of(pl_module).samples_seen

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        now = play_of(pl_module).samples_seen
        if crosses(self._before, now, self.every) or trainer.should_stop:
            self.save(trainer, play_of(pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer, play_of(pl_module))

    def save(self, trainer: Trainer, gan: GAN) -> None:
        """Writes the moment between two steps, unless it was written already or holds numbers that are not finite."""
        if gan.samples_seen == self._saved_at:
            return
        gan.raise_if_not_finite()
        self._saved_at = gan.samples_seen
        if trainer.is_global_zero:
            path = self.folder / checkpoint.file_name(gan.samples_seen)
            checkpoint.write(path, content_of(trainer, gan, self.description))
            _point(self.folder / "last.ckpt", path)
            self._retire(path)

    def note_figure(self, trainer: Trainer, gan: GAN, figure: float) -> None:
        """Keeps this moment as best.ckpt if `figure` is the smallest so far; call it on all ranks."""
        if self.best is not None and figure >= self.best:
            return
        gan.raise_if_not_finite()
        self.best = figure
        if trainer.is_global_zero:
            checkpoint.write(self.folder / "best.ckpt", content_of(trainer, gan, self.description))

    def _retire(self, newest: Path) -> None:
        checkpoint.verify(newest)  # nothing older goes before the newest is known to be good
        for old in checkpoint.all_of(self.folder)[self.keep :]:
            old.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


def _point(name: Path, target: Path) -> None:
    """Makes `name` another name of `target`'s bytes, in one rename."""
    part = name.with_name(f"{name.name}.tmp.link")
    part.unlink(missing_ok=True)
    try:
        part.hardlink_to(target)
    except OSError:  # no hard links on this file system
        part.write_bytes(target.read_bytes())
    part.replace(name)
    checkpoint.sync_folder(name.parent)


def content_of(trainer: Trainer, gan: GAN, description: dict[str, Any]) -> dict[str, Any]:
    """All that the next step depends on: tensors and plain values."""
    return {
        "format": checkpoint.FORMAT,
        **description,
        "state": gan.state_dict(),
        "optimizers": {player: gan._optimizer(player).state_dict() for player in PLAYERS},
        "precision": trainer.precision_plugin.state_dict(),
        "callbacks": {
            name: state
            for name, state in ((type(c).__name__, c.state_dict()) for c in _callbacks(trainer))
            if state
        },
    }


def restore(trainer: Trainer, gan: GAN, content: dict[str, Any]) -> None:
    """The state of `content` in a run whose optimisers exist already."""
    try:
        gan.load_state_dict(content["state"])
        for player in PLAYERS:
            _restore_optimizer(gan._optimizer(player), content["optimizers"][player])
        if content["precision"]:
            trainer.precision_plugin.load_state_dict(content["precision"])
        for callback in _callbacks(trainer):
            if state := content["callbacks"].get(type(callback).__name__):
                callback.load_state_dict(state)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as failure:
        raise CheckpointError(f"the checkpoint does not fit this model: {failure}") from failure


def _restore_optimizer(optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
    """Its moments, by parameter; rates and other settings are the config's."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if unknown := content["state"].keys() - set(range(len(parameters))):
        raise ValueError(f"it has moments of parameters that are not there: {sorted(map(str, unknown))[:3]}")
    for index, moments in content["state"].items():
        shapes = {name: value.shape for name, value in moments.items() if value.dim()}
        if wrong := [name for name, shape in shapes.items() if shape != parameters[index].shape]:
            raise ValueError(
                f"{wrong[0]} of parameter {index} is {list(shapes[wrong[0]])}, not {list(parameters[index].shape)}"
            )
    optimizer.load_state_dict(
        {"state": content["state"], "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _callbacks(trainer: Trainer) -> list[Callback]:
    return [callback for callback in getattr(trainer, "callbacks", [])]
