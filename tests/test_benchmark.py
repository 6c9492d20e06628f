"""A declared grid runs, goes on where it stopped, and its table says what came out, failures too."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
import yaml

from gan_zoo import benchmark
from gan_zoo.benchmark import grid as grids
from gan_zoo.benchmark import measures, plots, pool, tables, trial
from gan_zoo.run import owned
from gan_zoo.schema import ConfigError

EXPERIMENTS = sorted(
    file.parent.relative_to(grids.CHECKOUT).as_posix() for file in grids.CHECKOUT.rglob("grid.yaml")
)
TINY: dict[str, Any] = {
    "title": "Tiny",
    "question": "Does it run?",
    "overrides": [
        "model=vanilla", "logger=csv", "trainer.accelerator=cpu", "data.size=200", "data.batch_size=20",
        "model.generator.units=[8]", "model.discriminator.units=[8]", "sample_every=1000", "log_every=100",
    ],
    "data": {"ring": {"label": "Ring", "overrides": ["data=ring"]}},
    "rows": {
        "plain": {"label": "Plain", "overrides": ["loss=non_saturating"]},
        "squares": {"label": "Squares", "overrides": ["loss=least_squares"]},
        "broken": {"label": "Broken", "overrides": ["init_from=/nowhere"]},
    },
    "budgets": {"quick": {"description": "100 samples", "seeds": 2, "overrides": ["max_samples=100"]}},
    "measure": {"metrics": ["modes"], "n": 100},
    "figures": {
        "high_quality": {"label": "good", "better": "higher", "unit": "%", "decimals": 3},
        "reverse_kl": {"label": "KL", "better": "lower", "decimals": 3},
    },
    "published": [
        {"data": "ring", "row": "plain", "label": "GAN", "source": "Nobody 2099", "protocol": "2,500 samples",
         "status": "recalled", "figures": {"high_quality": 0.982}, "deviations": {"high_quality": 0.002}},
        {"data": "ring", "label": "OtherGAN", "source": "Nobody 2099", "protocol": "2,500 samples",
         "status": "seen", "figures": {"reverse_kl": 0.07}},
    ],
}  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump({**TINY, **changes}, sort_keys=False))
    return folder


def run(folder: Path, **arguments: Any) -> int:
    """Exit code of the command."""
    try:
        benchmark.main(experiment=str(folder), workers=2, runs=str(folder / "runs"), **arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def results(folder: Path) -> dict[str, int]:
    """When each result was written, by trial."""
    files = (folder / "runs").rglob("result.json")
    return {str(file.parent.relative_to(folder / "runs")): file.stat().st_mtime_ns for file in files}


def of_seed(row: Path, seed: int) -> Path:
    """The directory of a row's only trial of a seed."""
    [found] = row.glob(f"seed-{seed}-*")
    return found


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("benchmark") / "tiny")
    assert run(folder) == 1  # as one row is broken
    return folder


def test_mean_and_deviation_are_numpys(ran: Path) -> None:
    trials = lines(ran / "quick/trials.csv")
    table = (ran / "quick/table.md").read_text(encoding="utf-8")
    measured = [
        line for line in lines(ran / "quick/table.csv") if line["kind"] == "measured" and line["seeds"] != "0"
    ]
    assert len(measured) == 4
    for line in measured:
        values = [float(one[line["figure"]]) for one in trials if one["method"] == line["method"]]
        assert len(values) == int(line["seeds"]) == 2
        mean, deviation = np.mean(values), np.std(values, ddof=1)
        assert float(line["mean"]) == pytest.approx(mean, rel=1e-12)
        assert float(line["deviation"]) == pytest.approx(deviation, rel=1e-12)
        scale = 100 if line["figure"] == "high_quality" else 1
        assert f" {scale * mean:.3f} ± {scale * deviation:.3f} " in table


def test_seeds_differ_and_each_result_says_how_it_was_made(ran: Path) -> None:
    found = [
        json.loads((of_seed(ran / "runs/tiny/quick/ring/plain", seed) / "result.json").read_text())
        for seed in (0, 1)
    ]
    assert found[0]["figures"]["reverse_kl"] != found[1]["figures"]["reverse_kl"]
    assert found[0]["fingerprint"] != found[1]["fingerprint"]
    for result in found:
        assert result["samples_seen"] == 100
        assert result["error"] is None
        assert {"torch", "lightning", "gan_zoo", "python"} <= result["versions"].keys()
        assert result["total_seconds"] > result["seconds"] > 0


