"""What is said about a drawn flower: captions from a small grammar, and what a caption asks for, read back from its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from gan_zoo.data.flower_attributes import CHOICES, PETAL_COLOURS, Flower
from gan_zoo.vocabulary import words_of

# Per choice, the ways to say it; each is equally likely.
NUMBERS = {
    "3": ("three", "three", "3"),
    "4": ("four", "four", "4"),
    "5": ("five", "five", "5"),
    "6": ("six", "six", "6"),
    "8": ("eight", "eight", "8"),
}
SHAPES = {
    "round": ("round", "round", "rounded"),
    "pointed": ("pointed", "pointed", "sharp"),
    "heart-shaped": ("heart-shaped", "heart-shaped", "notched"),
    "narrow": ("narrow", "thin", "slender"),
    "ruffled": ("ruffled", "frilly", "wavy"),
}
STAMENS = {
    "none": ("no stamens",),
    "short": ("short stamens", "small stamens"),
    "long": ("long stamens", "long thread-like stamens"),
}
LEAVES = {
    "none": ("no leaves", "a bare stem"),
    "two": ("two green leaves", "two leaves", "a pair of leaves"),
    "many": ("many green leaves", "many leaves", "a ring of leaves"),
}
BACKGROUNDS = {
    "foliage": ("green foliage", "a dark green hedge", "a hedge"),
    "stone": ("a grey stone wall", "grey stone", "a stone wall"),
    "earth": ("brown earth", "bare earth", "brown soil"),
    "sky": ("a blue sky", "a clear sky", "the sky"),
    "night": ("a black background", "a dark background", "the night"),
    "water": ("teal water", "the water", "a teal pond"),
}
PLACES = {
    "middle": ("in the middle of the picture", "in the middle"),
    "left": ("on the left", "on the left side", "to the left"),
    "right": ("on the right", "on the right side", "to the right"),
    "bud": ("next to a bud", "beside a closed bud", "with a bud beside it"),
    "pair": ("with a smaller one behind it", "in front of a second one", "next to a smaller one"),
}
FLOWERS = ("flower", "flower", "flower", "blossom", "bloom")
CENTRES = ("centre", "centre", "centre", "center", "disc", "eye")
EDGES = ("edges", "edges", "rims", "margins")
TEMPLATES = (
    "this {flower} has {petals}{rim} and {a_centre}{more}{where}",
    "this {flower} has {a_centre} and {petals}{rim}{more}{where}",
    "a {flower} with {petals}{rim} and {a_centre}{more}{where}",
    "a {flower} with {petals}{rim} around {a_centre}{more}{where}",
    "{petals}{rim} around {a_centre}{more}{where}",
    "the petals are {plain}{rim}, the {centre} is {centre_colour}{with_more}{where}",
    "the petals of this {flower} are {plain}{rim} and the {centre} is {centre_colour}{where}",
    "a {flower} whose petals are {plain}{rim} and whose {centre} is {centre_colour}{where}",
    "{an_adjective} {colour} {flower} with {uncoloured}{rim} and {a_centre}{more}{where}",
    "{an_adjective} {colour} {flower} with {a_centre}{more}{where}",
)
# Templates that leave the centre out.
SHORT = (
    "this {flower} has {petals}{rim}{more}{where}",
    "a {flower} with {petals}{rim}{more}{where}",
    "the petals are {plain}{rim}{with_more}{where}",
    "{an_adjective} {colour} {flower} with {uncoloured}{rim}{more}{where}",
)
ADJECTIVES = ("a", "a", "a bright", "a pretty", "a single", "one")


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted."""
    phrases = [
        phrase
        for choices in (NUMBERS, SHAPES, STAMENS, LEAVES, BACKGROUNDS, PLACES)
        for ways in choices.values()
        for phrase in ways
    ]
    lists = (
        FLOWERS,
        CENTRES,
        EDGES,
        ADJECTIVES,
        CHOICES["petal_colour"],
        CHOICES["edge_colour"],
        CHOICES["centre_colour"],
    )
    fixed = "an and with against in front of"
    plain = [re.sub(r"\{\w+\}", " ", template) for template in (*TEMPLATES, *SHORT)]
    texts = [*phrases, *(word for group in lists for word in group), *plain, fixed, "petals none"]
    return sorted({word for text in texts for word in words_of(text)} - {"none"})


