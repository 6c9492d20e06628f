"""Samples from latents that are fixed for the whole run, beside real ones, and their film."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from gan_zoo import chance, media
from gan_zoo.callbacks.clock import crosses, play_of
from gan_zoo.callbacks.recorder import Watcher, samples_in, undisturbed, watchers
from gan_zoo.data.stream import BatchDataset, DataModule
from gan_zoo.gan import GAN, Batch
from gan_zoo.nn.equalised import upsampled
from gan_zoo.schema import ConfigError

_NAME = re.compile(r"\d{10,}\.\w+")
CURRENT = "current"  # sub-folder of samples/
MOST_PIXELS = 9 * 1024**2  # of all samples of a picture together, unless their number is given


class View(NamedTuple):
    """What is drawn each time: n samples; for models of classes, their classes, and how many make a row."""

    n: int
    columns: int | None = None
    condition: Tensor | None = None
    latent: Tensor | None = None
    inputs: Batch | None = None  # held-out items, for models that are conditioned on more than a class


class Pictures(Watcher):
    """samples/<samples_seen>.png before the first step, each `every` samples and at the end; their film.

    directory: the run directory. n: samples in a picture, None for what suits the modality. A model of
    classes shows one row a class and one column a latent. The same seed gives the same latents, hence the
    same files after a resume. samples/real.png shows real ones in the same layout. While a run grows, all have the final
    size, each pixel repeated; samples/current/ has them at the size of the moment.
    """

    def __init__(self, directory: str | Path, every: int, n: int | None = None, seed: int = 0) -> None:
        if every < 1 or (n is not None and n < 1):
            raise ConfigError(f"pictures need every >= 1 (samples) and n >= 1, got every={every} and n={n}")
        self.directory, self.every, self.n, self.seed = Path(directory), every, n, seed
        self.folder = self.directory / "samples"
        self._last_regular, self._last = -1, -1  # positions

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last_regular}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._last_regular = self._last = int(state_dict["last"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan, data = play_of(pl_module), trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, DataModule):
            raise ConfigError(
                f"pictures need a data module of gan_zoo, got {type(data).__name__}; "
                f"pass datamodule= to Trainer.fit"
            )
        if gan.samples_seen == 0:
            self._last_regular = self._last = -1
        self.medium = media.medium_of(data.modality)
        self.view = view_of(gan, data, self.n or fitting(data, self.medium.samples), self.seed)
        self.told = told(data, self.view.inputs)
        with undisturbed(gan):
            self.real = real_samples(gan, data, self.view, self.seed)
        if trainer.is_global_zero:
            self._forget_later_ones()
            if gan.samples_seen == 0 or not (self.folder / f"real{self.medium.suffix}").exists():
                self._write(trainer, gan, "real", self.real)
        if gan.samples_seen == 0:
            self._show_regular(trainer, gan)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        gan = play_of(pl_module)
        if crosses(gan.samples_seen - samples_in(batch, trainer), gan.samples_seen, self.every):
            self._show_regular(trainer, gan)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = play_of(pl_module)
        if gan.samples_seen != self._last:
            self._show(trainer, gan)  # the watchers are not told: a run that goes on has no such moment
        self._film(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._film(trainer)

    def _show_regular(self, trainer: Trainer, gan: GAN) -> None:
        samples = self._show(trainer, gan)
        self._last_regular = gan.samples_seen
        for watcher in watchers(trainer):
            watcher.on_samples(trainer, gan, samples, self.real)

    def _show(self, trainer: Trainer, gan: GAN) -> Tensor:
        with undisturbed(
            gan
        ):  # on all ranks: the others would wait anyway, and no layer that synchronises hangs
            samples = gan.sample(
                self.view.n,
                seed=self.seed,
                condition=self.view.condition,
                latent=self.view.latent,
                inputs=self.view.inputs,
            )
            grows = gan.batch_plan(gan.samples_seen) is not None
            if grows:  # real ones at the resolution of the moment
                self.real = real_samples(gan, trainer.datamodule, self.view, self.seed)  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            self._write(trainer, gan, "samples", samples)
            if grows:
                self._write(trainer, gan, "real", self.real)
        self._last = gan.samples_seen
        return samples

    def _write(self, trainer: Trainer, gan: GAN, name: str, samples: Tensor) -> None:
        stem = f"{gan.samples_seen:010d}" if name == "samples" else name
        behind = self.real if name == "samples" else None
        times = shrinkage(gan, trainer.datamodule)  # type: ignore[attr-defined]
        if times > 1:
            content = self._rendered(gan, samples, behind)
            self.medium.write(self.folder / CURRENT / stem, content)
            send_picture(trainer, f"{name}_{CURRENT}", content, gan.samples_seen)
            samples, behind = upsampled(samples, times), None if behind is None else upsampled(behind, times)
        self._publish(trainer, name, stem, self._rendered(gan, samples, behind), gan.samples_seen)

    def _rendered(self, gan: GAN, samples: Tensor, behind: Tensor | None) -> Any:
        return self.medium.render(
            gan.readable(samples),
            None if behind is None else gan.readable(behind),
            self.view.columns,
            self.told,
        )

    def _publish(self, trainer: Trainer, name: str, stem: str, content: Any, samples_seen: int) -> None:
        path = self.medium.write(self.folder / stem, content)
        if self.medium.suffix == ".png":
            send_picture(trainer, name, content, samples_seen)
        if self.medium.suffix == ".txt":
            send_text(trainer, name, content, samples_seen)
        if self.medium.suffix == ".wav":
            send_sound(trainer, name, content.sound, path, samples_seen)
            send_picture(trainer, f"{name}_spectrogram", media.audio.spectrograms(content.rows), samples_seen)

    def _all(self, pattern: str = "*") -> list[Path]:
        return sorted(path for path in self.folder.glob(pattern) if _NAME.fullmatch(path.name))

    def _forget_later_ones(self) -> None:
        """Also the last picture of an interrupted run, which an uninterrupted one does not have."""
        for path in [*self._all(), *self._all(f"{CURRENT}/*")]:
            if int(path.stem) > self._last_regular:
                path.unlink()

    def _film(self, trainer: Trainer) -> None:
        frames = [path for path in self._all() if path.suffix == ".png"]
        if trainer.is_global_zero and frames:
            media.film(frames, self.directory / "samples.gif")


def shrinkage(gan: GAN, data: DataModule) -> int:
    """How many times smaller a side is now than at the end of a run that grows."""
    plan = gan.batch_plan(gan.samples_seen)
    return data.resolution // plan[1] if plan else 1


def fitting(data: DataModule, n: int) -> int:
    """n, or as many (at least 4) as a picture has room for where they are large: 9 of 1024 x 1024."""
    if data.modality not in ("image", "pair", "captioned"):
        return n
    area = data.resolution * (getattr(data, "width", None) or data.resolution)
    return min(n, max(4, MOST_PIXELS // area))


def view_of(gan: GAN, data: DataModule, n: int, seed: int) -> View:
    """n samples; for pictures of classes a row a class (of many an even choice), all of the same latents."""
    if gan.conditioned_on:
        return View(n, inputs=data.held_out_batch(n))
    classes = int(getattr(gan, "classes", 0))
    if not classes or data.modality != "image":
        return View(n)
    columns = max(1, round(n**0.5))
    shown = torch.arange(classes) if classes <= 2 * columns else torch.arange(columns) * classes // columns
    latent = gan.latent.fixed(columns, seed) if gan.latent else None
    if latent is not None:
        latent = latent.repeat(len(shown), *[1] * (latent.dim() - 1))
    return View(len(shown) * columns, columns, shown.repeat_interleave(columns), latent)


def told(data: DataModule, inputs: Batch | None) -> dict[str, Any] | None:
    """What samples are made from, with the captions as strings where there are some."""
    if inputs is None or "tokens" not in inputs or not hasattr(data, "decode"):
        return inputs
    return {**inputs, "captions": data.decode(inputs["tokens"])}


def real_samples(gan: GAN, data: DataModule, view: View, seed: int) -> Tensor:
    """Real ones in the layout of a view, as D sees them, on the CPU; none twice unless they are few."""
    if view.inputs is not None:  # the truth of what is drawn
        return _of_batch(gan, view.inputs)
    items = data.train_set()
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(chance.mix(seed, "real")))
    labels = data.conditions() if view.condition is not None else None
    if labels is not None and view.columns and view.condition is not None:
        chosen = [
            _cycled(order[labels[order] == row], view.columns) for row in view.condition[:: view.columns]
        ]
        order = torch.cat([some if len(some) else order[: view.columns] for some in chosen])
    return _prepared(gan, data, items, _cycled(order, view.n).tolist())


def _cycled(indices: Tensor, n: int) -> Tensor:
    return indices.repeat(-(-n // len(indices)))[:n] if len(indices) else indices


def _prepared(gan: GAN, data: DataModule, items: BatchDataset, indices: list[int]) -> Tensor:
    return _of_batch(gan, items.__getitems__([(index, 0, data.resolution) for index in indices]))


def _of_batch(gan: GAN, batch: Batch) -> Tensor:
    with torch.no_grad():
        return (
            gan.prepare_batch({key: value.to(gan.device) for key, value in batch.items()})["real"]
            .float()
            .cpu()
        )


def send_picture(trainer: Trainer, name: str, picture: media.Picture, samples_seen: int) -> None:
    """To TensorBoard and W&B, where they are in use; as bytes, since W&B shows float pictures as black."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, samples_seen, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            import wandb

            content: Any = {name: wandb.Image(media.as_image(picture)), "samples_seen": samples_seen}
            logger.log_metrics(content, step=samples_seen)


def send_text(trainer: Trainer, name: str, text: str, samples_seen: int) -> None:
    """Lines as text to TensorBoard and as a table to W&B, where they are in use; never as a picture."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            # a code block of Markdown, in which nothing is interpreted
            block = "".join(f"    {line}\n" for line in text.splitlines())
            logger.experiment.add_text(name, block, samples_seen)
        elif isinstance(logger, WandbLogger):
            import wandb

            table = wandb.Table(columns=["line"], data=[[line] for line in text.splitlines()])
            logger.log_metrics({name: table, "samples_seen": samples_seen}, step=samples_seen)  # type: ignore[dict-item]


def send_sound(trainer: Trainer, name: str, sound: media.audio.Sound, file: Path, samples_seen: int) -> None:
    """To TensorBoard and W&B, where they are in use."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_audio(
                name, torch.from_numpy(sound)[None], samples_seen, sample_rate=media.audio.RATE
            )
        elif isinstance(logger, WandbLogger):
            import wandb

            content: Any = {name: wandb.Audio(str(file)), "samples_seen": samples_seen}
            logger.log_metrics(content, step=samples_seen)
