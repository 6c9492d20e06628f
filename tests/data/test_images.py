"""Picture data sets: layouts, splits, labels and pixels, and batches as pure functions of their keys."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_zoo.config import conf_dir
from gan_zoo.data import images, pyramid
from gan_zoo.data.image_data import ImageData, none_held_out, spread
from gan_zoo.data.pyramid import (
    MemoryPictures,
    Pictures,
    draws,
    enlarge,
    halvings,
    pad,
    shrink,
    with_channels,
)
from gan_zoo.data.stream import EndlessBatchSampler, Order
from gan_zoo.schema import ConfigError, DataError
from tests.data.configured import made
from tests.data.noise import noise

NAMES = ["digits", "stacked_digits", "mnist", "fashion_mnist", "cifar10", "celeba", "anime_faces", "folder"]


def batch(data: Any, indices: Any, resolution: int, epoch: int = 0) -> dict[str, torch.Tensor]:
    return data.__getitems__([(int(index), epoch, resolution) for index in indices])


@pytest.mark.parametrize("name", NAMES)
def test_every_config_opens_with_one_line_and_names_every_value(name: str) -> None:
    first = (conf_dir() / "data" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ") and 30 < len(first) <= 110
    data = made(name)
    assert isinstance(data, ImageData) and data.name == name and data.modality == "image"


# ---------------------------------------------------------------- changing the side


@settings(max_examples=60, deadline=None)
@given(side=st.integers(1, 40), data=st.data())
def test_shrinking_is_the_mean_of_the_area_with_halves_rounded_up(side: int, data: st.DataObject) -> None:
    new = data.draw(st.integers(1, side))
    pictures = noise(2, 3, side, side, seed=side)
    fine = (
        pictures.astype(np.int64).repeat(new, 2).repeat(new, 3)
    )  # each new pixel is now side x side whole ones
    sums = fine.reshape(2, 3, new, side, new, side).sum((3, 5))
    expected = (2 * sums + side**2) // (2 * side**2)
    np.testing.assert_array_equal(shrink(torch.from_numpy(pictures), new).numpy(), expected)


@pytest.mark.parametrize(
    ("side", "sides"), [(64, [64, 32, 16, 8, 4]), (28, [28, 14, 7]), (6, [6, 3]), (5, [5]), (4, [4])]
)
def test_halvings_equal_shrinking_from_the_first_and_end_at_four_or_odd(side: int, sides: list[int]) -> None:
    first = torch.from_numpy(noise(3, 1, side, side))
    levels = list(halvings(first))
    assert [level.shape[-1] for level in levels] == sides
    for level in levels:
        assert torch.equal(level, shrink(first, level.shape[-1]))


def test_a_larger_side_than_there_is_is_refused() -> None:
    with pytest.raises(ConfigError, match="8 px were asked for at 16"):
        shrink(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 16)


def test_enlarging_is_pillows_bicubic_to_one_grey_level() -> None:
    picture = noise(8, 8) // 2 + 64  # Pillow clips between its two passes, which shows where contrast is high
    ours = enlarge(torch.from_numpy(picture)[None, None], 32)[0, 0].int().numpy()
    theirs = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


def test_padding_changes_no_pixel() -> None:
    picture = torch.from_numpy(noise(2, 1, 28, 28))
    for side, before in ((32, 2), (33, 2), (28, 0)):
        padded = pad(picture, side)
        assert torch.equal(padded[:, :, before : before + 28, before : before + 28], picture)
        assert padded.shape[-1] == side and padded.sum() == picture.sum()
    assert torch.equal(pad(picture, 14), shrink(picture, 14))


def test_channels_are_converted_as_pillow_does() -> None:
    colour = noise(2, 3, 16, 16)
    grey = with_channels(torch.from_numpy(colour), 1)
    for ours, picture in zip(grey, colour, strict=True):
        np.testing.assert_array_equal(
            ours[0].numpy(), np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))
        )
    four = with_channels(grey, 4)
    assert torch.equal(four[:, :3], grey.expand(-1, 3, -1, -1)) and (four[:, 3] == 255).all()
    assert torch.equal(with_channels(torch.from_numpy(colour), 3), torch.from_numpy(colour))


def test_a_level_too_large_to_keep_is_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    native = torch.from_numpy(noise(50, 1, 28, 28))
    rows = np.array([3, 49, 3])
    kept = {side: MemoryPictures(native, 32).take(rows, side) for side in (32, 20, 8)}
    monkeypatch.setattr(pyramid, "RESIDENT_BYTES", 0)
    for side, expected in kept.items():
        assert torch.equal(MemoryPictures(native, 32).take(rows, side), expected)


# ---------------------------------------------------------------- batches


def test_words_of_different_keys_are_uniform_and_independent() -> None:
    index = np.arange(20_000)
    words = {
        key: draws(key[0], np.full_like(index, key[1]), index, key[2])
        for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    for word in words.values():
        assert abs((word / 2**64).mean() - 0.5) < 0.01
        assert len(np.unique(word)) == len(word)
    first, *others = words.values()
    for other in others:
        assert abs(np.mean((first >> 63) == (other >> 63)) - 0.5) < 0.02
    assert (words[0, 0, 0] == draws(0, np.zeros_like(index), index, 0)).all()


def test_one_word_is_splitmix64() -> None:
    """From state 0 splitmix64 first gives e220a8397b1dcdaf."""
    mask = 2**64 - 1

    def mix(state: int) -> int:
        z = (state + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    assert mix(0) == 0xE220A8397B1DCDAF
    word = draws(7, np.array([3]), np.array([11]), stream=2)
    assert int(word[0]) == mix(mix(mix(7 ^ 3) ^ 11) ^ 2)


def test_a_flip_depends_on_seed_epoch_and_index_and_on_nothing_else() -> None:
    pictures = torch.from_numpy(noise(400, 1, 8, 8))
    rows = np.arange(400)
    plain = Pictures(MemoryPictures(pictures, 8), rows)
    flipped = Pictures(MemoryPictures(pictures, 8), rows, flip=True, seed=5)

    def turned(data: Pictures, indices: Any, epoch: int) -> np.ndarray:
        ours, original = batch(data, indices, 8, epoch)["real"], pictures[list(indices)]
        same = (ours == original).flatten(1).all(1)
        mirrored = (ours == original.flip(-1)).flatten(1).all(1)
        assert (same ^ mirrored).all()
        return mirrored.numpy()

    everything = turned(flipped, range(400), epoch=2)
    assert 150 < everything.sum() < 250 and not turned(plain, range(400), epoch=2).any()
    order = np.random.default_rng(1).permutation(400)
    assert (turned(flipped, order, epoch=2) == everything[order]).all()  # not on the batch
    assert 150 < (turned(flipped, range(400), epoch=3) == everything).sum() < 250
    other = Pictures(MemoryPictures(pictures, 8), rows, flip=True, seed=6)
    assert 150 < (turned(other, range(400), epoch=2) == everything).sum() < 250


def test_a_flip_is_the_same_at_every_resolution() -> None:
    data = Pictures(MemoryPictures(torch.from_numpy(noise(64, 3, 16, 16)), 16), np.arange(64), flip=True)
    large = batch(data, range(64), 16)["real"]
    assert torch.equal(batch(data, range(64), 4)["real"], shrink(large, 4))


def test_a_batch_is_a_copy() -> None:
    data = made("digits", resolution=16).train_set()
    batch(data, range(4), 16)["real"].zero_()
    assert batch(data, range(4), 16)["real"].any()


def test_a_batch_of_two_resolutions_is_refused() -> None:
    data = made("digits").train_set()
    with pytest.raises(ConfigError, match=r"one resolution, got \[16, 32\]"):
        data.__getitems__([(0, 0, 16), (1, 0, 32)])


def test_an_epoch_is_a_permutation_through_the_loader_with_and_without_workers() -> None:
    seen = {}
    for workers in (0, 2):
        data = made("digits", resolution=8, classes=0, batch_size=60, workers=workers)
        numbers = torch.arange(1500, dtype=torch.uint8)  # not unique: the picture is, beside its row
        store = MemoryPictures(
            torch.stack([numbers, torch.arange(1500).div(256, rounding_mode="floor").byte()], 1)[
                :, :, None, None
            ]
            .expand(-1, -1, 4, 4)
            .contiguous(),
            4,
        )
        data._loaded = images.Loaded(store, np.arange(1500), np.arange(0), None)
        data.begin(0, lambda position: (60, 4))
        loader = iter(data.train_dataloader())
        found = torch.cat([next(loader)["real"][:, :, 0, 0].long() for _ in range(50)])
        seen[workers] = found[:, 0] + 256 * found[:, 1]
        del loader
    assert torch.equal(seen[0], seen[2])
    for epoch in seen[0].split(1500):
        assert torch.equal(epoch.sort().values, torch.arange(1500))
    assert not torch.equal(*seen[0].split(1500))


# ---------------------------------------------------------------- splits


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=200), share=st.floats(0, 1))
def test_a_split_is_stratified_and_has_the_size_asked_for(labels: list[int], share: float) -> None:
    classes, count = np.array(labels), int(share * len(labels))
    held_out = spread(classes, count)
    assert len(held_out) == len(set(held_out.tolist())) == count
    assert (np.diff(held_out) > 0).all()
    for label in range(5):
        exact = count * (classes == label).mean() if len(classes) else 0
        assert abs((classes[held_out] == label).sum() - exact) < 1


def test_a_split_is_spread_evenly() -> None:
    np.testing.assert_array_equal(spread(np.zeros(10, np.int64), 2), [2, 7])
    np.testing.assert_array_equal(spread(np.array([0, 1] * 5), 2), [4, 5])


# ---------------------------------------------------------------- digits


def test_digits_are_1500_to_train_with_and_297_held_out_in_proportion() -> None:
    data = made("digits")
    data.prepare()
    train, held_out = data.train_set(), data.held_out_set()
    assert (len(train), len(held_out)) == (1500, 297)
    assert not np.intersect1d(data.loaded.train, data.loaded.held_out).size
    sizes = torch.bincount(batch(held_out, range(297), 32)["condition"])
    assert sizes.tolist() == [29, 30, 29, 30, 30, 30, 30, 30, 29, 30]
    assert torch.equal(batch(train, range(1500), 32)["condition"], data.conditions())


def test_the_split_of_the_digits_never_changes() -> None:
    """Recorded figures: a published result names this split."""
    held_out = made("digits").loaded.held_out
    assert hashlib.sha256(held_out.astype("<i8").tobytes()).hexdigest()[:16] == "a2d73051c5e209f1"


def test_without_a_margin_at_their_own_side_digits_are_the_file() -> None:
    from sklearn.datasets import load_digits

    data = made("digits", resolution=8)
    ours = batch(data.train_set(), range(1500), 8)
    bunch = load_digits()
    np.testing.assert_array_equal(
        ours["real"][:, 0].numpy(), np.round(bunch.images[data.loaded.train] * 255 / 16)
    )
    np.testing.assert_array_equal(ours["condition"].numpy(), bunch.target[data.loaded.train])


def test_enlarged_digits_are_still_told_apart_by_their_nearest_neighbour() -> None:
    """1-nearest-neighbour on these 8x8 digits is known to be right for 97 to 99 of 100."""
    data = made("digits", resolution=32)
    train, test = batch(data.train_set(), range(1500), 32), batch(data.held_out_set(), range(297), 32)
    distances = torch.cdist(test["real"].flatten(1).float(), train["real"].flatten(1).float())
    right = train["condition"][distances.argmin(1)] == test["condition"]
    assert right.float().mean() > 0.96


def test_a_margin_keeps_ink_off_the_frame() -> None:
    framed = batch(made("digits").train_set(), range(1500), 32)["real"].float()
    bare = batch(made("digits", margin=0).train_set(), range(1500), 32)["real"].float()
    edge = [0, -1]
    assert framed[:, :, edge].mean() < 5 < 60 < bare[:, :, edge].mean()


@pytest.mark.parametrize("resolution", [8, 9, 10, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_digits_come_at_any_side_and_channels(resolution: int, channels: int) -> None:
    data = made("digits", resolution=resolution, channels=channels)
    for side in (resolution, 7, 4):
        real = batch(data.train_set(), [0, 5], side)["real"]
        assert real.shape == (2, channels, side, side) and real.dtype == torch.uint8


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("digits", {"resolution": 7}, "at least 8, got 7"),
        ("digits", {"classes": 12}, "has 10 classes, data.classes is 12"),
        ("digits", {"channels": 2}, "channels must be 1"),
        ("digits", {"modality": "audio"}, "modality must be image"),
        ("digits", {"margin": -1}, "margin"),
        ("digits", {"download": True}, "cannot be downloaded"),
        ("stacked_digits", {"channels": 1}, "must be 3"),
        ("stacked_digits", {"classes": 10}, "1000"),
        ("stacked_digits", {"items": 0}, "at least 1"),
        ("mnist", {"fit": "crop"}, "resize or pad, got 'crop'"),
        ("mnist", {}, r"set data.root=FOLDER. Expected data.root/MNIST/raw/"),
        ("mnist", {"download": True}, "needs data.root"),
        ("celeba", {"root": ".", "download": True}, "cannot be downloaded.*list_eval_partition"),
        ("celeba", {"resolution": 256}, "larger than data.crop 128"),
        ("celeba", {"crop": 180}, "at most 178"),
        ("celeba", {"classes": 2}, "no classes"),
        ("celeba", {"train_on": "test"}, "train or all"),
        ("folder", {"resample": "nearest"}, "box, bicubic or lanczos"),
        ("folder", {"on_error": "ignore"}, "raise or skip"),
        ("folder", {"held_out": 1.0}, "from 0 to below 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(name, **overrides).prepare()


def test_labels_can_be_left_out() -> None:
    data = made("digits", classes=0)
    assert set(batch(data.train_set(), [0], 32)) == {"real"} and data.conditions() is None


def test_classes_can_be_weighted() -> None:
    data = made("digits", class_weights=[0.0] * 9 + [1.0])
    weights = data._item_weights()
    picked = [index for index, _ in Order(1500, 0, weights).keys(0, 300)]
    assert (batch(data.train_set(), picked, 32)["condition"] == 9).all()


# ---------------------------------------------------------------- stacked digits


def test_stacked_digits_are_three_digits_and_the_number_they_spell() -> None:
    data = made("stacked_digits", resolution=16)
    digits = made("digits", resolution=16)
    known = batch(digits.train_set(), range(1500), 16)
    stacks = batch(data.train_set(), range(200), 16)
    for real, number in zip(stacks["real"], stacks["condition"].tolist(), strict=True):
        for picture, digit in zip(real, f"{number:03d}", strict=True):
            same = (known["real"][:, 0] == picture).flatten(1).all(1).nonzero()[:, 0]
            assert int(digit) in known["condition"][same].tolist()


def test_every_picture_of_a_digit_is_stacked() -> None:
    real = batch(made("stacked_digits", resolution=16).train_set(), range(8000), 16)["real"]
    shown = {picture.numpy().tobytes() for picture in real.reshape(-1, 16, 16)}
    assert 1480 <= len(shown) <= 1500  # 16 draws of each are expected


def test_held_out_stacks_hold_no_training_picture() -> None:
    data = made("stacked_digits", resolution=16)
    train = {
        bytes(p.numpy().tobytes())
        for p in batch(made("digits", resolution=16).train_set(), range(1500), 16)["real"]
    }
    held_out = data.held_out_set()
    assert len(held_out) == 26_000
    stacks = batch(held_out, range(500), 16)["real"].reshape(-1, 16, 16)
    assert not train & {bytes(p.numpy().tobytes()) for p in stacks}


def test_stacks_are_a_function_of_seed_index_and_epoch_alone() -> None:
    data = made("stacked_digits").train_set()
    whole = batch(data, range(64), 32, epoch=4)
    backwards = batch(data, range(63, -1, -1), 32, epoch=4)
    assert torch.equal(whole["real"], backwards["real"].flip(0))
    assert torch.equal(whole["condition"], backwards["condition"].flip(0))
    for other in (
        batch(data, range(64), 32, epoch=5),
        batch(made("stacked_digits", seed=1).train_set(), range(64), 32, 4),
    ):
        assert (other["condition"] == whole["condition"]).sum() < 5


def test_all_thousand_modes_are_equally_likely() -> None:
    data = made("stacked_digits", resolution=8).train_set()
    numbers = torch.cat([batch(data, range(at, at + 5000), 4)["condition"] for at in range(0, 100_000, 5000)])
    counts = torch.bincount(numbers, minlength=1000).double()
    assert len(counts) == 1000
    chi_squared = ((counts - 100) ** 2 / 100).sum()  # mean 999, standard deviation 44.7
    assert 999 - 5 * 44.7 < chi_squared < 999 + 5 * 44.7


def test_stacks_have_no_fixed_class_to_weight() -> None:
    with pytest.raises(ConfigError, match="class_weights"):
        made("stacked_digits", class_weights=[1.0] * 1000)._item_weights()


# ---------------------------------------------------------------- MNIST and Fashion-MNIST


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_mnist(raw: Path, suffix: str = ".gz", counts: tuple[int, int] = (40, 20)) -> dict[str, np.ndarray]:
    """Files as LeCun's page has them, of noise; what is in them by name."""
    raw.mkdir(parents=True)
    files = {}
    for seed, (part, count) in enumerate(zip(("train", "t10k"), counts, strict=True)):
        files[f"{part}-images-idx3-ubyte"] = noise(count, 28, 28, seed=seed)
        files[f"{part}-labels-idx1-ubyte"] = np.arange(count, dtype=np.uint8) % 10
    for name, values in files.items():
        content = idx(values)
        (raw / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return files


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_is_read_in_its_own_layout(name: str, suffix: str, tmp_path: Path) -> None:
    files = write_mnist(tmp_path / type(made(name)).__name__ / "raw", suffix)
    data = made(name, root=str(tmp_path))
    data.prepare()
    for part, count, found in (("train", 40, data.train_set()), ("t10k", 20, data.held_out_set())):
        ours = batch(found, range(count), 28)
        np.testing.assert_array_equal(ours["real"][:, 0].numpy(), files[f"{part}-images-idx3-ubyte"])
        np.testing.assert_array_equal(ours["condition"].numpy(), files[f"{part}-labels-idx1-ubyte"])
        assert ours["condition"].dtype == torch.int64


def test_mnist_equals_torchvisions_reading(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", suffix="")
    theirs = torchvision.datasets.MNIST(tmp_path, train=True)
    ours = batch(made("mnist", root=str(tmp_path)).train_set(), range(40), 28)
    assert torch.equal(ours["real"][:, 0], theirs.data) and torch.equal(ours["condition"], theirs.targets)


def test_mnist_fits_another_side_by_resizing_or_padding(tmp_path: Path) -> None:
    files = write_mnist(tmp_path / "MNIST" / "raw")
    original = torch.from_numpy(files["train-images-idx3-ubyte"])[:, None]
    for fit, expected in (("resize", enlarge(original, 32)), ("pad", pad(original, 32))):
        data = made("mnist", root=str(tmp_path), resolution=32, fit=fit)
        assert torch.equal(batch(data.train_set(), range(40), 32)["real"], expected)
        assert torch.equal(batch(data.train_set(), range(40), 16)["real"], shrink(expected, 16))
    colour = made("mnist", root=str(tmp_path), channels=3).train_set()
    assert torch.equal(batch(colour, range(40), 28)["real"], original.expand(-1, 3, -1, -1))


def damage(raw: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (raw / name).write_bytes(change((raw / name).read_bytes()))


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
BAD_MNIST = {
    "missing": (
        LABELS,
        None,
        "train-labels-idx1-ubyte: there is no such file. Expected data.root/MNIST/raw/.*download=true",
    ),
    "empty": (IMAGES, lambda content: b"", "begins with b''"),
    "truncated": (IMAGES, lambda content: content[:-100], "cannot be read"),
    "text": (IMAGES, lambda content: b"<html>", "cannot be read"),
    "flipped": (
        IMAGES,
        lambda content: content[:500] + bytes([content[500] ^ 255]) + content[501:],
        "cannot be read",
    ),
    "short": (IMAGES, lambda content: gzip.compress(gzip.decompress(content)[:-1]), "its header says"),
    "long": (IMAGES, lambda content: gzip.compress(gzip.decompress(content) + b"0"), "its header says"),
    "labels": (IMAGES, lambda content: gzip.compress(idx(np.zeros(40, np.uint8))), "no IDX file of 3-dim"),
    "header": (IMAGES, lambda content: gzip.compress(b"\0\0\x08\x03\0"), "its header says"),
    "side": (IMAGES, lambda content: gzip.compress(idx(noise(40, 28, 27))), r"\(28, 27\), wanted 28 x 28"),
    "count": (
        LABELS,
        lambda content: gzip.compress(idx(np.zeros(39, np.uint8))),
        "39 labels for 40 pictures",
    ),
    "value": (LABELS, lambda content: gzip.compress(idx(np.full(40, 10, np.uint8))), "one above 9"),
}


@pytest.mark.parametrize("case", BAD_MNIST)
def test_a_damaged_mnist_is_named(case: str, tmp_path: Path) -> None:
    name, change, message = BAD_MNIST[case]
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    if change is None:
        (raw / name).unlink()
    else:
        damage(raw, name, change)
    with pytest.raises(DataError, match=message) as caught:
        made("mnist", root=str(tmp_path)).prepare()
    assert caught.value.path.name.removesuffix(".gz") == name.removesuffix(".gz")


def test_a_root_that_is_not_there_names_the_layout(tmp_path: Path) -> None:
    for name in ("mnist", "cifar10", "celeba", "folder"):
        with pytest.raises(DataError, match=r"there is no such folder\. Expected") as caught:
            made(name, root=str(tmp_path / "absent")).prepare()
        assert caught.value.path == tmp_path / "absent"


def test_nothing_is_downloaded_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror, calls = tmp_path / "mirror", []
    write_mnist(mirror)
    checksums = [
        (name, hashlib.md5((mirror / name).read_bytes()).hexdigest())
        for name, _ in torchvision.datasets.MNIST.resources
    ]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", checksums)

    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        assert hashlib.md5((mirror / filename).read_bytes()).hexdigest() == md5
        Path(download_root, Path(filename).stem).write_bytes(
            gzip.decompress((mirror / filename).read_bytes())
        )

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fetch)
    original = torchvision.datasets.MNIST.download
    monkeypatch.setattr(
        torchvision.datasets.MNIST, "download", lambda self: (calls.append(self), original(self))
    )
    (tmp_path / "root").mkdir()
    with pytest.raises(DataError, match="no such file"):
        made("mnist", root=str(tmp_path / "root")).prepare()
    assert not calls
    data = made("mnist", root=str(tmp_path / "new" / "root"), download=True)
    data.prepare()
    assert len(calls) == 1 and len(data.train_set()) == 40


def test_a_download_that_fails_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [(tmp_path / "nothing").as_uri() + "/"])
    with pytest.raises(DataError, match=r"(?s)the download failed.*Expected"):
        made("mnist", root=str(tmp_path), download=True).prepare()


# ---------------------------------------------------------------- CIFAR-10


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, np.ndarray]]:
    """The original layout with 4 pictures a file, of noise; the table of checksums is that of these files.

    Names, keys of the pickles, order of bytes and the refusal of another checksum stay those of torchvision.
    """
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    archive, content = torchvision.datasets.CIFAR10, {}

    def write(name: str, values: dict[str, Any]) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(values, protocol=2))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    tables: dict[str, list[list[str]]] = {"train_list": [], "test_list": []}
    for table, checksums in tables.items():
        for seed, (name, _) in enumerate(getattr(archive, table)):
            content[name] = noise(4, 3072, seed=seed + len(table))
            checksums.append(
                write(name, {"data": content[name], "labels": [0, 3, 5, 9], "filenames": ["a"] * 4})
            )
        monkeypatch.setattr(archive, table, checksums)
    _, checksum = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(archive, "meta", {**archive.meta, "md5": checksum})
    return tmp_path, content


