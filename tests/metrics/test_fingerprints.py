from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from gan_zoo.metrics import fingerprints, inputs
from gan_zoo.metrics.fingerprints import (
    SECOND_RANGE,
    bernoulli_set,
    empirical_cdf,
    fast_gradient_set,
    fingerprint,
    kolmogorov_smirnov,
    matching_bernoulli_set,
    moments,
    moments_by_feature,
    pixel_divergence,
    pixel_histogram,
    spectral_centroid,
    spectral_slope,
)
from gan_zoo.metrics.low_level import (
    Spectrum,
    low_level_statistics,
    power_spectrum,
    radial_spectrum,
    spectrum_gap,
    spectrum_slope,
)


def noise(n: int, side: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_histogram_counts_each_pixel_once_and_the_second_range_leaves_out_ink_and_paper():
    pictures = torch.tensor([-1.0, -0.99, 0.0, 1.0]).reshape(1, 1, 2, 2)  # 0, 0.005, 0.5, 1 in [0, 1]
    counts = pixel_histogram(pictures, bins=100)
    assert counts.sum() == 4 and counts[0] == 2 and counts[50] == 1 and counts[99] == 1
    assert pixel_histogram(pictures, 100, SECOND_RANGE).sum() == 1


def levels(dtype: torch.dtype) -> torch.Tensor:
    """All 256 levels, [256, 1, 1, 1]; uint8 or in [-1, 1]."""
    drawn = torch.arange(256).view(-1, 1, 1, 1)
    return drawn.to(torch.uint8) if dtype == torch.uint8 else drawn.to(dtype) / 127.5 - 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [3, 10, 51, 85, 100, 255, 256])
