"""What a discriminator says of samples, and the figures that tell how sure it is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.losses import Logits, Terms


class Judgement(NamedTuple):
    """What D says of a batch: logits, and features (first layer first) where a loss asks for them."""

    logits: Logits
    features: tuple[Tensor, ...] = ()


def halves(judgement: Judgement) -> tuple[Judgement, Judgement]:
    """A judgement of two equal batches, one after the other, as one of each."""

    def half(index: int) -> Judgement:
        def part(value: Tensor) -> Tensor:
            return value.chunk(2)[index]

        logits = judgement.logits
        return Judgement(
            tuple(map(part, logits)) if isinstance(logits, tuple) else part(logits),
            tuple(map(part, judgement.features)),
        )

    return half(0), half(1)


@torch.no_grad()
def logit_figures(real: Judgement, fake: Judgement) -> Terms:
    """D's mean logit of each kind, and the share of samples on its right side of 0; scales count alike."""
    found: Terms = {}
    for name, judgement, sign in (("real", real, 1), ("fake", fake, -1)):
        logits = judgement.logits
        scales = logits if isinstance(logits, tuple) else (logits,)
        right = [(sign * scale > 0).float().mean() for scale in scales]
        found[f"discriminator/logit_{name}"] = torch.stack([scale.mean() for scale in scales]).mean()
        found[f"discriminator/accuracy_{name}"] = torch.stack(right).mean()
    return found
