"""L1, SSIM, PSNR and sharpness difference of pairs; MS-SSIM as a measure of variety.

All take pictures [N, C, H, W], uint8 or float in [-1, 1], of any equal size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gan_zoo.metrics.inputs import at_least, at_once, picture_pair, require_pictures, seeded

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003; they sum to 1.0001, as published
RANGE = 2.0  # of pictures in [-1, 1]


def ssim(real: Tensor, fake: Tensor) -> float:
    """Mean SSIM of paired pictures (Wang et al. 2004; 11 x 11 Gaussian, sigma 1.5), torchmetrics'.

    1 for equal pictures. The side must be at least 11.
    """
    real, fake = _paired(real, fake)
    if min(real.shape[-2:]) < 11:
        raise ValueError(
            f"SSIM's window is 11 pixels, pictures are {tuple(real.shape[-2:])}; ms_ssim shrinks it"
        )
    # black is 0: the luminance term compares ratios of means, which a shift to [-1, 1] would change
    value = structural_similarity_index_measure(fake + 1, real + 1, data_range=RANGE)
    assert isinstance(value, Tensor)
    return float(value)


def psnr(real: Tensor, fake: Tensor) -> float:
    """Mean over pictures of 10 log10(range^2 / MSE) in dB, torchmetrics'; inf for equal pictures."""
    real, fake = _paired(real, fake)
    each = peak_signal_noise_ratio(fake, real, data_range=RANGE, reduction="elementwise_mean", dim=(1, 2, 3))
    return float(each)


def l1(real: Tensor, fake: Tensor) -> float:
    """Mean |real - fake| of paired pictures, pixels in [-1, 1]: the term that pix2pix weighs with 100."""
    real, fake = _paired(real, fake)
    return float((real - fake).abs().mean())


def sharpness_difference(real: Tensor, fake: Tensor) -> float:
    """Mean over pictures of 10 log10(range^2 / mean |g(real) - g(fake)|) in dB (Mathieu et al. 2016, eq. 14).

    g = |x_ij - x_(i-1)j| + |x_ij - x_i(j-1)|, on pixels in [0, 1] (range 1). Higher is better; inf for equal
    sharpness.
    """
    real, fake = ((one.double() + 1) / 2 for one in _paired(real, fake, side=2))
    return float(-10 * (_gradients(real) - _gradients(fake)).abs().mean((1, 2, 3)).log10().mean())


def _gradients(pictures: Tensor) -> Tensor:
    down = (pictures[:, :, 1:, 1:] - pictures[:, :, :-1, 1:]).abs()
    across = (pictures[:, :, 1:, 1:] - pictures[:, :, 1:, :-1]).abs()
    return down + across


def _paired(real: Tensor, fake: Tensor, side: int = 1) -> tuple[Tensor, Tensor]:
    real, fake = picture_pair(real, fake, least=1, side=side)
    if len(real) != len(fake):
        raise ValueError(f"pairs are needed, got {len(real)} real and {len(fake)} fake pictures")
    return real, fake


def _window(size: int, sigma: float) -> Tensor:
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    bell = (-(at**2) / (2 * sigma**2)).exp()
    return bell / bell.sum()


def _halved(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd side keeps its last line, mirrored, as PGGAN's does: 7 becomes 4."""
    height, width = x.shape[-2:]
    return avg_pool2d(pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2)


def _similarity_and_contrast(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure term of each pair, [N]; the window shrinks to a small picture."""
    size = min(11, *a.shape[-2:])
    channels = a.shape[1]
    kernel = _window(size, 1.5 * size / 11).to(a).expand(channels, 1, 1, size)

    def smooth(x: Tensor) -> Tensor:  # the Gaussian is separable
        return conv2d(conv2d(x, kernel, groups=channels), kernel.mT, groups=channels)

    mean_a, mean_b = smooth(a), smooth(b)
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    covariance = 2 * (smooth(a * b) - mean_a * mean_b) + c2
    variances = smooth(a * a) - mean_a**2 + smooth(b * b) - mean_b**2 + c2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast = covariance / variances
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Multi-scale SSIM of each pair, float64 [N] in [0, 1], at any side >= 16 (it is halved four times).

    Window and sigma shrink to a small picture, as in PGGAN's evaluation, instead of dropping scales or
    raising. Pixels are taken in [0, 2] of range 2, which equals 0 ... 255 of range 255: black must be 0.
    """
    a, b = (one.double() + 1 for one in _paired(a, b))
    if min(a.shape[-2:]) < 16:
        raise ValueError(
            f"five scales need a side of at least 16, got {tuple(a.shape[-2:])}; enlarge the pictures"
        )
    value = a.new_ones(len(a))
    for scale, weight in enumerate(WEIGHTS):
        similarity, contrast = _similarity_and_contrast(a, b)
        last = scale == len(WEIGHTS) - 1
        value = value * (similarity if last else contrast).clamp_min(0) ** weight
        if not last:
            a, b = _halved(a), _halved(b)
    return value


def ms_ssim_diversity(pictures: Tensor, pairs: int = 10_000, seed: int = 0, batch: int = 256) -> float:
    """Mean MS-SSIM of random pairs of samples (Odena et al. 2017; PGGAN: 10,000 pairs); 1 = all identical.

    batch: pairs compared together, at most; fewer of large pictures.

    Compare with the same figure of real pictures: far above it means little variety, far below it means
    noise.
    """
    require_pictures(pictures, least=2)  # the pairs alone are converted, where they are compared
    at_least(1, pairs=pairs, batch=batch)
    generator = seeded(seed)
    first = torch.randint(len(pictures), (pairs,), generator=generator)
    shift = torch.randint(1, len(pictures), (pairs,), generator=generator)
    second = (first + shift) % len(pictures)
    batch, total = at_once(pictures, batch), 0.0
    for one, other in zip(first.split(batch), second.split(batch), strict=True):
        total += float(ms_ssim(pictures[one], pictures[other]).sum())
    return total / pairs
