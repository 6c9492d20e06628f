"""What a run is and what came of it, in words: network.txt and summary.json."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from gan_zoo import __version__, media
from gan_zoo.callbacks.clock import play_of
from gan_zoo.callbacks.doctor import Doctor
from gan_zoo.callbacks.recorder import Recorder, Watcher, colleague, undisturbed
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import GAN, PLAYERS, Batch, Player


class Description(Watcher):
    """Writes network.txt before the first step, and summary.json then, at the end and where a run breaks off.

    directory: the run directory. config: the composed config, of which seed, max_samples and the names of
    model and data are read. Figures and seconds come from the Recorder among the trainer's callbacks.
    """

    def __init__(self, directory: str | Path, config: dict[str, Any], doctor: Doctor | None = None) -> None:
        self.directory, self.config, self.doctor = Path(directory), config, doctor

    def write_untrained(self, gan: GAN, data: DataModule | None = None) -> None:
        """network.txt and summary.json of a model that is built and not trained."""
        write_network(self.directory, gan, _real_pair(data, gan))
        write_summary(self.directory, summary(gan, self.config))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = play_of(pl_module)
        text = describe(gan, _real_pair(trainer.datamodule, gan))  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            media.publish(self.directory / "network.txt", text.encode())
            self._summarise(trainer, gan)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._summarise(trainer, play_of(pl_module))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(pl_module, GAN):
            self._summarise(
                trainer, pl_module, error=f"{type(exception).__name__}: {exception}".removesuffix(": ")
            )

    def _summarise(self, trainer: Trainer, gan: GAN, error: str | None = None) -> None:
        if not trainer.is_global_zero:
            return
        recorder = colleague(trainer, Recorder)
        content = summary(
            gan,
            self.config,
            figures=recorder.latest if recorder else {},
            error=error,
            seconds=recorder.seconds if recorder else 0.0,
            remarks=self.doctor.remarks if self.doctor else [],
        )
        write_summary(self.directory, content)


# ---- summary.json --------------------------------------------------------------------------------


def summary(
    gan: GAN,
    config: dict[str, Any],
    *,
    figures: dict[str, float] | None = None,
    seconds: float = 0.0,
    remarks: list[dict[str, Any]] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """What summary.json holds, as docs/run_directory.md explains it. seconds: wall-clock, of training."""
    return {
        "finished": gan.samples_seen >= config["max_samples"] and error is None,
        "error": error,
        "model": config.get("model", {}).get("name") or type(gan).__name__,
        "data": config.get("data", {}).get("name"),
        "samples_seen": gan.samples_seen,
        "max_samples": config["max_samples"],
        "generator_steps": gan.generator_steps,
        "figures": dict(sorted((figures or {}).items())),
        "parameters": {player: trainable(getattr(gan, player)) for player in PLAYERS},
        "weights": gan.weights,
        "wall_seconds": round(seconds, 3),
        "images_per_second": round(gan.samples_seen / seconds, 1) if seconds and gan.samples_seen else None,
        "seed": config["seed"],
        "versions": versions(),
        "git_commit": git_commit(),
        "machine": machine(gan.device),
        "remarks": remarks or [],
    }


def write_summary(directory: str | Path, content: dict[str, Any]) -> Path:
    """NaN and Inf, which JSON does not have, become null."""
    path = Path(directory) / "summary.json"
    media.publish(path, (json.dumps(_plain(content), indent=2, allow_nan=False) + "\n").encode())
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def trainable(network: nn.Module) -> int:
    """Numbers that the optimiser may change, shared ones once."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def versions() -> dict[str, str]:
    return {
        "gan_zoo": __version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }


