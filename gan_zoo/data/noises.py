"""Fifteen kinds of noise: ten to train with, five that only the test hears, as many as in VoiceBank-DEMAND.

Each is a function of (random, samples) -> float32 [samples] at 16 kHz; `noise` scales it to a mean square of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from gan_zoo import chance
from gan_zoo.data.voices import utterance, voice
from gan_zoo.media.audio import RATE, Sound

Random = np.random.Generator


def coloured(random: Random, n: int, shape: Callable[[Sound], NDArray[Any]]) -> Sound:
    """Gaussian noise whose amplitude spectrum is shape(Hz)."""
    spectrum = np.fft.rfft(random.standard_normal(n, np.float32))
    hertz = np.fft.rfftfreq(n, 1 / RATE).astype(np.float32)
    return np.fft.irfft(spectrum * shape(hertz), n).astype(np.float32)


def bell(hertz: Sound, centre: float, width: float) -> Sound:
    return np.exp(-0.5 * ((hertz - centre) / width) ** 2)


def slow(random: Random, n: int, seconds: float, depth: float) -> Sound:
    """A positive envelope that wanders within about `seconds`: e to the power of depth N(0, 1)."""
    steps = gaussian_filter1d(random.standard_normal(n // RATE * 20 + 80), seconds * 20, mode="wrap")
    steps = steps / steps.std()
    return np.exp(depth * np.interp(np.arange(n), np.arange(len(steps)) * RATE / 20, steps)).astype(
        np.float32
    )


def tones(
    random: Random, n: int, hertz: Sound | float, partials: int, fall: float, wobble: float = 0.0
) -> Sound:
    """Harmonics 1 ... partials of `hertz`, the k-th at k^-fall; wobble: share by which the pitch wanders."""
    pitch = hertz * (1 + wobble * np.log(slow(random, n, 0.4, 1.0)))
    turns = np.cumsum(np.broadcast_to(pitch, n), dtype=np.float64) / RATE
    return sum(
        (
            (k**-fall * np.sin(2 * np.pi * (k * turns + random.random()))).astype(np.float32)
            for k in range(1, partials + 1)
        ),
        np.zeros(n, np.float32),
    )


def strokes(
    random: Random, n: int, rate: float, seconds: float, spread: float, regular: bool = False
) -> Sound:
    """Sudden strokes that die away within `seconds`: `rate` a second, of loudness e^(spread N(0, 1))."""
    count = max(1, round(rate * n / RATE))
    at = (
        (np.arange(count) + random.uniform(-0.03, 0.03, count) + 0.5) * n / count
        if regular
        else random.random(count) * n
    )
    train = np.zeros(n, np.float32)
    np.add.at(train, np.clip(at, 0, n - 1).astype(int), np.exp(spread * random.standard_normal(count)))
    return lfilter([1], [1, -np.exp(-1 / (seconds * RATE))], train).astype(np.float32)


def crowd(random: Random, n: int, speakers: int, spread: float = 0.0) -> Sound:
    """`speakers` voices at once; what each says is cut from a few utterances and put in a random place."""
    total = np.zeros(n, np.float32)
    said = [utterance(voice(random, k), random) for k in range(2 * speakers)]
    for _k in range(speakers):
        line = np.concatenate([said[i] for i in random.permutation(len(said))])
        line = np.roll(np.tile(line, n // len(line) + 1), random.integers(len(line)))[:n]
        total += line * np.exp(spread * random.standard_normal()).astype(np.float32)
    return total


# ---------------------------------------------------------------- the kinds


def white(random: Random, n: int) -> Sound:
    return random.standard_normal(n, np.float32)


def pink(random: Random, n: int) -> Sound:
    return coloured(random, n, lambda hertz: np.maximum(hertz, 20) ** -0.5)


def brown(random: Random, n: int) -> Sound:
    return coloured(random, n, lambda hertz: np.maximum(hertz, 30) ** -1.0)


def hum(random: Random, n: int) -> Sound:
    """Mains at 50 or 60 Hz with many harmonics, and a little hiss."""
    return tones(random, n, float(random.choice([50, 60])), 40, 0.7) + 0.15 * white(random, n)


def babble(random: Random, n: int) -> Sound:
    return crowd(random, n, 8)


def clicks(random: Random, n: int) -> Sound:
    """Crackle: some thirty strokes a second over a faint hiss."""
    return strokes(random, n, 30, 0.0008, 0.8) * white(random, n) + 0.02 * white(random, n)


def traffic(random: Random, n: int) -> Sound:
    """Cars that pass: low rumble and tyres' noise that swell and fade."""
    rumble = coloured(random, n, lambda hertz: np.maximum(hertz, 40) ** -1.2)
    tyres = coloured(random, n, lambda hertz: bell(hertz, 900, 700))
    return slow(random, n, 1.2, 0.7) * (rumble / rumble.std() + 0.7 * tyres / tyres.std())


