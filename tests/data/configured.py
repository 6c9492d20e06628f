"""Data modules as conf/data describes them."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from gan_zoo.classes import load_data_class
from gan_zoo.config import conf_dir


def made(name: str, **changes: Any) -> Any:
    """The data module of conf/data/<name>.yaml with other values."""
    config = OmegaConf.load(conf_dir() / "data" / f"{name}.yaml")
    config.seed = 0  # the whole config's, which some refer to
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    kind = load_data_class(values.pop("_target_"))
    return kind(**{str(key): value for key, value in values.items()} | changes)
