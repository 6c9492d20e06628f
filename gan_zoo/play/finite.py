"""The alarm for losses and gradients that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_zoo.losses import Terms
from gan_zoo.play.weights import Player


class NonFinite(RuntimeError):
    """A loss or gradient is NaN or infinite; the update was not made."""


class Turn(NamedTuple):
    """What one player's turn leaves for a diagnosis; tensors stay on the device.

    finite: 0-d bool. terms: what was minimised, as player/term, the total last. norms: of each parameter's gradient, [parameters].
    """

    player: Player
    samples_seen: int
    finite: Tensor
    terms: Terms
    norms: Tensor
    parameters: Sequence[nn.Parameter]


class FiniteFlag:
    """Whether every turn since the last reading was finite: one flag on the device, which masks the updates that follow.

    A GPU's flag is sent to the host when it is asked for late, and read when it is asked for again, a step later: a healthy
    step waits for nothing, and after a sick turn nothing is updated until the host knows.
    """

    def __init__(self) -> None:
        self.unread: Tensor | None = None  # 0-d bool, or None where no turn was noted
        self.turns: list[Turn] = []  # those that may be to blame
        self._sent: _Sent | None = None

    def note(self, turn: Turn) -> None:
        self.unread = turn.finite if self.unread is None else turn.finite & self.unread
        self.turns.append(turn)

    def read(self) -> bool:
        """Waits for the device, and begins anew."""
        unread, self.unread, self._sent = self.unread, None, None
        return self._judged(unread is None or bool(unread), len(self.turns))

    def read_late(self) -> bool:
        """On a GPU: what was so when it was asked for the last time. Elsewhere as `read`."""
        if self.unread is None or self.unread.device.type != "cuda":
            return self.read()
        sent, self._sent = self._sent, _Sent(self.unread, len(self.turns))
        if sent is None:
            return True
        self._sent.turns -= sent.turns
        return self._judged(sent.arrived(), sent.turns)

    def _judged(self, healthy: bool, turns: int) -> bool:
        if healthy:
            del self.turns[:turns]
        return healthy


class _Sent:
    """A flag of the GPU on its way to the host, and how many turns it speaks for."""

    def __init__(self, flag: Tensor, turns: int) -> None:
        self.turns = turns
        self._copy = torch.empty((), dtype=torch.bool, pin_memory=True)
        self._copy.copy_(flag, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record()

    def arrived(self) -> bool:
        self._event.synchronize()
        return bool(self._copy)


def diagnosis(turns: Iterable[Turn], named_parameters: Iterable[tuple[str, nn.Parameter]]) -> str:
    """Of the first turn that was not finite: its player, term and gradients, when it was, and what may help."""
    turn = next(turn for turn in turns if not turn.finite)
    names = {id(parameter): name for name, parameter in named_parameters}
    sick = (~turn.norms.isfinite()).nonzero().flatten().tolist()
    gradients = [names[id(turn.parameters[index])] for index in sick]
    terms = [name for name, value in turn.terms.items() if not value.isfinite()]
    culprit = [*terms, *gradients, f"{turn.player}/gradient_norm"][0]
    return (
        f"{turn.player}: {culprit} is not finite after {turn.samples_seen} samples ({len(gradients)} gradient tensors, first "
        f"{gradients[0] if gradients else 'none'}); stopped before this update. "
        f"Lower the learning rate, add a regulariser (regularizer=r1_r2) or use trainer.precision=32-true"
    )
