from __future__ import annotations

import math

import pytest
import torch

from gan_zoo.metrics.distances import centred, nearest, squared_distances
from gan_zoo.metrics.neighbours import (
    density_coverage,
    f1,
    mean_nearest_distance,
    neighbour_scores,
    one_nearest_neighbour,
    precision_recall,
)
from tests.metrics.arrays import fixed, normal, real_and_fake


def binary(n: int, seed: int, dimensions: int = 784) -> torch.Tensor:
    """Pictures of ink and paper, 13 % ink: integer distances, most of which occur many times."""
    drawn = torch.rand(n, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn < 0.13).double()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("gan_zoo.metrics.distances.blocks.__defaults__", (7, 11))


def test_precision_and_recall_equal_torch_fidelitys():
    # torch-fidelity 0.4.0: prc_features_to_metric(fake, real), neighbourhood 3
    assert precision_recall(*real_and_fake()) == pytest.approx((0.62, 58 / 60), abs=1e-12)


def test_density_and_coverage_equal_the_published_prdc():
    # prdc 0.2: compute_prdc(real, fake, nearest_k=5) and 3
    assert density_coverage(*real_and_fake()) == pytest.approx((0.58, 52 / 60), abs=1e-12)
    assert density_coverage(*real_and_fake(), k=3) == pytest.approx((0.48666666666666664, 38 / 60), abs=1e-12)


def test_all_five_at_once_are_the_ones_apart(small_blocks):
    scores = neighbour_scores(*real_and_fake())
    assert scores == pytest.approx((0.62, 58 / 60, f1(0.62, 58 / 60), 0.58, 52 / 60), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_are_exact_as_in_a_live_prdc_where_that_is_installed(dtype):
    prdc = pytest.importorskip("prdc")
    real, fake = binary(500, 0), binary(500, 1)
    expected = prdc.compute_prdc(real.numpy(), fake.numpy(), 5)
    density, coverage = density_coverage(real.to(dtype), fake.to(dtype))
    assert density == pytest.approx(float(expected["density"]), abs=1e-12)
    assert coverage == pytest.approx(float(expected["coverage"]), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 256])
def test_ties_are_decided_as_integer_arithmetic_decides_them(dtype, levels, small_blocks):
    if levels == 2:
        real, fake = binary(120, 0), binary(120, 1)
    else:  # few of the levels of 8 bits: float32 holds squares up to 2^24
        real, fake = (
            torch.randint(4, (120, 100), generator=torch.Generator().manual_seed(s)).double() * 85
            for s in (0, 1)
        )
    between, own, others = (
        (a.long()[:, None] - b.long()).square().sum(2) for a, b in ((real, fake), (real, real), (fake, fake))
    )
    own, others = (one.fill_diagonal_(2**40) for one in (own, others))
    told = [
        float((a.amin(1) < b).double().mean()) for a, b in ((own, between.amin(1)), (others, between.amin(0)))
    ]
    radius = own.sort(1).values[:, 4:5]
    assert (between == radius).sum() > 20  # there are ties to decide
    got = density_coverage(real.to(dtype), fake.to(dtype))
    shares = (
        float((between < radius).double().mean()) * 120 / 5,
        float((between < radius).any(1).double().mean()),
    )
    assert got == pytest.approx(shares, abs=1e-12)
    assert one_nearest_neighbour(real.to(dtype), fake.to(dtype))[1:] == pytest.approx(told, abs=1e-12)


def test_they_equal_a_live_prdc_where_that_is_installed():
    prdc = pytest.importorskip("prdc")
    real, fake = normal(200, 80, 0), 0.9 * normal(150, 80, 1) + 0.05  # 80 dimensions: the matrix-product path
    expected = prdc.compute_prdc(real.numpy(), fake.numpy(), 4)
    got = neighbour_scores(real, fake, k=4, k_density=4)._asdict()
    for name in ("precision", "recall", "density", "coverage"):
        assert got[name] == pytest.approx(float(expected[name]), abs=1e-12), name


def test_equal_distributions_have_density_one_and_the_coverage_of_the_formula():
    scores = [density_coverage(normal(400, 16, s), normal(400, 16, 100 + s)) for s in range(8)]
    density, coverage = torch.tensor(scores).mean(0).tolist()
    assert density == pytest.approx(1.0, abs=0.06)
    missed = math.prod((400 - i) / (800 - i) for i in range(1, 6))  # Naeem et al. 2020: N = M = 400, k = 5
    assert coverage == pytest.approx(1 - missed, abs=0.012)


