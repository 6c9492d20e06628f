"""Sliced Wasserstein, structural similarity and their relatives."""

from __future__ import annotations

import math

import pytest
import scipy.ndimage
import torch

from gan_zoo.metrics import inputs, structural
from gan_zoo.metrics import sliced_wasserstein as swd
from gan_zoo.metrics.sliced_wasserstein import (
    laplacian_pyramid,
    laplacian_swd,
    level_sides,
    patches,
    pyramid_down,
    pyramid_up,
    sliced_wasserstein,
)
from gan_zoo.metrics.structural import ms_ssim, ms_ssim_diversity, psnr, sharpness_difference, ssim
from tests.metrics.arrays import fixed


def waves(count: int, side: int, step: float) -> torch.Tensor:
    """uint8 [count, 3, side, side] of crossed waves: what PGGAN's code saw for the figures below."""
    y = torch.arange(side, dtype=torch.float64)[:, None] / side * 6
    x = torch.arange(side, dtype=torch.float64)[None] / side * 6
    found = [
        torch.stack(
            [127.5 + 127.5 * torch.sin(step * (i + 1) * x + c) * torch.cos(4 * y + i) for c in range(3)]
        )
        for i in range(count)
    ]
    return torch.stack(found).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (17, [0.95706013, 0.98459887, 0.98677946]),  # odd sides keep their last line
        (28, [0.95755133, 0.97402269, 0.98001352]),
        (32, [0.96160357, 0.97653209, 0.97894816]),
        (64, [0.94372902, 0.95915224, 0.96480090]),
        (256, [0.92466028, 0.92025830, 0.92322179]),
    ],
)
def test_ms_ssim_equals_pggans_at_sides_where_its_window_shrinks(side, expected):
    # msssim() of progressive_growing_of_gans/metrics/ms_ssim.py in float64, for each picture alone
    a = waves(3, side, 1.0)
    b = (0.8 * a.float() + 0.2 * waves(3, side, 2.5).float()).round().to(torch.uint8)
    assert ms_ssim(a, b).tolist() == pytest.approx(expected, abs=2e-6)


def test_identical_pictures_have_similarity_one_and_a_collapsed_generator_no_variety():
    a = waves(4, 32, 1.0)
    assert ms_ssim(a, a).tolist() == pytest.approx([1.0] * 4, abs=1e-12)
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-6)
    assert ms_ssim_diversity(a[:1].repeat(5, 1, 1, 1), pairs=20) == pytest.approx(1.0, abs=1e-12)
    noise = torch.rand(8, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ms_ssim_diversity(noise, pairs=50) < 0.2


def test_diversity_never_pairs_a_picture_with_itself():
    two = torch.stack([-torch.ones(1, 16, 16), torch.ones(1, 16, 16)])
    value = ms_ssim_diversity(two, pairs=64)
    assert value == pytest.approx(float(ms_ssim(two[:1], two[1:])), abs=1e-12)


def test_diversity_converts_the_pairs_it_compares_and_fewer_of_large_pictures_at_once(monkeypatch):
    pictures = waves(6, 32, 1.0)
    whole = ms_ssim_diversity(pictures, pairs=10)
    shown, compare = [], structural.ms_ssim
    monkeypatch.setattr(
        structural, "ms_ssim", lambda a, b: (shown.append((a.dtype, len(a), len(b))), compare(a, b))[1]
    )
    monkeypatch.setattr(inputs, "VALUES", 4 * pictures[0].numel())
    assert ms_ssim_diversity(pictures, pairs=10) == pytest.approx(whole, rel=1e-12)
    assert shown == [(torch.uint8, n, n) for n in (4, 4, 2)]


def test_psnr_of_a_constant_error_is_the_closed_form():
    black, grey = torch.zeros(2, 1, 16, 16), torch.full((2, 1, 16, 16), 0.2)
    assert psnr(black, grey) == pytest.approx(10 * math.log10(4 / 0.04), abs=1e-4)  # 20 dB


def test_psnr_is_averaged_over_pictures_not_over_errors():
    real = torch.zeros(2, 1, 16, 16)
    fake = torch.stack([torch.full((1, 16, 16), 0.2), torch.full((1, 16, 16), 0.02)])
    assert psnr(real, fake) == pytest.approx((20 + 40) / 2, abs=1e-4)


def test_sharpness_difference_of_a_ramp_is_the_closed_form():
    # on [0, 1] the ramp rises 1/20 a pixel to the right: gradient 0.05 against 0 everywhere
    ramp = (torch.arange(21.0) / 10 - 1).expand(1, 1, 21, 21)
    flat = torch.zeros(1, 1, 21, 21)
    assert sharpness_difference(ramp, flat) == pytest.approx(-10 * math.log10(0.05), abs=1e-4)
    assert sharpness_difference(ramp, ramp) == math.inf


def test_ssim_takes_black_as_zero():
    # constant pictures p = 1 and q = 0.5 of [0, 1]: (2pq + c1) / (p^2 + q^2 + c1), c1 = 1e-4
    white, grey = torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    assert ssim(white, grey) == pytest.approx((1 + 1e-4) / (1.25 + 1e-4), abs=1e-5)


def test_the_pyramid_equals_scipys_convolution_with_mirrored_borders():
    pictures = fixed(2 * 3 * 16, 16).reshape(2, 3, 16, 16)
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64) / 16
    kernel = torch.outer(taps, taps)[None, None].numpy()
    down = scipy.ndimage.convolve(pictures.numpy(), kernel, mode="mirror")[:, :, ::2, ::2]
    torch.testing.assert_close(pyramid_down(pictures), torch.from_numpy(down.copy()), rtol=0, atol=1e-12)
    spread = torch.zeros(2, 3, 32, 32, dtype=torch.float64)
    spread[:, :, ::2, ::2] = pictures
    up = scipy.ndimage.convolve(spread.numpy(), 4 * kernel, mode="mirror")
    torch.testing.assert_close(pyramid_up(pictures), torch.from_numpy(up), rtol=0, atol=1e-12)


