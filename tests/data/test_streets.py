"""Streets: pure functions of their number, labels read back from pictures at any size, instances that agree with labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.functional import gaussian_blur

from gan_zoo.data.street_palette import CLASSES, GREY, SECTORS, hsv, read_labels
from gan_zoo.data.street_scene import draw_scene
from gan_zoo.data.streets import Drawn, draw
from gan_zoo.schema import ConfigError
from tests.data.configured import made


@pytest.fixture(scope="module")
def scenes() -> Drawn:
    """60 scenes of a city that no one else uses, 64 x 64."""
    return draw(77, list(range(60)), 64, 64)


def share_read(drawn: Drawn, pictures: torch.Tensor) -> float:
    return float((read_labels(pictures) == drawn.labels).float().mean())


@pytest.mark.parametrize(
    ("height", "width", "count"), [(32, 32, 12), (64, 64, 60), (128, 256, 6), (512, 1024, 1)]
)
def test_labels_are_read_back_from_real_pictures_at_any_size(height: int, width: int, count: int) -> None:
    drawn = draw(77, list(range(count)), height, width)
    assert drawn.pictures.shape == (count, 3, height, width) and drawn.labels.shape == (count, height, width)
    assert share_read(drawn, drawn.pictures) >= 0.9999
    scaled = drawn.pictures.float() / 127.5 - 1  # as a generator makes them
    assert torch.equal(read_labels(scaled), read_labels(drawn.pictures))


@pytest.mark.parametrize(("sigma", "least"), [(0.4, 0.995), (0.5, 0.98), (0.7, 0.94)])
def test_a_small_blur_is_read_too(scenes: Drawn, sigma: float, least: float) -> None:
    """Measured on these scenes: 0.998, 0.986 and 0.953."""
    blurred = gaussian_blur(scenes.pictures.float(), 7, [sigma, sigma]).round().byte()
    assert least <= share_read(scenes, blurred) < 1


def test_a_little_noise_is_read_too(scenes: Drawn) -> None:
    """Deviation of 4 grey levels; measured 0.988."""
    noise = 4 * torch.randn(scenes.pictures.shape, generator=torch.Generator().manual_seed(0))
    noisy = (scenes.pictures + noise).round().clamp(0, 255).byte()
    assert 0.975 <= share_read(scenes, noisy) < 1


def test_another_picture_is_not_read_as_this_one(scenes: Drawn) -> None:
    """Scenes have a layout in common; of the next scene's labels well under three quarters are right."""
    assert 0.3 < share_read(scenes, scenes.pictures.roll(1, 0)) < 0.72


def test_grey_is_road_and_each_hue_has_its_class() -> None:
    def read(hue: float, saturation: float, value: float) -> str:
        colour = torch.from_numpy(np.rint(hsv(hue, saturation, value) * 255).astype(np.uint8))
        return CLASSES[int(read_labels(colour.view(1, 3, 1, 1)))]

    assert read(210, 0.02, 0.5) == "road"
    named = [(15, 0.5, "building"), (0, 0.9, "car"), (55, 0.7, "pole"), (110, 0.6, "tree"), (175, 0.6, "car"),
             (215, 0.5, "sky"), (265, 0.3, "sidewalk"), (310, 0.6, "person"), (348, 0.4, "building")]  # fmt: skip
    assert [read(hue, saturation, 0.7) for hue, saturation, _ in named] == [name for *_, name in named]


@given(st.floats(0, 359.9), st.floats(0.3, 0.7), st.floats(0.2, 1.0))
def test_the_class_of_a_colour_is_that_of_its_sector(hue: float, saturation: float, value: float) -> None:
    """Two degrees from the ends, which rounding to bytes and pairs of levels may move at low chroma."""
    starts = [start for _, start in SECTORS]
    chroma = saturation * value * 255
    margin = 120 / chroma + 1
    clear_of_grey = chroma > GREY[0] * value * 255 + GREY[1] + 4
    if not clear_of_grey or min(abs((hue - start + 180) % 360 - 180) for start in starts) < margin:
        return
    owner = next(
        (label for (label, low), (_, high) in pairwise(SECTORS) if low <= hue < high), SECTORS[-1][0]
    )
    colour = torch.from_numpy(np.rint(hsv(hue, saturation, value) * 255).astype(np.uint8))
    assert int(read_labels(colour.view(1, 3, 1, 1))) == owner


