"""Drawn flowers: what is drawn can be read back, what is said is true, and unseen kinds stay unseen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan_zoo.data.flower_attributes import (
    CHOICES,
    CLASSES,
    PETAL_COLOURS,
    PETAL_SHAPES,
    SEEN_CLASSES,
    UNSEEN_CLASSES,
    Flower,
    sample,
)
from gan_zoo.data.flower_grammar import asked, describe, vocabulary
from gan_zoo.data.flower_reader import ATTRIBUTES, UNREAD, lab
from gan_zoo.data.flowers import Flowers, draw, read_attributes
from gan_zoo.schema import ConfigError
from tests.data.configured import made


def flowers(**settings: Any) -> Flowers:
    found: Flowers = made("flowers", **{"size": 24, "held_out": 8, "unseen": 8} | settings)
    return found


@cache
def garden(n: int = 256) -> tuple[list[Flower], Tensor]:
    """Flowers of all kinds, of a garden that nothing was tuned on, at 64 px."""
    grown = [sample(77, number, tuple(range(CLASSES))) for number in range(n)]
    return grown, draw(grown, 64)


def accuracy(pictures: Tensor, grown: list[Flower]) -> dict[str, float]:
    read = read_attributes(pictures)
    return {
        name: float((read[name] == torch.tensor([getattr(one, name) for one in grown])).float().mean())
        for name in ATTRIBUTES
    }


def blurred(pictures: Tensor) -> Tensor:
    """Half the resolution and back: what a GAN's pictures lack of detail."""
    small = interpolate(pictures.float(), (32, 32), mode="bilinear", antialias=True)
    return interpolate(small, (64, 64), mode="bilinear").round().to(torch.uint8)


# ---------------------------------------------------------------- reading back


def test_colours_of_real_flowers_are_read_back_to_97_of_100_and_petals_counted_to_95():
    grown, pictures = garden()
    found = accuracy(pictures, grown)
    assert found["petal_colour"] >= 0.97
    assert found["centre_colour"] >= 0.97
    assert found["petal_number"] >= 0.95


def test_blur_and_noise_cost_the_reader_little():
    grown, pictures = garden()
    noise = 10 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    found = accuracy((blurred(pictures).float() + noise).round().clamp(0, 255).to(torch.uint8), grown)
    assert found["petal_colour"] >= 0.96
    assert found["centre_colour"] >= 0.96
    assert found["petal_number"] >= 0.93


def test_floats_in_minus_one_to_one_and_bytes_read_the_same():
    _, pictures = garden()
    as_bytes, as_floats = read_attributes(pictures[:32]), read_attributes(pictures[:32].float() / 127.5 - 1)
    assert all(torch.equal(as_bytes[name], as_floats[name]) for name in ATTRIBUTES)


def test_larger_pictures_of_the_same_flowers_read_the_same_colours():
    grown, _ = garden()
    large = accuracy(draw(grown[:48], 128), grown[:48])
    assert large["petal_colour"] >= 0.95
    assert large["centre_colour"] >= 0.95


def test_a_changed_petal_colour_is_seen_as_that_colour():
    flower = replace(garden()[0][0], edge_colour=0, petal_shape=0)
    read = read_attributes(
        draw([replace(flower, petal_colour=colour) for colour in range(len(PETAL_COLOURS))], 64)
    )
    assert read["petal_colour"].tolist() == list(range(len(PETAL_COLOURS)))


def test_a_picture_without_a_blossom_is_unread():
    grey = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    assert all((values == UNREAD).all() for values in read_attributes(grey).values())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 32), (1, 3, 8, 8)])
def test_what_is_no_colour_picture_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ConfigError, match="read from"):
        read_attributes(torch.zeros(shape))


def test_lab_of_known_colours():  # CIE 1976 with D65, as any colour calculator gives it
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]])
    expected = torch.tensor([[100.0, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]])
    torch.testing.assert_close(lab(colours), expected, atol=0.05, rtol=0)


# ---------------------------------------------------------------- what is drawn


def test_a_picture_is_a_function_of_its_flower_and_size_alone():
    grown, pictures = garden()
    assert torch.equal(draw([grown[5]], 64)[0], pictures[5])


def test_small_pictures_are_the_mean_of_large_ones():
    grown, pictures = garden()
    small = draw(grown[:4], 16).float()
    torch.testing.assert_close(
        small, torch.nn.functional.avg_pool2d(pictures[:4].float(), 4), atol=0.51, rtol=0
    )


def test_a_centre_or_an_edge_never_has_the_colour_of_the_petals():
    names = {name: CHOICES[name] for name in ("petal_colour", "centre_colour", "edge_colour")}
    for number in range(2000):
        flower = sample(3, number)
        petal, centre, edge = (names[name][getattr(flower, name)] for name in names)
        assert petal not in (centre, edge)


def test_every_choice_of_every_attribute_is_grown():
    grown = [sample(0, number) for number in range(2000)]
    for name, choices in CHOICES.items():
        assert {getattr(flower, name) for flower in grown} == set(range(len(choices)))


# ---------------------------------------------------------------- unseen kinds


def test_unseen_pairs_leave_every_colour_and_every_shape_to_be_learnt_elsewhere():
    assert len(UNSEEN_CLASSES) == 8
    assert sorted((*SEEN_CLASSES, *UNSEEN_CLASSES)) == list(range(len(PETAL_COLOURS) * len(PETAL_SHAPES)))
    seen = [divmod(number, len(PETAL_SHAPES)) for number in SEEN_CLASSES]
    assert {colour for colour, _ in seen} == set(range(len(PETAL_COLOURS)))
    assert {shape for _, shape in seen} == set(range(len(PETAL_SHAPES)))
    unseen_shapes = {number % len(PETAL_SHAPES) for number in UNSEEN_CLASSES}
    assert unseen_shapes == set(range(len(PETAL_SHAPES)))


