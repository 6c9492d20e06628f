"""Libraries that only some work needs; an extra of the package installs each."""

from __future__ import annotations

import importlib
from typing import Any

from gan_zoo.schema import ConfigError

EXTRAS = {
    "soundfile": "audio",
    "soxr": "audio",
    "pystoi": "audio",
    "pesq": "audio",
    "nltk": "text",
    "sentence_transformers": "text",
    "h5py": "hdf5",
    "imageio_ffmpeg": "video",
}


def needed(module: str, what: str, otherwise: str = "") -> Any:
    """The module; ConfigError, which names its extra, where it is not installed.

    what: the beginning of a sentence, such as "PESQ". otherwise: its end, what may be done instead.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library of the system is missing
        raise ConfigError(
            f"{what} needs the {module} package ({error}): pip install 'gan-zoo[{EXTRAS[module]}]'"
            + (f", or {otherwise}" if otherwise else "")
        ) from error
