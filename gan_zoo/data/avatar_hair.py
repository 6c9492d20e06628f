"""The hair of a cartoon face: for each style what lies behind the head, and what lies before the forehead."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gan_zoo.data.drawing import (
    Array,
    Shape,
    above,
    blend,
    circle,
    common,
    ellipse,
    grown,
    rounded_box,
    superellipse,
    union,
    without,
)


@dataclass(frozen=True)
class Head:
    """What hair grows on. width: half the head's; side: -1 or 1, where the parting is."""

    outline: Shape
    width: float
    side: int


Hair = tuple[Shape | None, Shape | None]  # behind, before; None where there is nothing


def bald(head: Head) -> Hair:
    return None, None


def buzz(head: Head) -> Hair:
    return None, common(
        without(grown(head.outline, 0.014), ellipse(0, 0.16, head.width - 0.04, 0.5)), above(0)
    )


def side_part(head: Head) -> Hair:
    cap = common(grown(head.outline, 0.055), above(0.06))
    volume = blend(cap, ellipse(head.side * 0.1, -0.42, 0.42, 0.2), 0.1)
    return None, without(
        volume, _sweep(-0.17 * head.side, (0.14, 0.27, 0.47), 0.08 * head.side, (0.22, 0.36, 0.4))
    )


def quiff(head: Head) -> Hair:
    cap = common(grown(head.outline, 0.03), above(0.06))
    volume = blend(cap, ellipse(head.side * 0.07, -0.52, 0.37, 0.22), 0.12)
    return None, without(volume, ellipse(-head.side * 0.02, 0.14, head.width - 0.035, 0.42))


def spiky(head: Head) -> Hair:
    def spikes(x: Array, y: Array) -> Array:
        """The head grown by a saw-tooth of the angle; scaled down, because its slope exceeds 1."""
        angle = np.arctan2(x + head.side * 0.05, -(y - 0.05))
        tooth = np.abs(np.mod(angle * np.float32(13 / math.pi) + head.side * 0.2, 2) - 1)
        length = 0.02 + 0.19 * tooth * np.clip(1.2 - np.abs(angle) / 1.5, 0, 1)
        return (head.outline(x, y) - length) * np.float32(0.6)

    return None, common(without(spikes, ellipse(0, 0.15, head.width - 0.02, 0.42)), above(0.02))


def curly(head: Head) -> Hair:
    cap = without(grown(head.outline, 0.055), ellipse(0, 0.16, head.width - 0.025, 0.46))
    curls = union(_curls(0.43, -0.14, 13, 0.135, (-190, 10)), _curls(0.3, -0.15, 8, 0.115, (-165, -15)))
    return None, common(union(cap, curls), above(0.1))


def afro(head: Head) -> Hair:
    mass = union(circle(0, -0.2, 0.6), _curls(0.55, -0.2, 20, 0.12, (0, 342)))
    return mass, without(common(mass, above(0, bend=0.3)), ellipse(0, 0.16, head.width - 0.02, 0.44))


def bob(head: Head) -> Hair:
    outer = head.width + 0.12
    fall = blend(_crown(head), rounded_box(-outer, -0.2, outer, 0.44, 0.17), 0.15)
    return fall, without(fall, blend(ellipse(0, 0.24, head.width - 0.05, 0.42), _face(head), 0.2))


def long(head: Head) -> Hair:
    fall = blend(_crown(head), superellipse(0, 0.25, head.width + 0.13, 0.66, 3.2), 0.15)
    return fall, without(fall, blend(_centre_part(0.12, head.width + 0.075, 0.5), _face(head), 0.2))


def wavy(head: Head) -> Hair:
    def waves(x: Array, y: Array) -> Array:
        edge = head.width + 0.13 + 0.035 * np.sin(15 * y + 1) + 0.12 * np.clip(y - 0.1, 0, 1)
        return np.maximum((np.abs(x) - edge) * np.float32(0.9), np.abs(y - 0.5) - 0.72)

    fall = blend(_crown(head), waves, 0.15)
    swept = _sweep(-0.13 * head.side, (0.16, 0.3, 0.5), 0.1 * head.side, (0.24, 0.34, 0.42))
    return fall, without(fall, blend(swept, _face(head), 0.2))


def bun(head: Head) -> Hair:
    return circle(0, -0.69, 0.18), without(_sleek(head), ellipse(0, 0.16, head.width - 0.03, 0.43))


def pigtails(head: Head) -> Hair:
    bunches = [
        blend(
            ellipse(side * (head.width + 0.13), 0.08, 0.15, 0.25),
            ellipse(side * (head.width + 0.16), 0.3, 0.095, 0.18),
            0.1,
        )
        for side in (-1, 1)
    ]
    return union(*bunches), without(_sleek(head), _centre_part(0.1, head.width + 0.05, 0.47))


def _crown(head: Head) -> Shape:
    return ellipse(0, -0.16, head.width + 0.095, 0.475)


def _sleek(head: Head) -> Shape:
    """Hair combed back: it narrows to the ears."""
    return common(ellipse(0, -0.13, head.width + 0.035, 0.46), above(0.1))


def _face(head: Head) -> Shape:
    """Where no hair hangs, from the cheeks down."""
    return rounded_box(0.045 - head.width, 0.1, head.width - 0.045, 1.4, 0.05)


def _centre_part(offset: float, radius_x: float, radius_y: float) -> Shape:
    """A pointed arch."""
    return common(ellipse(-offset, 0.17, radius_x, radius_y), ellipse(offset, 0.17, radius_x, radius_y))


def _sweep(
    high_x: float, high: tuple[float, float, float], low_x: float, low: tuple[float, float, float]
) -> Shape:
    """The forehead under a fringe that is high on one side: two ellipses of (centre y, radius x, radius
    y)."""
    return blend(ellipse(high_x, *high), ellipse(low_x, *low), 0.06)


def _curls(radius: float, centre_y: float, count: int, size: float, degrees: tuple[float, float]) -> Shape:
    """Circles on an arc around (0, centre_y); -90 degrees is upwards."""
    angles = np.radians(np.linspace(*degrees, count))
    return union(
        *(circle(radius * math.cos(angle), centre_y + radius * math.sin(angle), size) for angle in angles)
    )


STYLES: dict[str, Callable[[Head], Hair]] = {
    style.__name__: style
    for style in (bald, buzz, side_part, quiff, spiky, curly, afro, bob, long, wavy, bun, pigtails)
}