def test_every_level_falls_into_the_bin_of_exact_arithmetic(dtype, bins):
    """Level k of 255 into floor(k bins / 255); 51 of 255 begins bin 20 of 100, though float32 says 0.1999999."""
    for level, picture in enumerate(levels(dtype)):
        exact = min(level * bins // 255, bins - 1)
        assert pixel_histogram(picture[None], bins).argmax() == exact, level
    low, high = SECOND_RANGE  # 11 % and 88 %
    for level, picture in enumerate(levels(dtype)):
        counts = pixel_histogram(picture[None], bins, SECOND_RANGE)
        inside = 11 * 255 <= 100 * level <= 88 * 255
        assert counts.sum() == inside
        if inside:
            assert counts.argmax() == min((100 * level - 11 * 255) * bins // (77 * 255), bins - 1), (
                level,
                low,
                high,
            )


def test_values_that_are_no_levels_stay_in_their_bins():
    values = torch.rand(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = values[((values * 100) % 1 - 0.5).abs() < 0.4999]
    expected = torch.from_numpy(np.histogram(values.numpy(), 100, (0, 1))[0]).double()
    assert torch.equal(fingerprints.histogram(values, 100, (0.0, 1.0)), expected)
    assert (
        fingerprints.histogram(torch.tensor([-1e-5, 1 + 1e-5]), 10, (0, 1)).sum() == 0
    )  # beyond any rounding


def test_a_picture_has_the_fingerprint_of_its_float64_copy():
    pictures = torch.randint(0, 256, (50, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    for copy in (pictures.double() / 127.5 - 1, pictures.float() / 127.5 - 1):
        assert pixel_divergence(pictures, copy) == 0
        assert fingerprints.pixel_kolmogorov_smirnov(pictures, copy).statistic == 0
    assert pixel_divergence(pictures, (pictures.double() / 127.5 - 1).square()) > 0.1


def test_ks_equals_scipys_and_its_threshold_the_formula():
    a, b = noise(3), noise(2, seed=1) ** 3
    found = kolmogorov_smirnov(a, b)
    expected = scipy.stats.ks_2samp(a.flatten().double(), b.flatten().double()).statistic
    assert found.statistic == pytest.approx(expected, abs=1e-12)
    assert found.threshold == pytest.approx(
        1.3581 * math.sqrt(1 / 768 + 1 / 512), rel=1e-4
    )  # c(0.05) = 1.3581
    assert found.differs
    assert kolmogorov_smirnov(a, a.clone()).statistic == 0


def wire(n: int, seed: int) -> torch.Tensor:
    """uint8 [n, 3, 8, 8], darker with the seed."""
    drawn = torch.randint(0, 256 - 20 * seed, (n, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
    return drawn.to(torch.uint8)


@pytest.mark.parametrize("which", ["levels beside levels", "levels beside floats", "floats beside levels"])
def test_ks_of_pixels_is_exact_where_one_set_has_few_levels(which, monkeypatch):
    monkeypatch.setattr(inputs, "VALUES", 500)
    monkeypatch.setattr(fingerprints, "DRAWN", 1)  # a draw would give 0 or 1
    levels = wire(9, 0).float() / 127.5 - 1
    other = wire(7, 1).float() / 127.5 - 1
    if "floats" in which:
        other = (other + 0.01 * torch.randn(other.shape, generator=torch.Generator().manual_seed(3))).clamp(
            -1, 1
        )
    real, fake = (other, levels) if which.startswith("floats") else (levels, other)
    found = fingerprints.pixel_kolmogorov_smirnov(real, fake)
    sorted_all = kolmogorov_smirnov(fingerprints.unit_pixels(real), fingerprints.unit_pixels(fake))
    assert found.statistic == pytest.approx(sorted_all.statistic, abs=1e-12)
    assert (found.threshold, found.differs) == (sorted_all.threshold, sorted_all.differs)
    assert 0.05 < found.statistic < 0.15


def test_ks_of_pixels_of_two_sets_of_many_values_is_drawn_above_a_size(monkeypatch):
    monkeypatch.setattr(fingerprints, "LEVELS", 100)
    real, fake = noise(100), noise(100, seed=1) ** 3
    exact = kolmogorov_smirnov(fingerprints.unit_pixels(real), fingerprints.unit_pixels(fake))
    assert fingerprints.pixel_kolmogorov_smirnov(real, fake) == exact  # few enough to be sorted
    sorted_lengths = []
    monkeypatch.setattr(fingerprints, "DRAWN", 5000)
    monkeypatch.setattr(
        fingerprints,
        "kolmogorov_smirnov",
        lambda a, b, alpha: (sorted_lengths.extend([len(a), len(b)]), kolmogorov_smirnov(a, b, alpha))[1],
    )
    drawn = fingerprints.pixel_kolmogorov_smirnov(real, fake)
    assert sorted_lengths == [5000, 5000]
    assert drawn.statistic != exact.statistic and drawn.statistic == pytest.approx(exact.statistic, abs=0.03)


def numbers(found) -> list[float]:
    return [float(x) for one in found for x in (one if isinstance(one, tuple) else (one,))]


@pytest.mark.parametrize(
    "measure",
    [lambda real, fake: fingerprint(real, fake), lambda real, fake: low_level_statistics(fake)],
    ids=["fingerprint", "low-level"],
)
def test_figures_do_not_depend_on_the_batch_and_no_set_is_converted_whole(measure, monkeypatch):
    real, fake = wire(9, 0), wire(7, 1)
    whole = numbers(measure(real, fake))
    seen, convert = [], inputs.as_pictures
    monkeypatch.setattr(
        inputs, "as_pictures", lambda given, *more: (seen.append(len(given)), convert(given, *more))[1]
    )
    monkeypatch.setattr(fingerprints, "as_pictures", None)  # nobody turns to it directly
    monkeypatch.setattr(inputs, "VALUES", 2 * real[0].numel())
    assert numbers(measure(real, fake)) == pytest.approx(whole, rel=1e-9, abs=1e-12)
    assert max(seen) == 2


def test_constant_pictures_have_no_skewness_however_they_are_summed(monkeypatch):
    monkeypatch.setattr(inputs, "VALUES", 50)
    found = low_level_statistics(torch.full((7, 1, 8, 8), 0.1))
    assert (
        found.luminance == pytest.approx(0.55) and math.isnan(found.skewness) and math.isnan(found.kurtosis)
    )


def test_a_generator_that_never_gives_exact_black_is_caught_by_ks():
    real, fake = torch.full((2, 1, 8, 8), -1.0), torch.full((2, 1, 8, 8), -0.9999)
    assert kolmogorov_smirnov(real, fake).statistic == 1.0
    assert pixel_divergence(real, fake) == pytest.approx(0.0, abs=1e-12)  # the same bin
    assert pixel_divergence(real, torch.ones(2, 1, 8, 8)) == pytest.approx(math.log(2))


def test_the_empirical_cdf_runs_to_one():
    x, share = empirical_cdf(torch.tensor([3.0, 1.0, 2.0, 2.0]), 5)
    assert x.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert share.tolist() == [0.25, 0.25, 0.75, 0.75, 1.0]


def test_centroid_and_slope_of_a_diagonal_line():
    line = 2 * torch.eye(12)[None, None] - 1
    assert spectral_centroid(line)[0, 0].tolist() == pytest.approx(list(range(12)), abs=1e-9)
    slope = spectral_slope(line)
    assert slope.shape == (1, 1, 6) and slope.flatten().tolist() == pytest.approx([1.0] * 6, abs=1e-9)
    assert spectral_slope(line.flip(2)).flatten().tolist() == pytest.approx([-1.0] * 6, abs=1e-9)
    assert spectral_centroid(-torch.ones(1, 1, 4, 4)).abs().max() == 0  # an empty column, no NaN


def test_the_slope_equals_scipys_regression():
    pictures = noise(1, 10)
    centroid = spectral_centroid(pictures)[0, 0]
    expected = [scipy.stats.linregress(range(7), centroid[i : i + 7]).slope for i in range(4)]
    assert spectral_slope(pictures)[0, 0].tolist() == pytest.approx(expected, abs=1e-12)


def test_moments_equal_scipys():
    values = noise(4).double() ** 2
    flat = values.flatten().numpy()
    expected = (flat.mean(), flat.std(), scipy.stats.skew(flat), scipy.stats.kurtosis(flat))
    assert moments(values) == pytest.approx(expected, rel=1e-9)
    table = moments_by_feature(values.reshape(256, 4))
    assert table[:, 2].tolist() == pytest.approx(list(moments(values.reshape(256, 4)[:, 2])), rel=1e-9)


def test_the_fingerprint_of_held_out_reals_is_small_beside_that_of_the_reference_sets():
    real, held_out = noise(200, seed=0) ** 3, noise(200, seed=1) ** 3
    floor, bernoulli = fingerprint(real, held_out), fingerprint(real, matching_bernoulli_set(real))
    assert floor.pixel_js < 0.01 < 0.3 < bernoulli.pixel_js
    assert floor.pixel_ks.statistic < 0.02 < 0.3 < bernoulli.pixel_ks.statistic
    assert floor.centroid_js < 0.01 < 0.1 < bernoulli.centroid_js and floor.slope_ks.statistic < 0.07
    assert math.isnan(bernoulli.pixel_js_inner)  # black and white only


def test_a_bernoulli_set_has_its_probability_and_its_seed():
    drawn = bernoulli_set(100, (1, 28, 28), 0.13)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert ((drawn + 1) / 2).mean().item() == pytest.approx(0.13, abs=0.005)
    assert torch.equal(drawn, bernoulli_set(100, (1, 28, 28), 0.13))


def test_fgsm_moves_each_pixel_by_epsilon_uphill_and_stays_in_range():
    weight = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    pictures, labels = noise(20, 8), torch.arange(20) % 3

    def logits(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ weight.T

    moved = fast_gradient_set(pictures, labels, logits)
    inside = pictures.abs() < 0.79
    torch.testing.assert_close((moved - pictures).abs()[inside], torch.full((int(inside.sum()),), 0.2))
    assert moved.abs().max() <= 1
    losses = [torch.nn.functional.cross_entropy(logits(x), labels) for x in (pictures, moved)]
    assert losses[1] > losses[0] + 1


def test_the_power_of_white_noise_is_its_variance_and_its_spectrum_flat():
    pictures = noise(400, 16)  # in [0, 1]: variance 1/12
    assert power_spectrum(pictures).mean().item() == pytest.approx(1 / 12 * 255 / 256, rel=0.02)
    spectrum = radial_spectrum(pictures)
    assert spectrum.frequency.tolist() == pytest.approx([i / 16 for i in range(1, 9)])
    assert spectrum_slope(spectrum) == pytest.approx(0.0, abs=0.05)


def test_a_cosine_has_its_power_at_its_frequency():
    x = torch.arange(32.0)
    wave = torch.cos(2 * torch.pi * 4 * x / 32).expand(1, 1, 32, 32)
    power = radial_spectrum(wave).power
    assert power.argmax() == 3 and power[3] / power.sum() > 0.999  # 4 cycles of 32 pixels: the fourth ring
    assert power_spectrum(wave)[16, 20].item() == pytest.approx(0.5**2 * 32 * 32 / 4, rel=1e-5)


def test_a_power_law_has_its_slope():
    frequency = torch.arange(1, 17, dtype=torch.float64) / 32
    assert spectrum_slope(Spectrum(frequency, 3 * frequency**-2)) == pytest.approx(-2.0, abs=1e-12)


def test_the_spectrum_gap_of_halved_contrast_is_log_four():
    pictures = noise(10)
    assert spectrum_gap(pictures, pictures) == 0
    assert spectrum_gap(pictures, pictures / 2) == pytest.approx(math.log10(4), abs=1e-6)


def test_low_level_statistics_of_a_chessboard():
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1).expand(2, 1, 16, 16)
    found = low_level_statistics(board)
    assert found.luminance == pytest.approx(0.5) and found.contrast == pytest.approx(0.5)
    assert found.gradient == pytest.approx(1.0) and found.kurtosis == pytest.approx(-2.0)  # two equal points
    smooth = low_level_statistics(torch.linspace(-1, 1, 16).expand(2, 1, 16, 16))
    assert smooth.high_frequency_share < 0.2 and smooth.gradient == pytest.approx(1 / 30, abs=1e-6)
