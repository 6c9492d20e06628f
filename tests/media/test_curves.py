"""The table of a run, read and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_zoo import media


def test_the_table_is_read_without_what_a_killed_writer_left(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("samples_seen,a\n1,0.5\n2,0.25\n3,0.12")
    assert media.read_table(tmp_path / "m.csv") == (
        ["samples_seen", "a"],
        [{"samples_seen": "1", "a": "0.5"}, {"samples_seen": "2", "a": "0.25"}],
    )
    assert media.read_table(tmp_path / "none.csv") == ([], [])


@pytest.mark.parametrize(
    "rows",
    [
        ["1,,0.5,", "2,,nan,", "3,,inf,0.1"],  # holes, what is not finite, a column that comes late
        ["64,1.0,0.0,1e-3"],  # a single row, a zero on a logarithmic axis
        ["64,1.0,1.0,1.0", "128,1.0,1.0,1.0"],  # nothing changes
        [f"{i * 64},{i},{-i},{10.0 ** (i % 9)}" for i in range(50)],
    ],
)
def test_curves_are_drawn_whatever_the_table_holds(rows: list[str], tmp_path: Path) -> None:
    header = "samples_seen,generator/total,discriminator/total,generator/gradient_norm"
    (tmp_path / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    media.loss_curves(tmp_path / "metrics.csv", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as opened:
        assert opened.size == (1320, 836)


def test_no_table_no_curves(tmp_path: Path) -> None:
    media.loss_curves(tmp_path / "metrics.csv", tmp_path / "losses.png")
    assert not (tmp_path / "losses.png").exists()


def test_terms_are_drawn_with_the_total_first_and_never_twice() -> None:
    columns = [
        "samples_seen",
        "generator/adversarial",
        "generator/gradient_norm",
        "generator/total",
        "discriminator/fake",
        "discriminator/gradient_penalty",
        "discriminator/real",
        "discriminator/total",
        "discriminator/accuracy_real",
    ]
    assert list(media.terms_of("generator", columns)) == ["total"]  # its one term is the total
    assert list(media.terms_of("discriminator", columns)) == ["total", "fake", "gradient penalty", "real"]


def test_smoothing_keeps_constants_and_straight_lines_inside() -> None:
    assert np.allclose(media.smoothed(np.full(300, 2.5)), 2.5)
    line = np.arange(300.0)
    assert np.allclose(media.smoothed(line)[20:-20], line[20:-20])
    assert media.smoothed(np.array([1.0, 5.0])).tolist() == [1.0, 5.0]
