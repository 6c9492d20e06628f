"""Pairs: mirrored and jittered together, read from files in three layouts, made from single pictures; what is refused."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_zoo.data.made_pairs import HOLE_GREY, coarse, grey, holed, noisy
from gan_zoo.data.pair_data import jittered, mirrored
from gan_zoo.data.pair_files import SideBySide
from gan_zoo.data.pictures import read_ids
from gan_zoo.schema import ConfigError, DataError
from tests.data.configured import made

from .pair_files import (
    GREEN,
    RED,
    flat,
    write,
    write_cityscapes,
    write_side_by_side,
    write_two_folders,
)

SMALL = {"resolution": 16, "width": 24, "flip": False, "jitter": 0.0}


def numbered(n: int = 3, side: int = 12) -> dict[str, torch.Tensor]:
    """Pictures whose red channel is their map of ids, so that what happens to both can be compared."""
    ids = torch.arange(n * side * side, dtype=torch.int64).view(n, side, side) % 251
    real = torch.stack([ids, ids, ids], 1).to(torch.uint8)
    return {"real": real, "condition": ids.to(torch.uint8), "instances": ids.to(torch.int32)}


@given(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3))
def test_an_item_is_mirrored_whole_or_not_at_all(words: list[int]) -> None:
    batch = numbered()
    turned = mirrored(batch, np.array(words, np.uint64))
    for item, word in enumerate(words):
        for key, value in batch.items():
            wanted = value[item].flip(-1) if word >> 63 else value[item]
            assert torch.equal(turned[key][item], wanted), key


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_picture_and_maps_are_cut_at_the_same_place(down: int, right: int) -> None:
    """A map of two halves and its picture: their edge is in the same column after jitter."""
    ids = torch.zeros(1, 16, 16, dtype=torch.uint8)
    ids[..., 8:] = 1
    batch = {"real": (ids * 200)[:, None], "condition": ids, "instances": ids.int() * 5000}
    cut = jittered(batch, 0.25, np.array([down], np.uint64), np.array([right], np.uint64))
    assert {key: value.shape for key, value in cut.items()} == {
        key: value.shape for key, value in batch.items()
    }
    assert torch.equal(cut["instances"], cut["condition"].int() * 5000)
    assert torch.equal((cut["real"][:, 0] > 100).to(torch.uint8), cut["condition"])
    place = right % (20 - 16 + 1)  # the edge lies at 10 of 20
    assert int((cut["condition"][0, 0] == 0).sum()) == 10 - place


def test_jitter_and_mirroring_are_functions_of_seed_epoch_and_index() -> None:
    data = made("streets", size=4, held_out=2, resolution=16, jitter=0.25)
    items = data.train_set()
    keys = [(0, 0, 16), (1, 0, 16), (2, 5, 16)]
    together, apart = items.__getitems__(keys), [items.__getitems__([key]) for key in keys]
    for key, value in together.items():
        assert torch.equal(value, torch.cat([one[key] for one in apart])), key
    epochs = [items.__getitems__([(0, epoch, 16)])["real"] for epoch in range(8)]
    assert len({value.numpy().tobytes() for value in epochs}) > 4
    other = made("streets", size=4, held_out=2, resolution=16, jitter=0.25, seed=1).train_set()
    assert any(not torch.equal(other.__getitems__([(0, e, 16)])["real"], epochs[e]) for e in range(8))
    held_out = data.held_out_set()
    assert torch.equal(*(held_out.__getitems__([(1, epoch, 16)])["real"] for epoch in (0, 3)))


# ---------------------------------------------------------------- side by side


@pytest.mark.parametrize(("direction", "target", "source"), [("a_to_b", GREEN, RED), ("b_to_a", RED, GREEN)])
def test_either_half_can_be_made_from_the_other(
    tmp_path: Path, direction: str, target: tuple[int, ...], source: tuple[int, ...]
) -> None:
    write_side_by_side(tmp_path / "set")
    data = made("side_by_side", root=str(tmp_path / "set"), direction=direction, **SMALL)
    data.prepare()
    assert (len(data.train_set()), len(data.held_out_set())) == (3, 2)
    batch = data.train_set().__getitems__([(0, 0, 16), (2, 0, 16)])
    assert batch["real"].shape == batch["condition"].shape == (2, 3, 16, 24)
    assert batch["real"][1, :, 5, 5].tolist() == [*target[:2], 20]
    assert batch["condition"][1, :, 5, 5].tolist() == [*source[:2], 20]
    assert data.train_set().__getitems__([(0, 0, 8)])["real"].shape == (1, 3, 8, 12)


def test_without_val_or_test_a_share_is_held_out(tmp_path: Path) -> None:
    write_side_by_side(tmp_path / "set", train=10, held_out=1)
    data = made("side_by_side", root=str(tmp_path / "set" / "train"), held_out=0.2, **SMALL)
    assert (len(data.train_set()), len(data.held_out_set())) == (8, 2)


def test_the_cache_is_made_once_and_again_when_a_file_changes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_side_by_side(root)
    first = made("side_by_side", root=str(root), **SMALL).train_set().store.folder
    assert made("side_by_side", root=str(root), **SMALL).train_set().store.folder == first
    write(root / "train" / "0.png", np.concatenate([flat((0, 0, 0)), flat((9, 9, 9))], axis=1))
    changed = made("side_by_side", root=str(root), **SMALL)
    assert changed.train_set().store.folder != first
    assert changed.train_set().__getitems__([(0, 0, 16)])["real"].unique().tolist() == [9]
    (changed.train_set().store.folder / "keys.json").write_text("[")  # damaged: made again
    again = made("side_by_side", root=str(root), **SMALL)
    assert again.train_set().__getitems__([(0, 0, 16)])["real"].unique().tolist() == [9]


def test_of_ranks_that_start_together_one_reads_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_side_by_side(tmp_path / "set", train=20, held_out=4)
    reads: list[Any] = []
    original = SideBySide.read
    monkeypatch.setattr(SideBySide, "read", lambda self, item: (reads.append(item), original(self, item))[1])
    with ThreadPoolExecutor(3) as pool:
        sets = list(
            pool.map(
                lambda _: made("side_by_side", root=str(tmp_path / "set"), **SMALL).train_set(), range(3)
            )
        )
    assert len(reads) == 24 and [len(one) for one in sets] == [20] * 3


# ---------------------------------------------------------------- two folders and Cityscapes


def test_partners_are_found_by_name_and_maps_hold_ids(tmp_path: Path) -> None:
    write_two_folders(tmp_path / "set", classes=4)
    values = {"input_channels": 0, "classes": 4, "held_out": 0.3}
    data = made("two_folders", root=str(tmp_path / "set"), **SMALL, **values)
    data.prepare()
    batch = data.train_set().__getitems__([(0, 0, 16), (1, 0, 16)])
    assert batch["condition"].shape == (2, 16, 24) and batch["condition"].dtype == torch.uint8
    for item in range(2):  # file number in blue
        assert int(batch["condition"][item, 0, 0]) == int(batch["real"][item, 2, 0, 0]) % 4


def test_cityscapes_in_its_own_layout_at_another_size(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "set")
    data = made("cityscapes", root=str(tmp_path / "set"), resolution=8, width=16, jitter=0.0, flip=False)
    data.prepare()
    assert (len(data.train_set()), len(data.held_out_set())) == (2, 1)
    batch = data.held_out_set().__getitems__([(0, 0, 8)])
    assert batch["real"].shape == (1, 3, 8, 16)
    assert batch["condition"][0, :, 3].tolist() == [7] * 4 + [26] * 4
    assert batch["instances"].dtype == torch.int32
    assert batch["instances"][0, :, 3].tolist() == [7] * 4 + [26001] * 4


def single(root: Path) -> None:
    write_two_folders(root)
    (root / "B" / "03.png").unlink()
    write(root / "B" / "extra.png", flat(RED))


def other_size(root: Path) -> None:
    write_two_folders(root)
    write(root / "A" / "04.png", flat(RED, 20, 16))


def odd(root: Path) -> None:
    write_side_by_side(root)
    write(root / "train" / "1.png", flat(RED, 47, 16))


def foreign_id(root: Path) -> None:
    write_cityscapes(root)
    file = next((root / "gtFine" / "val").glob("*/*labelIds.png"))
    ids = np.full((16, 32), 7, np.uint8)
    ids[3, 5] = 200
    write(file, ids)


def coloured_map(root: Path) -> None:
    write_cityscapes(root)
    write(next((root / "gtFine" / "train").glob("*/*labelIds.png")), flat(RED, 32, 16))


def small_map(root: Path) -> None:
    write_cityscapes(root)
    write(next((root / "gtFine" / "train").glob("*/*instanceIds.png")), np.zeros((8, 32), np.uint8))


def no_instances(root: Path) -> None:
    write_cityscapes(root)
    next((root / "gtFine" / "train").glob("*/*000001*instanceIds.png")).unlink()


# what is wrong -> (data, how the files come about, changes, words of the message)
BAD_PAIRS = {
    "a file without a partner": (
        "two_folders",
        single,
        {},
        ("2 files have no partner", "03: none in B", "extra: none in A"),
    ),
    "partners of two sizes": (
        "two_folders",
        other_size,
        {},
        ("1 of 10 pairs cannot be used", "04.png", "is 20 x 16, its partner", "is 24 x 16"),
    ),
    "an odd width": ("side_by_side", odd, {}, ("1.png: is 47 x 16", "an even width")),
    "an id that no class has": (
        "cityscapes",
        foreign_id,
        {},
        ("has the id 200 at row 3, column 5; ids are 0 to 34",),
    ),
    "a coloured map of ids": ("cityscapes", coloured_map, {}, ("mode RGB", "one channel of whole numbers")),
    "a map of another size": ("cityscapes", small_map, {}, ("is 32 x 8, its partner", "is 32 x 16")),
    "a missing map of instances": (
        "cityscapes",
        no_instances,
        {},
        (
            "1 files have no partner",
            "aachen/aachen_000001_000019: none in gtFine/train (*_gtFine_instanceIds.png)",
        ),
    ),
    "a folder that is not there": (
        "cityscapes",
        write_two_folders,
        {},
        ("there is no such folder", "gtFine_trainvaltest.zip"),
    ),
    "no pair at all": ("side_by_side", lambda root: None, {}, ("has 0 pairs to train with and 0 held out",)),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_what_does_not_fit_is_named_before_training(case: str, tmp_path: Path) -> None:
    name, write_files, changes, parts = BAD_PAIRS[case]
    (tmp_path / "set").mkdir()
    write_files(tmp_path / "set")
    with pytest.raises(DataError) as caught:
        made(name, root=str(tmp_path / "set"), **{"resolution": 16, "width": 24} | changes).prepare()
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert not list(tmp_path.glob(".gan_zoo_cache/unfinished-*"))


def test_ids_are_taken_as_they_stand(tmp_path: Path) -> None:
    """A palette's numbers, not its colours, and 16 bits without scaling."""
    numbers = np.array([[0, 1], [2, 3]], np.uint8)
    image = Image.fromarray(numbers).convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9] + [0] * 756)
    image.save(tmp_path / "palette.png")
    assert read_ids(tmp_path / "palette.png").tolist() == numbers.tolist()
    Image.fromarray(np.array([[26001, 7]], np.uint16)).save(tmp_path / "wide.png")
    assert read_ids(tmp_path / "wide.png").tolist() == [[26001, 7]]
    image.convert("L").save(tmp_path / "lossy.jpg")
    with pytest.raises(DataError, match=r"is a JPEG, which changes numbers; a map of ids is a PNG"):
        read_ids(tmp_path / "lossy.jpg")


