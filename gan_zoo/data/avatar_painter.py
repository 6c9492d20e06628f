"""How a cartoon face is painted: head and shoulders, seen from the front, lit from the upper left.

Plane as in `drawing`: x right, y down; the picture shows the part VIEW of it.
"""

from __future__ import annotations

import numpy as np

from gan_zoo.data.avatar_attributes import (
    BACKGROUNDS,
    BEARDS,
    CLOTH_COLOURS,
    CLOTHES,
    EARRINGS,
    EYE_COLOURS,
    EYE_SHAPES,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    MOUTHS,
    SKINS,
    Avatar,
)
from gan_zoo.data.avatar_hair import STYLES, Head
from gan_zoo.data.drawing import (
    WHOLE,
    Array,
    Box,
    Canvas,
    Shape,
    above,
    blend,
    circle,
    common,
    curve,
    ellipse,
    grown,
    moved,
    rounded_box,
    stroke,
    superellipse,
    union,
    without,
)

VIEW = (-0.87, -0.93, 1.74)  # left, top, extent
EYE_Y, GAP = 0.045, 0.195  # where the eyes stand
BODY: Box = (-1.0, 0.28, 1.0, 1.0)
FACE: Box = (-0.5, -0.56, 0.5, 0.6)
NECK: Box = (-0.45, 0.28, 0.45, 0.95)
MOUTH: Box = (-0.26, 0.18, 0.26, 0.5)