def test_no_flower_to_train_on_or_held_out_is_of_an_unseen_kind():
    data = flowers(size=600, held_out=200, unseen=50)
    kinds = [flower.species for flower in data.flowers]
    assert not set(kinds[:800]) & set(UNSEEN_CLASSES)
    assert set(kinds[800:]) <= set(UNSEEN_CLASSES)
    batch = data.unseen_set().__getitems__([(i, 0, 64) for i in range(50)])
    assert set(batch["class"].tolist()) <= set(UNSEEN_CLASSES)


def test_training_and_held_out_flowers_differ():
    data = flowers()
    assert len({*data.flowers}) == 40


def test_the_garden_does_not_depend_on_the_seed_but_the_choice_of_captions_does():
    keys = [(i, 0, 64) for i in range(24)]
    one, other = (flowers(seed=seed).train_set().__getitems__(keys) for seed in (0, 1))
    assert torch.equal(one["real"], other["real"])
    assert not torch.equal(one["tokens"], other["tokens"])


# ---------------------------------------------------------------- captions


def test_every_caption_says_the_truth_and_the_petal_colour():
    for number in range(500):
        flower = sample(9, number, tuple(range(CLASSES)))
        for which in range(5):
            found = asked(describe(flower, which))
            assert "petal_colour" in found
            assert all(getattr(flower, name) == value for name, value in found.items()), describe(
                flower, which
            )


def test_captions_vary_and_say_each_attribute_often():
    captions = [describe(sample(9, number), which) for number in range(300) for which in range(5)]
    said = [asked(caption) for caption in captions]
    share = {name: sum(name in one for one in said) / len(said) for name in CHOICES}
    assert len(set(captions)) > 0.97 * len(captions)
    assert share["petal_colour"] == 1
    for name in ("petal_shape", "petal_number", "centre_colour"):
        assert 0.4 < share[name] < 0.9, name


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("a flower with six yellow petals and an orange centre",
         {"petal_number": "6", "petal_colour": "yellow", "centre_colour": "orange"}),
        ("the petals are round and pink with white edges, the eye is brown",
         {"petal_shape": "round", "petal_colour": "pink", "edge_colour": "white", "centre_colour": "brown"}),
        ("A BLUE BLOSSOM whose petals are thin and whose disc is yellow",
         {"petal_colour": "blue", "petal_shape": "narrow", "centre_colour": "yellow"}),
        ("a white flower with two green leaves against a blue sky", {"petal_colour": "white"}),
        ("a flower", {}),
    ],
)  # fmt: skip
def test_what_free_text_asks_for(caption: str, wanted: dict[str, str]):
    assert {name: CHOICES[name][value] for name, value in asked(caption).items()} == wanted


def test_the_vocabulary_holds_every_word_and_no_caption_is_cut():
    data = flowers()
    assert len(vocabulary()) == len(set(vocabulary()))
    captions = [describe(sample(1, number), which) for number in range(1500) for which in range(4)]
    tokens = data.encode(captions)
    assert data.vocabulary.symbols[:2] == ["<pad>", "<unknown>"]
    assert (tokens != 1).all()
    assert (tokens[:, -1] == 0).all()  # room is left, so nothing was cut


def test_a_caption_as_people_type_it_survives_coding():
    data = flowers()
    assert data.decode(data.encode(["A flower, with SIX yellow petals!"])) == [
        "a flower with six yellow petals"
    ]


# ---------------------------------------------------------------- the store


def test_pictures_on_disk_are_those_in_memory_and_are_drawn_once(tmp_path: Path):
    keys = [(i, 0, 64) for i in range(24)]
    memory = flowers().train_set().__getitems__(keys)["real"]
    assert torch.equal(flowers(cache=str(tmp_path)).train_set().__getitems__(keys)["real"], memory)
    (folder,) = tmp_path.iterdir()
    made = (folder / "64.npy").stat().st_mtime_ns
    assert torch.equal(flowers(cache=str(tmp_path)).train_set().__getitems__(keys)["real"], memory)
    assert (folder / "64.npy").stat().st_mtime_ns == made


def test_only_what_is_asked_for_is_drawn(monkeypatch: pytest.MonkeyPatch):
    data = flowers(size=500)
    drawn: list[int] = []
    whole = data._drawn
    monkeypatch.setattr(data, "_drawn", lambda rows: drawn.extend(rows.tolist()) or whole(rows))
    items = data.train_set()
    for _ in range(2):
        items.__getitems__([(7, 0, 64), (3, 0, 64), (7, 1, 32)][:2])
    assert sorted(drawn) == [3, 7]


def test_any_resolution_below_its_own_is_given():
    items = flowers().train_set()
    fine, coarse = (items.__getitems__([(3, 0, side)])["real"].float() for side in (64, 16))
    torch.testing.assert_close(coarse, torch.nn.functional.avg_pool2d(fine, 4), atol=0.51, rtol=0)


# ---------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "power of two from 8 to 1024"),
        ({"flip": True}, "left and right"),
        ({"modality": "image"}, "data.modality must be captioned"),
        ({"classes": 12}, "40 classes"),
        ({"classes": 0, "sampling": "classes"}, "needs classes"),
        ({"unit": "syllable"}, "word or character"),
        ({"resolution": 1024, "size": 100_000}, "data.cache=FOLDER"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        flowers(**settings).train_set()
