"""The ResNets of WGAN-GP (Gulrajani et al. 2017)."""

import math

import pytest
import torch
from torch import nn

from gan_zoo.nn.norms import BatchNorm
from gan_zoo.nn.residual import ResidualBlock
from gan_zoo.schema import ConfigError
from tests.models.presets import batch_of, build, check_a_round, counts


def test_cifar_nets_have_the_published_parameters():
    assert counts("experiment=wgan_gp_cifar10") == (1_204_483, 1_053_825)


def test_book_nets_have_three_blocks_more_than_the_first():
    """G's equal the paper's; D: 3 -> 128 down, then three blocks down: 151,680 + 3 * 311,680 + 129."""
    assert counts("experiment=book_5_wgan_gp") == (1_204_483, 1_086_849)
    gan = build("experiment=book_5_wgan_gp", "data=digits", device="meta")
    assert len(gan.generator.blocks) == 3 and len(gan.discriminator.blocks) == 4


def test_the_critic_has_no_batch_norm_and_g_has():
    gan = build("experiment=wgan_gp_cifar10")
    assert not any(isinstance(m, BatchNorm) for m in gan.discriminator.modules())
    assert sum(isinstance(m, BatchNorm) for m in gan.generator.modules()) == 7


def test_batch_norm_under_the_penalty_is_refused():
    with pytest.raises(ConfigError, match="batch norm"):
        build("model=wgan_gp", "model.discriminator.norm=batch")
    build("model=wgan_gp", "model.discriminator.norm=auto")
    build("model=wgan_gp", "model.discriminator.norm=layer")


def test_clipped_wgan_of_the_book_may_have_batch_norm_in_its_critic():
    gan = build("experiment=book_5_wgan", device="meta")
    assert sum(isinstance(m, BatchNorm) for m in gan.discriminator.modules()) == 6
    assert (
        gan.regularizer.n_critic(0, gan.n_critic) == 100 and gan.regularizer.n_critic(26, gan.n_critic) == 5
    )


def test_residual_convolutions_have_he_law_and_the_others_glorots():
    gan = build("experiment=wgan_gp_cifar10")
    block = gan.generator.blocks[0]
    first = next(m for m in block.residual if isinstance(m, nn.Conv2d))
    assert first.weight.std().item() == pytest.approx(math.sqrt(4 / (2 * 128 * 9)), rel=0.02)
    shortcut = next(m for m in block.shortcut if isinstance(m, nn.Conv2d))
    assert shortcut.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.03)
    last = next(m for m in gan.generator.last if isinstance(m, nn.Conv2d))
    assert last.weight.std().item() == pytest.approx(math.sqrt(2 / (131 * 9)), rel=0.05)


def test_scores_without_residuals_are_linear_in_the_mean_of_the_picture():
    """With all residual branches silent D is pool, project, ReLU, mean, linear: a closed form."""
    gan = build("model=wgan_gp", "data.resolution=16")
    for block in gan.discriminator.modules():
        if isinstance(block, ResidualBlock):
            for layer in block.residual.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.zeros_(layer.weight)
    colours = torch.tensor([0.3, -0.5])
    x = colours.view(2, 1, 1, 1).expand(2, 1, 16, 16)
    value = colours.view(2, 1)
    for block in gan.discriminator.blocks[:2]:
        project = next(m for m in block.shortcut if isinstance(m, nn.Conv2d))
        value = value @ project.weight.flatten(1).T
    expected = gan.discriminator.head(value.relu()).squeeze(1)
    torch.testing.assert_close(gan.discriminator(x)[0], expected)


@pytest.mark.parametrize("resolution", [8, 16, 28, 32])
def test_a_plain_model_fits_itself_to_the_data(resolution):
    gan = build(
        "model=wgan_gp",
        f"data.resolution={resolution}",
        "model.generator.width=4",
        "model.discriminator.width=4",
    )
    check_a_round(gan, batch_of(gan, torch.rand(4, 1, resolution, resolution) * 2 - 1))


@pytest.mark.parametrize("resolution", [7, 30, 44])
def test_sides_that_cannot_be_doubled_are_refused(resolution):
    with pytest.raises(ConfigError, match="s \\* 2\\^k"):
        build("model=wgan_gp", f"data.resolution={resolution}")


def test_dequantised_pixels_stay_within_their_level():
    gan = build("experiment=wgan_gp_cifar10", "model.generator.width=2", "model.discriminator.width=2")
    levels = torch.arange(256, dtype=torch.uint8).repeat(50).view(50, 1, 16, 16)
    real = gan.prepare_batch({"real": levels})["real"]
    inside = (real + 1) * 128 - levels
    assert inside.min() >= -1e-4 and inside.max() <= 1 + 1e-4
    assert inside.mean().item() == pytest.approx(0.5, abs=0.02)
    plain = build("model=wgan_gp", "data.resolution=16").prepare_batch({"real": levels})["real"]
    torch.testing.assert_close(plain, levels / 127.5 - 1)
