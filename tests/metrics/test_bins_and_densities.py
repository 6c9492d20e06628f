"""NDB, Parzen windows and the classifier two-sample test."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_zoo.metrics.bins import Bins, different_bins, jensen_shannon, two_proportion_p
from gan_zoo.metrics.parzen import (
    BANDWIDTHS,
    choose_bandwidth,
    data_coverage,
    parzen_log_likelihood,
    parzen_score,
)
from gan_zoo.metrics.two_sample import accuracy_p_value, classifier_two_sample
from tests.metrics.arrays import normal


def test_the_proportion_test_equals_the_textbook():
    # 30 of 200 against 60 of 250: pooled 0.2, z = -0.09 / sqrt(0.16 (1/200 + 1/250)) = -2.3717
    p = two_proportion_p(
        torch.tensor([0.15], dtype=torch.float64), 200, torch.tensor([0.24], dtype=torch.float64), 250
    )
    assert p.item() == pytest.approx(
        2 * scipy.stats.norm.sf(0.09 / math.sqrt(0.16 * (1 / 200 + 1 / 250))), abs=1e-12
    )
    assert two_proportion_p(torch.zeros(1).double(), 5, torch.zeros(1).double(), 9).item() == 1.0


def test_its_jensen_shannon_divergence_has_the_known_ends():
    assert jensen_shannon(torch.tensor([1.0, 3.0]), torch.tensor([10.0, 30.0])) == pytest.approx(
        0.0, abs=1e-12
    )
    assert jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 7.0])) == pytest.approx(math.log(2))
    # p = (1/2, 1/2), q = (1, 0): m = (3/4, 1/4)
    expected = 0.5 * (0.5 * math.log(2 / 3) + 0.5 * math.log(2)) + 0.5 * math.log(4 / 3)
    assert jensen_shannon(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0])) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_the_divergence_stays_between_zero_and_log_two_and_is_symmetric(counts):
    p, q = (torch.tensor(one, dtype=torch.float64) for one in zip(*counts, strict=True))
    if not (p.sum() and q.sum()):
        with pytest.raises(ValueError, match="non-empty"):
            jensen_shannon(p, q)
        return
    assert -1e-12 <= jensen_shannon(p, q) <= math.log(2) + 1e-12
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), abs=1e-12)


def test_the_training_set_fills_its_own_bins_and_chance_differs_in_a_twentieth():
    bins = Bins(normal(4000, 6, 0), 40)
    assert bins.score(normal(4000, 6, 0))[:3] == (0, 0.0, 0.0)
    shares = [bins.score(normal(4000, 6, seed)).share for seed in range(1, 11)]
    # K-means follows its own sample a little, so slightly above 0.05
    assert sum(shares) / 10 == pytest.approx(0.06, abs=0.035)
    assert torch.all(bins.proportions.diff() <= 0)  # largest bin first


@pytest.mark.parametrize("dimensions", [2, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_features_make_fewer_bins_and_a_set_does_not_differ_from_itself(dimensions, dtype):
    """Three different samples: K-means gives ten centres, of which most are equal."""
    which = torch.arange(400) % 7 % 3
    points = torch.linspace(0.1, 0.3, 3).to(dtype)[:, None].expand(3, dimensions)
    bins = Bins(points[which], 10)
    assert len(bins.centres) == 3
    assert bins.score(points[which])[:3] == (0, 0.0, 0.0)
    assert bins.score(points[which.flip(0)])[:3] == (0, 0.0, 0.0)
    collapsed = bins.score(points[torch.zeros(400, dtype=torch.int64)])
    assert collapsed.share == 1.0 and collapsed.js > 0.2
    partly = torch.cat(
        [normal(500, dimensions, 0).to(dtype), torch.full((300, dimensions), 0.1, dtype=dtype)]
    )
    assert Bins(partly, 20).score(partly)[:3] == (0, 0.0, 0.0)
    with pytest.raises(ValueError, match="400 training samples are all alike"):
        Bins(points[torch.zeros(400, dtype=torch.int64)], 5)


def test_a_dropped_mode_is_found_in_its_bins():
    centres = 20 * torch.eye(4, dtype=torch.float64)
    train = centres.repeat(200, 1) + normal(800, 4, 0)
    fake = centres[:3].repeat(200, 1) + normal(600, 4, 1)
    found = different_bins(train, fake, bins=4)
    assert found.ndb == 4  # one is empty, the others hold a third instead of a quarter
    assert sorted(found.proportions.tolist()) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    p, q = torch.full((4,), 0.25), torch.tensor([1 / 3, 1 / 3, 1 / 3, 0])
    assert found.js == pytest.approx(jensen_shannon(p, q), abs=1e-6)


def test_many_dimensions_are_cut_to_a_sixth_and_whitening_makes_scale_irrelevant():
    assert len(Bins(normal(20, 1200, 0), 4).used) == 200
    scale = torch.tensor([1.0, 1000.0])
    plain, scaled = (Bins(normal(300, 2, 0) * s, 5, whiten=True) for s in (1, scale))
    assert torch.equal(plain.assign(normal(50, 2, 1)), scaled.assign(normal(50, 2, 1) * scale))


def test_one_parzen_centre_is_a_gaussian():
    x, centre = normal(5, 3, 0), torch.zeros(1, 3, dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 0.3).log_prob(x).sum(1)
    torch.testing.assert_close(parzen_log_likelihood(x, centre, 0.3), expected.double(), rtol=1e-6, atol=1e-6)
    at_centre = parzen_log_likelihood(centre, centre, 0.1).item()
    assert at_centre == pytest.approx(-3 * math.log(0.1 * math.sqrt(2 * math.pi)), abs=1e-9)


def test_many_parzen_centres_are_the_mixture_and_blocks_do_not_matter(monkeypatch):
    x, centres = normal(20, 2, 0), normal(30, 2, 1)
    mixture = torch.distributions.Normal(centres[None], 0.5).log_prob(x[:, None]).sum(2)
    expected = mixture.logsumexp(1) - math.log(30)
    monkeypatch.setattr("gan_zoo.metrics.distances.blocks.__defaults__", (7, 4))
    torch.testing.assert_close(parzen_log_likelihood(x, centres, 0.5), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dimensions", [2, 16])
def test_equal_sets_are_covered_to_the_share_that_is_asked_for(dimensions):
    real, fake = normal(2000, dimensions, 0), normal(2000, dimensions, 1)
    assert data_coverage(real, fake) == pytest.approx(0.95, abs=0.025)
    assert data_coverage(real, fake, share=0.5) == pytest.approx(0.5, abs=0.05)


def test_a_model_of_one_mode_in_four_covers_a_quarter_and_a_broad_one_all():
    centres = torch.tensor([[-9.0, 0], [-3, 0], [3, 0], [9, 0]])
    real = normal(2000, 2, 0) * 0.3 + centres[torch.arange(2000) % 4]
    one = normal(2000, 2, 1) * 0.3 + centres[0]
    assert data_coverage(real, one) == pytest.approx(0.95 / 4, abs=0.02)
    assert data_coverage(real, normal(2000, 2, 2) * 8) > 0.99
    with pytest.raises(ValueError, match="at least 4 fakes"):
        data_coverage(real, one[:3])


def test_far_samples_are_finite_and_the_bandwidth_is_chosen_on_validation():
    far = torch.full((1, 784), 50.0)
    assert math.isfinite(parzen_log_likelihood(far, torch.zeros(1, 784), 0.1).item())
    assert (
        BANDWIDTHS[0] == pytest.approx(0.1) and BANDWIDTHS[-1] == pytest.approx(1.0) and len(BANDWIDTHS) == 10
    )
    # one centre at 0, validation of deviation 0.464: the likeliest bandwidth on the grid is 10^(-3/9)
    assert choose_bandwidth(0.464 * normal(500, 10, 0), torch.zeros(1, 10)) == pytest.approx(10 ** (-3 / 9))
    score = parzen_score(torch.zeros(1, 10), 0.464 * normal(500, 10, 0), 0.464 * normal(400, 10, 1))
    expected = -10 * (math.log(0.464 * math.sqrt(2 * math.pi)) + 0.5)  # minus the entropy
    assert score.log_likelihood == pytest.approx(expected, abs=5 * score.standard_error)
    assert score.standard_error == pytest.approx(
        math.sqrt(10 / 2 / 400), rel=0.2
    )  # variance of chi^2_10 / 2 is 5


def test_the_p_value_of_an_accuracy_is_the_normal_tail():
    assert accuracy_p_value(0.5, 100) == 0.5
    assert accuracy_p_value(0.6, 100) == pytest.approx(scipy.stats.norm.sf(2.0))  # 0.1 / sqrt(1/400) = 2
    assert accuracy_p_value(0.4, 100) == pytest.approx(scipy.stats.norm.cdf(2.0))


def test_equal_distributions_are_not_told_apart_and_shifted_ones_are():
    same = classifier_two_sample(normal(400, 5, 0), normal(400, 5, 1), epochs=20)
    assert same.accuracy == pytest.approx(0.5, abs=0.08) and same.p_value > 0.01 and same.held_out == 400
    # shift of 2 along one axis: the best accuracy is Phi(1) = 0.841
    shifted = classifier_two_sample(normal(1000, 5, 0), normal(1000, 5, 1) + 2 * torch.eye(5)[0], epochs=10)
    assert shifted.accuracy == pytest.approx(0.841, abs=0.04) and shifted.p_value < 1e-10
    assert shifted.accuracy == pytest.approx((shifted.real + shifted.fake) / 2)


def test_the_two_sample_test_is_reproducible_and_leaves_the_global_state_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = classifier_two_sample(normal(40, 3, 0), normal(60, 3, 1), epochs=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == classifier_two_sample(normal(40, 3, 0), normal(60, 3, 1), epochs=3)
    assert first.held_out == 40  # both cut to 40, half held out