def test_the_pyramid_gives_the_picture_back():
    pictures = fixed(64, 64).reshape(1, 1, 64, 64)
    levels = laplacian_pyramid(pictures, 3)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    back = pyramid_up(pyramid_up(levels[2]) + levels[1]) + levels[0]
    torch.testing.assert_close(back, pictures, rtol=0, atol=1e-12)


def test_a_shift_of_all_vectors_is_measured_as_the_closed_form():
    a = fixed(500, 20)
    gap = torch.linspace(-1, 1, 20, dtype=torch.float64)
    half = 20 / 2  # |gap| E|u_1|, u on the sphere: Gamma(D / 2) / (sqrt(pi) Gamma((D + 1) / 2))
    expected = float(gap.norm()) * math.gamma(half) / math.gamma(half + 0.5) / math.sqrt(math.pi)
    got = sliced_wasserstein(a, a[torch.randperm(500)] + gap, repeats=8, directions=512)
    assert got == pytest.approx(expected, rel=0.03)


def test_in_one_dimension_it_is_the_wasserstein_distance():
    a, b = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[5.0], [1.0], [0.0]])
    assert sliced_wasserstein(a, b, directions=4) == pytest.approx((0 + 0 + 3) / 3, abs=1e-6)


def test_patches_lie_inside_their_own_picture():
    pictures = torch.arange(4.0)[:, None, None, None] * 1000 + torch.arange(256.0).reshape(1, 1, 16, 16)
    found = patches(pictures, 50, torch.Generator().manual_seed(0))
    assert found.shape == (200, 1, 7, 7)
    assert torch.equal((found // 1000).amin((1, 2, 3)), torch.arange(4.0).repeat_interleave(50))
    first = found % 1000
    torch.testing.assert_close(first[:, 0, 1:] - first[:, 0, :-1], torch.full((200, 6, 7), 16.0))
    corners = first[:, 0, 0, 0]
    assert corners.min() < 20 and corners.max() > 130  # the whole picture is used: last corner 9 * 16 + 9


def test_swd_sees_blocks_and_has_a_floor():
    generator = torch.Generator().manual_seed(0)
    real, other = (torch.rand(24, 1, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    floor = laplacian_swd(real, other, patches_per_picture=32, directions=32)
    assert set(floor) == {"32", "16", "average"} and 0 < floor["average"] < 100
    assert floor["average"] == pytest.approx((floor["32"] + floor["16"]) / 2)
    # blocks of equal pixels have the same histogram, and a level of their own in the pyramid
    blocks = other[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert (
        laplacian_swd(real, blocks, patches_per_picture=32, directions=32)["average"] > 1.5 * floor["average"]
    )


def test_each_set_is_normalised_by_itself_so_contrast_and_brightness_do_not_count():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(6, 2, 16, 16, generator=generator) * 2 - 1 for _ in range(2))
    plain, faint = (
        laplacian_swd(real, one, patches_per_picture=8, directions=8) for one in (fake, fake / 4 + 0.3)
    )
    assert faint == pytest.approx(plain, rel=1e-4)


def test_swd_draws_the_same_patches_whatever_pictures_are_looked_at_together(monkeypatch):
    real, fake = waves(7, 32, 1.0), waves(7, 32, 2.0)
    whole = laplacian_swd(real, fake, patches_per_picture=8, directions=8)
    seen, pyramid = [], swd.laplacian_pyramid
    monkeypatch.setattr(
        swd, "laplacian_pyramid", lambda given, levels: (seen.append(len(given)), pyramid(given, levels))[1]
    )
    monkeypatch.setattr(inputs, "VALUES", 3 * real[0].numel())
    assert laplacian_swd(real, fake, patches_per_picture=8, directions=8) == pytest.approx(whole, rel=1e-5)
    assert seen == [3, 3, 1] * 4  # two sets, two levels


def test_swd_equals_what_it_was_when_sets_were_taken_whole():
    def normalised(pictures, level, seed):
        generator = torch.Generator().manual_seed(seed)
        floats = pictures.float() / 127.5 - 1
        found = patches(laplacian_pyramid(floats, min(level + 2, 2))[level], 8, generator)
        std, mean = torch.std_mean(found, dim=(0, 2, 3), correction=0, keepdim=True)
        return ((found - mean) / std).flatten(1)

    real, fake = waves(7, 32, 1.0), waves(7, 32, 2.0)
    found = laplacian_swd(real, fake, patches_per_picture=8, directions=8)
    for level, side in enumerate(("32", "16")):
        sets = [normalised(one, level, 1000 * level + i) for i, one in enumerate((real, fake))]
        expected = 1000 * sliced_wasserstein(*sets, directions=8, seed=level)
        assert found[side] == pytest.approx(expected, rel=1e-5)


def test_sides_are_checked():
    assert level_sides(128) == [128, 64, 32, 16]
    with pytest.raises(ValueError, match=r"16 \* 2\*\*k, got 28"):
        level_sides(28)
    with pytest.raises(ValueError, match="as many fakes"):
        laplacian_swd(torch.zeros(2, 1, 16, 16), torch.zeros(3, 1, 16, 16))
    with pytest.raises(ValueError, match="at least 16"):
        ms_ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        ssim(torch.full((1, 1, 16, 16), 200.0), torch.zeros(1, 1, 16, 16))
