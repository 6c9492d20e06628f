"""Samples that memory might not hold."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_zoo.play import joined as module
from gan_zoo.play.joined import joined
from gan_zoo.schema import ConfigError
from tests.games import points


@pytest.mark.parametrize("limit", [0, 10**9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_parts_stand_one_after_the_other_in_memory_or_in_a_file(
    limit: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", limit)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    expected = torch.randint(0, 200, (7, 3, 2)).to(dtype)
    whole = joined(expected.split(3), 7)
    assert whole.dtype == dtype and torch.equal(whole, expected)
    whole[:2] = 0  # it can be written to
    assert not whole[:2].any() and torch.equal(whole[2:], expected[2:])
    assert not list(tmp_path.iterdir())


def test_large_samples_take_no_memory_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that nothing but the file backs: what a sum of all samples adds to it is less than they take."""
    monkeypatch.setattr(module, "IN_MEMORY", 2**20)

    def anonymous() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    if not Path("/proc/self/status").exists():
        pytest.skip("counts memory as Linux does")
    before = anonymous()
    whole = joined((torch.full([64, 2**14], float(i)) for i in range(32)), 32 * 64)  # 128 MiB
    assert whole.mean().item() == pytest.approx(15.5) and anonymous() - before < 64 * 2**20


def test_a_full_disk_is_named_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(ConfigError, match=r"50,000 samples of 3 x 1024 x 1024 take 585\.9 GiB.*TMPDIR"):
        joined(iter([torch.empty(1, 3, 1024, 1024)]), 50_000)


def test_other_than_the_announced_number_is_refused() -> None:
    with pytest.raises(ValueError, match="3 rows, 4 were announced"):
        joined([torch.zeros(3, 1)], 4)


def test_samples_are_the_same_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = points()
    in_memory: Tensor = gan.sample(100, seed=3, chunk=16)
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    assert torch.equal(gan.sample(100, seed=3, chunk=16), in_memory)
