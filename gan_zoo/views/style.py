"""Captions in the style of a picture: with the latent that an encoder finds in it, which learns to invert G (Reed et al. 2016)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_zoo import chance, media
from gan_zoo.nn.joint_embedding import PictureEncoder
from gan_zoo.schema import ConfigError, DataError
from gan_zoo.views.reading import Read

STYLE_FILE = "style_encoder.safetensors"


def in_style(
    gan: Any, read: Read, run: Path, captions: Sequence[str], style: str | None, seed: int, steps: int
) -> media.Picture:
    """A picture, and each caption drawn with the latent that the style encoder finds in it."""
    if style is None:
        raise ConfigError("view=style needs a picture whose style is taken; give style=PICTURE.png")
    picture = picture_of(Path(style), gan.sample_shape)  # before the minutes that the encoder takes
    encoder = style_encoder(gan, run, read, captions, seed, steps)
    with torch.no_grad():
        latent = encoder(picture.to(gan.device)).cpu()
    made = gan.draw(read(captions).cpu(), latent.expand(len(captions), -1))
    return media.labelled_strip(
        torch.cat([picture, made]), ["style of the first picture"], [Path(style).name, *captions]
    )


def picture_of(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """[1, C, R, R] in [-1, 1] of a picture file, its middle square resized; DataError where it is none."""
    try:
        with Image.open(path) as opened:
            picture = opened.convert("L" if shape[0] == 1 else "RGB")
    except (OSError, UnidentifiedImageError) as failure:
        raise DataError(path, f"not a picture that can be read ({failure}); give a PNG or JPEG") from failure
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize(shape[1:], Image.Resampling.BOX)
    levels = torch.from_numpy(np.array(square)).view(1, shape[1], shape[2], -1).permute(0, 3, 1, 2)
    return levels[:, : shape[0]].float() / 127.5 - 1


def style_encoder(
    gan: Any, run: Path, read: Read, captions: Sequence[str], seed: int, steps: int
) -> PictureEncoder:
    """Inverts G: from a picture to its z, by E ||z - S(G(z, t))||^2 on samples (Reed et al. 2016, eq. 6); kept beside the run.

    The captions t are the run's own training captions, or, for an export without its data, those that were asked for.
    """
    shape = gan.sample_shape
    network = PictureEncoder(shape[0], shape[1], gan.latent.size).to(gan.device)
    file = run / STYLE_FILE
    stamp = f"{gan.samples_seen}-{steps}"
    if file.is_file():
        tensors = load_file(file)
        if bytes(tensors.pop("stamp").tolist()).decode() == stamp:
            network.load_state_dict(tensors)
            return network.eval()
    told = _training_sentences(gan, run)
    told = read(captions) if told is None else told
    _invert(gan, network, told.to(gan.device), seed, steps)
    kept = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    save_file({**kept, "stamp": torch.tensor(list(stamp.encode()), dtype=torch.uint8)}, file)
    return network.eval()


def _training_sentences(gan: Any, run: Path, most: int = 2000) -> Tensor | None:
    """What G is told of the first training captions of a run; None for an export, which has no data."""
    from gan_zoo.run import data_of

    if not (run / "config.yaml").is_file():
        return None
    data = data_of(run)
    items = data.train_set()
    batch = items.__getitems__([(i, 0, data.resolution) for i in range(min(most, len(items)))])
    if gan.settings.source == "embedding":
        return batch["embedding"].float()
    return gan.read(gan.vocabulary.lines(batch["tokens"]))


def _invert(gan: Any, network: PictureEncoder, told: Tensor, seed: int, steps: int, batch: int = 64) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(chance.mix(seed, "style encoder"))
    print(f"training the style encoder on {steps * batch:,} samples", file=sys.stderr, flush=True)
    network.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        z = torch.randn(batch, gan.latent.size, generator=generator)
        chosen = torch.randint(len(told), (batch,), generator=generator)
        pictures = gan.draw(told[chosen], z).to(gan.device)
        loss = (network(pictures) - z.to(gan.device)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
