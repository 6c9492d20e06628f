"""Closed forms and published numbers of the layers that translate pictures."""

import pytest
import torch

from gan_zoo.nn.label_maps import as_maps, boundaries, one_hot, pooled, region_means, regions, spread
from gan_zoo.nn.norms import picture_norm
from gan_zoo.nn.patch import PatchDiscriminator, map_side, receptive_field
from gan_zoo.nn.resnet import ResnetGenerator
from gan_zoo.schema import ConfigError
from tests.models.presets import parameters

# ---- PatchGAN ----------------------------------------------------------------------------------------------


def seen_by_the_centre(network, side):
    """Side of the square of pixels whose gradient of the centre logit is not 0."""
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    logits = network.double()(x)[0]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize(
    ("n_layers", "field", "out", "all_biases", "port"),
    [
        (0, 1, 256, 9_153, 9_025),
        (1, 16, 126, 139_713, 139_585),
        (2, 34, 62, 666_817, 666_433),
        (3, 70, 30, 2_769_601, 2_768_705),
        (4, 142, 14, 6_965_441, 6_964_033),
        (5, 286, 6, 11_161_281, 11_159_361),
    ],
)
def test_patch_discriminators_have_the_papers_fields_maps_and_parameters(
    n_layers, field, out, all_biases, port
):
    settings = {"n_layers": n_layers, "width": 64, "norm": "batch"}
    with torch.device("meta"):
        assert parameters(PatchDiscriminator(6, **settings, bias=True)) == all_biases
        network = PatchDiscriminator(6, **settings)
        assert parameters(network) == port
        assert network(torch.empty(1, 6, 256, 256))[0].shape == (1, 1, out, out)
    assert map_side(256, n_layers, 1) == out
    assert receptive_field(n_layers) == field
    small = PatchDiscriminator(3, n_layers=n_layers, width=1, norm="none", slope=0.9, init="default")
    assert seen_by_the_centre(small, 2 * field + 64) == field


def test_padding_2_makes_even_sides_odd_as_in_pix2pixhd():
    with torch.device("meta"):
        network = PatchDiscriminator(39, n_layers=3, width=64, norm="instance", padding=2, bias=True)
        logits, features = network(torch.empty(1, 39, 256, 512))
    assert parameters(network) == 2_801_601
    sizes = [tuple(x.shape[2:]) for x in (*features, logits)]
    assert sizes == [(129, 257), (65, 129), (33, 65), (34, 66), (35, 67)]


def test_a_patch_discriminator_under_a_gradient_penalty_has_no_batch_norm_and_its_biases_back():
    free = PatchDiscriminator(3, per_sample=True, n_layers=2, width=8, norm="auto")
    assert not [m for m in free.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert all(m.bias is not None for m in free.modules() if isinstance(m, torch.nn.Conv2d))


def test_pictures_too_small_for_the_patches_are_refused_with_the_size():
    with pytest.raises(ConfigError, match="16x32"):
        PatchDiscriminator(3, n_layers=4, width=8, norm="batch").require_size(16, 32)


# ---- residual generators -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "settings", "expected"),
    [
        (3, {"width": 64, "downs": 2, "blocks": 9}, 11_378_179),  # CycleGAN's
        (3, {"width": 64, "downs": 2, "blocks": 6}, 7_837_699),
        (36, {"width": 64, "downs": 4, "blocks": 9}, 182_546_755),  # pix2pixHD's global generator
        (35, {"width": 64, "downs": 4, "blocks": 9}, 182_543_619),
        (39, {"width": 64, "downs": 4, "blocks": 9}, 182_556_163),
        (3, {"width": 16, "downs": 4, "blocks": 0}, 788_803),  # its encoder
    ],
)
def test_residual_generators_have_the_published_parameters(channels, settings, expected):
    with torch.device("meta"):
        network = ResnetGenerator(channels, 3, norm="instance", **settings)
        assert network(torch.empty(1, channels, 64, 128)).shape == (1, 3, 64, 128)
    assert parameters(network) == expected