def test_cifar10_is_read_in_its_own_layout(cifar: tuple[Path, dict[str, np.ndarray]]) -> None:
    root, content = cifar
    data = made("cifar10", root=str(root))
    data.prepare()
    train, test = batch(data.train_set(), range(20), 32), batch(data.held_out_set(), range(4), 32)
    expected = np.concatenate([content[f"data_batch_{number}"] for number in range(1, 6)]).reshape(
        20, 3, 32, 32
    )
    np.testing.assert_array_equal(train["real"].numpy(), expected)  # red, green, blue planes, row by row
    np.testing.assert_array_equal(test["real"].numpy(), content["test_batch"].reshape(4, 3, 32, 32))
    assert train["condition"].tolist() == [0, 3, 5, 9] * 5
    small = batch(made("cifar10", root=str(root), resolution=16).train_set(), range(20), 16)["real"]
    assert torch.equal(small, shrink(train["real"], 16))


def test_a_cifar_file_of_unknown_origin_is_not_unpickled(cifar: tuple[Path, Any], tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "canary").touch, ()

    for name in ("data_batch_3", "test_batch", "batches.meta"):
        original = (tmp_path / "cifar-10-batches-py" / name).read_bytes()
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(Canary()))
        with pytest.raises(DataError, match=f"{name}: is not the published file"):
            made("cifar10", root=str(tmp_path)).prepare()
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(original)
    assert not (tmp_path / "canary").exists()
    pickle.loads(pickle.dumps(Canary()))  # noqa: TID251
    assert (tmp_path / "canary").exists()  # the canary sings when it is let


