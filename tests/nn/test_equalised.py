"""Equalised learning rate and pixel norm (Karras et al. 2018, sec. 4)."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from gan_zoo.nn.equalised import EqualisedConv2d, EqualisedLinear, blended, halved, upsampled
from gan_zoo.nn.minibatch import MinibatchStdDev
from gan_zoo.nn.norms import PixelNorm
from tests.nn.test_parallel import on_two_ranks


@pytest.mark.parametrize("gain", [math.sqrt(2), 1.0])
@pytest.mark.parametrize("equalised", [True, False])
def test_outputs_of_normal_inputs_have_the_variance_of_the_gain_squared(gain: float, equalised: bool) -> None:
    torch.manual_seed(0)
    dense = EqualisedLinear(256, 400, gain=gain, equalised=equalised)
    assert dense(torch.randn(400, 256)).var().item() == pytest.approx(gain**2, rel=0.05)
    conv = EqualisedConv2d(32, 64, 3, gain=gain, equalised=equalised)
    inner = conv(torch.randn(16, 32, 10, 10))[
        :, :, 1:-1, 1:-1
    ]  # at the border a third of the inputs is missing
    assert inner.var().item() == pytest.approx(gain**2, rel=0.05)


def test_weights_are_standard_normal_or_he_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    assert EqualisedLinear(256, 400).weight.std().item() == pytest.approx(1.0, rel=0.02)
    he = EqualisedConv2d(32, 64, 3, equalised=False)
    assert he.weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.02)
    assert he.scale == 1.0 and not he.bias.any()


@pytest.mark.parametrize("side", [2, 32])  # few inputs: they are scaled; many: the weights are
def test_scaling_the_input_or_the_weight_is_the_same_layer(side: int) -> None:
    torch.manual_seed(0)
    conv, x = EqualisedConv2d(24, 24, 3), torch.randn(2, 24, side, side)
    expected = F.conv2d(x, conv.weight * math.sqrt(2 / (24 * 9)), conv.bias, padding=1)
    torch.testing.assert_close(conv(x), expected)


def test_all_layers_learn_at_one_rate() -> None:
    """One Adam step moves an equalised weight by the same share of its range whatever the fan-in."""
    torch.manual_seed(0)
    for width in (4, 400):
        layer = EqualisedLinear(width, 8)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.randn(16, width)).square().mean().backward()
        optimizer.step()
        assert (layer.weight.detach() - before).abs().mean().item() == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("shape", [(5, 7), (3, 6, 4, 4)])
def test_pixel_norm_leaves_mean_square_one_at_each_pixel(shape: tuple[int, ...]) -> None:
    y = PixelNorm()(torch.randn(shape) * 30 + 5)
    torch.testing.assert_close(y.square().mean(1), torch.ones(y.square().mean(1).shape))


def test_pixel_norm_of_zeros_in_half_precision_is_zero_with_finite_gradients() -> None:
    x = torch.zeros(2, 4, dtype=torch.float16, requires_grad=True)
    y = PixelNorm()(x)
    y.sum().backward()
    assert y.dtype == torch.float16 and not y.any()
    assert x.grad is not None and x.grad.isfinite().all()


def test_halving_undoes_upsampling_and_blending_is_a_straight_line() -> None:
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(halved(upsampled(x)), x)
    torch.testing.assert_close(upsampled(x)[0, 0, :2, :2], x[0, 0, 0, 0].expand(2, 2))
    y = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(blended(x, y, torch.tensor(0.25)), 0.75 * x + 0.25 * y)
    assert blended(x.bfloat16(), y.bfloat16(), torch.tensor(0.25)).dtype == torch.bfloat16


def twice_differentiated(layer: MinibatchStdDev, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, gradient of a cubic score of it, and the gradient of that gradient's size, for inputs x."""
    x = x.detach().requires_grad_()
    y = layer(x)
    (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    return y.detach(), first.detach(), second


@pytest.mark.ddp
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks two gloo processes")
@pytest.mark.parametrize("group", [2, 3, None])  # of 3: four groups, which the ranks begin at 0 and at 2
def test_stddev_on_two_ranks_is_that_of_the_whole_batch_and_so_are_its_gradients(
    group: int | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(12, 3, 2, 2), MinibatchStdDev(group)
    whole = twice_differentiated(layer, x)

    def body(number: int) -> None:
        rows = slice(6 * number, 6 * number + 6)
        for mine, all_of_them in zip(twice_differentiated(layer, x[rows]), whole, strict=True):
            torch.testing.assert_close(mine, all_of_them[rows], atol=1e-4, rtol=1e-4)
        assert dist.get_world_size() == 2

    on_two_ranks(tmp_path, body)
