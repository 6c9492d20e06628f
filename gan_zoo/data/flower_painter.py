"""How a flower is painted: background, stem and leaves, petal after petal, stamens, centre; lit from the upper left.

Plane as in `drawing`: x right, y down, the picture is [-1, 1] x [-1, 1]. A petal has coordinates of its own: u along it from
the centre of the blossom to the tip at 1, v across.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gan_zoo.data.drawing import Array, Box, Canvas, Shape, circle, curve
from gan_zoo.data.flower_attributes import (
    BACKGROUNDS,
    CENTRE_COLOURS,
    EDGE_COLOURS,
    LAYOUTS,
    LEAVES,
    PETAL_COLOURS,
    PETAL_NUMBERS,
    PETAL_SHAPES,
    STAMENS,
    Flower,
)

Outline = Callable[[Array, Array], Array]  # (u, v) -> distance to the outline, negative inside
LEAF, LEAF_DARK = "#4C9A3B", "#2E6B2A"


def rgb(code: str) -> Array:
    """'#RRGGBB' as three float32 in [0, 1]."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / np.float32(255)


def mixed(first: Array, second: Array | str, share: float) -> Array:
    other = rgb(second) if isinstance(second, str) else second
    return (first + (other - first) * np.float32(share)).astype(np.float32)


# ---- petals: a blossom of radius 1, half width `w` ------------------------------------------------


def oval(start: float, w: float, widening: float = 0.35) -> Outline:
    """An egg from `start` to 1, wider towards the tip."""
    centre, half = (1 + start) / 2, (1 - start) / 2

    def distance(u: Array, v: Array) -> Array:
        across = w * (1 + widening * (u - centre))
        a, b = (u - centre) / half, v / np.maximum(across, np.float32(0.02))
        length = np.sqrt(a * a + b * b) + np.float32(1e-4)
        return (length - 1) * length / (np.sqrt((a / half) ** 2 + (b / w) ** 2) + np.float32(1e-4))

    return distance


def lens(start: float, w: float) -> Outline:
    """Two arcs that meet in a point at `start` and at 1; exact."""
    centre, half = (1 + start) / 2, (1 - start) / 2
    radius = (half**2 + w**2) / (2 * w)
    return lambda u, v: np.sqrt((u - centre) ** 2 + (np.abs(v) + (radius - w)) ** 2) - np.float32(radius)


def heart(start: float, w: float) -> Outline:
    """Two lobes on a cone, with a deep notch between them at the tip."""
    lobe = np.float32(0.3)

    def distance(u: Array, v: Array) -> Array:
        a, b = (u - np.float32(0.7)) / lobe, (np.abs(v) - np.float32(0.54 * w)) / np.float32(0.5 * w)
        length = np.sqrt(a * a + b * b) + np.float32(1e-4)
        slope = np.sqrt((a / lobe) ** 2 + (b / np.float32(0.5 * w)) ** 2) + np.float32(1e-4)
        cone = np.abs(v) - np.minimum((u - start) * np.float32(w * 1.9), np.float32(0.95 * w))
        cone = np.maximum(cone * np.float32(0.85), u - np.float32(0.72))
        return np.minimum((length - 1) * length / slope, cone)

    return distance


def ruffled(start: float, w: float) -> Outline:
    """A wide egg with a wavy outline."""
    egg, centre = oval(start, w * 0.98, 0.7), (1 + start) / 2

    def distance(u: Array, v: Array) -> Array:
        angle = np.arctan2(v / np.float32(w), (u - centre) * np.float32(2))
        return egg(u, v) + np.float32(0.033) * (1 - np.cos(9 * angle))

    return distance


def petal_outline(shape: str, number: int, width: float) -> Outline:
    """The outline of one of `number` petals; they overlap a little, except the narrow ones."""
    room = min(0.52, 0.6 * float(np.tan(np.pi / max(number, 4))))  # half of what a petal has at its widest
    if shape == "round":
        return oval(0.08, min(room, 0.46) * 1.02 * width)
    if shape == "pointed":
        return lens(0.02, min(room, 0.38) * 0.98 * width)
    if shape == "heart-shaped":
        return heart(0.06, room * width)
    if shape == "narrow":
        return oval(0.05, min(0.22, room * 0.62) * width, 0.5)
    return ruffled(0.06, room * 1.08 * width)


