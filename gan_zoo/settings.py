"""What a config may hold around the model and the data: top level, trainer, logger, optimisers. No torch."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo import schedules
from gan_zoo.schema import Arguments, ByName

Text = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass
class Trainer:
    """Where a run is computed and how its numbers are held (conf/trainer)."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    deterministic: bool | Literal["warn"] = False
    threads: PositiveInt | None = None
    timeout: PositiveFloat = 1800.0


@dataclass
class Wandb:
    """Weights & Biases, imported only when chosen."""

    project: Text = "gan_zoo"
    mode: Literal["online", "offline", "disabled"] = "online"
    entity: Text | None = None
    name: Text | None = None
    group: Text | None = None
    tags: list[Text] = field(default_factory=list)
    notes: str | None = None


@dataclass
class Logger:
    """Where figures go (conf/logger)."""

    tensorboard: bool = True
    wandb: Annotated[dict[str, Any], Arguments(Wandb)] | None = None


@dataclass
class Run:
    """Every key of a composed config; lengths are in samples seen (conf/config.yaml says what each means)."""

    model: dict[str, Any]
    data: dict[str, Any]
    loss: dict[str, Any]
    regularizer: dict[str, Any]
    trainer: Annotated[dict[str, Any], Arguments(Trainer)]
    logger: Annotated[dict[str, Any], Arguments(Logger)]
    callbacks: dict[str, dict[str, Any] | None] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_samples: NonNegativeInt = 0
    log_every: PositiveInt = 1
    sample_every: PositiveInt = 1
    checkpoint_every: PositiveInt = 1
    output_dir: Text | None = None
    resume: Text | None = None
    init_from: Text | None = None
    compile: bool = False
    debug: bool = False


def _schedules() -> ByName:
    functions = {name: item for name, item in vars(schedules).items() if inspect.isfunction(item)}
    return ByName(
        {
            name: item
            for name, item in functions.items()
            if item.__module__ == schedules.__name__
            and item.__annotations__.get("return") == "Schedule"
            and name != "create"
        }
    )


Schedule = Annotated[dict[str, Any], Arguments(_schedules())]
Rate = PositiveFloat | Schedule


@dataclass
class Adam:
    """torch.optim.Adam and AdamW; beta1 as a schedule replaces betas[0]."""

    lr: Rate
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    beta1: Schedule | None = None
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    amsgrad: bool = False
    fused: bool | None = None
    foreach: bool | None = None


@dataclass
class SGD:
    """torch.optim.SGD."""

    lr: Rate
    momentum: Fraction | Schedule = 0.0
    dampening: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    nesterov: bool = False
    fused: bool | None = None
    foreach: bool | None = None


@dataclass
class RMSprop:
    """torch.optim.RMSprop."""

    lr: Rate
    alpha: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    momentum: Fraction | Schedule = 0.0
    centered: bool = False
    foreach: bool | None = None


@dataclass
class TensorFlowRMSprop:
    """gan_zoo.optimizers.TensorFlowRMSprop: the mean square starts at 1, eps stands within the root."""

    lr: Rate
    alpha: Fraction = 0.9
    eps: PositiveFloat = 1e-10
    momentum: Fraction | Schedule = 0.0
    weight_decay: NonNegativeFloat = 0.0


OPTIMIZERS = ByName(
    {"adam": Adam, "adamw": Adam, "sgd": SGD, "rmsprop": RMSprop, "rmsprop_tensorflow": TensorFlowRMSprop}
)
Player = Literal["generator", "discriminator"]
Weights = dict[Player, dict[str, float]]

# gan_zoo.gan takes these as plain dicts; what they may hold is known better here, before torch is imported
MODEL_ARGUMENTS: dict[str, Any] = {
    "optimizer": dict[Player, Annotated[dict[str, Any], Arguments(OPTIMIZERS)]],
    "instance_noise": NonNegativeFloat | Schedule,
    "weights": Weights | None,
}

DATA_ARGUMENTS: dict[str, Any] = {
    "name": Text,
    "resolution": PositiveInt,
    "channels": PositiveInt,
    "classes": NonNegativeInt,
    "modality": Literal["image", "points", "pair", "audio", "text", "captioned"],
    "batch_size": PositiveInt,
    "workers": NonNegativeInt,
    "root": Text | None,
    "cache": Text | None,
    "class_weights": list[NonNegativeFloat] | None,
}
