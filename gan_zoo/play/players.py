"""Two players with an optimiser each: from a loss to a step, the same for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gan_zoo import optimizers, schedules
from gan_zoo.losses import Terms
from gan_zoo.nn.parallel import average_
from gan_zoo.play.finite import FiniteFlag, NonFinite, diagnosis
from gan_zoo.play.weights import PLAYERS, Player


class Players(LightningModule):
    """Gradients, their finiteness, clipping and averaging over ranks, steps, learning rates, and figures of all this.

    optimizer: {player: keyword arguments of optimizers.create}. clip: largest gradient norm of each player.
    accumulate: micro-batches for each step.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __init__(
        self, optimizer: dict[Player, dict[str, Any]], clip: dict[Player, float], accumulate: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.optimizer_settings, self.clip, self.accumulate = optimizer, clip, accumulate
        self.samples_seen = 0  # real samples given to D on all ranks, the only clock
        self.observing = True  # the logger's callback says at which steps the figures are wanted
        self.observations: Terms = {}
        self._flag = FiniteFlag()
        self._rates: dict[Player, dict[str, schedules.Schedule]] = {}

    # ---- optimisers -------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            optimizers.create(
                [p for p in getattr(self, player).parameters() if p.requires_grad],
                **self.optimizer_settings[player],
            )
            for player in PLAYERS
        ]

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        both = cast(list[torch.optim.Optimizer], self.optimizers(use_pl_optimizer=False))
        return both[player == "discriminator"]

    def _parameters_of(self, player: Player) -> list[nn.Parameter]:
        return [p for group in self._optimizer(player).param_groups for p in group["params"]]

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _set_rates(self, stale: bool) -> None:
        """Learning rates and momenta of this moment. stale: the optimisers forget what they gathered."""
        for player in PLAYERS:
            optimizer = self._optimizer(player)
            if stale:
                optimizer.state.clear()
            if player not in self._rates:
                self._rates[player] = optimizers.rates(self.optimizer_settings[player])
            optimizers.set_rates(optimizer, self._rates[player], self.samples_seen)

    # ---- from a loss to a step --------------------------------------------------------------------------------------

    def _zero(self, player: Player) -> None:
        self._optimizer(player).zero_grad(set_to_none=True)

    def _backward(self, player: Player, total: Tensor, retain_graph: bool = False) -> None:
        scaler = self._scaler
        loss = total / self.accumulate
        (scaler.scale(loss) if scaler else loss).backward(
            inputs=self._parameters_of(player), retain_graph=retain_graph
        )

    def _ready(self, player: Player, total: Tensor) -> tuple[Tensor, Tensor]:
        """Averages gradients and total over ranks, unscales, measures and clips; returns (true where all is finite, total)."""
        optimizer = self._optimizer(player)
        gradients = [p.grad for p in self._parameters_of(player) if p.grad is not None]
        total = total.detach().clone()
        average_([*gradients, total])
        if scaler := self._scaler:
            scaler.unscale_(optimizer)
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        if self.observing:
            self.observations[f"{player}/gradient_norm"] = norm.detach()
        if player in self.clip:
            torch._foreach_mul_(gradients, (self.clip[player] / (norm + 1e-6)).clamp(max=1.0))
        # under fp16 the scaler itself skips steps whose gradients overflowed, and lowers its scale
        finite = torch.isfinite(total) if self._scaler else torch.isfinite(total) & torch.isfinite(norm)
        return finite, total

    def _step(self, player: Player, finite: Tensor) -> None:
        """Steps where the flag says finite. The host reads the flag at once on the CPU and one step later on a GPU."""
        optimizer = self._optimizer(player)
        self._flag.note(finite)
        masked = finite.device.type != "cpu" and optimizer.defaults.get("fused")
        if not masked:
            self.raise_if_not_finite()
        if scaler := self._scaler:
            scaler.step(optimizer)
        else:
            if masked:
                optimizer.found_inf, optimizer.grad_scale = (~finite).float(), None  # type: ignore[attr-defined]
            optimizer.step()
        torch.clear_autocast_cache()  # holds casts of the weights as they were
        if player == "generator":  # Lightning's global_step counts G's steps alone
            counted = cast(list[Any], self.optimizers())[0]
            counted._on_before_step()
            counted._on_after_step()

    def raise_if_not_finite(self) -> None:
        """Reads the last step's flag; NonFinite names player, samples seen and the first tensor that is not finite."""
        if not self._flag.read():
            raise NonFinite(diagnosis(self.observations, self.named_parameters(), self.samples_seen))

    # ---- figures ----------------------------------------------------------------------------------------------------

    def _observed(self) -> dict[str, float]:
        """What was observed of the last step, averaged over ranks."""
        names = sorted(self.observations)
        values = [self.observations[name].float().reshape(()) for name in names]
        together = torch.stack(values) if names else torch.zeros(0)
        average_([together])
        return dict(zip(names, together.tolist(), strict=True))

    def _rates_now(self) -> dict[str, float]:
        """Learning rates, and the loss scale of fp16."""
        rates = {
            f"{player}/learning_rate": float(self._optimizer(player).param_groups[0]["lr"])
            for player in PLAYERS
        }
        return rates | ({"loss_scale": scaler.get_scale()} if (scaler := self._scaler) else {})


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """The opponent: no gradients for its weights, and nothing kept in memory to make them."""
    trained = [p for p in network.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