def git_commit(folder: Path | None = None) -> str | None:
    """The commit of the checkout this code runs from, with -dirty where files differ; None outside of one."""
    here = folder or Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        # an installed package may lie inside somebody else's repository
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", "."], capture_output=True, check=True, timeout=10
        )
        found = subprocess.run(
            [*git, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            check=True,
            timeout=10,
            text=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def machine(device: torch.device) -> dict[str, Any]:
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    return {"cpus": os.cpu_count(), "device": device.type, "device_name": name, "system": platform.system()}


# ---- network.txt ---------------------------------------------------------------------------------


class Layer(NamedTuple):
    """One line of the table; trainable and fixed count its own numbers, calls those of one forward."""

    depth: int
    name: str
    kind: str
    outputs: str
    calls: int
    trainable: int
    fixed: int


def write_network(directory: str | Path, gan: GAN, batch: Batch | None = None) -> Path:
    path = Path(directory) / "network.txt"
    media.publish(path, describe(gan, batch).encode())
    return path


def describe(gan: GAN, batch: Batch | None = None) -> str:
    """Each player's layers with output shapes (N: batch) and parameters, by one forward that leaves no trace.

    batch: prepared real samples, for variants that generate from them; None where latents and classes do.
    """
    traces: dict[Player, dict[nn.Module, list[str]]] = {player: {} for player in PLAYERS}
    with ExitStack() as stack:
        stack.enter_context(undisturbed(gan))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_grown_up(gan))
        gan.eval()
        given = gan.sample_batch(2, 0, None, None) if batch is None else dict(batch)
        if gan.latent and "latent" not in given:
            given["latent"] = gan.latent.fixed(len(given["real"]), 0)
        given = {key: value.to(gan.device) for key, value in given.items()}
        for player in PLAYERS:
            stack.enter_context(_traced(getattr(gan, player), traces[player]))
        fake = gan.generate(given)
        gan.discriminate(fake, given)
    return "\n".join(_table(player, getattr(gan, player), traces[player]) for player in PLAYERS)


@contextmanager
def _grown_up(gan: GAN) -> Iterator[None]:
    """A model that grows is shown as it will be at the end."""
    before, gan.samples_seen = gan.samples_seen, 2**62
    try:
        yield
    finally:
        gan.samples_seen = before


def _real_pair(data: DataModule | None, gan: GAN) -> Batch | None:
    """Two prepared real samples, where there are data."""
    if not isinstance(data, DataModule):
        return None
    with undisturbed(gan), torch.no_grad(), _grown_up(gan):
        batch = data.train_set().__getitems__([(0, 0, data.resolution)] * 2)
        return gan.prepare_batch({key: value.to(gan.device) for key, value in batch.items()})


@contextmanager
def _traced(network: nn.Module, outputs: dict[nn.Module, list[str]]) -> Iterator[None]:
    """Notes the shape of what each layer returns."""

    def note(layer: nn.Module, given: Any, returned: Any) -> None:
        outputs.setdefault(layer, []).append(_shape(returned))

    handles = [layer.register_forward_hook(note) for layer in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shape(returned: Any) -> str:
    if isinstance(returned, Tensor):
        return f"[{', '.join(['N', *map(str, returned.shape[1:])])}]"
    if isinstance(returned, (tuple, list)):
        shapes = [text for text in map(_shape, returned) if text]
        return ", ".join(shapes[:3] + ["..."] * (len(shapes) > 3))
    return ""


def _table(player: Player, network: nn.Module, outputs: dict[nn.Module, list[str]]) -> str:
    layers = _layers(network, outputs)
    fixed = sum(layer.fixed for layer in layers)
    extra = f" and {fixed:,} that stay as they are" if fixed else ""
    header = ("layer", "", "output", "parameters")
    rows = [header, *(_cells(layer) for layer in layers)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    text = [f"{player}: {trainable(network):,} trainable parameters{extra}", ""]
    text += [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]
    return "\n".join(text) + "\n"


def _cells(layer: Layer) -> tuple[str, str, str, str]:
    times = f"  x{layer.calls}" if layer.calls > 1 else ""
    numbers = f"{layer.trainable:,}" if layer.trainable else ""
    numbers += f" + {layer.fixed:,} fixed" if layer.fixed else ""
    return "  " * layer.depth + layer.name, layer.kind, layer.outputs + times, numbers


def _layers(network: nn.Module, outputs: dict[nn.Module, list[str]]) -> list[Layer]:
    counted: set[int] = set()
    return [
        _layer(name, layer, outputs, counted)
        for name, layer in network.named_modules()
        if "parametrizations" not in name.split(".")
    ]


def _layer(name: str, layer: nn.Module, outputs: dict[nn.Module, list[str]], counted: set[int]) -> Layer:
    own = [
        p
        for n, p in layer.named_parameters(recurse=hasattr(layer, "parametrizations"))
        if id(p) not in counted
    ]
    counted.update(id(p) for p in own)
    trained = sum(p.numel() for p in own if p.requires_grad)
    depth = name.count(".") + 1 if name else 0
    # containers are walked through and not called, what holds no parameters is not missed
    used = any(inner in outputs for inner in layer.modules()) or not any(True for _ in layer.parameters())
    shapes = outputs.get(layer, ["" if used else "not used"])
    kind = f"{type(layer).__name__.removeprefix('Parametrized')}({_arguments(layer)})"
    return Layer(
        depth,
        name.rpartition(".")[2] or "(all)",
        kind.removesuffix("()"),
        shapes[0],
        len(shapes),
        trained,
        sum(p.numel() for p in own) - trained,
    )


def _arguments(layer: nn.Module) -> str:
    text = layer.extra_repr().replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."
