"""Checkpoints are whole or not there, damage is always seen, and reading one runs no code."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import random
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_zoo import checkpoint
from gan_zoo.schema import CheckpointError

forks = pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")


def content(value: float, size: int = 10) -> dict[str, Any]:
    return {
        "format": checkpoint.FORMAT,
        "state": {"weight": torch.full((size,), value)},
        "samples_seen": int(value),
    }


def value_in(path: Path) -> float:
    read = checkpoint.read(path)
    assert (read["state"]["weight"] == read["samples_seen"]).all()  # both of one writing
    return float(read["samples_seen"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / checkpoint.file_name(64)
    checkpoint.write(path, content(1.0))
    return path


# ---- writing and reading -----------------------------------------------------------------------------------

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(values=plain)
def test_plain_values_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.mktemp("plain") / "a.ckpt"
    checkpoint.write(path, {"format": 1, "values": values})
    assert checkpoint.read(path) == {"format": 1, "values": values}


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool],
)
def test_tensors_come_back_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(3, 5).mul(3).to(dtype)
    checkpoint.write(tmp_path / "a.ckpt", {"format": 1, "tensor": tensor})
    read = checkpoint.read(tmp_path / "a.ckpt")["tensor"]
    assert read.dtype == dtype and torch.equal(read, tensor)


def test_a_sealed_file_is_still_a_plain_torch_archive(file: Path) -> None:
    assert torch.load(file, weights_only=True)["samples_seen"] == 1
    assert zipfile.is_zipfile(file)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None and len(archive.comment) == 71


def test_the_seal_is_the_sha256_of_everything_before_it(file: Path) -> None:
    everything = file.read_bytes()
    assert everything[-71:] == b"sha256:" + hashlib.sha256(everything[:-71]).hexdigest().encode()


def test_names_sort_by_samples_seen(tmp_path: Path) -> None:
    assert checkpoint.file_name(64) == "0000000064.ckpt"
    numbers = [0, 64, 1_000_000, 9_999_999_999, 10_000_000_000]
    for number in numbers:
        checkpoint.write(tmp_path / checkpoint.file_name(number), content(1.0))
    for other in ("best.ckpt", "last.ckpt", "64.ckpt", "0000000128.ckpt.tmp.1", "0000000128.txt"):
        (tmp_path / other).touch()
    assert [int(path.stem) for path in checkpoint.all_of(tmp_path)] == numbers[::-1]


# ---- crashes while writing ---------------------------------------------------------------------------------


class Crash:
    """Strikes at the writer's n-th system call: before it, halfway through a write, or right after it."""

    def __init__(self, at: int, moment: str, strike: Callable[[], None]) -> None:
        self.at, self.moment, self.strike = at, moment, strike
        self.calls: list[str] = []

    def around(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        self.calls.append(name)
        ours = len(self.calls) == self.at
        if ours and self.moment == "before":
            self.strike()
        if ours and self.moment == "halfway" and name == "write":
            call(bytes(arguments[0])[: len(arguments[0]) // 2])
            self.strike()
        result = call(*arguments)
        if ours and self.moment != "before":
            self.strike()
        return result


class WatchedFile(io.FileIO):
    """Unbuffered: what is written is in the file, however the process ends."""

    crash: Crash

    def write(self, data: Any) -> int:
        return int(self.crash.around("write", super().write, data))

    def close(self) -> None:
        if not self.closed:
            self.crash.around("close", super().close)


class WatchedOs:
    """Python's os, with the calls that change files watched."""

    def __init__(self, crash: Crash) -> None:
        self.crash = crash

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (
            (lambda *a: self.crash.around(name, real, *a))
            if name in ("open", "fsync", "replace", "close")
            else real
        )


@contextmanager
def watched(crash: Crash) -> Iterator[Crash]:
    def open_watched(path: Path, mode: str) -> WatchedFile:
        if "w" not in mode and "+" not in mode:
            return open(path, mode)  # type: ignore[return-value]
        kind = type("File", (WatchedFile,), {"crash": crash})
        return crash.around("open", kind, path, mode.replace("b", ""))  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "open", open_watched, raising=False)
        patch.setattr(checkpoint, "os", WatchedOs(crash))
        yield crash


def calls_of_one_write(path: Path) -> list[str]:
    with watched(Crash(0, "before", lambda: None)) as crash:
        checkpoint.write(path, content(1.0))
    return crash.calls


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path: Path) -> None:
    calls = calls_of_one_write(tmp_path / "a.ckpt")
    writes = calls.count("write")
    assert writes > 10
    assert calls == ["open"] + ["write"] * writes + ["fsync", "close", "replace", "open", "fsync", "close"]


def assert_old_or_new(path: Path, old: bool) -> None:
    """The target is the old file, the new one or, where there was none, absent; the rest is swept."""
    if old or path.exists():
        assert value_in(path) in ((1.0, 2.0) if old else (2.0,))
        assert checkpoint.newest_good(path.parent) == (path, [])
    strangers = set(path.parent.iterdir()) - {path}
    assert set(checkpoint.sweep(path.parent)) == strangers
    assert list(path.parent.iterdir()) == ([path] if old or path.exists() else [])


@forks
@pytest.mark.parametrize("moment", ["before", "halfway", "after"])
@pytest.mark.parametrize("old", [True, False])
def test_a_writer_that_dies_at_any_call_leaves_old_or_new(tmp_path: Path, moment: str, old: bool) -> None:
    calls = calls_of_one_write(tmp_path / "counted.ckpt")
    outcomes = set()
    for at in range(1, len(calls) + 1):
        if moment == "halfway" and calls[at - 1] != "write":
            continue
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / checkpoint.file_name(64)
        if old:
            checkpoint.write(path, content(1.0))
        child = os.fork()
        if not child:
            with watched(Crash(at, moment, lambda: os._exit(9))):
                checkpoint.write(path, content(2.0))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        outcomes.add(value_in(path) if path.exists() else None)
        assert_old_or_new(path, old)
    before = 1.0 if old else None
    assert outcomes == ({before} if moment == "halfway" else {before, 2.0})


@pytest.mark.parametrize("moment", ["before", "halfway", "after"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_writer_whose_call_fails_says_so_and_leaves_old_or_new_and_no_trace(
    tmp_path: Path, moment: str, number: int
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / checkpoint.file_name(64)
    checkpoint.write(path, content(1.0))
    renamed = calls_of_one_write(path).index("replace") + (2 if moment == "before" else 1)
    for at in range(1, len(calls_of_one_write(path)) + 1):
        checkpoint.write(path, content(1.0))
        with (
            watched(Crash(at, moment, fail)),
            pytest.raises(CheckpointError, match="could not be written") as failure,
        ):
            checkpoint.write(path, content(2.0))
        assert str(failure.value).startswith(str(path)) and failure.value.__cause__ is not None
        assert list(tmp_path.iterdir()) == [path]
        assert value_in(path) == (2.0 if at >= renamed else 1.0)


# ---- a full disk -------------------------------------------------------------------------------------------


def write_within(path: Path, limit: int) -> str:
    """What a child says that may write no file longer than `limit` bytes."""
    import resource

    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            checkpoint.write(path, content(2.0, 50_000))
            said = "written"
        except BaseException as failure:
            said = f"{type(failure).__name__} {failure}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@forks
def test_a_full_disk_leaves_the_old_one_and_says_where_and_how_much_is_free(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.file_name(64)
    checkpoint.write(path, content(2.0, 50_000))
    size = path.stat().st_size
    checkpoint.write(path, content(1.0, 50_000))
    for limit in (0, 1, 100, 1000, 4096, 100_000, size - 200, size - 72, size - 71, size - 1):
        said = write_within(path, limit)
        assert said.startswith(f"CheckpointError {path}: "), (limit, said)
        assert "the disk may be full (" in said and "MiB free); earlier checkpoints are intact" in said
        assert list(tmp_path.iterdir()) == [path] and value_in(path) == 1.0
    assert write_within(path, size) == "written" and value_in(path) == 2.0


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"gone.*a\.ckpt: the checkpoint could not be written: .*No such file"
    ):
        checkpoint.write(tmp_path / "gone" / "a.ckpt", content(1.0))


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not be written: .*Not a directory"):
        checkpoint.write(tmp_path / "file" / "a.ckpt", content(1.0))


# ---- damage ------------------------------------------------------------------------------------------------


def damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """20 lengths, 200 flipped bits and 8 tails of zeros."""
    dice = random.Random(0)
    for length in [0, 1, 70, 71, 72, len(whole) - 1, *dice.sample(range(len(whole)), 14)]:
        yield f"cut to {length}", whole[:length]
    for _ in range(200):
        place, bit = dice.randrange(len(whole)), dice.randrange(8)
        yield (
            f"bit {bit} of byte {place}",
            whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :],
        )
    for zeros in (1, 10, 71, 72, 100, 500, 1000, len(whole)):
        yield f"{zeros} zeros", whole[:-zeros] + bytes(zeros)
    yield "one more byte", whole + b"\n"


def test_all_damage_is_seen_before_anything_is_loaded(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / checkpoint.file_name(128)
    checkpoint.write(newer, content(2.0))
    whole = newer.read_bytes()
    checkpoint.verify(newer)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("loaded a damaged file"))
    cases = list(damaged(whole))
    for case, data in cases:
        newer.write_bytes(data)
        for look in (checkpoint.verify, checkpoint.read):
            with pytest.raises(
                CheckpointError, match=r"0000000128\.ckpt: .*(truncated|damaged|not a checkpoint)"
            ):
                look(newer)
                pytest.fail(case)
        path, broken = checkpoint.newest_good(tmp_path)
        assert path == file and len(broken) == 1 and str(newer) in broken[0], case
    assert len(cases) == 229


def test_every_byte_of_the_seal_counts(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(len(whole) - 73, len(whole)):  # the comment's length, its mark and the digest
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError):
            checkpoint.verify(file)


def test_where_all_are_broken_all_are_named(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / checkpoint.file_name(number)).write_bytes(b"x" * 200)
    with pytest.raises(
        CheckpointError, match=r"no checkpoint to resume from: .*02\.ckpt: .*; .*01\.ckpt: .*Start a new run"
    ):
        checkpoint.newest_good(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint to resume from: there is none"):
        checkpoint.newest_good(tmp_path / "empty")


def test_what_cannot_be_opened_is_a_checkpoint_error(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "gone.ckpt", "cannot be read: No such file"),
        (tmp_path, "Is a directory|cannot be read|truncated"),
    ):
        with pytest.raises(CheckpointError, match=words):
            checkpoint.read(path)


# ---- foreign, older, newer ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"state_dict": {}}, r"not a checkpoint of gan_zoo \(no format number\)"),
        ([1, 2], r"not a checkpoint of gan_zoo \(no format number\)"),
        (
            {"format": checkpoint.FORMAT + 1},
            r"format 2 came, 1 was wanted: it is from a newer gan_zoo; update yours",
        ),
        (
            {"format": checkpoint.FORMAT - 1},
            r"format 0 came, 1 was wanted: it is from an older gan_zoo; load it with that version",
        ),
        ({"format": "pt"}, r"not a checkpoint of gan_zoo"),
        ({"format": torch.ones(2)}, r"not a checkpoint of gan_zoo"),
    ],
    ids=["no format", "a list", "newer", "older", "a word", "a tensor"],
)
def test_each_stranger_gets_its_own_message(tmp_path: Path, held: Any, words: str) -> None:
    checkpoint.write(tmp_path / "a.ckpt", held)
    with pytest.raises(CheckpointError, match=rf"a\.ckpt: {words}"):
        checkpoint.read(tmp_path / "a.ckpt")


def test_an_unsealed_file_is_read_only_when_asked_for(tmp_path: Path) -> None:
    torch.save(content(3.0), tmp_path / "a.ckpt")
    with pytest.raises(
        CheckpointError, match="no checksum at its end; the file is truncated or not a checkpoint of gan_zoo"
    ):
        checkpoint.read(tmp_path / "a.ckpt")
    assert checkpoint.read(tmp_path / "a.ckpt", sealed=False)["samples_seen"] == 3


# ---- files that attack -------------------------------------------------------------------------------------


class Shell:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)  # noqa: TID251