# ---------------------------------------------------------------- made from single pictures


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_has_the_deviation_asked_for() -> None:
    picture = torch.full((3, 128, 128), 128, dtype=torch.uint8)
    found = noisy(picture, generator(), 20.0).float()
    error = 4 * 20 / math.sqrt(2 * picture.numel())  # of a sample's deviation, four times
    assert float(found.std()) == pytest.approx(math.sqrt(400 + 1 / 12), abs=error)  # rounding adds 1/12
    assert float(found.mean()) == pytest.approx(128, abs=4 * 20 / math.sqrt(picture.numel()))


def test_grey_is_the_luma_of_601() -> None:
    picture = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1)
    assert grey(picture, generator(), 0.0).tolist() == [[[76]]]  # 0.299 * 255 = 76.2


def test_a_coarse_picture_keeps_what_is_flat_and_loses_what_is_fine() -> None:
    flat_picture = torch.full((3, 16, 16), 77, dtype=torch.uint8)
    assert torch.equal(coarse(flat_picture, generator(), 4.0), flat_picture)
    checks = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 200).to(torch.uint8).expand(3, 16, 16)
    assert coarse(checks, generator(), 2.0).unique().tolist() == [100]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.floats(0.01, 0.6))
def test_a_hole_is_one_rectangle_that_the_mask_tells(seed: int, share: float) -> None:
    picture = torch.randint(0, 100, (3, 40, 40), generator=generator(1)).to(torch.uint8)
    found = holed(picture, generator(seed), share)
    known = found[3] == 255
    assert torch.equal(found[:3, known], picture[:, known])
    assert (found[:3, ~known] == HOLE_GREY).all() and found[3].unique().tolist() == [0, 255]
    rows, columns = torch.nonzero(~known, as_tuple=True)
    area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
    assert int(area) == int((~known).sum())
    assert 0.5 * share <= int(area) / 1600 <= 1.05 * share + 0.05


