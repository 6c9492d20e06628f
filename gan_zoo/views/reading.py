"""From captions to what a text-to-image model's G is told; words that it does not know are named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gan_zoo.schema import ConfigError
from gan_zoo.vocabulary import Vocabulary

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
