"""Which failures of a collective mean that a process did not answer."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import torch
from torch import distributed as dist

from gan_zoo.callbacks.roll_call import lost_peer, timed_out


def test_every_operation_that_a_silent_process_holds_up_counts_as_timed_out() -> None:
    """Gloo words the first of them differently from the others, and which of them is waited for is chance."""
    store, groups = dist.HashStore(), {}

    def join(rank: int) -> None:
        groups[rank] = dist.ProcessGroupGloo(store, rank, 2, timedelta(seconds=0.5))

    threads = [threading.Thread(target=join, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    works = [groups[0].allreduce([torch.ones(10_000)]) for _ in range(3)]  # process 1 never takes part
    failures = []
    for work in works:
        with pytest.raises(RuntimeError) as raised:
            work.wait()
        failures.append(raised.value)
    assert [timed_out(failure) for failure in failures] == [True] * 3
    assert len({str(failure) for failure in failures}) > 1
    assert not any(map(lost_peer, failures))
    assert not timed_out(RuntimeError("Connection closed by peer [127.0.0.1]:1234"))
    assert not timed_out(ValueError("Timed out waiting"))
