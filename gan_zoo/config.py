"""From conf/ and a command line to one plain, checked dict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_zoo.classes import callback_class, load_data_class, load_model_class, model_class
from gan_zoo.schema import Arguments, ConfigError
from gan_zoo.settings import DATA_ARGUMENTS, MODEL_ARGUMENTS, Run, Weights
from gan_zoo.signatures import arguments, coerce, signature
from gan_zoo.wording import raise_if, shown, suggestion

Result = TypeVar("Result")
__all__ = [
    "compose",
    "conf_dir",
    "load_data_class",
    "load_model_class",
    "plain_container",
    "validate",
    "validate_parts",
]
PACKAGE = Path(__file__).parent
OF_OTHER_COMMANDS = {"text_encoder": "encoder= of python -m gan_zoo.train_text_encoder"}
GIVEN_TO_MODEL = ("loss", "regularizer", "seed")  # filled in from the rest of the config


def conf_dir() -> Path:
    """The folder of configs: inside the package when it came as a wheel, beside it in a checkout."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder.resolve()
    raise ConfigError(
        f"no conf/config.yaml in {PACKAGE} or beside it: the installation is not whole, install gan_zoo again"
    )


# --- composing ----------------------------------------------------------------------------------------------


def compose(overrides: Iterable[str] = (), config_dir: str | Path | None = None) -> dict[str, Any]:
    """The config that `python -m gan_zoo.train OVERRIDES` would run, resolved; `validate` checks its values.

    config_dir: a further folder of configs of your own. Raises ConfigError for unknown keys and choices.
    """
    texts, doubtful = correct(overrides, config_dir)
    with _hydra():
        config = _composed(_with_folder(texts, config_dir))
    if doubtful:  # a key that only its class can judge
        validate(config)
    return config


def correct(overrides: Iterable[str], config_dir: str | Path | None = None) -> tuple[list[str], bool]:
    """overrides.corrected against conf/ (and `config_dir`)."""
    from gan_zoo.overrides import Search, corrected

    texts = [str(text) for text in overrides]
    folder = _with_folder([], config_dir)
    hydra_overrides = [*folder, *(text for text in texts if text.lstrip("+~").startswith("hydra."))]
    with _hydra() as loader:

        def choices(group: str) -> list[str]:
            if group in OF_OTHER_COMMANDS:
                return []
            return loader.get_group_options(group, config_name="config", overrides=hydra_overrides)

        groups = [group for group in loader.list_groups("") if group not in ("hydra", *OF_OTHER_COMMANDS)]
        search = Search(groups, choices, lambda chosen: _composed([*folder, *chosen], resolve=False))
        return _in_our_words(lambda: corrected(texts, search))


def _with_folder(texts: list[str], config_dir: str | Path | None) -> list[str]:
    if config_dir is None:
        return texts
    folder = Path(config_dir).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigError(
            f"config folder {folder} is not there; --config-dir wants a folder with sub-folders like conf/"
        )
    return [f"hydra.searchpath=['file://{str(folder).replace(chr(39), chr(92) + chr(39))}']", *texts]


