from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_zoo.metrics.inception_score import am_score, inception_score, mode_score, modified_inception_score
from tests.metrics.arrays import fixed


def rows(seed: int, n: int = 12, k: int = 4, sharp: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(n, k, generator=generator, dtype=torch.float64)).softmax(1)


def test_it_equals_torch_fidelitys_figures():
    # torch-fidelity 0.4.0: isc_features_to_metric(6 * fixed(40, 5), splits, shuffle=False)
    p = (6 * fixed(40, 5)).softmax(1)
    assert inception_score(p, 4, seed=None) == pytest.approx(
        (1.7458260650654815, 0.17092810572065414), abs=1e-12
    )
    assert inception_score(p, 1, seed=None) == pytest.approx((1.837243089901076, 0.0), abs=1e-12)


def test_certain_answers_over_all_classes_give_the_number_of_classes():
    assert inception_score(torch.eye(10).repeat(20, 1), 1).mean == pytest.approx(10.0, abs=1e-9)


def test_collapse_and_doubt_both_give_one():
    assert inception_score(torch.eye(10)[:1].repeat(50, 1), 5).mean == pytest.approx(1.0, abs=1e-9)
    assert inception_score(torch.full((50, 10), 0.1), 5).mean == pytest.approx(1.0, abs=1e-9)


@given(st.integers(0, 10_000), st.floats(0, 30), st.integers(1, 4))
def test_it_stays_between_one_and_the_number_of_classes(seed, sharp, splits):
    score = inception_score(rows(seed, sharp=sharp), splits)
    assert 1 - 1e-9 <= score.mean <= 4 + 1e-9


def test_samples_sorted_by_class_are_shuffled_before_the_splits():
    sorted_rows = torch.eye(10).repeat_interleave(100, 0)
    assert inception_score(sorted_rows, 10, seed=None).mean == pytest.approx(1.0)  # each split saw one class
    assert 9 < inception_score(sorted_rows, 10).mean <= 10


def test_the_mode_score_is_the_inception_score_of_one_split():
    # Zhou et al. 2018: the terms in the real marginal cancel
    fake, real = rows(0), rows(1)
    assert mode_score(fake, real) == pytest.approx(inception_score(fake, 1).mean, abs=1e-12)
    assert mode_score(fake, torch.eye(4, dtype=torch.float64)[:2]) == pytest.approx(
        inception_score(fake, 1).mean
    )


def test_the_modified_score_equals_the_double_loop():
    p = rows(3, n=6)
    pairs = [float((a * (a / b).log()).sum()) for a in p for b in p]
    assert modified_inception_score(p) == pytest.approx(math.exp(sum(pairs) / 36), abs=1e-12)
    assert modified_inception_score(p[:1].repeat(5, 1)) == pytest.approx(1.0, abs=1e-12)


def test_the_am_score_of_certain_balanced_samples_is_zero_and_of_doubt_the_entropy():
    certain = torch.eye(5, dtype=torch.float64).repeat(4, 1)
    assert am_score(certain, certain) == pytest.approx(0.0, abs=1e-12)
    assert am_score(torch.full((8, 5), 0.2), certain) == pytest.approx(math.log(5), abs=1e-6)
    two = torch.eye(2, dtype=torch.float64)
    # real marginal (1/2, 1/2), fake (3/4, 1/4): KL = log(2) - log(3)/2 + ... = 1/2 log(2/3) + 1/2 log 2
    fakes = two[[0, 0, 0, 1]]
    assert am_score(fakes, two) == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=1e-12)
    assert am_score(two[[0, 0]], two) == math.inf  # a class of the data never appears


@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.bfloat16, 1e-2), (torch.float16, 1e-3), (torch.float32, 1e-6)]
)
@pytest.mark.parametrize("classes", [10, 1000])
def test_the_softmax_of_half_precision_is_taken(dtype, within, classes):
    logits = 3 * torch.randn(500, classes, generator=torch.Generator().manual_seed(0))
    exact = inception_score(logits.softmax(1), 1).mean
    assert inception_score(logits.to(dtype).softmax(1), 1).mean == pytest.approx(exact, rel=within)
    with pytest.raises(ValueError, match=r"sums of 0.9[78]"):
        inception_score((0.98 * logits.softmax(1)).to(dtype))


def test_scores_of_other_classes_are_refused_with_both_numbers():
    for score in (mode_score, am_score):
        with pytest.raises(ValueError, match="fake has 4 classes, real 1;"):
            score(rows(0), torch.ones(5, 1))
        with pytest.raises(ValueError, match="fake has 4 classes, real 6;"):
            score(rows(0), rows(1, k=6))


def test_logits_are_refused():
    with pytest.raises(ValueError, match=r"values from -.* sums of .*softmax"):
        inception_score(torch.randn(20, 10))
    with pytest.raises(ValueError, match="splits"):
        inception_score(torch.eye(4), 5)
