"""Sound files from anywhere: found, read, brought to 16 kHz and one channel; what cannot be used is named.

Channels are averaged; 8, 16, 24 and 32 bits and floats are read alike; floats beyond full scale are clipped, with a
warning, as are files that were recorded so. Resampling is soxr's (very high quality, no delay).
"""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_zoo.data.folders import files_below
from gan_zoo.extras import needed
from gan_zoo.media.audio import RATE, Sound
from gan_zoo.schema import DataError

log = logging.getLogger(__name__)

Samples = NDArray[np.int16]  # [T] at 16 kHz
SUFFIXES = {".wav", ".flac", ".ogg", ".aif", ".aiff", ".w64"}
DENSEST = 10_000  # samples a byte at most: silence in FLAC has some 5,000
IN_MEMORY = 2 * 2**30  # bytes of decoded sound that are kept where there is no cache folder


class Sounds(Protocol):
    """A collection of sounds whose lengths are known before they are read."""

    lengths: NDArray[np.int64]

    @property
    def names(self) -> Sequence[str]: ...

    def read(self, index: int) -> Samples: ...


class Header(NamedTuple):
    """What a file says of itself."""

    rate: int
    frames: int
    channels: int

    @property
    def length(self) -> int:
        """Samples at 16 kHz."""
        return math.ceil(self.frames * RATE / self.rate)


def soundfile() -> Any:
    """The library that reads and writes files."""
    return needed("soundfile", "a sound file")


def soxr() -> Any:
    """The library that resamples."""
    return needed("soxr", f"sound of another rate than {RATE} Hz")


def header(path: Path) -> Header:
    """Rate, length and channels of a file; DataError where it is missing, empty or no sound."""
    library = soundfile()
    if not path.is_file():
        raise DataError(path, "there is no such file")
    if path.stat().st_size == 0:
        raise DataError(path, "is empty (0 bytes); remove it and get it again")
    try:
        found = library.info(str(path))
    except (RuntimeError, OSError, TypeError) as error:
        raise DataError(
            path, f"is no sound file that can be read ({error}); remove it or convert it to wav"
        ) from error
    if found.frames < 1:
        raise DataError(path, "holds no sound (0 samples); remove it")
    if found.frames > DENSEST * (size := path.stat().st_size):  # before memory is spent on what it says
        raise DataError(path, f"says that it holds {found.frames:,} samples in {size:,} bytes; get it again")
    return Header(found.samplerate, found.frames, found.channels)


def read(path: Path) -> Samples:
    """A whole file as int16 [T] at 16 kHz, one channel; DataError where it breaks off or holds NaN."""
    said, library = header(path), soundfile()
    try:
        channels, rate = library.read(str(path), dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        raise DataError(path, f"breaks off: {error}; remove it and get it again") from error
    if len(channels) != said.frames:
        raise DataError(path, f"holds {len(channels)} samples, its header says {said.frames}; get it again")
    sound = channels.mean(axis=1)
    if not np.isfinite(sound).all():
        raise DataError(path, "holds values that are no finite numbers; remove it or convert it to 16 bits")
    _remark(path, sound)
    if rate != RATE:
        sound = soxr().resample(sound, rate, RATE, quality="VHQ")
    sound = np.pad(sound[: said.length], (0, max(0, said.length - len(sound))))
    return to_16_bits(sound)


def to_16_bits(sound: Sound) -> Samples:
    """float [-1, 1] -> int16, rounded and clipped."""
    return np.clip(np.rint(sound * 32768.0), -32768, 32767).astype(np.int16)


def _remark(path: Path, sound: Sound) -> None:
    """Says what is strange about a file that can be used all the same."""
    peak = float(np.abs(sound).max())
    if peak == 0:
        log.warning("%s: is silent; it is used as it is", path)
    elif peak > 1:
        log.warning("%s: goes to %.2f of full scale; what is beyond 1 is clipped", path, peak)
    elif (share := float(np.mean(np.abs(sound) >= 0.999))) > 1e-3:
        log.warning(
            "%s: is clipped, %.1f %% of its samples are at full scale; it is used as it is", path, 100 * share
        )


# ---------------------------------------------------------------- folders


def listed(folder: Path) -> list[Path]:
    """The sound files below a folder, sorted; DataError where there are none."""
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder")
    found = sorted(path for path in files_below(folder) if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(folder, f"holds no sound files ({', '.join(sorted(SUFFIXES))})")
    return found


def paired(clean: Path, noisy: Path) -> list[tuple[Path, Path]]:
    """Files of one name (suffixes may differ) in two folders; DataError names those without a partner and pairs of
    different rate or length."""
    sides = [
        {path.relative_to(folder).with_suffix("").as_posix(): path for path in listed(folder)}
        for folder in (clean, noisy)
    ]
    alone = sorted(sides[0].keys() ^ sides[1].keys())
    if alone:
        where = noisy if alone[0] in sides[0] else clean
        raise DataError(
            where,
            f"{len(alone)} of the files have no partner of the same name, such as {', '.join(alone[:3])}; "
            "the clean and the noisy folder must hold the same names",
        )
    pairs = [(sides[0][name], sides[1][name]) for name in sorted(sides[0])]
    for pair in pairs:
        _refuse_different(*pair)
    return pairs


def _refuse_different(clean: Path, noisy: Path) -> None:
    one, other = header(clean), header(noisy)
    if (one.rate, one.frames) != (other.rate, other.frames):
        raise DataError(
            noisy,
            f"has {other.frames} samples at {other.rate} Hz, its clean partner {clean.name} {one.frames} at "
            f"{one.rate} Hz; both must be of one rate and length",
        )


class Recordings:
    """Files as Sounds. cache: a folder in which each file is kept decoded; None keeps up to IN_MEMORY in memory."""

    def __init__(self, paths: Sequence[Path], root: Path, cache: str | Path | None = None) -> None:
        self.paths = list(paths)
        self.names = [path.relative_to(root).with_suffix("").as_posix() for path in self.paths]
        self.lengths = np.array([header(path).length for path in self.paths], np.int64)
        self.cache = Path(cache).expanduser() if cache else None
        self._kept: dict[int, Samples] = {}
        self._bytes = 0

    def read(self, index: int) -> Samples:
        if index in self._kept:
            return self._kept[index]
        sound = self._cached(self.paths[index]) if self.cache else read(self.paths[index])
        if self.cache is None and self._bytes + sound.nbytes <= IN_MEMORY:
            self._kept[index] = sound
            self._bytes += sound.nbytes
        return sound

    def _cached(self, path: Path) -> Samples:
        """Decoded once; a file that changed has another name in the cache. Readers never see half a file."""
        assert self.cache is not None
        status = path.stat()
        key = hashlib.sha256(
            f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {RATE}".encode()
        ).hexdigest()[:32]
        kept = self.cache / f"{key}.npy"
        if not kept.is_file():
            self.cache.mkdir(parents=True, exist_ok=True)
            # a name of its own: workers and ranks may decode one file at once
            part = self.cache / f"{key}.{secrets.token_hex(8)}.part.npy"
            np.save(part, read(path))
            part.replace(kept)
        return np.load(kept, mmap_mode="r")
