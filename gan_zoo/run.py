"""One run: its directory, its processes, its trainer, and the exit code that a shell or scheduler reads."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from gan_zoo import checkpoint, classes, devices, loading, loggers, plain_yaml
from gan_zoo import config as configs
from gan_zoo.callbacks.checkpoints import Checkpoints
from gan_zoo.callbacks.clock import Clock, Signals
from gan_zoo.callbacks.description import Description
from gan_zoo.callbacks.doctor import Doctor
from gan_zoo.callbacks.pictures import Pictures
from gan_zoo.callbacks.progress import Progress
from gan_zoo.callbacks.recorder import Recorder
from gan_zoo.callbacks.roll_call import RollCall, lost_peer, timed_out
from gan_zoo.data.stream import BatchDataset, DataModule, lost_worker
from gan_zoo.gan import GAN, NonFinite
from gan_zoo.media import medium_of
from gan_zoo.schema import CheckpointError, ConfigError, DataError
from gan_zoo.strategy import GradientAverage

NAMED_AT_MOST = 5  # tensors that stay as new
DIRECTORY_VARIABLE = "GAN_ZOO_OUTPUT_DIR"  # how the processes of one run agree on its directory


def rank() -> int:
    """This process's number among those of the run, as torchrun or SLURM told it."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)


def new_directory(config: dict[str, Any]) -> Path:
    """output_dir, or runs/<model>/<data>/<time>-<4 hex>; ConfigError where a run is already."""
    if given := os.environ.get(DIRECTORY_VARIABLE) or config["output_dir"]:
        directory = Path(given)
        if rank() == 0 and DIRECTORY_VARIABLE not in os.environ and (directory / "config.yaml").exists():
            raise ConfigError(
                f"{directory} already holds a run; go on with it by resume={directory}, or choose another output_dir"
            )
        return directory
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return Path("runs", _model_name(config), config["data"]["name"], stamp)


def _model_name(config: dict[str, Any]) -> str:
    return str(config["model"].get("name") or config["model"]["_target_"].rpartition(".")[2])


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """The directory exists, can be written to, and belongs to this process alone while the block runs."""
    # beside the lock, which on Windows nobody may read or write while it is held
    owner = directory / ".owner"
    try:
        new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / ".lock", timeout=0)
        lock.acquire()
        owner.write_text(f"{os.getpid()} on {platform.node()}\n", encoding="utf-8")
    except Timeout:
        said = owner.read_text(encoding="utf-8", errors="replace").strip() if owner.is_file() else "unknown"
        raise ConfigError(
            f"{directory} is being written to by another run (process {said}); "
            f"wait for it or choose another output_dir"
        ) from None
    except (OSError, ValueError) as failure:  # ValueError: a name with a NUL in it
        reason = getattr(failure, "strerror", None) or failure
        raise ConfigError(
            f"{directory} cannot be written to: {reason}; choose another output_dir"
        ) from failure
    try:
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
        # refused before anything was written
        if new and [path.name for path in directory.iterdir()] == [".lock"]:
            with suppress(OSError):
                (directory / ".lock").unlink()
                directory.rmdir()


def data_module(config: dict[str, Any], local: bool = True) -> DataModule:
    """The data of a config; its files are checked before anything is trained."""
    settings = dict(config["data"])
    kind = classes.load_data_class(settings.pop("_target_"), local=local)
    data: DataModule = kind(**settings)
    data.prepare()
    return data


def data_of(directory: Path) -> DataModule:
    """The data that a run was trained on; a class that its config names must be one of gan_zoo's own."""
    if not (directory / "config.yaml").is_file():
        raise CheckpointError(
            f"{directory}: not a run directory (no config.yaml), so its training data are not known"
        )
    config = plain_yaml.plain(directory / "config.yaml")
    with moved(config, f"or change it in {directory / 'config.yaml'}"):
        return data_module(configs.validate_parts(config, ["data"]), local=False)


@contextmanager
def moved(config: dict[str, Any], remedy: str) -> Iterator[None]:
    """A DataError says more where files that a run reads are not there, or not seen from this folder."""
    try:
        yield
    except DataError as failure:
        places = {key: config["data"].get(key) for key in ("root", "embeddings")}
        absent = {
            key: place for key, place in places.items() if isinstance(place, str) and not Path(place).exists()
        }
        if not absent:
            raise
        key, place = next(iter(absent.items()))
        seen = "" if os.path.isabs(place) else f", seen from {Path.cwd()}"
        raise DataError(
            failure.path,
            f"{failure.reason} The run's data.{key} is {place!r}{seen}; start this command where that is, {remedy}",
        ) from failure


