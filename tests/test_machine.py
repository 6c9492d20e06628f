"""What `auto` stands for on a machine, and what is refused there."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from gan_zoo import devices, launch, profile, run
from gan_zoo.config import compose, validate
from gan_zoo.regularizers import _std_over_ranks
from gan_zoo.schema import ConfigError


def machine(patch: pytest.MonkeyPatch, *, gpu: bool = False, bf16: bool = False, amx: bool = False) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: gpu)
    patch.setattr(torch.cuda, "device_count", lambda: int(gpu))
    patch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation
    )
    patch.setattr(torch.backends.mps, "is_available", lambda: False)
    patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)


def resolved(*overrides: str) -> dict[str, Any]:
    return devices.resolved(validate(compose(overrides)))["trainer"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"amx": True}, "bf16-mixed"),
        ({"amx": False}, "32-true"),
        ({"gpu": True, "bf16": True}, "bf16-mixed"),
        ({"gpu": True, "bf16": False, "amx": True}, "32-true"),  # a GPU before Ampere, which would emulate it
    ],
)
def test_auto_takes_bf16_where_the_hardware_multiplies_it(
    given: dict[str, bool], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, **given)
    assert resolved()["precision"] == wanted
    assert resolved("trainer.precision=16-mixed")["precision"] == "16-mixed"


def test_a_torch_that_cannot_say_has_no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    monkeypatch.setattr(devices.torch, "cpu", SimpleNamespace())
    assert resolved()["precision"] == "32-true"


def test_a_resolved_config_stays_what_it_is_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, amx=True)
    config = devices.resolved(validate(compose([])))
    machine(monkeypatch, amx=False)
    assert devices.resolved(config) == config


def test_more_processes_than_a_cpu_can_play_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 64)
    for number in (64, 2):
        devices.refuse_absent(
            validate(compose(["trainer.accelerator=cpu", f"trainer.devices={number}", "data.batch_size=64"]))
        )
    with pytest.raises(ConfigError, match=r"trainer.devices=128 came, at most 64 processes .* 64 cores"):
        devices.refuse_absent(
            validate(compose(["trainer.accelerator=cpu", "trainer.devices=128", "data.batch_size=128"]))
        )


def test_the_deviation_of_one_rank_is_torchs() -> None:
    x = 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) + 2
    torch.testing.assert_close(_std_over_ranks(x), x.std())


@pytest.mark.parametrize(
    ("accelerator", "deterministic", "wanted"),
    [("gpu", False, True), ("gpu", True, False), ("gpu", "warn", False), ("cpu", False, False)],
)
def test_cudnn_tries_kernels_only_where_runs_need_not_repeat_to_the_bit(
    accelerator: str, deterministic: Any, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(run, "Trainer", lambda **options: asked.update(options))
    settings = {"accelerator": accelerator, "deterministic": deterministic, "devices": 1, "nodes": 1}
    run._trainer({"trainer": {**settings, "precision": "32-true", "timeout": 1.0}}, [], [])
    assert asked["benchmark"] is wanted


def test_the_lock_of_a_run_is_not_touched_while_it_is_held(tmp_path: Path) -> None:
    """On Windows nobody may read or write it then, its own process neither; who holds it stands beside it."""
    with run.owned(tmp_path):
        assert (tmp_path / ".lock").stat().st_size == 0
        assert (tmp_path / ".owner").read_text().startswith(f"{os.getpid()} on ")
        with (
            pytest.raises(ConfigError, match=rf"another run \(process {os.getpid()} on "),
            run.owned(tmp_path),
        ):
            raise AssertionError("two runs in one directory")
    assert not (tmp_path / ".owner").exists()


@pytest.mark.parametrize(
    ("started", "told", "words"),
    [
        ({}, {"devices": 1, "nodes": 2}, "trainer.nodes=2 came, but this process was started alone"),
        (
            {"LOCAL_RANK": "0", "WORLD_SIZE": "2"},
            {"devices": 1},
            "torchrun started 2 processes, but trainer.devices=1 trainer.nodes=1 are 1",
        ),
        (
            {"LOCAL_RANK": "0", "WORLD_SIZE": "4"},
            {"devices": 4, "nodes": 2},
            "torchrun started 4 processes, .* are 8",
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "3"}, {"devices": 2}, "SLURM started 3 processes, .* are 2"),
    ],
)
def test_another_number_of_processes_than_the_config_plays_with_is_refused(
    started: dict[str, str], told: dict[str, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        launch.refuse_other_number({"trainer": {"nodes": 1, **told}})


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ({}, {"devices": 4, "nodes": 1}),  # which `launch` starts
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "4"}, {"devices": 2, "nodes": 2}),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, {"devices": 2, "nodes": 1}),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, {"devices": 2, "nodes": 1}),
    ],
)
def test_as_many_processes_as_the_config_plays_with_are_taken(
    started: dict[str, str], told: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    launch.refuse_other_number({"trainer": told})


def test_lightning_has_the_two_methods_that_are_taken_from_it() -> None:
    """Private names: where one is gone, its work is done by another, which `run._trainer` must find."""
    trainer = Trainer(logger=False, accelerator="cpu", devices=1)
    assert callable(trainer._signal_connector.register_signal_handlers)
    assert callable(trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor)


def test_one_process_of_several_describes_a_run_that_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = devices.resolved(validate(compose(["model=vanilla", "data=ring", "max_samples=0"])))
    for number in ("1", "0"):
        monkeypatch.setenv("RANK", number)
        assert run._train_in(tmp_path, config) == 0
        assert (tmp_path / "network.txt").exists() is (number == "0")
        assert (tmp_path / "summary.json").exists() is (number == "0")


def test_the_profile_times_the_steps_and_not_its_own_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Recorder:
        """Takes 50 s to begin and 100 s to end."""

        def __enter__(self) -> None:
            now[0] += 50

        def __exit__(self, *_: object) -> None:
            now[0] += 100

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = profile._watch(Recorder(), steps=3, warm_up=2)
    trainer = SimpleNamespace(should_stop=False)
    for iteration in range(1, 6):
        now[0] += 1  # a step
        watch.on_train_batch_end(trainer, SimpleNamespace(iteration=iteration, device=torch.device("cpu")))
    assert watch.seconds == 3 and trainer.should_stop
