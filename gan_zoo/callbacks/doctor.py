"""What a trained eye sees in the curves, said once in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from gan_zoo.callbacks.recorder import Watcher
from gan_zoo.gan import GAN, PLAYERS, NonFinite
from gan_zoo.losses import Hinge, LeastSquares, NonSaturating

_REMEMBERED = 1000  # log points that a running median looks back on
_LEAST = 20  # before so many of them a median means little


class Reading(NamedTuple):
    """Figures of one log point; growth: watched figures over their running medians (1 while unknown)."""

    figures: dict[str, float]
    growth: dict[str, float]
    gan: GAN

    @property
    def has_border(self) -> bool:
        """Whether the loss has a border of its own between real and fake, which a critic's scale has not."""
        return isinstance(self.gan.loss, (NonSaturating, Hinge, LeastSquares))

    def adversarial(self) -> float:
        """D's loss without penalties: its terms are non-negative unless it is a critic."""
        if self.gan.loss.needs_lipschitz:
            return math.nan
        names = [f"discriminator/{term}" for term in ("real", "fake", "adversarial")]
        found = [self.figures[name] for name in names if name in self.figures]
        return sum(found) if found else math.nan

    def accuracy(self, kind: str) -> float:
        return self.figures.get(f"discriminator/accuracy_{kind}", math.nan) if self.has_border else math.nan


class Symptom(NamedTuple):
    """points: log points in a row on which `shows` must hold; with an absent figure, NaN, it does not."""

    name: str
    points: int
    shows: Callable[[Reading], bool]
    advice: str


SYMPTOMS = (
    Symptom(
        "discriminator_loss_zero",
        5,
        lambda r: r.adversarial() < 0.01,
        "D's loss is 0: D tells real from fake without effort, and G learns nothing from it. Slow D down "
        "(a lower model.optimizer.discriminator.lr, model.instance_noise, loss.labels.real=0.9) or bound it "
        "(regularizer=r1).",
    ),
    Symptom(
        "discriminator_always_right",
        20,
        lambda r: min(r.accuracy("real"), r.accuracy("fake")) >= 0.99,
        "D has been right on nearly every sample, real and fake, for twenty log points. Give G more to learn "
        "from: regularizer=r1, a lower model.optimizer.discriminator.lr, dropout or a smaller D.",
    ),
    Symptom(
        "discriminator_always_fooled",
        20,
        lambda r: r.accuracy("fake") <= 0.02,
        "D has taken nearly every fake for real for twenty log points and guides G no more. Strengthen it: "
        "a higher model.optimizer.discriminator.lr, model.n_critic=2, less dropout or noise, a wider D.",
    ),
    *(
        Symptom(
            f"{player}_gradient_growing",
            3,
            lambda r, name=f"{player}/gradient_norm": r.growth[name] > 100,  # type: ignore[misc]
            f"the gradient norm of the {player} is 100 times its median. Lower model.optimizer.{player}.lr, "
            f"set model.clip, or bound D (regularizer=r1_r2, spectral_norm).",
        )
        for player in PLAYERS
    ),
    Symptom(
        "discriminator_loss_variance",
        3,
        lambda r: r.growth["discriminator/loss_variance"] > 30,
        "the variance of D's loss is 30 times its median: the game has begun to swing. Lower both learning "
        "rates, average the generator (model.ema_half_life), or add regularizer=r1.",
    ),
    Symptom(
        "loss_scale_small",
        1,
        lambda r: r.figures.get("loss_scale", math.inf) < 1,
        "float16 gradients overflow even unscaled (loss scale below 1), so steps are being skipped. Use "
        "trainer.precision=bf16-mixed or 32-true, or lower the learning rates.",
    ),
)
_VARIETY = (
    "the samples lack variety: their mean distance from each other is {share:.0%} of that between real ones. "
    "Go back to an earlier checkpoint, add minibatch standard deviation, or try loss=rpgan regularizer=r1_r2."
)
_WATCHED = ("generator/gradient_norm", "discriminator/gradient_norm", "discriminator/loss_variance")


class Doctor(Watcher):
    """Reads the figures at each log point and the samples at each picture point; speaks once of each symptom.

    remarks: [{symptom, samples_seen, advice}], in the order of their appearance; the summary carries them.
    """

    def __init__(self) -> None:
        self.remarks: list[dict[str, Any]] = []
        self._streaks: dict[str, int] = {}
        self._history: dict[str, list[float]] = {name: [] for name in _WATCHED}
        self._most_variety = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "remarks": [dict(remark) for remark in self.remarks],
            "streaks": dict(self._streaks),
            "history": {name: list(values) for name, values in self._history.items()},
            "most_variety": self._most_variety,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.remarks, self._streaks = (
            [dict(remark) for remark in state_dict["remarks"]],
            dict(state_dict["streaks"]),
        )
        self._history = {name: list(state_dict["history"].get(name, [])) for name in _WATCHED}
        self._most_variety = float(state_dict["most_variety"])

    def on_figures(self, trainer: Trainer, gan: GAN, figures: dict[str, float]) -> None:
        if "discriminator/total" not in figures:
            return  # a metric's figures, not a step's
        reading = Reading(figures, {name: self._growth(name, figures) for name in _WATCHED}, gan)
        for symptom in SYMPTOMS:
            if self._lasts(symptom.name, symptom.shows(reading), symptom.points):
                self._remark(trainer, gan, symptom.name, symptom.advice)

    def on_samples(self, trainer: Trainer, gan: GAN, samples: Any, real: Tensor | None) -> None:
        if gan.samples_seen == 0 or real is None or not isinstance(samples, Tensor):
            return
        share = spread(samples) / max(spread(real), 1e-12)
        lost = share < 0.3 and self._most_variety > 0.6
        self._most_variety = max(self._most_variety, share)
        never_had = self._lasts("variety", share < 0.15, 5)
        if lost or never_had:
            self._remark(trainer, gan, "variety_lost", _VARIETY.format(share=share))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, NonFinite) and isinstance(pl_module, GAN):
            self._remark(trainer, pl_module, "not_finite", str(exception))

    def _growth(self, name: str, figures: dict[str, float]) -> float:
        """The figure over the median of all earlier ones; noted for the later ones."""
        value, history = figures.get(name, math.nan), self._history[name]
        growth = value / max(median(history), 1e-12) if len(history) >= _LEAST else 1.0
        if math.isfinite(value):
            history.append(value)
            del history[:-_REMEMBERED]
        return growth

    def _lasts(self, name: str, shows: bool, points: int) -> bool:
        self._streaks[name] = self._streaks.get(name, 0) + 1 if shows else 0
        return self._streaks[name] >= points

    def _remark(self, trainer: Trainer, gan: GAN, symptom: str, advice: str) -> None:
        if any(remark["symptom"] == symptom for remark in self.remarks):
            return
        self.remarks.append({"symptom": symptom, "samples_seen": gan.samples_seen, "advice": advice})
        if trainer.is_global_zero:
            print(f"doctor, after {gan.samples_seen:,} samples: {advice}", flush=True)


def spread(samples: Tensor, most: int = 256, side: int = 32) -> float:
    """Mean Euclidean distance of two samples; pictures are first averaged down to at most `side` pixels."""
    chosen = samples[:most].detach().float()
    if chosen.dim() == 4 and max(chosen.shape[-2:]) > side:
        chosen = F.adaptive_avg_pool2d(chosen, side)
    return float(torch.pdist(chosen.flatten(1)).mean()) if len(chosen) > 1 else math.nan
