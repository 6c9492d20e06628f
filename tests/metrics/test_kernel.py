from __future__ import annotations

import math

import pytest
import torch

from gan_zoo.metrics.kernel import gaussian, kernel_distance, median_bandwidth, mmd, polynomial
from tests.metrics.arrays import fixed, real_and_fake


def test_it_equals_torch_fidelitys_kid_and_its_gaussian_form():
    # torch-fidelity 0.4.0: kid_features_to_metric, one subset of all 50 samples; rbf with sigma 0.7
    real, fake = real_and_fake()
    assert mmd(real[:50], fake) == pytest.approx(0.21851267231192661, abs=1e-12)
    assert mmd(real[:50], fake, gaussian(0.7)) == pytest.approx(0.07281965526207729, abs=1e-12)


def test_it_equals_the_double_sum_written_out():
    x, y = fixed(4, 3), fixed(5, 3, step=2.3)

    def k(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    within_x = sum(k(x[i], x[j]) for i in range(4) for j in range(4) if i != j) / 12
    within_y = sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    cross = sum(k(a, b) for a in x for b in y) / 20
    assert mmd(x, y) == pytest.approx(within_x + within_y - 2 * cross, abs=1e-12)


def test_row_blocks_do_not_change_the_value(monkeypatch):
    real, fake = real_and_fake()
    whole = mmd(real, fake)
    monkeypatch.setattr("gan_zoo.metrics.kernel.ROWS", 7)
    assert mmd(real, fake) == pytest.approx(whole, abs=1e-12)


def test_the_biased_form_of_a_set_with_itself_is_zero_and_the_unbiased_one_below():
    real, _ = real_and_fake()
    assert mmd(real, real, unbiased=False) == pytest.approx(0.0, abs=1e-12)
    assert -0.2 < mmd(real, real) < -1e-3


def test_its_expectation_for_shifted_gaussians_is_the_closed_form():
    # x ~ N(0, 1), y ~ N(a, 1), bandwidth 1: E k(x, x') = 1/sqrt(3), E k(x, y) = e^(-a^2/6)/sqrt(3)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    y = torch.randn(2000, 1, generator=generator, dtype=torch.float64) + 1
    expected = 2 / math.sqrt(3) * (1 - math.exp(-1 / 6))
    assert mmd(x, y, gaussian(1.0)) == pytest.approx(expected, abs=0.03)


def test_subsets_of_equal_distributions_average_to_zero():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2000, 4, generator=generator)
    kid = kernel_distance(x, y, subsets=20, subset_size=200)
    assert abs(kid.mean) < 3 * kid.std / math.sqrt(20) + 1e-3
    assert min(kid.values) < 0 < max(kid.values)
    assert len(kid.values) == 20


def test_the_seed_decides_the_subsets_and_the_global_state_is_left_alone():
    real, fake = fixed(50, 4), fixed(50, 4, step=2.3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = kernel_distance(real, fake, subsets=3, subset_size=20, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == kernel_distance(real, fake, subsets=3, subset_size=20, seed=1)
    assert first != kernel_distance(real, fake, subsets=3, subset_size=20, seed=2)


def test_too_few_samples_for_the_subsets_are_refused():
    with pytest.raises(ValueError, match="subsets of 1000 need that many samples, got 60 real and 50 fake"):
        kernel_distance(*real_and_fake())


def test_the_cubic_kernel_of_orthogonal_vectors_is_one():
    assert polynomial(torch.eye(2)[:1], torch.eye(2)[1:]).item() == 1.0
    assert polynomial(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 1.0]])).item() == 27.0  # (4/2 + 1)^3


def test_the_median_bandwidth_is_the_median_distance():
    points = torch.tensor([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
    assert median_bandwidth(points[:2], points[1:], most=100) == pytest.approx(
        1.0
    )  # points 0, 1, 1, 3: 0 1 1 2 2 3
    with pytest.raises(ValueError, match="identical"):
        median_bandwidth(torch.zeros(4, 2), torch.zeros(4, 2))
