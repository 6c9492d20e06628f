"""Whatever happens between two resumes, a run ends where the uninterrupted one ends, bit for bit."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gan_zoo import checkpoint
from gan_zoo.schema import CheckpointError

from .test_resume import BATCH, SETTINGS, go_on
from .test_zoo import same

LONGEST = 24
GAME = SETTINGS["everything"]
EVERY = (BATCH, 2 * BATCH, 5 * BATCH, 40, 10**9)


class Run(RuleBasedStateMachine):
    """A run directory in the hands of an unlucky user; `good` are the positions (batches) that can be resumed from.

    Checkpoints are only ever compared with those of one uninterrupted run that saved after each batch.
    """

    whole: dict[str, Any]  # the uninterrupted run's checkpoints by name

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.good: set[int] = set()
        self.every = BATCH

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def position(self) -> int:
        """Of the newest good checkpoint, in batches; 0 where there is none."""
        return max(self.good, default=0)

    @rule(every=st.sampled_from(EVERY))
    def save_at_other_times(self, every: int) -> None:
        self.every = every

    @rule(batches=st.integers(1, 6))
    def play_on(self, batches: int) -> None:
        start, end = self.position, min(self.position + batches, LONGEST)
        if not self.good:  # what cannot be resumed is begun anew
            shutil.rmtree(self.folder)
        gan, _ = go_on(GAME, self.folder, end, every=self.every)
        assert gan.iteration == end
        crossed = (
            n for n in range(start + 1, end + 1) if n * BATCH // self.every > (n - 1) * BATCH // self.every
        )
        self.good |= {*crossed, end}

    def newest(self) -> Path:
        return self.folder / checkpoint.file_name(self.position * BATCH)

    @precondition(lambda self: self.good)
    @rule(share=st.floats(0, 0.999))
    def truncate(self, share: float) -> None:
        data = self.newest().read_bytes()
        self.newest().write_bytes(data[: int(share * len(data))])
        self.good.remove(self.position)

    @precondition(lambda self: self.good)
    @rule(place=st.floats(0, 0.999), bit=st.integers(0, 7))
    def flip(self, place: float, bit: int) -> None:
        data = bytearray(self.newest().read_bytes())
        data[int(place * len(data))] ^= 1 << bit
        self.newest().write_bytes(data)
        self.good.remove(self.position)

    @precondition(lambda self: self.good)
    @rule(which=st.integers(0, 100))
    def remove(self, which: int) -> None:
        batch = sorted(self.good)[which % len(self.good)]
        (self.folder / checkpoint.file_name(batch * BATCH)).unlink()
        self.good.remove(batch)

    @rule(
        name=st.sampled_from(["last.ckpt", "best.ckpt", "0000000099.ckpt.tmp.1", "notes.txt", "99.ckpt"]),
        data=st.binary(max_size=99),
    )
    def leave_rubbish(self, name: str, data: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).unlink(missing_ok=True)  # last.ckpt is another name of the newest one's bytes
        (self.folder / name).write_bytes(data)

    @invariant()
    def the_newest_good_one_is_chosen_and_equals_the_uninterrupted_run(self) -> None:
        if not self.good:
            with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
                checkpoint.newest_good(self.folder)
            return
        path, broken = checkpoint.newest_good(self.folder)
        assert path == self.newest()
        assert len(broken) == sum(
            int(other.stem) > int(path.stem) for other in checkpoint.all_of(self.folder)
        )
        assert same(checkpoint.read(path), self.whole[path.name])


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> type[Run]:
    whole = tmp_path_factory.mktemp("whole")
    go_on(GAME, whole, LONGEST)
    return type(
        "Run", (Run,), {"whole": {path.name: checkpoint.read(path) for path in checkpoint.all_of(whole)}}
    )


def play(machine: type[Run], examples: int, steps: int, shrink: bool = True) -> None:
    phases = [phase for phase in Phase if shrink or phase is Phase.generate]
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, phases=phases, report_multiple_bugs=False, database=None,
        suppress_health_check=list(HealthCheck)))  # fmt: skip


def test_a_run_survives_what_happens_to_it(machine: type[Run]) -> None:
    play(machine, examples=20, steps=10)


@pytest.mark.slow
def test_a_run_survives_five_hundred_times(machine: type[Run]) -> None:
    play(machine, examples=500, steps=12)


def test_the_machine_has_teeth(machine: type[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of a checkpoint's bytes, or with the position of the data forgotten, it fails."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "verify", lambda path: None)
        with pytest.raises((AssertionError, CheckpointError)):
            play(machine, examples=30, steps=8, shrink=False)
    with monkeypatch.context() as patch:
        patch.setattr("gan_zoo.chance.begin_step", lambda *_: None)
        with pytest.raises(AssertionError):
            play(machine, examples=30, steps=8, shrink=False)
