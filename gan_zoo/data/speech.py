"""Speech and what noise makes of it: windows of pairs to train with, whole utterances to measure on.

On the wire both are int16 [N, 1, T] at 16 kHz: `real` is clean, `condition` noisy. Pre-emphasis is the model's.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from gan_zoo import chance
from gan_zoo.data import damage as damages
from gan_zoo.data import noises, voices
from gan_zoo.data.mixtures import Mixed, Pair, Pairs, Random, Recorded
from gan_zoo.data.recordings import Recordings, Samples, listed, paired, to_16_bits
from gan_zoo.data.stream import DataModule, Key
from gan_zoo.media.audio import RATE, Sound
from gan_zoo.schema import ConfigError, DataError

log = logging.getLogger(__name__)
Share = Annotated[float, Field(ge=0, le=1)]
Folders = tuple[str, str]  # clean, noisy


# ---------------------------------------------------------------- windows


class Windows:
    """Windows of pairs as a data set: real and condition, int16 [N, 1, T].

    hop: samples from one window to the next; in an utterance an incomplete last window is dropped, or, with `whole`,
    filled up with zeros. damage: {kind: probability} of what else happens to the noisy one.
    fresh: each epoch mixes anew, as a function of (seed, epoch, index).
    """

    def __init__(
        self,
        pairs: Pairs,
        window: int,
        hop: int,
        *,
        seed: int = 0,
        fresh: bool = False,
        whole: bool = False,
        damage: Mapping[str, float] | None = None,
    ) -> None:
        self.pairs, self.window, self.seed, self.fresh = pairs, window, seed, fresh
        self.damage = {kind: share for kind, share in (damage or {}).items() if share}
        counts = window_counts(pairs.lengths, window, hop, whole)
        self.utterance = np.repeat(np.arange(len(counts)), counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        self.start = (np.arange(len(self.utterance)) - first) * hop

    def __len__(self) -> int:
        return len(self.utterance)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        if not keys:
            return {name: torch.empty(0, 1, self.window, dtype=torch.int16) for name in ("real", "condition")}
        both = [self._item(*key) for key in keys]
        clean, noisy = (to_16_bits(np.stack(side)) for side in zip(*both, strict=True))
        return {"real": torch.from_numpy(clean)[:, None], "condition": torch.from_numpy(noisy)[:, None]}

    def _item(self, index: int, epoch: int, resolution: int) -> tuple[Sound, Sound]:
        random = np.random.default_rng(chance.mix(self.seed, "window", epoch if self.fresh else 0, index))
        place = int(self.utterance[index]), int(self.start[index])
        clean, noisy = self.pairs.cut(*place, resolution, random if self.fresh else None)
        for kind, share in self.damage.items():
            if random.random() < share:
                noisy = damages.KINDS[kind](noisy, random)
        return clean, noisy


def window_counts(lengths: NDArray[np.int64], window: int, hop: int, whole: bool) -> NDArray[np.int64]:
    """Of utterances of these lengths: floor((N - window) / hop) + 1, none where N < window; `whole` rounds up."""
    beyond = np.asarray(lengths) - window
    if whole:
        return np.maximum(-(-beyond // hop), 0) + 1
    return np.maximum(beyond // hop + 1, 0)


# ---------------------------------------------------------------- data modules


class SpeechData(DataModule):
    """Base of all sets of noisy speech. resolution: samples of a window at 16 kHz (16,384 in the papers).

    damage: {clipping, packet_loss, quantisation, gaps: probability} for each training window, on top of the noise.
    """

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: int,
        classes: int,
        modality: str,
        damage: dict[str, Share] | None = None,
        **stream: Any,
    ) -> None:
        super().__init__(
            resolution=resolution, channels=channels, classes=classes, modality=modality, **stream
        )
        if (channels, classes, modality) != (1, 0, "audio"):
            raise ConfigError(
                f"data={self.name} is sound of one channel: data.channels must be 1, data.classes 0 and data.modality audio, "
                f"got {channels}, {classes} and {modality}"
            )
        if self.flip or self.class_weights:
            raise ConfigError(
                f"data={self.name} is sound without classes; set data.flip=false and data.class_weights=null"
            )
        if resolution < 64:
            raise ConfigError(f"data.resolution is a window in samples, at least 64, got {resolution}")
        self.damage = dict(damage or {})
        for kind in self.damage.keys() - damages.KINDS.keys():
            raise ConfigError(f"data.damage has no kind {kind!r}; there are {', '.join(damages.KINDS)}")
        self._pairs: dict[str, Pairs] = {}

    @abstractmethod
    def load(self) -> tuple[Pairs, Pairs]:
        """Pairs to train with, and held-out ones."""

    def pairs(self, part: str) -> Pairs:
        """`train` or `test`."""
        if not self._pairs:
            train, test = self.load()
            self._refuse_too_short(train)
            self._pairs = {"train": train, "test": test}
        return self._pairs[part]

    def prepare(self) -> None:
        if self.download:
            raise ConfigError(f"{self.name} cannot be downloaded by this program; set data.download=false")
        self.pairs("train")

    def _refuse_too_short(self, pairs: Pairs) -> None:
        short = np.flatnonzero(pairs.lengths < self.resolution)
        if len(short) == len(pairs):
            raise DataError(
                str(self.root or self.name),
                f"all {len(pairs)} utterances are shorter than a window of {self.resolution} samples "
                f"({self.resolution / RATE:.2f} s at 16 kHz); set data.resolution to less",
            )
        if len(short):
            names = ", ".join(pairs[int(i)].name for i in short[:5])
            log.warning("%d utterances are shorter than a window and not trained on: %s", len(short), names)

    def train_set(self) -> Windows:
        return Windows(
            self.pairs("train"),
            self.resolution,
            max(1, self.resolution // 2),
            seed=self.seed,
            fresh=True,
            damage=self.damage,
        )

    def held_out_set(self) -> Windows:
        """Windows side by side, as the paper tests: the first ones make up the first utterance."""
        return Windows(self.pairs("test"), self.resolution, self.resolution, whole=True)

    def utterances(self, damage: str | None = None) -> Iterator[Pair]:
        """The held-out pairs; with `damage`, the clean ones after that damage in the place of noise."""
        for index, pair in enumerate(self.pairs("test")):
            if damage is None:
                yield pair
            else:
                random = np.random.default_rng(chance.mix(0, damage, index))
                yield Pair(pair.name, pair.clean, damages.KINDS[damage](pair.clean, random), damage, None)


def refuse_no_test(held_out: float) -> None:
    """ConfigError where no file would be kept from training, on which to tell what was learnt."""
    if not held_out:
        raise ConfigError(
            "data.held_out=0 keeps no file to test on; give the share of the files that training never hears"
        )


def evenly(count: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kept, held out) of 0 ... count - 1: a share, at least one of two or more, evenly spread."""
    held = min(max(1, round(share * count)), count - 1) if share and count > 1 else 0
    chosen = (2 * np.arange(held) + 1) * count // (2 * max(1, held))
    return np.setdiff1d(np.arange(count), chosen), chosen


