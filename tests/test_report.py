"""report.html: one file that opens from disk, says what the run directory holds, and asks the network for nothing."""

from __future__ import annotations

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_zoo import plain_yaml
from gan_zoo.config import compose
from gan_zoo.evaluation import blind, charts, record
from gan_zoo.evaluation.report import write_report
from gan_zoo.evaluation.reproduce import NOT_OF_THE_RUN, command_of
from gan_zoo.evaluation.wording import digits
from gan_zoo.metrics.features import raw_pixels
from gan_zoo.metrics.measures import take
from gan_zoo.metrics.subject import Reals, Subject
from gan_zoo.metrics.table import MEASURES
from gan_zoo.schema import CheckpointError

VOID = {"meta", "img", "input", "br", "line", "circle", "polyline"}
METRICS = "samples_seen,generator/total,discriminator/total,evaluation/modes\n64,1.5,0.5,\n128,1.25,0.75,7\n192,1.0,nan,8\n"


class Outline(HTMLParser):
    """Ids, addresses and texts of a page; complains about elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.islands: dict[str, str] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {str(found["id"])} if "id" in found else set()
        self.addresses += [
            str(found[name])
            for name in ("src", "href", "action", "data", "poster", "srcset")
            if name in found
        ]
        if tag not in VOID:
            self.open.append(tag)
        self.island = found.get("id") if found.get("type") == "application/json" else None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.island:
            self.islands[str(self.island)] = data


def subject() -> Subject:
    def draw(n: int, seed: int) -> torch.Tensor:
        return 2 * torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) - 1

    return Subject(
        Reals(draw(60, 1), None), Reals(draw(40, 2), None), draw(50, 3), raw_pixels(), data="noise"
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory as training and evaluation leave it."""
    (tmp_path / "samples").mkdir()
    (tmp_path / "evaluation").mkdir()
    plain_yaml.save(compose(["model=dcgan", "max_samples=192"]), tmp_path / "config.yaml")
    (tmp_path / "metrics.csv").write_text(METRICS)
    for name in ("0000000000", "0000000192", "real"):
        Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "samples" / f"{name}.png")
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "evaluation" / "spectra.png")
    remark = {
        "symptom": "variety_lost",
        "samples_seen": 128,
        "advice": "look <img src=x onerror=alert(1)> here",
    }
    summary = {"finished": True, "error": None, "model": "dcgan", "samples_seen": 192, "max_samples": 192, "remarks": [remark],
               "versions": {"gan_zoo": "0.1.0"}, "git_commit": None, "parameters": {"generator": 12345}}  # fmt: skip
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    content = record.empty(
        {"model": "DCGAN", "data": "noise", "samples_seen": 192, "checkpoint": "00"}, {"n": 50}
    )
    for name in ("frechet", "birthday"):
        content["measures"][name] = record.entry(
            MEASURES[name].title, take(MEASURES[name], subject()), {}, 1.0
        )
    content["pictures"] = [{"file": "spectra.png", "caption": "A caption & more"}]
    record.write(tmp_path, content)
    (tmp_path / "evaluation" / blind.NAME).write_text(json.dumps(blind.make(subject(), "abc", pairs=4)))
    return tmp_path


def test_the_page_asks_the_network_for_nothing(run: Path) -> None:
    text = write_report(run).read_text()
    outline = Outline(text)
    assert outline.addresses and all(one.startswith(("data:image/", "#")) for one in outline.addresses)
    assert not re.search(
        r"https?:|//[a-z]+\.[a-z]|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text
    )
    assert "default-src 'none'" in text


def test_the_page_holds_what_the_run_holds(run: Path) -> None:
    outline = Outline(text := write_report(run).read_text())
    assert {"samples", "curves", "figures", "pictures", "remarks", "judge", "reproduce"} <= outline.ids
    frames = json.loads(outline.islands["frames"])
    assert [frame["samples"] for frame in frames] == [0, 192]
    figure = record.figures(run)["frechet_distance"]
    assert f'<span class="value">{digits(figure.value)}</span>' in text and figure.floor is not None
    assert digits(figure.floor) in text and "12,345" in text and "A caption &amp; more" in text
    assert "python -m gan_zoo.train model=dcgan data=digits max_samples=192" in text
    assert text.count("data-chart=") == 3  # both losses, and the figure measured during training


