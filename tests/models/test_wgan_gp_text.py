"""WGAN-GP on text: the papers' sizes, text on both sides of the critic, curriculum, attributes, symbols."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import gan_zoo
from gan_zoo import chance, loading, sample
from gan_zoo.config import compose, validate
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError
from gan_zoo.views import latents
from gan_zoo.vocabulary import PAD

from ..test_zoo import play
from .presets import batch_of, build, check_a_round, counts

SMALL = ["data=grammar", "data.size=200", "data.held_out=50", "data.batch_size=8"]
GENERATORS = ["text_cnn", "text_lstm", "text_lstm_feedback"]
CRITICS = ["text_cnn", "text_lstm"]


def small(*overrides: str) -> Any:
    return build("model=wgan_gp_text", *SMALL, *overrides)


def one_hot(gan: Any, n: int = 6) -> torch.Tensor:
    ids = torch.randint(gan.vocabulary_size, (n, gan.length), generator=torch.Generator().manual_seed(1))
    return gan.prepare_batch({"real": ids.to(torch.int16)})["real"]


def config_of(*overrides: str) -> dict[str, Any]:
    return validate(compose(["model=wgan_gp_text", *SMALL, *overrides]))


@pytest.mark.parametrize(
    ("vocabulary", "expected"), [(96, (15_275_104, 13_178_369)), (2048, (16_276_480, 14_177_793))]
)
def test_the_published_setting_has_the_papers_parameters(vocabulary: int, expected: tuple[int, int]):
    assert counts("experiment=char_lm_paper", f"data.channels={vocabulary}") == expected


def test_real_text_is_one_hot_and_fake_text_a_distribution():
    gan = small()
    real = one_hot(gan)
    assert real.shape == (6, 60, 5) and set(real.unique().tolist()) == {0, 1}
    torch.testing.assert_close(real.sum(1), torch.ones(6, 5))
    fake = gan.generate(batch_of(gan, real))
    assert fake.dtype == torch.float32 and bool((fake > 0).all())
    torch.testing.assert_close(fake.sum(1), torch.ones(6, 5))
    ids = torch.randint(60, (3, 5))
    assert torch.equal(gan.outcome(gan.prepare_batch({"real": ids})["real"]), ids)


@pytest.mark.parametrize(("generator", "critic"), list(product(GENERATORS, CRITICS)))
def test_every_generator_plays_every_critic_under_a_penalty(generator: str, critic: str):
    """Second-order gradients, of LSTMs too, reach every weight."""
    gan = small(f"model/generator={generator}", f"model/discriminator={critic}")
    batch = batch_of(gan, one_hot(gan))
    check_a_round(gan, batch)
    fake = gan.generate(batch).detach()
    penalty = gan.regularizer.terms(lambda x: gan.discriminate(x, batch).logits, batch["real"], fake, ())
    weights = [p for name, p in gan.discriminator.named_parameters() if "bias" not in name]
    gradients = torch.autograd.grad(penalty["gradient_penalty"], weights, allow_unused=True)
    assert all(g is not None and g.isfinite().all() and g.abs().max() > 0 for g in gradients)


def test_the_penalty_of_a_linear_critic_is_the_squared_gap_of_its_norm():
    gan = small()
    weight = torch.zeros(60, 5)
    weight[3, 2], weight[7, 4] = 3.0, 4.0  # norm 5 over positions and vocabulary together
    real = one_hot(gan)
    found = gan.regularizer.terms(lambda x: (x * weight).sum((1, 2)), real, real.flip(0), ())
    torch.testing.assert_close(found["gradient_penalty"], torch.tensor(16.0))


@pytest.mark.parametrize(
    "game",
    [
        ["loss=non_saturating", "regularizer=none"],
        ["loss=least_squares", "regularizer=none"],
        ["loss=wasserstein", "regularizer=weight_clipping"],
        ["loss=wasserstein", "regularizer=gradient_penalty"],
        ["loss=non_saturating", "regularizer=gradient_penalty"],
    ],
)
def test_rajeswars_objectives_play(game: list[str], tmp_path: Path):
    config = config_of(
        "model/generator=text_lstm_feedback", "model/discriminator=text_lstm", "model.n_critic=1", *game
    )
    gan = play(config, tmp_path, 2)
    assert all(torch.isfinite(torch.tensor(value)) for value in gan.figures().values())


def test_a_block_is_the_input_plus_three_tenths_of_its_branch():
    block = small().generator.blocks[0]
    x = torch.randn(2, 64, 5)
    torch.testing.assert_close(block(x), x + 0.3 * block.residual(x))
    for layer in (block.residual[1], block.residual[3]):
        bound = (
            12 / (64 * 5 + 64 * 5)
        ) ** 0.5  # uniform of std sqrt(4 / (fan_in + fan_out)), the authors' code
        assert layer.weight.abs().max() <= bound and float(layer.weight.detach().std()) == pytest.approx(
            bound / 3**0.5, rel=0.05
        )


def test_every_output_sees_all_of_the_sequence_at_the_papers_depth():
    """Ten convolutions of kernel 5: 41 symbols, of which a line has 32."""
    critic = build(
        "experiment=char_lm_paper", "model.discriminator.width=4", "model.generator.width=4"
    ).discriminator
    x = torch.randn(1, critic.first.in_channels, 32, requires_grad=True)
    hidden = critic(x, 32)[1][-1][0, :, 16]
    (gradient,) = torch.autograd.grad(hidden.sum(), x)
    assert bool((gradient.abs().sum(1) > 0).all())


@pytest.mark.parametrize("name", GENERATORS)
def test_straight_through_shows_words_and_has_the_gradient_of_the_distribution(name: str):
    soft = small(f"model/generator={name}").generator
    hard = small(f"model/generator={name}", "model.generator.output=straight_through").generator
    hard.load_state_dict(soft.state_dict())
    z, direction = torch.randn(4, 128), torch.randn(60, 5)
    words, distribution = hard(z, 5), soft(z, 5)
    assert set(words.detach().unique().tolist()) == {0, 1}
    assert torch.equal(words.sum(1), torch.ones(4, 5))
    first = slice(None) if name != "text_lstm_feedback" else slice(1)  # then it has heard other things
    assert torch.equal(words.argmax(1)[:, first], distribution.argmax(1)[:, first])
    # of scores that are linear in what is said, the gradient is that of their expectation
    scores = [(said * direction)[:, :, first].sum() for said in (words, distribution)]
    gradients = [
        torch.autograd.grad(score, net.last.bias) for score, net in zip(scores, (hard, soft), strict=True)
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["text_cnn", "text_lstm"])
def test_gumbel_draws_words_from_the_distribution_in_training_and_says_the_likeliest_after(name: str):
    generator = small(f"model/generator={name}", "model.generator.output=gumbel").generator
    soft = small(f"model/generator={name}").generator
    soft.load_state_dict(generator.state_dict())
    with torch.no_grad():
        soft.last.weight.mul_(5)
        generator.last.weight.mul_(5)  # at the start all words are alike
    z = torch.randn(1, 128)
    chance.begin_step(0, 1)
    with torch.no_grad():
        words = generator(z.expand(20_000, -1), 2)[:, :, 1]
        wanted = soft(z, 2)[0, :, 1]
    assert set(words.unique().tolist()) == {0, 1} and torch.equal(words.sum(1), torch.ones(20_000))
    deviation = (wanted * (1 - wanted) / 20_000).sqrt() + 1e-4
    assert ((words.mean(0) - wanted).abs() < 5 * deviation).all() and wanted.max() < 0.9
    generator.eval()
    assert torch.equal(generator(z, 2).argmax(1), soft(z, 2).argmax(1))
    assert torch.equal(generator(z, 2), generator(z, 2))


def test_with_feedback_a_straight_through_lstm_hears_the_word_that_it_said():
    generator = small(
        "model/generator=text_lstm_feedback", "model.generator.output=straight_through"
    ).generator
    heard: list[torch.Tensor] = []
    generator.cell.register_forward_pre_hook(lambda cell, given: heard.append(given[0][:, 128:].detach()))
    words = generator(torch.randn(3, 128), 5).detach()
    assert not heard[0].any()
    for step in range(1, 5):
        assert torch.equal(heard[step], words[:, :, step - 1])


def test_the_previous_output_is_fed_back_and_nothing_else_is():
    """With z fixed, changing what a step says changes the next step only where there is feedback."""
    for name, expected in (("text_lstm", False), ("text_lstm_feedback", True)):
        generator = small(f"model/generator={name}").generator
        z = torch.randn(2, 128)
        before = generator(z, 3)
        with torch.no_grad():
            generator.last.bias[9] += 5.0  # shifts what is said, and nothing inside the cell
        after, logits = generator(z, 3), before.log()
        shift = after.log() - logits
        step_shift = shift[:, :9].diff(dim=1)  # without feedback all other logits move by the same
        assert (step_shift.abs().max() > 1e-4) == expected


def test_the_curriculum_lengthens_what_is_played_for():
    gan = small("model.curriculum={name: linear, value: 2, to: 5, length: 300}")
    for samples, played in ((0, 2), (99, 2), (100, 3), (200, 4), (300, 5), (10**9, 5)):
        gan.advance(samples)
        assert gan.played == played, samples
    gan.advance(100)
    real = one_hot(gan)
    batch = batch_of(gan, real)
    assert torch.equal(gan.outcome(gan.generate(batch))[:, 3:], torch.full((6, 2), PAD))
    changed = real.roll(1, 1).clone()
    changed[:, :, :3] = real[:, :, :3]
    torch.testing.assert_close(gan.discriminate(changed, batch).logits, gan.discriminate(real, batch).logits)
    check_a_round(gan, batch)


@pytest.mark.parametrize(
    ("generator", "critic"), [("text_cnn", "text_lstm"), ("text_lstm_feedback", "text_cnn")]
)
def test_both_players_are_told_the_attribute(generator: str, critic: str):
    names = [f"model/generator={generator}", f"model/discriminator={critic}"]
    gan = small("data.attribute=question", "data.classes=2", *names)
    batch = batch_of(gan, one_hot(gan), 2)
    other = {**batch, "condition": 1 - batch["condition"]}
    assert (gan.generate(batch) - gan.generate(other)).abs().amax((1, 2)).min() > 1e-6
    assert (
        gan.discriminate(batch["real"], batch).logits - gan.discriminate(batch["real"], other).logits
    ).abs().min() > 1e-7
    check_a_round(gan, batch)


def test_it_writes_the_lines_of_the_data_it_was_trained_on(tmp_path: Path):
    config = config_of()
    gan = play(config, tmp_path / "checkpoints", 2)
    data = data_module(config)
    ids = gan.sample(5, seed=3)
    assert ids.dtype == torch.int64 and ids.shape == (5, 5)
    assert gan.readable(ids) == data.decode(ids) == [line for line in gan.readable(F.one_hot(ids, 60).mT)]
    loaded = gan_zoo.load(tmp_path)
    assert loaded.readable(loaded.sample(5, seed=3)) == gan.readable(ids)
    sample.main(run=str(tmp_path), n=5, seed=3, output=str(tmp_path / "lines"))
    assert (tmp_path / "lines.txt").read_text().splitlines() == gan.readable(ids)
    with pytest.raises(ConfigError, match="is of pictures"):
        sample.main(run=str(tmp_path), view="nearest")
    sample.main(run=str(tmp_path), n=2, view="interpolation", steps=3, output=str(tmp_path / "walk"))
    assert [bool(line) for line in (tmp_path / "walk.txt").read_text().splitlines()] == [True] * 3 + [
        False
    ] + [True] * 3


def test_a_walk_between_two_sentences_begins_and_ends_with_them(tmp_path: Path):
    gan = play(config_of(), tmp_path, 1)
    ends = gan.sample(2, seed=4)
    walk = latents.interpolation(gan, 1, seed=4, steps=7)
    assert torch.equal(walk[[0, 6]], ends)


def test_other_symbols_than_the_weights_know_are_refused(tmp_path: Path):
    play(config_of(), tmp_path, 1)
    with pytest.raises(ConfigError, match="other symbols"):
        play(config_of("data.boundaries=true", "data.channels=62", "data.resolution=7", "data.size=100") | {
            "model": config_of()["model"]}, tmp_path, 3)  # fmt: skip
    with pytest.raises(ConfigError, match="knows no symbols yet"):
        small().readable(torch.zeros(1, 5, dtype=torch.int64))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.generator.kernel=4"], "must be odd"),
        (["model/discriminator=text_lstm", "regularizer=spectral_norm"], "does not reach an LSTM"),
        (["model.augment={colour: 0.5}"], "changes pictures"),
    ],
)
def test_what_cannot_be_right_is_refused(overrides: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        small(*overrides)


def test_pictures_are_refused():
    with pytest.raises(ConfigError, match="made for text"):
        validate(compose(["model=wgan_gp_text", "data=digits"]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("book_8_word", {"resolution": 32, "channels": 2048, "level": "word", "boundaries": True, "lower": True, "most": 500_000}),
        ("book_8_char", {"resolution": 32, "channels": 96, "level": "character", "boundaries": True, "lower": True, "most": 500_000}),
    ],
)  # fmt: skip
def test_the_books_presets_read_as_the_book_does(name: str, expected: dict[str, Any]):
    config = validate(compose([f"experiment={name}"]))
    assert {key: config["data"][key] for key in expected} == expected
    assert config["model"]["n_critic"] == 10
    assert [config["model"][player]["kernel"] for player in ("generator", "discriminator")] == [3, 3]


def test_an_export_keeps_the_symbols(tmp_path: Path):
    gan = play(config_of(), tmp_path, 1)
    loading.export(gan, tmp_path / "export", loading.described(config_of()), "card")
    assert gan_zoo.load(tmp_path / "export").vocabulary == gan.vocabulary
