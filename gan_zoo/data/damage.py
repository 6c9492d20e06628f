"""What happens to sound besides noise: clipping, lost packets, coarse quantisation, gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gan_zoo.media.audio import RATE, Sound

Damage = Callable[[Sound, np.random.Generator], Sound]


def clipping(sound: Sound, random: np.random.Generator) -> Sound:
    """Whatever is above 10 to 40 % of the peak is cut off."""
    limit = random.uniform(0.1, 0.4) * np.abs(sound).max(initial=0)
    return np.clip(sound, -limit, limit)


def packet_loss(sound: Sound, random: np.random.Generator) -> Sound:
    """Each 20 ms packet is lost with a probability of 5 to 20 %; nothing stands in its place."""
    packet = RATE // 50
    kept = random.random(len(sound) // packet + 1) >= random.uniform(0.05, 0.2)
    return sound * np.repeat(kept, packet)[: len(sound)].astype(np.float32)


def quantisation(sound: Sound, random: np.random.Generator) -> Sound:
    """3 to 6 bits between minus and plus the peak."""
    peak = np.abs(sound).max(initial=0)
    step = np.float32(peak / 2 ** (int(random.integers(3, 7)) - 1) or 1)
    return (np.round(sound / step) * step).astype(np.float32)


def gaps(sound: Sound, random: np.random.Generator) -> Sound:
    """Silence for 30 to 120 ms, once a second on average."""
    out = sound.copy()
    for start in np.flatnonzero(random.random(len(sound)) < 1 / RATE):
        out[start : start + random.integers(int(0.03 * RATE), int(0.12 * RATE))] = 0
    return out


KINDS: dict[str, Damage] = {kind.__name__: kind for kind in (clipping, packet_loss, quantisation, gaps)}