@contextmanager
def _hydra() -> Iterator[Any]:
    """Hydra's loader over conf/; whatever was initialised before (an application) is put back afterwards."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield GlobalHydra.instance().config_loader()
    finally:
        GlobalHydra.instance().hydra = before


def _composed(texts: list[str], resolve: bool = True) -> dict[str, Any]:
    from hydra import compose as hydra_compose

    return plain_container(_in_our_words(lambda: hydra_compose("config", texts)), resolve)


def _in_our_words(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (HydraException, OmegaConfBaseException, RecursionError) as error:
        raise _translated(error) from None


def plain_container(config: Any, resolve: bool = True) -> dict[str, Any]:
    """A DictConfig as plain dicts and lists; a missing (???) or unresolvable value is a ConfigError."""
    found = _in_our_words(lambda: OmegaConf.to_container(config, resolve=resolve, throw_on_missing=resolve))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def _translated(error: Exception) -> ConfigError:
    """Hydra's and OmegaConf's words without their hints, which name ways that gan_zoo does not offer."""
    if isinstance(error, RecursionError):
        return ConfigError("the config is nested too deeply")
    key = getattr(error, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [
        line
        for line in lines
        if line and not line.startswith(("full_key", "object_type", "To append", "Set the env"))
    ]
    said = " ".join(kept) or type(error).__name__
    if "Missing mandatory value" in said and key:
        return ConfigError(f"{key}: nothing came, a value was wanted; give {key}=...")
    return ConfigError(f"{key}: {said}" if key else said)


# --- checking -----------------------------------------------------------------------------------------------


def validate(config: Mapping[str, Any], local: bool = True) -> dict[str, Any]:
    """`config` with its values as the receivers want them (1 -> 1.0); ConfigError lists what is wrong.

    local: whether `_target_` may name a class outside gan_zoo; false for configs that came with a file.
    """
    problems: list[str] = []
    try:
        found = arguments(config, Run, "", problems)
        parts = {
            "model": _model,
            "data": _data,
            "loss": _loss,
            "regularizer": _regularizer,
            "callbacks": _callbacks,
        }
        for name, check in parts.items():
            if isinstance(found.get(name), dict):
                found[name] = check(found[name], problems, local)
    except RecursionError:
        raise ConfigError("the config is nested too deeply") from None
    if not problems:
        problems += _disagreements(found)
    raise_if(problems)
    return found


def validate_parts(config: Mapping[str, Any], names: Iterable[str], model: Any = None) -> dict[str, Any]:
    """Those groups (and seed) of a config that came with a file, as `validate` does it.

    model: the class, where the program knows it; otherwise classes are gan_zoo's own.
    """
    checks: dict[str, Callable[..., Any]] = {
        "model": partial(_model, kind=model),
        "data": _data,
        "loss": _loss,
        "regularizer": _regularizer,
    }
    problems: list[str] = []
    found: dict[str, Any] = {}
    for name in names:
        value = config.get(name)
        if name not in checks:
            found[name] = coerce(value, signature(Run).arguments[name].annotation, name, problems)
        elif isinstance(value, dict):
            found[name] = checks[name](value, problems, False)
        else:
            problems.append(f"{name}: {shown(value)} came, keys and values were wanted")
    raise_if(problems)
    return found


def _model(value: dict[str, Any], problems: list[str], local: bool, kind: Any = None) -> dict[str, Any]:
    kept, rest = _kept(value, "name", "_target_")
    kind = kind or _found(lambda: model_class(kept, local), problems)
    return (
        {**kept, **arguments(rest, kind, "model", problems, GIVEN_TO_MODEL, MODEL_ARGUMENTS)}
        if kind
        else value
    )


def _data(value: dict[str, Any], problems: list[str], local: bool) -> dict[str, Any]:
    kept, rest = _kept(value, "_target_")
    kind = _found(lambda: load_data_class(kept.get("_target_"), local), problems)
    return {**kept, **arguments(rest, kind, "data", problems, closer=DATA_ARGUMENTS)} if kind else value


def _loss(value: dict[str, Any], problems: list[str], local: bool) -> dict[str, Any]:
    from gan_zoo import losses

    kept, rest = _kept(value, "weights")
    before = len(problems)
    closer = {"labels": Annotated[dict[str, Any], Arguments(losses.Labels)] | None}
    found = {
        **arguments(rest, losses.create, "loss", problems, closer=closer),
        **_weights(kept, "loss", problems),
    }
    name = found.get("name")
    if isinstance(name, str) and name not in losses.NAMES:
        problems.append(f"loss.name: {shown(name)} came; {suggestion(name, losses.NAMES)}")
    if len(problems) == before:
        _found(
            lambda: losses.create(**{key: item for key, item in found.items() if key != "weights"}), problems
        )
    return found


def _regularizer(value: dict[str, Any], problems: list[str], local: bool) -> dict[str, Any]:
    from gan_zoo import regularizers

    kept, rest = _kept(value, "weights")
    before = len(problems)
    found = {
        **arguments(rest, regularizers.create, "regularizer", problems),
        **_weights(kept, "regularizer", problems),
    }
    parts: Any = found.get("parts")
    for name, item in parts.items() if isinstance(parts, dict) else ():
        if name in regularizers.PARTS and isinstance(item, dict):
            parts[name] = arguments(item, regularizers.PARTS[name], f"regularizer.parts.{name}", problems)
    if len(problems) == before:
        _found(lambda: regularizers.create(found.get("parts")), problems)
    return found


def _weights(kept: dict[str, Any], key: str, problems: list[str]) -> dict[str, Any]:
    return {"weights": coerce(kept["weights"], Weights | None, f"{key}.weights", problems)} if kept else {}


def _callbacks(value: dict[str, Any], problems: list[str], local: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        kept, rest = _kept(item if isinstance(item, dict) else {}, "_target_")
        kind = (
            _found(partial(callback_class, kept.get("_target_"), local), problems)
            if item and isinstance(item, dict)
            else None
        )
        found[name] = {**kept, **arguments(rest, kind, f"callbacks.{name}", problems)} if kind else item
    return found


def _kept(value: dict[str, Any], *names: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return {n: value[n] for n in value if n in names}, {n: value[n] for n in value if n not in names}


def _found(make: Callable[[], Any], problems: list[str]) -> Any:
    try:
        return make()
    except ConfigError as error:
        problems.append(str(error))
        return None


def _disagreements(config: dict[str, Any]) -> list[str]:
    """What is right by itself and wrong together."""
    problems: list[str] = []
    data, trainer = config["data"], config["trainer"]
    wanted = getattr(model_class(config["model"], True), "modalities", None)
    if wanted and data.get("modality") not in wanted:
        problems.append(
            f"model {config['model'].get('name')} is made for {' or '.join(wanted)} and data "
            f"{data.get('name')} is {data.get('modality')}; choose another data=... or model=..."
        )
    devices, accumulate = (
        trainer.get("devices", 1) * trainer.get("nodes", 1),
        config["model"].get("accumulate", 1),
    )
    shares = devices * accumulate
    batch = data.get("batch_size", shares)
    if batch % shares:
        below, above = batch // shares * shares, (batch // shares + 1) * shares
        working = f"{below} or {above}" if below else str(above)
        problems.append(
            f"data.batch_size: {batch} came, which {devices} devices x {accumulate} accumulated "
            f"batches cannot share equally; {working} would work"
        )
    if config.get("resume") and config.get("init_from"):
        problems.append(
            "resume and init_from both came; resume goes on with a run, init_from starts one from weights"
        )
    return problems
