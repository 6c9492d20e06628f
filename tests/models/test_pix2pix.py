"""pix2pix (Isola et al. 2017): networks, terms and the noise."""

import pytest
import torch

from gan_zoo.config import compose, validate
from gan_zoo.models.pix2pix import ResidualDiscriminator, UNet
from gan_zoo.schema import ConfigError
from tests.models.presets import build, check_a_round, parameters

SMALL = ["data.resolution=32", "model.generator.unet.width=8", "model.discriminator.patch.width=8"]
PICTURES = ["data.input_channels=3", "data.classes=0"]


def unet(**settings):
    sizes = {"in_channels": 3, "out_channels": 3, "height": 256, "picture_width": 256}
    return UNet(**(sizes | {"width": 64, "norm": "batch"} | settings))


def batch_of(gan, n=4, height=32, width=32):
    """As the wire has it: label maps, or pictures."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=generator)
    shape = (n, height, width) if gan.classes_of_maps else (n, 3, height, width)
    condition = torch.randint(gan.classes_of_maps or 256, shape, dtype=torch.uint8, generator=generator)
    return {"real": real, "condition": condition}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"bias": True}, 54_419_459),
        ({"bias": True, "in_channels": 1}, 54_417_411),
        ({"bias": True, "in_channels": 1, "out_channels": 2}, 54_415_362),
        ({}, 54_413_955),  # the PyTorch port's
        ({"bias": True, "height": 128, "picture_width": 128}, 41_833_475),
        ({"height": 128, "picture_width": 128}, 41_828_995),
        ({"bias": True, "skips": False}, 39_080_963),
    ],
)
def test_u_nets_have_the_published_parameters(settings, expected):
    with torch.device("meta"):
        assert parameters(unet(**settings)) == expected


def test_u_net_256_has_a_bottleneck_of_one_pixel_without_norm_and_dropout_in_three_layers():
    with torch.device("meta"):
        network = unet()
        x, sides = torch.empty(1, 3, 256, 256), []
        for layer in network.encoder:
            x = layer(x)
            sides.append(x.shape[-1])
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    assert x.shape == (1, 512, 1, 1) and sides == [128, 64, 32, 16, 8, 4, 2, 1]
    normed = [[type(m).__name__ for m in layer.modules()].count("BatchNorm") for layer in network.encoder]
    assert normed == [0, 1, 1, 1, 1, 1, 1, 0]
    dropped = [any(isinstance(m, torch.nn.Dropout) for m in layer) for layer in network.decoder]
    assert dropped == [True, True, True, False, False, False, False]


def test_levels_fit_themselves_to_both_sides():
    assert [
        unet(height=h, picture_width=w, width=1).levels for h, w in ((64, 128), (256, 512), (48, 96))
    ] == [6, 8, 4]
    with pytest.raises(ConfigError, match="multiples of 4"):
        unet(height=30, picture_width=64)
    with pytest.raises(ConfigError, match="32x64 or 64x64"):
        unet(height=48, picture_width=64, levels=5, width=1).require_size(48, 64)


def test_paper_preset_has_the_papers_networks_and_game():
    gan = build("experiment=pix2pix_paper", "data.root=x", device="meta")
    assert parameters(gan.generator) == 54_413_955 + 64 * 16 * (gan.classes_of_maps - 3)
    assert parameters(gan.discriminator) == 2_768_705 + 64 * 16 * (gan.classes_of_maps - 3)
    assert gan.weights == {
        "generator": {"adversarial": 1.0, "l1": 100.0},
        "discriminator": {"real": 0.5, "fake": 0.5},
    }
    assert gan.batch_statistics and gan.update == "alternating"
    assert validate(compose(["experiment=pix2pix_paper", "data.root=x"]))["data"]["batch_size"] == 1


@pytest.mark.parametrize("overrides", [[], PICTURES, ["data.width=64"]])
def test_label_maps_and_pictures_of_any_shape_play_a_round(overrides):
    gan = build("model=pix2pix", *SMALL, *overrides)
    batch = gan.prepare_batch(batch_of(gan, width=gan_width(overrides)))
    assert batch["condition"].shape[:2] == (4, 3 if overrides == PICTURES else 8)
    check_a_round(gan, batch)


def gan_width(overrides):
    return 64 if "data.width=64" in overrides else 32


@pytest.mark.parametrize("conditional", [True, False])
def test_d_sees_what_the_picture_was_made_from_only_where_it_is_conditional(conditional):
    gan = build("model=pix2pix", *SMALL, f"model.discriminator.conditional={str(conditional).lower()}").eval()
    batch = gan.prepare_batch(batch_of(gan))
    other = {**batch, "condition": batch["condition"].flip(0)}
    change = gan.discriminate(batch["real"], batch).logits - gan.discriminate(batch["real"], other).logits
    assert (change.abs().max() > 1e-6) == conditional
    real = batch["real"].clone().requires_grad_()
    gan.discriminate(real, batch).logits.sum().backward()
    assert real.grad.abs().sum() > 0


def test_l1_is_the_mean_absolute_difference():
    gan = build("model=pix2pix", *SMALL)
    batch = gan.prepare_batch(batch_of(gan))
    assert gan.generator_terms(batch, batch["real"] + 0.25)["l1"].item() == pytest.approx(0.25, rel=1e-5)


def test_with_l1_alone_g_learns_one_pair_by_heart():
    torch.manual_seed(0)
    wide = [
        "model.generator.unet.width=16",
        "model.generator.unet.widest=8",
        "model.generator.unet.dropout=0.0",
    ]
    gan = build("model=pix2pix", *SMALL, *wide)
    batch = gan.prepare_batch(batch_of(gan, 1))
    target = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4) * 1.6 - 0.8, size=32, mode="bilinear")
    adam = torch.optim.Adam(gan.generator.parameters(), lr=3e-3, betas=(0.5, 0.999))
    for _ in range(150):
        loss = (gan.generate(batch) - target).abs().mean()
        adam.zero_grad(), loss.backward(), adam.step()
    assert loss < 0.05  # 0.39 at first


@pytest.mark.parametrize("kept", [True, False])
def test_dropout_is_the_noise_and_stays_at_test_time_where_asked(kept):
    gan = build("model=pix2pix", *SMALL, f"model.generator.unet.dropout_at_test={str(kept).lower()}")
    inputs = {"condition": batch_of(gan)["condition"]}
    samples = [gan.sample(4, seed=seed, inputs=inputs) for seed in (0, 0, 1)]
    assert torch.equal(samples[0], samples[1])
    assert torch.equal(samples[0], samples[2]) != kept


def test_book_discriminator_ends_in_one_logit_a_picture():
    with torch.device("meta"):
        network = ResidualDiscriminator(3, 32, 64, width=16, norm="batch")
        logits, features = network(torch.empty(2, 3, 32, 64))
    assert logits.shape == (2,)
    assert [tuple(x.shape[1:]) for x in features] == [(16, 32, 64), (32, 16, 32), (64, 8, 16), (128, 4, 8)]


def test_book_preset_plays_and_keeps_half_of_its_input():
    gan = build("experiment=book_5_i2i", "data.resolution=32")
    assert gan.generator.network.output == "mean"
    check_a_round(gan, gan.prepare_batch(batch_of(gan)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.classes=0"], "one of them must be 0"),
        (["data.input_channels=3"], "one of them must be 0"),
        (["model.generator.unet=null"], "wants one of unet, resnet, got none"),
        (["model.generator.unet.levels=6"], "64x64"),
        (["model.discriminator.patch.n_layers=5"], "no logit left for 32x32"),
        (["+model.augment.translation=0.125"], "not what it was made from"),
    ],
)
def test_what_cannot_be_right_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build("model=pix2pix", *SMALL, *overrides)


def test_data_without_pairs_are_refused_in_words():
    with pytest.raises(ConfigError, match="made for pair"):
        validate(compose(["model=pix2pix", "data=digits"]))
