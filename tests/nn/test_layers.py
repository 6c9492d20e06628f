"""Closed forms of the shared layers."""

import math

import pytest
import torch
from torch import nn

from gan_zoo.nn.activations import ToUnitRange, activation, output_activation
from gan_zoo.nn.initialisation import fans, initialise
from gan_zoo.nn.labels import append
from gan_zoo.nn.maxout import Maxout
from gan_zoo.nn.minibatch import MinibatchDiscrimination, MinibatchStdDev
from gan_zoo.nn.norms import BatchNorm, normalisation, resolve
from gan_zoo.nn.per_layer import per_layer
from gan_zoo.nn.residual import ResidualBlock
from gan_zoo.schema import ConfigError


def test_maxout_is_the_largest_of_its_linear_maps():
    torch.manual_seed(0)
    layer, x = Maxout(3, 4, 5), torch.randn(6, 3)
    weight, bias = layer.linear.weight.view(4, 5, 3), layer.linear.bias.view(4, 5)
    maps = torch.stack([x @ weight[:, k].T + bias[:, k] for k in range(5)])
    torch.testing.assert_close(layer(x), maps.max(0).values)


def test_stddev_channel_of_a_constant_batch_is_the_root_of_1e_8():
    y = MinibatchStdDev()(torch.full((4, 3, 2, 2), 0.7))
    assert y.shape == (4, 4, 2, 2)
    torch.testing.assert_close(y[:, 3], torch.full((4, 2, 2), 1e-4))


def test_stddev_of_the_whole_batch_is_the_mean_of_the_features_deviations():
    x = torch.tensor([[0.0, 10.0], [2.0, 10.0]])  # deviations 1 and 0
    torch.testing.assert_close(MinibatchStdDev()(x)[:, 2], torch.full((2,), 0.5), atol=1e-4, rtol=0)


def test_stddev_group_of_sample_i_is_i_mod_m():
    x = torch.zeros(8, 1, 1, 1)
    x[[0, 2, 4, 6]] = torch.tensor([0.0, 2.0, 0.0, 2.0]).view(4, 1, 1, 1)  # group 0 varies by 1, group 1 not
    std = MinibatchStdDev(group=4)(x)[:, 1, 0, 0]
    torch.testing.assert_close(std, torch.tensor([1.0, 1e-4] * 4), atol=1e-6, rtol=1e-4)


def test_stddev_of_a_batch_that_the_group_does_not_divide_takes_a_smaller_group():
    x = torch.randn(6, 2, 1, 1)
    torch.testing.assert_close(MinibatchStdDev(4)(x), MinibatchStdDev(3)(x))


def test_stddev_in_half_precision_has_finite_gradients_for_equal_samples():
    x = torch.full((4, 2, 2, 2), 0.5, dtype=torch.float16, requires_grad=True)
    y = MinibatchStdDev()(x)
    assert y.dtype == torch.float16
    y.float().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_minibatch_discrimination_sums_exponentials_of_l1_distances_to_the_others():
    layer = MinibatchDiscrimination(1, kernels=2, dims=3)
    with torch.no_grad():
        layer.projection.weight.copy_(torch.tensor([[1.0], [0.0], [1.0], [0.5], [0.0], [0.0]]))
    y = layer(torch.tensor([[0.0], [1.0], [3.0]]))[:, 1:]
    first = [math.exp(-2) + math.exp(-6), math.exp(-2) + math.exp(-4), math.exp(-6) + math.exp(-4)]
    second = [math.exp(-0.5) + math.exp(-1.5), math.exp(-0.5) + math.exp(-1), math.exp(-1.5) + math.exp(-1)]
    torch.testing.assert_close(y, torch.tensor([first, second]).T)


def test_minibatch_discrimination_has_salimans_hundred_kernels_of_five():
    layer = MinibatchDiscrimination(16)
    assert layer.projection.weight.shape == (500, 16)
    assert layer(torch.randn(4, 16)).shape == (4, 116)


@pytest.mark.parametrize(
    ("layer", "inward", "outward"),
    [
        (nn.Linear(3, 5), 3, 5),
        (nn.Conv2d(3, 5, 4), 48, 80),
        (nn.ConvTranspose2d(3, 5, 4), 48, 80),
    ],
)
def test_fans_count_inputs_and_outputs_of_transposed_convolutions_too(layer, inward, outward):
    assert fans(layer) == (inward, outward)