# ---- the picture ----------------------------------------------------------------------------------


def paint(flower: Flower, side: int) -> Canvas:
    """The flower on a canvas of `side` x `side` pixels."""
    canvas = Canvas(side, rgb(list(BACKGROUNDS.values())[flower.background]))
    random = np.random.default_rng(flower.grain)
    _backdrop(canvas, flower, random)
    _stem(canvas, flower)
    layout = LAYOUTS[flower.layout]
    if layout == "bud":
        _bud(canvas, flower)
    if layout == "pair":
        x, y = 0.6 * flower.side, -0.56
        second = replace(flower, x=x, y=y, radius=0.34, turn=flower.turn + 1, tilt=flower.tilt + 1, leaves=0)
        _blossom(canvas, second, random)
    _leaves(canvas, flower, random)
    _blossom(canvas, flower, random)
    return canvas


def _backdrop(canvas: Canvas, flower: Flower, random: np.random.Generator) -> None:
    """Soft light from above and blurred spots, whose kind is the background's."""
    ground = rgb(list(BACKGROUNDS.values())[flower.background])
    canvas.glow((-0.3, -0.9), (1.7, 1.3), mixed(ground, "#FFFFFF", 0.16))
    canvas.glow((0.2, 1.2), (1.7, 1.0), mixed(ground, "#000000", 0.22))
    kinds = {
        "foliage": (9, 0.34, 0.5),
        "stone": (12, 0.16, 0.3),
        "earth": (16, 0.13, 0.4),
        "sky": (4, 0.5, 0.3),
    }
    name = tuple(BACKGROUNDS)[flower.background]
    number, size, strength = kinds.get(name, (7, 0.24, 0.3))
    for x, y, scale, tone in random.random((number, 4)).tolist():
        colour = mixed(ground, "#FFFFFF" if tone > 0.5 else "#000000", 0.3)
        if name == "foliage":
            colour = mixed(ground, "#5FA04A" if tone > 0.5 else "#12301C", 0.6)
        radius = size * (0.6 + 0.8 * scale)
        canvas.glow(
            (2 * x - 1, 2 * y - 1), (radius, radius * (0.5 if name == "water" else 1)), colour, strength
        )


def _stem(canvas: Canvas, flower: Flower) -> None:
    foot = (flower.x * 0.4 + 0.1 * flower.side, 1.1)
    bend = (flower.x + 0.12 * flower.side, 0.55)
    box: Box = (min(flower.x, foot[0]) - 0.3, flower.y, max(flower.x, foot[0]) + 0.3, 1.0)
    canvas.paint(curve((flower.x, flower.y), bend, foot, 0.085), rgb(LEAF_DARK), box)
    canvas.paint(curve((flower.x - 0.012, flower.y), (bend[0] - 0.012, bend[1]), foot, 0.04), rgb(LEAF), box)


class _Place:
    """Coordinates of a part: x, y of its root, radius = length of one, direction, squash."""

    def __init__(
        self, x: float, y: float, radius: float, turn: float, squash: float = 1.0, tilt: float = 0.0
    ):
        cos, sin = np.cos(tilt), np.sin(tilt)
        squeeze = (
            np.array([[cos, -sin], [sin, cos]]) @ np.diag([1, squash]) @ np.array([[cos, sin], [-sin, cos]])
        )
        rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self.forward = radius * squeeze @ rotate  # (u, v) -> (x, y)
        self.inverse = np.linalg.inv(self.forward).astype(np.float32)
        self.x, self.y, self.scale = x, y, float(radius * squash**0.5)

    def shape(self, outline: Outline) -> Shape:
        (a, b), (c, d) = self.inverse
        return lambda x, y: (
            outline(a * (x - self.x) + b * (y - self.y), c * (x - self.x) + d * (y - self.y)) * self.scale
        )

    def box(self, half: float, start: float = 0.0, end: float = 1.06) -> Box:
        """Around u in [start, end], v in [-half, half]."""
        corners = self.forward @ np.array([[start, start, end, end], [half, -half, half, -half]])
        (left, top), (right, bottom) = corners.min(1), corners.max(1)
        return self.x + left, self.y + top, self.x + right, self.y + bottom

    def at(self, u: float, v: float = 0.0) -> tuple[float, float]:
        x, y = self.forward @ np.array([u, v])
        return self.x + float(x), self.y + float(y)


