"""Small sets of pairs on disk, as their readers expect them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write(path: Path, array: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def flat(colour: tuple[int, int, int], width: int = 24, height: int = 16) -> np.ndarray[Any, Any]:
    return np.full((height, width, 3), colour, np.uint8)


RED, GREEN = (200, 30, 40), (20, 180, 60)


def write_side_by_side(root: Path, train: int = 3, held_out: int = 2) -> None:
    """Red on the left, green on the right, the blue channel numbers the file."""
    for part, count in (("train", train), ("val", held_out)):
        for number in range(count):
            halves = [flat((*colour[:2], 10 * number)) for colour in (RED, GREEN)]
            write(root / part / f"{number}.png", np.concatenate(halves, axis=1))


def write_two_folders(root: Path, count: int = 10, classes: int = 0) -> None:
    for number in range(count):
        ids = np.full((16, 24), number % max(classes, 1), np.uint8)
        write(root / "A" / f"{number:02}.png", ids if classes else flat((*RED[:2], number)))
        write(root / "B" / f"{number:02}.png", flat((*GREEN[:2], number)))


def write_cityscapes(root: Path) -> None:
    """Two pictures to train with and one held out: road (7) above, a car (26), number 1, below."""
    for part, city, count in (("train", "aachen", 2), ("val", "ulm", 1)):
        for number in range(count):
            stem = f"{city}_{number:06}_000019"
            ids = np.full((16, 32), 7, np.uint8)
            ids[8:] = 26
            instances = ids.astype(np.uint16)
            instances[8:] = 26001
            write(root / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png", flat(RED, 32, 16))
            write(root / "gtFine" / part / city / f"{stem}_gtFine_labelIds.png", ids)
            write(root / "gtFine" / part / city / f"{stem}_gtFine_instanceIds.png", instances)
