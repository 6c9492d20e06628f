"""GAN-CLS and GAN-INT (Reed et al. 2016): networks, the matching-aware D, sentences between captions, DF-GAN's penalty."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from gan_zoo import loading
from gan_zoo.config import compose, validate
from gan_zoo.models.text_to_image import TextToImage, _sentence, between
from gan_zoo.nn.norms import BatchNorm
from gan_zoo.nn.sentences import encode
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import CAPTION_WORDS, Vocabulary
from tests.games import trainer
from tests.models.presets import build, check_a_round, counts, parameters

SMALL = [
    "model=text_to_image",
    "data.resolution=16",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "model.text.vocabulary=20",
    "model.text.size=8",
    "model.text.encoder={width: 8, word: 8}",
    "model.latent.size=5",
]
EMBEDDING = ["model.text.source=embedding", "model.text.encoder=null"]
WORDS = Vocabulary(["a", "red", "flower", "yellow", "petals"], CAPTION_WORDS)


def batch_of(gan: Any, n: int = 6, **more: Any) -> dict[str, Any]:
    torch.manual_seed(1)
    wire = {
        "real": torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8),
        "tokens": torch.randint(1, 7, (n, 5), dtype=torch.int16),
        "mismatch_tokens": torch.randint(1, 7, (n, 5), dtype=torch.int16),
        "embedding": torch.randn(n, 8),
        "mismatch_embedding": torch.randn(n, 8),
        **more,
    }
    return {**gan.prepare_batch(wire), "latent": gan.latent.fixed(n, 0)}


def total(gan: Any, player: str, terms: dict[str, Any]) -> float:
    return sum(gan.weights[player][name] * float(term.detach()) for name, term in terms.items())


# ---- networks ----------------------------------------------------------------------------------------------------


BIASES = ["model.generator.bias=true", "model.discriminator.bias=true"]
PAPER = ["experiment=text_to_image_paper", *BIASES]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], (18_909_699, 4_032_321)),
        (["model.generator.residual=false", "model.discriminator.residual=false"], (14_888_707, 3_227_201)),
        (
            [
                "model.generator.width=196",
                "model.discriminator.width=196",
                "model.discriminator.text_norm=none",
            ],
            (41_107_551, 36_190_301),
        ),
    ],
    ids=["birds", "without bottlenecks", "coco"],
)
def test_networks_have_the_parameters_of_the_authors_scripts(overrides, expected):
    assert counts(*PAPER, *overrides) == expected


def test_the_layer_before_the_last_has_no_activation_and_the_stem_none_before_its_bottleneck():
    gan = build("experiment=text_to_image_paper", device="meta")
    kinds = [type(layer).__name__ for layer in gan.discriminator.picture]
    assert kinds == [
        "Conv2d", "LeakyReLU", "Conv2d", "BatchNorm", "LeakyReLU", "Conv2d", "BatchNorm", "Conv2d", "BatchNorm", "Bottleneck",
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in gan.generator.layers][:6] == [
        "ConvTranspose2d", "BatchNorm", "Bottleneck", "ConvTranspose2d", "BatchNorm", "Bottleneck",
    ]  # fmt: skip
    widths = [
        layer.weight.shape[:2] for layer in gan.generator.layers if isinstance(layer, nn.ConvTranspose2d)
    ]
    assert widths == [(228, 1024), (1024, 512), (512, 256), (256, 128), (128, 3)]


def test_convolutions_begin_at_two_hundredths_and_linear_layers_as_torch_makes_them():
    gan = build("experiment=text_to_image_paper", "model.generator.width=32", "model.discriminator.width=32")
    for network in (gan.generator, gan.discriminator):
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.weight.numel() > 4000:
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert float(network.text[0].weight.abs().max()) == pytest.approx(1024**-0.5, rel=0.01)


def test_the_sentence_is_the_same_at_every_place_of_the_map():
    gan = build(*SMALL)
    seen = []
    gan.discriminator.joint.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    gan.discriminator.match(torch.zeros(2, 8, 4, 4), torch.randn(2, 8))
    text = seen[0][:, 8:]
    assert text.shape == (2, 64, 4, 4) and torch.equal(text, text[:, :, :1, :1].expand_as(text))
    assert not torch.equal(text[0], text[1])


@pytest.mark.parametrize("resolution", [8, 32, 128])
def test_sides_are_powers_of_two_and_others_are_refused(resolution):
    gan = build(*SMALL, f"data.resolution={resolution}")
    assert gan.generator(torch.zeros(2, 5), torch.zeros(2, 8)).shape == (2, 3, resolution, resolution)
    with pytest.raises(ConfigError, match="sides of 8, 16, 32"):
        build(*SMALL, "data.resolution=48")


# ---- the rules ---------------------------------------------------------------------------------------------------


def silent(gan: Any) -> Any:
    """D's logit is 0 for everything."""
    nn.init.zeros_(gan.discriminator.head.weight)
    return gan


