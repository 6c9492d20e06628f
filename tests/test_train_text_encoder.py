"""Training a text encoder, the embeddings that it makes of a data set's captions, and a model that reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_zoo import embed_captions, train_text_encoder
from gan_zoo.config import compose, validate
from gan_zoo.data.caption_embeddings import read_embeddings
from gan_zoo.loading import build
from gan_zoo.nn import joint_embedding
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError
from gan_zoo.views import reading

GARDEN = ["data.resolution=16", "data.size=160", "data.held_out=24", "data.unseen=8"]
SHORT = {
    "samples": 9600,
    "lr": 4e-3,
    "batch_size": 32,
    "size": 16,
    "encoder": {"name": "words", "width": 16, "word": 16},
    "picture_width": 8,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("encoder") / "words.safetensors"
    return train_text_encoder.main(overrides=GARDEN, settings=SHORT, output=str(output))


def test_the_right_caption_is_found_more_often_than_by_chance(trained):
    about = joint_embedding.read(trained).about
    assert about["figures"]["r_precision"] > 2 / 24  # chance is 1 in 24
    assert about["figures"]["class_accuracy"] > 0.1 and about["data"] == "flowers"


def test_the_same_seed_trains_the_same_encoder(trained, tmp_path):
    again = train_text_encoder.main(
        overrides=GARDEN, settings=SHORT, output=str(tmp_path / "again.safetensors")
    )
    assert joint_embedding.read(again).digest == joint_embedding.read(trained).digest


def test_embeddings_say_whose_they_are_and_a_model_is_built_on_them(trained, tmp_path):
    file = embed_captions.main(
        data="flowers", encoder=str(trained), output=str(tmp_path / "e.safetensors"), overrides=GARDEN
    )
    texts = [
        "model=text_to_image", *GARDEN, f"data.embeddings={file}", "data.captions_averaged=4", "model.text.size=16",
        "model.text.source=embedding", "model.text.encoder=null", "model.generator.width=4",
    ]  # fmt: skip
    config = validate(compose(texts))
    data = data_module(config)
    embedding, said = read_embeddings(file, data.table.texts)
    assert said["encoder_hash"] == joint_embedding.read(trained).digest
    expected = embed_captions.embedder(str(trained)).embed(data.table.texts[:3])
    torch.testing.assert_close(embedding[:3], expected)
    gan = build(config)
    gan._refuse_data_without_text(data)
    with pytest.raises(ConfigError, match=r"set model\.text\.size=16"):
        build(validate(compose([*texts, "model.text.size=15"])))._refuse_data_without_text(data)
    without = data_module(validate(compose([*texts, "data.embeddings=null"])))
    with pytest.raises(ConfigError, match=r"give data\.embeddings=FILE"):
        gan._refuse_data_without_text(without)
    assert gan.sample(2, inputs=data.held_out_batch(2)).shape == (2, 3, 16, 16)
    read, vocabulary = reading.reader(gan, str(trained))
    assert vocabulary == data.vocabulary  # so that unknown words are named here too
    torch.testing.assert_close(read(data.table.texts[:3]), expected)


def test_pictures_captions_and_embeddings_are_one_file(trained, tmp_path):
    h5py = pytest.importorskip("h5py")
    arguments = {"data": "flowers", "encoder": str(trained), "overrides": GARDEN, "pictures": True}
    file = embed_captions.main(output=str(tmp_path / "flowers.h5"), **arguments)
    digest = joint_embedding.read(trained).digest
    with h5py.File(file) as opened:
        assert dict(opened.attrs) == {"encoder": "words of flowers", "encoder_hash": digest}
    texts = [
        "model=text_to_image",
        "data=caption_hdf5",
        f"data.root={file}",
        "data.resolution=16",
        "data.margin=1",
    ]
    data = data_module(validate(compose([*texts, "data.classes=0", "data.flip=false"])))
    drawn = data_module(validate(compose(["model=text_to_image", "data=flowers", *GARDEN])))
    assert len(data.train_set()) == 160 and len(data.held_out_set()) == 24
    assert torch.equal(data.held_out_batch(24)["real"], drawn.held_out_batch(24)["real"])
    some = [0, 7, 500]
    expected = embed_captions.embedder(str(trained)).embed([data.table.texts[i] for i in some])
    torch.testing.assert_close(data.table.embedding[some], expected)
    with pytest.raises(ConfigError, match=r"one \.h5 or \.hdf5 file"):
        embed_captions.main(output=str(tmp_path / "flowers.safetensors"), **arguments)


def test_a_frozen_encoder_begins_a_run_and_stays_as_it_was(trained, tmp_path):
    from gan_zoo.loading import load
    from gan_zoo.run import train

    config = validate(
        compose(
            [
                "model=text_to_image", *GARDEN, f"model.text.weights={trained}", "model.text.training=frozen", "model.text.size=16",
                "model.text.encoder={width: 16, word: 16}", "model.generator.width=4", "model.discriminator.width=4",
                "max_samples=24", "data.batch_size=8", "logger=csv", "trainer.threads=1", "trainer.accelerator=cpu",
                "trainer.precision=32-true", f"output_dir={tmp_path / 'run'}",
            ]
        )
    )  # fmt: skip
    assert train(config) == 0
    gan, own = load(tmp_path / "run"), joint_embedding.read(trained)
    tokens = gan.tokens(["a flower with six yellow petals"]).long()
    torch.testing.assert_close(gan.encoder(tokens), own.text(tokens))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "wrods"}, "did you mean words"),
        ({"data": "digits"}, "no captions"),
        ({"overrides": ["model.text.size=3"]}, "keys of the data"),
        ({"settings": {"sample": 3}}, "settings.sample: no such key"),
        ({"settings": {"lr": 0}}, "settings.lr"),
    ],
)
def test_what_cannot_be_right_is_said(arguments, message):
    with pytest.raises(ConfigError, match=message):
        train_text_encoder.main(**arguments)


def test_an_encoder_that_is_not_here_says_how_to_get_it():
    with pytest.raises(ConfigError, match=r"gan-zoo\[text\]|cannot load it"):
        embed_captions.embedder("sentence-transformers:/nowhere/at/all")
