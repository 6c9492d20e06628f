"""SEGAN: the authors' network to the parameter, virtual batch norm, exact lengths, pre-emphasis."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gan_zoo.models.segan import VirtualBatchNorm
from gan_zoo.nn.waveform import Grow, Shrink, code_length, de_emphasis, full_scale, pre_emphasis
from gan_zoo.schema import ConfigError
from tests.models.presets import build, check_a_round, counts

SMALL = ["data.resolution=2048", "model.generator.channels=[4,4,4,4,4,4,4,4,4,4,4]", "model.latent.size=4",
         "model.discriminator.channels=[4,4,4,4,4,4,4,4,4,4,4]"]  # fmt: skip
LOSSES = [
    ("least_squares_whole", "none"),
    ("hinge", "gradient_penalty"),
    ("rpgan", "r1_r2"),
    ("ragan_ls", "spectral_norm"),
]


def batch_of(gan, n=3, length=2048, seed=0):
    random = torch.Generator().manual_seed(seed)
    sounds = {
        key: torch.randint(-3000, 3000, (n, 1, length), generator=random, dtype=torch.int16)
        for key in ("real", "condition")
    }
    return {**gan.prepare_batch(sounds), **({"latent": gan.latent.fixed(n, 0)} if gan.latent else {})}


def test_the_published_network_has_the_authors_parameters():
    assert counts("experiment=segan_paper") == (73_100_049, 24_373_081)
    bare = ["model.generator.bias=false", "model.discriminator.bias=false"]
    assert counts("experiment=segan_paper", *bare) == (73_096_048, 24_370_569)


def test_the_published_weights_are_drawn_as_the_authors_draw_them():
    """Truncated normal 0.02 but for D's linear layer, TensorFlow's Glorot: uniform within sqrt(6 / (8 + 1))."""
    torch.manual_seed(0)
    narrow = "[8,8,8,8,8,8,8,8,8,8,8]"
    gan = build(
        "experiment=segan_paper",
        f"model.generator.channels={narrow}",
        f"model.discriminator.channels={narrow}",
        "model.latent.size=8",
    )
    for layer in [*gan.generator.encoder[1:], *gan.generator.decoder[:-1], *gan.discriminator.layers[1:]]:
        weight = layer.conv.weight
        assert weight.abs().max() <= 0.04 and weight.std().item() == pytest.approx(0.0176, rel=0.1)
    assert gan.discriminator.squeeze.weight.abs().max() <= 0.04
    assert 0.2 < gan.discriminator.head.weight.abs().max() <= (6 / 9) ** 0.5


def test_a_window_of_16384_is_halved_eleven_times_to_8():
    gan = build("experiment=segan_paper", device="meta")
    assert gan.latent.size == [1024, 8]
    x, lengths = torch.empty(1, 1, 16384, device="meta"), []
    for layer in gan.generator.encoder:
        x = layer(x)
        lengths.append(x.shape[-1])
    assert lengths == [8192 >> k for k in range(11)]
    made = gan.generator(torch.empty(1, 1, 16384, device="meta"), torch.empty(1, 1024, 8, device="meta"))
    assert made.shape == (1, 1, 16384)


def test_convolutions_are_tensorflows_same():
    """TF pads 14 before and 15 behind: output t reads samples 2 t - 14 ... 2 t + 16; its transpose gives them back."""
    x = torch.zeros(1, 1, 64)
    x[0, 0, 20] = 1
    layer = Shrink(1, 1, 31, 2, "zeros", bias=False)
    nn.init.ones_(layer.conv.weight)
    assert layer(x)[0, 0].nonzero().flatten().tolist() == [
        t for t in range(32) if 0 <= 20 - (2 * t - 14) < 31
    ]
    back = Grow(1, 1, 31, 2, "transposed", bias=False)
    with torch.no_grad():
        back.conv.weight.copy_(layer.conv.weight)
    y = torch.randn(1, 1, 32)
    assert torch.allclose((layer(x) * y).sum(), (x * back(y)).sum(), atol=1e-4)  # the adjoint


@pytest.mark.parametrize("decoder", ["transposed", "upsample"])
@pytest.mark.parametrize(("kernel", "stride"), [(31, 2), (31, 4), (15, 8), (5, 3)])
def test_growing_multiplies_the_length_by_the_stride(decoder, kernel, stride):
    assert Grow(3, 2, kernel, stride, decoder, True)(torch.randn(2, 3, 7)).shape == (2, 2, 7 * stride)


def test_skips_are_taken_before_the_activation():
    """With a PReLU that kills everything and no z, only the linear maps of the encoder reach the output."""
    gan = build("model=segan", *SMALL)
    for activation in gan.generator.encoder_activations:
        nn.init.zeros_(activation.weight)
    noisy = torch.randn(1, 1, 2048) * 0.1
    first = gan.generator.encoder[0]
    with torch.no_grad():
        first.conv.weight.abs_().neg_()
        first.conv.bias.fill_(-1)  # its map is negative everywhere: a skip behind the PReLU would be 0
        last = gan.generator.decoder[-1].conv
        last.weight.zero_(), last.bias.zero_()
        last.weight[4:] = 1  # reads the skip alone
        out = gan.generator(noisy.abs(), gan.latent.fixed(1, 0))
    assert (out < -0.9).all()


def test_virtual_batch_norm_mixes_the_live_batch_with_weight_1_of_n_plus_1():
    torch.manual_seed(0)
    reference, live = torch.randn(3, 2, 5) * 2 + 1, torch.randn(3, 2, 5) - 4
    norm = VirtualBatchNorm(2, gain_std=0.0)
    made, own = norm(live, reference)
    mean = (live.mean((0, 2)) + 3 * reference.mean((0, 2))) / 4
    square = (live.square().mean((0, 2)) + 3 * reference.square().mean((0, 2))) / 4
    wanted = (live - mean.view(-1, 1)) / (square - mean.square() + 1e-5).sqrt().view(-1, 1)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own, nn.BatchNorm1d(2)(reference), atol=1e-5, rtol=1e-5)


def test_of_the_reference_itself_virtual_batch_norm_is_batch_norm():
    gan = build("model=segan", *SMALL)
    batch = batch_of(gan)
    same = gan.discriminate(batch["real"], batch).features[5]  # of size 1, unlike the logits
    copied = gan.discriminate(batch["real"].clone(), batch).features[5]
    torch.testing.assert_close(copied, same, atol=1e-3, rtol=1e-3)
    louder = gan.discriminate(batch["real"], {**batch, "real": 10 * batch["real"]}).features[5]
    assert (louder - same).abs().mean() > 0.05


def test_reals_and_fakes_are_judged_by_the_real_batchs_statistics():
    """What the other fakes are matters little: 1 / (N + 1) in place of all."""
    gan = build("model=segan", *SMALL)
    batch = batch_of(gan)
    fake = batch["real"][:, :, torch.randperm(2048)]
    alone = gan.discriminate(fake, batch).logits[0]
    others = gan.discriminate(torch.cat([fake[:1], 50 * fake[1:]]), batch).logits[0]
    assert alone != others  # but they do count


@pytest.mark.parametrize(("loss", "regularizer"), LOSSES)
def test_losses_and_regularisers_go_with_it(loss, regularizer):
    gan = build("model=segan", *SMALL, f"loss={loss}", f"regularizer={regularizer}")
    check_a_round(gan, batch_of(gan))
    assert (gan.discriminator.norms is None) == gan.regularizer.per_sample


def test_a_penalty_on_each_samples_gradient_is_refused_where_virtual_batch_norm_mixes_them():
    norm = "model.discriminator.norm=virtual"
    with pytest.raises(ConfigError, match="batch norm, which mixes the samples"):
        build("model=segan", *SMALL, norm, "loss=hinge", "regularizer=gradient_penalty")
    assert build("model=segan", *SMALL, norm, "loss=hinge", "regularizer=spectral_norm").discriminator.norms


def test_generators_own_term_is_the_mean_absolute_difference():
    gan = build("model=segan", *SMALL)
    batch = batch_of(gan)
    assert gan.weights["generator"] == {"adversarial": 1.0, "l1": 100.0}
    assert gan.weights["discriminator"] == {"real": 1.0, "fake": 1.0}
    terms = gan.generator_terms(batch, batch["real"] + 0.25)
    torch.testing.assert_close(terms["l1"], torch.tensor(0.25))


def test_least_squares_as_the_code_has_them():
    gan = build("model=segan", *SMALL)
    terms = gan.loss.discriminator(torch.tensor([3.0]), torch.tensor([2.0]))
    total = sum(gan.weights["discriminator"][name] * term for name, term in terms.items())
    assert float(total) == pytest.approx((3 - 1) ** 2 + 2**2)


def test_pre_emphasis_is_undone():
    sound = torch.randn(3, 1, 500, dtype=torch.float64)
    emphasised = pre_emphasis(sound, 0.95)
    assert torch.equal(emphasised[..., 0], sound[..., 0])
    torch.testing.assert_close(emphasised[..., 7], sound[..., 7] - 0.95 * sound[..., 6])
    torch.testing.assert_close(de_emphasis(emphasised, 0.95), sound, atol=1e-12, rtol=0)


def test_sixteen_bits_reach_both_ends_of_the_range():
    ends = full_scale(torch.tensor([-32768, 0, 32767], dtype=torch.int16))
    assert ends.tolist() == pytest.approx([-1.0, 1 / 65535, 1.0], abs=1e-7)
    floats = torch.tensor([0.5])
    assert full_scale(floats) is floats


def test_prepared_and_readable_are_inverse():
    gan = build("model=segan", *SMALL)
    wire = torch.randint(-(2**15), 2**15, (2, 1, 2048), dtype=torch.int16)
    back = gan.readable(gan.prepare_batch({"condition": wire})["condition"])
    torch.testing.assert_close(back, full_scale(wire), atol=1e-5, rtol=0)


def test_without_z_it_is_a_function_of_the_noisy_window():
    gan = build("model=segan", *SMALL[:2], SMALL[3], "model.latent=null")
    noisy = {"condition": torch.randint(-999, 999, (2, 1, 2048), dtype=torch.int16)}
    assert torch.equal(gan.sample(2, seed=0, inputs=noisy), gan.sample(2, seed=1, inputs=noisy))
    assert gan.generator.decoder[0].conv.in_channels == 4


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "data.resolution=3000",
            r"multiple of 2048 samples, data.resolution=3000 came; 2048 or 4096 would work",
        ),
        ("model.generator.kernel=30", "kernel must be odd and wider than the stride"),
        ("data.channels=2", "hears one channel"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(override, words):
    with pytest.raises(ConfigError, match=words):
        build("model=segan", *SMALL, override)


def test_the_receptive_field_of_the_code_is_larger_than_the_window():
    field, jump = 1, 1
    for _ in range(11):
        field, jump = field + 30 * jump, jump * 2
    assert field == 61_411 > 16_384
    assert code_length(16_384, 2, 11) == 8 and math.log2(jump) == 11