def test_right_mismatched_and_fake_pairs_weigh_one_half_and_half():
    gan = silent(build(*SMALL))
    assert gan.weights["discriminator"] == {"real": 1.0, "fake": 0.5, "mismatched": 0.5}
    batch = batch_of(gan)
    terms = gan.discriminator_terms(batch, gan.generate(batch).detach())
    assert total(gan, "discriminator", terms) == pytest.approx(2 * math.log(2), rel=1e-5)  # 1.386294


def test_without_mismatches_it_is_the_plain_conditional_game():
    gan = silent(build(*SMALL, "model.mismatched=0.0"))
    assert gan.weights["discriminator"] == {"real": 1.0, "fake": 1.0}
    batch = batch_of(gan)
    assert set(gan.discriminator_terms(batch, gan.generate(batch).detach())) == {"real", "fake"}


def test_the_mismatched_term_is_ds_rejection_of_real_pictures_with_the_other_caption():
    gan = build(*SMALL).eval()
    batch = batch_of(gan)
    terms = gan.discriminator_terms(batch, gan.generate(batch).detach())
    other = {"tokens": batch["mismatch_tokens"]}
    logits = gan.discriminate(batch["real"], other).logits
    torch.testing.assert_close(terms["mismatched"], nn.functional.softplus(logits).mean())


def test_a_batch_without_mismatches_says_which_key_it_lacks():
    gan = build(*SMALL)
    batch = batch_of(gan)
    del batch["mismatch_tokens"]
    with pytest.raises(ConfigError, match="neither mismatch_sentence nor mismatch_tokens"):
        gan.discriminator_terms(batch, gan.generate(batch).detach())


@pytest.mark.parametrize("loss", ["hinge", "rpgan", "ragan_ls", "least_squares", "wasserstein"])
def test_every_loss_shares_its_weight_on_what_is_rejected(loss):
    more = ["regularizer=gradient_penalty"] if loss == "wasserstein" else []
    gan, plain = (build(*SMALL, f"loss={loss}", *more, f"model.mismatched={share}") for share in (0.5, 0.0))
    before = sum(plain.weights["discriminator"].values())
    assert sum(gan.weights["discriminator"].values()) == pytest.approx(before)
    check_a_round(gan, batch_of(gan))


def test_interpolation_ends_at_the_two_captions_and_halves_between_them():
    sentence = torch.randn(7, 3)
    for share, expected in (
        (0.0, sentence[:3]),
        (1.0, sentence[3:6]),
        (0.5, (sentence[:3] + sentence[3:6]) / 2),
    ):
        torch.testing.assert_close(between(sentence, torch.full((3, 1), share)), expected)


def test_g_plays_half_a_batch_more_in_one_mean():
    gan = build(*SMALL, "model.instance_noise=0.0").eval()
    batch = batch_of(gan, 6)
    fake = gan.generate(batch)
    judged = []
    gan.discriminator.register_forward_hook(lambda _, inputs, output: judged.append((*inputs, output[0])))
    adversarial = gan.generator_terms(batch, fake)["adversarial"]
    pictures, sentence, logits = judged[-1]
    assert pictures.shape[0] == 9 and torch.equal(pictures[:6], fake)
    heard = encode(gan.discriminator.encoder, batch["tokens"].long())
    torch.testing.assert_close(sentence[6:], (heard[:3] + heard[3:]) / 2)
    torch.testing.assert_close(adversarial, nn.functional.softplus(-logits).mean())


