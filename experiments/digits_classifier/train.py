"""Trains the digits classifier that gan_zoo.metrics ships, and writes its weights and results.json.

    OMP_NUM_THREADS=1 python experiments/digits_classifier/train.py

One thread, fixed seeds: the same machine and versions give the same file, byte for byte. See README.md beside
this file.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import (
    affine_grid,
    avg_pool2d,
    cross_entropy,
    grid_sample,
    interpolate,
    one_hot,
    pad,
)

from gan_zoo.data.images import Digits
from gan_zoo.metrics.digits_classifier import CLASSES, RESIZE, WEIGHTS, DigitsClassifier

SEED, EPOCHS, BATCH, LR, CALIBRATE_EACH = 0, 60, 75, 2e-3, 10
ENLARGEMENTS = ("bicubic", "bilinear", "nearest")
SIDE = 32


def enlarged(pictures: Tensor, mode: str, margin: int = 0) -> Tensor:
    """float [N, 1, 8, 8] in [-1, 1] -> [N, 1, 32, 32]; margin: pixels of paper put around it before."""
    framed = pad(pictures, (margin,) * 4, value=-1.0)
    if mode == "nearest":
        return interpolate(framed, (SIDE, SIDE), mode=mode)
    # antialias chooses the kernel (Keys, a = -0.5) of the data module when enlarging
    return interpolate(framed, (SIDE, SIDE), mode=mode, align_corners=False, antialias=True).clamp(-1, 1)


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def warped(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Rotation up to 12 degrees, scale 0.85 ... 1.15, shear 0.15, shift up to 3 pixels of 32; background is
    -1.
    """
    n = len(pictures)
    angle, shear = uniform((n,), -0.21, 0.21, generator), uniform((n,), -0.15, 0.15, generator)
    scale = 1 / uniform((n, 2), 0.85, 1.15, generator)
    shift = uniform((n, 2), -3 / 16, 3 / 16, generator)
    top = torch.stack([angle.cos() * scale[:, 0], (shear - angle.sin()) * scale[:, 1], shift[:, 0]], 1)
    bottom = torch.stack([angle.sin() * scale[:, 0], angle.cos() * scale[:, 1], shift[:, 1]], 1)
    grid = affine_grid(torch.stack([top, bottom], 1), list(pictures.shape), align_corners=False)
    return grid_sample(pictures + 1, grid, align_corners=False) - 1


