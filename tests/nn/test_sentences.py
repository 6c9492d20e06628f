"""Sentence encoders, and the joint space of texts and pictures."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gan_zoo.nn import joint_embedding, sentences
from gan_zoo.nn.joint_embedding import PictureEncoder, structured_joint_loss
from gan_zoo.nn.sentences import CharCNNRNN, WordEncoder
from gan_zoo.schema import CheckpointError, ConfigError
from gan_zoo.vocabulary import CAPTION_WORDS, Vocabulary

WORDS = Vocabulary(["red", "yellow", "petals", "centre"], CAPTION_WORDS)
ABOUT = {
    "name": "words",
    "data": "flowers",
    "encoder": {"name": "words", "width": 8, "word": 4},
    "size": 6,
    "picture": {"channels": 3, "resolution": 16, "width": 4},
    "vocabulary": WORDS.symbols,
    "caption_length": 5,
}


def words(**settings: int) -> WordEncoder:
    torch.manual_seed(0)
    return WordEncoder(6, 8, **settings)


# ---- encoders ----------------------------------------------------------------------------------------------------


def test_padding_does_not_change_a_sentence():
    encoder, tokens = words(), torch.tensor([[2, 4, 3, 5]])
    padded = torch.cat([tokens, torch.zeros(1, 9, dtype=torch.int64)], 1)
    torch.testing.assert_close(encoder(padded), encoder(tokens))
    assert encoder(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()


def test_a_colour_keeps_to_its_noun():
    encoder = words()
    one, other = encoder(torch.tensor([[2, 4, 3, 5], [3, 4, 2, 5]]))  # the same bag of words
    assert (one - other).abs().max() > 1e-2


def test_the_char_cnn_rnn_has_the_authors_parameters_and_eight_steps():
    encoder = CharCNNRNN(71, 1024)
    convolutions = (70 * 4 + 0) * 384 + 384 + 384 * 4 * 512 + 512 + 512 * 4 * 512 + 512
    assert (
        sum(p.numel() for p in encoder.parameters())
        == convolutions + 2 * (512 * 512 + 512) + 512 * 1024 + 1024
    )
    steps = []
    encoder.inward.register_forward_hook(lambda _, inputs, output: steps.append(output.shape[1]))
    assert encoder(torch.randint(0, 71, (2, 201))).shape == (2, 1024) and steps == [8]
    assert max(float(p.detach().abs().max()) for p in encoder.parameters()) <= 0.08
    assert encoder(torch.randint(0, 71, (2, 10))).shape == (2, 1024)


def test_the_recurrence_begins_without_the_bias_of_the_hidden_state():
    encoder = CharCNNRNN(71, 5, width=4)
    states = []
    encoder.project.register_forward_hook(lambda _, inputs, output: states.append(inputs[0]))
    steps = []
    encoder.inward.register_forward_hook(lambda _, inputs, output: steps.append(output))
    encoder(torch.randint(1, 71, (3, 201)))
    h, found = torch.relu(steps[0][:, 0]), []
    found.append(h)
    for t in range(1, 8):
        h = torch.relu(steps[0][:, t] + h @ encoder.onward.weight.T + encoder.onward.bias)
        found.append(h)
    torch.testing.assert_close(states[0], sum(found) / 8)


def test_an_unknown_encoder_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match="words, char_cnn_rnn"):
        sentences.create(10, "bert", 5)


# ---- the joint loss ----------------------------------------------------------------------------------------------


def test_the_joint_loss_of_embeddings_at_right_angles():
    for scale, expected in ((0.0, 3 / 4), (0.5, 0.75 * 3 / 4), (1.0, 0.0), (3.0, 0.0)):
        eye = scale * torch.eye(4)
        for term in structured_joint_loss(eye, eye):
            assert float(term) == pytest.approx(expected)


def test_the_joint_loss_is_the_papers_double_sum_and_spares_the_own_class():
    torch.manual_seed(0)
    text, picture = torch.randn(5, 3), torch.randn(5, 3)
    classes = torch.tensor([0, 1, 0, -1, -1])
    among_texts = among_pictures = 0.0
    for i in range(5):
        for j in range(5):
            if i == j or (classes[i] == classes[j] and classes[i] >= 0):
                continue
            own = float(picture[i] @ text[i])
            among_texts += max(0.0, 1 + float(picture[i] @ text[j]) - own) / 25
            among_pictures += max(0.0, 1 + float(picture[j] @ text[i]) - own) / 25
    found = structured_joint_loss(text, picture, classes)
    assert [float(term) for term in found] == pytest.approx([among_texts, among_pictures], rel=1e-5)


# ---- the file ----------------------------------------------------------------------------------------------------


def test_a_trained_pair_comes_back_from_its_file_with_its_hash(tmp_path):
    text, picture = joint_embedding.networks(ABOUT)
    digest = joint_embedding.write(tmp_path / "encoder.safetensors", ABOUT, text, picture)
    trained = joint_embedding.read(tmp_path / "encoder.safetensors")
    tokens, pictures = torch.tensor([[2, 4, 0]]), torch.rand(2, 3, 16, 16)
    assert torch.equal(trained.text(tokens), text(tokens))
    assert torch.equal(trained.picture(pictures), picture.eval()(pictures))
    assert trained.digest == digest and len(digest) == 16 and trained.vocabulary == WORDS
    with torch.no_grad():
        next(text.parameters())[2, 0] += 1e-3
    assert joint_embedding.digest_of(text.state_dict()) != digest


@pytest.mark.parametrize("what", ["nothing", "garbage", "other", "misfit", "other words"])
def test_what_is_no_encoder_is_refused(what, tmp_path):
    path = tmp_path / "file.safetensors"
    text, picture = joint_embedding.networks(ABOUT)
    if what == "garbage":
        path.write_bytes(b"no safetensors")
    elif what == "other":
        save_file({"weight": torch.zeros(2)}, path)
    elif what == "misfit":
        joint_embedding.write(path, {**ABOUT, "size": 7}, text, picture)
    elif what == "other words":
        joint_embedding.write(path, {**ABOUT, "vocabulary": ["a", "b", "c", "d", "e", "f"]}, text, picture)
    with pytest.raises(CheckpointError, match=r"train_text_encoder|make it again"):
        joint_embedding.read(path)


@pytest.mark.parametrize("wrong", [{"size": 2**40}, {"encoder": {**ABOUT["encoder"], "layers": 2**40}}])
def test_what_a_file_says_of_itself_costs_no_memory_before_it_fits_its_tensors(wrong, tmp_path, monkeypatch):
    path, build, devices = tmp_path / "file.safetensors", joint_embedding.networks, []
    joint_embedding.write(path, {**ABOUT, **wrong}, *build(ABOUT))

    def watched(about):
        devices.append(torch.get_default_device().type)
        return build(about)

    monkeypatch.setattr(joint_embedding, "networks", watched)
    with pytest.raises(CheckpointError, match=r"layers in a file of|of another shape"):
        joint_embedding.read(path)
    assert set(devices) <= {"meta"}


def test_a_model_of_other_words_or_settings_does_not_take_an_encoder(tmp_path):
    joint_embedding.write(tmp_path / "e.safetensors", ABOUT, *joint_embedding.networks(ABOUT))
    trained = joint_embedding.read(tmp_path / "e.safetensors")
    settings = {"name": "words", "width": 8, "word": 4}
    trained.refuse_other(settings, 6, WORDS)
    trained.refuse_other({**settings, "kernel": 3}, 6, WORDS)  # the class's own value, written out
    for other, size, known in (
        ({**settings, "kernel": 5}, 6, WORDS),
        (settings, 7, WORDS),
        (settings, 6, Vocabulary(["red", "yellow", "petals"], CAPTION_WORDS)),
    ):
        with pytest.raises(ConfigError, match=r"model\.text"):
            trained.refuse_other(other, size, known)


def test_tables_with_more_room_take_the_trained_rows():
    text, _ = joint_embedding.networks(ABOUT)
    roomy = sentences.create(50, size=6, **ABOUT["encoder"])
    joint_embedding.fill(roomy, text)
    tokens = torch.tensor([[2, 4, 5, 0]])
    torch.testing.assert_close(roomy(tokens), text(tokens))
    with pytest.raises(ConfigError, match=r"model\.text\.vocabulary"):
        joint_embedding.fill(sentences.create(4, size=6, **ABOUT["encoder"]), text)


def test_a_picture_encoder_halves_to_four():
    encoder = PictureEncoder(3, 32, 7, width=8)
    assert sum(isinstance(layer, nn.Conv2d) for layer in encoder.layers) == 3
    assert encoder(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert json.dumps(ABOUT)