def test_a_missing_cifar_file_names_the_layout(cifar: tuple[Path, Any]) -> None:
    (cifar[0] / "cifar-10-batches-py" / "data_batch_2").unlink()
    with pytest.raises(
        DataError, match=r"data_batch_2: there is no such file. Expected .*cifar-10-python.tar.gz"
    ):
        made("cifar10", root=str(cifar[0])).prepare()


# ---------------------------------------------------------------- CelebA


def write_celeba(root: Path, parts: str = "000001112222") -> None:
    """178 x 218; green is the number and red 255 in the square of 128 around (89, 121), blue outside."""
    (root / "img_align_celeba").mkdir(parents=True)
    lines = []
    for number, part in enumerate(parts, start=1):
        values = np.zeros((218, 178, 3), np.uint8)
        values[..., 2] = 255
        values[57:185, 25:153] = [255, number * 10, 0]
        Image.fromarray(values).save(root / "img_align_celeba" / f"{number:06d}.jpg", "PNG")  # no loss
        lines.append(f"{number:06d}.jpg {part}\n")
    (root / "list_eval_partition.txt").write_text("".join(lines))


@pytest.mark.parametrize("place", ["", "celeba"])
def test_celeba_is_cut_where_pggan_cut_it_and_split_by_its_list(place: str, tmp_path: Path) -> None:
    write_celeba(tmp_path / "data" / place)
    data = made("celeba", root=str(tmp_path / "data"), flip=False)
    data.prepare()
    assert (len(data.train_set()), len(data.held_out_set())) == (5, 4)
    train, held_out = (
        batch(data.train_set(), range(5), 64)["real"],
        batch(data.held_out_set(), range(4), 64)["real"],
    )
    assert (train[:, 0] == 255).all() and (train[:, 2] == 0).all()  # no blue: 128 x 128 and not a pixel more
    assert train[:, 1, 9, 9].tolist() == [10, 20, 30, 40, 50] and held_out[:, 1, 9, 9].tolist() == [
        90,
        100,
        110,
        120,
    ]
    everything = made("celeba", root=str(tmp_path / "data"), train_on="all")
    assert len(everything.train_set()) == 12
    wider = batch(made("celeba", root=str(tmp_path / "data"), crop=130).train_set(), [0], 64)["real"]
    assert wider[0, 2, 0].min() > 0  # a larger crop shows the blue


