"""gan_zoo.enhance: any length, rate and number of channels comes back as it was, but clean; nothing clicks."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_zoo import loading
from gan_zoo.config import compose, validate
from gan_zoo.enhance import (
    Settings,
    Stream,
    Windows,
    enhance,
    enhance_file,
    files,
    gain_of,
    main,
    settings_of,
)
from gan_zoo.schema import ConfigError, DataError

soundfile = pytest.importorskip("soundfile")
SMALL = ["data.resolution=1024", "model.generator.channels=[2,2,2,2,2]", "model.latent.size=2",
         "model.discriminator.channels=[2,2,2,2,2]", "model.discriminator.hidden=[2]"]  # fmt: skip
SETTINGS = Settings(1024, 0.95)


def identity(windows: np.ndarray, first: int) -> np.ndarray:
    return windows


def streamed(
    sound: np.ndarray, cuts: list[int], network: Any = identity, rate: int = 16_000, **options: Any
) -> np.ndarray:
    columns = sound[:, None] if sound.ndim == 1 else sound
    stream = Stream(
        network, SETTINGS, rate, columns.shape[1], options.get("overlap", "half"), 4, options.get("gain", 1.0)
    )
    made = [*(stream.push(block) for block in np.split(columns, cuts)), stream.finish()]
    return np.concatenate(made).reshape(sound.shape)


def noise(*shape: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("overlap", ["half", "none"])
@pytest.mark.parametrize("length", [1, 511, 512, 513, 1024, 5000, 20_000])
def test_a_network_that_changes_nothing_gives_the_sound_back(length, overlap):
    sound = noise(length)
    for cuts in ([], [1], [length // 3, length // 2], list(range(0, length, 700))):
        assert streamed(sound, cuts, overlap=overlap) == pytest.approx(sound, abs=2e-6)


def test_an_empty_sound_stays_empty():
    assert streamed(np.empty(0, np.float32), []).shape == (0,)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_any_rate_comes_back_with_its_length_and_in_time(rate):
    pytest.importorskip("soxr")
    at = np.arange(rate) / rate
    sound = np.stack([0.3 * np.sin(2 * np.pi * hertz * at) for hertz in (440, 1000)], axis=1).astype(
        np.float32
    )
    back = streamed(sound, [rate // 7, rate // 2], rate=rate)
    inner = slice(rate // 20, -rate // 20)
    assert back.shape == sound.shape and back[inner] == pytest.approx(sound[inner], abs=2e-3)


def test_what_is_given_does_not_depend_on_the_blocks():
    def odd(windows: np.ndarray, first: int) -> np.ndarray:
        return np.tanh(3 * windows) + 0.01 * (first + np.arange(len(windows)))[:, None]

    sound = noise(9000)
    whole = streamed(sound, [], odd)
    assert streamed(sound, [100, 101, 4000], odd) == pytest.approx(whole, abs=1e-6)


def test_windows_fade_into_each_other_without_a_step():
    """A network that gives each window another constant: side by side it steps, faded it does not."""

    def constant(windows: np.ndarray, first: int) -> np.ndarray:
        return np.broadcast_to(((first + np.arange(len(windows))) % 2)[:, None], windows.shape).astype(
            np.float32
        )

    settings = Settings(1024, 0.0)
    steps = {}
    for overlap in ("half", "none"):
        windows = Windows(constant, settings, overlap, 4)  # type: ignore[arg-type]
        made = np.concatenate([windows.push(np.zeros(8192, np.float32)), windows.finish()])
        assert len(made) == 8192
        steps[overlap] = np.abs(np.diff(made)).max()
    assert steps["none"] == 1 and steps["half"] < 0.004  # pi / 2 / 512


def test_the_fade_keeps_loudness():
    windows = Windows(identity, SETTINGS, "half", 4)
    assert windows.fade + windows.fade[::-1] == pytest.approx(np.ones(512), abs=1e-6)


@pytest.mark.parametrize(("level", "changed"), [(-26, False), (-34, False), (-60, True), (-3, True)])
def test_sound_at_an_unusual_level_goes_to_the_network_at_the_usual_one(level, changed):
    sound = noise(16_000)[:, None]
    sound *= 10 ** (level / 20) / np.sqrt(np.square(sound).mean())
    gain = gain_of([sound[:7000], sound[7000:]], 16_000)
    assert gain == pytest.approx(10 ** ((-26 - level) / 20) if changed else 1, rel=0.02)
    back = streamed(sound[:, 0], [], gain=gain)
    assert back == pytest.approx(sound[:, 0], rel=1e-3, abs=1e-4 * 10 ** (level / 20))


def test_silence_has_no_level():
    assert gain_of([np.zeros((5000, 2), np.float32)], 16_000) == 1 and gain_of([], 16_000) == 1


# ---------------------------------------------------------------- a model


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = validate(
        compose(["model=segan_plus", "model.pre_emphasis=0.95", "model.ema_half_life=null", *SMALL])
    )
    gan = loading.build(config)
    folder = tmp_path_factory.mktemp("model") / "export"
    loading.export(gan, folder, loading.described(config), "card")
    return folder


def test_from_python_the_shape_is_kept_and_the_result_a_function_of_the_seed(export):
    gan = loading.load(export)
    for shape in ((3000,), (3000, 2)):
        one, same, other = (enhance(gan, noise(*shape), seed=seed) for seed in (0, 0, 1))
        assert one.shape == shape and np.array_equal(one, same) and not np.array_equal(one, other)


def test_whole_utterances_are_emphasised_once_as_the_paper_does_it(export):
    """Side by side, without a level: de-emphasis of G's windows of the emphasised whole."""
    gan = loading.load(export)
    gan.latent = None
    gan.generator.forward = lambda noisy, z: 0.5 * noisy  # type: ignore[method-assign]
    sound = noise(2500)
    assert enhance(gan, sound, overlap="none", level="keep") == pytest.approx(0.5 * sound, abs=1e-6)


