"""Configs: what is composed, what is refused and in which words, and what a stranger's file cannot do."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo import config as configs
from gan_zoo.command import _in_one_line, application, command, parse_arguments
from gan_zoo.config import compose, conf_dir, load_data_class, load_model_class, validate
from gan_zoo.help import choices_help, train_help
from gan_zoo.overrides import declared
from gan_zoo.plain_yaml import plain, save
from gan_zoo.schema import Arguments, ConfigError, DataError
from gan_zoo.signatures import arguments, coerce, signature
from gan_zoo.wording import describe

MODELS = sorted(file.stem for file in (conf_dir() / "model").glob("*.yaml"))


def composed(*overrides: str) -> dict[str, Any]:
    return validate(compose(overrides))


# Command lines that cannot be right, with parts of the message that each gets.
BAD_COMMAND_LINES: list[tuple[list[str], list[str]]] = [
    (["model=dcgna"], ["model: 'dcgna' came", "did you mean model=dcgan?"]),
    (["modle=dcgan"], ["modle: no such key", "did you mean model?"]),
    (["data=mnits"], ["data: 'mnits' came", "data=mnist"]),
    (["loss=hing"], ["loss=hinge"]),
    (["regularizer=gradient_penality"], ["regularizer=gradient_penalty"]),
    (["logger=tensorbord"], ["logger=tensorboard"]),
    (["model="], ["model: '' came", "dcgan"]),
    (["model=null"], ["model: null came", "dcgan"]),
    (["model={lr: 1}"], ["model: {'lr': 1} came, a name was wanted", "model.key=value"]),
    (["~model"], ["model: a run cannot do without it"]),
    (["data=digits", "data=mnist"], ["data: came 2 times, one choice was wanted"]),
    (["data@elsewhere=digits"], ["write data=..."]),
    (["colour/hue=red"], ["colour/hue: no such group", "trainer"]),
    (["model=dcgan,cgan"], ["model: 'dcgan,cgan' came, one value was wanted", "-m"]),
    (["sede=1"], ["sede: no such key", "did you mean seed?"]),
    (["+sede=1"], ["sede: no such key", "did you mean seed?"]),
    (["++trainer.device=4"], ["trainer.device: no such key", "did you mean trainer.devices?"]),
    (["trainer.gpus=4"], ["trainer.gpus: no such key", "devices"]),
    (["n_critic=5"], ["n_critic: no such key", "did you mean model.n_critic?"]),
    (["lr=1e-4"], ["lr: no such key", "lr?"]),
    (["model.n_critc=5"], ["model.n_critc: no such key", "did you mean model.n_critic?"]),
    (["model.optimizer.generator.lrr=1"], ["model.optimizer.generator.lrr: no such key", "generator.lr?"]),
    (["model.optimizer.critic={}"], ["model.optimizer.critic: no such key"]),
    (["model.generator.widht=32"], ["model.generator.widht: no such key", "model.generator.width?"]),
    (["data.rot=/data"], ["data.rot: no such key", "did you mean data.root?"]),
    (["loss.labels.rael=0.9"], ["loss.labels.rael: no such key", "loss.labels.real?"]),
    (["logger=wandb", "logger.wandb.mod=offline"], ["logger.wandb.mod: no such key", "logger.wandb.mode?"]),
    (["~model.no_such"], ["model.no_such: no such key"]),
    (["seed"], ["'seed' came, key=value was wanted"]),
    (["--seed=3"], ["write seed=3"]),
    (["=3"], ["'=3' came, which is no key=value"]),
    (["a b=3"], ["'a b=3' came, which is no key=value"]),
    (["data.root=[1"], ["'data.root=[1' came, which is no key=value", "in quotes of its own"]),
    (["data.root='x"], ["which is no key=value"]),
    (["data.root=${no.such.key}"], ["data.root:", "no.such.key"]),
    (["model.resolution=???"], ["model.resolution: nothing came"]),
    (["hydra.no_such=1"], ["hydra.no_such"]),
    (["seed=-1"], ["seed: -1 came, an integer >= 0"]),
    (["seed=''"], ["seed: '' came, an integer >= 0"]),
    (["seed=1.5"], ["seed: 1.5 came, an integer"]),
    (["seed=true"], ["seed: true came, an integer"]),
    (["seed=[1]"], ["seed: [1] came, an integer"]),
    (["max_samples=-1"], ["max_samples: -1 came, an integer >= 0"]),
    (["max_samples=many"], ["max_samples: 'many' came, an integer >= 0"]),
    (["checkpoint_every=0"], ["checkpoint_every: 0 came, an integer >= 1"]),
    (["debug='no'"], ["debug: 'no' came, true or false was wanted"]),
    (["compile=no"], ["compile: 'no' came, true or false was wanted"]),
    (["output_dir=''"], ["output_dir: '' came, a string"]),
    (["model.n_critic=0"], ["model.n_critic: 0 came, an integer >= 1 was wanted"]),
    (["model.fresh_fake=1"], ["model.fresh_fake: 1 came, true or false was wanted"]),
    (["model.update=alternatin"], ["model.update: 'alternatin' came", "did you mean alternating?"]),
    (["model.ema_half_life=inf"], ["model.ema_half_life: inf came, a number > 0 or null"]),
    (["model.generator.width=abc"], ["model.generator.width: 'abc' came, an integer >= 1"]),
    (["model.optimizer.generator.lr=abc"], ["model.optimizer.generator.lr: 'abc' came, a number > 0"]),
    (["model.optimizer.generator.lr=-1"], ["model.optimizer.generator.lr: -1 came, a number > 0"]),
    (["model.optimizer.generator.lr=0"], ["model.optimizer.generator.lr: 0 came"]),
    (["model.optimizer.discriminator.lr=nan"], ["model.optimizer.discriminator.lr: nan came"]),
    (["model.optimizer.generator.betas=[0.5,1.0]"], ["model.optimizer.generator.betas[1]: 1.0 came", "< 1"]),
    (["model.optimizer.generator.betas=[0.5]"], ["model.optimizer.generator.betas: [0.5] came, a list of 2"]),
    (["model.optimizer.generator.name=adm"], ["generator.name: 'adm' came", "did you mean adam?"]),
    (["model.optimizer.generator.lr={name: linaer}"], ["lr.name: 'linaer' came", "did you mean linear?"]),
    (["model.optimizer.generator.lr={name: linear, value: 1e-3}"], ["lr.to: nothing came, a number"]),
    (["model.weights={critic: {l1: 1.0}}"], ["model.weights.critic: no such key", "discriminator"]),
    (["loss.name=hinje"], ["loss.name: 'hinje' came", "did you mean hinge?"]),
    (["loss=hinge", "loss.labels={real: 0.9}"], ["loss.labels came, but Hinge has no labels"]),
    (["regularizer.parts={r3: {}}"], ["regularizer.parts may hold", "r3"]),
    (["data.batch_size=0"], ["data.batch_size: 0 came"]),
    (["data.batch_size=64.5"], ["data.batch_size: 64.5 came, an integer"]),
    (["data.batch_size=64", "trainer.devices=3"], ["batch_size: 64 came", "3 devices", "63 or 66 would"]),
    (["data._target_=gan_zoo.data.images.Digit"], ["data._target_: 'gan_zoo.", "Digits?"]),
    (["data._target_=os.system"], ["data._target_: 'os.system' came, a subclass of DataModule was wanted"]),
    (["data._target_=no_such_module.Data"], ["there is no module no_such_module"]),
    (["model.name=dcgna"], ["model.name: 'dcgna' came; did you mean dcgan?"]),
    (["model.name=../../evil"], ["model.name: '../../evil' came"]),
    (["+model._target_=os.system"], ["a subclass of GAN was wanted"]),
    (["callbacks.mine={_target_: os.system}"], ["a subclass of Callback was wanted"]),
    (["callbacks.mine=3"], ["callbacks.mine: 3 came"]),
    (["trainer.devices=two"], ["trainer.devices: 'two' came, an integer >= 1"]),
    (["trainer.precision=bf16"], ["trainer.precision: 'bf16' came", "did you mean bf16-mixed?"]),
    (["trainer.accelerator=gup"], ["did you mean gpu?"]),
    (["resume=a", "init_from=b"], ["resume and init_from both came"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "parts"), BAD_COMMAND_LINES, ids=[" ".join(line) for line, _ in BAD_COMMAND_LINES]
)
def test_a_bad_command_line_is_refused_in_plain_words(line: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        composed(*line)
    assert [part for part in parts if part not in str(refusal.value)] == [], str(refusal.value)
    assert "append" not in str(refusal.value) and "+sede" not in str(
        refusal.value
    )  # Hydra's advice would not work here


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refusal:
        composed("seed=-1", "model.n_critic=0", "trainer.devices=0", "data.batch_size=x")
    lines = str(refusal.value).splitlines()
    assert lines[0] == "4 settings cannot be right:" and len(lines) == 5


# --- what is composed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_model_composes_and_is_valid(model: str) -> None:
    assert composed(f"model={model}")["model"]["name"] is not None


def test_the_default_is_dcgan_on_digits() -> None:
    config = composed()
    assert (config["model"]["name"], config["data"]["name"]) == ("dcgan", "digits")
    assert "hydra" not in config and type(config["model"]["optimizer"]) is dict


def test_values_are_coerced_to_the_types_of_their_receivers() -> None:
    config = composed(
        "model.optimizer.generator.betas=[0,0.99]", "max_samples=1e5", "model.ema_half_life=1000"
    )
    assert config["model"]["optimizer"]["generator"]["betas"] == [0.0, 0.99]
    assert all(type(beta) is float for beta in config["model"]["optimizer"]["generator"]["betas"])
    assert config["max_samples"] == 100_000 and type(config["max_samples"]) is int
    assert type(config["model"]["ema_half_life"]) is float


@pytest.mark.parametrize("spelling", ["model.clip", "+model.clip", "++model.clip"])
def test_a_key_that_no_yaml_spells_but_the_class_takes_is_accepted(spelling: str) -> None:
    assert composed(f"{spelling}={{generator: 1}}")["model"]["clip"] == {"generator": 1.0}


def test_the_command_line_wins_over_the_models_own_data_and_loss() -> None:
    config = composed("model=dcgan", "data=mnist", "loss=hinge")
    assert (config["data"]["name"], config["loss"]["name"]) == ("mnist", "hinge")


def test_underscores_in_numbers_and_a_plus_before_a_known_key_are_fine() -> None:
    assert composed("+max_samples=2_000_000")["max_samples"] == 2_000_000


def test_configs_of_ones_own_are_found(own_folder: Path) -> None:
    (own_folder / "my conf" / "loss").mkdir(parents=True)
    (own_folder / "my conf" / "loss" / "mine.yaml").write_text("name: wasserstein\n")
    assert compose(["loss=mine"], config_dir=own_folder / "my conf")["loss"]["name"] == "wasserstein"
    with pytest.raises(ConfigError, match=r"loss=mine\?"):
        compose(["loss=mien"], config_dir=own_folder / "my conf")
    with pytest.raises(ConfigError, match="is not there"):
        compose([], config_dir=own_folder / "none")


def test_compose_leaves_a_running_hydra_application_as_it_was() -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        compose()
        assert GlobalHydra.instance().hydra is before


@pytest.mark.parametrize(
    "file", sorted(conf_dir().rglob("*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}"
)
def test_every_yaml_says_what_it_is_and_names_its_package_where_hydra_looks(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    headers = [number for number, line in enumerate(lines) if line.startswith("# @package")]
    assert headers in ([], [0])  # Hydra stops reading headers at the first other line, comments too
    if file.parent.name in ("model", "experiment"):
        assert headers == [0]


def test_a_config_survives_yaml(own_folder: Path) -> None:
    config = composed(
        "model.optimizer.generator.lr=1e-5",
        "output_dir='2026-11-22'",
        "model.optimizer.generator.betas=[0,0.9]",
    )
    save(config, own_folder / "config.yaml")
    assert plain(own_folder / "config.yaml") == config
    assert validate(plain(own_folder / "config.yaml"), local=False) == config


# --- random configs -----------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("${seed}")
)
VALUES = st.recursive(
    SCALARS,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
    max_leaves=5,
)


def keys_of(config: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(config, dict):
        return [path]
    return [path, *itertools.chain(*(keys_of(item, (*path, name)) for name, item in config.items()))]


DEFAULT = compose()
KEYS = [".".join(path) for path in keys_of(DEFAULT) if path]
WORDS = st.sampled_from(
    [
        *KEYS,
        "model",
        "data",
        "+",
        "++",
        "~",
        "=",
        ",",
        "[",
        "{",
        "}",
        "'",
        '"',
        "${",
        "@",
        "/",
        "\\",
        " ",
        "é",
        "null",
    ]
)


def accepted_or_refused(work: Any) -> None:
    """Anything but ConfigError is a failure of the test."""
    try:
        assert isinstance(validate(work()), dict)
    except ConfigError as refusal:
        assert str(refusal).strip()


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(st.text(max_size=20), st.lists(WORDS, max_size=6).map("".join)), min_size=1, max_size=2
    )
)
def test_any_command_line_is_accepted_or_refused(overrides: list[str]) -> None:
    accepted_or_refused(lambda: compose(overrides))


@settings(max_examples=40)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_of_any_key_is_accepted_or_refused(key: str, value: Any) -> None:
    accepted_or_refused(lambda: compose([f"{key}={value}"]))


@settings(max_examples=300)
@given(st.data())
def test_any_mutated_config_is_accepted_or_refused(data: st.DataObject) -> None:
    config = yaml.safe_load(yaml.safe_dump(DEFAULT))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from([path for path in keys_of(config) if path]))
        node = config
        for name in parents:
            node = node[name]
        if data.draw(st.booleans()):
            node[last] = data.draw(VALUES)
        else:
            node[data.draw(st.text(max_size=6))] = node.pop(last)
    accepted_or_refused(lambda: config)


# --- annotations --------------------------------------------------------------------------------------------


class Inner:
    def __init__(self, width: PositiveInt, given_by_owner: int, *, depth: int = 2) -> None: ...


class Base:
    def __init__(self, *, rate: PositiveFloat = 1.0, **rest: Any) -> None: ...


class Outer(Base):
    def __init__(
        self,
        *,
        inner: Annotated[dict[str, Any], Arguments(Inner, given=("given_by_owner",))],
        mode: Literal["add", "multiply"] = "add",
        scale: float | list[float] | None = None,
        module: type | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)


def problems_of(value: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    arguments(value, Outer, "outer", problems)
    return problems


def test_arguments_follow_kwargs_to_the_base_and_leave_out_what_no_yaml_can_hold() -> None:
    taken = {name for name, item in signature(Outer).arguments.items() if item.settable}
    assert taken == {"inner", "mode", "scale", "rate"}
    assert not signature(Outer).open


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({}, ["outer.inner: nothing came, keys and values was wanted"]),
        ({"inner": 3}, ["outer.inner: 3 came, keys and values were wanted"]),
        ({"inner": {}}, ["outer.inner.width: nothing came, an integer >= 1 was wanted"]),
        ({"inner": {"width": 0}}, ["outer.inner.width: 0 came, an integer >= 1 was wanted"]),
        (
            {"inner": {"width": 1, "given_by_owner": 1}},
            ["outer.inner.given_by_owner: no such key; there are depth, width"],
        ),
        ({"inner": {"width": 1}, "rate": 0.0}, ["outer.rate: 0.0 came, a number > 0 was wanted"]),
        ({"inner": {"width": 1}, "rate": math.inf}, ["outer.rate: inf came, a number > 0 was wanted"]),
        ({"inner": {"width": 1}, "rate": 10**400}, ["a number > 0 was wanted"]),
        (
            {"inner": {"width": 1}, "scale": "x"},
            ["outer.scale: 'x' came, a number or a list of such, or null was wanted"],
        ),
        ({"inner": {"width": 1}, "scale": [1, True]}, ["outer.scale[1]: true came, a number was wanted"]),
        (
            {"inner": {"width": 1}, "mode": "ad"},
            ["outer.mode: 'ad' came, one of add, multiply was wanted; did you mean add?"],
        ),
        ({"inner": {"width": 1}, "module": "os"}, ["outer.module: no such key"]),
    ],
)
def test_what_is_wrong_is_named_to_the_key(value: dict[str, Any], wanted: list[str]) -> None:
    found = problems_of(value)
    assert len(found) == len(wanted)
    assert all(part in line for part, line in zip(wanted, found, strict=True)), found


def test_right_values_pass_and_integers_become_floats() -> None:
    problems: list[str] = []
    found = arguments({"inner": {"width": 1e1}, "rate": 2, "scale": (1, 2)}, Outer, "", problems)
    assert problems == [] and found == {"inner": {"width": 10}, "rate": 2.0, "scale": [1.0, 2.0]}
    assert type(found["inner"]["width"]) is int and type(found["rate"]) is float


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (PositiveInt, "an integer >= 1"),
        (NonNegativeInt, "an integer >= 0"),
        (Annotated[float, Field(ge=0, lt=1)], "a number >= 0 and < 1"),
        (bool, "true or false"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (tuple[float, float], "a list of 2: a number, a number"),
        (dict[str, Any], "keys and values"),
        (list[str] | None, "a list of strings, or null"),
        (list[str | None], "a list (each a string or null)"),
        (list[list[NonNegativeInt]] | None, "a list of lists of integers >= 0, or null"),
        (PositiveInt | list[PositiveInt], "an integer >= 1 or a list of such"),
    ],
)
def test_types_are_described_in_words(annotation: Any, words: str) -> None:
    assert describe(annotation) == words


@given(
    VALUES,
    st.sampled_from(
        [
            int,
            float,
            bool,
            str,
            Literal["a", 1],
            list[int],
            tuple[int, str],
            dict[str, float],
            Any,
            int | list[str],
        ]
    ),
)
def test_coerce_is_idempotent_where_it_accepts(value: Any, annotation: Any) -> None:
    problems: list[str] = []
    found = coerce(value, annotation, "key", problems)
    if not problems:
        assert coerce(found, annotation, "key", problems) == found and problems == []


def test_arguments_read_from_the_source_are_those_of_the_class() -> None:
    for model in MODELS:
        kind = load_model_class(compose([f"model={model}"])["model"]["name"])
        assert declared(f"gan_zoo.models.{model}", None) == set(signature(kind).arguments)


# --- files from strangers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system ['touch canary']", "no plain YAML"),
        ("a: !!python/name:os.system", "no plain YAML"),
        ("a: ${oc.env:HOME}", "a holds the interpolation '${oc.env:HOME}'"),
        ("a: {b: ['x', '${c}']}", "a.b[1] holds the interpolation"),
        ("a: &x [1]\nb: *x", "line 2 holds the alias *x"),
        ("a: " + "[" * 5000, "nested deeper than 32"),
        ("a: " + "{b: " * 40, "nested deeper than 32"),
        ("a: [" + "1, " * 60_000 + "1]", "longer than 50000 values"),
        ("a: " + "x" * 2**20, "a config has at most"),
        ("a: [1", "no plain YAML"),
        ("- a", "keys and values were wanted"),
        ("", "keys and values were wanted, null came"),
        ("1: a", "has the key 1, a name was wanted"),
        ("a: 2026-11-22", "a holds a date"),
        ("a: \x00", "no plain YAML"),
        ("a: 2026-99-99", "no plain YAML"),
    ],
)
def test_a_strangers_config_is_data_or_refused(text: str, message: str, own_folder: Path) -> None:
    (own_folder / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as refusal:
        plain(own_folder / "config.yaml")
    assert message in str(refusal.value) and "config.yaml" in str(refusal.value)
    assert not (own_folder / "canary").exists()


def test_a_file_that_is_not_there_or_not_text_is_refused(own_folder: Path) -> None:
    (own_folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.yaml", "bytes.yaml", "."):
        with pytest.raises(ConfigError, match="cannot be read as a config"):
            plain(own_folder / name)


FOREIGN_CLASSES = [
    "os.system",
    "torch.load",
    "numpy.load",
    "gan_zoo.data.images.torch.load",
    "gan_zoo.data.images.os",
    "gan_zoo.models.dcgan.DCGAN",
    "tests.test_config.Evil",
    "",
    None,
    3,
    ["os.system"],
]


@pytest.mark.parametrize("target", FOREIGN_CLASSES)
def test_a_strangers_data_class_comes_from_gan_zoo_data_or_not_at_all(target: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\._target_"):
        load_data_class(target)


def test_a_strangers_data_class_must_be_defined_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_zoo.data import images

    foreign = type("Foreign", (images.Digits,), {"__module__": "elsewhere"})
    monkeypatch.setattr(images, "Foreign", foreign, raising=False)
    with pytest.raises(ConfigError, match=r"which gan_zoo\.data\.images only imports"):
        load_data_class("gan_zoo.data.images.Foreign")
    assert load_data_class("gan_zoo.data.images.Digits").__name__ == "Digits"


@pytest.mark.parametrize(
    "name", ["../evil", "os", "dcgan.os", "__init__", "", "class", None, 3, ["dcgan"], "dcgan "]
)
def test_a_model_name_is_a_file_of_gan_zoo_models(name: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\.name"):
        load_model_class(name)


def test_a_strangers_config_names_no_class_of_its_own() -> None:
    for part, target in (("model", "os.system"), ("data", "os.system"), ("callbacks", "os.system")):
        config = compose()
        if part == "callbacks":
            config["callbacks"] = {"mine": {"_target_": target}}
        else:
            config[part]["_target_"] = target
        with pytest.raises(ConfigError, match="came with a file"):
            validate(config, local=False)


def test_model_and_data_of_different_kinds_are_refused() -> None:
    config = compose()
    config["data"]["modality"] = "audio"
    with pytest.raises(ConfigError, match="made for image and data digits is audio"):
        validate(config)


def test_a_missing_installation_of_configs_is_named(
    monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setattr(configs, "PACKAGE", own_folder / "package")
    with pytest.raises(ConfigError, match=r"no conf/config\.yaml"):
        conf_dir()


# --- commands -----------------------------------------------------------------------------------------------


def draw(*, run: str, n: PositiveInt = 64, caption: str | None = None, spread: float = 1.0,
         size: list[int] | int = 8, grid: bool = False) -> dict[str, Any]:  # fmt: skip
    """Draws samples."""
    return {"run": run, "n": n, "caption": caption, "spread": spread, "size": size, "grid": grid}


def test_arguments_are_split_at_the_first_equals_sign_and_taken_as_they_stand() -> None:
    found = parse_arguments(
        [
            "run=runs/a=b,c d",
            "caption=a 'red' flower, (x=1): yes",
            "n=8",
            "spread=1e-3",
            "size=[4, 8]",
            "grid=true",
        ],
        draw,
    )
    assert found == {
        "run": "runs/a=b,c d",
        "caption": "a 'red' flower, (x=1): yes",
        "n": 8,
        "spread": 0.001,
        "size": [4, 8],
        "grid": True,
    }


@pytest.mark.parametrize(
    "caption", ["12", "true", "{a: b}", "[x]", "'quoted'", "", "a: b", "1e5", "-", "#red"]
)
def test_a_caption_stays_what_it_is(caption: str) -> None:
    assert parse_arguments(["run=x", f"caption={caption}"], draw)["caption"] == caption


def test_null_is_no_caption() -> None:
    assert parse_arguments(["run=x", "caption=null"], draw)["caption"] is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "run: nothing came, a string was wanted; give run=..."),
        (["rn=x"], "rn: no such key; did you mean run?"),
        (["run=x", "n=0"], "n: 0 came, an integer >= 1 was wanted"),
        (["run=x", "n=many"], "n: 'many' came, an integer >= 1 was wanted"),
        (["run=x", "grid=yes please"], "grid: 'yes please' came, true or false was wanted"),
        (["run=x", "spread=nan"], "spread: 'nan' came, a number was wanted"),
        (["run=x", "--n=3"], "'--n=3' came, key=value was wanted; did you mean n?"),
        (["run=x", "n"], "'n' came, key=value was wanted"),
        (["run=x", "run=y"], "run: came twice"),
    ],
)
def test_bad_arguments_of_a_command_are_refused(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_arguments(argv, draw)
    assert message in str(refusal.value)


@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_arguments_are_accepted_or_refused(argv: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert "run" in parse_arguments([text for text in argv if text not in ("-h", "--help")], draw)


@pytest.mark.parametrize("error", [ConfigError("too odd"), DataError("x.png", "too odd")])
def test_a_mistake_ends_with_code_2_and_one_message(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    @command
    def fails(*, n: int = 1) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["fails", "n=3"])
    with pytest.raises(SystemExit) as end:
        fails()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
    monkeypatch.setattr(sys, "argv", ["fails", "debug=true"])
    with pytest.raises(type(error)):
        fails()


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (NotADirectoryError(20, "Not a directory", "a/b.png"), 2, "error: a/b.png: Not a directory\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_the_file_system_refuses_and_ctrl_c_end_without_a_trace(
    stop: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fails(*config: Any, n: int = 1) -> None:
        raise stop

    for start, argument in ((command(fails), "n=3"), (lambda: application(fails), "seed=3")):
        monkeypatch.setattr(sys, "argv", ["fails", argument])
        with pytest.raises(SystemExit) as end:
            start()
        assert end.value.code == code and capsys.readouterr().err == said
        monkeypatch.setattr(sys, "argv", ["fails", "debug=true"])
        with pytest.raises(type(stop)):
            start()


def test_an_error_that_names_no_file_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    @command
    def fails(*, n: int = 1) -> None:
        raise OSError("no file is meant")

    monkeypatch.setattr(sys, "argv", ["fails"])
    with pytest.raises(OSError, match="no file is meant"):
        fails()


def test_a_commands_help_names_each_argument_with_type_and_default(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(["--help"], draw)
    page = capsys.readouterr().out
    assert end.value.code == 0
    assert (
        "Draws samples." in page
        and "an integer >= 1; default 64" in page
        and "a string; must be given" in page
    )


def run_application(monkeypatch: pytest.MonkeyPatch, *argv: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(sys, "argv", ["train", *argv])
    application(seen.append)
    return seen


def test_an_application_gets_a_checked_config(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = run_application(monkeypatch, "model=cgan", "+model.ema_half_life=1000")
    assert config["model"]["name"] == "cgan" and config["model"]["ema_half_life"] == 1000.0


def test_multirun_runs_each_combination_and_checks_all_before_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    seen = run_application(monkeypatch, "-m", "model=dcgan,cgan", "seed=0,1", "model.clip.generator=1,2")
    assert [(config["model"]["name"], config["seed"]) for config in seen][::2] == [
        ("dcgan", 0),
        ("dcgan", 1),
        ("cgan", 0),
        ("cgan", 1),
    ]
    assert [config["model"]["clip"]["generator"] for config in seen] == [1.0, 2.0] * 4
    with pytest.raises(SystemExit) as end:
        run_application(monkeypatch, "-m", "model=dcgan,cgna")
    assert end.value.code == 2 and "did you mean model=cgan?" in capsys.readouterr().err


def test_hydra_writes_nothing_beside_a_run(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    run_application(monkeypatch)
    assert list(own_folder.iterdir()) == []


# --- help ---------------------------------------------------------------------------------------------------


def test_help_lists_every_choice_with_a_line_and_fits_110_columns() -> None:
    page = train_help()
    assert max(len(line) for line in page.splitlines()) <= 110
    for file in conf_dir().rglob("*.yaml"):
        assert file.stem == "config" or f"\n  {file.stem}" in page
    assert "seed=0" in page and "trainer.devices=1" in page
    assert (
        "python -m gan_zoo.benchmark " in page
        and "\nencoder= of python -m gan_zoo.train_text_encoder" in page
    )


def test_a_choice_of_another_command_is_no_key_of_a_run() -> None:
    with pytest.raises(ConfigError, match="text_encoder: no such key"):
        compose(["text_encoder=words"])


@pytest.mark.parametrize(
    ("choice", "said", "setting"),
    [
        ("model=segan", "16 to 1024", "n_critic: 1"),
        ("experiment=text_to_image_paper", "600 epochs", "mismatched: 0.5"),
        ("model/generator=text_lstm", "Rajeswar", "feedback: false"),
    ],
)
def test_help_of_a_choice_is_what_its_file_says_against_the_paper(
    choice: str, said: str, setting: str
) -> None:
    page = choices_help(["--help", choice, "seed=3"])
    assert page.startswith(f"{choice}\n  ") and said in page and setting in page
    assert "@package" not in page and "pggan" not in page
    assert choices_help(["--help", "seed=3", "model=segn"]) == ""  # then the whole page is shown


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    check = f"import sys\n{code}\nassert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    return subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, env=os.environ, timeout=60
    )


@pytest.mark.parametrize(
    "code",
    [
        "from gan_zoo.help import train_help; train_help()",
        "import gan_zoo.config; gan_zoo.config.compose()",
        "from gan_zoo.config import compose\n"
        "try: compose(['model.n_critc=1'])\n"
        "except ValueError as error: assert 'n_critic' in str(error)",
        "sys.argv = ['train', '--help']\nfrom gan_zoo.command import application; application(print)",
        "sys.argv = ['train', 'model=segan', '-h']\nfrom gan_zoo.command import application; application(print)",
    ],
)
def test_help_and_typos_are_answered_before_torch_is_imported(code: str) -> None:
    result = without_torch(code)
    assert result.returncode == 0, result.stderr


def test_warnings_of_our_own_are_one_line_and_others_tell_where_they_come_from() -> None:
    own = _in_one_line("CMYK pictures are converted", UserWarning, str(Path(configs.__file__)), 7)
    assert own == "warning: CMYK pictures are converted\n"
    assert _in_one_line("old", FutureWarning, "/lib/numpy.py", 7) == "/lib/numpy.py:7: FutureWarning: old\n"
