"""All that watches a run, in two processes: one writes, both agree, none waits for ever."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gan_zoo.callbacks.description import Description
from gan_zoo.callbacks.doctor import Doctor
from gan_zoo.callbacks.pictures import Pictures
from gan_zoo.callbacks.progress import Progress
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.strategy import GradientAverage

from ..games import CloudData, points, trainer
from .test_description import CONFIG, read
from .test_recorder import bits


def watch(folder: Path, processes: int) -> None:
    strategy = GradientAverage(start_method="fork", process_group_backend="gloo") if processes > 1 else "auto"
    doctor, config = Doctor(), CONFIG | {"max_samples": 160}
    sgd = {"name": "sgd", "lr": 0.02}
    gan = points(optimizer={"generator": sgd, "discriminator": sgd})
    watching = [Recorder(folder, 32), Pictures(folder, 64, n=50), doctor, Progress(160)]
    fitted = trainer(
        160, *watching, Description(folder, config, doctor=doctor), devices=processes, strategy=strategy
    )
    fitted.fit(gan, CloudData(16))


@pytest.mark.ddp
@pytest.mark.skipif(sys.platform != "linux", reason="forks two gloo processes")
def test_two_processes_leave_the_directory_that_one_leaves(tmp_path: Path) -> None:
    for processes in (1, 2):
        watch(tmp_path / str(processes), processes)
    one, two = bits(tmp_path / "1"), bits(tmp_path / "2")
    assert [row["samples_seen"] for row in two] == ["16", "32", "64", "96", "128", "160"]
    for alone, shared in zip(one, two, strict=True):
        assert {name: float(value) for name, value in shared.items()} == {
            name: pytest.approx(float(value), rel=1e-4, abs=1e-6) for name, value in alone.items()
        }
    names = [
        sorted(str(path.relative_to(tmp_path / kind)) for path in (tmp_path / kind).rglob("*"))
        for kind in "12"
    ]
    assert names[0] == names[1] and "samples/0000000160.png" in names[1]
    summary = read(tmp_path / "2")
    assert summary["finished"] and summary["samples_seen"] == 160 and summary["generator_steps"] == 10
