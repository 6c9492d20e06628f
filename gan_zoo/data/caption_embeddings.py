"""Embeddings of captions that an encoder computed beforehand: files that say whose they are and of which captions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_zoo.data.pictures import data_error, printable
from gan_zoo.extras import needed
from gan_zoo.schema import ConfigError, DataError

log = logging.getLogger(__name__)

KEY = "embedding"
LAYOUT = (
    "Expected safetensors or HDF5 with one tensor `embedding`, or .npy: [captions, E] in the order of data.table.texts, "
    "or [pictures, captions of each, E]"
)


def fingerprint(texts: Sequence[str]) -> str:
    """SHA-256 of captions in their order, by which a file says which ones it was made for."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def hdf5() -> Any:
    """The module h5py, an extra."""
    return needed("h5py", "an HDF5 file")


def write_embeddings(
    path: str | Path, embedding: Tensor, texts: Sequence[str], *, encoder: str, encoder_hash: str
) -> None:
    """Writes [captions, E] beside the captions' fingerprint and the encoder's name and hash.

    .safetensors, or .h5 or .hdf5.
    """
    path = Path(path).expanduser()
    if embedding.dim() != 2 or len(embedding) != len(texts):
        raise ConfigError(
            f"{len(texts)} captions need embeddings [{len(texts)}, E], got {list(embedding.shape)}"
        )
    said = {"encoder": encoder, "encoder_hash": encoder_hash, "captions": fingerprint(texts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({KEY: embedding.detach().cpu().contiguous()}, path, metadata=said)
    elif path.suffix in (".h5", ".hdf5"):
        with hdf5().File(path, "w") as file:
            file[KEY] = embedding.detach().cpu().numpy()
            file.attrs.update(said)
    else:
        raise ConfigError(f"embeddings are written as .safetensors, .h5 or .hdf5, got {printable(path)}")


def read_embeddings(path: str | Path, texts: Sequence[str]) -> tuple[Tensor, dict[str, str]]:
    """float [captions, E] and what the file says of itself; DataError where it was made for other captions."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise data_error(path, f"there is no such file of embeddings. {LAYOUT}")
    try:
        embedding, said = _read(path)
    except (DataError, ConfigError):
        raise
    except Exception as error:  # what the readers raise on damaged files has no common base
        raise data_error(path, f"cannot be read as embeddings ({error}). {LAYOUT}") from error
    if embedding.ndim == 3:
        embedding = embedding.reshape(-1, embedding.shape[2])
    if embedding.ndim != 2 or len(embedding) != len(texts):
        raise data_error(
            path, f"holds embeddings {list(embedding.shape)}, the data have {len(texts):,} captions. {LAYOUT}"
        )
    if said.get("captions", fingerprint(texts)) != fingerprint(texts):
        raise data_error(path, "was made for other captions: compute the embeddings again for these data")
    if "captions" not in said:
        log.warning("%s does not say of which captions it is; their number fits", printable(path))
    if not torch.isfinite(embedding).all():
        raise data_error(path, "holds embeddings that are NaN or infinite")
    return embedding.float(), said


def _read(path: Path) -> tuple[Tensor, dict[str, str]]:
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            _wanted(path, file.keys())
            return file.get_tensor(KEY), dict(file.metadata() or {})
    if path.suffix in (".h5", ".hdf5"):
        with hdf5().File(path, "r") as file:
            _wanted(path, file.keys())
            said: Mapping[str, Any] = file.attrs
            return torch.from_numpy(file[KEY][()]), {key: str(value) for key, value in said.items()}
    if path.suffix == ".npy":
        return torch.from_numpy(np.load(path, allow_pickle=False)), {}
    raise data_error(path, f"is no file of embeddings by its name. {LAYOUT}")


def _wanted(path: Path, keys: Any) -> None:
    if KEY not in keys:
        raise data_error(path, f"holds {', '.join(sorted(keys)) or 'nothing'} and no `{KEY}`. {LAYOUT}")
