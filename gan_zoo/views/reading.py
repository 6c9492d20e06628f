"""From captions to what a text-to-image model's G is told; words that it does not know are named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gan_zoo.schema import ConfigError

Read = Callable[[Sequence[str]], Tensor]


def warn_of_unknown(gan: Any, captions: Sequence[str]) -> list[str]:
    """Names on stderr the words that the model does not know; ConfigError where a caption has no other."""
    vocabulary = gan.vocabulary
    unknown = list(dict.fromkeys(word for caption in captions for word in vocabulary.unknown(caption)))
    for caption in captions:
        if not set(vocabulary.split(caption)) - set(unknown):
            raise ConfigError(
                f"caption={caption!r}: the model knows none of its words; it knows {', '.join(vocabulary.units[2:14])}, ..."
            )
    if unknown:
        print(
            f"warning: the model has never seen {', '.join(map(repr, unknown))}; left out of the caption",
            file=sys.stderr,
        )
    return unknown


def reader(gan: Any, encoder: str | None) -> Read:
    """From captions to what G is told: by the model's own encoder, or by the one that made the embeddings it was trained on."""
    if getattr(gan, "read", None) is None:
        raise ConfigError(f"{type(gan).__name__} takes no captions; train one with model=text_to_image")
    if gan.settings.source == "embedding":
        if encoder is None:
            raise ConfigError(
                "this model was trained on embeddings: give encoder=..., the encoder that made them "
                "(a file of train_text_encoder, or sentence-transformers:NAME)"
            )
        from gan_zoo.embed_captions import embedder

        return embedder(encoder).embed

    def read(captions: Sequence[str]) -> Tensor:
        warn_of_unknown(gan, captions)
        return gan.read(list(captions))

    return read