@pytest.mark.parametrize(
    ("game", "readings", "without"),
    [
        ([], 1, 3),  # its pictures, those under other latents, those between two captions
        (["model.weights.generator.mode_seeking=0.0"], 1, 2),
        (["model.interpolation=null"], 1, 2),
        (["model.fresh_fake=true"], 2, 4),  # D's fakes are others
        (["model.update=generator_first"], 1, 3),
        (["model.update=simultaneous"], 1, 3),
        # micro-batches are cut anew for the terms
        (["model.update=simultaneous", "model.accumulate=2"], 4, 6),
        (["model.accumulate=2"], 4, 8),
        (["model.n_critic=2"], 1, 2),
    ],
)
def test_g_reads_a_caption_once_for_all_that_it_makes_of_a_batch(game, readings, without, monkeypatch):
    flowers = [
        "data=flowers",
        "model.text.vocabulary=120",
        "data.size=40",
        "data.batch_size=8",
        "data.workers=0",
    ]
    config = validate(compose([*SMALL, *game, *flowers]))

    def trained() -> tuple[dict[str, Any], int]:
        gan, data, read = loading.build(config), data_module(config), []
        data.begin(0, None)
        gan.generator.encoder.register_forward_hook(lambda *_: read.append(1))
        trainer(4 * 8).fit(gan, data)
        return gan.generator.state_dict(), len(read)

    weights, count = trained()
    monkeypatch.setattr(
        TextToImage, "_heard_by_generator", lambda gan, batch: _sentence(gan.generator, batch)
    )
    anew, more = trained()
    assert (count, more) == (4 * readings, 4 * without)
    for name, tensor in anew.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-6, msg=name)


def test_interpolation_can_be_left_out_or_drawn():
    gan = build(*SMALL, "model.interpolation=null")
    batch = batch_of(gan)
    seen = []
    gan.discriminator.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    gan.generator_terms(batch, gan.generate(batch))
    assert seen == [6]
    drawn = build(*SMALL, "model.interpolation=uniform")._shares(1000)
    assert 0.45 < float(drawn.mean()) < 0.55 and float(drawn.min()) < 0.05 and float(drawn.max()) > 0.95


def test_the_matching_penalty_is_the_sixth_power_of_the_joint_gradient_of_a_linear_d():
    gan = build(*SMALL, "+model.weights.discriminator.matching_penalty=2.0")
    batch = batch_of(gan)
    batch["sentence"] = torch.randn(6, 8)
    w, v = torch.randn(3 * 16 * 16) / 30, torch.randn(8) / 3
    gan.discriminator.forward = lambda x, text: (x.flatten(1) @ w + text @ v, ())
    expected = (w.square().sum() + v.square().sum()) ** 3
    torch.testing.assert_close(gan._matching_penalty(batch), expected)
    assert gan.weights["discriminator"]["matching_penalty"] == 2.0


def test_the_matching_penalty_takes_no_batch_norm():
    gan = build("experiment=text_to_image_df_gan", *SMALL[1:])
    assert not [m for m in gan.discriminator.modules() if isinstance(m, BatchNorm)]
    assert gan.weights["discriminator"] == {
        "real": 1.0,
        "fake": 0.5,
        "mismatched": 0.5,
        "matching_penalty": 2.0,
    }
    check_a_round(gan, batch_of(gan))
    with pytest.raises(ConfigError, match="batch norm mixes"):
        build("experiment=text_to_image_df_gan", *SMALL[1:], "model.discriminator.norm=batch")


def test_a_two_way_d_has_a_second_logit_that_hears_no_text():
    gan = build(*SMALL, "model.discriminator.output=two_way").eval()
    batch = batch_of(gan)
    other = {**batch, "tokens": batch["mismatch_tokens"]}
    told, blind = gan.discriminate(batch["real"], batch).logits
    told_otherwise, blind_still = gan.discriminate(batch["real"], other).logits
    torch.testing.assert_close(blind, blind_still)
    assert (told - told_otherwise).abs().min() > 1e-7
    check_a_round(gan, batch)


# ---- text --------------------------------------------------------------------------------------------------------


def test_each_player_trains_an_encoder_of_its_own():
    gan = build(*SMALL)
    check_a_round(gan, batch_of(gan))  # every parameter of both encoders has a gradient
    assert gan.generator.encoder is not gan.discriminator.encoder and gan.encoder is None
    assert gan.conditioned_on == ("tokens",)


