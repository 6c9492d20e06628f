"""Features of reals, kept between evaluations: Inception on 50,000 pictures takes hours on a CPU.

An entry is found by the content of the pictures and the identity of the features, so nothing in it can be stale.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_zoo.metrics.features import Features, extract

FOLDER_VARIABLE = "GAN_ZOO_CACHE"
LEAST_BYTES = 2**20  # below this, taking the features again is as fast as looking for them


def folder() -> Path:
    """$GAN_ZOO_CACHE, or gan_zoo under the user's cache."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "gan_zoo"


def key(pictures: Tensor, features: Features) -> str:
    """SHA-256 over the pictures' bytes, shape and dtype, and the features' name, weights and resize filter."""
    digest = hashlib.sha256(
        repr(
            (features.name, features.sha256, features.resize, pictures.dtype, tuple(pictures.shape))
        ).encode()
    )
    for chunk in pictures.contiguous().split(4096):
        digest.update(chunk.numpy().tobytes())
    return digest.hexdigest()


def contents_of(*sets: Tensor) -> str:
    """SHA-256 over dtype, shape and values of sets of samples, in their order."""
    digest = hashlib.sha256()
    for one in sets:
        digest.update(repr((one.dtype, tuple(one.shape))).encode())
        for part in one.split(1024):
            digest.update(part.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def remembered(pictures: Tensor, features: Features, device: str = "cpu") -> Tensor:
    """`extract`, from the cache where it has been done before; a damaged entry is replaced, a full disk is no error."""
    if features.sha256 is None or pictures.numel() * pictures.element_size() < LEAST_BYTES:
        return extract(pictures, features, device=device)
    path = folder() / "features" / f"{key(pictures, features)}.safetensors"
    try:
        kept = load_file(path)["features"]
        if len(kept) == len(pictures) and torch.isfinite(kept).all():
            return kept
    except (OSError, SafetensorError, KeyError):
        pass
    found = extract(pictures, features, device=device)
    _keep(path, found)
    return found


def _keep(path: Path, features: Tensor) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": features.contiguous()}, part)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
