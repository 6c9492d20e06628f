"""Sound to be heard and seen: wav files and spectrograms, one above the other."""

from __future__ import annotations

import io
import wave
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gan_zoo.media.pictures import Picture, of_figure, png
from gan_zoo.schema import ConfigError

RATE = 16_000  # Hz, of all sound within gan_zoo
FLOOR, CEILING = -95.0, -25.0  # dB of a spectrogram's colours against full scale
Sound = NDArray[np.float32]  # [T], full scale is 1


class Heard(NamedTuple):
    """What is played, and the rows of the picture by name."""

    sound: Sound
    rows: dict[str, Sound]


def joined(windows: Tensor) -> Sound:
    """[N, 1, T] (int16, or float in [-1, 1]) -> float32 [N T], one window after the other."""
    if windows.dim() != 3 or windows.shape[1] != 1:
        raise ConfigError(
            f"sound must be [N, 1, T], got {list(windows.shape)}; choose data whose modality fits"
        )
    values = windows.detach().cpu()
    floats = values.float() if values.is_floating_point() else values.float() / 32768
    return floats.nan_to_num(0.0).clamp(-1, 1).reshape(-1).numpy()


def heard(samples: Tensor, real: Tensor | None, inputs: dict[str, Tensor] | None) -> Heard:
    """Enhanced windows under the clean and the noisy ones they belong to; the clean ones alone over the noisy."""
    sound = joined(samples)
    noisy = {"noisy": joined(inputs["condition"][: len(samples)])} if inputs and "condition" in inputs else {}
    if real is None:
        return Heard(sound, {"clean" if noisy else "sound": sound, **noisy})
    return Heard(sound, {"clean": joined(real), **noisy, "enhanced": sound})


def wav(sound: Sound) -> bytes:
    """16-bit PCM, one channel, 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def spectrum(sound: Sound, window: int = 512, hop: int = 128) -> Sound:
    """Power in dB against a full-scale sine, [bins, frames]; Hann window of 32 ms."""
    padded = np.pad(sound, (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = np.hanning(window + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * shape)) ** 2 / (shape.sum() / 2) ** 2
    return (10 * np.log10(power.T + 1e-12)).astype(np.float32)


def spectrograms(rows: dict[str, Sound]) -> Picture:
    """uint8 [H, W, 3]: the rows one above the other, on one scale of time, pitch and colour."""
    figure = Figure(figsize=(11, 0.6 + 1.9 * len(rows)), dpi=100)
    panels = np.atleast_1d(figure.subplots(len(rows), 1, sharex=True, sharey=True))
    for axes, (name, sound) in zip(panels, rows.items(), strict=True):
        extent = (0.0, len(sound) / RATE, 0.0, RATE / 2000)
        axes.imshow(
            spectrum(sound),
            origin="lower",
            aspect="auto",
            extent=extent,
            vmin=FLOOR,
            vmax=CEILING,
            cmap="magma",
        )
        axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
        axes.set_ylabel("kHz", fontsize=8)
        axes.tick_params(labelsize=8, color="0.6", labelcolor="0.3")
        axes.spines[:].set_visible(False)
    panels[-1].set_xlabel("seconds", fontsize=8)
    figure.tight_layout(pad=0.6)
    return of_figure(figure)


def beside(content: Heard) -> dict[str, bytes]:
    """Files beside the wav: its spectrograms; of real ones also what was heard of them."""
    noisy = {"_noisy.wav": wav(content.rows["noisy"])} if list(content.rows) == ["clean", "noisy"] else {}
    return {".png": png(spectrograms(content.rows)), **noisy}