def test_a_frozen_encoder_belongs_to_no_player():
    gan = build(*SMALL, "model.text.training=frozen", "model.text.weights=somewhere.safetensors")
    assert gan.generator.encoder is None and not any(p.requires_grad for p in gan.encoder.parameters())
    batch = batch_of(gan)
    torch.testing.assert_close(batch["sentence"], encode(gan.encoder, batch["tokens"].long()))
    check_a_round(gan, batch)


def test_captions_alone_are_refused_by_a_model_of_embeddings():
    gan = build(*SMALL, *EMBEDDING)
    batch = batch_of(gan)
    words_only = {
        key: value for key, value in batch.items() if "embedding" not in key and "sentence" not in key
    }
    with pytest.raises(ConfigError, match=r"captions alone; give data\.embeddings=FILE"):
        gan.generate(words_only)


def test_embeddings_are_taken_as_they_come():
    gan = build(*SMALL, *EMBEDDING)
    batch = batch_of(gan)
    assert torch.equal(batch["sentence"], batch["embedding"]) and gan.conditioned_on == ("embedding",)
    assert parameters(gan.generator) < parameters(build(*SMALL).generator)
    check_a_round(gan, batch)
    assert gan.sample(2, inputs={"embedding": torch.randn(2, 8)}).shape == (2, 3, 16, 16)


def test_several_captions_of_an_item_are_averaged_as_vectors():
    gan = build(*SMALL)
    tokens = torch.randint(1, 7, (3, 4, 5))
    encoder = gan.generator.encoder
    expected = torch.stack([encoder(tokens[:, k]) for k in range(4)]).mean(0)
    torch.testing.assert_close(encode(encoder, tokens), expected)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.text.encoder=null"], "captions need an encoder"),
        (["model.text.source=embedding"], "has been read already"),
        ([*EMBEDDING, "model.text.weights=words.safetensors"], "leaves no encoder"),
        (["model.text.training=frozen"], "nothing would ever train"),
        (["model.text.encoder.kernel=2"], "must be odd"),
    ],
)
def test_what_cannot_be_right_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build(*SMALL, *overrides)


def test_words_travel_with_an_export_and_captions_can_be_drawn_from_it(tmp_path):
    config = validate(compose(SMALL))
    gan = loading.build(config)
    gan.learn_words(WORDS, 5)
    loading.export(gan, tmp_path, loading.described(config), "card")
    loaded = loading.load(tmp_path)
    assert loaded.vocabulary == WORDS
    tokens = loaded.tokens(["A red flower", "yellow petals, purple flower"])
    assert tokens.tolist() == [[2, 3, 4, 0, 0], [5, 6, 1, 4, 0]]
    assert torch.equal(
        loaded.sample(2, inputs={"tokens": tokens}), gan.eval().sample(2, inputs={"tokens": tokens})
    )
    sentence = loaded.read(["a red flower"])
    latent = loaded.latent.fixed(1, 0)
    torch.testing.assert_close(loaded.draw(sentence, latent), loaded.sample(1, inputs={"tokens": tokens}))


def test_a_model_does_not_go_on_with_other_words():
    gan = build(*SMALL)
    gan.learn_words(WORDS, 5)
    gan.learn_words(WORDS, 5)
    with pytest.raises(ConfigError, match="began with"):
        gan.learn_words(Vocabulary(["a", "red", "flower", "yellow", "leaves"], CAPTION_WORDS), 5)
    with pytest.raises(ConfigError, match=r"room for 20; set model.text.vocabulary=21"):
        build(*SMALL).learn_words(Vocabulary([str(i) for i in range(19)], CAPTION_WORDS), 5)


@pytest.mark.parametrize("preset", ["text_to_image_paper", "text_to_image_df_gan", "book_9"])
def test_presets_are_valid(preset):
    validate(compose([f"experiment={preset}"]))


def test_the_books_d_is_plain():
    gan = build("experiment=book_9", device="meta")
    names = {type(m).__name__ for m in gan.discriminator.modules()}
    assert "Bottleneck" not in names and gan.latent.size == 128
    assert parameters(gan.generator.layers) - 28 * 1024 * 16 == parameters(
        build("experiment=text_to_image_paper", device="meta").generator.layers
    )
