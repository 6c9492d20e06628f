"""What can be said about a drawn flower: the choices of each attribute, which flower has which number, and which
pairs of petal colour and petal shape are kept from training.

Palettes hold sRGB colours; petal and centre colours are far enough apart to be read back from a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PETAL_COLOURS = {
    "red": "#D51F2B",
    "orange": "#F58220",
    "yellow": "#FFDB2E",
    "white": "#FBFAF4",
    "pink": "#F7A1C4",
    "magenta": "#CF2A94",
    "purple": "#7A3DB8",
    "blue": "#3B68DE",
}
PETAL_SHAPES = ("round", "pointed", "heart-shaped", "narrow", "ruffled")
PETAL_NUMBERS = (3, 4, 5, 6, 8)
EDGE_COLOURS = {
    "none": "#000000",
    "white": "#FFFFFF",
    "yellow": "#FFE45C",
    "pink": "#FFB3D1",
    "purple": "#6B2FA8",
}
CENTRE_COLOURS = {
    "yellow": "#FFD11F",
    "orange": "#F07A14",
    "brown": "#643C22",
    "green": "#7DB83A",
    "white": "#FAF7EC",
}
STAMENS = ("none", "short", "long")
LEAVES = ("none", "two", "many")
BACKGROUNDS = {
    "foliage": "#244A2E",
    "stone": "#8C9299",
    "earth": "#7A5A42",
    "sky": "#8CC3EC",
    "night": "#191A26",
    "water": "#2F8088",
}
LAYOUTS = ("middle", "left", "right", "bud", "pair")

CHOICES: dict[str, tuple[str, ...]] = {
    "petal_colour": tuple(PETAL_COLOURS),
    "petal_shape": PETAL_SHAPES,
    "petal_number": tuple(map(str, PETAL_NUMBERS)),
    "edge_colour": tuple(EDGE_COLOURS),
    "centre_colour": tuple(CENTRE_COLOURS),
    "stamens": STAMENS,
    "leaves": LEAVES,
    "background": tuple(BACKGROUNDS),
    "layout": LAYOUTS,
}

# A class is a petal colour and a petal shape: class = colour * 5 + shape. Of each colour one shape is kept from
# training, of each shape one or two colours, so that every colour and every shape is learnt elsewhere.
CLASSES = len(PETAL_COLOURS) * len(PETAL_SHAPES)
UNSEEN_CLASSES = tuple(
    colour * len(PETAL_SHAPES) + (2 * colour + 1) % len(PETAL_SHAPES) for colour in range(len(PETAL_COLOURS))
)
SEEN_CLASSES = tuple(number for number in range(CLASSES) if number not in UNSEEN_CLASSES)


def class_name(number: int) -> str:
    """'yellow pointed' for the class of yellow, pointed petals."""
    colour, shape = divmod(number, len(PETAL_SHAPES))
    return f"{tuple(PETAL_COLOURS)[colour]} {PETAL_SHAPES[shape]}"


@dataclass(frozen=True)
class Flower:
    """One flower: indices into CHOICES, and what varies without a name."""

    petal_colour: int
    petal_shape: int
    petal_number: int
    edge_colour: int
    centre_colour: int
    stamens: int
    leaves: int
    background: int
    layout: int
    x: float  # where the blossom stands, in the plane of `drawing`
    y: float
    radius: float
    turn: float  # radians
    squash: float  # 1: seen from the front
    tilt: float  # direction of the squash, radians
    width: float  # of the petals, about 1
    centre: float  # radius of the centre over that of the blossom
    light: float  # lightness of the petals, about 0
    side: int  # -1 or 1: where the bud or the second blossom stands
    grain: int  # seed of what is smaller: petals that differ, spots of the background

    @property
    def species(self) -> int:
        """The class: petal colour and petal shape."""
        return self.petal_colour * len(PETAL_SHAPES) + self.petal_shape


def sample(seed: int, index: int, classes: tuple[int, ...] = SEEN_CLASSES) -> Flower:
    """Flower number `index` (>= 0) of the endless garden `seed` (>= 0), of one of `classes`.

    All attributes are uniform, except: edges 60 % none; stamens and leaves 40 % none; 40 % stand in the middle. A centre or
    an edge never has the colour of the petals.
    """
    random = np.random.default_rng((seed, index))
    species = classes[random.integers(len(classes))]
    colour, shape = divmod(int(species), len(PETAL_SHAPES))
    name = tuple(PETAL_COLOURS)[colour]
    pick = {
        "petal_number": _uniform(random, CHOICES["petal_number"]),
        "edge_colour": _first_often(random, CHOICES["edge_colour"], 0.6, but=name),
        "centre_colour": _uniform(random, CHOICES["centre_colour"], but=name),
        "stamens": _first_often(random, STAMENS, 0.4),
        "leaves": _first_often(random, LEAVES, 0.4),
        "background": _uniform(random, CHOICES["background"]),
        "layout": _first_often(random, LAYOUTS, 0.4),
    }
    side = 1 if random.random() < 0.5 else -1
    x, y, radius = _place(random, LAYOUTS[pick["layout"]], side)
    return Flower(
        petal_colour=colour,
        petal_shape=shape,
        **pick,
        x=x,
        y=y,
        radius=radius,
        turn=2 * np.pi * random.random(),
        squash=0.9 + 0.1 * random.random(),
        tilt=np.pi * random.random(),
        width=0.94 + 0.12 * random.random(),
        centre=0.215 + 0.06 * random.random(),
        light=0.1 * (random.random() - 0.5),
        side=side,
        grain=int(random.integers(2**31)),
    )


def _uniform(random: np.random.Generator, choices: tuple[str, ...], but: str | None = None) -> int:
    allowed = [number for number, choice in enumerate(choices) if choice != but]
    return int(allowed[random.integers(len(allowed))])


def _first_often(
    random: np.random.Generator, choices: tuple[str, ...], share: float, but: str | None = None
) -> int:
    """The first choice with probability `share`, otherwise one of the others."""
    draw, other = random.random(), 1 + _uniform(random, choices[1:], but)
    return 0 if draw < share else other


def _place(random: np.random.Generator, layout: str, side: int) -> tuple[float, float, float]:
    """Where the main blossom stands, x and y, and its radius."""
    along, across, size = (2 * random.random(3) - 1).tolist()
    if layout == "middle":
        return 0.06 * along, -0.04 + 0.06 * across, 0.76 + 0.1 * size
    if layout in ("left", "right"):
        sign = -1 if layout == "left" else 1
        return sign * (0.36 + 0.05 * along), 0.14 * across, 0.56 + 0.04 * size
    return -side * (0.27 + 0.04 * along), 0.18 + 0.05 * across, 0.6 + 0.04 * size
