"""SEGAN+: the authors' network to the parameter, learnt skips, phase shift, critics and distances of today."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan_zoo.config import compose, validate
from gan_zoo.models.segan_plus import PhaseShift
from gan_zoo.nn.norms import BatchNorm
from gan_zoo.nn.spectral import MelLoss, SpectralLoss, mel_bank
from gan_zoo.nn.wave_critics import PeriodCritic, ResolutionCritic
from gan_zoo.schema import ConfigError
from tests.models.presets import build, check_a_round, counts
from tests.models.test_segan import LOSSES, batch_of

SMALL = ["data.resolution=2048", "model.generator.channels=[4,4,4,4,8]", "model.latent.size=4"]
OWN = ["model.discriminator.channels=[4,4,4,4,8]", "model.discriminator.hidden=[8,4]"]
PRESETS = ["segan_paper", "segan_plus_paper", "segan_plus_modern", "book_10"]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_on_the_published_data_and_on_the_embedded(preset):
    validate(compose([f"experiment={preset}"]))
    assert compose([f"experiment={preset}", "data=speech"])["data"]["name"] == "speech"
    if preset != "segan_plus_modern":
        assert compose([f"experiment={preset}"])["data"]["name"] == "voicebank_demand"
        assert compose([f"experiment={preset}", "data=speech"])["model"]["resolution"] == 16384


def test_the_published_weights_are_drawn_as_the_authors_draw_them():
    """Convolutions N(0, 0.02), dense layers by Glorot, PReLU there from 0.25; transposed convolutions and norms as torch has them."""
    torch.manual_seed(0)
    gan = build(
        "experiment=segan_plus_paper",
        "model.generator.channels=[16,16,16,16,16]",
        "model.discriminator.channels=[16,16,16,16,16]",
        "model.latent.size=4",
    )
    wave = gan.discriminator.waveform
    convolutions = [*gan.generator.encoder, *(layer[1] for layer in wave.layers)]
    assert all(one.conv.weight.std().item() == pytest.approx(0.02, rel=0.1) for one in convolutions)
    first, slope = wave.head[1], wave.head[2]
    assert first.weight.abs().max().item() == pytest.approx((6 / (16 * 16 + 256)) ** 0.5, rel=0.01)
    assert slope.weight.unique().tolist() == [0.25]
    middle = gan.generator.decoder[1].conv  # torch: uniform within 1 / sqrt(outputs x kernel), biases too
    assert middle.weight.abs().max().item() == pytest.approx((16 * 31) ** -0.5, rel=0.01)
    assert middle.bias.abs().max() > 0
    assert all((norm.weight == 1).all() for norm in wave.modules() if isinstance(norm, BatchNorm))


def test_the_published_settings_keep_nothing_of_the_laptops_rates():
    paper = validate(compose(["experiment=segan_plus_paper", "data=speech"]))["model"]["optimizer"]
    assert (
        paper["generator"]
        == paper["discriminator"]
        == {"name": "rmsprop", "lr": 5e-5, "alpha": 0.99, "eps": 1e-8}
    )
    first = compose(["experiment=segan_paper"])["model"]["optimizer"]
    assert first["generator"] == {"name": "rmsprop_tensorflow", "lr": 2e-4, "alpha": 0.9, "eps": 1e-10}


def test_the_published_network_has_the_authors_parameters():
    assert counts("experiment=segan_plus_paper") == (64_770_561, 25_825_793)


@pytest.mark.parametrize("decoder", ["transposed", "upsample"])
def test_the_book_has_the_same_widths_with_either_decoder(decoder):
    assert counts("experiment=book_10", f"model.generator.decoder={decoder}") == (64_770_561, 25_825_793)


def test_four_skips_have_a_gain_a_channel_that_starts_at_1():
    gan = build("model=segan_plus", *SMALL, *OWN)
    assert [tuple(gain.shape) for gain in gan.generator.gains] == [(4, 1)] * 4
    assert all(torch.equal(gain, torch.ones(4, 1)) for gain in gan.generator.gains)
    noisy, z = torch.randn(1, 1, 2048), gan.latent.fixed(1, 0)
    before = gan.generator(noisy, z)
    with torch.no_grad():
        gan.generator.gains[0].zero_()
    assert not torch.allclose(gan.generator(noisy, z), before)


def test_phase_shift_rolls_by_1_to_5_samples_either_way_in_training_alone():
    shift, x = PhaseShift(5), torch.arange(40.0).view(1, 1, 40)
    torch.manual_seed(0)
    seen = {int((shift(x)[0, 0] == 0).nonzero()) for _ in range(300)}
    assert seen == {1, 2, 3, 4, 5, 35, 36, 37, 38, 39}
    assert torch.equal(shift.eval()(x), x)
    assert torch.equal(PhaseShift(0)(x), x)


def test_its_discriminator_has_batch_norm_but_none_under_a_penalty():
    assert any(
        isinstance(m, BatchNorm) for m in build("model=segan_plus", *SMALL, *OWN).discriminator.modules()
    )
    penalised = build("model=segan_plus", *SMALL, *OWN, "regularizer=r1")
    assert not any(isinstance(m, BatchNorm) for m in penalised.discriminator.modules())


@pytest.mark.parametrize(("loss", "regularizer"), LOSSES)
def test_losses_and_regularisers_go_with_it(loss, regularizer):
    gan = build("model=segan_plus", *SMALL, *OWN, f"loss={loss}", f"regularizer={regularizer}")
    check_a_round(gan, batch_of(gan))


# ---------------------------------------------------------------- critics and distances of today


@pytest.mark.parametrize("own", [OWN, ["model.discriminator=null"]])
def test_critics_of_today_judge_beside_its_own_or_alone(own):
    modern = [
        "model.critics={periods: [2, 3], resolutions: [64, 128], width: 2}",
        "model.weights.generator={l1: 100.0, stft: 1.0, mel: 1.0}",
    ]
    gan = build("model=segan_plus", *SMALL, *own, *modern)
    batch = batch_of(gan)
    logits = gan.discriminate(batch["real"], batch).logits
    assert len(logits) == 4 + (own is OWN)
    check_a_round(gan, batch)


def test_nobody_to_judge_is_refused():
    with pytest.raises(ConfigError, match="nobody would judge"):
        build("model=segan_plus", *SMALL, "model.discriminator=null")
    with pytest.raises(ConfigError, match="needs periods or resolutions"):
        build("model=segan_plus", *SMALL, *OWN, "model.critics={periods: [], resolutions: [], width: 2}")


def test_a_period_critic_does_not_hear_across_phases():
    """A change in one sample moves only the logits of its column: samples of one phase of the period."""
    critic = PeriodCritic(1, 5, 2)
    x = torch.randn(1, 1, 500, requires_grad=True)
    logits, _ = critic(x)
    assert logits.shape[-1] == 5
    (gradient,) = torch.autograd.grad(logits[..., 2].sum(), x)
    heard = {int(t) % 5 for t in gradient[0, 0].nonzero()}
    assert heard == {2}


def test_a_resolution_critic_hears_magnitudes_alone():
    critic, x = ResolutionCritic(1, 64, 2), torch.randn(1, 1, 640)
    torch.testing.assert_close(critic(-x)[0], critic(x)[0])


def test_distances_of_spectra_are_0_for_equal_sounds_and_known_for_scaled_ones():
    x = torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0))
    for distance in (SpectralLoss(), MelLoss()):
        assert float(distance(x, x)) == 0
    # |S - 2 S| / |S| = 1 with the louder as the made one, |log 2 S - log S| = log 2
    assert float(SpectralLoss()(2 * x, x)) == pytest.approx(1 + 0.693147, abs=1e-3)
    assert float(MelLoss()(2 * x, x)) == pytest.approx(0.693147, abs=1e-3)


def test_mel_bands_are_evenly_spaced_triangles_that_cover_all_but_the_ends():
    bank = mel_bank(40, 2049, 16_000)
    hertz = torch.linspace(0, 8000, 2049)
    mel = 2595 * torch.log10(1 + hertz[bank.argmax(1)] / 700)
    steps = mel.diff()
    assert steps.std() / steps.mean() < 0.05
    inside = (hertz > hertz[bank[0].argmax()]) & (hertz < hertz[bank[-1].argmax()])
    torch.testing.assert_close(bank.sum(0)[inside], torch.ones(int(inside.sum())), atol=1e-4, rtol=0)


def test_spectra_of_sounds_shorter_than_the_window_are_finite():
    x = torch.randn(1, 1, 300, requires_grad=True)
    loss = SpectralLoss()(x, torch.zeros(1, 1, 300) + 1e-3)
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.isfinite().all() and isinstance(SpectralLoss(), nn.Module)
