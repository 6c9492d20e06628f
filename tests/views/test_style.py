"""The style of a picture: the encoder that inverts G, and the strip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import sample
from gan_zoo.loading import load
from gan_zoo.media import strips
from gan_zoo.schema import DataError
from gan_zoo.views import reading, style

A, B = "a flower with six yellow petals", "a red blossom in front of a hedge"


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
    assert Image.open(path).width == 3 * (128 + strips.GAP) + strips.GAP
    kept = run / style.STYLE_FILE
    before = kept.stat().st_mtime_ns
    read, _ = reading.reader(gan, None)
    style.style_encoder(gan, run, read, [A], 0, 120)
    assert kept.stat().st_mtime_ns == before
    kept.unlink()
    for layer in gan.ema_generator.layers:  # an untrained G draws grey; this one shows its z
        if isinstance(layer, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(layer.weight, 0.0, 0.3)
    encoder = style.style_encoder(gan, run, read, [A], 0, 200)
    z = torch.randn(64, 5, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        error = (encoder(gan.draw(gan.read([A]).expand(64, -1), z)) - z).square().mean()
    assert error < 0.8  # 1 is the error of answering 0


def test_a_picture_that_cannot_be_read_is_refused_before_the_encoder_is_trained(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        style, "style_encoder", lambda *_: pytest.fail("trained before the picture was looked at")
    )
    with pytest.raises(DataError, match="not a picture that can be read"):
        sample.main(run=str(run), caption=A, view="style", style=str(tmp_path / "missing.png"))