def test_a_wrong_celeba_is_named(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_celeba(root)
    data = {"root": str(root)}
    partition = root / "list_eval_partition.txt"
    good = partition.read_text()
    partition.write_text(good + "000013.jpg 2\n")
    with pytest.raises(DataError, match=r"1 of 13 pictures .* missing: 000013.jpg"):
        made("celeba", **data).prepare()
    partition.write_text(good + "000012.jpg 3\n")
    with pytest.raises(DataError, match=r"list_eval_partition.txt:13: wanted a file name and 0, 1 or 2"):
        made("celeba", **data).prepare()
    partition.write_text("000001.jpg 0\n")
    with pytest.raises(DataError, match="none to test with"):
        made("celeba", **data).prepare()
    partition.unlink()
    with pytest.raises(DataError, match=r"cannot be read.*Expected"):
        made("celeba", **data).prepare()
    partition.write_text(good)
    Image.new("RGB", (178, 217)).save(root / "img_align_celeba/000004.jpg")
    with pytest.raises(DataError, match=r"000004.jpg: is 178 x 217, wanted 178 x 218"):
        made("celeba", **data).prepare()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"img_align_celeba: there is no such folder. Expected"):
        made("celeba", root=str(tmp_path / "empty")).prepare()


# ---------------------------------------------------------------- folders


