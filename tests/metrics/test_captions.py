"""Whether pictures show what their captions say: known answers of models that do, that do not, and that ignore z."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_zoo.benchmark.measures import measure
from gan_zoo.data.flower_attributes import CHOICES
from gan_zoo.data.flowers import Flowers
from gan_zoo.evaluate import _settings
from gan_zoo.evaluation.drawings import draw_all
from gan_zoo.evaluation.subjects import joint_of
from gan_zoo.evaluation.wording import verdicts
from gan_zoo.gan import GAN
from gan_zoo.metrics.captions import (
    IGNORES_Z,
    NEARLY,
    Joint,
    correct,
    distances_of,
    r_precision,
    variety,
    variety_of_reals,
    verdict,
)
from gan_zoo.metrics.measures import quick, take
from gan_zoo.metrics.subject import Subject, subject_of
from gan_zoo.metrics.table import MEASURES, chosen
from gan_zoo.nn import joint_embedding
from gan_zoo.schema import ConfigError
from tests.data.configured import made


@cache
def flowers() -> Flowers:
    found: Flowers = made("flowers", size=96, held_out=96, unseen=48)
    return found


class Painter:
    """A model whose samples are known: `paint` turns the inputs and a latent a sample into pictures in [-1, 1]."""

    conditioned_on = ("tokens",)
    device, latent, classes = "cpu", None, 0

    def __init__(self, paint: Any) -> None:
        self.paint = paint

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        condition: Any = None,
        latent: Any = None,
        inputs: Any = None,
        chunk: int = 0,
    ) -> Tensor:
        latent = torch.randn(n, 3, 1, 1, generator=torch.Generator().manual_seed(seed))
        return self.paint({name: value[:n] for name, value in inputs.items()}, latent)

    def prepare_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**batch, "real": truth(batch, None)}

    def outcome(self, made: Tensor) -> Tensor:
        return made


def truth(inputs: dict[str, Tensor], latent: Any) -> Tensor:
    return inputs["real"].float() / 127.5 - 1


def subject(paint: Any, n: int = 96, **options: Any) -> Subject:
    model: GAN = Painter(paint)  # type: ignore[assignment]
    return subject_of(model, flowers(), n, reals=96, **options)


def figures(paint: Any, *names: str, **options: Any) -> dict[str, float]:
    one = subject(paint, **options)
    found: dict[str, float] = {}
    for measure_ in chosen(one, list(names)).values():
        found |= quick(measure_, one)
    return found


# ---------------------------------------------------------------- attributes


def test_what_no_caption_asks_for_does_not_count():
    read = {"petal_colour": torch.tensor([0, 1, 2]), "petal_number": torch.tensor([3, 3, 3])}
    wanted = {"petal_colour": torch.tensor([0, 0, -1]), "petal_number": torch.tensor([-1, 3, 2])}
    found = correct(read, wanted)
    assert found[:, 0].tolist()[:2] == [1, 0]
    assert math.isnan(found[2, 0])
    assert math.isnan(found[0, 1])
    assert found.nanmean(0).tolist() == [0.5, 0.5]


def test_a_model_that_draws_the_truth_shows_what_is_asked_for_seen_and_unseen():
    found = figures(truth, "told_attributes", "unseen_attributes")
    assert found["petal_colour"] >= 0.97
    assert found["centre_colour"] >= 0.97
    assert found["petal_number"] >= 0.93
    assert found["unseen_petal_colour"] >= 0.93


def test_training_captions_stay_with_their_pictures_though_both_are_shuffled():
    one = subject(truth)
    assert one.told is not None
    right = one.told.right("train", one.train.samples)
    assert float(right[:, 0].nanmean()) >= 0.95
    first = flowers().train_set().__getitems__([(i, 0, 64) for i in range(len(one.train.samples))])["real"]
    assert not torch.equal(one.train.samples, first.float() / 127.5 - 1)  # folders are sorted


def test_a_model_that_ignores_its_captions_is_right_by_chance_alone():
    """Truths in another order: 8 petal colours, 5 centres of which one is never the petals', 5 numbers."""
    found = figures(lambda inputs, z: truth(inputs, z).roll(7, 0), "told_attributes")
    assert abs(found["petal_colour"] - 1 / 8) < 4 * (1 / 8 * 7 / 8 / 96) ** 0.5
    assert abs(found["centre_colour"] - 1 / 5) < 4 * (1 / 5 * 4 / 5 / 60) ** 0.5
    assert abs(found["petal_number"] - 1 / 5) < 4 * (1 / 5 * 4 / 5 / 40) ** 0.5


