"""network.txt and summary.json: numbers that can be counted by hand, and no trace left in the model."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor, nn

import gan_zoo
from gan_zoo.callbacks.description import (
    Description,
    describe,
    git_commit,
    summary,
    trainable,
    write_network,
    write_summary,
)
from gan_zoo.callbacks.doctor import Doctor
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.gan import Batch, Judgement

from ..games import CloudData, Points, play, points
from .test_pictures import SquareData, painter, same_state

CONFIG = {"max_samples": 64, "seed": 5, "model": {"name": "points"}, "data": {"name": "cloud"}}
G_PARAMETERS, D_PARAMETERS = 8 * 16 + 16 + 16 * 2 + 2, 2 * 16 + 16 + 16 + 1


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_the_summary_of_a_finished_run(tmp_path: Path) -> None:
    doctor, recorder = Doctor(), Recorder(tmp_path, 16)
    doctor.remarks.append({"symptom": "x", "samples_seen": 1, "advice": "y"})
    gan = points(n_critic=2)
    play(gan, 4, recorder, doctor, Description(tmp_path, CONFIG, doctor=doctor))
    found = read(tmp_path)
    assert found["finished"] is True and found["error"] is None
    assert (found["samples_seen"], found["generator_steps"], found["max_samples"], found["seed"]) == (
        64,
        2,
        64,
        5,
    )
    assert (found["model"], found["data"]) == ("points", "cloud")
    assert found["parameters"] == {"generator": G_PARAMETERS, "discriminator": D_PARAMETERS}
    assert found["versions"] == {
        "gan_zoo": gan_zoo.__version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }
    assert found["figures"] == recorder.latest and "generator/total" in found["figures"]
    assert 0 < found["wall_seconds"] < 60
    assert found["images_per_second"] == pytest.approx(64 / found["wall_seconds"], rel=0.2)
    assert found["machine"]["cpus"] >= 1 and found["machine"]["device"] == "cpu"
    assert found["remarks"] == [{"symptom": "x", "samples_seen": 1, "advice": "y"}]


def test_a_run_in_progress_and_a_broken_one_are_not_finished(tmp_path: Path) -> None:
    class Break(lightning.pytorch.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            early.append(read(tmp_path))
            raise RuntimeError("power cut")

    early: list[dict[str, Any]] = []
    with pytest.raises(RuntimeError, match="power cut"):
        play(points(), 4, Recorder(tmp_path, 16), Description(tmp_path, CONFIG), Break())
    assert (early[0]["finished"], early[0]["error"], early[0]["samples_seen"]) == (False, None, 0)
    found = read(tmp_path)
    assert (found["finished"], found["error"], found["samples_seen"]) == (
        False,
        "RuntimeError: power cut",
        16,
    )


def test_what_is_not_finite_is_still_json(tmp_path: Path) -> None:
    write_summary(
        tmp_path, summary(points(), CONFIG, figures={"a": float("nan"), "b": float("inf"), "c": 1.5})
    )
    assert read(tmp_path)["figures"] == {"a": None, "b": None, "c": 1.5}


def test_a_model_that_is_built_and_not_trained_is_described(tmp_path: Path) -> None:
    Description(tmp_path, CONFIG | {"max_samples": 0}).write_untrained(points(), CloudData())
    found = read(tmp_path)
    assert found["samples_seen"] == 0 and found["images_per_second"] is None and found["finished"] is True
    assert (tmp_path / "network.txt").read_text() == describe(points())


def test_the_table_names_layers_shapes_and_parameters() -> None:
    text = describe(points())
    lines = [line.split() for line in text.splitlines()]
    assert (
        f"generator: {G_PARAMETERS} trainable parameters" in text
        and f"discriminator: {D_PARAMETERS} trainable parameters" in text
    )
    assert ["0", "Linear(in_features=8,", "out_features=16,", "bias=True)", "[N,", "16]", "144"] in lines
    assert ["2", "Linear(in_features=16,", "out_features=2,", "bias=True)", "[N,", "2]", "34"] in lines
    assert ["1", "Tanh", "[N,", "16]"] in lines


class Odd(Points):
    """Layers that are shared, fixed, not called, tied to another's weight, empty, in a list, normalised."""

    def __init__(self, **play: Any) -> None:
        super().__init__(**play)
        shared, spare, tied = nn.Linear(8, 8), nn.Linear(9, 9), nn.Linear(9, 9)
        tied.weight = spare.weight
        self.generator = nn.ModuleDict(
            {
                "first": shared,
                "again": nn.Sequential(shared),
                "fixed": nn.Linear(8, 4).requires_grad_(False),
                "last": nn.Linear(4, 2, bias=False),
                "spare": spare,
                "tied": tied,
                "none": nn.ModuleList(),
            }
        )
        self.discriminator = nn.ModuleList(
            [nn.utils.parametrizations.spectral_norm(nn.Linear(2, 3)), nn.Linear(3, 1)]
        )

    def generate(self, batch: Batch) -> Tensor:
        layer = self.generator
        return layer["last"](layer["fixed"](layer["again"](layer["first"](batch["latent"]))))

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(self.discriminator[1](self.discriminator[0](sample)).squeeze(1))


