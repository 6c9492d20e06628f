"""Strips of a text-to-image model: captions, the ways between them, their sums; what a view lacks is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import media, sample
from gan_zoo.loading import load
from gan_zoo.media import strips
from gan_zoo.run import data_of
from gan_zoo.schema import ConfigError, DataError
from gan_zoo.views import captions, reading

A, B = "a flower with six yellow petals", "a red blossom in front of a hedge"


@pytest.mark.parametrize(
    ("view", "cells"),
    [("grid", (1, 3)), ("interpolation", (3, 4)), ("captions", (3, 4)), ("caption_arithmetic", (3, 5))],
)
def test_every_view_is_a_strip_of_so_many_pictures(run, view, cells, tmp_path):
    other = B if view in ("captions", "caption_arithmetic") else None
    steps = {"steps": 4} if view in ("interpolation", "captions") else {}
    path = sample.main(
        run=str(run), caption=A, other=other, view=view, n=3, output=str(tmp_path / "s.png"), **steps
    )
    picture = np.asarray(Image.open(path))
    side, gap = 128, strips.GAP
    assert picture.shape[1] == cells[1] * (side + gap) + gap
    assert cells[0] * (side + gap) < picture.shape[0] < (cells[0] + 1) * (side + gap + 40)


def test_ways_between_captions_begin_and_end_at_what_each_draws(run, monkeypatch):
    gan, drawn = load(run), []
    monkeypatch.setattr(media, "labelled_strip", lambda pictures, *names: drawn.append(pictures))
    read, _ = reading.reader(gan, None)
    captions.between_captions(gan, read, [A, B], n=2, seed=3, steps=5)
    captions.of_captions(gan, read, [A, B], n=2, seed=3)
    ways, ends = drawn[0].view(2, 5, 3, 16, 16), drawn[1].view(2, 2, 3, 16, 16)
    torch.testing.assert_close(ways[:, 0], ends[0])
    torch.testing.assert_close(ways[:, -1], ends[1])
    assert (ways[:, 2] - ways[:, 0]).abs().max() > 1e-5


def test_arithmetic_adds_and_subtracts_sentences(run, monkeypatch):
    gan, told = load(run), []
    draw = gan.draw
    monkeypatch.setattr(gan, "draw", lambda sentence, latent: told.append(sentence) or draw(sentence, latent))
    read, _ = reading.reader(gan, None)
    captions.arithmetic(gan, read, [A, B], n=1, seed=0)
    a, b = gan.read([A, B])
    torch.testing.assert_close(told[0], torch.stack([a, b, a + b, a - b, b - a]))


def test_samples_by_the_command_are_those_of_the_model(run):
    gan = load(run)
    latent = gan.latent.fixed(2, 7)
    expected = gan.sample(2, seed=7, inputs={"tokens": gan.tokens([A, A])})
    torch.testing.assert_close(gan.draw(gan.read([A]).expand(2, -1), latent), expected)


def test_held_out_captions_stand_beside_what_was_drawn_and_what_they_describe(run, tmp_path):
    path = sample.main(run=str(run), n=3, seed=7, output=str(tmp_path / "grid.png"))
    inputs = data_of(run).held_out_batch(3)
    drawn, real = load(run).sample(3, seed=7, inputs=inputs), inputs["real"].float() / 127.5 - 1
    expected = media.caption_sheet(drawn, data_of(run).decode(inputs["tokens"]), real)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"view": "interpolation"}, ConfigError, 'also needs tokens; give caption="..."'),
        ({"view": "video"}, ConfigError, 'also needs tokens; give caption="..."'),
        ({"view": "nearest", "caption": A}, ConfigError, "view=nearest draws no captions"),
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