def _leaves(canvas: Canvas, flower: Flower, random: np.random.Generator) -> None:
    """Two beside the stem, or many all around behind the blossom."""
    kind = LEAVES[flower.leaves]
    if kind == "two":
        for side in (-1, 1):
            angle = np.pi / 2 - side * (1.0 + 0.15 * random.random())
            root = flower.x * 0.6, flower.y + flower.radius * 0.75
            _leaf(canvas, _Place(*root, 0.78, angle), 0.24)
    elif kind == "many":
        for number, jitter in enumerate(random.random(7).tolist()):
            angle = flower.turn + 2 * np.pi * (number + 0.3 * jitter) / 7
            _leaf(canvas, _Place(flower.x, flower.y, flower.radius * (1.22 + 0.1 * jitter), angle), 0.2)


def _leaf(canvas: Canvas, place: _Place, width: float) -> None:
    outline, box = lens(0.0, width), place.box(width + 0.05)
    shape = place.shape(outline)
    canvas.paint(shape, rgb(LEAF), box)
    half = place.shape(lambda u, v: np.maximum(outline(u, v), -v))
    canvas.paint(half, mixed(rgb(LEAF), LEAF_DARK, 0.55), box)
    canvas.paint(place.shape(lambda u, v: np.maximum(outline(u, v), np.abs(v) - 0.02)), rgb("#86C46A"), box)


def _bud(canvas: Canvas, flower: Flower) -> None:
    """A closed bud on a stem of its own, in the upper corner."""
    x, y = 0.62 * flower.side, -0.34
    canvas.paint(
        curve((x, y), (x + 0.06, 0.4), (x - 0.2 * flower.side, 1.1), 0.05), rgb(LEAF_DARK), (-1, y, 1, 1)
    )
    colour = _petal_colour(flower)
    for lean, dark in ((-0.28, 0.18), (0.28, 0.1), (0.0, 0.0)):
        place = _Place(x, y + 0.08, 0.42, -np.pi / 2 + lean)
        canvas.paint(place.shape(lens(0, 0.26)), mixed(colour, shaded(colour), dark * 3), place.box(0.35))
    for lean in (-0.5, 0.0, 0.5):
        place = _Place(x, y + 0.1, 0.22, -np.pi / 2 + lean)
        canvas.paint(place.shape(lens(0, 0.24)), mixed(rgb(LEAF), LEAF_DARK, 0.3), place.box(0.3))


def _petal_colour(flower: Flower) -> Array:
    colour = rgb(list(PETAL_COLOURS.values())[flower.petal_colour])
    return mixed(colour, "#FFFFFF" if flower.light > 0 else "#000000", abs(flower.light))


def shaded(colour: Array) -> Array:
    """The colour in shadow: darker and no greyer; white becomes a light violet grey."""
    return mixed(colour * colour * np.float32(0.9), "#5A5480", 0.12)


def _blossom(canvas: Canvas, flower: Flower, random: np.random.Generator) -> None:
    number, shape = PETAL_NUMBERS[flower.petal_number], PETAL_SHAPES[flower.petal_shape]
    outline = petal_outline(shape, number, flower.width)
    colour, edge = _petal_colour(flower), list(EDGE_COLOURS)[flower.edge_colour]
    canvas.glow(
        (flower.x + 0.06, flower.y + 0.1), (flower.radius * 1.15,) * 2, rgb("#0B0B14"), 0.5
    )  # the shadow it throws
    for order, (angle, length, tone) in enumerate(random.random((number, 3)).tolist()):
        turn = flower.turn + 2 * np.pi * (order + 0.12 * (angle - 0.5)) / number
        radius = flower.radius * (0.95 + 0.05 * length)
        place = _Place(flower.x, flower.y, radius, turn, flower.squash, flower.tilt)
        _petal(canvas, place, outline, mixed(colour, shaded(colour), 0.14 * tone), edge)
    _stamens(canvas, flower, colour)
    _centre(canvas, flower)