def test_far_apart_sets_score_nothing_and_a_collapsed_one_keeps_its_precision():
    real = normal(200, 8, 0)
    assert neighbour_scores(real, real + 100) == (0, 0, 0, 0, 0)
    collapsed = neighbour_scores(real, real[:1] + 1e-3 * normal(200, 8, 1))
    assert collapsed.precision == 1.0 and collapsed.recall < 0.02 and collapsed.coverage < 0.05


def test_one_nearest_neighbour_tells_the_three_cases_apart():
    real = normal(300, 8, 0)
    same = one_nearest_neighbour(real, normal(300, 8, 1))
    assert same.accuracy == pytest.approx(0.5, abs=0.06)
    centre = real[::3] + 1e-3  # three fakes, closer to each other than to it, around every third real
    collapsed = one_nearest_neighbour(real, torch.cat([centre + 1e-5 * normal(100, 8, s) for s in range(3)]))
    assert collapsed.fake == 1.0 and collapsed.real == pytest.approx(0.56, abs=0.06)  # 2/3 (1 - 1/6)
    assert one_nearest_neighbour(real, real.clone()) == (0, 0, 0)  # copies: memorised
    assert one_nearest_neighbour(real, real + 100) == (1, 1, 1)


def test_one_nearest_neighbour_equals_the_pooled_definition(small_blocks):
    real, fake = real_and_fake()
    fake = fake[:40]
    pooled = torch.cat([real, fake])
    distance = torch.cdist(pooled, pooled).fill_diagonal_(torch.inf)
    right = (distance.argmin(1) < 60) == (torch.arange(100) < 60)
    got = one_nearest_neighbour(real, fake)
    assert got == pytest.approx([float(some.double().mean()) for some in (right, right[:60], right[60:])])


def test_nearest_equals_the_full_matrix_with_and_without_self(small_blocks):
    a, b = fixed(30, 70), fixed(25, 70, step=2.3)
    expected = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square().sort(1)
    got, index = nearest(a, b, 4)
    torch.testing.assert_close(got, expected.values[:, :4], rtol=1e-9, atol=1e-12)
    assert torch.equal(index, expected.indices[:, :4])
    own = (
        torch.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist")
        .square()
        .fill_diagonal_(torch.inf)
        .sort(1)
    )
    assert torch.equal(nearest(a, a, 3, exclude_self=True)[1], own.indices[:, :3])
    with pytest.raises(ValueError, match="between 1 and 29"):
        nearest(a, a, 30, exclude_self=True)


@pytest.mark.parametrize("apart", [0, 1100])
def test_sets_far_from_the_origin_keep_their_distances_above_64_dimensions(apart):
    # without a centre |a|^2 is 1e10 and float32 leaves nothing of distances of 200
    a, b = (normal(3000, 100, seed).float() + 1e4 for seed in (0, 1))
    a[:apart] -= 1000  # the first samples are far from the rest
    expected = torch.cdist(a[apart:].double(), b.double()).square()
    got = squared_distances(*centred(a, b))[apart:]
    torch.testing.assert_close(got.double(), expected, rtol=2e-6, atol=0)


def test_the_centre_is_in_the_middle_and_integers_stay_integers():
    a = binary(500, 0).float() * 3
    assert torch.equal(centred(a)[0], centred(a)[0].round())
    spread = normal(5000, 100, 0)
    assert centred(spread)[0].mean(0).abs().max() < 0.2


def test_points_of_a_narrow_mode_far_from_the_origin_keep_their_distances():
    # |a|^2 + |b|^2 - 2ab in float32 would give 0 or 1e-7 here
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1e-4]])
    assert squared_distances(a, b).item() == pytest.approx(1e-8, rel=1e-4)


def test_the_mean_distance_to_the_nearest_fake():
    real, fake = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.0], [3.0]])
    assert mean_nearest_distance(real, fake) == pytest.approx((0 + 1 + 2) / 3)
    assert mean_nearest_distance(fake, real) == pytest.approx((0 + 2) / 2)