def fan(random: Random, n: int) -> Sound:
    """Air through blades: broad noise, beaten by the blades, and their tone."""
    air = coloured(random, n, lambda hertz: 1 / (1 + (hertz / 600) ** 1.5))
    beat = 1 + 0.4 * np.sin(2 * np.pi * random.uniform(15, 30) * np.arange(n) / RATE)
    return air / air.std() * beat.astype(np.float32) + 0.15 * tones(
        random, n, random.uniform(90, 160), 8, 0.8, 0.003
    )


def wind(random: Random, n: int) -> Sound:
    gusts = slow(random, n, 0.5, 0.9)
    low = coloured(random, n, lambda hertz: np.maximum(hertz, 15) ** -1.6)
    whistle = coloured(random, n, lambda hertz: bell(hertz, 700, 250))
    return gusts * low / low.std() + 0.3 * gusts**1.5 * whistle / whistle.std()


def machine(random: Random, n: int) -> Sound:
    """A press: regular strokes that ring, over a motor."""
    ring = coloured(random, n, lambda hertz: bell(hertz, 1500, 500) + bell(hertz, 3200, 600))
    motor = tones(random, n, random.uniform(70, 120), 25, 0.9, 0.01)
    blows = strokes(random, n, random.uniform(4, 8), 0.03, 0.2, regular=True)
    return blows * ring / ring.std() + 0.3 * motor / motor.std()


def bus(random: Random, n: int) -> Sound:
    """A diesel that speeds up and slows down, and what rattles."""
    pitch = 35 * slow(random, n, 2.0, 0.15)
    engine = tones(random, n, pitch, 30, 0.8) * slow(random, n, 1.0, 0.3)
    body = coloured(random, n, lambda hertz: np.maximum(hertz, 30) ** -0.9)
    rattle = strokes(random, n, 9, 0.006, 0.6) * white(random, n)
    return engine / engine.std() + body / body.std() + 0.5 * rattle / rattle.std()


def cafe(random: Random, n: int) -> Sound:
    """A few voices near, more behind, and crockery."""
    voices = crowd(random, n, 5, spread=0.5)
    clink = strokes(random, n, 1.5, 0.02, 0.7) * tones(random, n, random.uniform(2400, 3400), 2, 0.5)
    room = pink(random, n)
    return voices / voices.std() + 0.3 * clink / clink.std() + 0.25 * room / room.std()


def living_room(random: Random, n: int) -> Sound:
    """Music from another corner: chords whose partials fade, a voice, and a clock."""
    beats = max(1, n * 2 // RATE)
    chords = np.array([261.6, 311.1, 349.2, 392.0, 466.2])[random.integers(5, size=(beats, 3))]
    at = np.minimum(np.arange(n) * beats // n, beats - 1)
    fade = np.exp(-3.0 * ((np.arange(n) * beats % n) / n)).astype(np.float32)
    music = sum(
        (tones(random, n, chords[at, k].astype(np.float32), 6, 1.2) for k in range(3)), np.zeros(n, "f")
    )
    clock = strokes(random, n, 2, 0.002, 0.1, regular=True) * white(random, n)
    talk = crowd(random, n, 1)
    return fade * music / music.std() + 0.3 * clock / clock.std() + 0.6 * talk / talk.std()


def office(random: Random, n: int) -> Sound:
    """Ventilation, keys, and somebody who speaks at the other end."""
    air = coloured(random, n, lambda hertz: 1 / (1 + (hertz / 300) ** 1.2))
    keys = strokes(random, n, 7, 0.004, 0.5) * coloured(random, n, lambda hertz: bell(hertz, 3000, 1800))
    talk = crowd(random, n, 2)
    return air / air.std() + 0.7 * keys / keys.std() + 0.4 * talk / talk.std()


def street(random: Random, n: int) -> Sound:
    """Traffic, steps and people who walk by."""
    cars, people = traffic(random, n), crowd(random, n, 4, spread=0.7)
    step = coloured(random, n, lambda hertz: bell(hertz, 1200, 900))
    steps = strokes(random, n, 1.9, 0.015, 0.2, regular=True) * step
    return cars / cars.std() + 0.6 * people / people.std() + 0.3 * steps / steps.std()


Kind = Callable[[Random, int], Sound]
TRAIN: dict[str, Kind] = {
    kind.__name__: kind for kind in (white, pink, brown, hum, babble, clicks, traffic, fan, wind, machine)
}
TEST: dict[str, Kind] = {kind.__name__: kind for kind in (bus, cafe, living_room, office, street)}


@lru_cache(maxsize=64)
def noise(kind: str, seconds: int, seed: int) -> Sound:
    """`seconds` of a kind, of mean 0 and mean square 1; a function of its arguments alone."""
    random = np.random.default_rng(chance.mix(seed, "noise", kind))
    made = {**TRAIN, **TEST}[kind](random, seconds * RATE)
    made = made - made.mean()
    return (made / np.sqrt(np.mean(made.astype(np.float64) ** 2))).astype(np.float32)