def describe(flower: Flower, number: int) -> str:
    """Caption `number` (>= 0) of a flower: a pure function of the two.

    The petal colour is always said, the rest often: shape, number and centre three times of four, the others less.
    """
    random = np.random.default_rng((flower.grain, number, 7))
    said = {name: values[getattr(flower, name)] for name, values in CHOICES.items()}

    def way(choices: Sequence[str]) -> str:
        return choices[int(random.random() * len(choices))]

    def perhaps(share: float, text: str) -> str:
        return text if random.random() < share else ""

    shape, count, colour = (
        way(SHAPES[said["petal_shape"]]),
        way(NUMBERS[said["petal_number"]]),
        said["petal_colour"],
    )
    shape, count = perhaps(0.75, shape), perhaps(0.75, count)
    looks = [shape, colour] if random.random() < 0.5 else [colour, shape]
    edge = f" with {said['edge_colour']} {way(EDGES)}" if said["edge_colour"] != "none" else ""
    centre = way(CENTRES)
    extras = [
        perhaps(0.12 if said["stamens"] == "none" else 0.4, way(STAMENS[said["stamens"]])),
        perhaps(0.35, way(LEAVES[said["leaves"]])),
    ]
    where = perhaps(0.3, f" {way(PLACES[said['layout']])}")
    where += perhaps(0.35, f" {way(('against', 'in front of'))} {way(BACKGROUNDS[said['background']])}")
    return way(TEMPLATES if random.random() < 0.75 else SHORT).format(
        flower=way(FLOWERS),
        petals=_joined([count, *looks, "petals"]),
        uncoloured=_joined([count, shape, "petals"]),
        plain=" and ".join(filter(None, looks)),
        rim=perhaps(0.6, edge),
        colour=colour,
        centre=centre,
        centre_colour=said["centre_colour"],
        a_centre=f"{'an' if said['centre_colour'][0] in 'aeiou' else 'a'} {said['centre_colour']} {centre}",
        more="".join(f" and {extra}" for extra in extras if extra),
        with_more="".join(f" with {extra}" for extra in extras if extra),
        where=where,
        an_adjective=_article(way(ADJECTIVES), colour),
    )


def _joined(words: Sequence[str]) -> str:
    return " ".join(filter(None, words))


def _article(adjective: str, following: str) -> str:
    return "an" if adjective == "a" and following[0] in "aeiou" else adjective


# ---- what a caption asks for -----------------------------------------------------------------------

ASKED = ("petal_colour", "petal_shape", "petal_number", "centre_colour", "edge_colour")
_PART = {
    **dict.fromkeys(("petal", "petals", "flower", "flowers", "blossom", "bloom"), "petal"),
    **dict.fromkeys(("centre", "center", "disc", "eye", "middle"), "centre"),
    **dict.fromkeys(("edge", "edges", "rim", "rims", "margin", "margins"), "edge"),
}
_NUMBER = {way: choice for choice, ways in NUMBERS.items() for way in ways}
_SHAPE = {way: choice for choice, ways in SHAPES.items() for way in ways}
_BREAKS = {
    "a",
    "an",
    "the",
    "with",
    "against",
    "around",
    "this",
    "whose",
    "has",
    "in",
    "of",
    "on",
    "next",
    "beside",
    "to",
}


def asked(caption: str) -> dict[str, int]:
    """Petal colour, shape and number, centre and edge colour that a caption asks for, as indices into CHOICES.

    What it does not say is absent. Words before a part belong to it ("six yellow petals"), and those after "is" or "are"
    to the part before ("the centre is brown").
    """
    found: dict[str, int] = {}
    waiting: list[str] = []
    part, after = "", False

    def settle(to: str) -> None:
        for word in waiting:
            _note(found, to, word)
        waiting.clear()

    for word in words_of(caption):
        if word in _PART:
            if after:
                settle(part)
            part, after = _PART[word], False
            settle(part)
        elif word in ("is", "are"):
            after = True
        elif word in _BREAKS:
            if after:
                settle(part)
            waiting.clear()
            after = False
        elif word in PETAL_COLOURS or word in CHOICES["centre_colour"] or word in _NUMBER or word in _SHAPE:
            waiting.append(word)
        elif word != "and":  # another thing: what was said before it is about that
            if after:
                settle(part)
            after = False
            waiting.clear()
    if after:
        settle(part)
    return found


def _note(found: dict[str, int], part: str, word: str) -> None:
    """Writes down what `word` says of the part; the first word counts."""
    name = f"{part}_colour"
    if name in CHOICES and word in CHOICES[name] and word != "none":
        found.setdefault(name, CHOICES[name].index(word))
    if part == "petal" and word in _NUMBER:
        found.setdefault("petal_number", CHOICES["petal_number"].index(_NUMBER[word]))
    if part == "petal" and word in _SHAPE:
        found.setdefault("petal_shape", CHOICES["petal_shape"].index(_SHAPE[word]))
