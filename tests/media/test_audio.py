"""Sound as files and pictures: which sample, which row, which colour."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import media
from gan_zoo.media import audio
from gan_zoo.schema import ConfigError

TONE = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)


def windows(sound: np.ndarray, length: int = 4000) -> torch.Tensor:
    return torch.from_numpy(sound.reshape(-1, 1, length))


def wire() -> dict[str, Any]:
    return {"condition": (windows(TONE) * 16_384).round().to(torch.int16)}


def test_a_wav_file_holds_the_sound_at_16_khz_in_16_bits() -> None:
    with wave.open(io.BytesIO(audio.wav(TONE))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert values / 32767 == pytest.approx(TONE, abs=1 / 32767)


def test_windows_are_played_one_after_the_other_and_wild_values_never_end_a_run() -> None:
    assert np.array_equal(audio.joined(windows(TONE)), TONE)
    wild = torch.tensor([[[float("nan"), 5.0, -5.0]]])
    assert audio.joined(wild).tolist() == [0, 1, -1]
    with pytest.raises(ConfigError, match=r"sound must be \[N, 1, T\], got \[4, 4000\]"):
        audio.joined(windows(TONE)[:, 0])


def test_a_tone_of_amplitude_a_stands_at_20_log_a_db_in_its_bin() -> None:
    power = audio.spectrum(TONE)
    assert power.shape == (257, (16_000 - 512) // 128 + 1)
    assert (power.argmax(0) == 32).all()  # 1000 Hz of 31.25 Hz a bin
    assert power.max() == pytest.approx(20 * np.log10(0.5), abs=0.1)


def test_enhanced_windows_stand_under_the_clean_and_the_noisy_ones() -> None:
    content = audio.heard(windows(TONE), windows(0.5 * TONE), wire())
    assert list(content.rows) == ["clean", "noisy", "enhanced"]
    assert np.array_equal(content.sound, TONE) and np.array_equal(content.rows["clean"], 0.5 * TONE)
    assert content.rows["noisy"] == pytest.approx(0.5 * TONE, abs=1e-4)
    assert list(audio.heard(windows(TONE), None, wire()).rows) == ["clean", "noisy"]
    assert list(audio.heard(windows(TONE), None, None).rows) == ["sound"]


def test_saved_sound_has_its_spectrograms_beside_it(tmp_path: Path) -> None:
    path = media.save(tmp_path / "0000000064", windows(TONE), "audio", real=windows(TONE), inputs=wire())
    assert path.name == "0000000064.wav"
    media.save(tmp_path / "real", windows(TONE), "audio", inputs=wire())
    names = {found.name for found in tmp_path.iterdir()}
    assert names == {"0000000064.wav", "0000000064.png", "real.wav", "real.png", "real_noisy.wav"}
    with Image.open(tmp_path / "0000000064.png") as three, Image.open(tmp_path / "real.png") as two:
        assert three.width == two.width and three.height > two.height


def test_the_tone_is_the_brightest_line_of_its_spectrogram() -> None:
    bright = audio.spectrograms({"a": TONE})[:, 200:900].astype(int).sum(2).mean(1)
    dark = np.flatnonzero(bright < 100)  # within the axes, above and below the line
    (line,) = np.flatnonzero(np.diff(dark) > 1)[-1:]
    assert (dark[line] - dark[0]) / (dark[-1] - dark[0]) == pytest.approx(
        7 / 8, abs=0.02
    )  # 1 of 8 kHz from below
