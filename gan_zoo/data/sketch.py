"""A drawn object twice at once: shaded and coloured, and as the lines of its edges.

Plane and shapes as in `drawing`. Parts are laid back to front; each hides the lines of what it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_zoo.data.drawing import WHOLE, Array, Box, Canvas, Shape

Pattern = Callable[[Array, Array], Array]  # (x, y) -> share of the second colour, 0 .. 1
LIGHT = np.array([-0.42, -0.62, 0.66], np.float32)  # from the upper left, towards the viewer
HALFWAY = np.array([-0.23, -0.34, 0.91], np.float32)  # between the light and the viewer
LINE = 0.016  # width of a line, and at least a pixel


class Surface(NamedTuple):
    """What a part is made of: two colours [3] in [0, 1] and how they are mixed; gloss 0 .. 1; relief: how deep its
    edge is rounded, in the unit of the plane; grain: strength of the noise on it; turned: round about an upright axis,
    like a vase, and not only along its edge."""

    colour: Array
    second: Array
    pattern: Pattern | None = None
    gloss: float = 0.2
    relief: float = 0.12
    grain: float = 0.05
    turned: bool = False


def spline(points: Sequence[tuple[float, float]], steps: int = 5) -> Shape:
    """A closed smooth outline through the points (Catmull and Rom 1974), as a polygon of steps a stretch.

    The distance is exact for the polygon.
    """
    control = np.array(points, np.float64)
    t = (np.arange(steps) / steps)[None, :, None]
    before, start, end, after = (np.roll(control, shift, 0)[:, None] for shift in (1, 0, -1, -2))
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return polygon(curve.reshape(-1, 2))


def polygon(corners: NDArray[np.float64]) -> Shape:
    """A closed polygon of any shape."""
    starts, ends = corners.astype(np.float32), np.roll(corners, -1, 0).astype(np.float32)

    def distance(x: Array, y: Array) -> Array:
        nearest = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf, np.float32)
        inside = np.zeros(nearest.shape, bool)
        for (x0, y0), (x1, y1) in zip(starts, ends, strict=True):
            along_x, along_y = x1 - x0, y1 - y0
            squared = along_x * along_x + along_y * along_y
            if squared == 0:
                continue
            dx, dy = x - x0, y - y0
            share = np.clip((dx * along_x + dy * along_y) / squared, 0, 1)
            np.minimum(
                nearest, np.square(dx - share * along_x) + np.square(dy - share * along_y), out=nearest
            )
            if y0 != y1:
                inside ^= ((y0 <= y) != (y1 <= y)) & (
                    dx * (y1 - y0) < dy * along_x if y1 > y0 else dx * (y1 - y0) > dy * along_x
                )
        root = np.sqrt(nearest)
        return np.where(inside, -root, root)

    return distance


def box_of(points: Sequence[tuple[float, float]], margin: float = 0.12) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin


class Sketch:
    """A picture on `canvas` and its lines in `ink` [side, side], 1 where a line is."""

    def __init__(
        self, side: int, background: Array, noise: Array, view: tuple[float, float, float] = (-1.0, -1.0, 2.0)
    ) -> None:
        self.canvas = Canvas(side, background, view)
        self.ink = np.zeros((side, side), np.float32)
        self.noise = noise  # [64, 64] in [0, 1]
        self.width = max(LINE, 1.15 * self.canvas.pixel)

    def part(self, shape: Shape, surface: Surface, box: Box = WHOLE, *, line: bool = True) -> None:
        """Lays a part: its colour and shading over the picture, its outline over the ink."""
        rows, columns = self.canvas.slices(box)
        x, y = self.canvas.x[:, columns], self.canvas.y[rows]
        if not x.size or not y.size:
            return
        distance = np.broadcast_to(shape(x, y), (y.shape[0], x.shape[1]))
        pixel = np.float32(self.canvas.pixel)
        cover = np.clip(0.5 - distance / pixel, 0, 1)
        share = surface.pattern(x, y) if surface.pattern else np.zeros_like(distance)
        share = np.broadcast_to(share, distance.shape)
        shade, shine = self._shading(distance, surface, x, y)
        for plane, first, second in zip(
            self.canvas.pixels[:, rows, columns], surface.colour, surface.second, strict=True
        ):
            colour = np.clip((first + (second - first) * share) * shade + shine, 0, 1)
            plane += cover * (colour - plane)
        ink = self.ink[rows, columns]
        ink *= 1 - cover
        if surface.pattern is not None:
            ink[:] = np.maximum(ink, self._pattern_lines(share) * np.clip(-distance / pixel, 0, 1))
        if line:
            ink[:] = np.maximum(ink, self._line(distance))

    def held(self, shape: Shape, box: Box = WHOLE) -> Shape:
        """The same shape on this sketch, its distances computed once: for outlines that several parts share.

        Outside the box the distance is 1.
        """
        rows, columns = self.canvas.slices(box)
        distances = np.ones_like(self.ink)
        distances[rows, columns] = shape(self.canvas.x[:, columns], self.canvas.y[rows])

        def distance(x: Array, y: Array) -> Array:
            column = round(float((x[0, 0] - self.canvas.x[0, 0]) / self.canvas.pixel))
            row = round(float((y[0, 0] - self.canvas.y[0, 0]) / self.canvas.pixel))
            return distances[row : row + y.shape[0], column : column + x.shape[1]]

        return distance

    def crease(
        self, shape: Shape, box: Box = WHOLE, *, depth: float = 0.35, within: Shape | None = None
    ) -> None:
        """A line on what is there: `depth` darker in the picture, drawn in the ink. shape: a stroke or curve."""
        rows, columns = self.canvas.slices(box)
        x, y = self.canvas.x[:, columns], self.canvas.y[rows]
        cover = self.canvas.cover(shape, box)
        if within is not None:
            cover = cover * np.clip(0.5 - within(x, y) / np.float32(self.canvas.pixel), 0, 1)
        self.canvas.pixels[:, rows, columns] *= 1 - np.float32(depth) * cover
        self.ink[rows, columns] = np.maximum(self.ink[rows, columns], cover)

    def shadow(self, centre: tuple[float, float], radii: tuple[float, float], strength: float = 0.4) -> None:
        """A soft shadow on the ground: in the picture alone."""
        self.canvas.glow(centre, radii, np.full(3, 0.35, np.float32), strength)

    def _line(self, distance: Array) -> Array:
        return np.clip(0.5 - (np.abs(distance) - self.width / 2) / np.float32(self.canvas.pixel), 0, 1)

    def _pattern_lines(self, share: Array) -> Array:
        """1 along the edges of a pattern, where its share jumps within a pixel."""
        down, across = np.gradient(share) if min(share.shape) > 1 else (np.zeros_like(share),) * 2
        return np.clip(2.2 * np.hypot(down, across) - 0.2, 0, 1)

    def _shading(self, distance: Array, surface: Surface, x: Array, y: Array) -> tuple[Array, Array]:
        """Factor and addition of light on a part that is rounded towards its edge, with a large soft curve across."""
        if min(distance.shape) < 2:
            return np.ones_like(distance), np.zeros_like(distance)
        slope_x, slope_y = (self._turned if surface.turned else self._rounded)(distance, surface, x)
        length = np.sqrt(np.square(slope_x) + np.square(slope_y) + 1)
        lambert = np.clip((-slope_x * LIGHT[0] - slope_y * LIGHT[1] + LIGHT[2]) / length, 0, 1)
        mirror = np.clip((-slope_x * HALFWAY[0] - slope_y * HALFWAY[1] + HALFWAY[2]) / length, 0, 1)
        wide = 0.06 * (LIGHT[0] * x + LIGHT[1] * y)
        grain = np.float32(surface.grain) * (self._noise(x * 24, y * 24) - np.float32(0.5))
        shade = 0.42 + 0.9 * lambert + wide + grain
        shine = np.float32(surface.gloss) * (0.55 * mirror**24 - 0.04)
        return shade.astype(np.float32), shine.astype(np.float32)

    def _rounded(self, distance: Array, surface: Surface, x: Array) -> tuple[Array, Array]:
        """Slopes across and down of a surface that falls off towards its edge."""
        inward = np.clip(-distance / np.float32(surface.relief), 0, 1)
        height = np.sqrt(np.clip(1 - np.square(1 - inward), 0, 1)) * np.float32(0.75 * surface.relief)
        slope_y, slope_x = np.gradient(height, np.float32(self.canvas.pixel))
        return slope_x, slope_y

    def _turned(self, distance: Array, surface: Surface, x: Array) -> tuple[Array, Array]:
        """Slopes of a surface of revolution: row by row a half circle between the ends of the outline."""
        inside = distance < 0
        rows = inside.any(1, keepdims=True)
        left = np.where(rows, np.where(inside, x, np.inf).min(1, keepdims=True), 0)
        right = np.where(rows, np.where(inside, x, -np.inf).max(1, keepdims=True), 0)
        half = np.maximum((right - left) / 2, np.float32(self.canvas.pixel))
        at = np.clip((x - (left + right) / 2) / half, -0.97, 0.97)
        steep = np.sqrt(1 - at * at)
        window = np.hanning(2 * max(1, round(0.07 / self.canvas.pixel)) + 3)
        padded = np.pad(half[:, 0], len(window) // 2, mode="edge")
        smooth = np.convolve(padded, window / window.sum(), mode="valid")  # else pixels would show as rings
        widening = np.clip(np.gradient(smooth, self.canvas.pixel), -1.5, 1.5)[:, None]
        return (-at / steep).astype(np.float32), (0.5 * widening / steep).astype(np.float32)

    def _noise(self, x: Array, y: Array) -> Array:
        i, j = np.floor(x), np.floor(y)
        a, b = x - i, y - j
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        i, j = i.astype(np.int64) & 63, j.astype(np.int64) & 63
        i1, j1, table = (i + 1) & 63, (j + 1) & 63, self.noise
        return (table[i, j] * (1 - a) + table[i1, j] * a) * (1 - b) + (
            table[i, j1] * (1 - a) + table[i1, j1] * a
        ) * b


# ---------------------------------------------------------------- patterns


def stripes(period: float, share: float, angle: float, soft: float) -> Pattern:
    """Bands across the direction `angle` (radians); soft: width over which they change, about a pixel."""
    along_x, along_y = np.float32(np.cos(angle)), np.float32(np.sin(angle))

    def pattern(x: Array, y: Array) -> Array:
        at = np.abs((x * along_x + y * along_y) / period % 1 - 0.5) * period
        return np.clip(0.5 + (share * period / 2 - at) / soft, 0, 1).astype(np.float32)

    return pattern


def dots(period: float, radius: float, soft: float) -> Pattern:
    def pattern(x: Array, y: Array) -> Array:
        row = np.floor(y / period)
        u = (x / period + 0.5 * (row % 2)) % 1 - 0.5
        v = y / period - row - 0.5
        return np.clip(0.5 + (radius - np.sqrt(u * u + v * v) * period) / soft, 0, 1).astype(np.float32)

    return pattern


def checks(period: float, soft: float) -> Pattern:
    """Tartan: two sets of stripes that add up."""
    one, other = stripes(period, 0.4, 0.0, soft), stripes(period, 0.4, np.pi / 2, soft)
    return lambda x, y: (0.5 * one(x, y) + 0.5 * other(x, y)).astype(np.float32)


def band(low: float, high: float, soft: float) -> Pattern:
    """low < y < high."""

    def pattern(x: Array, y: Array) -> Array:
        share = np.clip(0.5 + (y - low) / soft, 0, 1) * np.clip(0.5 + (high - y) / soft, 0, 1)
        return np.broadcast_to(share, np.broadcast_shapes(x.shape, y.shape)).astype(np.float32)

    return pattern
