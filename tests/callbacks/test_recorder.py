"""metrics.csv: which rows, which numbers, and that neither kill nor resume is seen in it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from gan_zoo.callbacks.recorder import Recorder, Watcher, ordered, undisturbed
from gan_zoo.schema import ConfigError

from ..games import ADAM, SEPARATE, CloudData, play, points, trainer
from .offline import wandb_records

WALL_CLOCK = ("seconds", "images_per_second", "seconds_per_kimg")
FIGURES = {
    "discriminator": {
        "accuracy_fake",
        "accuracy_real",
        "fake",
        "gradient_norm",
        "learning_rate",
        "logit_fake",
        "logit_real",
        "loss_variance",
        "real",
        "total",
    },
    "generator": {"adversarial", "gradient_norm", "learning_rate", "total"},
}


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def bits(folder: Path) -> list[dict[str, str]]:
    """All that must be the same on each run."""
    return [{name: value for name, value in row.items() if name not in WALL_CLOCK} for row in table(folder)]


def positions(folder: Path) -> list[int]:
    return [int(row["samples_seen"]) for row in table(folder)]


class Spy(Watcher):
    """What the watchers are told, and at which positions the module was observed."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []
        self.observed: list[int] = []

    def on_figures(self, trainer: Any, gan: Any, figures: dict[str, float]) -> None:
        self.told.append((gan.samples_seen, dict(figures)))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.observing:
            self.observed.append(pl_module.samples_seen)


