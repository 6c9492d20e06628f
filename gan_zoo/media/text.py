"""Text, one sample a line."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gan_zoo.schema import ConfigError


def lines(texts: Sequence[str], columns: int | None = None) -> str:
    """One text a line; line breaks within a text are shown as such. columns: an empty line after so many."""
    if isinstance(texts, Tensor):
        raise ConfigError(
            f"text must come as strings, got a tensor {list(texts.shape)}; decode it with the data's alphabet"
        )
    shown = [text.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for text in texts]
    every = columns or max(1, len(shown))
    return "\n".join("".join(shown[i : i + every]) for i in range(0, len(shown), every))
