"""Pairs as they are looked at: input, output and truth side by side, ids in colours that stay apart."""

from __future__ import annotations

import pytest
import torch

from gan_zoo import media
from gan_zoo.media import pairs


def test_a_row_shows_input_output_and_truth_of_one_item_after_the_other() -> None:
    condition = torch.tensor([10, 20, 30, 40], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 6, 6)
    samples = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 6, 6) / 10
    cells, columns = pairs.in_rows(samples, samples + 0.5, {"condition": condition})
    assert cells.shape == (12, 3, 6, 6) and columns == 6
    assert torch.equal(cells[0], torch.full((3, 6, 6), 10 / 127.5 - 1))
    assert torch.equal(cells[4], samples[1]) and torch.equal(cells[11], samples[3] + 0.5)
    cells, columns = pairs.in_rows(samples, None, {"condition": condition})  # of real ones alone
    assert len(cells) == 8 and columns == 4
    wide = samples.repeat(1, 1, 1, 2)
    assert pairs.in_rows(wide, wide, {"condition": condition.repeat(1, 1, 1, 2)})[1] == 3


def test_pictures_whose_inputs_are_not_told_stand_in_the_columns_asked_for() -> None:
    sheet = media.medium_of("pair").render(
        torch.zeros(12, 3, 8, 8), None, 6, None
    )  # a sample and 5 near ones a row
    assert sheet.shape == (2 * 8 * 11 + 2, 6 * 8 * 11 + 10, 3)


def test_the_medium_of_pairs_puts_them_side_by_side() -> None:
    condition = torch.zeros(1, 8, 8, dtype=torch.uint8)
    samples = torch.ones(1, 3, 8, 8)
    sheet = media.medium_of("pair").render(samples, -samples, None, {"condition": condition})
    third = sheet.shape[1] // 3
    centres = [sheet[sheet.shape[0] // 2, third * part + third // 2].tolist() for part in range(3)]
    assert centres == [pairs.class_colours(8)[0].tolist(), [255] * 3, [0] * 3]


def test_ids_have_colours_that_stay_apart() -> None:
    colours = pairs.class_colours(35).double()
    distances = torch.cdist(colours, colours) + torch.eye(35) * 1e9
    assert float(distances.min()) > 12
    ids = torch.arange(35, dtype=torch.uint8).view(1, 5, 7)
    pictures = ((pairs.shown(ids) + 1) * 127.5).round().byte()
    assert torch.equal(pictures.flatten(2)[0].T, pairs.class_colours(35))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_shown_as_they_are_and_at_the_samples_size(channels: int) -> None:
    condition = torch.randint(0, 256, (2, channels, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    found = torch.from_numpy(media.as_bytes(pairs.shown(condition, (8, 8)))).permute(0, 3, 1, 2)
    assert torch.equal(found[:, :channels, ::2, 1::2], condition)


def test_what_is_not_known_of_a_picture_is_darker() -> None:
    condition = torch.full((1, 4, 2, 2), 200, dtype=torch.uint8)
    condition[:, 3] = torch.tensor([[255, 0], [255, 255]])
    levels = media.as_bytes(pairs.shown(condition))[0, :, :, 0]
    assert levels.tolist() == [[200, 80], [200, 200]]
