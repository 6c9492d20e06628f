"""Sides, layers and parameters of the convolutional players."""

from typing import Any

import pytest
import torch
from torch import nn

from gan_zoo.nn.convolution import ConvDiscriminator, ConvGenerator
from gan_zoo.nn.norms import BatchNorm
from gan_zoo.nn.resampling import down_convolution, pyramid, sides_down, up_convolution
from gan_zoo.schema import ConfigError
from tests.models.presets import parameters

G: dict[str, Any] = dict(
    stem="linear", kernel=4, norm="batch", activation="relu", output="tanh", init="normal", init_scale=0.02
)
D: dict[str, Any] = dict(kernel=4, norm="batch", activation="leaky_relu", init="normal", init_scale=0.02)


@pytest.mark.parametrize("side", [8, 9, 16, 20, 28, 29, 31, 32, 48, 64, 100, 128, 255, 256])
@pytest.mark.parametrize(
    ("kernel", "upsample"), [(4, "transposed"), (5, "transposed"), (3, "nearest"), (5, "bilinear")]
)
def test_every_side_comes_back(side, kernel, upsample):
    with torch.device("meta"):
        generator = ConvGenerator(10, side, 2, **{**G, "kernel": kernel}, width=2, upsample=upsample)
        discriminator = ConvDiscriminator(side, 2, **{**D, "kernel": kernel}, width=2)
        picture = generator(torch.randn(2, 10))
    assert picture.shape == (2, 2, side, side)
    assert discriminator(picture)[0].shape == (2,)


@pytest.mark.parametrize(
    ("side", "sides"), [(8, [8, 4]), (28, [28, 14, 7]), (64, [64, 32, 16, 8, 4]), (100, [100, 50, 25, 13, 7])]
)
def test_a_side_is_halved_until_at_most_seven(side, sides):
    channels, strides = pyramid(side, 8, None, 16, 2, None)
    assert sides_down(side, strides) == sides
    assert channels == [8, 16, 16, 16][: len(sides) - 1]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, 4, 5, 7])
@pytest.mark.parametrize("side", [7, 8, 13])
def test_up_convolution_undoes_the_side_of_down_convolution(side, kernel, stride):
    if stride == 1 and kernel == 4:
        with pytest.raises(ConfigError, match="odd"):
            down_convolution(1, 1, kernel, stride, side, bias=True)
        return
    small = down_convolution(2, 3, kernel, stride, side, bias=True)(torch.zeros(1, 2, side, side))
    assert small.shape[2] == sides_down(side, [stride])[1]
    large = up_convolution(3, 2, kernel, stride, "transposed", small.shape[2], side, bias=True)(small)
    assert large.shape == (1, 2, side, side)


def test_no_bias_where_batch_norm_follows_and_no_norm_at_the_ends():
    generator = ConvGenerator(10, 32, 1, **G, width=4, hidden=[8])
    discriminator = ConvDiscriminator(32, 1, **D, width=4)
    for network in (generator, discriminator):
        for block in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
            kinds = list(block)
            if len(kinds) > 1 and isinstance(kinds[1], BatchNorm):
                assert kinds[0].bias is None
    assert generator.stem.map.bias is None
    assert not any(isinstance(m, BatchNorm) for m in generator.layers[-1].modules())
    assert not any(isinstance(m, BatchNorm) for m in discriminator.layers[0].modules())
    assert generator.layers[-1][0].bias is not None and discriminator.layers[0][0].bias is not None
    assert sum(isinstance(m, BatchNorm) for m in generator.modules()) == 4  # hidden, stem, two layers
    assert sum(isinstance(m, BatchNorm) for m in discriminator.modules()) == 2


def test_a_penalty_on_each_sample_takes_auto_batch_norm_out_of_d():
    norms = [
        sum(
            isinstance(m, BatchNorm)
            for m in ConvDiscriminator(
                32, 1, **{**D, "norm": "auto"}, width=4, per_sample=per_sample
            ).modules()
        )
        for per_sample in (False, True)
    ]
    assert norms == [2, 0]


def test_per_layer_lists_are_checked_against_the_layers():
    with pytest.raises(ConfigError, match="kernel has 2 values for 3 layers"):
        ConvGenerator(10, 32, 1, **{**G, "kernel": [4, 4]}, width=4)
    with pytest.raises(ConfigError, match="ends at a side of 4 and not 7"):
        ConvGenerator(10, 32, 1, **G, width=4, start=7)
    with pytest.raises(ConfigError, match="no layer to build"):
        ConvDiscriminator(4, 1, **D, width=4)
    with pytest.raises(ConfigError, match="stem_norm"):
        ConvGenerator(10, 32, 1, **{**G, "stem": "conv"}, width=4, stem_norm="unit")


def test_pooling_head_reads_the_mean_of_each_map():
    discriminator = ConvDiscriminator(32, 1, **{**D, "norm": "none"}, width=4, head="pool")
    logits, features = discriminator(torch.randn(3, 1, 32, 32))
    assert discriminator.head.in_features == 16 and features[-1].shape == (3, 16)
    torch.testing.assert_close(logits, discriminator.head(features[-1]).squeeze(1))


@pytest.mark.parametrize(("minibatch", "width"), [("none", 256), ("stddev", 272), ("discrimination", 356)])
def test_minibatch_layers_widen_what_the_head_reads(minibatch, width):
    discriminator = ConvDiscriminator(32, 1, **D, width=4, minibatch=minibatch)
    assert discriminator.head.in_features == width
    _, features = discriminator(torch.randn(4, 1, 32, 32))
    assert [f.shape[1] for f in features] == [4, 8, width]


def test_the_label_widens_every_layer_by_its_size():
    drawing = [parameters(ConvGenerator(10, 32, 1, **G, width=4, hidden=[6], label=k)) for k in (0, 5)]
    assert drawing[1] - drawing[0] == 5 * (6 + 16 * 16 + 16 * (8 + 4 + 1))
    judging = [parameters(ConvDiscriminator(32, 1, **D, width=4, hidden=[6], label=k)) for k in (0, 5)]
    assert judging[1] - judging[0] == 5 * (16 * (4 + 8 + 16) + 6 + 1)


def test_unit_range_shows_the_net_pixels_in_0_1():
    torch.manual_seed(0)
    inside = ConvDiscriminator(32, 1, **D, width=4, unit_range=True).eval()
    outside = ConvDiscriminator(32, 1, **D, width=4).eval()
    outside.load_state_dict(inside.state_dict())
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(inside(2 * x - 1)[0], outside(x)[0])


def test_relativistic_standard_cnn_has_the_published_parameters():
    with torch.device("meta"):
        generator = ConvGenerator(
            128,
            32,
            3,
            **{**G, "kernel": [4, 4, 4, 3], "norm": ["none", "batch", "batch", "batch"]},
            channels=[512, 256, 128, 64],
            stride=[2, 2, 2, 1],
            bias=True,
        )
        discriminator = ConvDiscriminator(
            32,
            3,
            **{**D, "kernel": [3, 4, 3, 4, 3, 4, 3], "norm": "none"},
            slope=0.1,
            channels=[64, 64, 128, 128, 256, 256, 512],
            stride=[1, 2, 1, 2, 1, 2, 1],
        )
    assert (parameters(generator), parameters(discriminator)) == (3_812_355, 2_935_873)
