"""What can be said about a cartoon face: the choices of each attribute, and which face has which number.

Palettes hold sRGB colours; skin, hair, eye and background colours are far enough apart to be read back from a
picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKINS = {
    "porcelain": "#FFE1D0",
    "peach": "#F8C8A0",
    "honey": "#E5A873",
    "tan": "#C68450",
    "brown": "#9A5D36",
    "deep": "#734429",
}
HAIR_STYLES = (
    "bald",
    "buzz",
    "side_part",
    "quiff",
    "spiky",
    "curly",
    "afro",
    "bob",
    "long",
    "wavy",
    "bun",
    "pigtails",
)
HAIR_COLOURS = {
    "black": "#25242F",
    "brown": "#4F2D20",
    "auburn": "#B4472A",
    "blond": "#E8B44C",
    "silver": "#C9CCD6",
    "pink": "#F27BA8",
    "blue": "#3F78C9",
}
EYE_SHAPES = ("round", "almond", "wide", "sleepy")
EYE_COLOURS = {
    "brown": "#5A2F17",
    "amber": "#C47A14",
    "green": "#2F9E56",
    "blue": "#2F86E0",
    "grey": "#8593A3",
}
MOUTHS = ("smile", "grin", "laugh", "smirk", "calm", "pout", "surprise")
BACKGROUNDS = {
    "coral": "#F58E7C",
    "butter": "#FBE6A8",
    "mint": "#86D3AE",
    "sky": "#7FC1EE",
    "lavender": "#B0A3EC",
    "rose": "#F5AFC8",
    "teal": "#3FA3A3",
    "slate": "#71839F",
}
GLASSES = ("none", "round", "square", "sun")
BEARDS = ("none", "moustache", "goatee", "full")
EARRINGS = ("none", "stud", "hoop")
CLOTHES = ("crew", "v_neck", "collar", "striped", "hoodie")
CLOTH_COLOURS = ("#F4F1EA", "#2F3E5C", "#E4572E", "#F2B134", "#3C9D7E", "#6C5BB5", "#D9598C", "#4A90C2")

CHOICES: dict[str, tuple[str, ...]] = {
    "skin": tuple(SKINS),
    "hair_style": HAIR_STYLES,
    "hair_colour": tuple(HAIR_COLOURS),
    "eye_shape": EYE_SHAPES,
    "eye_colour": tuple(EYE_COLOURS),
    "mouth": MOUTHS,
    "background": tuple(BACKGROUNDS),
    "glasses": GLASSES,
    "beard": BEARDS,
    "earrings": EARRINGS,
    "clothes": CLOTHES,
}
BEARDED_STYLES = ("bald", "buzz", "side_part", "quiff", "spiky", "curly", "afro", "bun")


@dataclass(frozen=True)
class Avatar:
    """One face: indices into CHOICES, and the proportions that vary without a name."""

    skin: int
    hair_style: int
    hair_colour: int
    eye_shape: int
    eye_colour: int
    mouth: int
    background: int
    glasses: int
    beard: int
    earrings: int
    clothes: int
    cloth_colour: int
    width: float  # half the head's width
    chin: float  # from eye level to the chin
    jaw: float  # squareness of the jaw, power of a superellipse
    brow: float  # tilt of the eyebrows
    gaze: float
    side: int  # -1 or 1: where the parting is


def sample(seed: int, index: int) -> Avatar:
    """Avatar number `index` (>= 0) of the endless gallery `seed` (>= 0).

    All attributes are uniform, except: glasses 64 % none; beard 60 % none among BEARDED_STYLES, always none
    otherwise; earrings 60 % none, never under hair that covers the ears.
    """
    random = np.random.default_rng((seed, index))
    pick = {name: int(random.integers(len(values))) for name, values in CHOICES.items()}
    glasses, beard, earrings, cloth = random.random(4)
    style = HAIR_STYLES[pick["hair_style"]]
    pick["glasses"] = 0 if glasses < 0.64 else 1 + int((glasses - 0.64) / 0.36 * 3)
    pick["beard"] = 0 if beard < 0.6 or style not in BEARDED_STYLES else 1 + int((beard - 0.6) / 0.4 * 3)
    pick["earrings"] = (
        0 if earrings < 0.6 or style in ("bob", "long", "wavy") else 1 + int((earrings - 0.6) / 0.4 * 2)
    )
    shape = random.random(6)
    return Avatar(
        **pick,
        cloth_colour=int(cloth * len(CLOTH_COLOURS)),
        width=0.415 + 0.045 * shape[0],
        chin=0.45 + 0.06 * shape[1],
        jaw=2.1 + 0.6 * shape[2],
        brow=0.09 * (shape[3] - 0.45),
        gaze=0.012 * (2 * shape[4] - 1),
        side=1 if shape[5] < 0.5 else -1,
    )