class StateAt(Callback):
    """The states that a checkpoint at one position would hold; acts last, as what saves does."""

    def __init__(self, at: int, *of: Callback) -> None:
        self.at, self.of, self.found = at, of, {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.samples_seen == self.at:
            state = {
                name: value.clone() if isinstance(value, torch.Tensor) else value
                for name, value in pl_module.state_dict().items()
            }
            optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
            self.found = {
                "gan": state,
                "optimizers": torch.utils._pytree.tree_map(
                    lambda x: x.clone() if isinstance(x, torch.Tensor) else x, optimizers
                ),
                "callbacks": [callback.state_dict() for callback in self.of],
            }


class Restored(Callback):
    """Puts back what StateAt found, when the optimisers exist."""

    def __init__(self, found: dict[str, Any], *to: Callback) -> None:
        self.found, self.to = found, to

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        pl_module.load_state_dict(self.found["gan"])
        for optimizer, state in zip(trainer.optimizers, self.found["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for callback, state in zip(self.to, self.found["callbacks"], strict=True):
            callback.load_state_dict(state)


def test_a_row_for_each_multiple_and_for_the_first_step(tmp_path: Path) -> None:
    spy = Spy()
    play(points(), 12, Recorder(tmp_path, 40), spy)  # steps end at 16, 32, 48, ... 192
    assert positions(tmp_path) == [
        16,
        48,
        80,
        128,
        160,
    ]  # 16 first, then 40, 80, 120, 160 are reached or passed
    assert spy.observed == positions(tmp_path) == [at for at, _ in spy.told]


def test_the_row_holds_the_figures_of_its_own_step_to_the_last_bit(tmp_path: Path) -> None:
    spy = Spy()
    play(points(), 12, Recorder(tmp_path, 64), spy)
    for row, (at, figures) in zip(table(tmp_path), spy.told, strict=True):
        assert int(row["samples_seen"]) == at
        assert {name: float(row[name]) for name in figures} == figures
    names = set(spy.told[-1][1])
    assert names == {f"{player}/{name}" for player, own in FIGURES.items() for name in own}


def test_columns_stand_in_a_fixed_order(tmp_path: Path) -> None:
    play(points(), 3, Recorder(tmp_path, 16))
    names = list(table(tmp_path)[0])
    clocks = ["seconds_per_kimg", "images_per_second", "seconds"]
    assert names[0] == "samples_seen" and names[-3:] == clocks
    assert ordered(set(names) | {"metric"}) == [*names[:-3], "metric", *clocks]
    assert [name.split("/")[0] for name in names[1:-3]] == ["generator"] * 4 + ["discriminator"] * 10


@pytest.mark.parametrize(
    ("log_every", "rows"), [(1000, [16, 192]), (80, [16, 80, 160, 192]), (64, [16, 64, 128, 192])]
)
def test_a_run_that_ends_says_where_it_ended(tmp_path: Path, log_every: int, rows: list[int]) -> None:
    spy = Spy()
    play(points(), 12, Recorder(tmp_path, log_every, 192), spy)
    assert positions(tmp_path) == rows == spy.observed == [at for at, _ in spy.told]


def test_a_last_row_does_not_wait_for_the_generator(tmp_path: Path) -> None:
    play(points(n_critic=5), 6, Recorder(tmp_path, 1000, 96))  # G plays in the step that ends at 80
    assert positions(tmp_path) == [16, 96]
    assert float(table(tmp_path)[-1]["discriminator/total"]) > 0


def test_a_run_that_is_trained_on_has_the_rows_of_one_that_never_ended(tmp_path: Path) -> None:
    whole, ended, longer = tmp_path / "whole", tmp_path / "ended", tmp_path / "longer"
    for folder in (whole, ended):
        folder.mkdir()
    play(points(), 12, Recorder(whole, 64, 192))
    first = Recorder(ended, 64, 80)
    saved = StateAt(80, first)
    play(points(), 5, first, saved)
    assert positions(ended) == [16, 64, 80]
    shutil.copytree(ended, longer)
    second = Recorder(longer, 64, 192)
    data = CloudData(16)
    data.begin(80, None)
    trainer(192, second, Restored(saved.found, second)).fit(points(), data)
    assert positions(longer) == positions(whole) == [16, 64, 128, 192]
    assert bits(longer) == bits(whole)


def test_where_the_generator_plays_seldom_a_row_waits_for_it(tmp_path: Path) -> None:
    play(points(n_critic=5), 20, Recorder(tmp_path, 100))  # G plays in steps that end at 80, 160, 240, 320
    assert positions(tmp_path) == [16, 160, 240, 320]
    assert [bool(row["generator/total"]) for row in table(tmp_path)] == [False, True, True, True]


def test_a_row_does_not_wait_beyond_the_next_one(tmp_path: Path) -> None:
    play(points(n_critic=1000), 10, Recorder(tmp_path, 48))
    assert positions(tmp_path) == [16, 96, 144]  # 48 is overdue at 96, 96 at 144
    assert all("generator/total" not in row for row in table(tmp_path))


def test_a_column_that_comes_later_completes_the_table(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 10)
    recorder.write(10, {"generator/total": 0.1, "seconds": 1.0})
    recorder.write(20, {"generator/total": 0.2, "discriminator/total": 1e-300, "seconds": 2.0})
    recorder.write(30, {"generator/total": 0.3, "seconds": 3.0})
    assert table(tmp_path) == [
        {"samples_seen": "10", "generator/total": "0.1", "discriminator/total": "", "seconds": "1.0"},
        {"samples_seen": "20", "generator/total": "0.2", "discriminator/total": "1e-300", "seconds": "2.0"},
        {"samples_seen": "30", "generator/total": "0.3", "discriminator/total": "", "seconds": "3.0"},
    ]
    assert not list(tmp_path.glob("*.part"))


def test_figures_of_the_same_position_share_a_row(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 10)
    recorder.write(10, {"generator/total": 0.5})
    recorder.write(10, {"frechet_distance": 12.5})
    recorder.write(20, {"generator/total": 0.25})
    assert table(tmp_path) == [
        {"samples_seen": "10", "generator/total": "0.5", "frechet_distance": "12.5"},
        {"samples_seen": "20", "generator/total": "0.25", "frechet_distance": ""},
    ]


@pytest.mark.parametrize("torn", ["", "160,0.12", "160,0.1,0.2,0.3,0.4\n", "abc,1.0,2.0\n", "\x00\x00\x00\n"])
def test_rewinding_drops_later_rows_and_a_half_written_one(torn: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("samples_seen,generator/total,seconds\n16,1.5,0.5\n48,2.5,1.25\n80,3.5,2.0\n" + torn)
    recorder = Recorder(tmp_path, 32)
    recorder.rewind(50)
    assert positions(tmp_path) == [16, 48]
    assert recorder.latest == {"generator/total": 2.5}
    assert recorder.seconds == pytest.approx(1.25, abs=0.5)
    recorder.write(80, {"generator/total": 9.0, "seconds": 3.0})
    assert path.read_text() == "samples_seen,generator/total,seconds\n16,1.5,0.5\n48,2.5,1.25\n80,9.0,3.0\n"


def test_a_new_run_leaves_nothing_of_an_older_table(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("samples_seen,old\n0,1.0\n16,1.0\n")
    play(points(), 2, Recorder(tmp_path, 16))
    assert positions(tmp_path) == [16, 32] and "1.0" not in table(tmp_path)[0]["old"]


@pytest.mark.parametrize("n_critic", [1, 5])
@pytest.mark.parametrize("at", [16, 64, 128, 160])
def test_a_resumed_table_is_the_uninterrupted_one(at: int, n_critic: int, tmp_path: Path) -> None:
    whole = Recorder(tmp_path / "whole", 100)
    play(points(n_critic=n_critic), 20, whole)
    killed = Recorder(tmp_path / "cut", 100)
    saved = StateAt(at, killed)
    # killed at 224: rows after the checkpoint are there already
    play(points(n_critic=n_critic), 14, killed, saved)
    with open(tmp_path / "cut" / "metrics.csv", "a") as file:
        file.write("240,0.7")
    again, gan = Recorder(tmp_path / "cut", 100), points(n_critic=n_critic)
    data = CloudData(16)
    data.begin(at, None)
    trainer(320, again, Restored(saved.found, again)).fit(gan, data)
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole") and len(bits(tmp_path / "whole")) >= 4


def test_wall_clock_goes_on_after_a_resume(tmp_path: Path) -> None:
    play(points(), 3, Recorder(tmp_path, 16))
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    (tmp_path / "metrics.csv").write_text(
        "\n".join([*rows[:-1], rows[-1].rsplit(",", 1)[0] + ",1000.0"]) + "\n"
    )
    gan = points()
    gan.set_extra_state({"samples_seen": 48, "iteration": 3})
    play(gan, 2, Recorder(tmp_path, 16))
    seconds = [float(row["seconds"]) for row in table(tmp_path)]
    assert len(seconds) == 5 and 1000 < seconds[3] <= seconds[4] < 1100


def test_recording_does_not_change_the_game(tmp_path: Path) -> None:
    watched, alone = points(), points()
    play(watched, 12, Recorder(tmp_path, 40))
    play(alone, 12)
    for name, value in watched.state_dict().items():
        assert (
            value == alone.state_dict()[name]
            if isinstance(value, dict)
            else torch.equal(value, alone.state_dict()[name])
        ), name


def test_undisturbed_puts_back_buffers_modes_and_random_state() -> None:
    gan = points()
    gan.discriminator[2].eval()
    torch.manual_seed(3)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(3))
    with undisturbed(gan):
        torch.rand(100)
        gan.eval()
        gan.discriminator_loss_moments.fill_(7)
    assert torch.equal(torch.rand(4), expected)
    assert gan.training and gan.generator.training and not gan.discriminator[2].training
    assert gan.discriminator_loss_moments.tolist() == [0, 0]


def test_losses_png_is_drawn_at_the_end_also_of_a_run_of_one_row(tmp_path: Path) -> None:
    play(points(), 1, Recorder(tmp_path, 10**9))
    assert (tmp_path / "losses.png").stat().st_size > 5000


def test_a_length_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"log_every.*at least 1, got 0"):
        Recorder(tmp_path, 0)


def test_tensorboard_has_the_same_numbers_on_the_samples_seen_axis(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    play(
        points(),
        10,
        Recorder(tmp_path, 32),
        logger=TensorBoardLogger(tmp_path, name="tensorboard", version=""),
    )
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    for name in ("generator/total", "discriminator/accuracy_fake"):
        scalars = [(event.step, event.value) for event in found.Scalars(name)]
        assert scalars == [
            (int(row["samples_seen"]), pytest.approx(float(row[name]), rel=1e-6)) for row in table(tmp_path)
        ]


def test_tensorboard_forgets_what_a_killed_run_logged_later(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    play(
        points(),
        10,
        Recorder(tmp_path, 32),
        logger=TensorBoardLogger(tmp_path, name="tensorboard", version=""),
    )
    gan = points()
    gan.set_extra_state({"samples_seen": 96, "iteration": 6})
    play(gan, 6, Recorder(tmp_path, 32), logger=TensorBoardLogger(tmp_path, name="tensorboard", version=""))
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert (
        [event.step for event in found.Scalars("generator/total")]
        == positions(tmp_path)
        == [16, 32, 64, 96, 128, 160, 192]
    )


def test_wandb_has_the_same_numbers_on_the_samples_seen_axis(tmp_path: Path) -> None:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    logger = WandbLogger(save_dir=tmp_path, offline=True, project="test")
    play(
        points(
            optimizer={"generator": ADAM, "discriminator": ADAM}, loss={"name": "hinge", "weights": SEPARATE}
        ),
        6,
        Recorder(tmp_path, 32),
        logger=logger,
    )
    wandb.finish()
    records = wandb_records(tmp_path)
    history = [row for row in records["history"] if "generator/total" in row]
    assert [(row["samples_seen"], row["generator/total"]) for row in history] == [
        (int(row["samples_seen"]), pytest.approx(float(row["generator/total"]), rel=1e-9))
        for row in table(tmp_path)
    ]
    axes = {name: step for name, step in records["metrics"] if name in ("*", "generator/total")}
    assert set(axes.values()) == {"samples_seen"}
