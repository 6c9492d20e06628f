"""How good enhanced speech is beside the clean: signal ratios, spectral distances, PESQ, STOI and Hu & Loizou's composites.

All take `clean` and `other`, float [T] of one length, full scale 1, and return one number; frames are of 30 ms every 7.5 ms
with a Hann window, as in the code of Hu & Loizou 2008 that SEGAN and its successors report with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_zoo.extras import needed
from gan_zoo.media.audio import RATE
from gan_zoo.schema import ConfigError

Sound = NDArray[np.floating]
Frames = NDArray[np.float64]
LOWEST, HIGHEST = -10.0, 35.0  # dB between which a frame's SNR is counted
_EPS = 1e-10
STOI_SAMPLES = 6350  # 30 frames of 25.6 ms every 12.8 ms

# 25 critical bands, Hz (Klatt 1982, as in Loizou 2013)
_CENTRES = np.array([
    50, 120, 190, 260, 330, 400, 470, 540, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30, 1288.72, 1442.54, 1610.70,
    1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63])  # fmt: skip
_WIDTHS = np.array([
    70, 70, 70, 70, 70, 70, 70, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423, 153.823, 168.154, 183.457,
    199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136])  # fmt: skip


class Meaning(NamedTuple):
    """A column of the table."""

    label: str
    lower_is_better: bool
    says: str


FIGURES: dict[str, Meaning] = {
    "pesq": Meaning("PESQ", False, "ITU-T P.862.2, wideband, 1.04 ... 4.64."),
    "csig": Meaning("CSIG", False, "Predicted rating of the speech itself, 1 ... 5 (Hu & Loizou 2008)."),
    "cbak": Meaning("CBAK", False, "Predicted rating of the background, 1 ... 5."),
    "covl": Meaning("COVL", False, "Predicted rating of the whole, 1 ... 5."),
    "segmental_snr": Meaning("SSNR", False, "Segmental SNR in dB, frames counted between -10 and 35 dB."),
    "stoi": Meaning("STOI", False, "Short-time objective intelligibility, 0 ... 1 (Taal et al. 2011)."),
    "si_sdr": Meaning("SI-SDR", False, "Scale-invariant SDR in dB (Le Roux et al. 2019)."),
    "snr": Meaning("SNR", False, "Of the whole utterance, in dB."),
    "llr": Meaning("LLR", True, "Log-likelihood ratio of the linear predictors; 0: equal."),
    "wss": Meaning("WSS", True, "Weighted spectral slope distance; 0: equal."),
    "lsd": Meaning("LSD", True, "Log-spectral distance in dB; 0: equal."),
}


def scores(clean: Sound, other: Sound, names: Collection[str] | None = None) -> dict[str, float]:
    """All of FIGURES at 16 kHz, or those named; the composites are made of PESQ, LLR, WSS and segmental SNR."""
    _same_length(clean, other)
    wanted = set(FIGURES if names is None else names)
    needed = wanted | ({"pesq", "llr", "wss", "segmental_snr"} if wanted & COMPOSITES else set())
    found = {name: measure(clean, other) for name, measure in _MEASURES.items() if name in needed}
    if wanted & COMPOSITES:
        found |= composites(*(found[name] for name in ("pesq", "llr", "wss", "segmental_snr")))
    return {name: found[name] for name in FIGURES if name in wanted}


def _same_length(clean: Sound, other: Sound) -> None:
    if clean.ndim != 1 or clean.shape != other.shape or not len(clean):
        raise ConfigError(
            f"clean and other must be [T] of one length, got {list(clean.shape)} and {list(other.shape)}; cut them to one length"
        )
    for name, one in (("clean", clean), ("other", other)):
        if not np.isfinite(one).all():
            bad = int((~np.isfinite(one)).sum())
            raise ConfigError(
                f"{name}: {bad} of {len(one)} samples are NaN or Inf; a figure of them would mean nothing"
            )


# ---------------------------------------------------------------- ratios


def snr(clean: Sound, other: Sound) -> float:
    """10 log10 (sum c^2 / sum (c - o)^2), dB; infinite for equal sounds."""
    _same_length(clean, other)
    return _decibels(_energy(clean), _energy(np.subtract(clean, other, dtype=np.float64)))


def si_sdr(clean: Sound, other: Sound) -> float:
    """SNR after the clean sound was scaled to fit best (Le Roux et al. 2019, eq. 4), dB; means are left in."""
    _same_length(clean, other)
    c, o = np.asarray(clean, np.float64), np.asarray(other, np.float64)
    target = float(o @ c) / max(float(c @ c), 1e-30) * c
    return _decibels(_energy(target), _energy(o - target))


def segmental_snr(clean: Sound, other: Sound, rate: int = RATE) -> float:
    """Mean SNR of frames, each held between -10 and 35 dB, without which a silent frame would decide all."""
    _same_length(clean, other)
    signal = np.square(framed(clean, rate)).sum(1)
    noise = np.square(framed(clean, rate) - framed(other, rate)).sum(1)
    return float(np.clip(10 * np.log10(signal / (noise + _EPS) + _EPS), LOWEST, HIGHEST).mean())


def _energy(sound: Sound) -> float:
    one = np.asarray(sound, np.float64)
    return float(one @ one)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf") if signal else float("nan")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def framed(sound: Sound, rate: int = RATE) -> Frames:
    """[frames, 30 ms] behind a Hann window, every quarter of a frame; a shorter sound makes one frame with zeros."""
    length = round(0.03 * rate)
    one = np.asarray(sound, np.float64)
    one = np.pad(one, (0, max(0, length - len(one))))
    count = max(
        1, int(len(one) / (length // 4) - length / (length // 4))
    )  # the last one is left out, as in Loizou's code
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1)))
    return np.lib.stride_tricks.sliding_window_view(one, length)[:: length // 4][:count] * window


# ---------------------------------------------------------------- spectra


def lsd(clean: Sound, other: Sound) -> float:
    """Mean over frames of the root mean square over bins of the difference of spectra in dB, 32 ms every 16 ms.

    Bins are counted from 60 dB below the loudest bin of the clean sound on, so that digital silence is no infinite loss.
    """
    _same_length(clean, other)
    powers = [_power(sound, 512, 256) for sound in (clean, other)]
    least = max(float(powers[0].max()) * 1e-6, 1e-20)
    first, second = (10 * np.log10(np.maximum(power, least)) for power in powers)
    return float(np.sqrt(np.square(first - second).mean(1)).mean())


def _power(sound: Sound, size: int, hop: int) -> Frames:
    one = np.pad(np.asarray(sound, np.float64), (0, max(0, size - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(one, size)[::hop] * np.hanning(size + 1)[:-1]
    return np.abs(np.fft.rfft(frames)) ** 2


def _trimmed_mean(distances: Frames) -> float:
    """Of the lowest 95 % of the frames."""
    return float(np.sort(distances)[: max(1, round(0.95 * len(distances)))].mean())


def llr(clean: Sound, other: Sound, rate: int = RATE) -> float:
    """log (a' R a / b' R b) of the predictors a of `other` and b of `clean`, R clean's autocorrelation (Quackenbush et al. 1988)."""
    _same_length(clean, other)
    order = 16 if rate >= 10_000 else 10
    known = autocorrelation(framed(clean, rate), order)
    b, a = predictor(known), predictor(autocorrelation(framed(other, rate), order))
    return _trimmed_mean(np.log(np.maximum(_error(a, known), 1e-30) / np.maximum(_error(b, known), 1e-30)))


def autocorrelation(frames: Frames, order: int) -> Frames:
    """Lags 0 ... order of each frame, [frames, order + 1]."""
    length = frames.shape[1]
    lags = np.stack([(frames[:, : length - k] * frames[:, k:]).sum(1) for k in range(order + 1)], axis=1)
    lags[:, 0] += 1e-20  # a silent frame is predicted by nothing
    return lags


def predictor(lags: Frames) -> Frames:
    """1, -a_1, ..., -a_p of each frame by Levinson and Durbin's recursion, [frames, p + 1]."""
    a = np.zeros_like(lags)
    a[:, 0], error = 1.0, lags[:, 0].copy()
    for k in range(1, lags.shape[1]):
        reflection = -(a[:, :k] * lags[:, k:0:-1]).sum(1) / np.maximum(error, 1e-30)
        a[:, 1 : k + 1] = a[:, 1 : k + 1] + reflection[:, None] * a[:, k - 1 :: -1][:, :k]
        error = error * (1 - reflection**2)
    return a


def _error(a: Frames, lags: Frames) -> Frames:
    """a' R a with the Toeplitz matrix R of `lags`."""
    order = a.shape[1] - 1
    own = np.stack([(a[:, : order + 1 - k] * a[:, k:]).sum(1) for k in range(order + 1)], axis=1)
    return lags[:, 0] * own[:, 0] + 2 * (lags[:, 1:] * own[:, 1:]).sum(1)


def wss(clean: Sound, other: Sound, rate: int = RATE) -> float:
    """Weighted spectral slope distance (Klatt 1982): differences of the slopes of 25 bands, weighted by nearness to peaks."""
    _same_length(clean, other)
    first, second = (_bands(framed(sound, rate), rate) for sound in (clean, other))
    weight = (_weights(first) + _weights(second)) / 2
    apart = np.square(np.diff(first, axis=1) - np.diff(second, axis=1))
    return _trimmed_mean((weight * apart).sum(1) / weight.sum(1))


def _bands(frames: Frames, rate: int) -> Frames:
    """dB in each critical band, [frames, 25]."""
    size = 2 ** int(np.ceil(np.log2(2 * frames.shape[1])))
    spectrum = np.abs(np.fft.rfft(frames, size)[:, : size // 2]) ** 2
    bins = np.arange(size // 2)
    centre = np.floor(_CENTRES / (rate / 2) * (size / 2))[:, None]
    width = (_WIDTHS / (rate / 2) * (size / 2))[:, None]
    bank = np.exp(-11 * ((bins - centre) / width) ** 2 + np.log(_WIDTHS[0] / _WIDTHS)[:, None])
    bank = np.where(bank > np.exp(-30 / (2 * 2.303)), bank, 0.0)
    return 10 * np.log10(np.maximum(spectrum @ bank.T, _EPS))


def _weights(energy: Frames, k_max: float = 20.0, k_locmax: float = 1.0) -> Frames:
    """Of each slope: near the loudest band and near a local peak it counts most."""
    slope, last = np.diff(energy, axis=1), energy.shape[1] - 1
    up, down = np.empty(slope.shape, int), np.empty(slope.shape, int)
    for i in range(last - 1, -1, -1):  # where the rise that band i is part of ends
        up[:, i] = np.where(slope[:, i] > 0, up[:, i + 1] if i + 1 < last else last, i)
    for i in range(last):  # where the fall that band i is part of began
        down[:, i] = np.where(slope[:, i] <= 0, down[:, i - 1] if i else -1, i)
    peak = np.take_along_axis(energy, np.where(slope > 0, up - 1, down + 1), axis=1)
    low = energy[:, :-1]
    return k_max / (k_max + energy.max(1, keepdims=True) - low) * k_locmax / (k_locmax + peak - low)


# ---------------------------------------------------------------- listeners, predicted


def composites(quality: float, likelihood: float, slope: float, segmental: float) -> dict[str, float]:
    """CSIG, CBAK and COVL of PESQ, LLR, WSS and segmental SNR, held between 1 and 5 (Hu & Loizou 2008, table III)."""
    rating = {
        "csig": 3.093 - 1.029 * likelihood + 0.603 * quality - 0.009 * slope,
        "cbak": 1.634 + 0.478 * quality - 0.007 * slope + 0.063 * segmental,
        "covl": 1.594 + 0.805 * quality - 0.512 * likelihood - 0.007 * slope,
    }
    return {name: float(np.clip(value, 1, 5)) for name, value in rating.items()}


def pesq(clean: Sound, other: Sound) -> float:
    """Wideband PESQ at 16 kHz by the pesq package; NaN where it finds no speech, or less than a quarter of a second."""
    _same_length(clean, other)
    library = needed("pesq", "PESQ")
    if not np.any(clean) or not np.any(other):
        return float("nan")
    try:
        return float(library.pesq(RATE, np.asarray(clean, np.float32), np.asarray(other, np.float32), "wb"))
    except (library.NoUtterancesError, library.BufferTooShortError):
        return float("nan")


def stoi(clean: Sound, other: Sound) -> float:
    """STOI at 16 kHz by the pystoi package; NaN where fewer than the 30 frames it correlates hold speech.

    The package itself gives 1e-5 there, which would count as speech that nobody understands.
    """
    _same_length(clean, other)
    library = needed("pystoi", "STOI").stoi
    if len(clean) < STOI_SAMPLES or not np.any(clean):
        return float("nan")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        value = float(library(np.asarray(clean), np.asarray(other), RATE, extended=False))
    return float("nan") if any("Not enough STFT frames" in str(one.message) for one in said) else value


COMPOSITES = {"csig", "cbak", "covl"}
_MEASURES: dict[str, Callable[[Sound, Sound], float]] = {
    "pesq": pesq, "segmental_snr": segmental_snr, "stoi": stoi, "si_sdr": si_sdr, "snr": snr, "llr": llr, "wss": wss, "lsd": lsd,
}  # fmt: skip
