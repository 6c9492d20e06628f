"""Path length, modes, duplicates."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from gan_zoo.metrics.duplicates import (
    birthday_support,
    duplicate_probability,
    nearest_pairs,
    nearest_training,
    score_gap,
    support_from_probability,
    training_copies,
)
from gan_zoo.metrics.modes import (
    class_report,
    histogram_kl,
    mixture_modes,
    stacked_classes,
    stacked_modes,
)
from gan_zoo.metrics.path_length import perceptual_path_length, slerp
from tests.metrics.arrays import normal

ANGLES = 2 * torch.pi * torch.arange(8) / 8
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)  # VEEGAN, PacGAN: radius 1, sigma 0.01


def draw(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(n, 6, generator=generator, dtype=torch.float64)


# ---------------------------------------------------------------- path length


@pytest.mark.parametrize("where", ["full", "end"])
def test_a_linear_generator_has_the_closed_form_path_length(where):
    weight = normal(10, 6, 0)
    got = perceptual_path_length(
        lambda z: z @ weight.T, draw, interpolation="lerp", where=where, pairs=32, batch=64, percentiles=None
    )
    generator = torch.Generator().manual_seed(0)
    a, b = draw(32, generator), draw(32, generator)
    expected = float(((b - a) @ weight.T).square().sum(1).mean())  # mean |W (b - a)|^2
    assert got.mean == pytest.approx(expected, rel=1e-6) and got.kept == 32


def test_on_the_sphere_an_identity_generator_moves_by_the_squared_angle():
    # slerp has constant speed, |dz / dt| = angle: d / epsilon^2 = angle^2 (unit) or Z angle^2 (sphere)
    generator = torch.Generator().manual_seed(0)
    a, b = (one / one.norm(dim=1, keepdim=True) for one in (draw(16, generator), draw(16, generator)))
    squared_angle = float((a * b).sum(1).acos().square().mean())
    unit = perceptual_path_length(lambda z: z, draw, pairs=16, percentiles=None, scale="unit")
    assert unit.mean == pytest.approx(squared_angle, rel=1e-5)
    sphere = perceptual_path_length(lambda z: z, draw, pairs=16, percentiles=None)
    assert sphere.mean == pytest.approx(6 * squared_angle, rel=1e-5)


def test_slerp_stays_on_the_sphere_and_ends_where_it_should():
    a, b = normal(5, 4, 0), normal(5, 4, 1)
    for t, end in ((0.0, a), (1.0, b)):
        expected = end / end.norm(dim=1, keepdim=True)
        torch.testing.assert_close(slerp(a, b, torch.full((5,), t).double()), expected, rtol=0, atol=1e-9)
    middle = slerp(a, b, torch.full((5,), 0.3).double())
    torch.testing.assert_close(middle.norm(dim=1), torch.ones(5).double(), rtol=0, atol=1e-9)


def test_the_percentiles_drop_the_tails():
    def of_0_to_99(percentiles):
        values = torch.arange(100.0) * 1e-8
        return perceptual_path_length(
            lambda z: z, draw, distance=lambda a, b: values, pairs=100, batch=100, percentiles=percentiles
        )

    got = of_0_to_99((1, 99))
    # numpy's "lower" of 0.99 and "higher" of 98.01 over 0 ... 99: 0 and 99, as the authors take them
    assert got.kept == 100 and got.mean == pytest.approx(49.5, rel=1e-6)
    got = of_0_to_99((10, 90))
    assert got.kept == 82 and got.mean == pytest.approx(50.5 - 1, abs=0.6)


# ---------------------------------------------------------------- modes


def test_a_perfect_ring_has_all_modes_and_the_share_of_three_sigma():
    points = RING.repeat(1000, 1) + 0.01 * normal(8000, 2, 0).float()
    found = mixture_modes(points, RING, 0.01)
    assert found.modes == 8
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.004)  # Rayleigh
    assert found.reverse_kl == pytest.approx(0.0, abs=1e-9)


def test_a_collapsed_generator_has_one_mode_and_log_eight():
    found = mixture_modes(RING[2:3].repeat(50, 1), RING, 0.01)
    assert (found.modes, found.high_quality) == (1, 1.0)
    assert found.reverse_kl == pytest.approx(math.log(8))
    assert found.counts.tolist() == [0, 0, 50, 0, 0, 0, 0, 0]


def test_points_between_the_modes_are_of_no_quality():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.029], [1.0, 0.031]])
    found = mixture_modes(points, RING, 0.01)
    assert found.modes == 1 and found.high_quality == pytest.approx(1 / 3)


def test_reverse_kl_is_the_written_out_sum():
    assert histogram_kl(torch.tensor([3, 1])) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert histogram_kl(torch.tensor([1, 1]), torch.tensor([3, 1])) == pytest.approx(
        0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    )
    assert histogram_kl(torch.tensor([1, 1]), torch.tensor([1, 0])) == math.inf


def test_stacked_pictures_are_read_channel_by_channel_as_a_number():
    def classify(pictures: torch.Tensor) -> torch.Tensor:  # the mean pixel, in tenths of [-1, 1]
        return torch.eye(10)[((pictures.mean((1, 2, 3)) + 1) * 5).long().clamp_max(9)]

    digits = torch.tensor([[4, 0, 7], [9, 9, 9], [0, 0, 1]])
    pictures = (digits / 5 - 0.9)[:, :, None, None].expand(3, 3, 8, 8)
    assert stacked_classes(pictures, classify).tolist() == [407, 999, 1]


def test_uniform_triples_cover_the_thousand_modes_and_collapse_is_counted():
    numbers = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    found = stacked_modes(numbers)
    assert found.modes == 1000
    assert found.reverse_kl == pytest.approx(
        999 / (2 * 26_000), rel=0.15
    )  # chi-squared bias of an empirical KL
    assert stacked_modes(torch.tensor([5, 5, 5]))[:2] == (1, pytest.approx(math.log(1000)))
    with pytest.raises(ValueError, match="class 1000 does not exist"):
        stacked_modes(torch.tensor([1000]))


def test_the_class_report_names_the_missing_the_frequent_and_the_collapsed():
    real_p, fake_p = torch.eye(3).repeat(100, 1), torch.eye(3)[[0] * 150 + [1] * 50]
    real_f = normal(300, 4, 0)
    fake_f = torch.cat([normal(150, 4, 1), normal(1, 4, 2).expand(50, 4)])
    first, second, third = class_report(fake_p, real_p, fake_f, real_f, ("a", "b", "c"))
    assert (first.fake_share, second.fake_share, third.fake_share) == (0.75, 0.25, 0.0)
    assert first.name == "a" and first.variety_ratio == pytest.approx(1.0, abs=0.25)
    assert second.variety_ratio == pytest.approx(0.0, abs=1e-9) and math.isnan(third.variety_ratio)
    pair = class_report(
        torch.eye(1).repeat(2, 1),
        torch.eye(1).repeat(2, 1),
        torch.tensor([[0.0], [3.0]]),
        torch.eye(2)[:, :1],
    )
    assert pair[0].variety == pytest.approx(9.0)  # the squared distance of the only pair


# ---------------------------------------------------------------- duplicates


def test_the_birthday_of_23_people_is_shared_with_half_a_chance():
    assert duplicate_probability(23, 365) == pytest.approx(0.507297, abs=1e-6)
    assert duplicate_probability(366, 365) == 1.0
    assert duplicate_probability(1, 5) == 0.0
    assert support_from_probability(23, 0.5072972343) == pytest.approx(365, rel=1e-6)
    assert support_from_probability(50, 0.0) == math.inf


def test_simulated_birthdays_agree_with_the_formula():
    for size, support in ((40, 1000), (118, 10_000)):
        expected = duplicate_probability(size, support)
        drawn = (
            torch.randint(support, (4000, size), generator=torch.Generator().manual_seed(0)).sort(1).values
        )
        share = (drawn[:, 1:] == drawn[:, :-1]).any(1).double().mean()
        assert float(share) == pytest.approx(expected, abs=0.03)
    assert duplicate_probability(118, 10_000) == pytest.approx(0.5, abs=0.01)  # 1.177 sqrt(N)


def test_a_generator_of_known_support_is_found_by_its_duplicates():
    items = normal(400, 5, 0)

    def sample(n: int, seed: int) -> torch.Tensor:
        return items[torch.randint(400, (n,), generator=torch.Generator().manual_seed(seed))]

    found = birthday_support(sample, 24, 1e-9, batches=200)
    assert found.probability == pytest.approx(duplicate_probability(24, 400), abs=0.11)
    assert 250 < found.estimate < 650 and found.bound == 576
    assert birthday_support(lambda n, seed: normal(n, 5, seed), 24, 1e-9, batches=3).estimate == math.inf


def test_the_most_similar_pairs_come_first_and_once():
    samples = torch.tensor([[0.0], [10.0], [10.1], [30.0], [30.05], [100.0]])
    found = nearest_pairs(samples, pairs=3)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True))[:2] == [(3, 4), (1, 2)]
    assert found.distance.tolist() == pytest.approx([0.05, 0.1, 9.9 + 0.1], abs=0.11)
    assert nearest_pairs(torch.zeros(3, 1), 10).first.tolist() == [0, 0, 1]


def test_nearest_training_samples_are_found_with_exact_distances():
    train = normal(200, 100, 0).float()
    fake = train[[7, 90]] + torch.tensor([[0.0], [1e-3]])
    index, distance = nearest_training(fake, train, k=2)
    assert index[:, 0].tolist() == [7, 90]
    assert distance[:, 0].tolist() == pytest.approx([0.0, 1e-3 * 10], abs=1e-5)  # sqrt(100) 1e-3


def test_copied_training_samples_are_told_from_honest_ones():
    train, held_out = normal(500, 8, 0), normal(500, 8, 1)
    assert training_copies(normal(500, 8, 2), train, held_out, quantile=0.1).share == pytest.approx(
        0.1, abs=0.05
    )
    assert training_copies(train[:100] + 1e-4, train, held_out, quantile=0.1).share == 1.0


def test_copies_are_told_where_held_out_samples_also_stand_in_training():
    train = normal(300, 8, 0)
    held_out = torch.cat(
        [normal(98, 8, 1), train[:2]]
    )  # 2 % duplicates: the distance that chance allows is 0
    assert training_copies(train[:100], train, held_out).share == 1.0
    assert training_copies(normal(100, 8, 2), train, held_out).share == 0.0


def test_the_score_gap_equals_scipys_mann_whitney():
    a, b = normal(80, 1, 0) + 0.5, normal(60, 1, 1)
    a, b = a.mul(4).round(), b.mul(4).round()  # with ties
    expected = scipy.stats.mannwhitneyu(a[:, 0], b[:, 0], method="asymptotic", use_continuity=False)
    found = score_gap(a, b)
    assert found.auc == pytest.approx(expected.statistic / (80 * 60), abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.gap == pytest.approx(float(a.mean() - b.mean()))
    assert score_gap(torch.zeros(5), torch.zeros(5))[3:] == (0.5, 1.0)