# ---------------------------------------------------------------- embedded


@lru_cache(maxsize=8192)
def _said(seed: int, part: str, speaker: int, number: int) -> Samples:
    return to_16_bits(voices.utterance(*_speaker(seed, part, speaker, number)))


def _speaker(seed: int, part: str, speaker: int, number: int) -> tuple[voices.Voice, Random]:
    who = voices.voice(np.random.default_rng(chance.mix(seed, "voice", part, speaker)), speaker)
    return who, np.random.default_rng(chance.mix(seed, "utterance", part, speaker, number))


@lru_cache(maxsize=64)
def _lengths(seed: int, part: str, speakers: int, utterances: int) -> NDArray[np.int64]:
    places = ((s, u) for u in range(utterances) for s in range(speakers))
    return np.array([voices.duration(*_speaker(seed, part, s, u)) for s, u in places], np.int64)


class Synthesised:
    """Utterances of gan_zoo.data.voices, made when they are asked for and kept; the speakers take turns."""

    def __init__(self, seed: int, part: str, speakers: int, utterances: int) -> None:
        self.seed, self.part, self.speakers = seed, part, speakers
        self.lengths = _lengths(seed, part, speakers, utterances)
        self.names = [f"{part}_{i % speakers:02d}_{i // speakers:03d}" for i in range(len(self.lengths))]

    def read(self, index: int) -> Samples:
        number, speaker = divmod(index, self.speakers)
        return _said(self.seed, self.part, speaker, number)


