"""Speech-like sound from a source-filter synthesiser (Fant 1960): the clean signal of data=speech is known exactly.

A pulse train that follows a pitch contour and white noise are shaped by formant tracks that move from phone to phone.
Formants are the averages of Peterson & Barney 1952; words are random syllables, so nobody says anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from gan_zoo.media.audio import RATE, Sound

LEVEL = -26.0  # dB of the active speech against full scale, the usual level of recorded speech (ITU-T P.56)
ROOM = -70.0  # dB of the room behind the speaker, without which pauses would be digital silence
_HOP, _WINDOW, _FFT = 160, 320, 512  # 10 ms, 20 ms, and room for the formants' ringing


class Voice(NamedTuple):
    """A speaker. pitch: Hz; tract: factor on all formants; the others are shares and factors around 1."""

    pitch: float
    tract: float
    breath: float
    jitter: float
    pace: float
    tilt: float
    bandwidth: float
    accent: float
    colour: tuple[float, float, float, float]


class Phone(NamedTuple):
    """What stands still for `seconds`: how loud pulses, noise through the formants and hissing are, and where."""

    seconds: float
    voiced: float
    breath: float
    hiss: float
    formants: tuple[float, float, float, float]
    centre: float = 5000.0  # of the hissing, Hz
    width: float = 1500.0


_VOWELS = (
    (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410), (730, 1090, 2440),
    (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240), (640, 1190, 2390), (490, 1350, 1690),
)  # fmt: skip
_SONORANTS = ((250, 1200, 2200, 0.40), (250, 1600, 2600, 0.40), (360, 1200, 2700, 0.55), (350, 1200, 1600, 0.60),
              (300, 700, 2200, 0.60), (280, 2200, 2900, 0.55))  # m n l r w j  # fmt: skip
_FRICATIVES = ((6000, 1100, 0.28), (3300, 800, 0.28), (4500, 3000, 0.10))  # s sh f: centre, width, loudness
_PLACES = ((900, 700, 0.25), (4300, 1300, 0.35), (2100, 700, 0.35))  # p t k


def voice(random: np.random.Generator, number: int) -> Voice:
    """A speaker; even numbers have low voices, odd ones high."""
    high = number % 2
    pitch = random.uniform(165, 235) if high else random.uniform(85, 135)
    tract = random.uniform(1.08, 1.22) if high else random.uniform(0.92, 1.06)
    breath, jitter, pace, tilt, bandwidth, accent = random.uniform(
        [0.01, 0.004, 0.85, 250, 0.8, 1.0], [0.06, 0.012, 1.2, 900, 1.4, 3.0]
    )
    first, second, third, fourth = random.uniform(0.95, 1.05, 4)
    return Voice(pitch, tract, breath, jitter, pace, tilt, bandwidth, accent, (first, second, third, fourth))


def duration(who: Voice, random: np.random.Generator) -> int:
    """Samples of the utterance that `utterance` makes of the same random numbers, at a hundredth of its cost."""
    return sum(round(phone.seconds * RATE) for phone in _phrase(random, who.pace))


def utterance(who: Voice, random: np.random.Generator) -> Sound:
    """About three seconds of words, float32 [T] at 16 kHz, with a pause before and after, at LEVEL +- 3 dB."""
    phones = _phrase(random, who.pace)
    lengths = np.array([round(phone.seconds * RATE) for phone in phones])
    phone_at = np.repeat(np.arange(len(phones)), lengths)
    loud = uniform_filter1d(
        np.array([(p.voiced, p.breath, p.hiss) for p in phones], np.float32)[phone_at], 200, axis=0
    )
    voiced = _pulses(_pitch(who, phone_at, phones, random)) * (
        1 + 0.05 * random.standard_normal() * np.sin(np.arange(len(loud)) / 1900)
    )
    air = random.standard_normal(len(loud), np.float32)
    frames = phone_at[::_HOP]
    formants = np.array([p.formants for p in phones])[frames] * who.tract * np.array(who.colour)
    formants = gaussian_filter1d(formants, 2.5, axis=0).astype(np.float32)
    spoken = loud[:, 0] * voiced + (loud[:, 1] + who.breath * loud[:, 0]) * air * 0.3
    hiss = np.array([(p.centre, p.width) for p in phones], np.float32)[frames]
    sound = _filtered(spoken, _tract(formants, who)) + _filtered(loud[:, 2] * air, _band(hiss))
    room = 10 ** (ROOM / 20) * random.standard_normal(len(sound), np.float32)
    return at_level(sound, LEVEL + random.uniform(-3, 3)) + room


def at_level(sound: Sound, level: float) -> Sound:
    """Scaled to `level` dB of what is active (within 40 dB of the loudest 20 ms); peaks stay below 0.95."""
    loudness = uniform_filter1d(sound.astype(np.float64) ** 2, _WINDOW)
    active = sound[loudness > loudness.max() * 1e-4]
    gain = 10 ** (level / 20) / max(float(np.sqrt(np.mean(active.astype(np.float64) ** 2))), 1e-9)
    peak = float(np.abs(sound).max())
    return (sound * min(gain, 0.95 / max(peak, 1e-9))).astype(np.float32)


# ---------------------------------------------------------------- what is said


def _phrase(random: np.random.Generator, pace: float) -> list[Phone]:
    """A pause, words with pauses between, a pause."""
    phones = [_silence(random.uniform(0.2, 0.3))]
    while sum(phone.seconds for phone in phones) < 2.3:
        for _ in range(random.integers(1, 4)):
            phones += _syllable(random, pace)
        if random.random() < 0.5:
            phones.append(_silence(random.uniform(0.08, 0.35)))
    return [*phones, _silence(random.uniform(0.15, 0.25))]


def _silence(seconds: float) -> Phone:
    return Phone(seconds, 0, 0, 0, (500, 1500, 2500, 3500))


def _syllable(random: np.random.Generator, pace: float) -> list[Phone]:
    """Onset, vowel (gliding to another now and then), and sometimes a coda."""
    vowel = _vowel(random, random.uniform(0.07, 0.19) / pace)
    found = [*_consonant(random, vowel.formants, pace), vowel]
    if random.random() < 0.25:
        found.append(_vowel(random, random.uniform(0.05, 0.1) / pace))
    if random.random() < 0.4:
        found += _consonant(random, vowel.formants, pace)
    return found


def _vowel(random: np.random.Generator, seconds: float) -> Phone:
    first, second, third = random.uniform(0.95, 1.05, 3) * _VOWELS[random.integers(len(_VOWELS))]
    return Phone(seconds, random.uniform(0.7, 1.0), 0.02, 0, (first, second, third, 3500.0))


def _consonant(
    random: np.random.Generator, near: tuple[float, float, float, float], pace: float
) -> list[Phone]:
    kind, seconds = random.integers(6), random.uniform(0.05, 0.11) / pace
    if kind <= 1:
        first, second, third, loud = _SONORANTS[random.integers(len(_SONORANTS))]
        return [Phone(seconds, loud, 0, 0, (first, second, third, 3400.0))]
    if kind == 2:  # h
        return [Phone(seconds * 0.8, 0, 0.5, 0, near)]
    if kind == 3:
        centre, width, loud = _PLACES[random.integers(3)]
        burst = Phone(0.014, 0, 0.1, loud * 2, near, centre, width)
        return [Phone(seconds, 0, 0, 0, near), burst, Phone(0.03, 0, 0.35, 0.03, near, centre, width)]
    centre, width, loud = _FRICATIVES[random.integers(3)]
    voicing = 0.25 if kind == 5 else 0.0
    return [Phone(seconds * 1.2, voicing, 0, loud * (0.5 if kind == 5 else 1), near, centre, width)]


def _pitch(
    who: Voice, phone_at: NDArray[np.int64], phones: list[Phone], random: np.random.Generator
) -> Sound:
    """Hz at each sample: falls through the phrase, rises and falls from phone to phone, and trembles."""
    frames = phone_at[::_HOP]
    accents = gaussian_filter1d(random.normal(0, who.accent, len(phones))[frames], 6.0)
    fall = np.linspace(1.5, -2.0, len(frames))
    tremble = gaussian_filter1d(random.normal(0, 1, len(frames)), 1.0) * who.jitter * 20
    semitones = np.repeat(accents + fall + tremble, _HOP)[: len(phone_at)]
    return (who.pitch * 2 ** (uniform_filter1d(semitones, _WINDOW) / 12)).astype(np.float32)


# ---------------------------------------------------------------- source and filter


def _pulses(pitch: Sound) -> Sound:
    """A band-limited train of pulses at `pitch` Hz: sin(pi M x) / sin(pi x) holds the harmonics below 8 kHz."""
    turns = np.cumsum(pitch, dtype=np.float64) / RATE
    harmonics = 2 * np.floor(RATE / 2 / pitch.max()) + 1
    x = np.pi * (turns - np.round(turns))
    small = np.abs(x) < 1e-7
    train = np.sin(harmonics * x) / np.where(small, 1, np.sin(x))
    return (np.where(small, harmonics, train) / np.sqrt(harmonics)).astype(np.float32)


def _tract(formants: Sound, who: Voice) -> NDArray[np.complex64]:
    """Response [frames, bins] of four resonators in a row, behind the glottis' tilt and the lips' radiation."""
    bins = np.arange(_FFT // 2 + 1, dtype=np.float32)
    turn = np.exp(-2j * np.pi * bins / _FFT).astype(np.complex64)
    width = np.array([60, 90, 130, 200], np.float32) * who.bandwidth
    radius = np.exp(-np.pi * width / RATE)
    real = 2 * radius * np.cos(2 * np.pi * np.minimum(formants, 7500) / RATE)  # [frames, 4]
    hertz = bins * RATE / _FFT
    response = np.broadcast_to(
        (hertz / (hertz + 60) / (1 + 1j * hertz / who.tilt)).astype(np.complex64), (len(formants), len(bins))
    )
    for k in range(4):
        b, a = real[:, k, None], radius[k] ** 2
        response = response * ((1 - b + a) / (1 - b * turn + a * turn**2))
    return response


def _band(hiss: Sound) -> NDArray[np.complex64]:
    """Response [frames, bins] of a bell around a centre, [frames, 2] of (centre, width) in Hz."""
    hertz = np.arange(_FFT // 2 + 1, dtype=np.float32) * RATE / _FFT
    return np.exp(-0.5 * ((hertz - hiss[:, :1]) / hiss[:, 1:]) ** 2).astype(np.complex64)


def _filtered(sound: Sound, response: NDArray[np.complex64]) -> Sound:
    """Each 20 ms through the filter of its moment, overlapped and added."""
    frames = len(response)
    padded = np.zeros((frames + 1) * _HOP, np.float32)
    padded[: len(sound)] = sound
    parts = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:frames]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    shaped = np.fft.irfft(np.fft.rfft(parts * window, _FFT) * response, _FFT).astype(np.float32)
    out = np.zeros((frames + 3, _HOP), np.float32)
    pieces = np.pad(shaped, ((0, 0), (0, 4 * _HOP - _FFT)))
    for k in range(4):
        out[k : k + frames] += pieces[:, k * _HOP : (k + 1) * _HOP]
    return out.ravel()[: len(sound)]
