"""The command itself, in processes of its own, as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from PIL import Image

import gan_zoo
from gan_zoo import checkpoint, plain_yaml

from .test_zoo import same

SMALL = [
    "model=vanilla",
    "data=ring",
    "data.size=1000",
    "log_every=640",
    "sample_every=1280",
    "checkpoint_every=1280",
    "logger=csv",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]


def command(*arguments: str, module: str = "train") -> list[str]:
    return [sys.executable, "-m", f"gan_zoo.{module}", *arguments]


def train(*arguments: str, code: int = 0, module: str = "train") -> str:
    done = subprocess.run(
        command(*arguments, module=module), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


CLOCKS = ("seconds", "images_per_second", "seconds_per_kimg")


def without_clocks(run: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in rows(run)]


def last(run: Path) -> dict[str, Any]:
    return checkpoint.read(run / "checkpoints/last.ckpt")


def equal_runs(one: Path, other: Path) -> bool:
    pictures = [sorted((run / "samples").glob("*.png")) for run in (one, other)]
    names = [[path.name for path in found] for found in pictures]
    return (
        all(same(last(one)[key], last(other)[key]) for key in ("state", "optimizers"))
        and without_clocks(one) == without_clocks(other)
        and names[0] == names[1]
        and all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(*SMALL, "max_samples=6400", f"output_dir={run}")
    return run


def test_a_run_directory_explains_itself(whole: Path) -> None:
    for name in (
        "config.yaml",
        "metrics.csv",
        "network.txt",
        "samples.gif",
        "losses.png",
        "summary.json",
        "checkpoints/last.ckpt",
        "samples/real.png",
        "samples/0000000000.png",
        "samples/0000006400.png",
    ):
        assert (whole / name).is_file(), name
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["finished"] and summary["samples_seen"] == 6400 and summary["seed"] == 0
    gan = gan_zoo.load(whole)
    for player in ("generator", "discriminator"):
        assert summary["parameters"][player] == sum(p.numel() for p in getattr(gan, player).parameters())
    assert [int(row["samples_seen"]) // 640 for row in rows(whole)][-1] == 10
    assert plain_yaml.plain(whole / "config.yaml")["trainer"]["precision"] == "32-true"
    with Image.open(whole / "samples/0000006400.png") as picture:
        assert min(picture.size) >= 512


def test_killed_and_resumed_twice_it_ends_as_if_never_interrupted(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [*SMALL, "max_samples=6400", f"output_dir={run}"]
    for _ in range(2):
        with subprocess.Popen(
            command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            seen = len(checkpoint.all_of(run / "checkpoints")) and checkpoint.all_of(run / "checkpoints")[0]
            deadline = time.time() + 120
            while time.time() < deadline and process.poll() is None:
                found = checkpoint.all_of(run / "checkpoints")
                if found and found[0] != seen:
                    break
                time.sleep(0.005)
            process.kill()
        arguments = [f"resume={run}"]
    train(f"resume={run}")
    assert equal_runs(whole, run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_a_checkpoint_and_its_exit_code(number: int, code: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen(
        command(*SMALL, "max_samples=10_000_000", f"output_dir={run}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.time() + 120
        while not (run / "metrics.csv").exists() and time.time() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert (
        last(run)["state"]["_extra_state"]["samples_seen"]
        == json.loads((run / "summary.json").read_text())["samples_seen"]
        > 0
    )


SLOW_DATA = """
import time
from gan_zoo.data.toy import Ring
class SlowRing(Ring):
    def train_set(self):
        print("reading", flush=True)
        for _ in range(600):  # not one sleep: a signal just before it begins would wait for its end
            time.sleep(0.1)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_the_first_step_ends_the_run_at_once_with_its_exit_code(
    number: int, code: int, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW_DATA)
    with subprocess.Popen(
        command(*SMALL, "data._target_=slow.SlowRing", f"output_dir={tmp_path}/run"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    ) as process:
        while "reading" not in process.stdout.readline():  # type: ignore[union-attr]
            assert process.poll() is None
        process.send_signal(number)
        started = time.time()
        _, errors = process.communicate(timeout=50)
    assert process.returncode == code and time.time() - started < 40 and "Traceback" not in errors, errors
    assert not checkpoint.all_of(tmp_path / "run/checkpoints")


def test_torchrun_without_the_number_of_devices_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    """Else each process would be a run of its own, and all of them write into one directory."""
    arguments = command(*SMALL, "max_samples=640", f"output_dir={tmp_path}/run")[1:]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *arguments]
    done = subprocess.run(torchrun, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "torchrun started 2 processes, but trainer.devices=1" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_going_on_is_not_written_to_by_another(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen(
        command(*SMALL, "max_samples=10_000_000", f"output_dir={run}"), stdout=subprocess.DEVNULL
    ) as process:
        while not (run / "checkpoints").exists() or not checkpoint.all_of(run / "checkpoints"):
            assert process.poll() is None
            time.sleep(0.02)
        said = train(f"resume={run}", code=2)
        process.kill()
    assert f"another run (process {process.pid} on " in said


def test_a_resumed_run_takes_keys_of_its_own_choices(whole: Path) -> None:
    """data.std is a key of ring, not of the default data; choosing what the run has already changes nothing."""
    said = train(f"resume={whole}", "data.std=0.5", code=2)
    assert "data.std: " in said and "-> 0.5" in said and "cannot go on" in said
    assert "already finished" in train(f"resume={whole}", "model=vanilla", "data=ring", "data.workers=1")


def test_what_would_make_a_continuation_meaningless_is_refused(whole: Path) -> None:
    said = train(f"resume={whole}", "model.n_critic=3", "data.batch_size=128", code=2)
    assert "model.n_critic: 1 -> 3" in said and "data.batch_size" in said and f"init_from={whole}" in said
    assert "already finished" in train(f"resume={whole}")


def test_a_finished_run_keeps_its_target(whole: Path) -> None:
    before = (whole / "config.yaml").read_text()
    for fewer in ("64", "0"):
        train(f"resume={whole}", f"max_samples={fewer}")
        assert (whole / "config.yaml").read_text() == before
    said = train(*SMALL, f"output_dir={whole}", code=2)
    assert f"resume={whole}" in said


def test_the_callbacks_of_a_run_go_on_with_it(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def measured() -> list[int]:
        return [int(row["samples_seen"]) // 640 for row in rows(run) if row["evaluation/frechet_distance"]]

    told = [
        "callbacks=evaluation",
        "callbacks.evaluation.every=640",
        "callbacks.evaluation.metrics=[frechet]",
    ]
    train(*SMALL, *told, "max_samples=1280", f"output_dir={run}")
    assert "changed on resume: callbacks" not in train(f"resume={run}", "max_samples=2560")
    assert measured() == [1, 2, 3, 4]
    train(f"resume={run}", "max_samples=3840", "callbacks.evaluation.every=1280")
    assert measured() == [1, 2, 3, 4, 6]
    train(f"resume={run}", "max_samples=4480", "callbacks=default")
    assert plain_yaml.plain(run / "config.yaml")["callbacks"] == {} and measured() == [1, 2, 3, 4, 6]


def test_two_processes_train_a_run_together(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(*SMALL, "max_samples=3200", "trainer.devices=2", f"output_dir={run}")
    assert json.loads((run / "summary.json").read_text())["samples_seen"] == 3200
    columns = [int(row["samples_seen"]) for row in rows(run)]
    assert columns == sorted(set(columns))


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the run in /proc")
def test_a_process_that_dies_ends_the_others_and_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = command(*SMALL, "max_samples=10_000_000", "trainer.devices=2", f"output_dir={run}")
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "metrics.csv").exists():
            assert process.poll() is None
            time.sleep(0.05)
        ranks = {environment(pid).get("RANK"): pid for pid in children(process.pid)}
        os.kill(ranks["1"], signal.SIGKILL)
        started = time.time()
        _, errors = process.communicate(timeout=120)
    assert (
        time.time() - started < 60
    )  # two seconds on a free machine; without torchrun's watch it would be for ever
    assert process.returncode == 1 and re.search(r"process 1 of the run .*SIGKILL", errors), errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())


FAILING = """
from lightning.pytorch import Callback
from gan_zoo.schema import DataError
class Failing(Callback):
    def on_train_batch_start(self, trainer, gan, *_):
        if trainer.global_rank == 1 and gan.iteration == 5:
            raise DataError("pictures/7.png", "is cut off")
"""


def test_a_mistake_that_one_process_meets_is_told_without_the_traces_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(FAILING)
    done = subprocess.run(
        command(*SMALL, "trainer.devices=2", "callbacks.mine={_target_: planted.Failing}",
                f"output_dir={tmp_path}/run"),
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode in (1, 2) and "error: pictures/7.png: is cut off" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the run in /proc")
def test_a_process_that_hangs_is_named_and_ended_after_the_timeout(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = command(
        *SMALL, "max_samples=10_000_000", "trainer.devices=2", "trainer.timeout=5", f"output_dir={run}"
    )
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "metrics.csv").exists():
            assert process.poll() is None
            time.sleep(0.05)
        ranks = {environment(pid).get("RANK"): pid for pid in children(process.pid)}
        os.kill(ranks["1"], signal.SIGSTOP)
        started = time.time()
        _, errors = process.communicate(timeout=180)
    assert 5 < time.time() - started < 120  # 11 s on a free machine; without a timeout it would be for ever
    assert process.returncode == 1 and "Traceback" not in errors, errors
    assert f"process 0 waited 5 s, but process 1 (pid {ranks['1']} on " in errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())


def children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [inner for child in found for inner in children(child)]


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_sweep_trains_what_it_says(devices: int, tmp_path: Path) -> None:
    processes = [f"trainer.devices={devices}", "trainer.accelerator=cpu"]
    said = train(
        "-m", *SMALL, *processes, "max_samples=640", "seed=0,1", f"output_dir={tmp_path}/run-${{seed}}"
    )
    assert said.count(f"vanilla on ring, {devices} process(es) on cpu") == 2
    configs = [plain_yaml.plain(tmp_path / f"run-{seed}/config.yaml") for seed in (0, 1)]
    assert [config["seed"] for config in configs] == [0, 1]
    assert [config["trainer"]["devices"] for config in configs] == [devices] * 2
    assert not torch.equal(
        gan_zoo.load(tmp_path / "run-0").sample(2), gan_zoo.load(tmp_path / "run-1").sample(2)
    )


def test_max_samples_0_composes_builds_describes_and_ends(tmp_path: Path) -> None:
    train(*SMALL, "max_samples=0", f"output_dir={tmp_path}/run")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (
        summary["samples_seen"] == 0
        and summary["parameters"]["generator"] > 0
        and (tmp_path / "run/config.yaml").is_file()
    )


def test_weights_of_a_run_start_another(whole: Path, tmp_path: Path) -> None:
    said = train(*SMALL, "max_samples=640", f"init_from={whole}", f"output_dir={tmp_path}/run")
    assert (
        "100% of the generator's weights, 100% of the discriminator's weights; 0 tensors stay as new" in said
    )
    train(f"run={whole}", module="export")
    assert torch.equal(
        gan_zoo.load(whole / "export").sample(5, seed=1), gan_zoo.load(whole).sample(5, seed=1)
    )


def test_weights_of_another_size_of_picture_start_no_other_run(tmp_path: Path) -> None:
    """Only some of D's layers have the same shapes: a new G against a trained D is no fine-tuning."""
    dcgan = ["model=dcgan", "data=digits", *SMALL[2:], "max_samples=0"]
    dcgan = [text for text in dcgan if not text.startswith("data.size")]
    train(*dcgan, "data.resolution=16", "max_samples=64", "data.batch_size=64", f"output_dir={tmp_path}/run")
    said = train(
        *dcgan, "data.resolution=32", f"init_from={tmp_path}/run", f"output_dir={tmp_path}/new", code=2
    )
    assert "none of G's weights fits this DCGAN" in said and "data.resolution=16" in said
    assert not (tmp_path / "new").exists()


def test_a_sweep_into_one_directory_is_refused_before_its_first_trial(tmp_path: Path) -> None:
    said = train("-m", *SMALL, "seed=0,1", f"output_dir={tmp_path}/sweep", code=2)
    assert "is one folder for all trials of the sweep" in said and not (tmp_path / "sweep").exists()


OWN = """
from gan_zoo.data.toy import Ring
from gan_zoo.models.vanilla import Vanilla
class MyRing(Ring): pass
class MyGAN(Vanilla): pass
"""


def test_classes_of_ones_own_are_read_from_files_where_the_command_line_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    run = tmp_path / "run"
    mine = ["+model._target_=own.MyGAN", "~model.name", "data._target_=own.MyRing"]
    said = train(*SMALL, *mine, "max_samples=640", f"output_dir={run}")
    assert "MyGAN on ring" in said
    assert "on the command line by trust=own.MyGAN" in train(f"run={run}", "n=4", module="sample", code=2)
    train(f"run={run}", "n=4", "trust=own.MyGAN", module="sample")
    measured = [f"run={run}", "n=100", "metrics=[modes]", "trust=own.MyGAN"]
    assert "if it is yours, add trust=own.MyRing" in train(*measured, module="evaluate", code=2)
    measured[-1] += ",own.MyRing"
    train(*measured, module="evaluate")
    assert (run / "evaluation.json").is_file()


def test_samples_from_the_command_line(whole: Path, tmp_path: Path) -> None:
    train(f"run={whole}", "n=100", f"output={tmp_path}/points.png", module="sample")
    with Image.open(tmp_path / "points.png") as picture:
        assert min(picture.size) >= 512
    assert "did you mean view?" in train(f"run={whole}", "veiw=grid", module="sample", code=2)


def test_the_profile_names_what_a_step_spends_its_time_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gan_zoo.profile import main

    main(
        [
            "model=vanilla",
            "data=ring",
            "data.size=1000",
            "trainer.threads=1",
            "steps=3",
            "warm_up=1",
            f"output={tmp_path}",
        ]
    )
    assert "aten::addmm" in capsys.readouterr().out
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


@pytest.fixture
def fresh_wandb() -> Iterator[None]:
    """W&B reads its variables when it is first used in a process: it must not have been before, nor stay so after."""
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.mark.parametrize("key", ["", "0" * 40], ids=["without a key", "without a server"])
def test_where_wandb_cannot_be_had_the_run_is_logged_offline(
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fresh_wandb: None,
) -> None:
    from gan_zoo import loggers, run
    from gan_zoo.config import compose, validate

    for name, value in {"MODE": "online", "BASE_URL": "http://127.0.0.1:9", "API_KEY": key}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr(loggers, "WANDB_PATIENCE", 1.0)
    choices = [text for text in SMALL if text != "logger=csv"]
    settings = [*choices, "logger=wandb", "max_samples=640", f"output_dir={tmp_path / 'run'}"]
    assert run.train(validate(compose(settings))) == 0
    assert capsys.readouterr().out.count("this run is logged offline") == 1
    assert wandb.run is None  # a next trial begins its own
    assert [path.suffix for path in (tmp_path / "run/wandb").glob("offline-run-*/run-*")] == [".wandb"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a worker as POSIX does")
def test_a_data_worker_that_is_killed_ends_the_run_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gan_zoo import run
    from gan_zoo.config import compose, validate
    from gan_zoo.data import stream

    def dies(*_: Any) -> None:
        time.sleep(1)  # torch does not hear of a worker that dies before it is watched; the timeout does
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(stream._Told, "__getitems__", dies)
    settings = [
        *SMALL,
        "data.workers=1",
        "trainer.timeout=20",
        "max_samples=640",
        f"output_dir={tmp_path / 'run'}",
    ]
    assert run.train(validate(compose(settings))) == 1
    said = capsys.readouterr().err
    assert "error: a process that reads the data (data.workers=1) did not go on" in said
    assert f"resume={tmp_path / 'run'}" in said and "Traceback" not in said
    assert "DataLoader" in json.loads((tmp_path / "run" / "summary.json").read_text())["error"]


def test_a_finished_run_has_its_report_and_a_failing_report_fails_no_run(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert "Finished: 6,400 of 6,400 samples" in page and "Not evaluated yet" in page
    from gan_zoo import run
    from gan_zoo.config import compose, validate
    from gan_zoo.evaluation import report

    def fails(directory: Path) -> Path:
        raise ValueError("no ink")

    monkeypatch.setattr(report, "write_report", fails)
    assert run.train(validate(compose([*SMALL, "max_samples=640", f"output_dir={tmp_path / 'run'}"]))) == 0
    assert "report.html was not written: ValueError: no ink" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["finished"] is True