class SyntheticNoise:
    """Kinds of gan_zoo.data.noises as Sounds, `seconds` of each."""

    LEVEL = 0.05  # root mean square as int16; the SNR decides how loud it becomes

    def __init__(self, kinds: Sequence[str], seconds: int, seed: int) -> None:
        self.names, self.seconds, self.seed = list(kinds), seconds, seed
        self.lengths = np.full(len(self.names), seconds * RATE, np.int64)

    def read(self, index: int) -> Samples:
        return _noise(self.names[index], self.seconds, self.seed)


@lru_cache(maxsize=64)
def _noise(kind: str, seconds: int, seed: int) -> Samples:
    return to_16_bits(SyntheticNoise.LEVEL * noises.noise(kind, seconds, seed))


class Synthetic(SpeechData):
    """Synthesised speech and noise: `speakers` x `utterances` to train with ten noises at `snrs` dB; two other speakers
    with five other noises at `test_snrs`, each combination `test_utterances` times.

    world: which voices, words and noises there are; `seed` only orders and mixes them, so that runs can be compared.
    """

    def __init__(
        self,
        *,
        speakers: PositiveInt,
        utterances: PositiveInt,
        test_utterances: PositiveInt,
        snrs: list[float],
        test_snrs: list[float],
        noise_seconds: PositiveInt,
        world: NonNegativeInt,
        **speech: Any,
    ) -> None:
        super().__init__(**speech)
        if not snrs or not test_snrs:
            raise ConfigError("data.snrs and data.test_snrs are lists of at least one SNR in dB")
        if self.root is not None:
            raise ConfigError(f"data={self.name} is synthesised and reads no files; set data.root=null")
        self.speakers, self.each, self.test_each = speakers, utterances, test_utterances
        self.snrs, self.test_snrs, self.noise_seconds, self.world = snrs, test_snrs, noise_seconds, world

    def load(self) -> tuple[Pairs, Pairs]:
        conditions = len(noises.TEST) * len(self.test_snrs)
        speech = Synthesised(self.world, "train", self.speakers, self.each)
        unseen = Synthesised(self.world, "test", 2, conditions * self.test_each)
        known = SyntheticNoise(list(noises.TRAIN), self.noise_seconds, chance.mix(self.world, "train"))
        unknown = SyntheticNoise(list(noises.TEST), self.noise_seconds, chance.mix(self.world, "test"))
        return Mixed(speech, known, self.snrs, self.seed), Mixed(unseen, unknown, self.test_snrs, seed=0)


# ---------------------------------------------------------------- files


