"""What a terminal and a log file say while a run goes on."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from gan_zoo.callbacks.progress import Progress, duration
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.gan import GAN

from ..games import play, points

LINE = re.compile(
    r" *(\d+) %  ([\d.]+) of ([\d.]+) images  [\d,]+ images/s(  D (-?\d+\.\d{3})  G (-?\d+\.\d{3}))?  .* left"
)


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=140, color_system=None), text


def test_without_a_terminal_a_line_each_tenth(tmp_path: Any) -> None:
    out, text = console(False)
    play(points(), 20, Recorder(tmp_path, 32), Progress(320, console=out))
    lines = text.getvalue().splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    assert [int(match[1]) for match in found if match] == list(range(10, 101, 10))
    assert [match[2] for match in found if match][-1] == "320" and all(match[4] for match in found if match)


def test_a_run_that_grows_tells_its_side() -> None:
    class Growing(type(points())):  # type: ignore[misc]
        def batch_plan(self, samples_seen: int) -> tuple[int, int]:
            return 16, 8 if samples_seen < 100 else 16

    out, text = console(False)
    gan = points()
    gan.__class__ = Growing
    play(gan, 10, Progress(160, console=out))
    sides = [re.search(r"images  (\d+) px  ", line)[1] for line in text.getvalue().splitlines()]  # type: ignore[index]
    assert sides == ["8"] * 6 + ["16"] * 4


def test_what_is_no_image_is_called_by_its_name() -> None:
    out, text = console(False)
    play(points(), 20, Progress(320, "lines", console=out))
    last = text.getvalue().splitlines()[-1]
    assert re.match(r"100 %  320 of 320 lines  [\d,]+ lines/s  ", last)


@pytest.mark.parametrize(
    ("most", "noun", "told"),
    [
        (9_999, "images", "1,234 of 9,999 images"),
        (10_000, "images", "1.2 of 10.0 kimg"),
        (280_000, "lines", "1.2 of 280.0 thousand lines"),
    ],
)
def test_long_runs_are_told_in_thousands(most: int, noun: str, told: str) -> None:
    assert Progress(most, noun)._text(1234, 0.0) == told


def test_without_a_terminal_a_line_each_so_many_seconds() -> None:
    out, text = console(False)
    play(points(), 9, Progress(10**9, seconds=0.0, console=out))
    assert len(text.getvalue().splitlines()) == 9
    out, text = console(False)
    play(points(), 9, Progress(10**9, seconds=1000.0, console=out))
    assert text.getvalue() == ""


def test_a_terminal_has_a_bar_with_both_losses(tmp_path: Any) -> None:
    out, text = console(True)
    play(points(), 20, Recorder(tmp_path, 32), Progress(320, refresh=0.0, console=out))
    last = [line for line in text.getvalue().splitlines() if " of 320 images" in line][-1]
    assert "100%" in last and "320 of 320 images" in last and re.search(r"D \d\.\d{3}  G \d\.\d{3}", last)


def test_the_figures_are_read_at_log_points_alone(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    figures = GAN.figures

    def counted(self: GAN) -> dict[str, float]:
        read.append(self.samples_seen)
        return figures(self)

    monkeypatch.setattr(GAN, "figures", counted)
    play(
        points(),
        10,
        Recorder(tmp_path, 64),
        Progress(160, refresh=0.0, seconds=0.0, console=console(True)[0]),
    )
    assert read == [16, 64, 128]


def test_a_resumed_run_shows_where_it_is() -> None:
    gan = points()
    gan.set_extra_state({"samples_seen": 160, "iteration": 10})
    out, text = console(False)
    play(gan, 4, Progress(320, console=out))
    assert [line.split()[0] for line in text.getvalue().splitlines()] == ["60", "70"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (100, "2 min"),
        (5300, "88 min"),
        (5400, "1 h 30 min"),
        (7140, "1 h 59 min"),
        (172000, "47 h 47 min"),
        (190000, "2 d 4 h"),
    ],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words