def test_files_and_folders_keep_rate_channels_and_depth(export, tmp_path):
    pytest.importorskip("soxr")
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    soundfile.write(source / "a.wav", noise(3000), 16_000, subtype="PCM_24")
    soundfile.write(source / "deep" / "b.flac", noise(9000, 2), 48_000)
    soundfile.write(source / "deep" / "short.wav", noise(5), 8000, subtype="FLOAT")
    made = main(run=str(export), input=str(source), output=str(tmp_path / "out"))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in made] == [
        "a.wav",
        "deep/b.flac",
        "deep/short.wav",
    ]
    for path in made:
        before, after = (
            soundfile.info(str(root / path.relative_to(tmp_path / "out")))
            for root in (source, tmp_path / "out")
        )
        for what in ("samplerate", "frames", "channels", "subtype"):
            assert getattr(before, what) == getattr(after, what), (path, what)
    assert not list((tmp_path / "out").rglob("*.part*"))


def test_one_file_equals_the_same_from_python(export, tmp_path):
    sound = noise(5000)
    soundfile.write(tmp_path / "in.wav", sound, 16_000, subtype="FLOAT")
    main(run=str(export), input=str(tmp_path / "in.wav"), output=str(tmp_path / "out.wav"))
    wanted = enhance(loading.load(export), sound)
    assert soundfile.read(tmp_path / "out.wav", dtype="float32")[0] == pytest.approx(wanted, abs=1e-6)


def test_a_longer_file_needs_no_more_memory(tmp_path):
    """What is held at any time: the network sees the same number of samples, and blocks are given as they come."""
    held = []

    def watching(windows: np.ndarray, first: int) -> np.ndarray:
        held.append(windows.nbytes)
        return windows

    for seconds in (30, 120):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, noise(seconds * 16_000), 16_000)
        enhance_file(watching, path, tmp_path / "out.wav", SETTINGS, batch=8)
        windows = Windows(identity, SETTINGS, "half", 8)
        most = max(
            len(windows.waiting) for _ in range(seconds // 10) if windows.push(noise(160_000)) is not None
        )
        assert most < 2 * 1024 and max(held) == 8 * 1024 * 4
    back, source = (soundfile.read(tmp_path / name)[0] for name in ("out.wav", "120.wav"))
    assert back == pytest.approx(source, abs=2 / 32768)


def test_ten_times_the_sound_costs_its_levels_alone(tmp_path):
    """What numpy allocates, traced: 8 bytes for each 20 ms, a few times over while the level is found, and no sound."""
    peaks = []
    for seconds in (30, 300):
        soundfile.write(tmp_path / "long.wav", noise(seconds * 16_000), 16_000)
        tracemalloc.start()
        enhance_file(identity, tmp_path / "long.wav", tmp_path / "out.wav", SETTINGS, batch=8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 5 * 8 * 270 * 50  # the sound itself would be 17 MB


# ---------------------------------------------------------------- what cannot be right


def test_bad_input_is_named(export, tmp_path):
    good = tmp_path / "good.wav"
    soundfile.write(good, noise(100), 16_000)
    with pytest.raises(DataError, match="no such file"):
        files(tmp_path / "none.wav", tmp_path / "out.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"text.wav: is no sound file"):
        files(tmp_path / "text.wav", tmp_path / "out.wav")
    with pytest.raises(ConfigError, match=r"would overwrite the input"):
        files(good, good)
    with pytest.raises(ConfigError, match=r"a file of .aif, .aiff, .flac"):
        files(good, tmp_path / "out.mp3")
    with pytest.raises(ConfigError, match=r"the input .* is a folder; give a folder"):
        files(tmp_path, tmp_path / "out.wav")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no sound files"):
        files(tmp_path / "empty", tmp_path / "out")
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match="no finite numbers"):
        main(run=str(export), input=str(tmp_path / "nan.wav"), output=str(tmp_path / "out.wav"))
    assert not list(tmp_path.glob("out*"))
    with pytest.raises(ConfigError, match=r"sound must be finite numbers"):
        enhance(loading.load(export), np.zeros((2, 2, 2), np.float32))


def test_a_file_that_cannot_be_read_keeps_none_of_the_others_back(export, tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.wav", "sub/c.wav"):
        soundfile.write(tmp_path / "in" / name, noise(2000), 16_000)
    (tmp_path / "in/bad.wav").write_text("no sound")
    soundfile.write(tmp_path / "in/empty.wav", noise(0), 16_000)
    with pytest.raises(DataError, match=r"2 of 4 files could not be read; the others are made:") as caught:
        main(run=str(export), input=str(tmp_path / "in"), output=str(tmp_path / "out"))
    assert "bad.wav: is no sound file" in str(caught.value) and "empty.wav: holds no sound" in str(
        caught.value
    )
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["a.wav", "sub/c.wav"]


def test_a_model_of_pictures_does_not_clean_sound():
    gan = loading.build(validate(compose(["model=vanilla"])))
    with pytest.raises(
        ConfigError, match=r"is a Vanilla.*, which does not clean sound; train one with model=segan_plus"
    ):
        settings_of(gan)
    assert torch.is_grad_enabled()
