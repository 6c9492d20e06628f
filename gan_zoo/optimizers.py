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


class TensorFlowRMSprop(torch.optim.Optimizer):
    """RMSprop as TensorFlow 1 defined it: the mean square starts at 1, and eps stands within the root.

    v <- a v + (1 - a) g^2; m <- mu m + lr g / sqrt(v + eps); p <- p - m. The first step is lr g / sqrt(a + (1 - a) g^2 + eps),
    about lr g for small gradients; torch's mean square starts at 0, so that its first step is lr sign(g) / sqrt(1 - a) whatever
    the gradient: for g = 0.1 and a = 0.99 ninety times as long. A run with the numbers of a paper of that time needs this one.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        alpha: float = 0.9,
        eps: float = 1e-10,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 <= alpha < 1 or eps <= 0:
            raise ValueError(f"alpha must lie in [0, 1) and eps above 0, got {alpha} and {eps}")
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._move(group, weights)

    def _move(self, group: dict[str, Any], weights: list[torch.Tensor]) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        squares = [self._kept(weight, "mean_square", torch.ones_like) for weight in weights]
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["alpha"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        if not group["momentum"]:
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])
            return
        moved = [self._kept(weight, "momentum", torch.zeros_like) for weight in weights]
        torch._foreach_mul_(moved, group["momentum"])
        torch._foreach_addcdiv_(moved, gradients, roots, group["lr"])
        torch._foreach_sub_(weights, moved)

    def _kept(self, weight: torch.Tensor, name: str, first: Any) -> torch.Tensor:
        state = self.state[weight]
        if name not in state:
            state[name] = first(weight, memory_format=torch.preserve_format)
        return state[name]


_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "rmsprop_tensorflow": TensorFlowRMSprop,
}
_SCHEDULABLE = ("lr", "momentum", "beta1")


def create(
    parameters: Iterable[nn.Parameter], name: str, lr: float | dict[str, Any], **options: Any
) -> torch.optim.Optimizer:
    """Adam, AdamW, SGD or one of two RMSprops over `parameters`; lr, momentum and beta1 may be schedules of samples seen.

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