@pytest.mark.parametrize(
    ("name", "channels"), [("denoise", 3), ("colourise", 1), ("super_resolution", 3), ("inpaint", 4)]
)
def test_tasks_are_made_anew_in_each_epoch_and_always_alike(name: str, channels: int) -> None:
    data = made(name, resolution=16, size=6)
    data.prepare()
    items = data.train_set()
    batch = items.__getitems__([(0, 0, 16), (3, 0, 16)])
    assert batch["real"].shape == (2, 3, 16, 16) and batch["condition"].shape == (2, channels, 16, 16)
    again = made(name, resolution=16, size=6).train_set().__getitems__([(3, 0, 16)])
    assert torch.equal(again["condition"][0], batch["condition"][1])
    if name in ("denoise", "inpaint"):
        assert not torch.equal(items.__getitems__([(3, 1, 16)])["condition"], again["condition"])
    held_out = data.held_out_set()
    assert len(held_out) == 1
    assert torch.equal(*(held_out.__getitems__([(0, 0, 16)])["condition"] for _ in range(2)))


def test_tasks_take_any_folder_of_pictures(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / "set" / f"{number}.png", flat((number, 9, 9), 20, 20))
    data = made("denoise", root=str(tmp_path / "set"), resolution=16, held_out=0.2, strength=0.0)
    data.prepare()
    assert (len(data.train_set()), len(data.held_out_set())) == (4, 1)
    batch = data.train_set().__getitems__([(1, 0, 16)])
    assert torch.equal(batch["real"], batch["condition"])


@pytest.mark.parametrize(
    ("name", "changes", "part"),
    [
        ("denoise", {"width": 128}, "data.width must be null"),
        ("colourise", {"input_channels": 3}, "makes data.input_channels=1"),
        ("inpaint", {"strength": 0.0}, "must lie between 0 and 1"),
        ("streets", {"classes": 3}, "data.classes must be 8"),
        ("streets", {"resolution": 8}, "from 16 px on"),
        ("streets", {"jitter": 2.0}, "a share from 0 to 1"),
        (
            "two_folders",
            {"classes": 257, "input_channels": 0},
            "kept as bytes, so data.classes may be 256 at most",
        ),
        ("streets", {"input_channels": 3}, "class ids need data.input_channels=0"),
        ("side_by_side", {"channels": 4}, "data.channels must be 1 (grey) or 3"),
        ("side_by_side", {"modality": "image"}, "data.modality must be pair"),
        ("two_folders", {"instances": True}, "do not agree"),
        ("cityscapes", {"resolution": 2048}, "2048 x 1024 pictures"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, changes: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace("(", r"\(").replace(")", r"\)")):
        made(name, **changes)