def real_parts(gan: GAN, items: BatchDataset, resolution: int, rows: int = 1024) -> Iterator[Tensor]:
    """All items of a data set in order as the networks see them, [n, ...] float32 on the CPU, at most `rows` at a time."""
    for i in range(0, len(items), rows):
        keys = [(index, 0, resolution) for index in range(i, min(i + rows, len(items)))]
        yield gan.prepare_batch(items.__getitems__(keys))["real"].float()


def _callbacks(
    config: dict[str, Any], directory: Path, resume: dict[str, Any] | None
) -> tuple[list[Callback], Signals]:
    """In the order they act: what ends the step, what watches it, and last what saves it."""
    signals, doctor = Signals(), Doctor()
    own = [_own(item) for item in (config["callbacks"] or {}).values() if item]
    watching = [
        Recorder(directory, config["log_every"], config["max_samples"]),
        Pictures(directory, config["sample_every"], seed=config["seed"]),
        doctor,
        Progress(config["max_samples"], medium_of(config["data"]["modality"]).noun),
        Description(directory, config, doctor=doctor),
    ]
    saving = Checkpoints(
        directory / "checkpoints", config["checkpoint_every"], loading.described(config), resume
    )
    return [RollCall(), Clock(config["max_samples"]), signals, *watching, *own, saving], signals


def _own(settings: dict[str, Any]) -> Callback:
    arguments = dict(settings)
    return classes.callback_class(arguments.pop("_target_"), local=True)(**arguments)


