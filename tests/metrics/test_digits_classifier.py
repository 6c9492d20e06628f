"""The shipped classifier: what experiments/digits_classifier says of it is measured here again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan_zoo.data.images import Digits
from gan_zoo.metrics.digits_classifier import (
    RESIZE,
    WEIGHTS,
    DigitsClassifier,
    classify,
    features,
    load,
    prepare,
    weights_sha256,
)


def held_out(side: int = 32) -> tuple[Tensor, Tensor]:
    module = Digits(
        name="digits", resolution=side, margin=1, channels=1, classes=10, modality="image", batch_size=64
    )
    items = module.held_out_set()
    batch = items.__getitems__([(i, 0, side) for i in range(len(items))])
    return batch["real"], batch["condition"]


def accuracy(pictures: Tensor, labels: Tensor) -> float:
    return float((classify(pictures).argmax(1) == labels).double().mean())


def test_it_reads_held_out_digits_and_its_confidence_is_its_accuracy():
    pictures, labels = held_out()
    assert len(labels) == 297
    assert accuracy(pictures, labels) >= 0.98
    confidence = classify(pictures).max(1).values
    assert abs(float(confidence.mean()) - accuracy(pictures, labels)) < 0.02
    assert float((confidence >= 0.9).double().mean()) > 0.95


@pytest.mark.parametrize("side", [16, 28, 64])
def test_it_reads_them_at_other_sides(side):
    assert accuracy(*held_out(side)) >= 0.97


def test_it_reads_them_shifted_and_shrunk():
    pictures, labels = held_out()
    grey = pictures.float() / 127.5 - 1
    for shift in ((3, 0), (-2, 2), (0, -3)):
        assert accuracy(grey.roll(shift, (2, 3)), labels) >= 0.97
    small = interpolate(grey + 1, (26, 26), mode="bilinear", align_corners=False)
    framed = torch.nn.functional.pad(small, (3, 3, 3, 3)) - 1
    assert accuracy(framed, labels) >= 0.97


def test_what_is_no_digit_gets_no_confidence():
    generator = torch.Generator().manual_seed(7)
    noise = torch.rand(200, 1, 32, 32, generator=generator) * 2 - 1
    blobs = avg_pool2d(torch.randn(200, 1, 38, 38, generator=generator), 7, 1).mul(6).tanh()
    for pictures in (noise, blobs, torch.full((1, 1, 32, 32), -1.0), torch.ones(1, 1, 32, 32)):
        assert float((classify(pictures).max(1).values >= 0.9).double().mean()) <= 0.05


def test_its_shapes_ranges_and_sizes():
    probabilities = classify(held_out(8)[0][:3])
    assert probabilities.shape == (3, 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
    assert features(held_out()[0][:3]).shape == (3, 64) and features(held_out()[0][:3]).min() >= 0
    assert classify(torch.zeros(0, 1, 32, 32)).shape == (0, 10)
    assert sum(p.numel() for p in DigitsClassifier().parameters()) == 104_754
    assert WEIGHTS.stat().st_size < 500_000 and len(weights_sha256()) == 64
    assert RESIZE.endswith("-32") and load() is load() and not load().training


def test_uint8_and_float_pictures_are_read_alike_and_bad_ones_refused():
    pictures = held_out()[0][:4]
    torch.testing.assert_close(classify(pictures), classify(pictures.float() / 127.5 - 1))
    assert torch.equal(prepare(pictures), pictures.float() / 127.5 - 1)
    with pytest.raises(ValueError, match="one channel at a time"):
        classify(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        classify(torch.full((1, 1, 32, 32), 255.0))