@pytest.mark.parametrize(
    ("law", "scale", "std"),
    [
        ("normal", 0.02, 0.02),
        ("truncated_normal", 0.02, 0.02 * 0.87962566),  # of a normal cut at two deviations
        ("uniform", 0.05, 0.05 / math.sqrt(3)),
        ("glorot_uniform", 1.0, math.sqrt(2 / 1200)),
        ("glorot_normal", 1.0, math.sqrt(2 / 1200)),
        ("he_uniform", 1.0, math.sqrt(2 / 400)),
        ("he_normal", 1.0, math.sqrt(2 / 400)),
    ],
)
def test_initial_weights_have_the_laws_deviation_and_biases_are_zero(law, scale, std):
    torch.manual_seed(0)
    layer = nn.Linear(400, 800)
    initialise(layer, law, scale)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.01)
    assert abs(layer.weight.mean().item()) < 0.01 * std * 3
    assert not layer.bias.any()


def test_a_truncated_normal_ends_at_two_deviations():
    torch.manual_seed(0)
    layer = nn.Linear(400, 800)
    initialise(layer, "truncated_normal", 0.02)
    assert 0.0399 < layer.weight.abs().max().item() <= 0.04


def test_default_initialisation_leaves_torchs_own():
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    before = layer.weight.clone()
    initialise(layer, "default")
    assert torch.equal(layer.weight, before) and layer.bias.any()


def test_batch_norm_gains_are_drawn_around_one():
    torch.manual_seed(0)
    gains = BatchNorm(100_000, gain_std=0.02).weight
    assert gains.mean().item() == pytest.approx(1.0, abs=5e-4)
    assert gains.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("running", [True, False])
def test_a_picture_depends_on_its_batch_mates_only_without_running_averages(running):
    torch.manual_seed(0)
    norm = BatchNorm(3, running=running).eval()
    one, others = torch.randn(1, 3, 4, 4), torch.randn(5, 3, 4, 4)
    together = norm(torch.cat([one, others]))[:1]
    assert torch.allclose(norm(one), together) == running


def test_batch_norm_momentum_is_the_weight_of_the_new_batch():
    norm = BatchNorm(1, momentum=0.25)
    norm(torch.full((8, 1), 4.0))
    assert norm.running_mean is not None and norm.running_mean.item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["instance", "layer"])
def test_norms_within_a_sample_ignore_the_other_samples(name):
    torch.manual_seed(0)
    norm, x = normalisation(name, 4), torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(norm(x)[:1], norm(x[:1]))


def test_layer_norm_is_over_all_values_of_a_sample():
    y = normalisation("layer", 4)(torch.randn(3, 4, 5, 5) * 3 + 7).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_auto_norm_is_batch_norm_unless_a_penalty_is_each_samples_own():
    assert (resolve("auto", False), resolve("auto", True), resolve("layer", True)) == (
        "batch",
        "none",
        "layer",
    )


def test_sigmoid_output_is_stretched_to_the_range_of_tanh():
    x = torch.randn(100)
    torch.testing.assert_close(output_activation("sigmoid")(x), torch.tanh(x / 2))
    torch.testing.assert_close(ToUnitRange()(output_activation("sigmoid")(x)), x.sigmoid())


def test_leaky_relu_has_the_slope_it_was_given():
    assert activation("leaky_relu", 0.3)(torch.tensor(-2.0)).item() == pytest.approx(-0.6)


@pytest.mark.parametrize("make", [activation, output_activation, lambda name: normalisation(name, 3)])
def test_unknown_names_are_refused_with_the_known_ones(make):
    with pytest.raises(ValueError, match="must be one of"):
        make("relo")


@pytest.mark.parametrize(
    ("setting", "count", "values"), [(5, 3, [5, 5, 5]), ([1, 2], 2, [1, 2]), ("relu", 1, ["relu"])]
)
def test_a_setting_is_repeated_or_has_one_value_a_layer(setting, count, values):
    assert per_layer(setting, count, "kernel") == values
    if isinstance(setting, list):
        with pytest.raises(ConfigError, match="kernel has 2 values for 3 layers"):
            per_layer(setting, 3, "kernel")


def test_labels_are_constant_maps_beside_pictures():
    y = append(torch.zeros(2, 1, 3, 3), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert y.shape == (2, 3, 3, 3)
    assert (y[1, 2] == 4).all() and (y[0, 1] == 1).all() and (y[:, 0] == 0).all()


@pytest.mark.parametrize(("kind", "side"), [("up", 16), ("down", 4), ("none", 8)])
def test_a_residual_block_without_its_residual_is_its_shortcut(kind, side):
    block = ResidualBlock(3, 3, kind, activation=nn.ReLU, norm=lambda n: nn.Identity())
    for parameter in block.residual[-2 if kind == "down" else -1].parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 3, 8, 8)
    assert block(x).shape == (2, 3, side, side)
    torch.testing.assert_close(block(x), block.shortcut(x))
    assert isinstance(block.shortcut, nn.Identity) == (kind == "none")
