"""Cheap metrics while a run is trained: columns of metrics.csv, and the figure that chooses best.ckpt."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from pydantic import PositiveInt

from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.clock import crosses, play_of
from gan_zoo.callbacks.recorder import Recorder, Watcher, colleague, samples_in, undisturbed
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import GAN, Batch
from gan_zoo.metrics.measures import Measure, quick
from gan_zoo.metrics.subject import Subject, fakes_of, subject_of
from gan_zoo.metrics.table import chosen, meant
from gan_zoo.schema import ConfigError

WATCHED = (
    "reverse_kl",
    "stacked_kl",
    "mean_iou",
    "frechet_distance",
    "swd",
    "accepted",
    "js_4",
)  # auto takes the first that is measured
PREFIX = "evaluation/"


class Evaluation(Watcher):
    """Each `every` samples: n samples of the seed against `reals` training reals, as columns evaluation/<figure>.

    metrics: names of measures; None takes all cheap ones that fit the data. watch: the figure by which best.ckpt is
    chosen, `auto` or None for none. The moment is a multiple of `every` alone and the latents are always the same, so
    that a resumed run writes the same bits; the training is the same as without it.
    """

    def __init__(
        self,
        every: PositiveInt = 20_000,
        metrics: list[str] | None = None,
        n: PositiveInt = 1000,
        reals: PositiveInt = 2000,
        watch: str | None = "auto",
        seed: int = 0,
    ) -> None:
        if every < 1 or n < 16 or reals < 16:
            raise ConfigError(
                f"evaluation needs every >= 1 and n, reals >= 16 samples, got every={every}, n={n}, reals={reals}"
            )
        self.every, self.metrics, self.n, self.reals, self.watch, self.seed = (
            every,
            metrics,
            n,
            reals,
            watch,
            seed,
        )
        self._known: Subject | None = None
        self._watched: tuple[str, bool] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuses what cannot be measured before the first step."""
        gan, self._known = play_of(pl_module), None
        with undisturbed(gan):
            measures = self._measures(self._subject(trainer, gan))
        self._watched = self._choice(measures)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        gan = play_of(pl_module)
        if crosses(gan.samples_seen - samples_in(batch, trainer), gan.samples_seen, self.every):
            self._evaluate(trainer, gan)

    def _evaluate(self, trainer: Trainer, gan: GAN) -> None:
        figures = self.figures(trainer, gan)
        if recorder := colleague(trainer, Recorder):
            recorder.record(trainer, gan, {f"{PREFIX}{name}": value for name, value in figures.items()})
        checkpoints = colleague(trainer, Checkpoints)
        if checkpoints and self._watched:
            name, lower_is_better = self._watched
            value = figures[name] if lower_is_better else -figures[name]
            if math.isfinite(value):
                checkpoints.note_figure(trainer, gan, value)

    def figures(self, trainer: Trainer, gan: GAN) -> dict[str, float]:
        """All figures of this moment by name; of several ranks the first one's count, whose running statistics are sampled with."""
        with undisturbed(gan):
            subject = self._subject(trainer, gan)
            return {
                name: float(value)
                for measure in self._measures(subject).values()
                for name, value in quick(measure, subject).items()
            }

    def _measures(self, subject: Subject) -> dict[str, Measure]:
        found = chosen(subject, self.metrics, cheap=True)
        if not found:
            raise ConfigError(
                f"no cheap metric fits data={subject.data}; name some in callbacks.evaluation.metrics"
            )
        return found

    def _subject(self, trainer: Trainer, gan: GAN) -> Subject:
        """New fakes beside the reals, which are read once; of a model that grows, each time, as they grow with it."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, DataModule):
            raise ConfigError(
                f"evaluation needs a data module of gan_zoo, got {type(data).__name__}; pass datamodule= to Trainer.fit"
            )
        if self._known is None or gan.batch_plan(gan.samples_seen) is not None:
            self._known = subject_of(gan, data, self.n, reals=self.reals, seed=self.seed)
            return self._known
        asked, n = self._known.asked, len(self._known.fake)
        return self._known.with_fakes(fakes_of(gan, data, n, self.seed, asked), asked)

    def _choice(self, measures: dict[str, Measure]) -> tuple[str, bool] | None:
        """The watched figure, and whether less of it is better."""
        meanings = {
            name: meaning for measure in measures.values() for name, meaning in measure.figures.items()
        }
        if self.watch is None:
            return None
        if self.watch == "auto":
            name = next((name for name in WATCHED if name in meanings), next(iter(meanings)))
        elif self.watch in meanings:
            name = self.watch
        else:
            raise ConfigError(
                f"callbacks.evaluation.watch: {self.watch!r} came; {meant(self.watch, meanings)}"
            )
        return name, meanings[name].lower_is_better