def test_instances_belong_to_one_class_and_are_numbered_from_one(scenes: Drawn) -> None:
    things = scenes.instances >= 1000
    assert torch.equal(torch.where(things, scenes.instances // 1000, scenes.instances), scenes.labels.int())
    countable = {CLASSES.index(name) for name in ("building", "tree", "car", "person", "pole")}
    assert set(scenes.labels[things].unique().tolist()) == countable
    stuff = {
        CLASSES.index(name) for name in ("sky", "road", "sidewalk", "tree")
    }  # lawns are trees without number
    assert set(scenes.labels[~things].unique().tolist()) == stuff


def test_every_class_is_seen_and_scenes_vary(scenes: Drawn) -> None:
    shares = torch.bincount(scenes.labels.flatten().long(), minlength=8) / scenes.labels.numel()
    assert shares.min() > 0.003 and shares.max() < 0.4
    assert len({picture.numpy().tobytes() for picture in scenes.pictures}) == 60
    brightness = scenes.pictures.float().mean((1, 2, 3))
    assert brightness.min() < 80 and brightness.max() > 125  # evenings and days


def test_a_scene_is_a_function_of_seed_and_number_alone(scenes: Drawn) -> None:
    again = draw(77, [41, 3], 64, 64)
    for one, other in zip(again, scenes, strict=True):
        assert torch.equal(one, other[[41, 3]])
    assert draw_scene(0, 5) == draw_scene(0, 5) != draw_scene(1, 5)
    assert draw_scene(0, 10**9) != draw_scene(0, 10**9 + 1)


def test_a_picture_shows_what_its_smaller_one_shows() -> None:
    """Of 128 and 64 px, most of the pixels have one class."""
    large, small = draw(77, [1, 2, 4], 128, 128), draw(77, [1, 2, 4], 64, 64)
    assert float((large.labels[:, ::2, ::2] == small.labels).float().mean()) > 0.95


def test_training_and_held_out_scenes_differ_and_keep_their_place() -> None:
    data = made("streets", size=3, held_out=3, resolution=16)
    train, held_out = (
        items.__getitems__([(i, 0, 16) for i in range(3)])
        for items in (data.train_set(), data.held_out_set())
    )
    assert train["condition"].shape == (3, 16, 16) and train["instances"].dtype == torch.int32
    assert not any(torch.equal(a, b) for a in held_out["real"] for b in train["real"])
    more = made("streets", size=50, held_out=3, resolution=16).held_out_set().__getitems__([(2, 0, 16)])
    assert torch.equal(more["real"][0], held_out["real"][2])
    without = made("streets", size=3, held_out=3, resolution=16, instances=False)
    assert "instances" not in without.train_set().__getitems__([(0, 0, 16)])


def test_other_resolutions_are_drawn_and_not_shrunk() -> None:
    data = made("streets", size=2, held_out=1, resolution=64, width=128, flip=False)
    batch = data.train_set().__getitems__([(0, 0, 32)])
    assert batch["real"].shape == (1, 3, 32, 64)
    assert torch.equal(batch["real"], draw(0, [0], 32, 64).pictures)
    with pytest.raises(ConfigError, match="from 16 px on"):
        data.train_set().__getitems__([(0, 0, 8)])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**40), st.sampled_from([(16, 16), (17, 40), (48, 16)]))
def test_any_scene_can_be_drawn_and_read_at_any_size(number: int, size: tuple[int, int]) -> None:
    drawn = draw(5, [number], *size)
    assert drawn.pictures.shape == (1, 3, *size)
    assert share_read(drawn, drawn.pictures) >= 0.999
