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
from gan_zoo.play.finite import FiniteFlag, NonFinite, Turn, diagnosis
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
        self._minimised: dict[Player, Terms] = {}  # in the turn: means over its micro-batches
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

    def _begin(self, player: Player) -> None:
        """A turn: without gradients and figures of the last."""
        self._optimizer(player).zero_grad(set_to_none=True)
        self._minimised[player] = {}

    def _observe(self, figures: Terms) -> None:
        """Adds to the step's figures: micro-batches hand in their share, two turns of a player what each played for."""
        if self.observing:
            for name, value in figures.items():
                self.observations[name] = self.observations.get(name, 0) + value

    def _backward(self, player: Player, total: Tensor, retain_graph: bool = False) -> None:
        scaler = self._scaler
        loss = total / self.accumulate
        (scaler.scale(loss) if scaler else loss).backward(
            inputs=self._parameters_of(player), retain_graph=retain_graph
        )

    def _ready(self, player: Player, total: Tensor) -> Tensor:
        """Averages gradients and total over ranks, unscales, notes whether all is finite, and clips; returns the total."""
        parameters = [p for p in self._parameters_of(player) if p.grad is not None]
        gradients = [cast(Tensor, p.grad) for p in parameters]
        total = total.detach().clone()
        average_([*gradients, total])
        if scaler := self._scaler:
            scaler.unscale_(self._optimizer(player))
        norms = torch.stack(torch._foreach_norm(gradients))
        norm = torch.linalg.vector_norm(norms)
        if self.observing:
            self.observations[f"{player}/gradient_norm"] = norm.detach()
        # under fp16 the scaler itself skips steps whose gradients overflowed, and lowers its scale
        finite = torch.isfinite(total) if self._scaler else torch.isfinite(total) & torch.isfinite(norm)
        terms = self._minimised[player] | {f"{player}/total": total}
        self._flag.note(Turn(player, self.samples_seen, finite, terms, norms, parameters))
        if player in self.clip:
            torch._foreach_mul_(gradients, (self.clip[player] / (norm + 1e-6)).clamp(max=1.0))
        return total

    def _step(self, player: Player) -> None:
        """Steps unless something was not finite: the device leaves the update out, or the host reads the flag at once."""
        optimizer = self._optimizer(player)
        if (
            self._masks(optimizer) and self._flag.unread is not None
        ):  # else it was just read, and all was finite
            optimizer.found_inf, optimizer.grad_scale = (~self._flag.unread).float(), None  # type: ignore[attr-defined]
        else:
            self.raise_if_not_finite()
        if scaler := self._scaler:
            scaler.step(optimizer)
        else:
            optimizer.step()
        torch.clear_autocast_cache()  # holds casts of the weights as they were
        if player == "generator":  # Lightning's global_step counts G's steps alone
            counted = cast(list[Any], self.optimizers())[0]
            counted._on_before_step()
            counted._on_after_step()

    def _masks(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimiser can be told on the device to leave a step out; a scaler tells it something else there."""
        return self.device.type != "cpu" and bool(optimizer.defaults.get("fused")) and not self._scaler

    def raise_if_not_finite(self, late: bool = False) -> None:
        """NonFinite, which names player, samples seen and the first tensor, if a turn was not finite.

        late: asks without waiting for a GPU, which answers a step later; no update is made in between.
        """
        if not (self._flag.read_late() if late else self._flag.read()):
            raise NonFinite(diagnosis(self._flag.turns, self.named_parameters()))

    # ---- figures ----------------------------------------------------------------------------------------------------

    def _observed(self) -> dict[str, float]:
        """What was observed of the last step, averaged over ranks."""
        names = sorted(self.observations)
        values = [self.observations[name].float().reshape(()) for name in names]
        together = torch.stack(values) if names else torch.zeros(0, device=self.device)
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
