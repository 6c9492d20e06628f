"""Synthesised speech and noise, mixtures, windows, and sound files of every kind."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_zoo.data import damage, noises, recordings, speech, voices
from gan_zoo.data.speech import Mixed, MixedSpeech, ParallelSpeech, Synthetic, Windows, window_counts
from gan_zoo.media.audio import RATE
from gan_zoo.schema import ConfigError, DataError

soundfile = pytest.importorskip("soundfile")

STREAM: dict[str, Any] = {"channels": 1, "classes": 0, "modality": "audio", "batch_size": 4}
WORLD: dict[str, Any] = {
    "speakers": 3, "utterances": 2, "test_utterances": 1, "snrs": [15.0, 0.0], "test_snrs": [17.5, 2.5], "noise_seconds": 4, "world": 0,
}  # fmt: skip


def world(**changes: Any) -> Synthetic:
    return Synthetic(**{"name": "speech", "resolution": 4096, **STREAM, **WORLD, **changes})


def measured_snr(clean: np.ndarray, noisy: np.ndarray) -> float:
    return float(10 * np.log10(np.square(clean).sum() / np.square(noisy - clean).sum()))


# ---------------------------------------------------------------- voices


def test_an_utterance_is_a_function_of_the_random_numbers_and_its_length_is_known_before():
    who = voices.voice(np.random.default_rng(1), 0)
    said = voices.utterance(who, np.random.default_rng(2))
    assert np.array_equal(said, voices.utterance(who, np.random.default_rng(2)))
    assert len(said) == voices.duration(who, np.random.default_rng(2))
    assert said.dtype == np.float32 and 2.0 < len(said) / RATE < 5.0 and np.abs(said).max() < 1


def test_pulses_of_200_hz_have_harmonics_at_multiples_of_200_hz_alone():
    pulses = voices._pulses(np.full(RATE, 200.0, np.float32))
    power = np.abs(np.fft.rfft(pulses.astype(np.float64))) ** 2  # 1 Hz a bin
    assert power[200:8001:200].sum() / power[1:].sum() == pytest.approx(1, abs=1e-3)


def test_a_formant_of_the_tract_is_where_it_was_asked_for():
    who = voices.Voice(100, 1, 0, 0, 1, 500, 1, 0, (1, 1, 1, 1))
    response = voices._tract(np.array([[700, 1200, 2500, 3500]], np.float32), who)[0]
    peak = np.argmax(np.abs(response[:32]))  # below 1 kHz
    assert abs(peak * RATE / 512 - 700) < RATE / 512


def test_speech_is_at_the_usual_level_and_pauses_are_not_digital_silence():
    who = voices.voice(np.random.default_rng(0), 1)
    said = voices.utterance(who, np.random.default_rng(0))
    frames = np.square(said[: len(said) // 320 * 320].reshape(-1, 320)).mean(1)
    active = 10 * np.log10(frames[frames > frames.max() * 1e-4].mean())
    assert abs(active - voices.LEVEL) < 4.5
    assert -73 < 10 * np.log10(frames.min()) < -67  # ROOM


# ---------------------------------------------------------------- noises


@pytest.mark.parametrize("kind", [*noises.TRAIN, *noises.TEST])
def test_a_noise_has_mean_0_and_power_1_and_is_a_function_of_its_seed(kind):
    one = noises.noise(kind, 3, 0)
    assert one.shape == (3 * RATE,) and np.isfinite(one).all()
    assert abs(one.mean()) < 1e-4 and np.square(one).mean() == pytest.approx(1, abs=1e-3)
    noises.noise.cache_clear()
    assert np.array_equal(one, noises.noise(kind, 3, 0)) and not np.array_equal(one, noises.noise(kind, 3, 1))


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -10.0), ("brown", -20.0)])
def test_coloured_noise_falls_by_0_10_and_20_db_a_decade(kind, slope):
    power = np.abs(np.fft.rfft(noises.noise(kind, 20, 0).astype(np.float64))) ** 2
    hertz = np.arange(len(power)) / 20
    bands = [(100, 200), (1000, 2000)]
    low, high = (power[(hertz >= a) & (hertz < b)].mean() for a, b in bands)
    assert 10 * np.log10(high / low) == pytest.approx(slope, abs=0.7)


def test_ten_noises_are_for_training_and_five_others_for_the_test():
    assert (len(noises.TRAIN), len(noises.TEST)) == (10, 5) and not noises.TRAIN.keys() & noises.TEST.keys()


# ---------------------------------------------------------------- mixtures and windows


def test_windows_are_counted_as_the_paper_cuts_them():
    lengths = np.array([16383, 16384, 24575, 24576, 100_000])
    assert window_counts(lengths, 16384, 8192, False).tolist() == [0, 1, 1, 2, (100_000 - 16384) // 8192 + 1]
    assert window_counts(lengths, 16384, 16384, True).tolist() == [1, 1, 2, 2, math.ceil(100_000 / 16384)]


def test_a_mixture_has_the_snr_that_was_asked_for():
    for pair in world().utterances():
        assert pair.snr is not None
        assert measured_snr(pair.clean, pair.noisy) == pytest.approx(pair.snr, abs=0.05), pair.name


def test_the_test_hears_every_unseen_noise_at_every_snr_by_two_unseen_speakers():
    pairs = list(world().utterances())
    assert {(pair.noise, pair.snr) for pair in pairs} == {
        (kind, snr) for kind in noises.TEST for snr in (17.5, 2.5)
    }
    assert {pair.name[:7] for pair in pairs} == {"test_00", "test_01"}
    heard = world().pairs("train")
    assert not any(np.array_equal(heard[0].clean, pair.clean) for pair in pairs)


def test_an_item_is_a_function_of_seed_epoch_and_index_whatever_it_is_batched_with():
    first, second = world().train_set(), world().train_set()
    keys = [(3, 0, 4096), (0, 0, 4096), (7, 1, 4096)]
    together, alone = first.__getitems__(keys), second.__getitems__(keys[2:])
    assert together["real"].shape == together["condition"].shape == (3, 1, 4096)
    assert together["real"].dtype == together["condition"].dtype == torch.int16
    for key in ("real", "condition"):
        assert torch.equal(together[key][2:], alone[key])
    again, other = (first.__getitems__([(3, epoch, 4096)]) for epoch in (0, 5))
    assert torch.equal(again["real"], other["real"])  # the same speech
    assert not torch.equal(again["condition"], other["condition"])  # in another noise
    reseeded = world(seed=1).train_set().__getitems__([(3, 0, 4096)])
    assert torch.equal(again["real"], reseeded["real"]) and not torch.equal(
        again["condition"], reseeded["condition"]
    )


def test_held_out_windows_side_by_side_make_up_the_utterance():
    data = world()
    pair = next(data.utterances())
    count = math.ceil(len(pair.clean) / 4096)
    batch = data.held_out_batch(count)
    joined = batch["condition"].reshape(-1)[: len(pair.noisy)].numpy() / 32768
    assert np.abs(joined - pair.noisy).max() <= 0.5 / 32768 + 1e-7
    assert not batch["condition"].reshape(-1)[len(pair.noisy) :].any()


def test_a_key_may_ask_for_another_length():
    assert world().train_set().__getitems__([(0, 0, 1000)])["real"].shape == (1, 1, 1000)


class Fixed:
    """Given sounds."""

    def __init__(self, *sounds: np.ndarray) -> None:
        self.sounds = sounds
        self.lengths = np.array([len(sound) for sound in sounds])
        self.names = [str(i) for i in range(len(sounds))]

    def read(self, index: int) -> np.ndarray:
        return self.sounds[index]


def test_silence_and_noise_shorter_than_speech_are_mixed_without_nan():
    tone = (8000 * np.sin(np.arange(5000) / 7)).astype(np.int16)
    short, silent = tone[:900], np.zeros(5000, np.int16)
    pairs = Mixed(Fixed(tone, silent), Fixed(short, silent), [0.0], seed=0)
    assert measured_snr(*pairs[0][1:3]) == pytest.approx(0, abs=0.05)
    for index in (0, 1):
        clean, noisy = pairs.cut(index, 0, 6000, np.random.default_rng(1))
        assert np.isfinite(noisy).all() and not clean[5000:].any()


def test_damage_is_what_its_name_says():
    random, sound = np.random.default_rng(0), np.sin(np.arange(RATE) / 5).astype(np.float32)
    clipped = damage.clipping(sound, random)
    assert 0.1 <= clipped.max() <= 0.4 and clipped.min() == -clipped.max()
    lost = damage.packet_loss(sound, random).reshape(-1, 320)
    gone = ~lost.any(1)
    assert 0 < gone.mean() < 0.4 and np.array_equal(lost[~gone], sound.reshape(-1, 320)[~gone])
    assert len(np.unique(damage.quantisation(sound, random))) <= 2**6 + 1
    gaps = damage.gaps(np.ones(10 * RATE, np.float32), random)
    assert 0 < (gaps == 0).mean() < 0.5


def test_damage_comes_on_top_of_the_noise_and_is_held_out_apart():
    whole, damaged = (world(damage={"packet_loss": share}).train_set() for share in (0.0, 1.0))
    key = [(2, 0, 4096)]
    a, b = whole.__getitems__(key)["condition"], damaged.__getitems__(key)["condition"]
    assert ((b == a) | (b == 0)).all() and not torch.equal(a, b)
    kinds = {pair.noise for pair in world().utterances("gaps")}
    assert kinds == {"gaps"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": 2}, "data.channels must be 1"),
        ({"modality": "image"}, "data.modality audio"),
        ({"damage": {"rust": 0.5}}, "no kind 'rust'; there are clipping"),
        ({"flip": True}, "data.flip=false"),
        ({"resolution": 10}, "at least 64"),
        ({"snrs": []}, "at least one SNR"),
        ({"root": "somewhere"}, "reads no files"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        world(**changes)


def test_windows_longer_than_all_speech_are_refused():
    with pytest.raises(DataError, match="shorter than a window of 200000 samples"):
        world(resolution=200_000).prepare()


# ---------------------------------------------------------------- files


def tone(seconds: float, rate: int, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    one = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(one[:, None], channels, axis=1)


def written(path: Path, sound: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype=subtype)
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_any_rate_and_depth_become_the_same_tone_at_16_khz(rate, subtype, tmp_path):
    if rate != RATE:
        pytest.importorskip("soxr")
    read = recordings.read(written(tmp_path / "a.wav", tone(0.5, rate), rate, subtype))
    wanted = tone(0.5, RATE)[:, 0] * 32768
    assert read.dtype == np.int16 and len(read) == 8000
    assert np.abs(read[400:-400] - wanted[400:-400]).max() < 40


def test_channels_are_averaged_and_floats_beyond_full_scale_clipped_with_a_word(tmp_path, caplog):
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    assert set(recordings.read(written(tmp_path / "two.flac", both))) == {round(0.125 * 32768)}
    with caplog.at_level(logging.WARNING):
        loud = recordings.read(written(tmp_path / "loud.wav", np.full(100, 1.5), subtype="FLOAT"))
        recordings.read(written(tmp_path / "silent.wav", np.zeros(100)))
        recordings.read(written(tmp_path / "clipped.wav", np.sign(tone(0.1, RATE))))
    assert set(loud) == {32767}
    for words in ("loud.wav: goes to 1.50 of full scale", "silent.wav: is silent", "clipped.wav: is clipped"):
        assert words in caplog.text


def broken(path: Path) -> None:
    whole = written(path, tone(0.2, RATE), subtype="PCM_16").read_bytes()
    path.write_bytes(whole[:20])


BAD = {
    "nothing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "text": (lambda path: path.write_text("I am no sound"), "no sound file that can be read"),
    "header": (broken, "no sound file that can be read|holds no sound"),
    "samples": (lambda path: written(path, np.zeros(0)), "holds no sound"),
    "numbers": (lambda path: written(path, np.full(50, np.nan), subtype="FLOAT"), "no finite numbers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named(kind, tmp_path):
    make, words = BAD[kind]
    path = tmp_path / f"{kind}.wav"
    make(path)
    with pytest.raises(DataError, match=words) as caught:
        recordings.read(path)
    assert path.name in str(caught.value)


def parallel(root: Path | None, **changes: Any) -> ParallelSpeech:
    settings = {
        "name": "parallel_speech",
        "resolution": 1024,
        **STREAM,
        "clean": "clean",
        "noisy": "noisy",
        "root": root and str(root),
    }
    return ParallelSpeech(**{**settings, **changes})


def voicebank(
    root: Path, names: list[str], parts: tuple[str, ...] = ("clean", "noisy"), seconds: float = 0.5
) -> Path:
    for part, shift in zip(parts, (0.0, 0.1), strict=True):
        for name in names:
            written(root / part / f"{name}.wav", tone(seconds, RATE)[:, 0] + shift, subtype="PCM_16")
    return root


def test_parallel_folders_are_paired_by_name_and_some_pairs_held_out(tmp_path):
    data = parallel(voicebank(tmp_path, [f"p{i}" for i in range(10)]), held_out=0.2)
    data.prepare()
    train, test = ([pair.name for pair in data.pairs(part)] for part in ("train", "test"))
    assert len(test) == 2 and sorted(train + test) == [f"p{i}" for i in range(10)]
    batch = data.train_set().__getitems__([(0, 0, 1024)])
    assert (batch["condition"] - batch["real"]).float().mean() == pytest.approx(0.1 * 32768, abs=2)


def test_voicebank_demand_is_read_in_its_own_layout_with_its_conditions(tmp_path):
    folders = "clean_trainset_28spk_wav", "noisy_trainset_28spk_wav", "clean_testset_wav", "noisy_testset_wav"
    voicebank(tmp_path, ["p226_001"], folders[:2])
    voicebank(tmp_path, ["p232_001", "p257_004"], folders[2:])
    (tmp_path / "log_testset.txt").write_text("p232_001 bus 2.5\np257_004 cafe 17.5\n")
    named = dict(zip(("clean", "noisy", "test_clean", "test_noisy"), folders, strict=True))
    data = parallel(tmp_path, name="voicebank_demand", conditions="log_testset.txt", **named)
    assert [(pair.name, pair.noise, pair.snr) for pair in data.utterances()] == [
        ("p232_001", "bus", 2.5),
        ("p257_004", "cafe", 17.5),
    ]
    (tmp_path / "log_testset.txt").write_text("p232_001 bus loud\n")
    with pytest.raises(DataError, match="line 1 is 'p232_001 bus loud'"):
        list(parallel(tmp_path, conditions="log_testset.txt", **named).utterances())


def test_partners_that_are_missing_or_of_another_length_or_rate_are_named(tmp_path):
    voicebank(tmp_path, ["a", "b"])
    (tmp_path / "noisy" / "b.wav").unlink()
    with pytest.raises(DataError, match="1 of the files have no partner of the same name, such as b"):
        parallel(tmp_path).prepare()
    written(tmp_path / "noisy" / "b.wav", tone(0.4, RATE))
    with pytest.raises(
        DataError, match=r"has 6400 samples at 16000 Hz, its clean partner b.wav 8000 at 16000 Hz"
    ):
        parallel(tmp_path).prepare()
    written(tmp_path / "noisy" / "b.wav", tone(1.0, 8000), 8000)
    with pytest.raises(DataError, match="8000 samples at 8000 Hz"):
        parallel(tmp_path).prepare()


def test_files_shorter_than_a_window_are_left_out_and_named(tmp_path, caplog):
    voicebank(tmp_path, ["a", "b", "c"])
    for part in ("clean", "noisy"):
        written(tmp_path / part / "a.wav", tone(0.01, RATE))
    with caplog.at_level(logging.WARNING):
        data = parallel(tmp_path, held_out=0.3)
        data.prepare()
    assert "1 utterances are shorter than a window and not trained on: a" in caplog.text
    assert set(data.train_set().utterance) == {1}


def test_two_workers_that_decode_one_file_at_once_do_not_trip_each_other(tmp_path, monkeypatch):
    """Forked workers are copies of one another, down to the ids of their objects."""
    written(tmp_path / "a.wav", tone(0.1, RATE))
    worker = recordings.Recordings([tmp_path / "a.wav"], tmp_path, tmp_path / "cache")
    wanted, save, inside, calls = recordings.read(tmp_path / "a.wav"), np.save, [], []

    def saved(file, array):
        save(file, array)
        calls.append(file)
        if len(calls) == 1:  # the other worker does it all between this one's write and its rename
            inside.append(worker._cached(worker.paths[0]))

    monkeypatch.setattr(recordings.np, "save", saved)
    assert np.array_equal(worker.read(0), wanted) and np.array_equal(inside[0], wanted)
    assert [path.suffixes for path in (tmp_path / "cache").iterdir()] == [[".npy"]]


def test_a_header_that_claims_far_more_than_the_file_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(RATE, np.float32), RATE)
    assert recordings.header(path).frames == RATE  # silence, 16,000 samples in some 130 bytes
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    for read in (recordings.header, recordings.read):
        with pytest.raises(DataError, match="says that it holds 68,719,476,735 samples in"):
            read(path)


def test_a_missing_folder_or_root_says_what_was_wanted(tmp_path):
    with pytest.raises(ConfigError, match="reads files: set data"):
        parallel(None).prepare()
    with pytest.raises(DataError, match="there is no such folder"):
        parallel(tmp_path / "none").prepare()
    (tmp_path / "clean").mkdir()
    with pytest.raises(DataError, match="holds no sound files"):
        parallel(tmp_path).prepare()
    with pytest.raises(ConfigError, match="belong together"):
        parallel(tmp_path, test_clean="a")


def test_clean_and_noise_folders_are_mixed_anew_each_epoch_and_exactly_again(tmp_path):
    for i in range(4):
        written(tmp_path / "clean" / f"c{i}.wav", 0.2 * tone(0.5, RATE, 300 + 50 * i))
        written(tmp_path / "noise" / f"n{i}.wav", 0.1 * np.random.default_rng(i).standard_normal(RATE))
    made = [
        MixedSpeech(
            name="mixed_speech", resolution=1024, **STREAM, clean="clean", noise="noise", snrs=[5.0], test_snrs=[0.0],
            held_out=0.25, root=str(tmp_path), cache=str(tmp_path / "cache") if k else None,
        )
        for k in range(2)
    ]  # fmt: skip
    one, cached = (
        [data.train_set().__getitems__([(2, epoch, 1024)])["condition"] for epoch in (0, 1)] for data in made
    )
    assert (
        torch.equal(one[0], cached[0]) and torch.equal(one[1], cached[1]) and not torch.equal(one[0], one[1])
    )
    assert len(list((tmp_path / "cache").glob("*.npy"))) > 0
    pair = next(made[0].utterances())
    assert measured_snr(pair.clean, pair.noisy) == pytest.approx(0, abs=0.05)
    heard = {name for data in made[:1] for name in data.pairs("train").noise.names}  # type: ignore[attr-defined]
    assert pair.noise not in heard


def test_one_noise_file_cannot_be_trained_and_tested_on(tmp_path):
    for i in range(3):
        written(tmp_path / "clean" / f"c{i}.wav", 0.2 * tone(0.5, RATE, 300 + 50 * i))
    written(tmp_path / "noise" / "cafe.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE))

    def mixed(**changes):
        return MixedSpeech(
            name="mixed_speech", resolution=1024, **STREAM, clean="clean", noise="noise", snrs=[5.0], test_snrs=[0.0],
            root=str(tmp_path), **changes,
        )  # fmt: skip

    with pytest.raises(DataError, match=r"noise: holds one file; .* cut a long recording in pieces"):
        mixed().prepare()
    written(tmp_path / "noise" / "bus.wav", 0.1 * np.random.default_rng(1).standard_normal(RATE))
    mixed().prepare()
    with pytest.raises(ConfigError, match=r"data\.held_out=0 keeps no file to test on"):
        mixed(held_out=0.0).prepare()


def test_linked_folders_of_sound_are_heard_and_loops_end(tmp_path):
    for name in (
        "clean/a.wav",
        "clean/sub/b.wav",
        "elsewhere/c.wav",
        "elsewhere/.hidden.wav",
        "clean/.cache/d.wav",
    ):
        written(tmp_path / name, 0.2 * tone(0.1, RATE, 300))
    (tmp_path / "clean/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "clean/sub/loop").symlink_to(tmp_path / "clean", target_is_directory=True)
    found = [str(path.relative_to(tmp_path / "clean")) for path in recordings.listed(tmp_path / "clean")]
    assert found == ["a.wav", "more/c.wav", "sub/b.wav"]


def test_without_the_library_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(ConfigError, match=r"pip install 'gan-zoo\[audio\]'"):
        recordings.read(tmp_path / "a.wav")


def test_a_batch_of_no_keys_is_empty():
    assert Windows(world().pairs("train"), 4096, 2048).__getitems__([])["real"].shape == (0, 1, 4096)
    assert speech.evenly(10, 0.2)[1].tolist() == [2, 7]