def test_a_model_that_draws_nothing_shows_nothing():
    found = figures(lambda inputs, z: torch.zeros(len(z), 3, 64, 64), "told_attributes")
    assert set(found.values()) == {0.0}


def test_the_floor_is_what_the_reader_reads_of_the_true_pictures():
    one = subject(lambda inputs, z: torch.zeros(len(z), 3, 64, 64))
    taken = take(MEASURES["told_attributes"], one)
    real = take(MEASURES["told_attributes"], subject(truth))
    assert taken["petal_colour"].figure.value == 0
    assert taken["petal_colour"].figure.floor == real["petal_colour"].figure.value


def test_unseen_figures_are_of_unseen_pairs():
    """A model that paints all flowers red: right for as many as ask for red, which differs between the sets."""
    red = truth(flowers().held_out_batch(96), None)[flowers().attribute_table()["petal_colour"][96:192] == 0][
        :1
    ]
    found = figures(lambda inputs, z: red.expand(len(z), -1, -1, -1), "told_attributes", "unseen_attributes")
    table = flowers().attribute_table()["petal_colour"]
    assert found["petal_colour"] == pytest.approx(float((table[96:192] == 0).float().mean()))
    assert found["unseen_petal_colour"] == pytest.approx(float((table[192:] == 0).float().mean()))


# ---------------------------------------------------------------- variety


def test_variety_of_known_groups():
    """Points 0 and 2 under one caption, 10 and 12 under the other: within 2, between (10 + 12 + 8 + 10) / 4 = 10."""
    groups = torch.tensor([[[0.0], [2]], [[10], [12]]])
    torch.testing.assert_close(distances_of(groups), torch.tensor([[2.0, 10], [2, 10]], dtype=torch.float64))
    assert variety(distances_of(groups)) == pytest.approx(0.2)


def test_a_generator_that_ignores_z_is_named():
    one = subject(truth)
    assert quick(MEASURES["caption_variety"], one)["caption_variety"] < IGNORES_Z
    details = MEASURES["caption_variety"].details
    assert details is not None
    assert details(one)["verdict"].startswith("ignores z")


def test_a_generator_that_hardly_hears_z_is_named_beside_what_real_flowers_vary():
    """z adds a tenth of what flowers differ by: far above the border of none, and far below the variety of a class."""
    one = subject(lambda inputs, z: (truth(inputs, z) + 0.06 * z).clamp(-1, 1))
    ratio = quick(MEASURES["caption_variety"], one)["caption_variety"]
    usual = variety_of_reals(one)["caption_variety"]
    assert 2 * IGNORES_Z < ratio < NEARLY * usual
    (title, said), *_ = verdicts(
        {"measures": {"v": {"title": "Variety", "details": MEASURES["caption_variety"].details(one)}}}  # type: ignore[misc]
    )
    assert title == "Variety" and said.startswith(
        f"nearly ignores z: pictures of a caption have {ratio / usual:.0%}"
    )
    assert not verdict(NEARLY * usual + 0.01, usual).startswith("nearly")


def test_a_generator_that_uses_z_is_not():
    one = subject(lambda inputs, z: (truth(inputs, z) + 0.5 * z).clamp(-1, 1))
    ratio = quick(MEASURES["caption_variety"], one)["caption_variety"]
    assert 0.3 < ratio < 0.95
    assert "vary" in verdict(ratio)


def test_a_generator_that_ignores_the_caption_has_a_variety_of_one():
    ratio = figures(lambda inputs, z: z.tanh().expand(-1, -1, 64, 64), "caption_variety")["caption_variety"]
    assert ratio == pytest.approx(1, abs=0.1)


# ---------------------------------------------------------------- R-precision


