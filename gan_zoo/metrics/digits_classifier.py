"""A small classifier of handwritten digits, with our own weights: judges what a digit GAN draws.

Trained by experiments/digits_classifier/train.py on scikit-learn's digits, with shifts, scales and rotations,
on blends of digits with blended labels and on things that are no digit with uniform labels, so that its
confidence means something on generated pictures; its temperature was fitted on digits that no gradient saw.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_zoo.metrics.inputs import as_pictures

WEIGHTS = Path(__file__).parent / "weights" / "digits_classifier.safetensors"
SIDE = 32
RESIZE = "bicubic-antialias-32"
CLASSES = 10
BATCH = 512


class DigitsClassifier(nn.Module):
    """[N, 1, 32, 32] in [-1, 1] -> logits [N, 10], divided by the fitted temperature; 104,754 parameters."""

    temperature: Tensor

    def __init__(
        self, widths: tuple[int, int, int] = (24, 48, 64), feature_size: int = 64, dropout: float = 0.3
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, width in zip((1, *widths[:-1]), widths, strict=True):
            # bias=False: the batch norm that follows would cancel it
            convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
            stages += [convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*stages, nn.Flatten(), nn.Dropout(dropout))
        self.hidden = nn.Linear(widths[-1] * (SIDE // 8) ** 2, feature_size)
        self.output = nn.Linear(feature_size, CLASSES)
        self.register_buffer("temperature", torch.ones(()))

    def features(self, pictures: Tensor) -> Tensor:
        """The last hidden layer, [N, 64], >= 0."""
        return self.hidden(self.convolutions(pictures)).relu()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.output(self.features(pictures)) / self.temperature


@cache
def load(device: str = "cpu") -> DigitsClassifier:
    """The classifier with the shipped weights, frozen, in evaluation mode; loaded once a device."""
    network = DigitsClassifier()
    network.load_state_dict(load_file(WEIGHTS))
    return network.to(device).eval().requires_grad_(False)


@cache
def weights_sha256() -> str:
    """SHA-256 of the shipped weights: part of the protocol of every figure made with them."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def prepare(pictures: Tensor) -> Tensor:
    """Grey pictures [N, 1, H, W] of any side, uint8 or float in [-1, 1], as float32 [N, 1, 32, 32].

    Other sides are resized bicubically, with antialiasing, and clipped; sides that are not 32 lose or invent
    detail.
    """
    pictures = as_pictures(pictures).float()
    if pictures.shape[1] != 1:
        raise ValueError(
            f"the digits classifier reads grey pictures [N, 1, H, W], got {tuple(pictures.shape)}; "
            "give one channel at a time"
        )
    if pictures.shape[-2:] == (SIDE, SIDE) or len(pictures) == 0:
        return pictures
    return interpolate(pictures, (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False).clamp_(
        -1, 1
    )


@torch.no_grad()
def classify(pictures: Tensor) -> Tensor:
    """Calibrated probabilities, float32 [N, 10], on the device of `pictures` [N, 1, H, W] in [-1, 1]."""
    network = load(str(pictures.device))
    found = [network(prepare(batch)).softmax(1) for batch in pictures.split(BATCH)]
    return torch.cat(found) if len(pictures) else torch.zeros(0, CLASSES)


@torch.no_grad()
def features(pictures: Tensor) -> Tensor:
    """The last hidden layer, float32 [N, 64], on the device of `pictures` [N, 1, H, W] in [-1, 1]."""
    network = load(str(pictures.device))
    found = [network.features(prepare(batch)) for batch in pictures.split(BATCH)]
    return torch.cat(found) if len(pictures) else torch.zeros(0, network.hidden.out_features)
