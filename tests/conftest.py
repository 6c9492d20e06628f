"""For all tests: one thread, no network, a working folder of their own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None, socket.gethostname())

os.environ["OMP_NUM_THREADS"] = "1"  # another number of threads gives other last digits
os.environ["WANDB_MODE"] = "offline"
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

# The same commit has the same verdict everywhere; HYPOTHESIS_PROFILE=explore looks at other examples each time.
QUIET = [HealthCheck.function_scoped_fixture]
settings.register_profile("gan_zoo", deadline=None, suppress_health_check=QUIET, derandomize=True)
settings.register_profile("explore", deadline=None, suppress_health_check=QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gan_zoo"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, so that runs/ and whatever else is written relatively vanishes with the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Sockets reach this machine and nothing else: a test that needs a download fails at once."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL:
            raise OSError(f"tests have no network, {address} was asked for")
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in LOCAL:
            raise OSError(f"tests have no network, {host!r} was asked for")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield
