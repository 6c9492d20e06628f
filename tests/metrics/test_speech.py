"""Measures of enhanced speech against closed forms, other libraries and their definitions written out in loops."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz

from gan_zoo.data import noises, voices
from gan_zoo.media.audio import RATE
from gan_zoo.metrics import denoisers
from gan_zoo.metrics import speech as measures
from gan_zoo.schema import ConfigError

RANDOM = np.random.default_rng(0)
WHITE = (0.1 * RANDOM.standard_normal(2 * RATE)).astype(np.float32)
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
SAID = voices.utterance(voices.voice(np.random.default_rng(0), 0), np.random.default_rng(1))
NOISE = noises.noise("pink", 6, 0)[: len(SAID)]
NOISY = (SAID + 0.02 * NOISE).astype(np.float32)


# ---------------------------------------------------------------- ratios


@pytest.mark.parametrize("share", [0.1, 0.5, 2.0])
def test_snr_and_segmental_snr_of_a_scaled_sound_are_minus_20_log_of_the_excess(share):
    louder = WHITE * (1 + share)
    assert measures.snr(WHITE, louder) == pytest.approx(-20 * math.log10(share), abs=1e-3)
    assert measures.segmental_snr(WHITE, louder) == pytest.approx(-20 * math.log10(share), abs=1e-3)


def test_segmental_snr_is_held_between_minus_10_and_35_db():
    assert measures.segmental_snr(WHITE, WHITE) == 35
    assert measures.segmental_snr(WHITE, 100 * WHITE) == -10
    half_silent = np.concatenate([np.zeros(RATE, np.float32), WHITE[:RATE]])
    noisy = half_silent + 0.5 * np.concatenate([WHITE[RATE:], np.zeros(RATE, np.float32)])
    assert measures.segmental_snr(half_silent, noisy) == pytest.approx((35 - 10) / 2, abs=0.5)


def test_si_sdr_is_torchmetrics_and_does_not_hear_loudness():
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as library

    theirs = float(library(torch.from_numpy(NOISY).double(), torch.from_numpy(SAID).double()))
    assert measures.si_sdr(SAID, NOISY) == pytest.approx(theirs, abs=1e-3)
    assert measures.si_sdr(SAID, 3 * NOISY) == pytest.approx(theirs, abs=1e-3)
    assert measures.si_sdr(SAID, SAID) == math.inf


def test_snr_is_torchmetrics():
    from torchmetrics.functional.audio import signal_noise_ratio as library

    theirs = float(library(torch.from_numpy(NOISY).double(), torch.from_numpy(SAID).double()))
    assert measures.snr(SAID, NOISY) == pytest.approx(theirs, abs=1e-3)


# ---------------------------------------------------------------- spectra


def test_log_spectral_distance_of_a_doubled_sound_is_6_02_db():
    assert measures.lsd(WHITE, 2 * WHITE) == pytest.approx(20 * math.log10(2), abs=0.01)
    assert measures.lsd(WHITE, WHITE) == 0


def test_levinson_and_durbin_solve_the_toeplitz_equations():
    lags = measures.autocorrelation(measures.framed(SAID), 16)[:40]
    a = measures.predictor(lags)
    for one, mine in zip(lags, a, strict=True):
        assert -mine[1:] == pytest.approx(solve_toeplitz(one[:-1], one[1:]), abs=1e-6)


@pytest.mark.parametrize("pole", [0.5, 0.8])
def test_llr_of_white_noise_for_a_first_order_process_is_minus_log_1_minus_pole_squared(pole):
    lags = pole ** np.arange(17.0)[None] / (1 - pole**2)  # of x[t] = pole x[t-1] + N(0, 1)
    own, white = measures.predictor(lags), np.eye(1, 17)
    assert own[0, :2] == pytest.approx([1, -pole]) and np.abs(own[0, 2:]).max() < 1e-12
    ratio = np.log(measures._error(white, lags) / measures._error(own, lags))
    assert ratio == pytest.approx(-math.log(1 - pole**2), rel=1e-9)


def test_llr_does_not_hear_loudness_and_is_0_for_the_same():
    assert measures.llr(SAID, SAID) == 0
    assert measures.llr(SAID, 0.5 * NOISY) == pytest.approx(measures.llr(SAID, NOISY), abs=1e-6)


def wss_in_loops(clean: np.ndarray, other: np.ndarray) -> float:
    """Loizou's definition, one frame, band and step at a time."""
    distances = []
    for one, two in zip(measures.framed(clean), measures.framed(other), strict=True):
        energies, weights = [], []
        for frame in (one, two):
            spectrum = np.abs(np.fft.fft(frame, 1024)[:512]) ** 2
            energy = []
            for centre, width in zip(measures._CENTRES, measures._WIDTHS, strict=True):
                f0, bw = math.floor(centre / 8000 * 512), width / 8000 * 512
                gain = [
                    math.exp(-11 * ((j - f0) / bw) ** 2 + math.log(70) - math.log(width)) for j in range(512)
                ]
                kept = sum(
                    g * s for g, s in zip(gain, spectrum, strict=True) if g > math.exp(-30 / (2 * 2.303))
                )
                energy.append(10 * math.log10(max(kept, 1e-10)))
            slope = [b - a for a, b in itertools.pairwise(energy)]
            weight = []
            for i in range(24):
                n = i
                if slope[i] > 0:
                    while n < 24 and slope[n] > 0:
                        n += 1
                    peak = energy[n - 1]
                else:
                    while n >= 0 and slope[n] <= 0:
                        n -= 1
                    peak = energy[n + 1]
                weight.append(20 / (20 + max(energy) - energy[i]) * 1 / (1 + peak - energy[i]))
            energies.append(slope), weights.append(weight)
        mean = [(a + b) / 2 for a, b in zip(*weights, strict=True)]
        total = sum(w * (a - b) ** 2 for w, a, b in zip(mean, *energies, strict=True))
        distances.append(total / sum(mean))
    distances.sort()
    kept = distances[: round(0.95 * len(distances))]
    return sum(kept) / len(kept)


def test_wss_is_its_definition():
    clean, noisy = SAID[5000:7600], NOISY[5000:7600]
    assert measures.wss(clean, noisy) == pytest.approx(wss_in_loops(clean, noisy), rel=1e-6)
    assert measures.wss(SAID, SAID) == 0


def test_the_trimmed_mean_leaves_out_the_worst_twentieth():
    assert measures._trimmed_mean(np.array([1.0] * 95 + [100.0] * 5)) == 1.0


# ---------------------------------------------------------------- predicted listeners


def test_pesq_and_stoi_are_the_packages():
    library, intelligibility = pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    assert measures.pesq(SAID, NOISY) == pytest.approx(library.pesq(RATE, SAID, NOISY, "wb"))
    assert measures.stoi(SAID, NOISY) == pytest.approx(intelligibility.stoi(SAID, NOISY, RATE))
    assert measures.pesq(SAID, SAID) == pytest.approx(4.644, abs=1e-3)
    assert measures.stoi(SAID, SAID) == pytest.approx(1, abs=1e-9)
    assert math.isnan(measures.pesq(np.zeros(RATE, np.float32), np.zeros(RATE, np.float32)))


def test_composites_are_hu_and_loizous_and_held_between_1_and_5():
    found = measures.composites(2.0, 0.5, 30.0, 5.0)
    assert found == pytest.approx(
        {
            "csig": 3.093 - 0.5145 + 1.206 - 0.27,
            "cbak": 1.634 + 0.956 - 0.21 + 0.315,
            "covl": 1.594 + 1.61 - 0.256 - 0.21,
        }
    )
    assert measures.composites(4.64, 0, 0, 35) == {"csig": 5, "cbak": 5, "covl": 5}
    assert measures.composites(1.0, 4, 200, -10) == {"csig": 1, "cbak": 1, "covl": 1}


def test_all_scores_are_best_for_the_clean_sound_itself():
    pytest.importorskip("pesq")
    perfect, noisy = measures.scores(SAID, SAID), measures.scores(SAID, NOISY)
    assert list(perfect) == list(measures.FIGURES)
    for name, meaning in measures.FIGURES.items():
        better = perfect[name] < noisy[name] if meaning.lower_is_better else perfect[name] > noisy[name]
        assert better, name


def test_a_choice_of_scores_takes_what_it_needs_and_no_more(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    assert list(measures.scores(SAID, NOISY, ["snr", "llr"])) == ["snr", "llr"]
    with pytest.raises(ConfigError, match=r"PESQ needs the pesq package .*pip install 'gan-zoo\[audio\]'"):
        measures.scores(SAID, NOISY, ["covl"])


def test_sounds_of_two_lengths_are_refused():
    with pytest.raises(ConfigError, match="of one length"):
        measures.scores(SAID, SAID[:-1])


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize("name", ["wiener", "spectral_subtraction"])
def test_a_filter_keeps_the_length_and_lessens_stationary_noise(name):
    noisy = SAID + 0.02 * WHITE.repeat(2)[: len(SAID)]
    cleaned = denoisers.DENOISERS[name](noisy)
    assert cleaned.shape == noisy.shape and np.isfinite(cleaned).all()
    assert measures.segmental_snr(SAID, cleaned) > measures.segmental_snr(SAID, noisy) + 1


def test_analysis_and_synthesis_give_the_sound_back():
    back = denoisers._synthesised(denoisers._analysed(SAID), len(SAID))
    assert back == pytest.approx(SAID, abs=1e-6)


@pytest.mark.parametrize("name", ["wiener", "spectral_subtraction"])
@pytest.mark.parametrize("sound", [np.zeros(3000, np.float32), TONE[:100]], ids=["silence", "short"])
def test_a_filter_takes_silence_and_short_sounds(name, sound):
    assert np.isfinite(denoisers.DENOISERS[name](sound)).all()
