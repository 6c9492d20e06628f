"""Parts of a large tensor put together, in a file where memory might not hold it."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from gan_zoo.schema import ConfigError

IN_MEMORY = 2 * 2**30  # bytes; 10,000 pictures of 3 x 128 x 128 in float32 are just below


def joined(parts: Iterable[Tensor], n: int) -> Tensor:
    """[n, ...]: parts [N_i, ...] on the CPU, one after the other, taken one at a time; n is the sum of the N_i.

    What takes more than IN_MEMORY bytes stands in an unnamed file of the temporary folder (TMPDIR), which is gone with the
    tensor; ConfigError where that folder has no room.
    """
    waiting = iter(parts)
    first = next(waiting)
    whole = _room([n, *first.shape[1:]], first.dtype)
    start = 0
    for part in itertools.chain([first], waiting):
        whole[start : start + len(part)] = part
        start += len(part)
    if start != n:
        raise ValueError(f"the parts have {start} rows, {n} were announced")
    return whole


def _room(shape: list[int], dtype: torch.dtype) -> Tensor:
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return torch.empty(shape, dtype=dtype)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ConfigError(
            f"{shape[0]:,} samples of {' x '.join(map(str, shape[1:]))} take {size / 2**30:,.1f} GiB, and {folder} has "
            f"{free / 2**30:,.1f} GiB left; ask for fewer (n, reals), or set TMPDIR to a folder on a larger disk"
        )
    with tempfile.TemporaryFile() as file:
        kind = np.dtype(str(dtype).removeprefix("torch."))
        return torch.from_numpy(np.memmap(file, dtype=kind, mode="w+", shape=tuple(shape)))
