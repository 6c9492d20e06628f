"""Where a run's figures and pictures go beside its own files: TensorBoard, and W&B under one id for all its parts."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from gan_zoo.schema import CheckpointError

WANDB_PATIENCE = 15.0  # seconds that W&B's server may take to answer at the beginning


def chosen(config: dict[str, Any], directory: Path, rank: int) -> list[Logger]:
    """Those that config["logger"] names, in use from now on; rank: of this process, of which the first alone logs."""
    names = config["logger"]
    found: list[Logger] = []
    if names["tensorboard"]:
        from lightning.pytorch.loggers import TensorBoardLogger

        found.append(TensorBoardLogger(directory, name="tensorboard", version=""))
    if names["wandb"] and names["wandb"]["mode"] != "disabled":
        found.append(wandb_run(names["wandb"], config, directory, rank))
    return found


def wandb_run(settings: dict[str, Any], config: dict[str, Any], directory: Path, rank: int = 0) -> Logger:
    """The run keeps its id, so that the parts before and after a resume are one in W&B; offline where W&B cannot be had."""
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    name = directory / "wandb_id.txt"
    if not name.exists() and rank == 0:
        name.write_text(secrets.token_hex(4))
    identity = name.read_text().strip() if name.exists() else None
    if identity is not None and not re.fullmatch(r"[\w-]{1,64}", identity):
        raise CheckpointError(
            f"{name}: {identity[:40]!r} is no id of a W&B run (letters, digits, _ and -, 64 at most); put the id there, "
            f"or delete the file to begin a new W&B run"
        )
    options = {key: value for key, value in settings.items() if key not in ("mode", "name")}

    def logger(**more: Any) -> WandbLogger:
        return WandbLogger(  # not offline=True, which Lightning makes a variable of the whole process
            save_dir=directory,
            id=identity,
            name=settings.get("name"),
            config=config,
            resume="allow",
            **options,
            **more,
        )

    if settings["mode"] == "offline" or rank > 0:  # the others log nothing
        return logger(mode="offline")
    found = logger(settings=wandb.Settings(init_timeout=WANDB_PATIENCE))
    try:
        _ = found.experiment  # begins the run there: what stands in the way is known before the first step
    except wandb.errors.Error as failure:
        wandb.teardown()  # else the id counts as taken
        print(
            f"W&B cannot be used ({str(failure).splitlines()[0]}), so this run is logged offline; "
            f"upload it later by: wandb sync {directory / 'wandb'}/offline-run-*",
            flush=True,
        )
        return logger(mode="offline")
    return found


def end(config: dict[str, Any], code: int) -> None:
    """Ends the run at W&B, if it has one: the next trial of a multirun would go on in it."""
    if not config["logger"]["wandb"]:
        return
    import wandb

    wandb.finish(exit_code=code)