def rgb(code: str) -> Array:
    """'#RRGGBB' as three float32 in [0, 1]."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / np.float32(255)


def mixed(first: Array, second: Array | str, share: float) -> Array:
    other = rgb(second) if isinstance(second, str) else second
    return (first + (other - first) * np.float32(share)).astype(np.float32)


def paint(avatar: Avatar, side: int) -> Canvas:
    """The avatar on a canvas of `side` x `side` pixels."""
    canvas = Canvas(side, rgb(list(BACKGROUNDS.values())[avatar.background]), VIEW)
    Painter(avatar, canvas).paint()
    return canvas


class Painter:
    """Paints one avatar: background, hair behind, body, head, face, hair in front, glasses."""

    def __init__(self, avatar: Avatar, canvas: Canvas) -> None:
        self.avatar, self.canvas = avatar, canvas
        self.skin = rgb(list(SKINS.values())[avatar.skin])
        self.shade = mixed(
            self.skin * self.skin, "#7A2A2E", 0.25
        )  # multiplied by itself: darker and more saturated
        self.hair = rgb(list(HAIR_COLOURS.values())[avatar.hair_colour])
        self.hair_shade, self.hair_light = (
            mixed(self.hair, "#1B1530", 0.32),
            mixed(self.hair, "#FFF3DC", 0.28),
        )
        skull = superellipse(0, EYE_Y, avatar.width, 0.57, 2.2)
        jaw = superellipse(0, EYE_Y, avatar.width, avatar.chin, avatar.jaw)
        self.head: Shape = lambda x, y: np.where(y < EYE_Y, skull(x, y), jaw(x, y))
        self.ground = canvas.mask(self.head, FACE)
        self.chin_y = EYE_Y + avatar.chin

    @property
    def style(self) -> str:
        return HAIR_STYLES[self.avatar.hair_style]

    def paint(self) -> None:
        self.backdrop()
        behind, front = STYLES[self.style](Head(self.head, self.avatar.width, self.avatar.side))
        if behind is not None:
            self.canvas.paint(moved(behind, 0.02, 0.05), rgb("#1B1530"), soft=0.22, opacity=0.16)
            ground = self.canvas.mask(behind)
            self.canvas.fill(ground, self.hair)
            self.canvas.glow((0, 0.42), (0.52, 0.6), self.hair_shade, within=ground)
        self.body()
        self.face_ground(front)
        self.cheeks_and_nose()
        for eye_side in (-1, 1):
            self.eye(eye_side)
            self.brow(eye_side)
        self.beard()
        self.mouth()
        if front is not None:
            self.front_hair(front)
        self.earrings()
        self.glasses()

    def backdrop(self) -> None:
        colour = rgb(list(BACKGROUNDS.values())[self.avatar.background])
        self.canvas.glow((-0.1, -0.2), (1.1, 1.1), mixed(colour, "#FFFFFF", 0.36))
        self.canvas.glow((0, 1.3), (1.2, 0.9), mixed(colour, "#33255A", 0.24))

    def body(self) -> None:
        cloth, kind = rgb(CLOTH_COLOURS[self.avatar.cloth_colour]), CLOTHES[self.avatar.clothes]
        dark = mixed(cloth, "#1B1530", 0.22)
        canvas, box = self.canvas, BODY
        torso = superellipse(0, 1.3, 0.8, 0.66, 2.6)
        ground = canvas.mask(torso, box)
        canvas.fill(ground, cloth, box)
        if kind == "striped":
            stripe = without(above(0.79, bend=0.06), above(0.72, bend=0.06))
            canvas.paint(stripe, dark, box, within=ground)
        canvas.glow((0.66, 1.0), (0.55, 0.7), dark, 0.8, within=ground)
        if kind == "hoodie":
            canvas.paint(ellipse(0, 0.72, 0.44, 0.17), mixed(cloth, "#1B1530", 0.14), box)
            canvas.paint(ellipse(0, 0.685, 0.36, 0.13), dark, box)
        if kind in ("crew", "striped"):
            canvas.paint(ellipse(0, 0.66, 0.27, 0.12), dark, box)
        self.neck(kind)
        if kind == "collar":
            self.collar(mixed(cloth, "#FFFFFF", 0.25))

    def neck(self, kind: str) -> None:
        """Neck and neckline, with the shadow of the chin."""
        opening: Shape = ellipse(0, 0.66, 0.235, 0.085)
        if kind == "v_neck":
            opening = lambda x, y: np.maximum(np.abs(x) * 0.8 + (y - 0.9) * 0.6, 0.62 - y)  # noqa: E731
        shape = without(union(rounded_box(-0.165, 0.25, 0.165, 0.74, 0.1), opening), above(0.3))
        ground = self.canvas.mask(shape, NECK)
        self.canvas.fill(ground, self.skin, NECK)
        shadow = ellipse(0.02, self.chin_y + 0.02, 0.3, 0.13)
        self.canvas.paint(shadow, self.shade, NECK, soft=0.09, opacity=0.6, within=ground)

    def collar(self, colour: Array) -> None:
        box: Box = (-0.4, 0.45, 0.4, 1)
        for side in (-1, 1):
            flap = curve((side * 0.2, 0.6), (side * 0.16, 0.72), (side * 0.06, 0.79), 0.1)
            self.canvas.paint(moved(flap, 0.01, 0.025), rgb("#1B1530"), box, soft=0.05, opacity=0.25)
            self.canvas.paint(flap, colour, box)

    def face_ground(self, front: Shape | None) -> None:
        """Ears and head with their shading, and the shadow of the hair on the forehead."""
        canvas, width = self.canvas, self.avatar.width
        for side in (-1, 1):
            x = side * (width + 0.005)
            box: Box = (x - 0.12, -0.1, x + 0.12, 0.25)
            canvas.paint(ellipse(x, 0.07, 0.075, 0.105), mixed(self.skin, self.shade, 0.22), box)
            canvas.paint(
                ellipse(x + side * 0.006, 0.075, 0.038, 0.06), mixed(self.skin, self.shade, 0.55), box
            )
        ground = self.ground
        canvas.fill(ground, self.skin, FACE)
        rim = without(grown(self.head, 0.2), moved(self.head, -0.075, -0.05))
        canvas.paint(rim, self.shade, FACE, soft=0.16, opacity=0.42, within=ground)
        canvas.glow((-0.14, -0.18), (0.36, 0.34), mixed(self.skin, "#FFF6EA", 0.5), 0.5, within=ground)
        if front is not None:
            canvas.paint(moved(front, 0.012, 0.05), self.shade, FACE, soft=0.06, opacity=0.5, within=ground)

    def cheeks_and_nose(self) -> None:
        canvas, blush = self.canvas, mixed(self.skin, "#F0445A", 0.42)
        for side in (-1, 1):
            x = side * 0.26
            canvas.glow((x, 0.2), (0.135, 0.115), blush, 0.8, within=self.ground)
        canvas.glow((0.018, 0.168), (0.085, 0.062), mixed(self.skin, self.shade, 0.85))
        canvas.glow((-0.008, 0.138), (0.062, 0.06), mixed(self.skin, "#FFF6EA", 0.35))

    def eye(self, side: int) -> None:
        """White, iris (darker above, lighter below), pupil, highlights, lid line."""
        canvas, kind = self.canvas, EYE_SHAPES[self.avatar.eye_shape]
        x, y, line = side * GAP, EYE_Y, rgb("#2A1B22")
        box: Box = (x - 0.16, y - 0.17, x + 0.16, y + 0.16)
        white = self.eye_outline(x, kind)
        canvas.paint(moved(grown(white, 0.012), 0, -0.018), line, box)
        opening = canvas.mask(white, box)
        canvas.fill(opening, rgb("#FFFDFA"), box)
        centre, size = x + self.avatar.gaze, 0.088 if kind == "wide" else 0.08
        iris = rgb(list(EYE_COLOURS.values())[self.avatar.eye_colour])
        canvas.paint(circle(centre, y + 0.004, size), mixed(iris, "#140C1C", 0.35), box, within=opening)
        canvas.paint(circle(centre, y + 0.006, size - 0.013), iris, box, within=opening)
        canvas.glow((centre, y + 0.048), (0.06, 0.042), mixed(iris, "#FFFFFF", 0.5), within=opening)
        canvas.paint(circle(centre, y + 0.004, size * 0.44), rgb("#170F1B"), box, within=opening)
        canvas.glow((x, y - 0.12), (0.2, 0.13), rgb("#5A4A66"), 0.9, within=opening)
        canvas.paint(circle(centre - 0.026, y - 0.026, 0.021), rgb("#FFFFFF"), box)
        canvas.paint(circle(centre + 0.026, y + 0.032, 0.01), rgb("#FFFFFF"), box, opacity=0.8)

    def eye_outline(self, x: float, kind: str) -> Shape:
        if kind == "round":
            return ellipse(x, EYE_Y, 0.094, 0.092)
        if kind == "wide":
            return ellipse(x, EYE_Y, 0.108, 0.112)
        if kind == "almond":
            return common(circle(x, EYE_Y + 0.055, 0.13), circle(x, EYE_Y - 0.05, 0.13))
        return without(ellipse(x, EYE_Y + 0.005, 0.1, 0.09), above(EYE_Y - 0.03))

    def brow(self, side: int) -> None:
        y = EYE_Y - (0.185 if EYE_SHAPES[self.avatar.eye_shape] == "wide" else 0.165)
        tilt = self.avatar.brow
        inner, outer = (side * (GAP - 0.085), y + tilt * 0.5), (side * (GAP + 0.105), y - tilt * 0.3 + 0.02)
        shape = curve(inner, (side * GAP, y - 0.05), outer, 0.034)
        box: Box = (side * GAP - 0.2, y - 0.16, side * GAP + 0.2, y + 0.14)
        self.canvas.paint(shape, mixed(self.hair, "#1B1018", 0.38), box)

    def mouth(self) -> None:
        kind, side, y = MOUTHS[self.avatar.mouth], self.avatar.side, 0.315
        line = mixed(self.shade, "#4A1420", 0.55)
        strokes = {
            "smile": ((-0.125, y - 0.012), (0, y + 0.1), (0.125, y - 0.012)),
            "smirk": ((-side * 0.0975, y + 0.022), (side * 0.039, y + 0.062), (side * 0.13, y - 0.028)),
            "calm": ((-0.095, y + 0.012), (0, y + 0.03), (0.095, y + 0.012)),
        }
        if kind in strokes:
            self.canvas.paint(curve(*strokes[kind], 0.032), line, MOUTH)
        elif kind in ("pout", "surprise"):
            self.lips(kind, y)
        else:
            self.open_mouth(kind, y, line)

    def lips(self, kind: str, y: float) -> None:
        canvas, lip = self.canvas, mixed(mixed(self.skin, self.shade, 0.4), "#D8334F", 0.5)
        if kind == "surprise":
            canvas.paint(ellipse(0, y + 0.02, 0.062, 0.072), lip, MOUTH)
            canvas.paint(ellipse(0, y + 0.022, 0.044, 0.053), rgb("#5B1526"), MOUTH)
            return
        upper = union(ellipse(-0.038, y + 0.004, 0.062, 0.03), ellipse(0.038, y + 0.004, 0.062, 0.03))
        canvas.paint(upper, mixed(lip, "#4A1420", 0.18), MOUTH)
        canvas.paint(ellipse(0, y + 0.032, 0.078, 0.034), lip, MOUTH)
        between = curve((-0.085, y + 0.01), (0, y + 0.026), (0.085, y + 0.01), 0.014)
        canvas.paint(between, mixed(lip, "#4A1420", 0.6), MOUTH)

    def open_mouth(self, kind: str, y: float, line: Array) -> None:
        width, depth, teeth = (0.145, 0.1, 0.052) if kind == "grin" else (0.13, 0.135, 0.03)
        upper = above(y - 0.022 + 0.12 * width**2, bend=-0.12)
        opening = without(ellipse(0, y - 0.022, width, depth), upper)
        canvas = self.canvas
        canvas.paint(grown(opening, 0.018), line, MOUTH)
        inside = canvas.mask(opening, MOUTH)
        canvas.fill(inside, rgb("#6B1A2B"), MOUTH)
        if kind == "laugh":
            canvas.paint(ellipse(0, y + 0.105, 0.085, 0.055), rgb("#F0707F"), MOUTH, within=inside)
        canvas.paint(above(y - 0.02 + teeth, bend=-0.4), rgb("#FFFDF8"), MOUTH, within=inside)

    def beard(self) -> None:
        kind = BEARDS[self.avatar.beard]
        if kind == "none":
            return
        canvas, colour = self.canvas, mixed(self.hair, "#1B1018", 0.14)
        box: Box = (-0.55, -0.1, 0.55, 0.72)
        moustache = union(
            curve((0, 0.245), (-0.08, 0.235), (-0.155, 0.29), 0.055),
            curve((0, 0.245), (0.08, 0.235), (0.155, 0.29), 0.055),
        )
        if kind == "moustache":
            canvas.paint(moustache, colour, box)
            return
        mouth_hole = ellipse(0, 0.335, 0.135, 0.055)
        if kind == "goatee":
            outer = superellipse(0, 0.4, 0.205, self.chin_y - 0.36, 2.6)
            canvas.paint(
                without(common(outer, grown(self.head, 0.025)), mouth_hole), colour, box, opacity=0.96
            )
            return
        hole = blend(
            ellipse(0, -0.02, self.avatar.width - 0.035, 0.235), rounded_box(-0.26, -0.3, 0.26, 0.2, 0.1), 0.1
        )
        jaw = without(grown(self.head, 0.035), above(0.05))
        shape = without(without(jaw, hole), mouth_hole)
        ground = canvas.mask(shape, box)
        canvas.fill(ground, colour, box)
        canvas.glow((0.22, 0.5), (0.34, 0.26), self.hair_shade, 0.6, within=ground)
        canvas.paint(moustache, mixed(colour, self.hair_light, 0.12), box)

    def front_hair(self, front: Shape) -> None:
        """Colour, shadow on the right, a soft gloss on the upper left, and strands that run from the
        parting."""
        falls = self.style in ("bob", "long", "wavy")
        canvas, box = self.canvas, WHOLE if falls else (-0.75, -1.0, 0.75, 0.16)
        ground = canvas.mask(front, box)
        canvas.fill(ground, self.hair, box)
        canvas.glow((0.5, -0.05), (0.42, 0.7), self.hair_shade, 0.75, within=ground)
        canvas.glow((-0.17, -0.42), (0.32, 0.2), self.hair_light, 0.85, within=ground)
        if self.style not in ("buzz", "curly", "afro", "spiky"):
            start = self.avatar.side * -0.16 if self.style not in ("long", "pigtails", "bun", "bob") else 0.0

            def strands(x: Array, y: Array) -> Array:
                angle = np.arctan2(x - start, y + 0.72)
                return (np.float32(0.75) - np.cos(26 * angle)) * np.float32(0.05)

            canvas.paint(strands, self.hair_shade, box, soft=0.06, opacity=0.26, within=ground)

    def earrings(self) -> None:
        kind = EARRINGS[self.avatar.earrings]
        if kind == "none":
            return
        gold = rgb("#F6C445")
        for side in (-1, 1):
            x = side * (self.avatar.width + 0.02)
            box: Box = (x - 0.12, 0.1, x + 0.12, 0.36)
            if kind == "stud":
                self.canvas.paint(circle(x, 0.175, 0.026), gold, box)
            else:
                self.canvas.paint(without(circle(x, 0.225, 0.06), circle(x, 0.225, 0.036)), gold, box)

    def glasses(self) -> None:
        kind = GLASSES[self.avatar.glasses]
        if kind == "none":
            return
        canvas, frame = self.canvas, rgb("#2B2A3A") if kind != "round" else rgb("#2B3A67")
        for side in (-1, 1):
            x = side * 0.2
            box: Box = (x - 0.22, -0.16, x + 0.22, 0.25)
            lens = (
                circle(x, 0.045, 0.152)
                if kind == "round"
                else rounded_box(x - 0.148, -0.085, x + 0.148, 0.16, 0.07)
            )
            tint, opacity = (rgb("#2E2440"), 0.42) if kind == "sun" else (rgb("#DDF1FF"), 0.14)
            canvas.paint(lens, tint, box, opacity=opacity)
            canvas.paint(without(grown(lens, 0.015), grown(lens, -0.012)), frame, box)
            canvas.paint(
                stroke((side * 0.345, 0.0), (side * (self.avatar.width + 0.02), 0.03), 0.028),
                frame,
                (-0.55, -0.1, 0.55, 0.15),
            )
        canvas.paint(curve((-0.055, 0.03), (0, 0.0), (0.055, 0.03), 0.027), frame, (-0.12, -0.08, 0.12, 0.12))
