"""Scatter plots: which dot is where, and what lies outside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gan_zoo import media
from gan_zoo.schema import ConfigError


def ink(picture: media.Picture) -> np.ndarray:
    """Where a scatter plot is blue, the colour of what was generated."""
    channels = picture.astype(int)
    return np.argwhere(channels[:, :, 2] - channels[:, :, 0] > 60)


def test_generated_points_stand_where_the_axes_of_the_real_ones_put_them() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    low = ink(media.scatter(torch.tensor([[-0.5, -0.5]]).repeat(50, 1), real))
    high = ink(media.scatter(torch.tensor([[0.5, 0.5]]).repeat(50, 1), real))
    inside = low[low[:, 0] > 45], high[high[:, 0] > 45]  # below the legend
    (low_y, low_x), (high_y, high_x) = (part.mean(0) for part in inside)
    side = 560 * 0.86 * 1.0 / 2.5  # data units -1.25 ... 1.25 over the height of the axes
    assert low_y - high_y == pytest.approx(side, abs=2) and high_x - low_x == pytest.approx(side, abs=2)


def test_the_axes_do_not_move_with_the_samples() -> None:
    real = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    near, far = media.scatter(real * 0.1, real), media.scatter(real * 50, real)
    assert near.shape == far.shape == (560, 560, 3)
    assert np.array_equal(near[-40:], far[-40:])  # the same ticks below
    assert not np.array_equal(near[:40], far[:40])  # above, the count of those outside


def test_points_of_another_dimension_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[N, 2\], got \[4, 3\]"):
        media.scatter(torch.zeros(4, 3))


def test_nan_points_are_counted_as_outside() -> None:
    real = torch.randn(50, 2)
    assert not np.array_equal(
        media.scatter(torch.full((9, 2), math.nan), real)[:40], media.scatter(real[:9], real)[:40]
    )