def inked(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Contrast (gamma 0.6 ... 1.6), blur of half of them, noise up to 0.15, as a generator's pictures differ
    from ink.
    """
    n = len(pictures)
    gamma = uniform((n, 1, 1, 1), -0.5, 0.5, generator).exp()
    pictures = 2 * ((pictures + 1) / 2).clamp(0, 1) ** gamma - 1
    blurred = avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    pictures = torch.where(torch.rand(n, 1, 1, 1, generator=generator) < 0.5, pictures, blurred)
    strength = uniform((n, 1, 1, 1), 0, 0.15, generator)
    return (pictures + strength * torch.randn(pictures.shape, generator=generator)).clamp(-1, 1)


def augmented(small: Tensor, generator: torch.Generator) -> Tensor:
    """Digits [N, 1, 8, 8] -> [N, 1, 32, 32], enlarged in one of three ways, warped and inked."""
    mode = ENLARGEMENTS[int(torch.randint(3, (), generator=generator))]
    margin = int(torch.randint(3, (), generator=generator))
    return inked(warped(enlarged(small, mode, margin), generator), generator)


def no_digits(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """As many pictures without a digit: tiles of several digits in wrong places, smooth noise, white noise,
    bare paper.
    """
    n, quarter = len(pictures), max(1, len(pictures) // 4)
    tiles = pictures.unfold(2, 8, 8).unfold(3, 8, 8).reshape(n, 16, 8, 8)
    order = torch.rand(n, 16, generator=generator).argsort(1)
    tiles = tiles.gather(1, order[:, :, None, None].expand(-1, -1, 8, 8))
    mixed = torch.rand(n, 16, 1, 1, generator=generator) < 0.5
    tiles = torch.where(mixed, tiles, tiles.roll(1, 0)).reshape(n, 4, 4, 8, 8).permute(0, 1, 3, 2, 4)
    found = tiles.reshape(n, 1, SIDE, SIDE).clone()
    coarse = torch.randn(quarter, 1, 5, 5, generator=generator)
    found[:quarter] = (1.5 * enlarged_noise(coarse)).tanh()
    level = uniform((quarter, 1, 1, 1), -2, 1, generator).clamp_min(-1)  # a third is bare paper
    strength = uniform((quarter, 1, 1, 1), -1, 1, generator).clamp_min(0)  # a half without noise
    white = strength * torch.randn(quarter, 1, SIDE, SIDE, generator=generator)
    found[quarter : 2 * quarter] = (level + white).clamp(-1, 1)
    return found


def enlarged_noise(coarse: Tensor) -> Tensor:
    return interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)


def batch_of(small: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augmented digits, a third as many blends of two, a fifth as many no-digits, and all their targets.

    A blend of nearly equal parts is half the one and half the other, which no temperature changes.
    """
    pictures, targets = augmented(small, generator), one_hot(labels, CLASSES).float()
    third, fifth = len(small) // 3, len(small) // 5
    partner = torch.randperm(len(small), generator=generator)[:third]
    share = uniform((third, 1, 1, 1), 0.35, 0.65, generator)
    blends = share * pictures[:third] + (1 - share) * pictures[partner]
    blended = (targets[:third] + targets[partner]) / 2
    nothing = no_digits(pictures[-fifth:], generator)
    return (
        torch.cat([pictures, blends, nothing]),
        torch.cat([targets, blended, torch.full((fifth, CLASSES), 1 / CLASSES)]),
    )


def trained(small: Tensor, labels: Tensor, epochs: int) -> DigitsClassifier:
    """AdamW with one cosine from LR to 0."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    network = DigitsClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=1e-2)
    steps = epochs * (len(small) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for _ in range(epochs):
        for index in torch.randperm(len(small), generator=generator).split(BATCH)[: len(small) // BATCH]:
            pictures, targets = batch_of(small[index], labels[index], generator)
            optimizer.zero_grad()
            cross_entropy(network(pictures), targets).backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def fitted_temperature(network: DigitsClassifier, small: Tensor, labels: Tensor, copies: int = 20) -> float:
    """The temperature of least cross entropy (Guo et al. 2017) on pictures made of digits kept from training.

    Blends and no-digits included: fitted to digits alone it would sharpen (0.46) and make blends confident.
    """
    generator = torch.Generator().manual_seed(SEED + 1)
    pairs = [batch_of(small, labels, generator) for _ in range(copies)]
    logits, targets = torch.cat([network(p) for p, _ in pairs]), torch.cat([t for _, t in pairs])
    candidates = torch.logspace(-1, 1, 401)
    losses = torch.stack([cross_entropy(logits / t, targets) for t in candidates])
    return float(candidates[losses.argmin()])


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean |accuracy - confidence| over bins of confidence, weighted by their share (Naeini et al. 2015)."""
    confidence, guess = probabilities.max(1)
    bin_of = (confidence * bins).long().clamp_max(bins - 1)
    gap = torch.zeros(bins).index_add(0, bin_of, (guess == labels).float() - confidence)
    return float(gap.abs().sum() / len(labels))


def judged(network: DigitsClassifier, pictures: Tensor, labels: Tensor | None = None) -> dict[str, float]:
    """Shares of right answers and of answers with at least 0.9 confidence."""
    probabilities = network(pictures).softmax(1)
    found = {"confident_share": round(float((probabilities.max(1).values >= 0.9).float().mean()), 4)}
    if labels is not None:
        found["accuracy"] = round(float((probabilities.argmax(1) == labels).float().mean()), 4)
        found["calibration_error"] = round(expected_calibration_error(probabilities, labels), 4)
    return found


def measured(
    network: DigitsClassifier, small: Tensor, labels: Tensor, shown: list[Tensor]
) -> dict[str, dict[str, float]]:
    """How the network does on held-out digits, plain and disturbed, and on what is no digit at all.

    shown: the held-out digits as the data module enlarges them with a margin of 0, 1, 2 pixels.
    """
    generator = torch.Generator().manual_seed(SEED + 2)
    copies = torch.cat([augmented(small, generator) for _ in range(10)])
    shifted = torch.cat([shown[1].roll((dy, dx), (2, 3)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)])
    half = (shown[1] + shown[1].roll(1, 0)) / 2
    different = labels != labels.roll(1, 0)
    noise = torch.rand(1000, 1, SIDE, SIDE, generator=generator) * 2 - 1
    frames = {f"held-out digits, margin {i}": judged(network, one, labels) for i, one in enumerate(shown)}
    return {
        **frames,
        "margin 1, shifted by -2, 0, 2 pixels": judged(network, shifted, labels.repeat(9)),
        "10 augmented copies each": judged(network, copies, labels.repeat(10)),
        "half-and-half blends of two different digits": judged(network, half[different]),
        "no digits (tiles, smooth and white noise)": judged(network, no_digits(copies[:1000], generator)),
        "uniform white noise": judged(network, noise),
        "bare paper": judged(network, torch.full((1, 1, SIDE, SIDE), -1.0)),
    }


def digits(side: int, margin: int, held_out: bool) -> tuple[Tensor, Tensor]:
    """Digits of the data module's split in [-1, 1], [N, 1, side, side], and their labels."""
    module = Digits(
        name="digits", resolution=side, margin=margin, channels=1, classes=10, modality="image", batch_size=64
    )
    items = module.held_out_set() if held_out else module.train_set()
    batch = items.__getitems__([(i, 0, side) for i in range(len(items))])
    return batch["real"].float() / 127.5 - 1, batch["condition"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    small, labels = digits(8, 0, held_out=False)
    kept = torch.arange(len(small)) % CALIBRATE_EACH == 0  # for the temperature alone
    begun = time.process_time()
    network = trained(small[~kept], labels[~kept], given.epochs)
    network.temperature.fill_(fitted_temperature(network, small[kept], labels[kept]))
    seconds = time.process_time() - begun
    held_small, held_labels = digits(8, 0, held_out=True)
    shown = [digits(SIDE, margin, held_out=True)[0] for margin in range(3)]
    results = {
        "seed": SEED,
        "epochs": given.epochs,
        "resize": RESIZE,
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_on": int((~kept).sum()),
        "calibrated_on": int(kept.sum()),
        "held_out": len(held_small),
        "temperature": round(float(network.temperature), 4),
        "cpu_seconds": round(seconds, 1),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "measured": measured(network, held_small, held_labels, shown),
    }
    given.weights.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), given.weights)
    given.weights.chmod(0o644)
    given.results.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
