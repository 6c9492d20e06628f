"""Networks that torch.compile has compiled, run as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def eager(network: nn.Module) -> Iterator[None]:
    """Compiled modules run as written within it: compiled graphs have no double backward."""
    compiled = [
        (module, module._compiled_call_impl)
        for module in network.modules()
        if module._compiled_call_impl is not None
    ]
    for module, _ in compiled:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, call in compiled:
            module._compiled_call_impl = call
