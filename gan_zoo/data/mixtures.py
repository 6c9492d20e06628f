"""Utterances and their noisy versions: recorded by others, or mixed here at an SNR."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_zoo import chance
from gan_zoo.data.recordings import Samples, Sounds
from gan_zoo.media.audio import Sound

Random = np.random.Generator


class Pair(NamedTuple):
    """One utterance, float32 [T] in [-1, 1] at 16 kHz. noise and snr (dB) say what was added, where that is known."""

    name: str
    clean: Sound
    noisy: Sound
    noise: str = ""
    snr: float | None = None


class Pairs:
    """Utterances and their noisy versions. `cut` gives a window of one; with `random`, mixed anew."""

    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))

    @abstractmethod
    def __getitem__(self, index: int) -> Pair:
        """One whole utterance."""

    @abstractmethod
    def cut(self, index: int, start: int, length: int, random: Random | None) -> tuple[Sound, Sound]:
        """(clean, noisy), float32 [length], zeros beyond the end."""


class Recorded(Pairs):
    """Pairs that were recorded or mixed by others. conditions: {name: (noise, SNR)} for the tables by noise."""

    def __init__(
        self, clean: Sounds, noisy: Sounds, conditions: Mapping[str, tuple[str, float]] | None = None
    ) -> None:
        self.clean, self.noisy, self.conditions = clean, noisy, conditions or {}
        self.lengths = clean.lengths

    def cut(self, index: int, start: int, length: int, random: Random | None) -> tuple[Sound, Sound]:
        return _window(self.clean.read(index), start, length), _window(self.noisy.read(index), start, length)

    def __getitem__(self, index: int) -> Pair:
        name = self.clean.names[index]
        noise, snr = self.conditions.get(name.rpartition("/")[2], ("", None))
        return Pair(name, *self.cut(index, 0, int(self.lengths[index]), None), noise, snr)


class Mixed(Pairs):
    """Clean speech with noise added at an SNR in dB, of the energies of the whole utterance and of the noise under it.

    Without `random` utterance i has noise i mod K, the SNR after each K utterances the next one, and a place in the noise
    that is a function of (seed, i); `random` draws all three.
    """

    def __init__(self, speech: Sounds, noise: Sounds, snrs: Sequence[float], seed: int) -> None:
        self.speech, self.noise, self.snrs, self.seed = speech, noise, list(snrs), seed
        self.lengths = speech.lengths
        self._energies: dict[int, float] = {}

    def cut(self, index: int, start: int, length: int, random: Random | None) -> tuple[Sound, Sound]:
        kind, snr, random = self._condition(index, random)
        clean, long = self.speech.read(index), int(self.lengths[index])
        sound = self.noise.read(kind)
        at = int(random.integers(max(1, len(sound) - long + 1)))
        under = np.resize(sound[at : at + long], long) if len(sound) < long else sound[at : at + long]
        energy = _energy(under)
        if index not in self._energies:
            self._energies[index] = _energy(clean)
        speech = self._energies[index]
        # silence has no SNR: noise is then as loud as it was recorded, and silent noise adds nothing
        gain = np.sqrt(speech / energy / 10 ** (snr / 10)) if speech and energy else 1.0
        part = _window(clean, start, length)
        return part, np.clip(part + np.float32(gain) * _window(under, start, length), -1, 1)

    def _condition(self, index: int, random: Random | None) -> tuple[int, float, Random]:
        kinds = len(self.noise.names)
        if random is None:
            place = np.random.default_rng(chance.mix(self.seed, "place", index))
            return index % kinds, self.snrs[index // kinds % len(self.snrs)], place
        return int(random.integers(kinds)), self.snrs[int(random.integers(len(self.snrs)))], random

    def __getitem__(self, index: int) -> Pair:
        kind, snr, _ = self._condition(index, None)
        clean, noisy = self.cut(index, 0, int(self.lengths[index]), None)
        return Pair(self.speech.names[index], clean, noisy, self.noise.names[kind], snr)


def _window(sound: Samples, start: int, length: int) -> Sound:
    part = np.zeros(length, np.float32)
    found = sound[start : start + length]
    np.multiply(found, np.float32(1 / 32768), out=part[: len(found)])
    return part


def _energy(sound: Samples) -> float:
    one = sound.astype(np.float64)
    return float(one @ one)
