"""The fully connected players."""

from typing import Any

import torch

from gan_zoo.nn.activations import UnitSigmoid
from gan_zoo.nn.dense import DenseDiscriminator, DenseGenerator
from gan_zoo.nn.norms import BatchNorm
from tests.models.presets import parameters


def maxout_discriminator(in_features, units):
    return DenseDiscriminator(
        in_features, units=[units, units], activation="maxout", pieces=5, init="uniform"
    )


def test_tfd_and_cifar_nets_of_2014_have_the_published_parameters():
    with torch.device("meta"):
        assert parameters(maxout_discriminator(48 * 48, 1200)) == 21_037_201
        assert parameters(maxout_discriminator(3072, 1600)) == 37_393_601
        generator = DenseGenerator(
            100,
            (3, 32, 32),
            units=[8000, 8000],
            activation=["relu", "sigmoid"],
            output="linear",
            init="uniform",
        )
        assert parameters(generator) == 89_395_072


def test_auto_output_is_tanh_for_pictures_and_linear_for_points():
    made: dict[str, Any] = dict(units=[4], activation="relu", output="auto", init="normal")
    picture, points = DenseGenerator(3, (1, 2, 2), **made), DenseGenerator(3, (2,), **made)
    assert isinstance(picture.output, torch.nn.Tanh) and isinstance(points.output, torch.nn.Identity)
    assert picture(torch.randn(5, 3)).shape == (5, 1, 2, 2) and points(torch.randn(5, 3)).shape == (5, 2)


def test_dropout_stays_on_in_training_and_is_off_in_evaluation():
    torch.manual_seed(0)
    discriminator = DenseDiscriminator(
        9, units=[64], activation="relu", input_dropout=0.2, dropout=0.5, init="normal"
    )
    x = torch.randn(4, 1, 3, 3)
    assert not torch.equal(discriminator(x)[0], discriminator(x)[0])
    discriminator.eval()
    assert torch.equal(discriminator(x)[0], discriminator(x)[0])


def test_dropout_shares_are_those_of_2014():
    discriminator = DenseDiscriminator(
        10_000,
        units=[10_000],
        activation="linear",
        input_dropout=0.2,
        dropout=0.5,
        init="normal",
        init_scale=0.01,
    )
    seen = discriminator.input(torch.ones(1, 10_000))
    assert abs((seen == 0).float().mean().item() - 0.2) < 0.02
    torch.testing.assert_close(seen.max(), torch.tensor(1 / 0.8))
    hidden = discriminator(torch.ones(1, 10_000))[1][0]
    assert abs((hidden == 0).float().mean().item() - 0.5) < 0.02


def test_discriminator_norm_spares_the_first_layer():
    discriminator = DenseDiscriminator(8, units=[4, 4, 4], activation="relu", norm="auto", init="normal")
    assert [
        any(isinstance(m, BatchNorm) for m in layer.modules()) for layer in discriminator.hidden.layers
    ] == [
        False,
        True,
        True,
    ]
    penalised = DenseDiscriminator(
        8, units=[4, 4, 4], activation="relu", norm="auto", init="normal", per_sample=True
    )
    assert not any(isinstance(m, BatchNorm) for m in penalised.modules())


def test_features_are_the_hidden_layers_outputs_and_the_last_feeds_the_head():
    discriminator = DenseDiscriminator(8, units=[6, 5], activation="relu", minibatch="stddev", init="normal")
    logits, features = discriminator(torch.randn(4, 8))
    assert logits.shape == (4,) and [f.shape[1] for f in features] == [6, 6]  # 5 + 1 of the minibatch
    torch.testing.assert_close(discriminator.head(features[-1]).squeeze(1), logits)


def test_sigmoid_generator_is_the_2014_net_stretched():
    torch.manual_seed(0)
    made: dict[str, Any] = dict(units=[4], activation="relu", init="uniform", init_scale=0.5)
    stretched = DenseGenerator(3, (1, 2, 2), output="sigmoid", **made)
    logits = DenseGenerator(3, (1, 2, 2), output="linear", **made)
    logits.load_state_dict(stretched.state_dict())
    z = torch.randn(5, 3)
    assert isinstance(stretched.output, UnitSigmoid)
    torch.testing.assert_close((stretched(z) + 1) / 2, logits(z).sigmoid())
