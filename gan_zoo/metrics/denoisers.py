"""What a network must beat: a Wiener filter and spectral subtraction, both with one estimate of the noise.

Frames of 20 ms every 10 ms; the noise is what the first 120 ms hold, and follows frames that hold no speech.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gan_zoo.media.audio import RATE

Sound = NDArray[np.float32]
Powers = NDArray[np.float64]
_LENGTH, _HOP, _FFT = RATE // 50, RATE // 100, 512
_WINDOW = np.sqrt(
    np.hanning(_LENGTH + 1)[:-1]
)  # at the analysis and at the synthesis: their product adds up to 1
_FIRST = 6  # frames taken for noise
_SMOOTHING = 0.98
_SPEECH = 0.15  # mean log-likelihood ratio above which a frame holds speech (Sohn et al. 1999)
_MOST = 40.0  # of the a posteriori SNR


def wiener(noisy: Sound) -> Sound:
    """Wiener filter with a decision-directed a priori SNR (Scalart & Filho 1996, after Loizou's wiener_as), float32 [T]."""
    return _filtered(noisy, lambda power, noise, prior: prior / (1 + prior))


def spectral_subtraction(noisy: Sound) -> Sound:
    """Power subtraction with over-subtraction by SNR and a floor (Berouti et al. 1979), float32 [T]."""

    def gain(power: Powers, noise: Powers, prior: Powers) -> Powers:
        ratio = 10 * np.log10(power.sum() / noise.sum() + 1e-12)
        kept = np.maximum(power - np.clip(4 - ratio * 3 / 20, 1, 4.75) * noise, 0.02 * noise)
        return np.sqrt(np.minimum(kept / (power + 1e-20), 1))

    return _filtered(noisy, gain)


def _filtered(noisy: Sound, gain: Callable[[Powers, Powers, Powers], Powers]) -> Sound:
    """Each frame's spectrum times gain(power, noise, a priori SNR), with the noise followed where there is no speech."""
    spectra = _analysed(noisy)
    power = np.abs(spectra) ** 2
    noise, gains, before = power[:_FIRST].mean(0) + 1e-20, np.empty(power.shape), np.zeros(power.shape[1])
    for index, one in enumerate(power):
        posterior = np.minimum(one / noise, _MOST)
        prior = np.maximum(_decision(before / noise, posterior, index == 0), 10 ** (-25 / 10))
        if _likelihood(posterior, prior) < _SPEECH:
            noise = _SMOOTHING * noise + (1 - _SMOOTHING) * one
        gains[index] = gain(one, noise, prior)
        before = gains[index] ** 2 * one
    return _synthesised(spectra * gains, len(noisy))


def _decision(before: Powers, posterior: Powers, first: bool) -> Powers:
    """The a priori SNR: mostly what the last frame was found to hold (Ephraim & Malah 1984, eq. 51)."""
    now = np.maximum(posterior - 1, 0)
    return _SMOOTHING + (1 - _SMOOTHING) * now if first else _SMOOTHING * before + (1 - _SMOOTHING) * now


def _likelihood(posterior: Powers, prior: Powers) -> float:
    return float(np.mean(posterior * prior / (1 + prior) - np.log1p(prior)))


def _analysed(sound: Sound) -> NDArray[np.complex128]:
    """[frames, bins]; half a frame of zeros stands before and after, so that every sample is in two frames."""
    count = -(-len(sound) // _HOP) + 1
    padded = np.zeros((count + 1) * _HOP)
    padded[_HOP : _HOP + len(sound)] = sound
    frames = np.lib.stride_tricks.sliding_window_view(padded, _LENGTH)[::_HOP]
    return np.fft.rfft(frames * _WINDOW, _FFT)


def _synthesised(spectra: NDArray[np.complex128], length: int) -> Sound:
    frames = np.fft.irfft(spectra, _FFT)[:, :_LENGTH] * _WINDOW
    out = np.zeros((len(frames) + 1, _HOP))
    out[:-1] += frames[:, :_HOP]
    out[1:] += frames[:, _HOP:]
    return out.ravel()[_HOP : _HOP + length].astype(np.float32)


DENOISERS: dict[str, Callable[[Sound], Sound]] = {
    "noisy": lambda noisy: noisy,
    "wiener": wiener,
    "spectral_subtraction": spectral_subtraction,
}
