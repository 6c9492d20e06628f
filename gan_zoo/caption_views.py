"""Strips of a text-to-image model: what it draws for captions, between them, for their sums, and in the style of a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_zoo import chance, labelled, media
from gan_zoo.gan import GAN
from gan_zoo.latent import spherical
from gan_zoo.nn.joint_embedding import PictureEncoder
from gan_zoo.schema import ConfigError, DataError
from gan_zoo.vocabulary import Vocabulary

STYLE_FILE = "style_encoder.safetensors"
Read = Callable[[Sequence[str]], Tensor]


def warn_of_unknown(vocabulary: Vocabulary, captions: Sequence[str]) -> None:
    """Names on stderr the words that the model does not know; ConfigError where a caption has no other."""
    unknown = list(dict.fromkeys(word for caption in captions for word in vocabulary.unknown(caption)))
    for caption in captions:
        if not set(vocabulary.spelling.split(caption)) - set(unknown):
            known = ", ".join(list(vocabulary.ids)[:12])
            raise ConfigError(
                f"caption={caption!r}: the model knows none of its words; it knows {known}, ..."
            )
    if unknown:
        print(
            f"warning: the model has never seen {', '.join(map(repr, unknown))}; it reads each as the same unknown symbol",
            file=sys.stderr,
        )


def reader(gan: Any, encoder: str | None) -> tuple[Read, Vocabulary | None]:
    """From captions to what G is told: by the model's own encoder, or by the one that made the embeddings it was trained on.

    The vocabulary is None where every word is known.
    """
    if getattr(gan, "read", None) is None:
        raise ConfigError(f"{type(gan).__name__} takes no captions; train one with model=text_to_image")
    if gan.settings.source == "embedding":
        if encoder is None:
            raise ConfigError(
                "this model was trained on embeddings: give encoder=..., the encoder that made them "
                "(a file of train_text_encoder, or sentence-transformers:NAME)"
            )
        from gan_zoo.embed_captions import embedder

        chosen = embedder(encoder)
        return chosen.embed, chosen.vocabulary
    return gan.read, gan.vocabulary


def drawn(
    gan: GAN,
    run: Path,
    view: str,
    captions: Sequence[str],
    *,
    n: int,
    seed: int,
    steps: int,
    style: str | None,
    style_steps: int,
    encoder: str | None,
) -> media.Picture:
    """The labelled strip of a view; captions: one, or two where the view goes from one to the other."""
    read, vocabulary = reader(gan, encoder)
    if vocabulary is not None:
        warn_of_unknown(vocabulary, captions)
    if view in ("captions", "caption_arithmetic") and len(captions) != 2:
        raise ConfigError(f"view={view} goes between two captions; give caption=... and other=...")
    if view == "captions":
        return between_captions(gan, read, captions, n, seed, steps)
    if view == "caption_arithmetic":
        return arithmetic(gan, read, captions, n, seed)
    if view == "style":
        return in_style(gan, read, run, captions, style, seed, style_steps)
    if view == "interpolation":
        return between_latents(gan, read, captions, n, seed, steps)
    return of_captions(gan, read, captions, n, seed)


def of_captions(gan: Any, read: Read, captions: Sequence[str], n: int, seed: int) -> media.Picture:
    """A row for each caption: n pictures, the same latents in every row."""
    latent = gan.latent.fixed(n, seed)
    told = read(captions).cpu()
    pictures = gan.draw(told.repeat_interleave(n, 0), latent.repeat(len(captions), 1))
    return labelled.strip(pictures, captions)


def between_latents(
    gan: Any, read: Read, captions: Sequence[str], n: int, seed: int, steps: int
) -> media.Picture:
    """Rows that walk from latent i to latent i + 1 along the great circle, under one caption."""
    ends = gan.latent.fixed(n + 1, seed)
    walk = torch.cat([spherical(ends[i], ends[i + 1], torch.linspace(0, 1, steps)) for i in range(n)])
    told = read(captions[:1]).cpu().expand(len(walk), -1)
    names = [f"from latent {i} to {i + 1}" for i in range(n)]
    return labelled.strip(gan.draw(told, walk), names, title=captions[0])


def between_captions(
    gan: Any, read: Read, captions: Sequence[str], n: int, seed: int, steps: int
) -> media.Picture:
    """Rows from the first caption to the second along a line between their sentences, one latent a row."""
    first, second = read(captions).cpu()
    share = torch.linspace(0, 1, steps)
    told = torch.lerp(first, second, share[:, None]).repeat(n, 1)
    latent = gan.latent.fixed(n, seed).repeat_interleave(steps, 0)
    columns = [f"{value:.0%}" for value in share.tolist()]
    names = [f"latent {i}" for i in range(n)]
    return labelled.strip(gan.draw(told, latent), names, columns, f"from: {captions[0]};  to: {captions[1]}")


def arithmetic(gan: Any, read: Read, captions: Sequence[str], n: int, seed: int) -> media.Picture:
    """a, b, a + b, a - b and b - a of two captions' sentences, a row for each latent."""
    a, b = read(captions).cpu()
    told = torch.stack([a, b, a + b, a - b, b - a])
    latent = gan.latent.fixed(n, seed).repeat_interleave(len(told), 0)
    names = ["a", "b", "a + b", "a - b", "b - a"]
    title = f"a = {captions[0]};  b = {captions[1]}"
    return labelled.strip(
        gan.draw(told.repeat(n, 1), latent), [f"latent {i}" for i in range(n)], names, title
    )


# ---- style ------------------------------------------------------------------------------------------------------


def in_style(
    gan: Any, read: Read, run: Path, captions: Sequence[str], style: str | None, seed: int, steps: int
) -> media.Picture:
    """A picture, and each caption drawn with the latent that the style encoder finds in it."""
    if style is None:
        raise ConfigError("view=style needs a picture whose style is taken; give style=PICTURE.png")
    encoder = style_encoder(gan, run, read, captions, seed, steps)
    like = gan.sample_shape
    picture = picture_of(Path(style), like)
    with torch.no_grad():
        latent = encoder(picture.to(gan.device)).cpu()
    made = gan.draw(read(captions).cpu(), latent.expand(len(captions), -1))
    return labelled.strip(
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
    file = (run if run.is_dir() else run.parent) / STYLE_FILE
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