def test_r_precision_of_an_encoder_that_knows_is_1_and_of_noise_one_in_candidates():
    own = torch.randn(400, 16, generator=torch.Generator().manual_seed(0))
    other = torch.randn(400, 16, generator=torch.Generator().manual_seed(1))
    assert r_precision(own, 3 * own, range(400)).mean() == 1
    by_chance = float(r_precision(own, other, range(400), candidates=10).mean())
    assert abs(by_chance - 0.1) < 4 * (0.09 / 400) ** 0.5


def test_equal_captions_do_not_count_as_others():
    """Two pictures of one caption, whose embeddings are equal: as candidates they would tie, and a tie is wrong."""
    vectors = torch.eye(3)[[0, 0, 1]]
    assert r_precision(vectors, vectors, [5, 5, 6]).tolist() == [1, 1, 1]
    assert r_precision(vectors, vectors, [5, 7, 6]).tolist() == [0, 0, 1]


def test_r_precision_of_unequal_sets_is_refused():
    with pytest.raises(ConfigError, match="a caption for each picture"):
        r_precision(torch.ones(3, 2), torch.ones(3, 4), range(3))


def test_r_precision_is_taken_where_a_joint_encoder_is_given():
    """An encoder that sees petal colour and reads it: others of the same colour tie, so that few are found."""

    def embed(pictures: Tensor, captions: Any) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        words = torch.randn(512, 24)
        said = torch.stack([words[flowers().encode([text])[0].long()].sum(0) for text in captions])
        return said if len(said) == len(pictures) else said[:0], said

    one = subject(truth, joint=Joint("by hand", "5ca1e", embed))
    assert quick(MEASURES["r_precision"], one)["r_precision"] == 1
    assert _settings(one, 96)["joint_encoder"] == ["by hand", "5ca1e"]  # and not where its file lies
    assert "joint_encoder" not in _settings(subject(truth), 96)
    assert "r_precision" not in chosen(subject(truth), None)


def test_a_file_of_train_text_encoder_is_a_joint_encoder(tmp_path: Path):
    """Two networks that learnt nothing find a caption by chance; pictures of another size are refused."""
    about = {
        "name": "words", "data": "flowers", "size": 8, "encoder": {"name": "words"}, "caption_length": 40,
        "picture": {"channels": 3, "resolution": 64, "width": 4}, "vocabulary": flowers().vocabulary.symbols,
    }  # fmt: skip
    torch.manual_seed(0)
    networks = joint_embedding.networks(about)
    digest = joint_embedding.write(tmp_path / "e.safetensors", about, *networks)
    joint = joint_of(str(tmp_path / "e.safetensors"), flowers(), "cpu")
    assert joint.sha256 == digest
    one = subject(truth, joint=joint)
    assert quick(MEASURES["r_precision"], one)["r_precision"] < 0.1
    assert one.provenance("matches")[:2] == ("words of flowers", digest)
    about["picture"] = {"channels": 3, "resolution": 32, "width": 4}
    joint_embedding.write(tmp_path / "small.safetensors", about, *joint_embedding.networks(about))
    with pytest.raises(ConfigError, match=r"32 px and 3 channels.*train_text_encoder"):
        joint_of(str(tmp_path / "small.safetensors"), flowers(), "cpu")


# ---------------------------------------------------------------- where it is used


def test_measures_of_captions_fit_captioned_data_alone():
    fitting = chosen(subject(truth), None)
    assert {"told_attributes", "unseen_attributes", "caption_variety", "frechet"} <= set(fitting)
    assert "pairs" not in fitting  # a caption has more than one true picture


def test_a_benchmark_scores_by_them():
    model: GAN = Painter(truth)  # type: ignore[assignment]
    model.to = lambda device: model  # type: ignore[assignment, method-assign]
    found = measure(model, flowers(), 0, {"metrics": ["told_attributes", "caption_variety"], "n": 64})
    assert set(found.figures) == {"petal_colour", "centre_colour", "petal_number", "caption_variety"}
    assert found.samples.shape == (64, 64, 64, 3)


def test_the_evaluation_draws_captions_beside_pictures(tmp_path: Path):
    drawn = {item["file"] for item in draw_all(subject(truth, n=32), tmp_path)}
    assert {"captions.png", "unseen_captions.png"} <= drawn
    assert np.prod((tmp_path / "captions.png").stat().st_size) > 10_000


def test_attributes_are_those_of_the_data():
    assert {"petal_colour", "centre_colour", "petal_number"} <= set(CHOICES)
