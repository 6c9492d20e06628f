"""Strips of a text-to-image model: captions, ways between them, their sums, the style of a picture; unknown words are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import caption_views, labelled, sample
from gan_zoo.config import compose, validate
from gan_zoo.loading import load
from gan_zoo.run import train
from gan_zoo.schema import ConfigError, DataError

SMALL = [
    "model=text_to_image", "data.resolution=16", "data.size=48", "data.held_out=16", "data.unseen=8", "data.batch_size=8",
    "model.generator.width=4", "model.discriminator.width=4", "model.text.size=8", "model.text.encoder={width: 8, word: 8}",
    "model.latent.size=5", "max_samples=16", "logger=csv", "trainer.threads=1", "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]  # fmt: skip
A, B = "a flower with six yellow petals", "a red blossom in front of a hedge"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "run"
    assert train(validate(compose([*SMALL, f"output_dir={directory}"]))) == 0
    return directory


@pytest.mark.parametrize(
    ("view", "cells"),
    [("grid", (1, 3)), ("interpolation", (3, 4)), ("captions", (3, 4)), ("caption_arithmetic", (3, 5))],
)
def test_every_view_is_a_strip_of_so_many_pictures(run, view, cells, tmp_path):
    other = B if view in ("captions", "caption_arithmetic") else None
    path = sample.main(
        run=str(run), caption=A, other=other, view=view, n=3, steps=4, output=str(tmp_path / "s.png")
    )
    picture = np.asarray(Image.open(path))
    side, gap = 128, labelled.GAP
    assert picture.shape[1] == cells[1] * (side + gap) + gap
    assert cells[0] * (side + gap) < picture.shape[0] < (cells[0] + 1) * (side + gap + 40)


def test_ways_between_captions_begin_and_end_at_what_each_draws(run, monkeypatch):
    gan, drawn = load(run), []
    monkeypatch.setattr(labelled, "strip", lambda pictures, *names: drawn.append(pictures))
    read, _ = caption_views.reader(gan, None)
    caption_views.between_captions(gan, read, [A, B], n=2, seed=3, steps=5)
    caption_views.of_captions(gan, read, [A, B], n=2, seed=3)
    ways, ends = drawn[0].view(2, 5, 3, 16, 16), drawn[1].view(2, 2, 3, 16, 16)
    torch.testing.assert_close(ways[:, 0], ends[0])
    torch.testing.assert_close(ways[:, -1], ends[1])
    assert (ways[:, 2] - ways[:, 0]).abs().max() > 1e-5


def test_arithmetic_adds_and_subtracts_sentences(run, monkeypatch):
    gan, told = load(run), []
    draw = gan.draw
    monkeypatch.setattr(gan, "draw", lambda sentence, latent: told.append(sentence) or draw(sentence, latent))
    read, _ = caption_views.reader(gan, None)
    caption_views.arithmetic(gan, read, [A, B], n=1, seed=0)
    a, b = gan.read([A, B])
    torch.testing.assert_close(told[0], torch.stack([a, b, a + b, a - b, b - a]))


def test_samples_by_the_command_are_those_of_the_model(run):
    gan = load(run)
    latent = gan.latent.fixed(2, 7)
    expected = gan.sample(2, seed=7, inputs={"tokens": gan.tokens([A, A])})
    torch.testing.assert_close(gan.draw(gan.read([A]).expand(2, -1), latent), expected)


def test_unknown_words_are_named_once_and_read_as_the_unknown_symbol(run, capsys, tmp_path):
    gan, odd = load(run), "a chartreuse flower with six yellow tepals"
    sample.main(
        run=str(run), caption=odd, other=A, view="captions", n=1, steps=2, output=str(tmp_path / "s.png")
    )
    said = capsys.readouterr().err
    assert said.count("warning") == 1 and "'chartreuse', 'tepals'" in said and "yellow" not in said
    known = gan.vocabulary.ids
    expected = [known["a"], 1, *(known[word] for word in ["flower", "with", "six", "yellow"]), 1]
    assert gan.tokens([odd])[0, :7].tolist() == expected and not gan.tokens([odd])[0, 7:].any()
    with pytest.raises(ConfigError, match="knows none of its words; it knows 3, 4, "):
        caption_views.warn_of_unknown(gan.vocabulary, ["zebras galore"])


def test_the_style_encoder_finds_more_of_z_than_chance_and_is_kept(run, tmp_path):
    gan = load(run)
    picture = tmp_path / "style.png"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(picture)
    path = sample.main(
        run=str(run),
        caption=A,
        other=B,
        view="style",
        style=str(picture),
        style_steps=120,
        output=str(tmp_path / "o.png"),
    )
    assert Image.open(path).width == 3 * (128 + labelled.GAP) + labelled.GAP
    kept = run / caption_views.STYLE_FILE
    before = kept.stat().st_mtime_ns
    read, _ = caption_views.reader(gan, None)
    caption_views.style_encoder(gan, run, read, [A], 0, 120)
    assert kept.stat().st_mtime_ns == before
    kept.unlink()
    for layer in gan.ema_generator.layers:  # an untrained G draws grey; this one shows its z
        if isinstance(layer, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(layer.weight, 0.0, 0.3)
    encoder = caption_views.style_encoder(gan, run, read, [A], 0, 200)
    z = torch.randn(64, 5, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        error = (encoder(gan.draw(gan.read([A]).expand(64, -1), z)) - z).square().mean()
    assert error < 0.8  # 1 is the error of answering 0


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"view": "captions", "caption": A}, ConfigError, "give caption=... and other=..."),
        ({"view": "caption_arithmetic"}, ConfigError, "needs a caption"),
        ({"view": "style", "caption": A}, ConfigError, "give style=PICTURE.png"),
        (
            {"view": "style", "caption": A, "style": "not_there.png", "style_steps": 1},
            DataError,
            "give a PNG or JPEG",
        ),
    ],
)
def test_what_a_view_lacks_is_said(run, arguments, kind, message):
    with pytest.raises(kind, match=message):
        sample.main(run=str(run), **arguments)


def test_a_strip_needs_as_many_pictures_and_names_as_it_has_places():
    pictures = torch.zeros(6, 3, 16, 16)
    with pytest.raises(ConfigError, match="6 pictures came for 4 rows"):
        labelled.strip(pictures, ["a", "b", "c", "d"])
    with pytest.raises(ConfigError, match="2 names came for 3 columns"):
        labelled.strip(pictures, ["a", "b"], ["x", "y"])
    sheet = labelled.strip(torch.ones(2, 1, 16, 16) * -1, ["grey"], ["x", "y"], "title")
    assert sheet.shape[2] == 3 and (sheet == 0).all(axis=2).sum() == 2 * 128 * 128