def test_a_failing_trial_is_told_with_its_error_and_stops_no_other(ran: Path) -> None:
    table = (ran / "quick/table.md").read_text(encoding="utf-8")
    assert "| Broken | 0 of 2, 2 failed | – | – |" in table
    assert "* ring / broken / seed 1: CheckpointError: /nowhere: not found" in table
    assert "4 of 6 finished, 2 failed" in table
    errors = [line["error"] for line in lines(ran / "quick/trials.csv")]
    assert sum(map(bool, errors)) == 2


def test_published_figures_are_marked_with_source_protocol_and_who_read_them(ran: Path) -> None:
    table = (ran / "quick/table.md").read_text(encoding="utf-8")
    assert "| GAN: good 98.200 ± 0.200 [a] |" in table
    assert "| OtherGAN | 0.070 | [b] |" in table
    assert "* [a] Nobody 2099; 2,500 samples (recalled, not checked)" in table
    theirs = [line for line in lines(ran / "quick/table.csv") if line["kind"] == "published"]
    assert [(line["method"], line["mean"], line["deviation"]) for line in theirs] == [
        ("plain", "0.982", "0.002"), ("OtherGAN", "0.07", "")]  # fmt: skip


def test_the_table_says_command_budget_and_machine_and_has_its_pictures(ran: Path) -> None:
    table = (ran / "quick/table.md").read_text(encoding="utf-8")
    assert f"python -m gan_zoo.benchmark experiment={ran} budget=quick" in table
    assert "Budget `quick`: 100 samples" in table
    assert f"{os.cpu_count()} CPUs" in table
    assert all((ran / "quick" / name).stat().st_size > 1000 for name in ("figures.png", "samples.png"))


@pytest.mark.parametrize(("columns", "lines_of_panels", "panels"), [(10, 1, 3), (2, 2, 2)])
def test_samples_of_many_rows_go_on_in_another_line(
    ran: Path, monkeypatch: pytest.MonkeyPatch, columns: int, lines_of_panels: int, panels: int
) -> None:
    monkeypatch.setattr(plots, "COLUMNS", columns)
    grid = grids.read(ran)
    trials = grids.trials(grid, grid.budgets["quick"], ran / "runs/tiny/quick", 2)
    table = tables.Table(grid, "quick", grid.budgets["quick"], trials, "")
    height, width = imageio.imread(plots.samples(table)).shape[:2]
    assert width == pytest.approx(panels * 1.9 * 110, rel=0.1)
    assert height == pytest.approx(lines_of_panels * 2.4 * 110, rel=0.15)


def test_a_second_call_runs_what_is_missing_and_nothing_else(ran: Path) -> None:
    good = ["plain", "squares"]
    before, table = results(ran), lines(ran / "quick/table.csv")
    assert run(ran, rows=good) == 0
    assert results(ran) == before
    assert "2 failed" in (ran / "quick/table.md").read_text(
        encoding="utf-8"
    )  # of the row that was not asked for
    gone = of_seed(ran / "runs/tiny/quick/ring/plain", 1)
    old = json.loads((gone / "result.json").read_text())["figures"]
    (gone / "result.json").unlink()
    assert run(ran, rows=good) == 0
    after = results(ran)
    assert [name for name in after if after[name] != before[name]] == [str(gone.relative_to(ran / "runs"))]
    assert json.loads((gone / "result.json").read_text())["figures"] == old
    assert "resuming" in (gone / "log.txt").read_text()  # its checkpoint was there: nothing is trained twice
    assert [line["mean"] for line in lines(ran / "quick/table.csv")] == [line["mean"] for line in table]


def test_another_measure_does_not_train_again(ran: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ran, tmp_path / "tiny"))
    assert run(copy, rows=["plain"], seeds=1, measure={"n": 50}) == 0
    log = (of_seed(copy / "runs/tiny/quick/ring/plain", 0) / "log.txt").read_text()
    assert "already finished" in log
    assert "'measure={n: 50}'" in (copy / "quick/table.md").read_text(encoding="utf-8")


def test_other_settings_make_another_trial(tmp_path: Path) -> None:
    def fingerprints(**changes: Any) -> str:
        grid = grids.read(write(tmp_path, **changes))
        return grids.trials(grid, grid.budgets["quick"], tmp_path, 1)[0].fingerprint

    same = fingerprints()
    assert fingerprints(overrides=[*TINY["overrides"], "log_every=50"]) == same
    assert fingerprints(overrides=[*TINY["overrides"], "model.latent.size=3"]) != same
    assert fingerprints(measure={**TINY["measure"], "n": 200}) != same


def test_other_settings_leave_finished_trials_alone(ran: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ran, tmp_path / "tiny"))
    before = results(copy)
    kept = of_seed(copy / "runs/tiny/quick/ring/plain", 0) / "run/checkpoints/last.ckpt"
    stamp = kept.stat().st_mtime_ns
    assert run(copy, rows=["plain"], seeds=1, overrides=["max_samples=60"], output=str(tmp_path / "try")) == 0
    after = results(copy)
    assert {name: after[name] for name in before} == before and len(after) == len(before) + 1
    assert kept.stat().st_mtime_ns == stamp