def write_folder(root: Path, *names: str, side: int = 16) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((side, side), number, np.uint8)).save(root / name)


def folder(root: Path, **overrides: Any) -> Any:
    return made(
        "folder", **{"root": str(root), "resolution": 16, "channels": 1, "held_out": 0.0, **overrides}
    )


def test_a_flat_folder_is_a_data_set_without_labels(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", *(f"{number:02d}.png" for number in range(20)))
    data = folder(tmp_path / "data", held_out=0.1)
    data.prepare()
    train, held_out = batch(data.train_set(), range(18), 16), batch(data.held_out_set(), range(2), 16)
    assert set(train) == {"real"}
    assert held_out["real"][:, 0, 0, 0].tolist() == [5, 15]
    assert sorted([*train["real"][:, 0, 0, 0].tolist(), 5, 15]) == list(range(20))
    assert (batch(data.train_set(), [3], 4)["real"] == 3).all()
    assert (tmp_path / ".gan_zoo_cache").is_dir()


def test_sub_folders_sorted_by_name_are_classes(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", "b/0.png", "a/1.png", "a/deep/2.png", "ü/3.png", ".git/4.png")
    (tmp_path / "data" / "empty").mkdir()
    data = folder(tmp_path / "data", classes=3)
    data.prepare()
    found = batch(data.train_set(), range(4), 16)
    assert dict(zip(found["real"][:, 0, 0, 0].tolist(), found["condition"].tolist(), strict=True)) == {
        0: 1,
        1: 0,
        2: 0,
        3: 2,
    }
    one = folder(tmp_path / "data" / "a", classes=0)
    assert len(one.train_set()) == 2


def test_one_sub_folder_is_one_class(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", "only/0.png", "only/1.png")
    assert folder(tmp_path / "data", classes=1).conditions().tolist() == [0, 0]


@pytest.mark.parametrize(
    ("names", "overrides", "message"),
    [
        (
            ["a/0.png", "b/1.png"],
            {"classes": 3},
            r"has 2 sub-folders with pictures \(a, b\), data.classes is 3; set it to 2",
        ),
        (["0.png", "b/1.png"], {"classes": 1}, "0.png: lies in no class folder"),
        ([], {}, "holds no picture. Expected pictures under data.root"),
        (
            ["0.png"],
            {"resolution": 17},
            r"0.png: is 16 x 16.*choose data.resolution <= 16, data.enlarge=true",
        ),
        (["0.png"], {"held_out": 0.9}, "leave none to train with"),
        (["0.png"], {"max_pixels": 255}, "256 pixels"),
    ],
)
def test_a_folder_that_does_not_fit_is_named(
    names: list[str], overrides: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write_folder(tmp_path / "data", *names)
    with pytest.raises(DataError, match=message):
        folder(tmp_path / "data", **overrides).prepare()


def test_no_held_out_pictures_is_said_when_they_are_wanted(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", "0.png")
    with pytest.raises(ConfigError, match=r"train again with data\.held_out"):
        folder(tmp_path / "data").held_out_set()


def test_anime_faces_are_a_folder_whose_small_pictures_are_enlarged(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", *(f"{number}.jpg" for number in range(10)), side=40)
    data = made("anime_faces", root=str(tmp_path / "data"))
    data.prepare()
    assert batch(data.train_set(), range(9), 64)["real"].shape == (9, 3, 64, 64)
    with pytest.raises(DataError, match="Anime Face Dataset"):
        made("anime_faces", root=str(tmp_path / "absent")).prepare()


def test_a_mapped_data_set_crosses_to_another_process_without_its_pixels(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", *(f"{number:03d}.png" for number in range(100)), side=64)
    data = folder(tmp_path / "data", resolution=64)
    train = data.train_set()
    expected = batch(train, [5, 7], 64)["real"]
    crossed = pickle.dumps(train)
    assert len(crossed) < 10_000
    arrived = pickle.loads(crossed)  # noqa: TID251  how a spawned worker gets it
    assert torch.equal(batch(arrived, [5, 7], 64)["real"], expected)


def test_a_folder_streams_the_same_with_workers(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", *(f"{number:03d}.png" for number in range(30)))
    streams = []
    for workers in (0, 1):
        data = folder(tmp_path / "data", flip=True, batch_size=10, workers=workers)
        data.begin(10, lambda position: (10, 16 if position < 30 else 8))
        loader = iter(data.train_dataloader())
        streams.append([next(loader)["real"] for _ in range(6)])
        del loader
    assert [tuple(real.shape) for real in streams[0]] == [(10, 1, 16, 16)] * 2 + [(10, 1, 8, 8)] * 4
    assert all(torch.equal(*pair) for pair in zip(*streams, strict=True))


def test_the_stream_names_every_item_of_an_epoch_once_for_every_rank() -> None:
    data = made("digits")
    samplers = [
        EndlessBatchSampler(Order(len(data.train_set()), 0), lambda position: (60, 32), 0, rank, 2)
        for rank in (0, 1)
    ]
    keys = [
        key
        for sampler in samplers
        for _, batch_keys in zip(range(25), sampler, strict=False)
        for key in batch_keys
    ]
    assert sorted(index for index, _, _ in keys) == list(range(1500))


@pytest.mark.parametrize(
    ("pictures", "share", "kept"), [(5, "0.2", 1), (3, "0.34", 1), (1, "0.5", 0), (5000, "0.1", 500)]
)
def test_the_share_that_is_advised_keeps_a_picture_where_there_are_two(
    pictures: int, share: str, kept: int
) -> None:
    said = str(none_held_out("folder", pictures))
    assert f"train again with data.held_out={share}, which keeps {kept} of {pictures}" in said
    assert round(float(share) * pictures) == kept
