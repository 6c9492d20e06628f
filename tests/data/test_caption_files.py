"""Oxford-102, CUB-200, folders with texts beside and the one-file HDF5 layout: small copies of each, good and bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo.data.caption_embeddings import write_embeddings
from gan_zoo.data.caption_hdf5 import write_captions
from gan_zoo.data.captions import CaptionData
from gan_zoo.schema import ConfigError, DataError
from tests.data.configured import made

SMALL = {"resolution": 8, "margin": 1.25, "workers": 0, "seed": 0}


def data(name: str, root: Path | None, **settings: Any) -> CaptionData:
    found: CaptionData = made(name, **{**SMALL, "root": root and str(root), **settings})
    return found


def picture(path: Path, grey: int, size: tuple[int, int] = (20, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, grey)).save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_oxford(root: Path) -> None:
    """Three classes of two pictures; the third is held out. Picture k is grey 10 k, its captions say its number."""
    for k in range(1, 7):
        label = f"class_{(k + 1) // 2:05d}"
        picture(root / f"jpg/image_{k:05d}.jpg", 10 * k)
        text(
            root / f"text_c10/{label}/image_{k:05d}.txt", f"flower {k} has petals.", "", f"this is number {k}"
        )
    text(root / "trainvalclasses.txt", "class_00001", "class_00002")
    text(root / "testclasses.txt", "class_00003")


def write_cub(root: Path) -> None:
    for label, names in (
        ("001.Albatross", ("A_1", "A_2")),
        ("002.Auklet", ("B_1",)),
        ("003.Wren", ("C_1", "C_2")),
    ):
        for number, name in enumerate(names):
            picture(root / f"CUB_200_2011/images/{label}/{name}.jpg", 40 * int(label[2]) + 10 * number)
            text(root / f"text_c10/{label}/{name}.txt", f"a bird called {name.lower()}", "a small bird")
    text(root / "trainvalclasses.txt", "001.Albatross", "003.Wren")
    text(root / "testclasses.txt", "002.Auklet")


def write_folder(root: Path) -> None:
    for k in range(10):
        picture(root / f"p{k}.png", 20 * k)
        text(root / f"p{k}.txt", f"picture number {k}", f"the {k} th")


def whole(items: Any, resolution: int = 8) -> dict[str, torch.Tensor]:
    return items.__getitems__([(i, 0, resolution) for i in range(len(items))])


# ---------------------------------------------------------------- as they are given


def test_oxford_flowers_are_read_with_their_captions_and_zero_shot_classes(tmp_path: Path):
    write_oxford(tmp_path)
    flowers = data("oxford_102", tmp_path, classes=3)
    train, test = whole(flowers.train_set()), whole(flowers.held_out_set())
    assert train["real"].shape == (4, 3, 8, 8)
    assert train["real"][:, 0, 4, 4].tolist() == [10, 20, 30, 40]
    assert train["class"].tolist() == [0, 0, 1, 1]
    assert test["real"][:, 0, 4, 4].tolist() == [50, 60]
    assert test["class"].tolist() == [2, 2]
    assert flowers.class_names() == ["class_00001", "class_00002", "class_00003"]
    for number, caption in zip((1, 2, 3, 4), flowers.decode(train["tokens"]), strict=True):
        assert caption in (f"flower {number} has petals", f"this is number {number}")


def test_birds_are_read_with_their_captions_and_zero_shot_classes(tmp_path: Path):
    write_cub(tmp_path)
    birds = data("cub_200", tmp_path, classes=3)
    train, test = whole(birds.train_set()), whole(birds.held_out_set())
    assert sorted(train["class"].tolist()) == [0, 0, 2, 2]
    assert test["class"].tolist() == [1]
    assert abs(int(test["real"][0, 0, 4, 4]) - 80) <= 1
    assert "mismatch_tokens" in train
    assert "mismatch_tokens" not in test  # one picture alone has none


def test_words_of_test_captions_alone_are_unknown(tmp_path: Path):
    write_oxford(tmp_path)
    flowers = data("oxford_102", tmp_path, classes=3)
    assert "4" in flowers.vocabulary.ids
    assert "5" not in flowers.vocabulary.ids
    assert flowers.decode(flowers.encode(["number 5"])) == ["number <unknown>"]


def test_class_uniform_sampling_draws_every_class_as_often(tmp_path: Path):
    for k in range(12):
        label = "one" if k < 2 else "two"
        picture(tmp_path / f"{label}/{k}.png", k)
        text(tmp_path / f"{label}/{k}.txt", f"number {k}")
    items = data("caption_folder", tmp_path, classes=2, held_out=0, sampling="classes", batch_size=12)
    batches = iter(items.train_dataloader())
    drawn = torch.cat([next(batches)["class"] for _ in range(100)])
    assert abs(float((drawn == 0).float().mean()) - 0.5) < 4 * 0.5 / 1200**0.5


def test_the_aspect_ratio_is_not_kept_where_pictures_are_stretched(tmp_path: Path):
    """A picture 20 wide whose right half is white: stretched, half of the columns are; the middle square of 10 too."""
    for name in "ab":
        half = np.zeros((10, 20, 3), np.uint8)
        half[:, 15:] = 255
        Image.fromarray(half).save(tmp_path / f"{name}.png")
        text(tmp_path / f"{name}.txt", f"picture {name}")
    whites = {}
    for fit in ("stretch", "square"):
        items = data("caption_folder", tmp_path, held_out=0, fit=fit, margin=1, resample="box")
        whites[fit] = float(whole(items.train_set())["real"][0].float().mean() / 255)
    assert whites == {"stretch": 0.25, "square": 0.0}


def test_a_folder_of_pictures_with_texts_is_split_evenly(tmp_path: Path):
    write_folder(tmp_path)
    items = data("caption_folder", tmp_path, held_out=0.2)
    assert whole(items.train_set())["real"][:, 0, 0, 0].tolist() == [0, 20, 60, 80, 100, 120, 160, 180]
    assert whole(items.held_out_set())["real"][:, 0, 0, 0].tolist() == [40, 140]
    assert (whole(items.train_set())["class"] == -1).all()


def test_embeddings_of_all_captions_are_taken_from_a_file(tmp_path: Path):
    write_folder(tmp_path / "data")
    plain = data("caption_folder", tmp_path / "data")
    write_embeddings(
        tmp_path / "e.safetensors", torch.eye(20), plain.table.texts, encoder="one-hot", encoder_hash="0"
    )
    items = data("caption_folder", tmp_path / "data", embeddings=str(tmp_path / "e.safetensors"), held_out=0)
    batch = whole(items.train_set())
    for row, (vector, words) in enumerate(
        zip(batch["embedding"], items.decode(batch["tokens"]), strict=True)
    ):
        assert plain.table.texts[int(vector.argmax())] == words
        assert int(vector.argmax()) // 2 == row


# ---------------------------------------------------------------- one file


def test_what_is_written_to_one_file_is_read_again(tmp_path: Path):
    pytest.importorskip("h5py")
    write_oxford(tmp_path / "oxford")
    flowers = data("oxford_102", tmp_path / "oxford", classes=3, margin=1, flip=False)
    write_captions(tmp_path / "flowers.h5", flowers)
    again = data("caption_hdf5", tmp_path / "flowers.h5", classes=3, margin=1, flip=False)
    for mine, theirs in (
        (again.train_set(), flowers.train_set()),
        (again.held_out_set(), flowers.held_out_set()),
    ):
        assert torch.equal(whole(mine)["real"], whole(theirs)["real"])
        assert torch.equal(whole(mine)["class"], whole(theirs)["class"])
    assert again.table.texts == flowers.table.texts
    assert again.vocabulary == flowers.vocabulary


def test_the_file_of_ports_is_read_with_its_embeddings(tmp_path: Path):
    """As their converter writes it: one group a caption, picture bytes in a void, strings, 1024 numbers."""
    h5py = pytest.importorskip("h5py")
    picture(tmp_path / "x.jpg", 100)
    content = (tmp_path / "x.jpg").read_bytes()
    with h5py.File(tmp_path / "port.hdf5", "w") as file:
        for split in ("train", "valid", "test"):
            for name in ("image_1", "image_2"):
                for which in range(3):
                    group = file.create_group(f"{split}/{name}_{which}")
                    group.create_dataset("name", data=name)
                    group.create_dataset("img", data=np.void(content))
                    group.create_dataset("embeddings", data=np.full(1024, which, np.float32))
                    group.create_dataset("class", data=f"class_{name}")
                    group.create_dataset(
                        "txt", data=f"{name} caption {which}".encode("latin-1"), dtype=h5py.string_dtype()
                    )
    items = data("caption_hdf5", tmp_path / "port.hdf5", classes=2, captions_averaged=2)
    batch = whole(items.train_set())
    assert batch["real"].shape == (2, 3, 8, 8)
    assert batch["embedding"].shape == (2, 1024)
    assert set((2 * batch["embedding"][:, 0]).tolist()) <= {0.0, 1, 2, 3, 4}
    assert items.table.texts[:3] == [f"image_1 caption {which}" for which in range(3)]
    assert len(items.loaded.store) == 4  # train and test, each picture once


# ---------------------------------------------------------------- bad ones


def _without(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def _holding(path: str, *lines: str) -> Callable[[Path], None]:
    return lambda root: text(root / path, *lines)


BAD_OXFORD: list[tuple[str, Callable[[Path], None], str]] = [
    ("a picture without captions", _without("text_c10/class_00001/image_00002.txt"), "1 of 6 pictures have no file of captions"),
    ("a file of captions that is blank", _holding("text_c10/class_00001/image_00002.txt", " ", ""), "holds no caption"),
    ("no list of classes to train with", _without("trainvalclasses.txt"), "trainvalclasses.txt"),
    ("a class in both lists", _holding("testclasses.txt", "class_00001"), "the lists must differ"),
    ("a class that does not exist", _holding("testclasses.txt", "class_00009"), "no captions"),
    ("an empty list of classes", _holding("testclasses.txt", ""), "names no class"),
    ("two files of captions for one picture", _holding("text_c10/class_00002/image_00001.txt", "a"), "has the name of"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "spoil", "message"), BAD_OXFORD, ids=[what for what, _, _ in BAD_OXFORD])
def test_bad_captioned_data_are_refused_by_name(
    tmp_path: Path, what: str, spoil: Callable[[Path], None], message: str
):
    write_oxford(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        data("oxford_102", tmp_path, classes=3).prepare()
    assert str(tmp_path) in str(caught.value)


def test_a_bird_in_the_wrong_folder_is_refused(tmp_path: Path):
    write_cub(tmp_path)
    (tmp_path / "text_c10/002.Auklet/B_1.txt").rename(tmp_path / "text_c10/001.Albatross/B_1.txt")
    with pytest.raises(DataError, match=r"lies in 002\.Auklet, but its captions in 001\.Albatross"):
        data("cub_200", tmp_path, classes=3).prepare()


def test_a_missing_root_names_the_layout(tmp_path: Path):
    with pytest.raises(DataError, match=r"text_c10.*icml2016"):
        data("cub_200", tmp_path / "nowhere").prepare()
    with pytest.raises(ConfigError, match=r"data\.root=FILE\.h5"):
        data("caption_hdf5", None).prepare()


def test_a_folder_picture_without_text_is_named(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "p3.txt").unlink()
    with pytest.raises(DataError, match=r"1 of 10 pictures have no \.txt beside them: p3\.png"):
        data("caption_folder", tmp_path).prepare()


def test_the_wrong_number_of_classes_is_refused(tmp_path: Path):
    write_oxford(tmp_path)
    with pytest.raises(ConfigError, match=r"has 3 classes, data\.classes is 102"):
        data("oxford_102", tmp_path).prepare()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file["train/a_0"].__delitem__("img"), "no group with img and txt"),
        (lambda file: file.__delitem__("test"), "no picture in the group test"),
        (lambda file: _replace(file["train/a_0"], "img", np.void(b"no picture")), "is none of JPEG"),
        (lambda file: _replace(file["train/a_0"], "txt", " "), "empty caption"),
        (lambda file: file["train/a_0"].__delitem__("embeddings"), "some captions only"),
        (lambda file: _replace(file["train/a_1"], "class", "other"), "of the class"),
        (lambda file: _replace(file["train/b_0"], "embeddings", np.ones(5)), "embeddings of 2 sizes"),
    ],
)
def test_a_bad_hdf5_file_is_refused_by_group(tmp_path: Path, spoil: Callable[[Any], None], message: str):
    h5py = pytest.importorskip("h5py")
    picture(tmp_path / "x.png", 100)
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        for key in ("train/a_0", "train/a_1", "train/b_0", "test/c_0"):
            group = file.create_group(key)
            group["name"], group["txt"], group["class"] = key[-3], key, "one"
            group["img"], group["embeddings"] = np.void((tmp_path / "x.png").read_bytes()), np.ones(4)
        spoil(file)
    with pytest.raises(DataError, match=message):
        data("caption_hdf5", tmp_path / "bad.h5", classes=1).prepare()


def _replace(group: Any, key: str, value: Any) -> None:
    del group[key]
    group[key] = value


def test_a_file_that_is_no_hdf5_is_refused(tmp_path: Path):
    pytest.importorskip("h5py")
    (tmp_path / "torn.h5").write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        data("caption_hdf5", tmp_path / "torn.h5").prepare()
