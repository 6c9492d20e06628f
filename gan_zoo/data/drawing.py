"""Anti-aliased drawing with signed distances, back to front.

Plane: x to the right, y downwards, the picture is [-1, 1] x [-1, 1]. A shape is a function (x, y) -> signed
distance in the same unit, negative inside; x is [1, W] and y is [H, 1], so that what depends on one of them
alone stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

# float32; what becomes of it beside a float, versions of numpy type differently
Array = NDArray[np.floating[Any]]
Shape = Callable[[Array, Array], Array]
Box = tuple[float, float, float, float]  # left, top, right, bottom
WHOLE: Box = (-1.0, -1.0, 1.0, 1.0)


def circle(centre_x: float, centre_y: float, radius: float) -> Shape:
    return lambda x, y: np.sqrt(np.square(x - centre_x) + np.square(y - centre_y)) - radius


def ellipse(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> Shape:
    """Exact on the outline and to first order around it: (|q| - 1) / |grad |q||, q = p / radius."""

    def distance(x: Array, y: Array) -> Array:
        u, v = (x - centre_x) / radius_x, (y - centre_y) / radius_y
        length = np.sqrt(np.square(u) + np.square(v)) + np.float32(1e-6)
        slope = np.sqrt(np.square(u / radius_x) + np.square(v / radius_y)) + np.float32(1e-6)
        return (length - 1) * length / slope

    return distance


def superellipse(centre_x: float, centre_y: float, radius_x: float, radius_y: float, power: float) -> Shape:
    """|u|^power + |v|^power = 1: an ellipse at 2, ever squarer above; distance to first order."""

    def distance(x: Array, y: Array) -> Array:
        u = np.abs(x - centre_x) / radius_x + np.float32(1e-4)
        v = np.abs(y - centre_y) / radius_y + np.float32(1e-4)
        up, vp = u ** (power - 1), v ** (power - 1)
        total = up * u + vp * v
        slope = np.sqrt(np.square(up / radius_x) + np.square(vp / radius_y)) * total ** (1 / power - 1)
        return (total ** (1 / power) - 1) / slope

    return distance


def rounded_box(left: float, top: float, right: float, bottom: float, radius: float) -> Shape:
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = (right - left) / 2 - radius, (bottom - top) / 2 - radius

    def distance(x: Array, y: Array) -> Array:
        u, v = np.abs(x - centre_x) - half_x, np.abs(y - centre_y) - half_y
        outside = np.sqrt(np.square(np.maximum(u, 0)) + np.square(np.maximum(v, 0)))
        return outside + np.minimum(np.maximum(u, v), 0) - radius

    return distance


def stroke(start: tuple[float, float], end: tuple[float, float], width: float) -> Shape:
    """A line with round ends; `width` is the whole width."""
    (start_x, start_y), (end_x, end_y) = start, end
    along_x, along_y = end_x - start_x, end_y - start_y
    squared = along_x**2 + along_y**2

    def distance(x: Array, y: Array) -> Array:
        share = np.clip(((x - start_x) * along_x + (y - start_y) * along_y) / squared, 0, 1)
        return (
            np.sqrt(np.square(x - start_x - share * along_x) + np.square(y - start_y - share * along_y))
            - width / 2
        )

    return distance


def curve(
    start: tuple[float, float], middle: tuple[float, float], end: tuple[float, float], width: float
) -> Shape:
    """A quadratic Bezier curve with round ends, as eight strokes; `width` is the whole width."""
    t = np.linspace(0, 1, 9)[:, None]
    points = (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(middle) + t**2 * np.array(end)
    return union(*(stroke(tuple(a), tuple(b), width) for a, b in pairwise(points)))


def above(height: float, slope: float = 0.0, bend: float = 0.0) -> Shape:
    """The half-plane above y = height + slope x + bend x^2 (distance along y)."""
    return lambda x, y: y - (height + slope * x + bend * x * x)


def union(*shapes: Shape) -> Shape:
    return lambda x, y: reduce(np.minimum, (shape(x, y) for shape in shapes))


def blend(first: Shape, second: Shape, reach: float) -> Shape:
    """Union whose crease is filled over a distance of `reach`."""

    def distance(x: Array, y: Array) -> Array:
        a, b = first(x, y), second(x, y)
        near = np.maximum(reach - np.abs(a - b), 0) / reach
        return np.minimum(a, b) - np.square(near) * np.float32(reach / 4)

    return distance


def common(*shapes: Shape) -> Shape:
    return lambda x, y: reduce(np.maximum, (shape(x, y) for shape in shapes))


def without(shape: Shape, hole: Shape) -> Shape:
    return lambda x, y: np.maximum(shape(x, y), -hole(x, y))


def grown(shape: Shape, by: float) -> Shape:
    return lambda x, y: shape(x, y) - by


def moved(shape: Shape, right: float, down: float) -> Shape:
    return lambda x, y: shape(x - right, y - down)


class Canvas:
    """Square float picture [3, side, side] in [0, 1] that shapes are painted on, back to front.

    view: left edge, top edge and extent of the part of the plane that is seen.
    Coverage is linear over one pixel across the outline: a box filter along the edge's normal. `soft` widens
    it (same unit as the plane) for shadows and glow.
    """

    def __init__(
        self, side: int, background: Array, view: tuple[float, float, float] = (-1.0, -1.0, 2.0)
    ) -> None:
        self.side, self.pixel = side, view[2] / side
        self.left, self.top = view[:2]
        steps = (np.arange(side) + 0.5) * self.pixel
        self.x = (self.left + steps).astype(np.float32)[None, :]
        self.y = (self.top + steps).astype(np.float32)[:, None]
        self.pixels = np.empty((3, side, side), np.float32)
        self.pixels[:] = background[:, None, None]

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Rows and columns of the pixels that the box touches."""
        left, right = (round((edge - self.left) / self.pixel) for edge in box[::2])
        top, bottom = (round((edge - self.top) / self.pixel) for edge in box[1::2])
        return slice(max(top - 1, 0), max(bottom + 1, 0)), slice(max(left - 1, 0), max(right + 1, 0))

    def cover(self, shape: Shape, box: Box = WHOLE, soft: float = 0.0) -> Array:
        """Share of each pixel of the box that lies in the shape, [rows, columns] in [0, 1]."""
        rows, columns = self.slices(box)
        width = max(self.pixel, soft)
        share = np.clip(0.5 - shape(self.x[:, columns], self.y[rows]) / np.float32(width), 0, 1)
        return share * share * (3 - 2 * share) if soft > self.pixel else share

    def mask(self, shape: Shape, box: Box = WHOLE) -> Array:
        """Coverage of the whole canvas, [side, side]: that of the shape inside the box, 0 outside it."""
        found = np.zeros((self.side, self.side), np.float32)
        found[self.slices(box)] = self.cover(shape, box)
        return found

    def fill(self, mask: Array, colour: Array, box: Box = WHOLE) -> None:
        """Lays `colour` over what the mask [side, side] covers within the box."""
        rows, columns = self.slices(box)
        self.lay(rows, columns, mask[rows, columns], colour, None)

    def lay(self, rows: slice, columns: slice, share: Array, colour: Array, within: Array | None) -> None:
        if within is not None:
            share = share * within[rows, columns]
        for plane, value in zip(self.pixels[:, rows, columns], colour, strict=True):
            plane += share * (value - plane)

    def paint(
        self,
        shape: Shape,
        colour: Array,
        box: Box = WHOLE,
        *,
        soft: float = 0.0,
        opacity: float = 1.0,
        within: Array | None = None,
    ) -> None:
        """Lays `colour` (three values in [0, 1]) over the shape; `within` [side, side] limits it to another's
        coverage.

        What of the shape lies outside the box is not painted.
        """
        share = self.cover(shape, box, soft)
        self.lay(*self.slices(box), share if opacity == 1 else share * np.float32(opacity), colour, within)

    def glow(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Array,
        opacity: float = 1.0,
        within: Array | None = None,
    ) -> None:
        """A soft spot: smooth step from `opacity` at the centre to 0 on the ellipse."""
        (x, y), (radius_x, radius_y) = centre, radii
        rows, columns = self.slices((x - radius_x, y - radius_y, x + radius_x, y + radius_y))
        u, v = (self.x[:, columns] - x) / radius_x, (self.y[rows] - y) / radius_y
        share = np.maximum(1 - np.sqrt(np.square(u) + np.square(v)), 0)
        self.lay(rows, columns, share * share * (3 - 2 * share) * np.float32(opacity), colour, within)

    def bytes(self) -> NDArray[np.uint8]:
        """The picture as uint8 [3, side, side]."""
        return np.rint(self.pixels * 255).clip(0, 255).astype(np.uint8)
