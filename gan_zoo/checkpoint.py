"""Checkpoints that are whole or not there: written beside their target, flushed, renamed, checksummed; read without running code.

A file is a plain torch archive of tensors, numbers, strings, lists and dicts, readable by torch.load(weights_only=True). Its
SHA-256 stands in the archive's comment, so that one rename publishes both.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import re
import shutil
import stat
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from gan_zoo.schema import CheckpointError

FORMAT = 1
_MARK = b"sha256:"
_COMMENT = len(_MARK) + 64
_NAME = re.compile(r"\d{10,}\.ckpt")


def file_name(samples_seen: int) -> str:
    return f"{samples_seen:010d}.ckpt"


def write(path: Path, content: dict[str, Any]) -> None:
    """Publishes `content` at `path`, or leaves what was there; CheckpointError says what stood in the way."""
    part = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        with open(part, "w+b") as file:
            torch.save(content, file)
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except (
        OSError,
        RuntimeError,
    ) as failure:  # torch reports a full disk as a RuntimeError of its archive writer
        raise CheckpointError(_why_not_written(path, content, failure)) from failure
    except (pickle.PicklingError, AttributeError, TypeError) as failure:
        raise CheckpointError(
            f"{path}: the checkpoint could not be written, since it holds what is no tensor, number or text "
            f"({failure}); earlier checkpoints are intact. Keep such values out of state_dict"
        ) from failure
    finally:
        with suppress(OSError):  # it is there only if something was in the way
            part.unlink()


def _why_not_written(path: Path, content: dict[str, Any], failure: Exception) -> str:
    free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
    full = getattr(failure, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or isinstance(
        failure, RuntimeError
    )
    cause = (
        f"the disk may be full ({_claimed(content) / 2**20:.2f} MiB needed, {free / 2**20:.2f} MiB free)"
        if full
        else str(failure)
    )
    return f"{path}: the checkpoint could not be written: {cause}; earlier checkpoints are intact. Free some space and use resume="


def _claimed(content: Any) -> int:
    """Bytes of all numbers of all tensors in nested dicts, lists, tuples and sets."""
    seen: set[int] = set()
    left, total = [content], 0
    while left:  # a recursion would not end where a list holds itself
        value = left.pop()
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.element_size()
        elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
            seen.add(id(value))
            left += value.values() if isinstance(value, dict) else value
    return total


def sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows opens no folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(file: BinaryIO) -> None:
    """Appends the SHA-256 of the archive to it, as the comment that the zip format allows for."""
    size = file.seek(0, os.SEEK_END)
    file.seek(size - 2)
    file.write(_COMMENT.to_bytes(2, "little"))  # the length of the comment is the archive's last field
    digest = _digest(file, size)
    file.seek(size)
    file.write(_MARK + digest.encode())


def _digest(file: BinaryIO, size: int) -> str:
    file.seek(0)
    sha, left = hashlib.sha256(), size
    while left and (block := file.read(min(left, 2**20))):
        sha.update(block)
        left -= len(block)
    return sha.hexdigest()


def verify(path: Path) -> None:
    """CheckpointError unless every byte is as it was written."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise CheckpointError(f"{path}: cannot be read: it is no regular file")
        size = status.st_size - _COMMENT
        with open(path, "rb") as file:
            if size < 0:
                raise CheckpointError(
                    f"{path}: {size + _COMMENT} bytes are too few for a checkpoint; the file is truncated"
                )
            file.seek(size)
            comment = file.read()
            if not comment.startswith(_MARK):
                raise CheckpointError(
                    f"{path}: no checksum at its end; the file is truncated or not a checkpoint of gan_zoo"
                )
            if _digest(file, size) != comment[len(_MARK) :].decode(errors="replace"):
                raise CheckpointError(
                    f"{path}: its bytes do not match its checksum; the file is damaged, use another checkpoint"
                )
    except OSError as failure:
        raise CheckpointError(f"{path}: cannot be read: {failure.strerror}") from failure


def read(path: Path, *, sealed: bool = True) -> dict[str, Any]:
    """The content of a checkpoint; never runs code. sealed=False takes files without our checksum, for conversion."""
    if sealed:
        verify(path)
    try:
        _refuse_bombs(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_hollow(content, path)
    except Exception as failure:  # corrupt archives raise seven kinds of exception
        wanted = re.search(r"GLOBAL ([\w.]+)", str(failure))
        reason = (
            f"it asks for {wanted[1]}"
            if wanted
            else (str(failure).splitlines() or [type(failure).__name__])[0]
        )
        raise CheckpointError(
            f"{path}: not loaded, since it is damaged or holds more than tensors and plain values ({reason}); "
            f"use a checkpoint or export that gan_zoo wrote"
        ) from failure
    if not isinstance(content, dict):
        content = {}  # has no format number
    refuse_format(content, path)
    return content


def refuse_format(content: dict[str, Any], path: Path) -> None:
    """CheckpointError unless a checkpoint or export is of this version's format."""
    found = content.get("format")
    if type(found) is not int:
        raise CheckpointError(
            f"{path}: not a checkpoint of gan_zoo (no format number); see gan_zoo.load for what can be read"
        )
    if found != FORMAT:
        origin = (
            "a newer gan_zoo; update yours"
            if found > FORMAT
            else "an older gan_zoo; load it with that version and export it"
        )
        raise CheckpointError(f"{path}: format {found} came, {FORMAT} was wanted: it is from {origin}")


def _refuse_bombs(path: Path) -> None:
    """ValueError for an archive that unpacks to more than it is; torch's own are not compressed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > path.stat().st_size:
        raise ValueError(f"{path.stat().st_size} bytes that unpack to {unpacked}")


def _refuse_hollow(content: Any, path: Path) -> None:
    """ValueError where tensors share or repeat so few bytes that a small file would fill the memory."""
    claimed, size = _claimed(content), path.stat().st_size
    if claimed > 4 * size + 2**28:
        raise ValueError(f"tensors of {claimed} bytes in a file of {size}")


def all_of(folder: Path) -> list[Path]:
    """The numbered checkpoints of a folder, newest first."""
    numbered = (path for path in folder.glob("*.ckpt") if _NAME.fullmatch(path.name))
    return sorted(numbered, key=lambda path: int(path.stem), reverse=True)


def newest_good(folder: Path) -> tuple[Path, list[str]]:
    """The newest checkpoint that verifies, and what is wrong with each newer one."""
    broken: list[str] = []
    for path in all_of(folder):
        try:
            verify(path)
        except CheckpointError as failure:
            broken.append(str(failure))
        else:
            return path, broken
    found = "; ".join(broken) if broken else "there is none"
    raise CheckpointError(f"{folder}: no checkpoint to resume from: {found}. Start a new run without resume=")


def sweep(folder: Path) -> list[Path]:
    """Removes what killed writers left behind."""
    stale = list(folder.glob("*.tmp.*"))
    for path in stale:
        path.unlink(missing_ok=True)
    return stale
