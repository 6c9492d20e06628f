"""gan_zoo: GAN research on PyTorch Lightning. `gan_zoo.load(run).sample(64)`; `python -m gan_zoo.train --help`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_zoo.config import compose
    from gan_zoo.gan import GAN, Batch, Judgement, Terms
    from gan_zoo.loading import build, load

__version__ = "0.1.0"
__all__ = ["GAN", "Batch", "Judgement", "Terms", "__version__", "build", "compose", "load"]

_HOMES = {
    "GAN": "gan",
    "Batch": "gan",
    "Terms": "gan",
    "Judgement": "gan",
    "build": "loading",
    "load": "loading",
    "compose": "config",
}


def __getattr__(name: str) -> Any:
    """Imports torch only when something needs it, so that --help answers at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gan_zoo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"gan_zoo.{_HOMES[name]}"), name)
