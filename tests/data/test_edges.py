"""Drawn objects and their edges: lines where parts end, hidden lines hidden, pure functions of their number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_zoo.data.drawing import circle
from gan_zoo.data.edges import draw
from gan_zoo.data.sketch import Sketch, Surface, polygon, spline, stripes
from gan_zoo.data.sketched_objects import KINDS
from gan_zoo.schema import ConfigError
from tests.data.configured import made

RED, BLUE = np.array([0.9, 0.1, 0.1], np.float32), np.array([0.1, 0.1, 0.9], np.float32)
PLAIN = Surface(RED, BLUE, gloss=0.0, grain=0.0)


def sketch(side: int = 64) -> Sketch:
    return Sketch(side, np.ones(3, np.float32), np.full((64, 64), 0.5, np.float32))


def test_a_polygon_knows_its_distance_inside_and_outside() -> None:
    square = polygon(np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]))
    x, y = np.array([[0.0, 0.4, 0.8]], np.float32), np.array([[0.0], [0.9]], np.float32)
    expected = [[-0.5, -0.1, 0.3], [0.4, 0.4, np.hypot(0.3, 0.4)]]
    np.testing.assert_allclose(square(x, y), expected, atol=1e-6)
    turned = polygon(np.array([[-0.5, 0.5], [0.5, 0.5], [0.5, -0.5], [-0.5, -0.5]]))  # the other way round
    np.testing.assert_allclose(turned(x, y), expected, atol=1e-6)


def test_a_spline_goes_through_its_points() -> None:
    points = [(0.5, 0.0), (0.0, 0.6), (-0.5, 0.1), (0.1, -0.4)]
    shape = spline(points)
    for x, y in points:
        at = shape(np.array([[x]], np.float32), np.array([[y]], np.float32))
        assert abs(float(at[0, 0])) < 1e-6


def test_a_line_is_drawn_where_a_part_ends_and_nowhere_else() -> None:
    one = sketch(128)
    one.part(circle(0, 0, 0.5), PLAIN)
    distance = np.abs(np.hypot(one.canvas.x, one.canvas.y) - 0.5)
    assert one.ink[distance < 0.004].min() > 0.8  # a line is 1.15 pixels wide
    assert one.ink[distance > one.width / 2 + one.canvas.pixel].max() == 0


def test_what_is_covered_shows_no_line() -> None:
    one = sketch(128)
    one.part(circle(0, 0, 0.3), PLAIN)
    one.part(circle(0, 0, 0.6), PLAIN)
    alone = sketch(128)
    alone.part(circle(0, 0, 0.6), PLAIN)
    np.testing.assert_array_equal(one.ink, alone.ink)


def test_a_pattern_changes_colour_and_draws_its_edges() -> None:
    one = sketch(128)
    one.part(circle(0, 0, 0.6), PLAIN._replace(pattern=stripes(0.2, 0.5, 0.0, 0.02)))
    inside = np.hypot(one.canvas.x, one.canvas.y) < 0.5
    reddish = one.canvas.pixels[0] > one.canvas.pixels[2]
    assert 0.4 < reddish[inside].mean() < 0.6
    assert 0.1 < (one.ink[inside] > 0.5).mean() < 0.5


def test_light_comes_from_the_upper_left() -> None:
    for turned in (False, True):
        one = sketch(64)
        one.part(circle(0, 0, 0.6), PLAIN._replace(relief=0.6, turned=turned))
        left, right = one.canvas.pixels[0, 26:38, 16:28].mean(), one.canvas.pixels[0, 26:38, 36:48].mean()
        assert left > right + 0.05


def test_a_held_outline_is_the_same_outline() -> None:
    one, other = sketch(), sketch()
    shape = spline([(0.5, 0.0), (0.0, 0.6), (-0.5, 0.1), (0.1, -0.4)])
    one.part(shape, PLAIN, (-0.7, -0.6, 0.7, 0.8))
    other.part(other.held(shape), PLAIN, (-0.7, -0.6, 0.7, 0.8))
    np.testing.assert_array_equal(one.ink, other.ink)
    np.testing.assert_array_equal(one.canvas.pixels, other.canvas.pixels)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**40), st.sampled_from([16, 33, 64]), st.sampled_from(sorted(KINDS)))
def test_every_object_is_a_picture_with_lines_on_it(number: int, side: int, kind: str) -> None:
    picture, edges = draw(3, number, side, (kind,))
    assert picture.shape == (3, side, side) and edges.shape == (1, side, side)
    painted = (
        np.abs(picture.astype(int) - picture[:, :1, :1]).max(0) > 3
    )  # some handles are nearly as white as the paper
    lines = edges[0] < 128
    assert 0.1 < painted.mean() < 0.8 and 0.01 < lines.mean() < 0.5
    near = lines.copy()  # lines lie on the object or at its outline, two pixels at most beside it
    near[painted] = False
    grown = painted.copy()
    for shift in ((0, 2), (0, -2), (2, 0), (-2, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        grown |= np.roll(painted, shift, (0, 1))
    assert (near & ~grown).sum() <= 0.05 * lines.sum() + 2
    fine = draw(3, number, 64, (kind,)).edges[0] < 128  # at 16 px a line may be half in the outermost pixel
    assert not fine[0].any() and not fine[:, 0].any()  # nothing is cut off at the top or the left


def test_an_object_is_a_function_of_seed_and_number_alone() -> None:
    first, again = draw(0, 7, 32), draw(0, 7, 32)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.edges, again.edges)
    assert len({draw(seed, number, 32).picture.tobytes() for seed in (0, 1) for number in range(20)}) == 40


def test_the_same_lines_come_in_other_colours() -> None:
    """Colour is not in the edges: that is what a translator has to make up."""
    hues = set()
    for number in range(60):
        picture = draw(0, number, 32, ("boot",)).picture.astype(int)
        middle = picture[:, 12:24, 10:16].mean((1, 2))
        hues.add(int(middle.argmax()))
    assert hues == {0, 1, 2}


def test_training_and_held_out_objects_differ() -> None:
    data = made("edges", size=3, held_out=3, resolution=32)
    sets = (data.train_set(), data.held_out_set())
    train, held_out = (items.__getitems__([(i, 0, 32) for i in range(3)]) for items in sets)
    assert train["real"].shape == (3, 3, 32, 32) and train["condition"].shape == (3, 1, 32, 32)
    assert not any(torch.equal(a, b) for a in held_out["real"] for b in train["real"])
    shoes = made("edges", size=3, held_out=3, resolution=32, kinds=["boot", "pump"], input_channels=3)
    assert shoes.train_set().__getitems__([(0, 0, 16)])["condition"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kinds": ["spoon"]}, "must name some of sneaker"),
        ({"width": 128}, "data.width must be null"),
        ({"instances": True}, "data.instances false"),
        ({"resolution": 8}, "from 16 px on"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        made("edges", **changes)
