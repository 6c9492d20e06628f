"""What D says: halves of a batch, and how sure it is."""

from __future__ import annotations

import torch

from gan_zoo.play.judgement import Judgement, halves, logit_figures


def test_halves_are_the_judgements_of_both_batches() -> None:
    logits, features = torch.arange(6.0), torch.arange(12.0).view(6, 2)
    for both in (Judgement(logits, (features,)), Judgement((logits, logits + 1), (features,))):
        first, second = halves(both)
        for half, rows in ((first, slice(0, 3)), (second, slice(3, 6))):
            scales = half.logits if isinstance(half.logits, tuple) else (half.logits,)
            for scale, found in enumerate(scales):
                torch.testing.assert_close(found, logits[rows] + scale)
            torch.testing.assert_close(half.features, (features[rows],))


def test_accuracy_is_the_share_on_the_right_side_of_zero_and_scales_count_alike() -> None:
    real = Judgement((torch.tensor([1.0, 2.0, -3.0, 4.0]), torch.tensor([-1.0])))
    fake = Judgement(torch.tensor([-1.0, 3.0]))
    found = {name: value.item() for name, value in logit_figures(real, fake).items()}
    assert found == {
        "discriminator/logit_real": (1.0 - 1.0) / 2,
        "discriminator/accuracy_real": (0.75 + 0.0) / 2,
        "discriminator/logit_fake": 1.0,
        "discriminator/accuracy_fake": 0.5,
    }
