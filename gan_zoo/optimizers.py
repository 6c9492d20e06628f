"""Optimisers by name, with rates and momenta that are functions of samples seen."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from gan_zoo import schedules
from gan_zoo.schema import ConfigError

_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
_SCHEDULABLE = ("lr", "momentum", "beta1")


def create(
    parameters: Iterable[nn.Parameter], name: str, lr: float | dict[str, Any], **options: Any
) -> torch.optim.Optimizer:
    """Adam, AdamW, SGD or RMSprop over `parameters`; lr, momentum and beta1 may be schedules of samples seen.

    Fused where the optimiser has it: one kernel for all parameters, and a masked step costs no host synchronisation.
    """
    if name not in _CLASSES:
        raise ConfigError(f"optimizer.name must be one of {', '.join(_CLASSES)}; got {name!r}")
    kind = _CLASSES[name]
    options = {key: value for key, value in options.items() if value is not None}  # null: torch's default
    allowed = inspect.signature(kind).parameters
    if "beta1" in options and "betas" in allowed:
        beta1 = schedules.create(options.pop("beta1"))(0)
        options["betas"] = [beta1, *list(options.get("betas", (0.9, 0.999)))[1:]]
    for key in options.keys() - allowed.keys():
        raise ConfigError(
            f"optimizer {name} has no option {key!r}; it takes {', '.join(sorted(allowed.keys() - {'params'}))}"
        )
    if "betas" in options:
        options["betas"] = tuple(
            float(beta) for beta in options["betas"]
        )  # torch refuses a mix of int and float
        if len(options["betas"]) != 2:
            raise ConfigError(f"optimizer {name}: betas are two numbers, got {len(options['betas'])}")
    if isinstance(options.get("momentum"), dict):
        options["momentum"] = schedules.create(options["momentum"])(0)
    if "fused" in allowed and not options.get("foreach"):  # torch takes one of the two
        options.setdefault("fused", True)
    rate = schedules.create(lr)(0)
    if not 0 <= rate < math.inf:
        raise ConfigError(f"optimizer {name}: lr must be a finite number of at least 0, got {rate}")
    try:
        return kind(list(parameters), lr=rate, **options)  # type: ignore[call-arg]
    except ValueError as wrong:
        raise ConfigError(f"optimizer {name}: {wrong}") from None


def rates(setting: dict[str, Any]) -> dict[str, schedules.Schedule]:
    """Those of lr, momentum and beta1 that change as training goes on."""
    return {
        key: schedules.create(setting[key])
        for key in _SCHEDULABLE
        if key in setting and not schedules.is_constant(setting[key])
    }


def set_rates(
    optimizer: torch.optim.Optimizer, changing: dict[str, schedules.Schedule], samples_seen: int
) -> None:
    for key, schedule in changing.items():
        for group in optimizer.param_groups:
            if key == "beta1":
                group["betas"] = (schedule(samples_seen), group["betas"][1])
            else:
                group[key] = schedule(samples_seen)
