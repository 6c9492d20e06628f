"""Words as numbers, captions and their mismatches, embeddings and their averages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_zoo.data.caption_embeddings import fingerprint, read_embeddings, write_embeddings
from gan_zoo.data.captions import CaptionedPictures, CaptionTable
from gan_zoo.data.pyramid import MemoryPictures
from gan_zoo.schema import ConfigError, DataError
from gan_zoo.vocabulary import CAPTION_WORDS, Vocabulary

WORDS = Vocabulary(["a", "b", "c", "flower", "red"], CAPTION_WORDS)


def captioned(
    captions: list[list[str]], classes: list[int] | None = None, embedding: Tensor | None = None, **how: Any
) -> CaptionedPictures:
    """Row i is a grey picture of level i, 8 px."""
    texts = [text for row in captions for text in row]
    starts = np.cumsum([0, *map(len, captions)])
    tokens = Vocabulary(sorted({*texts}), CAPTION_WORDS).tokens(texts, 1)
    table = CaptionTable(texts, starts, tokens, embedding)
    levels = torch.arange(len(captions), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    store = MemoryPictures(levels.contiguous(), 8)
    return CaptionedPictures(
        store, np.arange(len(captions)), table, None if classes is None else np.array(classes), **how
    )


def batch(items: CaptionedPictures, epochs: int = 1) -> dict[str, Tensor]:
    return items.__getitems__([(i, epoch, 8) for epoch in range(epochs) for i in range(len(items))])


# ---------------------------------------------------------------- which caption, which mismatch


def test_a_caption_of_an_item_is_one_of_its_own_and_changes_with_the_epoch():
    items = captioned([[f"{row}{which}" for which in "abc"] for row in range(6)])
    tokens = batch(items, epochs=40)["tokens"].view(40, 6)
    owner = (tokens - 2) // 3
    assert torch.equal(owner, torch.arange(6).expand(40, 6).to(owner.dtype))
    assert all(len(tokens[:, item].unique()) == 3 for item in range(6))


def test_what_an_item_is_depends_on_seed_epoch_and_index_alone():
    items = captioned(
        [[f"{row}{which}" for which in "abcd"] for row in range(9)], [0, 0, 0, 1, 1, 1, 2, 2, 2], seed=5
    )
    whole = batch(items)
    single = items.__getitems__([(4, 0, 8)])
    assert all(torch.equal(whole[name][4:5], single[name]) for name in whole)
    other = captioned(
        [[f"{row}{which}" for which in "abcd"] for row in range(9)], [0, 0, 0, 1, 1, 1, 2, 2, 2], seed=6
    )
    assert not torch.equal(batch(other)["mismatch_tokens"], whole["mismatch_tokens"])


def test_a_mismatch_is_of_another_class_and_every_other_class_is_as_likely():
    """Classes of 1, 2 and 9 items: Reed et al. draw the class first, so that a small one is drawn as often."""
    classes = [0] + [1] * 2 + [2] * 9
    items = captioned([[f"{label}"] for label in classes], classes)
    wrong = (batch(items, epochs=400)["mismatch_tokens"][:, 0] - 2).view(400, 12)
    assert all((wrong[:, item] != label).all() for item, label in enumerate(classes))
    for label, others in ((0, (1, 2)), (2, (0, 1))):
        drawn = wrong[:, [item for item, one in enumerate(classes) if one == label]].flatten()
        share = (drawn == others[0]).float().mean()
        assert abs(share - 0.5) < 4 * 0.5 / len(drawn) ** 0.5


def test_without_classes_a_mismatch_is_of_another_item_and_never_the_same_caption():
    items = captioned([["same", "one"], ["same", "two"], ["same", "three"]])
    found = batch(items, epochs=200)
    names = ["one", "same", "three", "two"]
    for item, own in enumerate((("same", "one"), ("same", "two"), ("same", "three"))):
        wrong = {names[number - 2] for number in found["mismatch_tokens"][item::3, 0].tolist()}
        assert not wrong & set(own)
        assert len(wrong) == 2
    assert (found["class"] == -1).all()


def test_a_caption_that_nearly_all_share_is_never_a_mismatch_of_its_own():
    items = captioned([["same"]] * 200 + [["other"]])
    found = batch(items)
    assert (found["tokens"] != found["mismatch_tokens"]).all()


@pytest.mark.parametrize("captions", [[["same"]] * 5, [["alone"]]])
def test_pictures_that_are_all_described_alike_are_refused(captions: list[list[str]]):
    with pytest.raises(ConfigError, match="described differently"):
        captioned(captions)


# ---------------------------------------------------------------- pictures


def test_crops_move_with_the_epoch_and_have_the_side_asked_for():
    ramp = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10).expand(2, 3, 10, 10).contiguous()
    table = CaptionTable(["x", "y"], np.array([0, 1, 2]), WORDS.tokens(["a", "b"], 4))
    items = CaptionedPictures(MemoryPictures(ramp, 10), np.arange(2), table, None, crop=8)
    corners = {int(items.__getitems__([(0, epoch, 8)])["real"][0, 0, 0, 0]) for epoch in range(200)}
    assert corners == {0, 1, 2, 10, 11, 12, 20, 21, 22}
    assert items.__getitems__([(0, 0, 4)])["real"].shape == (1, 3, 4, 4)


def test_half_of_the_pictures_are_mirrored_where_asked():
    left = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    left[..., :4] = 255
    table = CaptionTable(["x", "y"], np.array([0, 1, 2]), WORDS.tokens(["a", "b"], 4))
    items = CaptionedPictures(MemoryPictures(left, 8), np.arange(2), table, None, flip=True)
    mirrored = [items.__getitems__([(0, epoch, 8)])["real"][0, 0, 0, 0] == 0 for epoch in range(400)]
    assert abs(sum(mirrored) - 200) < 4 * 10


# ---------------------------------------------------------------- embeddings


def test_an_embedding_is_the_mean_of_captions_of_that_item():
    """Embeddings are unit vectors, so that a mean of four says which captions it was made of."""
    items = captioned(
        [[f"{row}{which}" for which in "ab"] for row in range(3)], embedding=torch.eye(6), averaged=4
    )
    found = batch(items, epochs=100)
    for item in range(3):
        mean = found["embedding"][item::3]
        torch.testing.assert_close(mean[:, 2 * item : 2 * item + 2].sum(1), torch.ones(100))
        assert set((4 * mean[:, 2 * item]).tolist()) == {0.0, 1, 2, 3, 4}
        assert (found["mismatch_embedding"][item::3, 2 * item : 2 * item + 2] == 0).all()
    words = found["tokens"][:, 0].long() - 2  # the caption whose words are shown is one of those averaged
    assert (found["embedding"][torch.arange(300), words] > 0).all()


def test_embeddings_survive_a_file_of_either_kind(tmp_path: Path):
    texts, embedding = ["a red flower", "b"], torch.randn(2, 5)
    names = ["e.safetensors"]
    if pytest.importorskip("h5py"):
        names.append("e.h5")
    for name in names:
        write_embeddings(tmp_path / name, embedding, texts, encoder="clip", encoder_hash="12ab")
        found, said = read_embeddings(tmp_path / name, texts)
        assert torch.equal(found, embedding)
        assert said == {"encoder": "clip", "encoder_hash": "12ab", "captions": fingerprint(texts)}


def test_embeddings_by_picture_from_numpy_are_put_in_order(tmp_path: Path):
    np.save(tmp_path / "e.npy", np.arange(12.0).reshape(2, 3, 2))
    found, _ = read_embeddings(tmp_path / "e.npy", ["t"] * 6)
    assert found.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]


def test_bad_files_of_embeddings_are_refused_by_name(tmp_path: Path):
    texts = ["a", "b"]
    write_embeddings(tmp_path / "good.safetensors", torch.ones(2, 3), texts, encoder="x", encoder_hash="y")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    write_embeddings(
        tmp_path / "nan.safetensors", torch.full((2, 3), torch.nan), texts, encoder="x", encoder_hash="y"
    )
    for name, said, wanted in (
        ("good.safetensors", "other captions", ["a", "c"]),
        ("good.safetensors", "3 captions", ["a", "b", "c"]),
        ("torn.safetensors", "cannot be read", texts),
        ("nan.safetensors", "NaN", texts),
        ("none.safetensors", "no such file", texts),
    ):
        with pytest.raises(DataError, match=said) as caught:
            read_embeddings(tmp_path / name, wanted)
        assert name in str(caught.value)
    (tmp_path / "e.txt").write_text("1 2 3")
    with pytest.raises(DataError, match="by its name"):
        read_embeddings(tmp_path / "e.txt", texts)
