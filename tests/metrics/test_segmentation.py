"""Labels read back: FCN's three numbers by hand, streets read exactly, a network of the user's, and the table of measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score
from torch import Tensor
from torchvision.models import segmentation as networks

from gan_zoo.data.streets import draw
from gan_zoo.evaluation.subjects import chosen_segmenter
from gan_zoo.metrics.features import WeightsError, raw_pixels
from gan_zoo.metrics.measures import take
from gan_zoo.metrics.segmentation import (
    CITYSCAPES_IDS,
    CITYSCAPES_NAMES,
    IGNORED,
    by_class,
    confusions,
    network_segmenter,
    segmentation_scores,
    streets_segmenter,
    train_ids,
)
from gan_zoo.metrics.structural import l1
from gan_zoo.metrics.subject import Reals, Subject, Truth, truth_of
from gan_zoo.metrics.table import MEASURES, OF_PAIRS, chosen
from gan_zoo.schema import ConfigError
from tests.data.configured import made


def maps(*rows: list[int]) -> Tensor:
    return torch.tensor([list(row) for row in rows])[None]


def test_the_three_numbers_by_hand() -> None:
    """Truth 0 0 0 0 | 1 1 | 2 2, read 0 0 0 1 | 1 1 | 0 2: 6 of 8; (3/4 + 1 + 1/2) / 3; (3/5 + 2/3 + 1/2) / 3."""
    found = confusions(maps([0, 0, 0, 0], [1, 1, 2, 2]), maps([0, 0, 0, 1], [1, 1, 0, 2]), 3)
    assert found.tolist() == [[[3, 1, 0], [0, 2, 0], [1, 0, 1]]]
    assert segmentation_scores(found[0]) == pytest.approx((0.75, 0.75, (3 / 5 + 2 / 3 + 1 / 2) / 3))


def test_a_class_that_neither_occurs_nor_is_read_is_not_counted() -> None:
    found = confusions(maps([0, 0, 0, 2]), maps([0, 0, 1, 2]), 5)[0]
    accuracy, iou = by_class(found)
    assert accuracy.isnan().tolist() == [False, True, False, True, True]
    assert iou.isnan().tolist() == [False, False, False, True, True]  # 1 is read, so it counts, with IoU 0
    assert segmentation_scores(found) == pytest.approx((0.75, (2 / 3 + 1) / 2, (2 / 3 + 0 + 1) / 3))


def test_ignored_pixels_of_the_truth_are_left_out() -> None:
    found = confusions(maps([0, IGNORED, 1, IGNORED]), maps([0, 1, 0, 0]), 2)
    assert found.tolist() == [[[1, 0], [1, 0]]]


@given(st.integers(0, 2**32), st.integers(2, 6))
def test_it_agrees_with_scikit_learn(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    truth, read = (random.integers(0, classes, (3, 5, 4)) for _ in range(2))
    found = confusions(torch.from_numpy(truth), torch.from_numpy(read), classes)
    for item in range(3):
        wanted = confusion_matrix(truth[item].ravel(), read[item].ravel(), labels=range(classes))
        assert found[item].tolist() == wanted.tolist()
    seen = sorted(set(truth.ravel()) | set(read.ravel()))
    iou = jaccard_score(truth.ravel(), read.ravel(), labels=seen, average="macro")
    assert segmentation_scores(found.sum(0)).mean_iou == pytest.approx(iou, abs=1e-12)


@pytest.mark.parametrize(("truth", "read"), [([3], [0]), ([0], [3]), ([0], [-1])])
def test_ids_beyond_the_classes_are_refused(truth: list[int], read: list[int]) -> None:
    with pytest.raises(
        ValueError, match=r"ids must lie in 0 ... 2, or be 255 in the truth; got (-1 ... 0|0 ... [34])"
    ):
        confusions(maps(truth), maps(read), 3)
    with pytest.raises(ValueError, match="one shape"):
        confusions(maps([0, 1]), maps([0]), 3)


def test_l1_is_that_of_pixels_between_minus_one_and_one() -> None:
    real = torch.zeros(2, 3, 4, 4)
    fake = torch.stack([torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), -0.1)])
    assert l1(real, fake) == pytest.approx(0.3)


# ---------------------------------------------------------------- streets


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Sixteen streets, and fakes that are right but for four of them, which are other streets."""
    drawn = draw(9, list(range(16)), 32, 32)
    real = drawn.pictures.float() / 127.5 - 1
    fake = real.clone()
    fake[:4] = real[4:8]
    reals = Reals(real, None)
    truth = Truth(segmenter=streets_segmenter())
    return Subject(
        reals, reals, fake, raw_pixels(), "pair", "streets", truth, paired=True, conditions=drawn.labels
    )


