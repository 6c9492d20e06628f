"""Classes by name: for a stranger's config from gan_zoo alone, for one's own from anywhere."""

from __future__ import annotations

import importlib
import inspect
import keyword
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_zoo.schema import ConfigError
from gan_zoo.wording import shown, suggestion

PACKAGE = Path(__file__).parent
TRUSTED: set[str] = (
    set()
)  # classes from outside gan_zoo that this command line names, by trust=, and a file may name then


def _modules(folder: str) -> list[str]:
    return sorted(file.stem for file in (PACKAGE / folder).glob("*.py") if not file.stem.startswith("_"))


def trusted(target: Any) -> bool:
    return isinstance(target, str) and target in TRUSTED


def load_model_class(name: Any) -> Any:
    """The GAN of gan_zoo/models/<name>.py; a name that listing the folder does not give is refused."""
    names = _modules("models")
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name not in names:
        raise ConfigError(f"model.name: {shown(name)} came; {suggestion(str(name), names)}")
    from gan_zoo.gan import GAN

    module = importlib.import_module(f"gan_zoo.models.{name}")
    kinds = [item for item in vars(module).values() if inspect.isclass(item) and issubclass(item, GAN)]
    kinds = [item for item in kinds if item.__module__ == module.__name__]
    if len(kinds) != 1:
        raise ConfigError(
            f"gan_zoo/models/{name}.py must define one subclass of GAN, it defines {len(kinds)}"
        )
    return kinds[0]


def model_class(model: Mapping[str, Any], local: bool) -> Any:
    target = model.get("_target_")
    if target is None:
        return load_model_class(model.get("name"))
    if not local:
        raise ConfigError(
            f"model._target_: {shown(target)} came with a file, which may name gan_zoo's own models only; "
            "load it as gan_zoo.load(path, model=YourClass)"
        )
    from gan_zoo.gan import GAN

    return _imported(target, "model._target_", GAN)


def load_data_class(target: Any, local: bool = False) -> Any:
    """The data module that `_target_` names; unless `local`, one that a file of gan_zoo/data defines."""
    from gan_zoo.data.stream import DataModule

    return _class(target, "data", DataModule, "data._target_", local)


def callback_class(target: Any, local: bool) -> Any:
    from lightning.pytorch import Callback

    return _class(target, "callbacks", Callback, "callbacks._target_", local)


def _class(target: Any, folder: str, base: type, key: str, local: bool) -> Any:
    module = target.rpartition(".")[0] if isinstance(target, str) else ""
    own = [f"gan_zoo.{folder}.{stem}" for stem in _modules(folder)]
    local = local or trusted(target)
    if module not in own and not local:
        raise ConfigError(
            f"{key}: {shown(target)} came with a file, which may name classes of gan_zoo.{folder} only; if it is yours, add "
            f"trust={target}"
        )
    kind = _imported(target, key, base)
    if not local and kind.__module__ != module:
        raise ConfigError(f"{key}: {shown(target)} came, which {module} only imports from {kind.__module__}")
    return kind


def _imported(target: Any, key: str, base: type) -> Any:
    module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{key}: {shown(target)} came, module.Class was wanted")
    try:
        found = vars(importlib.import_module(module)).get(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{key}: {shown(target)} came, but there is no module {error.name}") from None
    if not inspect.isclass(found) or not issubclass(found, base):
        names = [
            n
            for n, item in vars(importlib.import_module(module)).items()
            if inspect.isclass(item) and issubclass(item, base)
        ]
        raise ConfigError(
            f"{key}: {shown(target)} came, a subclass of {base.__name__} was wanted; "
            f"{suggestion(name, names)}"
        )
    return found