class ParallelSpeech(SpeechData):
    """Two folders of files of the same names, clean and noisy, below `root`.

    test_clean, test_noisy: held-out folders; without them the share `held_out` of the files is kept from training.
    conditions: a file of lines `name noise SNR` for the tables by noise, as VoiceBank-DEMAND has.
    """

    def __init__(
        self,
        *,
        clean: str,
        noisy: str,
        test_clean: str | None = None,
        test_noisy: str | None = None,
        held_out: Share = 0.1,
        conditions: str | None = None,
        **speech: Any,
    ) -> None:
        super().__init__(**speech)
        if (test_clean is None) != (test_noisy is None):
            raise ConfigError(
                "data.test_clean and data.test_noisy belong together: give both folders or neither"
            )
        self.train_folders = clean, noisy
        self.test_folders = (test_clean, test_noisy) if test_clean and test_noisy else None
        self.held_out, self.conditions_file = held_out, conditions

    def load(self) -> tuple[Pairs, Pairs]:
        train = self._paired(self.train_folders)
        if self.test_folders is not None:
            test = self._recorded(self.test_folders, self._paired(self.test_folders))
            return self._recorded(self.train_folders, train), test
        if len(train) < 2:
            raise DataError(
                folder_of(self) / self.train_folders[0],
                "holds one file; at least two are wanted, one to hold out",
            )
        refuse_no_test(self.held_out)
        first, second = (
            self._recorded(self.train_folders, [train[i] for i in rows])
            for rows in evenly(len(train), self.held_out)
        )
        return first, second

    def _paired(self, folders: Folders) -> list[tuple[Path, Path]]:
        root = folder_of(self)
        return paired(root / folders[0], root / folders[1])

    def _recorded(self, folders: Folders, pairs: list[tuple[Path, Path]]) -> Recorded:
        root = folder_of(self)
        clean, noisy = (
            Recordings([pair[k] for pair in pairs], root / name, self.cache) for k, name in enumerate(folders)
        )
        return Recorded(
            clean, noisy, read_conditions(root / self.conditions_file) if self.conditions_file else None
        )


def read_conditions(path: Path) -> dict[str, tuple[str, float]]:
    """{name: (noise, SNR)} of a log of VoiceBank-DEMAND; nothing where the file is missing."""
    if not path.is_file():
        log.warning("%s: there is no such file, so there will be no tables by noise and SNR", path)
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        try:
            if words:
                found[words[0]] = words[1], float(words[2])
        except (IndexError, ValueError):
            raise DataError(
                path, f"line {number} is {line!r}; name, noise and SNR in dB were wanted"
            ) from None
    return found


class MixedSpeech(SpeechData):
    """Clean files below `root`/`clean` and noise below `root`/`noise`, mixed when they are asked for.

    held_out: share of the clean files and of the noise files that training never hears.
    """

    def __init__(
        self,
        *,
        clean: str,
        noise: str,
        snrs: list[float],
        test_snrs: list[float],
        held_out: Share = 0.1,
        **speech: Any,
    ) -> None:
        super().__init__(**speech)
        if not snrs or not test_snrs:
            raise ConfigError("data.snrs and data.test_snrs are lists of at least one SNR in dB")
        self.folders, self.snrs, self.test_snrs, self.held_out = (clean, noise), snrs, test_snrs, held_out

    def load(self) -> tuple[Pairs, Pairs]:
        refuse_no_test(self.held_out)
        sides = []
        for name in self.folders:
            root = folder_of(self) / name
            files = listed(root)
            if len(files) < 2:
                raise DataError(
                    root,
                    "holds one file; at least two are wanted, one to hold out: cut a long recording in pieces",
                )
            rows = evenly(len(files), self.held_out)
            sides.append([Recordings([files[i] for i in some], root, self.cache) for some in rows])
        (speech, unseen), (noise, unknown) = sides
        return Mixed(speech, noise, self.snrs, self.seed), Mixed(unseen, unknown, self.test_snrs, seed=0)


def folder_of(data: DataModule) -> Path:
    """`root` as a folder that exists."""
    if data.root is None:
        raise ConfigError(
            f"data={data.name} reads files: set data.root=FOLDER; conf/data/{data.name}.yaml says what it must hold"
        )
    if not (folder := Path(data.root).expanduser()).is_dir():
        raise DataError(folder, f"there is no such folder; conf/data/{data.name}.yaml says what it must hold")
    return folder