def test_labels_of_streets_are_read_beside_those_of_the_true_pictures(subject: Subject) -> None:
    taken = take(MEASURES["segmentation"], subject)
    right = [
        float((subject.conditions[i + 4] == subject.conditions[i]).double().mean())  # type: ignore[index]
        for i in range(4)
    ]
    figure = taken["pixel_accuracy"].figure
    assert figure.value == pytest.approx((12 + sum(right)) / 16, abs=1e-6)
    assert figure.floor == pytest.approx(1.0) and figure.protocol.split == "held_out"
    assert figure.interval is not None and figure.interval.low < figure.value < figure.interval.high <= 1
    assert taken["mean_iou"].figure.value < taken["class_accuracy"].figure.value < 1
    assert taken["mean_iou"].figure.floor == pytest.approx(1.0)
    rows = MEASURES["segmentation"].details(subject)["classes"]  # type: ignore[misc]
    assert [row[0] for row in rows][:3] == ["sky", "building", "tree"]
    assert sum(row[1] for row in rows) == pytest.approx(1) and all(row[4] == 1 for row in rows)


def test_of_pairs_the_usual_measures_are_those_of_pairs(subject: Subject) -> None:
    assert set(chosen(subject, None)) <= set(OF_PAIRS)
    assert {"segmentation", "pairs", "frechet"} <= set(chosen(subject, None, cheap=True))
    assert set(chosen(subject, ["ms_ssim"])) == {"ms_ssim"}  # others when they are named


def test_pairs_are_measured_with_l1(subject: Subject) -> None:
    value = take(MEASURES["pairs"], subject, intervals=False)["l1"].figure.value
    away = (subject.fake - subject.held_out.samples).abs().mean()
    assert value == pytest.approx(float(away), rel=1e-5)


def test_maps_without_a_reader_and_pictures_have_no_labels_to_read(subject: Subject) -> None:
    assert truth_of(made("streets", size=2, held_out=1, resolution=16)).segmenter is not None
    assert truth_of(made("edges", size=2, held_out=1, resolution=16)).segmenter is None
    blind = Subject(subject.train, subject.held_out, subject.fake, raw_pixels(), "pair", paired=True)
    with pytest.raises(ConfigError, match="segmentation does not fit"):
        chosen(blind, ["segmentation"])


# ---------------------------------------------------------------- a network of the user's


def weights(path: Path, classes: int, always: int | None = None) -> Path:
    """Of LR-ASPP, the smallest of torchvision's; `always`: the class that it reads everywhere."""
    torch.manual_seed(0)
    network = networks.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    if always is not None:
        network.classifier.low_classifier.bias.data[always] = 1e4
    torch.save(network.state_dict(), path)
    return path


def reader(path: Path, classes: int, **options: Any) -> Any:
    return network_segmenter(path, "lraspp_mobilenet_v3_large", classes, **options)


def test_a_network_reads_what_it_reads_at_any_height(tmp_path: Path) -> None:
    found = reader(weights(tmp_path / "net.pth", 5, always=3), 5, height=64)
    read = found.read(torch.rand(2, 3, 32, 48) * 2 - 1)
    assert read.shape == (2, 32, 48) and read.unique().tolist() == [3]
    assert found.classes == 5 and found.resize == "bilinear to 64" and len(found.sha256) == 64


def test_a_network_of_nineteen_classes_reads_cityscapes(tmp_path: Path) -> None:
    path = weights(tmp_path / "net.pth", 19, always=13)
    found = reader(path, 35, cityscapes=True)
    ids = torch.tensor([[[7, 26, 3, 33]]])
    assert found.truth(ids).tolist() == [[[0, 13, IGNORED, 18]]] and found.names[13] == "car"
    counts = confusions(found.truth(ids), found.read(torch.zeros(1, 3, 1, 4)), 19)
    assert segmentation_scores(counts[0]).pixel_accuracy == pytest.approx(1 / 3)
    with pytest.raises(WeightsError, match="knows 19 classes, the data have 35"):
        reader(path, 35)


def test_cityscapes_training_ids_are_those_of_its_scripts() -> None:
    """From its labels.py: road 7 -> 0, ..., bicycle 33 -> 18."""
    assert len(CITYSCAPES_IDS) == len(CITYSCAPES_NAMES) == 19
    named = dict(zip(CITYSCAPES_NAMES, CITYSCAPES_IDS, strict=True))
    assert (named["road"], named["sky"], named["person"], named["bicycle"]) == (7, 23, 24, 33)
    assert train_ids(torch.arange(35)).ne(IGNORED).sum() == 19


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def list_of_numbers(path: Path) -> None:
    torch.save([1, 2], path)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (None, "there is no such file"),
        (empty, "no weights can be read"),
        (other, "none of torchvision's segmentation networks"),
        (list_of_numbers, "wanted a state_dict"),
    ],
)
def test_weights_that_do_not_fit_are_refused(make: Any, part: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    if make:
        make(path)
    with pytest.raises(WeightsError, match=part):
        reader(path, 5)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = weights(tmp_path / "net.pth", 5)
    with pytest.raises(WeightsError, match="does not fit fcn_resnet50"):
        network_segmenter(path, "fcn_resnet50", 5)
    with pytest.raises(ConfigError, match="no label maps"):
        data = made("edges", size=2, held_out=1, resolution=16)
        chosen_segmenter(data, str(path), "lraspp_mobilenet_v3_large", None, "cpu")