def _trainer(config: dict[str, Any], callbacks: list[Callback], told: list[Logger]) -> Trainer:
    wanted = config["trainer"]
    several = wanted["devices"] * wanted["nodes"] > 1
    strategy = GradientAverage(timeout=timedelta(seconds=wanted["timeout"])) if several else "auto"
    return Trainer(
        accelerator=wanted["accelerator"],
        devices=wanted["devices"],
        num_nodes=wanted["nodes"],
        strategy=strategy,
        precision=wanted["precision"],
        deterministic=wanted["deterministic"],
        # cuDNN's trials choose another kernel now and then, which rounds otherwise
        benchmark=wanted["accelerator"] == "gpu" and not wanted["deterministic"],
        max_epochs=-1,
        use_distributed_sampler=False,
        logger=told,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _leave_signals_to_us(trainer: Trainer) -> None:
    """Lightning's handlers end a run without a checkpoint and with exit code 0, and its processes tell one another of signals by
    a collective that the host waits for before each step: `Signals` does both."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def train(config: dict[str, Any]) -> int:
    """Trains as the (composed, validated) config says; returns the exit code: 0, 3 for numbers that are not finite, 130, 143."""
    config = devices.resolved(config)
    devices.refuse_absent(config)
    torch.set_num_threads(config["trainer"]["threads"])
    directory = Path(config["resume"]) if config["resume"] else new_directory(config)
    with owned(directory) if rank() == 0 else nullcontext():
        return _train_in(directory, config)


def _train_in(directory: Path, config: dict[str, Any]) -> int:
    quiet()
    resume = _to_resume(directory) if config["resume"] else None
    with moved(config, "or say where the data are now") if resume else nullcontext():
        data = data_module(config)
    gan = _prepared(config, resume)
    data.begin(gan.samples_seen, gan.batch_plan)
    data.timeout = config["trainer"]["timeout"]
    if rank() == 0:
        _check_space(directory, gan)
        if not resume or gan.samples_seen < config["max_samples"]:  # else the run's own target would be lost
            plain_yaml.save(config, directory / "config.yaml")
    callbacks, signals = _callbacks(config, directory, resume)
    if config["max_samples"] == 0:
        if rank() == 0:
            next(c for c in callbacks if isinstance(c, Description)).write_untrained(gan, data)
        _say(f"composed and built, nothing trained: {directory}")
        return 0
    if resume and gan.samples_seen >= config["max_samples"]:
        _say(
            f"already finished: {gan.samples_seen} samples seen of max_samples={config['max_samples']}; a larger max_samples trains on"
        )
        return 0
    trainer = _trainer(config, callbacks, loggers.chosen(config, directory, rank()))
    _leave_signals_to_us(trainer)
    _say(
        f"{directory}: {_model_name(config)} on {config['data']['name']}, {trainer.world_size} process(es) on "
        f"{config['trainer']['accelerator']}, {config['trainer']['precision']}, {config['trainer']['threads']} threads"
    )
    _remark_on_growth(gan, config)
    code = 1
    try:
        with signals.heard():
            trainer.fit(gan, data)
        code = signals.exit_code
    except SystemExit:  # also how Lightning ends after Ctrl-C
        if signals.received is None:
            raise
        code = signals.exit_code
    except NonFinite as stop:
        _say(f"stopped: {stop}\nthe last good checkpoint is in {directory / 'checkpoints'}")
        code = 3
    except RuntimeError as failure:
        if config["debug"] or not (timed_out(failure) or lost_peer(failure) or lost_worker(failure)):
            raise
        if lost_worker(failure):
            _report_worker(failure, data.workers, directory)
        elif lost_peer(failure):
            _report_loss(directory)
        else:
            _report_absence(callbacks[0], config["trainer"]["timeout"], directory)
    finally:
        loggers.end(config, code)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if code == 0 and rank() == 0:
        _report(directory)
    return code


def _report(directory: Path) -> None:
    """report.html of what there is; what is trained is not lost over it."""
    from gan_zoo.evaluation.report import write_report

    try:
        write_report(directory)
    except Exception as failure:
        _say(f"report.html was not written: {type(failure).__name__}: {failure}")


def _report_absence(roll: Callback, seconds: float, directory: Path) -> None:
    missing = roll.missing() if isinstance(roll, RollCall) else []
    who = f"{', '.join(missing)} did not answer" if missing else "one of the others did not answer"
    print(
        f"error: process {rank()} waited {seconds:g} s, but {who}; the run ends. Go on from the last checkpoint by "
        f"resume={directory}, with a larger trainer.timeout if the step was only slow",
        file=sys.stderr,
        flush=True,
    )


def _report_loss(directory: Path) -> None:
    print(
        f"error: process {rank()} lost another process of the run, which ended first and says why itself, or was killed; "
        f"go on from the last checkpoint by resume={directory}",
        file=sys.stderr,
        flush=True,
    )


def _report_worker(failure: RuntimeError, workers: int, directory: Path) -> None:
    print(
        f"error: a process that reads the data (data.workers={workers}) did not go on: {str(failure).strip()} "
        f"Where memory was short fewer workers help, and data.workers=0 shows what else it was. Go on from the last "
        f"checkpoint by resume={directory}",
        file=sys.stderr,
        flush=True,
    )


def _to_resume(directory: Path) -> dict[str, Any]:
    path, broken = checkpoint.newest_good(directory / "checkpoints")
    for remark in broken:
        _say(f"skipped {remark}")
    _say(f"resuming {directory} from {path.name}")
    content = checkpoint.read(path)
    loading.state_of(content, path)
    return content


def _prepared(config: dict[str, Any], resume: dict[str, Any] | None) -> GAN:
    gan = loading.build(config)
    if config["init_from"] and not resume:
        matched, missing = loading.initialise_from(gan, config["init_from"])
        shares = ", ".join(
            f"{share:.0%} of the {player}'s weights"
            for player, share in loading.shares_of(gan, matched).items()
        )
        named = ", ".join(missing[:NAMED_AT_MOST]) + (", ..." if len(missing) > NAMED_AT_MOST else "")
        _say(
            f"init_from {config['init_from']}: {shares}; {len(missing)} tensors stay as new"
            + (f": {named}" if missing else "")
        )
    if resume:
        gan.set_extra_state(resume["state"]["_extra_state"])  # the position of the data depends on it
    if config["compile"]:
        gan.generator.compile()
        gan.discriminator.compile()
    return gan


def _check_space(directory: Path, gan: GAN) -> None:
    """Four checkpoints must fit: two kept, the best, and the one being written; Adam keeps two numbers a weight."""
    needed = 4 * 3 * sum(p.numel() * p.element_size() for p in gan.parameters())
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise ConfigError(
            f"{directory}: {needed / 2**20:.0f} MiB are needed for checkpoints, {free / 2**20:.0f} MiB are free; "
            f"free some space or choose another output_dir"
        )


def _remark_on_growth(gan: GAN, config: dict[str, Any]) -> None:
    """Says so where a run that grows ends before it makes pictures of the data's size."""
    end = gan.batch_plan(max(gan.samples_seen, config["max_samples"] - 1))
    side = config["data"]["resolution"]
    if end is not None and end[1] < side:
        _say(
            f"max_samples={config['max_samples']} ends this run at {end[1]} px, before it has grown to {side}; a larger "
            f"max_samples, also on resume, or a shorter model.schedule grows further"
        )


def _say(text: str) -> None:
    if rank() == 0:
        print(text, flush=True)


def quiet() -> None:
    """Lightning's hints about settings that are deliberate here."""
    for name in ("lightning.pytorch", "lightning.fabric", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR if name == "matplotlib" else logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*`training_step` returned `None`.*",
        ".*isinstance.*LeafSpec.*",
        ".*barrier.*",
    ):
        warnings.filterwarnings("ignore", text)
