"""Several processes for one run, with torchrun's semantics: one that dies ends the others, and is named."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from gan_zoo.run import DIRECTORY_VARIABLE, new_directory
from gan_zoo.schema import ConfigError


def is_child() -> bool:
    """Whether torchrun, SLURM or this module started this process as one of several."""
    return "LOCAL_RANK" in os.environ or (
        "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    )


def refuse_other_number(config: dict[str, Any]) -> None:
    """ConfigError where not as many processes were started as the config plays with: each would be a run of its own, in one directory."""
    devices, nodes = config["trainer"]["devices"], config["trainer"]["nodes"]
    if not is_child():
        if nodes > 1:
            raise ConfigError(
                f"trainer.nodes={nodes} came, but this process was started alone; start the same command by torchrun or srun on "
                f"each of the {nodes} machines (docs/several_machines.md), or leave trainer.nodes out"
            )
        return
    torchrun = "LOCAL_RANK" in os.environ
    started = int(os.environ["WORLD_SIZE" if torchrun else "SLURM_NTASKS"])
    if started != devices * nodes:
        raise ConfigError(
            f"{'torchrun' if torchrun else 'SLURM'} started {started} processes, but trainer.devices={devices} "
            f"trainer.nodes={nodes} are {devices * nodes}; say both numbers as they were started "
            f"(trainer.devices: of one machine), or start as many"
        )


def launch(config: dict[str, Any], overrides: list[str]) -> int:
    """Runs `python -m gan_zoo.train OVERRIDES` in trainer.devices processes; returns the exit code of the run.

    Each process composes the same config; the directory is chosen here, once. With trainer.nodes > 1 start the same command
    under torchrun or SLURM on each node instead: see docs/several_machines.md.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(
        logging.CRITICAL
    )  # its report of a failure is ours, below
    directory = config["resume"] or str(new_directory(config))
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=config["trainer"]["devices"],
        run_id="gan_zoo",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
        start_method="spawn",
    )
    before = dict(os.environ)
    if not config["resume"]:
        os.environ[DIRECTORY_VARIABLE] = directory
    os.environ["OMP_NUM_THREADS"] = str(
        config["trainer"]["threads"] or max(1, (os.cpu_count() or 1) // config["trainer"]["devices"])
    )
    try:
        elastic_launch(settings, sys.executable)("-m", "gan_zoo.train", *overrides)
        return 0
    except ChildFailedError as failure:
        return _told(failure, directory)
    except SignalException as stop:
        return 130 if stop.sigval == signal.SIGINT else 143
    except KeyboardInterrupt:
        return 130
    finally:
        os.environ.clear()
        os.environ.update(before)


def _told(failure: ChildFailedError, directory: str) -> int:
    rank, first = failure.get_first_failure()
    code = int(first.exitcode)
    if code in (2, 3, 130, 143):  # that process has said why itself
        return code
    cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    print(
        f"error: process {rank} of the run (pid {first.pid}) ended {cause}, so the others were ended too; "
        f"go on from the last checkpoint by resume={directory}",
        file=sys.stderr,
        flush=True,
    )
    return 1
