"""Less variety for better pictures: latents drawn towards their mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from gan_zoo.gan import GAN, Batch
from gan_zoo.nn.norms import PixelNorm
from gan_zoo.schema import ConfigError


@contextmanager
def truncated(gan: GAN, share: float) -> Iterator[None]:
    """Within it G sees m + share (z - m) for z, m the mean of its law: 1 changes nothing, 0 gives one picture.

    For a first layer w = W z + b this is w -> E w + share (w - E w), the trick of Karras et al. 2019, app. B. Latents are
    scaled; Brock et al. 2019 draw large values anew instead. PGGAN normalises z, which would undo either: there the
    normalised z is scaled.
    """
    if gan.latent is None:
        raise ConfigError(f"truncation={share} came, but {type(gan).__name__} has no latent; leave it out")
    if not 0 <= share <= 1:
        raise ConfigError(f"truncation must lie between 0 (one picture) and 1 (all of them), got {share}")
    inputs = [getattr(network, "input", None) for network in (gan.generator, gan.ema_generator)]
    norms = [layer for layer in inputs if isinstance(layer, PixelNorm)]
    with ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_hook(_scaling(gan.latent.shape[0], share)).remove)
        if not norms:
            gan.generate = _drawn_in(gan, share)  # type: ignore[method-assign]
            stack.callback(delattr, gan, "generate")
        yield


def _scaling(size: int, share: float) -> Any:
    """Of the first `size` numbers: what follows them is the label."""

    def scale(layer: Any, given: Any, made: Tensor) -> Tensor:
        made = made.clone()
        made[:, :size] *= share
        return made

    return scale


def _drawn_in(gan: GAN, share: float) -> Any:
    generate, latent = gan.generate, gan.latent
    assert latent is not None

    def drawn_in(batch: Batch) -> Tensor:
        return generate({**batch, "latent": latent.mean + share * (batch["latent"] - latent.mean)})

    return drawn_in