def test_nothing_from_a_file_becomes_markup(run: Path) -> None:
    text = write_report(run).read_text()
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;" in text
    test = json.loads((run / "evaluation" / blind.NAME).read_text())
    test["identity"] = "</script><b>"
    (run / "evaluation" / blind.NAME).write_text(json.dumps(test))
    assert json.loads(Outline(write_report(run).read_text()).islands["blind"])["identity"] == "</script><b>"


def test_a_report_can_be_written_before_anything_else_is_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run directory"):
        write_report(tmp_path)
    plain_yaml.save(compose(["model=dcgan"]), tmp_path / "config.yaml")
    outline = Outline(text := write_report(tmp_path).read_text())
    assert "Not evaluated yet" in text and outline.ids & {"samples", "curves", "judge"} == set()


def test_the_page_names_the_regulariser(run: Path) -> None:
    assert "regulariser" not in write_report(run).read_text().partition("</ul>")[0]
    plain_yaml.save(compose(["model=dcgan", "regularizer=r1_r2"]), run / "config.yaml")
    assert "<li><b>r1 + r2</b> regulariser</li>" in write_report(run).read_text()


def test_saved_answers_are_scored_and_strange_ones_named(run: Path) -> None:
    test = json.loads((run / "evaluation" / blind.NAME).read_text())
    right = {
        "identity": "abc",
        "said": {str(i): "real" if one["real"] else "fake" for i, one in enumerate(test["items"])},
        "ranked": [],
    }
    (run / "evaluation" / "answers-ann.json").write_text(json.dumps(right))
    (run / "evaluation" / "answers-bob.json").write_text(json.dumps({**right, "identity": "other"}))
    (run / "evaluation" / "answers-eve.json").write_text(json.dumps({**right, "said": {"99": "real"}}))
    ann, bob, eve = blind.saved_scores(run / "evaluation")
    assert ann["accuracy"] == 1.0 and ann["answers"] == 8 and ann["p_value"] == pytest.approx(2 / 256)
    assert "other pictures" in bob["error"] and eve["error"]
    text = write_report(run).read_text()
    assert "answers-ann.json" in text and "other pictures" in text


def test_frames_are_an_even_choice_within_the_budget(run: Path) -> None:
    for position in range(1000, 101_000, 1000):
        Image.fromarray(np.full((8, 8), 7, np.uint8)).save(run / "samples" / f"{position:010d}.png")
    frames = json.loads(Outline(write_report(run).read_text()).islands["frames"])
    assert len(frames) == 40 and frames[0]["samples"] == 0 and frames[-1]["samples"] == 100_000


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=dcgan"],
        ["model=cgan", "seed=3", "max_samples=1000", "model.optimizer.generator.betas=[0.0, 0.9]"],
        ["model=dcgan", "loss=rpgan", "regularizer=none", "data.class_weights=[1,1,1,1,1,1,1,1,1,5]"],
        ["experiment=cgan_dcgan"],
    ],
    ids=" ".join,
)
def test_the_command_composes_to_the_config(overrides: list[str]) -> None:
    config = compose(overrides)
    command, exact = command_of(config)
    again = compose(shlex.split(command)[3:])
    assert exact and {**again, "output_dir": None} == config
    assert not any(f" {key}=" in command for key in NOT_OF_THE_RUN)


def test_a_class_of_ones_own_is_no_command_that_works() -> None:
    config = compose(["model=dcgan"])
    config["model"] = {"_target_": "mine.Model"}
    assert command_of(config)[1] is False


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-1.1, 1.1, [-1, -0.5, 0, 0.5, 1]),
        (0.93, 1.05, [0.94, 0.96, 0.98, 1, 1.02, 1.04]),
    ],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.5, "−0.500"),
        (1234.5, "1,234"),
        (26, "26"),
        (0, "0"),
        (4.2e-7, "4.20e−07"),
        (float("inf"), "∞"),
        (float("nan"), "n/a"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_a_chart_places_its_points() -> None:
    x, y = np.array([0.0, 100.0]), np.array([1.0, 3.0])
    figure = charts.chart(charts.Panel("A <b>", {"one": "y"}), {"samples_seen": x, "y": y})
    (raw,) = re.findall(r'class="raw s0" points="([^"]+)"', figure)
    first, last = (tuple(map(float, point.split(","))) for point in raw.split())
    assert first[0] == charts.LEFT and last[0] == charts.WIDTH - charts.RIGHT
    assert first[1] > last[1] and first[1] - last[1] < charts.HEIGHT  # larger values stand higher
    assert "A &lt;b&gt;" in figure
    assert charts.chart(charts.Panel("none", {"one": "absent"}), {"samples_seen": x}) == ""