def test_output_mean_is_half_way_between_the_nets_and_its_input():
    network = ResnetGenerator(3, 3, width=4, downs=1, blocks=1, norm="none", output="mean")
    torch.nn.init.zeros_(network.head.weight), torch.nn.init.constant_(network.head.bias, 0.5)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(network(x), (torch.tensor(0.5).tanh() + x) / 2)
    with pytest.raises(ConfigError, match="4 and 3 channels"):
        ResnetGenerator(4, 3, width=4, downs=1, blocks=1, norm="none", output="mean")


def test_sizes_that_do_not_halve_are_refused_with_sizes_that_do():
    network = ResnetGenerator(3, 3, width=4, downs=3, blocks=1, norm="instance")
    network.require_size(16, 32)
    with pytest.raises(ConfigError, match="16x96 or 24x104"):
        network.require_size(20, 100)
    with pytest.raises(ConfigError, match="at least 2x2"):
        network.require_size(8, 32)


def test_instance_norm_of_translating_nets_has_no_parameters():
    norm, x = picture_norm("instance", 3), 2 + 3 * torch.randn(2, 3, 16, 16)
    assert not list(norm.parameters()) and not list(norm.buffers())
    torch.testing.assert_close(norm(x).mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm(x).square().mean((2, 3)), torch.ones(2, 3), atol=1e-4, rtol=0)


# ---- label and instance maps -------------------------------------------------------------------------------


def test_one_hot_has_exactly_one_1_a_pixel():
    ids = torch.randint(35, (2, 5, 7), dtype=torch.uint8)
    maps = one_hot(ids, 35)
    assert maps.shape == (2, 35, 5, 7)
    assert torch.equal(maps.sum(1), torch.ones(2, 5, 7)) and torch.equal(maps.argmax(1), ids.long())


def test_conditions_are_told_apart_by_their_dimensions():
    picture = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    torch.testing.assert_close(as_maps(picture, 0), torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2))
    once = as_maps(torch.ones(1, 2, 2, dtype=torch.uint8), 3)
    assert as_maps(once, 3) is once
    with pytest.raises(ConfigError, match=r"uint8 \[N, C, H, W\] were wanted"):
        as_maps(torch.ones(1, 2, 2, dtype=torch.uint8), 0)


def test_boundaries_of_one_instance_are_0_and_of_two_half_planes_two_columns():
    assert boundaries(torch.full((1, 4, 6), 7, dtype=torch.int32)).sum() == 0
    halves = torch.zeros(1, 4, 6, dtype=torch.int32)
    halves[..., 3:] = 26001
    expected = torch.zeros(1, 1, 4, 6)
    expected[..., 2:4] = 1
    assert torch.equal(boundaries(halves), expected)
    assert torch.equal(boundaries(halves.transpose(1, 2)), expected.transpose(2, 3))


def test_boundaries_do_not_depend_on_the_numbers_of_instances():
    ids = torch.randint(5, (2, 8, 8), dtype=torch.int32)
    renamed = torch.tensor([900, -4, 26001, 3, 0], dtype=torch.int32)[ids.long()]
    assert torch.equal(boundaries(ids), boundaries(renamed))


def test_pooling_over_instances_is_constant_within_each_and_idempotent():
    instances = torch.tensor([[[5, 5], [9, 9]], [[5, 5], [5, 9]]], dtype=torch.int32)
    maps = torch.arange(8.0).view(2, 1, 2, 2)
    numbers, count = regions(instances)
    assert count == 4  # of each picture its own, though the ids are the same
    once = spread(region_means(maps, numbers, count), numbers)
    torch.testing.assert_close(once[0, 0], torch.tensor([[0.5, 0.5], [2.5, 2.5]]))
    torch.testing.assert_close(once[1, 0], torch.tensor([[5.0, 5.0], [5.0, 7.0]]))
    torch.testing.assert_close(spread(region_means(once, numbers, count), numbers), once)


def test_pooling_to_half_size_leaves_out_what_is_beyond_the_border():
    torch.testing.assert_close(pooled(torch.ones(1, 1, 5, 8)), torch.ones(1, 1, 3, 4))
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert pooled(x)[0, 0, 0, 0] == (0 + 1 + 4 + 5) / 4  # the corner has four neighbours, itself included
