"""Eight kinds of objects, each drawn from a few random numbers: shoes, bags, cups, ... lit from the upper left.

Each function takes (sketch, random) and draws one object that stands on y = GROUND.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from gan_zoo.data.drawing import Array, circle, common, curve, ellipse, rounded_box, stroke, union, without
from gan_zoo.data.sketch import Pattern, Sketch, Surface, band, box_of, checks, dots, spline, stripes
from gan_zoo.data.street_palette import hsv

GROUND = 0.62
Points = list[tuple[float, float]]


def _materials(sketch: Sketch, random: Random) -> tuple[Surface, Surface]:
    """Two surfaces that go together: leather, canvas, suede or lacquer, plain or with a pattern."""
    hue, soft = random.uniform(0, 360), 1.3 * sketch.canvas.pixel
    value = random.choice((0.3, 0.55, 0.75, 0.92))
    saturation = random.choice((0.12, 0.35, 0.6, 0.75)) if value > 0.5 else random.uniform(0.1, 0.6)
    first = hsv(hue, saturation, value)
    second = random.choice(
        (
            hsv(hue + 180, saturation * 0.8, 0.8),
            hsv(hue + 30, saturation, value * 0.65),
            hsv(40, 0.1, 0.96),
            hsv(20, 0.55, 0.42),
            hsv(230, 0.3, 0.22),
        )
    )
    kind = random.random()
    pattern: Pattern | None = None
    if kind < 0.14:
        pattern = stripes(random.uniform(0.1, 0.2), 0.45, random.choice((0.0, 0.8, np.pi / 2)), soft)
    elif kind < 0.24:
        pattern = dots(random.uniform(0.13, 0.2), 0.035, soft)
    elif kind < 0.32:
        pattern = checks(random.uniform(0.14, 0.22), soft)
    gloss, grain = random.choice(((0.5, 0.03), (0.25, 0.08), (0.05, 0.18), (0.9, 0.0)))
    main = Surface(first, second, pattern, gloss, 0.16, grain)
    return main, Surface(second, first, None, gloss * 0.7, 0.08, grain)


def _plain(colour: Array, gloss: float = 0.2, relief: float = 0.05) -> Surface:
    return Surface(colour, colour, None, gloss, relief, 0.03)


def _metal() -> Surface:
    return _plain(hsv(44, 0.5, 0.85), 1.0, 0.03)


def sneaker(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    rubber = _plain(hsv(random.choice((40, 40, 220)), 0.06, random.choice((0.95, 0.92, 0.25))), 0.1, 0.06)
    high = random.choice((0.0, 0.0, 0.28))  # a high-top
    thick = random.uniform(0.1, 0.17)
    top = GROUND - thick
    sketch.shadow((0.03, GROUND + 0.02), (1.0, 0.12))
    tongue: Points = [
        (-0.4, -0.1 - high),
        (-0.32, -0.3 - high),
        (-0.16, -0.3 - high),
        (-0.02, 0.0),
        (-0.2, 0.1),
    ]
    sketch.part(spline(tongue), trim, box_of(tongue))
    body: Points = [
        (-0.73, top + 0.05), (-0.78, 0.12), (-0.72, -0.14 - high), (-0.55, -0.13 - high), (-0.4, -0.05 - high),
        (-0.2, -0.08 - high * 0.5), (0.08, 0.06), (0.36, 0.2), (0.66, 0.25),
        (0.84, 0.42), (0.8, top + 0.06), (0.2, top + 0.07),
    ]  # fmt: skip
    upper = sketch.held(spline(body), box_of(body))
    sketch.part(upper, main, box_of(body))
    lining = spline(
        [
            (-0.66, -0.12 - high),
            (-0.52, -0.1 - high),
            (-0.36, -0.04 - high),
            (-0.34, -0.0 - high),
            (-0.6, -0.07 - high),
        ]
    )
    sketch.part(common(upper, lining), _plain(hsv(0, 0.05, 0.25)))
    heel = common(
        upper, spline([(-0.95, -0.05 - high), (-0.6, -0.0 - high), (-0.52, 0.25), (-0.56, 0.7), (-0.95, 0.7)])
    )
    sketch.part(heel, trim, box_of(body))
    toe = common(upper, circle(0.86, 0.62, random.uniform(0.3, 0.4)))
    sketch.part(toe, rubber if random.random() < 0.5 else trim, box_of(body))
    mark = random.randrange(3)
    if mark == 0:
        for k in range(3):
            sketch.part(
                common(upper, stroke((-0.3 + 0.15 * k, top), (-0.16 + 0.15 * k, 0.08), 0.055)),
                trim,
                box_of(body),
            )
    elif mark == 1:
        swoosh: Points = [(-0.42, 0.22), (-0.34, 0.36), (-0.1, 0.36), (0.28, 0.2), (-0.1, 0.26), (-0.3, 0.26)]
        sketch.part(common(upper, spline(swoosh)), trim, box_of(swoosh))
    else:
        sketch.part(common(upper, circle(-0.36, 0.12, 0.11)), trim, box_of(body))
    for k in range(5):
        x, y = -0.24 + 0.105 * k, -0.02 - high * (0.5 - 0.12 * k) * 1.2 + 0.055 * k
        sketch.part(
            stroke((x - 0.04, y + 0.08), (x + 0.07, y - 0.045), 0.045),
            _plain(hsv(40, 0.05, 0.97), 0.1, 0.02),
            box_of([(x, y)], 0.2),
        )
    sole: Points = [
        (-0.8, top), (-0.83, GROUND - 0.4 * thick), (-0.78, GROUND), (-0.4, GROUND), (0.1, GROUND), (0.7, GROUND),
        (0.84, GROUND - 0.2 * thick), (0.9, GROUND - 0.6 * thick), (0.86, top + 0.01), (0.5, top + 0.03), (-0.2, top + 0.02),
    ]  # fmt: skip
    sketch.part(spline(sole), rubber, box_of(sole))
    sketch.crease(
        stroke((-0.78, top + 0.6 * thick), (0.84, top + 0.6 * thick), 0.014), depth=0.2, within=spline(sole)
    )


def boot(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    tall = random.uniform(0.45, 0.95)
    heel = random.choice((0.06, 0.1, 0.2))
    top = GROUND - 0.08 - heel
    sketch.shadow((0.1, GROUND + 0.02), (0.9, 0.1))
    block: Points = [(-0.56, top - 0.02), (-0.54, GROUND), (-0.26, GROUND), (-0.2, top)]
    sketch.part(spline(block), _plain(hsv(20, 0.4, 0.2), 0.3), box_of(block))
    shaft = -0.05 - 0.8 * tall
    body: Points = [
        (-0.56, top + 0.02), (-0.6, 0.2), (-0.52, -0.1), (-0.56, shaft), (-0.3, shaft - 0.02), (0.0, shaft), (-0.02, -0.12),
        (0.1, 0.1), (0.42, 0.24), (0.72, 0.33 + heel * 0.3), (0.8, GROUND - 0.07), (0.3, GROUND - 0.05), (-0.1, top + 0.02),
    ]  # fmt: skip
    shape = sketch.held(spline(body), box_of(body))
    sketch.part(shape, main, box_of(body))
    if random.random() < 0.6:  # a cuff
        cuff = common(shape, rounded_box(-0.9, shaft - 0.2, 0.3, shaft + 0.16, 0.01))
        sketch.part(cuff, trim, box_of(body))
    if random.random() < 0.5:
        for k in range(random.randint(1, 3)):
            y = 0.08 - 0.22 * k
            if y < shaft + 0.25:
                break
            sketch.part(common(shape, stroke((-0.8, y - 0.04), (0.3, y + 0.04), 0.07)), trim, box_of(body))
            sketch.part(
                rounded_box(-0.34, y - 0.06, -0.22, y + 0.06, 0.02), _metal(), (-0.5, y - 0.2, -0.1, y + 0.2)
            )
    else:
        sketch.crease(curve((-0.3, shaft), (-0.28, 0.0), (-0.5, 0.3), 0.014), within=shape)
        sketch.crease(curve((0.02, 0.02), (0.0, 0.3), (0.16, 0.5), 0.014), within=shape)
    sole: Points = [
        (-0.3, top + 0.03),
        (0.2, GROUND - 0.07),
        (0.78, GROUND - 0.1),
        (0.84, GROUND - 0.03),
        (0.7, GROUND),
        (0.2, GROUND),
        (-0.2, top + 0.08),
    ]
    sketch.part(spline(sole), _plain(hsv(20, 0.4, 0.2), 0.3), box_of(sole))


def pump(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    lift = random.uniform(0.3, 0.62)
    heel_y = GROUND - lift
    sketch.shadow((0.1, GROUND + 0.02), (0.85, 0.09))
    thin = random.choice((0.03, 0.05, 0.1))
    heel: Points = [
        (-0.72, heel_y - 0.02),
        (-0.6 - thin, GROUND - 0.1),
        (-0.6 - thin, GROUND),
        (-0.6 + thin, GROUND),
        (-0.57 + thin, GROUND - 0.12),
        (-0.42, heel_y + 0.04),
    ]
    sketch.part(spline(heel), trim, box_of(heel))
    body: Points = [
        (-0.74, heel_y), (-0.76, heel_y - 0.26), (-0.66, heel_y - 0.34),
        (-0.4, heel_y - 0.05), (0.0, heel_y + 0.4 * lift - 0.02),
        (0.26, GROUND - 0.22), (0.46, GROUND - 0.26), (0.72, GROUND - 0.15), (0.9, GROUND - 0.03),
        (0.6, GROUND), (0.24, GROUND - 0.01), (-0.1, heel_y + 0.55 * lift), (-0.42, heel_y + 0.1),
    ]  # fmt: skip
    shape = sketch.held(spline(body), box_of(body))
    sketch.part(shape, main, box_of(body))
    sole: Points = [
        (-0.72, heel_y + 0.0),
        (-0.42, heel_y + 0.07),
        (-0.1, heel_y + 0.5 * lift),
        (0.24, GROUND - 0.045),
        (0.8, GROUND - 0.03),
        (0.86, GROUND),
        (0.24, GROUND + 0.005),
        (-0.12, heel_y + 0.6 * lift),
        (-0.46, heel_y + 0.14),
    ]
    sketch.part(spline(sole), _plain(hsv(random.choice((0, 20, 40)), 0.5, 0.5), 0.3), box_of(sole))
    detail = random.randrange(3)
    if detail == 0:
        sketch.part(
            union(ellipse(0.42, GROUND - 0.27, 0.1, 0.06), ellipse(0.6, GROUND - 0.23, 0.1, 0.06)),
            trim,
            (0.2, 0.1, 0.85, 0.62),
        )
        sketch.part(circle(0.51, GROUND - 0.25, 0.045), trim, (0.3, 0.1, 0.8, 0.62))
    elif detail == 1:
        strap = union(curve((-0.74, heel_y - 0.3), (-0.4, heel_y - 0.5), (-0.1, heel_y + 0.1), 0.05))
        sketch.part(strap, trim)
        sketch.part(circle(-0.43, heel_y - 0.3, 0.035), _metal())
    else:
        sketch.crease(
            curve((0.3, GROUND - 0.2), (0.5, GROUND - 0.12), (0.66, GROUND - 0.15), 0.014), within=shape
        )


def handbag(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    wide, top = random.uniform(0.52, 0.76), random.uniform(-0.2, 0.05)
    taper = random.uniform(0.78, 1.05)
    sketch.shadow((0.05, GROUND + 0.01), (wide + 0.2, 0.1))
    high = random.uniform(0.35, 0.62)
    reach = wide * random.uniform(0.4, 0.65)
    handle = without(ellipse(0, top, reach + 0.035, high), ellipse(0, top, reach - 0.035, high - 0.07))
    sketch.part(common(handle, rounded_box(-1, -1, 1, top + 0.08, 0.0)), trim._replace(relief=0.04))
    body: Points = [
        (-wide * taper, top + 0.05), (-wide * taper * 0.6, top - 0.02), (0, top - 0.03),
        (wide * taper * 0.6, top - 0.02), (wide * taper, top + 0.05),
        (wide, 0.25), (wide, GROUND - 0.1), (wide * 0.85, GROUND), (0, GROUND + 0.01),
        (-wide * 0.85, GROUND), (-wide, GROUND - 0.1), (-wide, 0.25),
    ]  # fmt: skip
    shape = sketch.held(spline(body), box_of(body))
    sketch.part(shape, main, box_of(body))
    style = random.randrange(3)
    if style == 0:  # a flap with a clasp
        low = top + random.uniform(0.25, 0.4)
        flap: Points = [
            (-wide * taper, top + 0.04),
            (0, top - 0.06),
            (wide * taper, top + 0.04),
            (wide * 0.9, low - 0.1),
            (0, low + 0.06),
            (-wide * 0.9, low - 0.1),
        ]
        sketch.part(common(shape, spline(flap)), main._replace(relief=0.06), box_of(body))
        sketch.part(
            rounded_box(-0.07, low - 0.02, 0.07, low + 0.12, 0.03),
            _metal(),
            (-0.3, low - 0.3, 0.3, low + 0.4),
        )
    elif style == 1:  # a pocket and seams
        pocket = rounded_box(-wide * 0.6, 0.2, wide * 0.6, GROUND - 0.08, 0.06)
        sketch.part(pocket, trim, (-1, 0.0, 1, 0.8))
        sketch.crease(stroke((-wide * 0.6, 0.28), (wide * 0.6, 0.28), 0.014), depth=0.3)
    else:  # bound corners and a zip
        for side in (-1, 1):
            sketch.part(common(shape, circle(side * wide, GROUND, 0.24)), trim, box_of(body))
        sketch.crease(
            curve((-wide * taper, top + 0.1), (0, top + 0.04), (wide * taper, top + 0.1), 0.018), within=shape
        )
        sketch.part(stroke((wide * 0.3, top + 0.08), (wide * 0.3, top + 0.2), 0.05), _metal())
    for side in (-1, 1):
        sketch.part(
            circle(side * reach, top + 0.09, 0.045), _metal(), box_of([(side * reach, top + 0.09)], 0.2)
        )


def mug(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    wide, top = random.uniform(0.36, 0.5), random.uniform(-0.45, -0.1)
    narrow = wide * random.uniform(0.72, 1.0)
    sketch.shadow((0.08, GROUND), (wide + 0.35, 0.12))
    size = random.uniform(0.2, 0.3)
    middle = (top + GROUND) / 2 - 0.03
    ring = without(
        ellipse(wide * 0.92, middle, size, size * 1.15),
        ellipse(wide * 0.92, middle, size - 0.09, size * 1.15 - 0.09),
    )
    sketch.part(ring, main._replace(relief=0.06, pattern=None))
    body: Points = [
        (-wide, top),
        (-wide * 0.5, top),
        (0, top),
        (wide * 0.5, top),
        (wide, top),
        (0.5 * (wide + narrow), 0.5 * (top + GROUND)),
        (narrow, GROUND - 0.05),
        (narrow * 0.8, GROUND),
        (0, GROUND + 0.02),
        (-narrow * 0.8, GROUND),
        (-narrow, GROUND - 0.05),
        (-0.5 * (wide + narrow), 0.5 * (top + GROUND)),
    ]
    surface = main._replace(turned=True)
    if main.pattern is None and random.random() < 0.6:
        low = random.uniform(top + 0.2, 0.2)
        surface = surface._replace(
            pattern=band(low, low + random.uniform(0.1, 0.25), 1.3 * sketch.canvas.pixel)
        )
    shape = spline(body)
    sketch.part(shape, surface, box_of(body))
    if random.random() < 0.4:
        sketch.part(circle(-0.02, middle, 0.12), trim, (-0.3, -0.4, 0.3, 0.6))
    rim: tuple[float, float, float] = (0, top, wide)
    sketch.part(
        ellipse(rim[0], rim[1], rim[2], 0.09),
        main._replace(relief=0.02, pattern=None),
        (-0.7, top - 0.2, 0.7, top + 0.2),
    )
    drink = random.choice((hsv(24, 0.7, 0.3), hsv(32, 0.6, 0.55), hsv(80, 0.4, 0.5), hsv(0, 0.04, 0.85)))
    sketch.part(
        ellipse(0, top + 0.012, wide - 0.045, 0.062),
        _plain(drink, 0.5, 0.3),
        (-0.7, top - 0.2, 0.7, top + 0.2),
    )


def teapot(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    wide, tall = random.uniform(0.42, 0.55), random.uniform(0.34, 0.46)
    middle = GROUND - tall
    sketch.shadow((0.05, GROUND), (wide + 0.35, 0.11))
    ring = without(
        ellipse(-wide - 0.04, middle - 0.02, 0.25, 0.26), ellipse(-wide - 0.04, middle - 0.02, 0.17, 0.18)
    )
    sketch.part(ring, trim._replace(relief=0.05))
    lip = random.uniform(-0.28, -0.12)
    spout: Points = [
        (wide * 0.7, middle - 0.04), (wide + 0.06, middle - 0.06), (wide + 0.17, middle + lip + 0.06),
        (wide + 0.27, middle + lip - 0.03),
        (wide + 0.38, middle + lip - 0.02), (wide + 0.28, middle + 0.06), (wide, middle + 0.26), (wide * 0.6, middle + 0.28),
    ]  # fmt: skip
    sketch.part(spline(spout), main._replace(relief=0.1, pattern=None), box_of(spout))
    foot = rounded_box(-wide * 0.55, GROUND - 0.08, wide * 0.55, GROUND, 0.03)
    sketch.part(foot, trim, (-0.7, 0.4, 0.7, 0.75))
    surface = main._replace(turned=True)
    if main.pattern is None and random.random() < 0.5:
        surface = surface._replace(pattern=band(middle - 0.05, middle + 0.14, 1.3 * sketch.canvas.pixel))
    sketch.part(ellipse(0, middle, wide, tall - 0.02), surface)
    lid: Points = [
        (-wide * 0.62, middle - tall * 0.72),
        (-wide * 0.4, middle - tall * 0.98),
        (0, middle - tall * 1.08),
        (wide * 0.4, middle - tall * 0.98),
        (wide * 0.62, middle - tall * 0.72),
        (0, middle - tall * 0.66),
    ]
    sketch.part(spline(lid), main._replace(relief=0.12, pattern=None), box_of(lid))
    sketch.part(circle(0, middle - tall * 1.16, 0.07), trim, box_of([(0, middle - tall * 1.16)], 0.2))


def vase(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    top = random.uniform(-0.75, -0.35)
    belly, neck, lip, foot = (
        random.uniform(0.3, 0.52),
        random.uniform(0.1, 0.22),
        random.uniform(0.16, 0.3),
        random.uniform(0.16, 0.3),
    )
    at = random.uniform(0.35, 0.65)
    tall = GROUND - top
    sketch.shadow((0.06, GROUND), (belly + 0.25, 0.1))
    if random.random() < 0.5:
        _flowers(sketch, random, top)
    half: Points = [
        (lip, top),
        (neck, top + 0.16 * tall),
        (belly, top + at * tall),
        (0.5 * (belly + foot), top + (at + 1) / 2 * tall),
        (foot, GROUND),
    ]
    body = [*half, (0.0, GROUND + 0.015), *[(-x, y) for x, y in reversed(half)], (0.0, top + 0.01)]
    surface = main._replace(turned=True)
    if main.pattern is None and random.random() < 0.6:
        low = top + (at - 0.12) * tall
        surface = surface._replace(
            pattern=band(low, low + random.uniform(0.1, 0.22), 1.3 * sketch.canvas.pixel)
        )
    shape = sketch.held(spline(body), box_of(body))
    sketch.part(shape, surface, box_of(body))
    sketch.part(
        ellipse(0, top + 0.005, lip + 0.01, 0.045),
        trim._replace(relief=0.02),
        (-0.5, top - 0.2, 0.5, top + 0.2),
    )
    sketch.part(
        ellipse(0, top + 0.01, lip - 0.03, 0.026),
        _plain(hsv(20, 0.3, 0.2)),
        (-0.5, top - 0.2, 0.5, top + 0.2),
    )


def _flowers(sketch: Sketch, random: Random, top: float) -> None:
    hue = random.choice((350, 320, 48, 275, 15))
    for k in range(random.randint(2, 4)):
        x, y = random.uniform(-0.4, 0.4), max(-0.86, top - random.uniform(0.12, 0.3))
        leaf = _plain(hsv(115, 0.55, 0.45), 0.1, 0.03)
        sketch.part(curve((0.03 * k - 0.04, top + 0.1), (0.3 * x, top - 0.1), (x, y), 0.03), leaf)
        petals = _plain(hsv(hue, 0.6, 0.92), 0.1, 0.06)
        blossom = union(
            *(circle(x + 0.06 * np.cos(a), y + 0.06 * np.sin(a), 0.055) for a in np.arange(5) * 1.2566 + k)
        )
        sketch.part(blossom, petals, box_of([(x, y)], 0.25))
        sketch.part(circle(x, y, 0.035), _plain(hsv(46, 0.7, 0.9), 0.2, 0.03), box_of([(x, y)], 0.2))


def hat(sketch: Sketch, random: Random) -> None:
    main, trim = _materials(sketch, random)
    brim, wide, tall = random.uniform(0.7, 0.9), random.uniform(0.36, 0.5), random.uniform(0.4, 0.75)
    low = 0.36
    sketch.shadow((0.04, 0.52), (brim + 0.08, 0.12))
    curl = random.uniform(-0.12, 0.1)
    edge: Points = [
        (-brim, low + curl),
        (-0.5 * brim, low + 0.13),
        (0, low + 0.19),
        (0.5 * brim, low + 0.13),
        (brim, low + curl),
        (0.6 * brim, low - 0.06),
        (0, low - 0.1),
        (-0.6 * brim, low - 0.06),
    ]
    sketch.part(spline(edge), main._replace(relief=0.08), box_of(edge))
    dent = random.choice((0.0, 0.08, 0.12))
    crown: Points = [
        (-wide, low + 0.04),
        (-wide * 0.96, low - 0.3 * tall),
        (-wide * 0.72, low - tall),
        (-0.15, low - tall * 1.05),
        (0.0, low - tall * 1.05 + dent),
        (0.15, low - tall * 1.05),
        (wide * 0.72, low - tall),
        (wide * 0.96, low - 0.3 * tall),
        (wide, low + 0.04),
        (0, low + 0.1),
    ]
    shape = sketch.held(spline(crown), box_of(crown))
    sketch.part(shape, main._replace(turned=True), box_of(crown))
    ribbon: Points = [
        (-wide * 1.05, low - 0.16),
        (0, low - 0.1),
        (wide * 1.05, low - 0.16),
        (wide * 1.05, low + 0.03),
        (0, low + 0.09),
        (-wide * 1.05, low + 0.03),
    ]
    sketch.part(common(shape, spline(ribbon)), trim._replace(relief=0.04), box_of(crown))
    if random.random() < 0.5:
        feather: Points = [
            (wide * 0.5, low - 0.02),
            (wide * 0.7, low - 0.3),
            (wide * 0.95, low - 0.52),
            (wide * 0.8, low - 0.24),
        ]
        sketch.part(
            spline(feather), _plain(hsv(random.uniform(0, 360), 0.5, 0.8), 0.1, 0.05), box_of(feather)
        )


# how each is drawn, and the part of the plane that shows it: left, top, extent
KINDS: dict[str, tuple[Callable[[Sketch, Random], None], tuple[float, float, float]]] = {
    "sneaker": (sneaker, (-0.98, -1.02, 2.0)),
    "boot": (boot, (-0.82, -0.98, 1.8)),
    "pump": (pump, (-0.92, -0.9, 1.9)),
    "handbag": (handbag, (-0.92, -1.02, 1.84)),
    "mug": (mug, (-0.62, -0.75, 1.56)),
    "teapot": (teapot, (-0.95, -0.88, 1.9)),
    "vase": (vase, (-0.88, -1.02, 1.78)),
    "hat": (hat, (-0.98, -0.86, 1.96)),
}