class Eval(Shell):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.canary)!r}, 'w').close()",)


class NumpyLoad(Shell):
    """numpy as a way in: it unpickles a second file."""

    def __reduce__(self) -> tuple[Any, ...]:
        second = self.canary.with_name("second.npy")
        np.save(second, np.array([Eval(self.canary)], dtype=object), allow_pickle=True)
        return np.load, (str(second), None, True)


def save_zip(evil: Any, path: Path) -> None:
    torch.save({"format": 1, "state": {"weight": torch.ones(2)}, "evil": evil}, path)


def save_legacy(evil: Any, path: Path) -> None:
    torch.save({"format": 1, "evil": evil}, path, _use_new_zipfile_serialization=False)


def save_pickle(evil: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps({"format": 1, "evil": evil}))


def seal(path: Path) -> None:
    """A checksum proves no good will: anyone can make one."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b"." * 71
        body = path.read_bytes()[:-71]
    else:
        body = path.read_bytes()
    path.write_bytes(body + b"sha256:" + hashlib.sha256(body).hexdigest().encode())


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE", "ignore:Detected pickle protocol")
@pytest.mark.parametrize("evil", [Shell, Eval, NumpyLoad])
@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
def test_reading_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: type[Shell], save: Callable[[Any, Path], None]
) -> None:
    monkeypatch.setenv(
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"
    )  # switches torch's guard off where nothing is said
    canary, path = tmp_path / "canary", tmp_path / checkpoint.file_name(1)
    save(evil(canary), path)
    with pytest.raises(CheckpointError, match=r"not loaded, since it is damaged or holds more than tensors"):
        checkpoint.read(path, sealed=False)
    seal(path)
    checkpoint.verify(path)
    with pytest.raises(CheckpointError, match=r"not loaded, since it is damaged or holds more than tensors"):
        checkpoint.read(path)
    assert not canary.exists()
    if save is save_zip:  # the attack works where nobody guards
        torch.load(path)
        assert canary.exists()


@pytest.mark.parametrize(
    "foreign", [np.arange(3), np.float64(1.0), Path("x"), {1, 2}, Crash], ids=lambda item: type(item).__name__
)
def test_only_tensors_and_plain_values_are_read(tmp_path: Path, foreign: Any) -> None:
    checkpoint.write(tmp_path / "a.ckpt", {"format": 1, "foreign": foreign})
    if isinstance(foreign, set):
        assert checkpoint.read(tmp_path / "a.ckpt")["foreign"] == foreign  # torch counts sets as plain
        return
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        checkpoint.read(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    "unwritable", [lambda: None, (number for number in ()), sys], ids=["lambda", "generator", "module"]
)
def test_a_value_that_cannot_be_written_leaves_the_old_one_and_no_trace(file: Path, unwritable: Any) -> None:
    with pytest.raises(CheckpointError, match=r"no tensor, number or text .*earlier checkpoints are intact"):
        checkpoint.write(file, {**content(2.0), "evil": unwritable})
    assert value_in(file) == 1.0 and list(file.parent.iterdir()) == [file]


def test_an_interrupted_writer_cleans_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_seal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(file, content(2.0))
    assert value_in(file) == 1.0 and list(file.parent.iterdir()) == [file]


@forks
def test_a_full_disk_is_told_with_needed_and_free_bytes(tmp_path: Path) -> None:
    """50,000 numbers of 4 bytes are 0.19 MiB."""
    said = write_within(tmp_path / checkpoint.file_name(64), 1000)
    free = float(said.split("MiB needed, ")[1].split(" MiB free")[0])
    assert "(0.19 MiB needed, " in said and free > 0.19
