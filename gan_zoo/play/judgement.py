"""What a discriminator says of samples, and the figures that tell how sure it is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_zoo.losses import Logits, Loss, Terms


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
def logit_figures(loss: Loss, real: Judgement, fake: Judgement) -> Terms:
    """D's mean logit of each kind, and the share of samples on their side of the loss's border; scales count alike."""
    logits = [said if isinstance(said, tuple) else (said,) for said in (real.logits, fake.logits)]
    right = [loss.margins(r, f) for r, f in zip(*logits, strict=True)]
    found: Terms = {}
    for name, scales, margins in zip(("real", "fake"), logits, zip(*right, strict=True), strict=True):
        found[f"discriminator/logit_{name}"] = torch.stack([scale.mean() for scale in scales]).mean()
        found[f"discriminator/accuracy_{name}"] = torch.stack(
            [(m > 0).float().mean() for m in margins]
        ).mean()
    return found