def odd() -> Odd:
    gan = points()
    return Odd(
        loss={"name": "non_saturating", "weights": gan.weights},
        latent={"size": 8},
        optimizer=gan.optimizer_settings,
    )


def test_shared_fixed_unused_and_normalised_layers_are_counted_right() -> None:
    text = describe(odd())
    by_name = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    # 8*8+8 once, 4*2, 9*9+9, 9; 8*4+4
    assert "generator: 179 trainable parameters and 36 that stay as they are" in text
    assert by_name["first"].endswith(" 72") and "[N, 8]  x2" in by_name["first"]
    assert (
        by_name["fixed"].endswith("+ 36 fixed")
        and "not used" in by_name["spare"]
        and by_name["spare"].endswith("90")
    )
    assert by_name["tied"].endswith(" 9") and by_name["none"].split() == ["none", "ModuleList"]
    assert "not used" not in by_name["(all)"] and "not used" not in by_name["again"]
    assert "discriminator: 13 trainable parameters" in text and "parametrizations" not in text
    assert by_name["0"].split()[1].startswith("Linear(") and by_name["0"].endswith(" 9")


def test_the_lines_add_up_to_the_total() -> None:
    for gan in (points(), painter(), odd()):
        for block, player in zip(
            describe(gan).split("\n\n")[1::2], ("generator", "discriminator"), strict=True
        ):
            rows = [
                line.rsplit("]", 1)[-1].rsplit("used", 1)[-1].replace(",", "").split()
                for line in block.splitlines()[1:]
            ]
            numbers = [int(words[-1]) for words in rows if words and words[-1].isdigit() and "+" not in words]
            assert sum(numbers) == trainable(getattr(gan, player)), (player, block)


@pytest.mark.parametrize("make", [points, painter, odd, lambda: painter(classes=3)])
def test_describing_leaves_no_trace(make: Any) -> None:
    gan, untouched = make(), make()
    gan.generator.train(), gan.discriminator.eval()
    state = torch.get_rng_state()
    describe(gan)
    assert torch.equal(torch.get_rng_state(), state)
    assert same_state(gan, untouched)
    assert gan.generator.training and not gan.discriminator.training
    assert all(not module._forward_hooks for module in gan.modules())
    assert all(parameter.grad is None for parameter in gan.parameters())


def test_a_model_of_classes_is_described_with_real_samples(tmp_path: Path) -> None:
    Description(tmp_path, CONFIG).write_untrained(painter(classes=3), SquareData(3))
    assert "[N, 64]" in (tmp_path / "network.txt").read_text()
    assert write_network(tmp_path, painter(classes=3)).read_text().count("BatchNorm1d") == 1


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
        check=True,
        capture_output=True,
    )


def test_the_commit_is_that_of_the_code_and_says_when_files_differ(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("1")
    assert git_commit(package) is None  # no repository
    git(tmp_path, "init", "-q")
    (tmp_path / "other").write_text("1")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-qm", "1")
    assert git_commit(package) is None  # a repository that does not hold the package
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "2")
    commit = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    git(tmp_path, "tag", "v1")
    assert git_commit(package) == commit
    (package / "a.py").write_text("2")
    assert git_commit(package) == f"{commit}-dirty"


def test_a_machine_without_git_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() is None