def _petal(canvas: Canvas, place: _Place, outline: Outline, colour: Array, edge: str) -> None:
    """Shadow on what lies below, ground, dark base, light tip, vein, coloured edge."""
    box = place.box(0.66)
    shape, shade = place.shape(outline), shaded(colour)
    shadow = lambda x, y: shape(x, y) - np.float32(0.02)  # noqa: E731
    canvas.paint(shadow, mixed(shade, "#000000", 0.35), box, soft=0.09, opacity=0.5)
    ground = canvas.cover(shape, box)
    rows, columns = canvas.slices(box)
    tinted = rgb(EDGE_COLOURS[edge]) if edge != "none" else colour
    canvas.lay(rows, columns, ground, tinted, None)
    if edge != "none":
        inner = canvas.cover(lambda x, y: shape(x, y) + np.float32(0.058) * place.scale, box, soft=0.03)
        canvas.lay(rows, columns, inner, colour, None)
    x, y = canvas.x[:, columns], canvas.y[rows]
    (a, b), (c, d) = place.inverse
    u, v = a * (x - place.x) + b * (y - place.y), c * (x - place.x) + d * (y - place.y)
    base = np.clip(1 - u / np.float32(0.62), 0, 1) ** 2
    canvas.lay(rows, columns, ground * base * np.float32(0.75), shade, None)
    vein = np.clip(1 - np.abs(v) / np.float32(0.045), 0, 1) * np.clip(1.25 - u * np.float32(1.4), 0, 1)
    canvas.lay(rows, columns, ground * vein * np.float32(0.4), shade, None)
    light = np.clip(1 - np.hypot(u - np.float32(0.68), v + np.float32(0.1)) / np.float32(0.3), 0, 1)
    canvas.lay(rows, columns, ground * light * np.float32(0.3), mixed(colour, "#FFFFFF", 0.55), None)


def _stamens(canvas: Canvas, flower: Flower, petal: Array) -> None:
    """Threads that end in small anthers, evenly around the centre."""
    kind = STAMENS[flower.stamens]
    if kind == "none":
        return
    count, reach, size = (
        (11, flower.centre + 0.09, 0.034) if kind == "short" else (7, flower.centre + 0.24, 0.042)
    )
    place = _Place(flower.x, flower.y, flower.radius, flower.turn + 0.3, flower.squash, flower.tilt)
    bright = float(petal.mean()) > 0.55

    def folded(u: Array, v: Array) -> tuple[Array, Array]:
        sector = np.float32(2 * np.pi / count)
        angle, length = np.arctan2(v, u), np.sqrt(u * u + v * v)
        angle = angle - sector * np.rint(angle / sector)
        return length * np.cos(angle), length * np.sin(angle)

    def threads(u: Array, v: Array) -> Array:
        along, across = folded(u, v)
        return np.maximum(np.abs(across) - np.float32(0.011), along - np.float32(reach))

    def anthers(u: Array, v: Array) -> Array:
        along, across = folded(u, v)
        return np.hypot(along - np.float32(reach), across) - np.float32(size)

    box = place.box(reach + 0.1, -reach - 0.1, reach + 0.1)
    canvas.paint(place.shape(threads), rgb("#6A4A1E" if bright else "#FFF2B0"), box, opacity=0.8)
    canvas.paint(place.shape(anthers), rgb("#7A4A12" if bright else "#FFD24A"), box)


def _centre(canvas: Canvas, flower: Flower) -> None:
    """A domed disc with a dark rim and small florets."""
    colour = rgb(list(CENTRE_COLOURS.values())[flower.centre_colour])
    radius = flower.centre * flower.radius
    x, y = flower.x, flower.y
    box: Box = (x - radius * 1.4, y - radius * 1.4, x + radius * 1.4, y + radius * 1.4)
    canvas.paint(circle(x + 0.02, y + 0.03, radius * 1.04), rgb("#1B1014"), box, soft=0.08, opacity=0.5)
    canvas.paint(circle(x, y, radius), mixed(colour, "#2A1608", 0.42), box)
    ground = canvas.mask(circle(x, y, radius * 0.88), box)
    canvas.fill(ground, colour, box)

    def florets(px: Array, py: Array) -> Array:
        u, v = (px - x) / np.float32(radius * 0.24), (py - y) / np.float32(radius * 0.24)
        return np.float32(0.7) - np.cos(u * 3) * np.cos(v * 3)

    canvas.paint(florets, mixed(colour, "#2A1608", 0.35), box, soft=0.5, opacity=0.35, within=ground)
    canvas.glow(
        (x - radius * 0.3, y - radius * 0.35),
        (radius * 0.75,) * 2,
        mixed(colour, "#FFFFFF", 0.5),
        0.6,
        ground,
    )
