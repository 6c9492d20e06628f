"""Strips of a text-to-image model: what it draws for captions, on the ways between them and for their sums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gan_zoo import media
from gan_zoo.gan import GAN
from gan_zoo.latent import spherical
from gan_zoo.schema import ConfigError
from gan_zoo.views import Options, View
from gan_zoo.views.reading import Read, reader, warn_of_unknown
from gan_zoo.views.style import in_style


def drawn(gan: GAN, run: Path, view: View, seed: int, options: Options) -> media.Picture:
    """The labelled strip of a view, of options' captions: one, or two where the view goes from one to the other."""
    captions, n, steps = options.captions(), options.n or (8 if view == "grid" else 3), options.steps
    read, vocabulary = reader(gan, options.encoder)
    if vocabulary is not None:
        warn_of_unknown(vocabulary, captions)
    if view in ("captions", "caption_arithmetic") and len(captions) != 2:
        raise ConfigError(f"view={view} goes between two captions; give caption=... and other=...")
    if view == "captions":
        return between_captions(gan, read, captions, n, seed, steps)
    if view == "caption_arithmetic":
        return arithmetic(gan, read, captions, n, seed)
    if view == "style":
        return in_style(gan, read, run, captions, options.style, seed, options.style_steps)
    if view == "interpolation":
        return between_latents(gan, read, captions, n, seed, steps)
    return of_captions(gan, read, captions, n, seed)


def of_captions(gan: Any, read: Read, captions: Sequence[str], n: int, seed: int) -> media.Picture:
    """A row for each caption: n pictures, the same latents in every row."""
    latent = gan.latent.fixed(n, seed)
    told = read(captions).cpu()
    pictures = gan.draw(told.repeat_interleave(n, 0), latent.repeat(len(captions), 1))
    return media.labelled_strip(pictures, captions)


def between_latents(
    gan: Any, read: Read, captions: Sequence[str], n: int, seed: int, steps: int
) -> media.Picture:
    """Rows that walk from latent i to latent i + 1 along the great circle, under one caption."""
    ends = gan.latent.fixed(n + 1, seed)
    walk = torch.cat([spherical(ends[i], ends[i + 1], torch.linspace(0, 1, steps)) for i in range(n)])
    told = read(captions[:1]).cpu().expand(len(walk), -1)
    names = [f"from latent {i} to {i + 1}" for i in range(n)]
    return media.labelled_strip(gan.draw(told, walk), names, title=captions[0])


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
    return media.labelled_strip(
        gan.draw(told, latent), names, columns, f"from: {captions[0]};  to: {captions[1]}"
    )


def arithmetic(gan: Any, read: Read, captions: Sequence[str], n: int, seed: int) -> media.Picture:
    """a, b, a + b, a - b and b - a of two captions' sentences, a row for each latent."""
    a, b = read(captions).cpu()
    told = torch.stack([a, b, a + b, a - b, b - a])
    latent = gan.latent.fixed(n, seed).repeat_interleave(len(told), 0)
    names = ["a", "b", "a + b", "a - b", "b - a"]
    title = f"a = {captions[0]};  b = {captions[1]}"
    return media.labelled_strip(
        gan.draw(told.repeat(n, 1), latent), [f"latent {i}" for i in range(n)], names, title
    )