def test_of_two_calls_at_one_trial_the_second_leaves_it_alone(
    ran: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(ran, tmp_path / "tiny"))
    place = of_seed(copy / "runs/tiny/quick/ring/plain", 0)
    (place / "result.json").unlink()
    log = (place / "log.txt").read_text()
    with owned(place):
        assert run(copy, rows=["plain"], seeds=1) == 1
    assert "not run: another call is at it" in capfd.readouterr().out
    assert (place / "log.txt").read_text() == log and not (place / "result.json").exists()
    assert run(copy, rows=["plain"], seeds=1) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child that its parent died")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time\nfrom pathlib import Path\nfrom gan_zoo.benchmark import pool\n"
        "def work(trial):\n"
        "    Path(sys.argv[1]).write_text(str(os.getpid()))\n"
        "    while True: time.sleep(0.05)\n"
        "pool.run(['one'], 1, work, print)\n"
    )
    note = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", script, str(note)])
    try:
        wait_for(lambda: note.is_file() and note.read_text().isdigit())
        worker = int(note.read_text())
        parent.kill()
        parent.wait()
        wait_for(lambda: not alive(worker))
    finally:
        parent.kill()


def alive(pid: int) -> bool:
    """A zombie that nobody waits for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(seen: Callable[[], bool]) -> None:
    for _ in range(1200):
        if seen():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_figure_that_some_trials_lack_says_of_how_many_it_is(ran: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ran, tmp_path / "tiny"))
    place = of_seed(copy / "runs/tiny/quick/ring/plain", 1) / "result.json"
    found = json.loads(place.read_text())
    found["figures"]["reverse_kl"] = None
    place.write_text(json.dumps(found))
    assert run(copy, rows=["plain", "squares"]) == 0
    [line] = [one for one in (copy / "quick/table.md").read_text().splitlines() if one.startswith("| Plain")]
    cells = line.split(" | ")
    assert cells[1] == "2" and cells[3].endswith("(1 of 2)") and "of" not in cells[2]


def test_the_printed_command_means_what_was_given() -> None:
    given = {
        "experiment": "a b",
        "budget": "quick",
        "seeds": None,
        "overrides": ["model.optimizer={generator: {betas: [0.0, 0.99]}}", "data.root=it's here", "x=1"],
        "measure": {"metrics": ["modes", "mmd"], "n": 50},
    }
    words = shlex.split(benchmark._written(given))
    assert words[:3] == ["python", "-m", "gan_zoo.benchmark"]
    back = {key: yaml.safe_load(value) for key, value in (word.split("=", 1) for word in words[3:])}
    assert back == {key: value for key, value in given.items() if value is not None}


def test_a_place_that_takes_no_table_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    folder = write(tmp_path / "grid")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no table can be written there"):
        benchmark.main.__wrapped__(
            experiment=str(folder), runs=str(tmp_path / "runs"), output=str(tmp_path / "file")
        )
    assert not results(tmp_path)


def test_missing_weights_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    measure = {**TINY["measure"], "features": "inception", "weights": str(tmp_path / "none.pth")}
    folder = write(tmp_path / "grid", measure=measure)
    with pytest.raises(ConfigError, match=r"none\.pth: Inception's weights are not there"):
        benchmark.main.__wrapped__(
            experiment=str(folder), runs=str(tmp_path / "runs"), output=str(tmp_path / "out")
        )
    assert not results(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rows: {plain: {label: A}, plain: {label: B}}", "the key 'plain' stands twice"),
        ("rows: {a/../b: {label: A}}", "rows.a/../b"),
        ("rows: {}", "at least 1 item"),
        ("data: {}", "at least 1 item"),
        ("figures: {}", "at least 1 item"),
    ],
)
def test_mistakes_in_a_grid_are_named(tmp_path: Path, text: str, words: str) -> None:
    key = text.split(":")[0]
    folder = write(tmp_path / "grid")
    rest = {name: value for name, value in TINY.items() if name != key}
    (folder / "grid.yaml").write_text(yaml.safe_dump(rest, sort_keys=False) + text + "\n")
    with pytest.raises(ConfigError, match=re.escape(words)):
        grids.read(folder)


def test_a_bar_in_a_label_breaks_no_table() -> None:
    assert tables._lined([["a|b", "c"]]) == "| a\\|b | c |"


def test_a_search_takes_other_seeds_than_the_table(tmp_path: Path) -> None:
    budgets = {"quick": {**TINY["budgets"]["quick"], "first_seed": 100}}
    folder = write(tmp_path / "search", budgets=budgets)
    grid = grids.read(folder)
    seeds = [item.seed for item in grids.trials(grid, grid.budgets["quick"], tmp_path, 2)]
    assert seeds == [100, 100, 100, 101, 101, 101]
    assert run(folder, rows=["plain"], seeds=1) == 0
    assert [name.split("-")[:2] for name in results(folder)] == [["search/quick/ring/plain/seed", "100"]]


def test_one_value_has_no_deviation_and_none_no_mean() -> None:
    assert tables.summarised([]) is None
    one = tables.summarised([0.5])
    assert one is not None
    assert one.mean == 0.5
    assert np.isnan(one.deviation)
    several = tables.summarised([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])  # squares of the gaps sum to 32
    assert several is not None
    assert several[:2] == pytest.approx((5.0, np.sqrt(32 / 7)))


def crash(item: grids.Trial) -> None:
    if item.seed == 1:
        os._exit(7)


@pytest.mark.skipif(sys.platform != "linux", reason="a spawned worker cannot import a test")
def test_a_crashed_worker_takes_one_trial_with_it() -> None:
    trials = [grids.Trial("ring", "row", seed, (), {}, "", "", Path()) for seed in range(4)]
    codes: dict[int, int] = {}
    pool.run(trials, 2, crash, lambda item, code: codes.update({item.seed: code}))
    assert codes == {0: 0, 1: 7, 2: 0, 3: 0}


def tell_the_parent_to_end(item: grids.Trial) -> None:
    (item.directory / "pid").write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)


@pytest.mark.skipif(sys.platform != "linux", reason="a spawned worker cannot import a test")
def test_sigterm_ends_the_workers_too(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    item = grids.Trial("ring", "row", 0, (), {}, "", "", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pool.run([item], 1, tell_the_parent_to_end, lambda item, code: None)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_unreadable_or_foreign_result_does_not_count(tmp_path: Path) -> None:
    item = grids.Trial("ring", "row", 0, (), {}, "", "abc", tmp_path)
    assert trial.finished(item) is None
    for text in ("{", "[]", json.dumps({"fingerprint": "other", "error": None})):
        (tmp_path / "result.json").write_text(text)
        assert trial.result(item) is None
    trial.record_failure(item, "two\nlines")
    assert trial.finished(item) is None
    assert (trial.result(item) or {})["error"] == "two lines"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rowz": {}}, "rowz"),
        (
            {"budgets": {"quick": {"description": "", "seeds": 1, "rows": {"plian": []}}}},
            "did you mean plain?",
        ),
        ({"published": [{**TINY["published"][0], "figures": {"fid": 1.0}}]}, "fid is not declared"),
        ({"published": [{**TINY["published"][0], "status": "sure"}]}, "status"),
    ],
)
def test_a_mistake_in_a_grid_is_told_by_its_key(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        grids.read(write(tmp_path, **changes))


def test_a_mistake_in_the_command_is_told_before_anything_runs(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny")
    for arguments, told in (
        ({"experiment": "mode_colapse"}, "did you mean mode_collapse"),
        ({"experiment": str(folder), "budget": "quik"}, "did you mean quick"),
        ({"experiment": str(folder), "rows": ["plian"]}, "did you mean plain"),
        ({"experiment": str(folder), "rows": ["plain"], "overrides": ["modle=vanilla"]}, "row plain: modle"),
        (
            {"experiment": str(folder), "rows": ["plain"], "measure": {"realz": 1}},
            "did you mean measure.reals",
        ),
        ({"experiment": str(folder), "measure": {"metrics": ["mode"]}}, "did you mean modes"),
        (
            {"experiment": str(write(tmp_path / "other", measure={"metrics": ["frechet"], "n": 9}))},
            "figures.high_quality: none",
        ),
    ):
        with pytest.raises(ConfigError, match=told):
            benchmark.main(**arguments, runs=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_row_of_every_budget_composes(experiment: str) -> None:
    grid = grids.read(grids.folder_of(experiment))
    assert ({"quick", "full"} if "/" not in experiment else {"quick"}) <= grid.budgets.keys()
    for budget in grid.budgets.values():
        settings = {**grid.measure, **budget.measure}
        measures.check(settings)
        measures.check_figures(grid.figures, [*grid.measure["metrics"], *settings["metrics"]])
        cells = [(data, row) for data in grid.data for row in grid.rows]
        for data, row in cells if len(grid.data) == 1 else [*cells[: len(grid.rows)], *cells[-1:]]:
            config = grids.composed(grids.overrides_of(grid, budget, data, row))
            assert config["trainer"]["threads"] == 1
