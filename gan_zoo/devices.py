"""What a run is played on: the devices that are there, and what `auto` stands for on them."""

from __future__ import annotations

import os
from typing import Any

import torch

from gan_zoo.schema import ConfigError

LEAST_PROCESSES = 16  # on a CPU of fewer cores too, for trying out how many would play together


def resolved(config: dict[str, Any]) -> dict[str, Any]:
    """With the values that `auto` and null stand for on this machine, so that a resumed run keeps them."""
    trainer = dict(config["trainer"])
    trainer["accelerator"] = _accelerator(trainer["accelerator"])
    if trainer["precision"] == "auto":
        trainer["precision"] = "bf16-mixed" if _native_bf16(trainer["accelerator"]) else "32-true"
    trainer["threads"] = trainer["threads"] or max(1, (os.cpu_count() or 1) // trainer["devices"])
    return {**config, "trainer": trainer}


def _accelerator(wanted: str) -> str:
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, found in there.items() if found)
    if not there[wanted]:
        raise ConfigError(
            f"trainer.accelerator={wanted} came, but torch finds none here; use trainer.accelerator=cpu"
        )
    return wanted


def _native_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies bfloat16 by itself: GPUs since Ampere, CPUs with AMX."""
    if accelerator == "gpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return accelerator == "cpu" and _has_amx()


def _has_amx() -> bool:
    """torch has no public question for it; other CPUs take bfloat16 too, and are slower with it than with float32."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask and ask())


def refuse_absent(config: dict[str, Any]) -> None:
    """Devices that are not there are refused, never replaced by processes on the CPU."""
    trainer = config["trainer"]
    accelerator, devices = _accelerator(trainer["accelerator"]), trainer["devices"]
    if accelerator == "gpu" and devices > torch.cuda.device_count():
        raise ConfigError(
            f"trainer.devices={devices} came, there are {torch.cuda.device_count()} GPUs; use at most that many"
        )
    most = max(LEAST_PROCESSES, os.cpu_count() or 1)
    if accelerator == "cpu" and devices > most:
        raise ConfigError(
            f"trainer.devices={devices} came, at most {most} processes run on this CPU, which has {os.cpu_count()} cores: each is "
            f"a copy of the whole run and more of them only wait for one another; use trainer.devices={os.cpu_count()} or fewer"
        )
    if accelerator == "cpu" and devices > 1 and trainer["accelerator"] != "cpu":
        raise ConfigError(
            f"trainer.devices={devices} came, but there is no GPU here; for {devices} processes on the CPU say "
            f"trainer.accelerator=cpu trainer.devices={devices}"
        )
    if accelerator == "mps" and devices > 1:
        raise ConfigError(f"trainer.devices={devices} came, MPS has one device")
