"""Files from strangers run no code, fill no memory, lead nowhere else, and are refused in words."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gan_zoo
from gan_zoo import checkpoint, loading, plain_yaml, resuming
from gan_zoo.config import compose, conf_dir, validate
from gan_zoo.run import data_of
from gan_zoo.schema import CheckpointError, ConfigError

from .strangers import (
    BAD_DESCRIPTIONS,
    BAD_JSON,
    BAD_SAFETENSORS,
    BAD_STATES,
    ENDLESS,
    FIRST,
    GONE,
    MISFITS,
    MISTAKES,
    Stranger,
    changed,
    gan_of,
    make_run,
)
from .test_checkpoint import Eval, NumpyLoad, Shell, save_legacy, seal

pytestmark = pytest.mark.filterwarnings(
    "ignore:Environment variable TORCH_FORCE",
    "ignore:Detected pickle protocol",
    "ignore::UserWarning",
    "ignore::FutureWarning",
)
MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def stranger(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    monkeypatch.setenv(
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"
    )  # switches torch's guard off where nothing is said
    return Stranger(made, tmp_path)


@pytest.fixture
def content(made: Path) -> dict[str, Any]:
    return checkpoint.read(made / "checkpoints/last.ckpt")


def refused(action: Callable[[], Any], *words: str) -> str:
    """The message of a refusal, in which all `words` are."""
    with pytest.raises(MISTAKES) as refusal:
        action()
    assert [word for word in words if word not in str(refusal.value)] == [], str(refusal.value)
    return str(refusal.value)


def first_weight(content: dict[str, Any]) -> str:
    return next(
        name
        for name, value in content["state"].items()
        if isinstance(value, torch.Tensor) and value.dim() == 2
    )


def placed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    return changed(content, place.replace(FIRST, first_weight(content).replace(".", "/")), value)


# ---- what the project writes ------------------------------------------------------------------------------


def test_every_way_of_reading_works_on_what_a_run_writes(stranger: Stranger) -> None:
    for exported in (True, False):
        for name, way in stranger.ways(exported).items():
            assert way is not None, name
            way()
    assert torch.equal(
        gan_zoo.load(stranger.run / "export").sample(4),
        gan_zoo.load(stranger.run.parent / "packed").sample(4),
    )


@pytest.mark.parametrize("model", MODELS)
def test_every_models_files_are_read_though_torchs_guard_is_off(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    config = validate(compose([f"model={model}"]))
    plain_yaml.save(config, tmp_path / "config.yaml")
    assert validate(plain_yaml.plain(tmp_path / "config.yaml"), local=False) == config
    gan = loading.build(config)
    checkpoint.write(
        tmp_path / checkpoint.file_name(0),
        {"format": checkpoint.FORMAT, **loading.described(config), "state": gan.state_dict()},
    )
    loading.export(gan, tmp_path / "export", loading.described(config), "card")
    for place in (tmp_path, tmp_path / checkpoint.file_name(0), tmp_path / "export"):
        found = gan_zoo.load(place)
        assert all(
            torch.equal(value, found.state_dict()[name])
            for name, value in gan.state_dict().items()
            if isinstance(value, torch.Tensor)
        )
        assert loading.modality_of(place) == config["data"]["modality"]


# ---- pickles ----------------------------------------------------------------------------------------------

PLACES = [
    "evil",
    "state.evil",
    "config.model.evil",
    "optimizers.generator.evil",
    "callbacks.evil",
    "state._extra_state.evil",
]


@pytest.mark.parametrize(
    ("place", "evil"), [*((place, Shell) for place in PLACES), ("evil", Eval), ("evil", NumpyLoad)]
)
def test_a_pickle_in_any_place_runs_in_no_way_of_reading(
    stranger: Stranger, content: dict[str, Any], place: str, evil: type[Shell], tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    stranger.hold(changed(content, place, evil(canary)))
    for way in stranger.ways().values():
        refused(way, stranger.checkpoint.name)
    torch.save(changed(content, place, evil(canary)), tmp_path / "plain.ckpt")
    refused(lambda: gan_zoo.load(tmp_path / "plain.ckpt"), "no checksum")
    save_legacy(evil(canary), tmp_path / "legacy.ckpt")
    seal(tmp_path / "legacy.ckpt")
    refused(lambda: gan_zoo.load(tmp_path / "legacy.ckpt"), "holds more than tensors and plain values")
    assert not canary.exists()
    torch.load(tmp_path / "plain.ckpt")  # the attack works where nobody guards
    assert canary.exists()


def test_the_refusal_names_what_the_file_wanted_to_call(
    stranger: Stranger, content: dict[str, Any], tmp_path: Path
) -> None:
    stranger.hold(changed(content, "evil", Shell(tmp_path / "canary")))
    message = refused(lambda: checkpoint.read(stranger.checkpoint))
    assert "posix.system" in message or "nt.system" in message


def test_pickles_beside_a_checkpoint_are_not_opened(stranger: Stranger, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([Eval(tmp_path / "canary")], dtype=object))
    np.save(tmp_path / "b.npy", np.array([Eval(tmp_path / "canary")], dtype=object))
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "b.npy", "pickle")
    for name in ("a.npz", "b.npy", "c.tar"):
        refused(partial(gan_zoo.load, tmp_path / name), name)
        seal(tmp_path / name)
        refused(partial(gan_zoo.load, tmp_path / name), name)
    assert not (tmp_path / "canary").exists()


# ---- descriptions and states ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value", "words"),
    BAD_DESCRIPTIONS,
    ids=[f"{place}={str(value)[:30]}" for place, value, _ in BAD_DESCRIPTIONS],
)
def test_a_checkpoint_or_export_that_describes_no_model_is_refused(
    stranger: Stranger, content: dict[str, Any], place: str, value: Any, words: str
) -> None:
    stranger.hold(changed(content, place, value))
    assert words in refused(lambda: gan_zoo.load(stranger.checkpoint), stranger.checkpoint.name)
    if "has the key 2" not in words:  # JSON has no such keys
        stranger.card(place, value)
        assert words in refused(lambda: gan_zoo.load(stranger.export), str(stranger.export))


def test_a_list_that_holds_itself_ends(stranger: Stranger, content: dict[str, Any]) -> None:
    stranger.hold({**content, "config": {**content["config"], "extra": ENDLESS}, "more": ENDLESS})
    refused(lambda: gan_zoo.load(stranger.checkpoint), "nested deeper than 32")


@pytest.mark.parametrize(
    ("place", "value", "words"), BAD_STATES, ids=[f"{place}: {words[:30]}" for place, _, words in BAD_STATES]
)
def test_a_state_that_is_none_is_refused_in_every_way_of_reading(
    stranger: Stranger, content: dict[str, Any], place: str, value: Callable[[], Any], words: str
) -> None:
    stranger.hold(placed(content, place, value()))
    for action in (
        lambda: gan_zoo.load(stranger.run),
        stranger.resume,
        lambda: stranger.start_from(stranger.run),
    ):
        assert words in refused(action, str(stranger.run))


@pytest.mark.parametrize(("place", "value", "words"), MISFITS, ids=[words[:30] for _, _, words in MISFITS])
def test_weights_of_another_model_are_refused(
    stranger: Stranger, content: dict[str, Any], place: str, value: Callable[[], Any], words: str
) -> None:
    stranger.hold(placed(content, place, value()))
    refused(
        lambda: gan_zoo.load(stranger.run), words.replace(FIRST, first_weight(content)), str(stranger.run)
    )


OPTIMIZERS: list[tuple[str, Any]] = [
    ("optimizers", GONE), ("optimizers", []), ("optimizers.generator", GONE), ("optimizers.generator", {"state": [1]}),
    ("optimizers.generator.state", {"os.system": {}}), ("optimizers.generator.state", {99: {"exp_avg": torch.ones(2)}}),
    ("optimizers.generator.state.0.exp_avg", torch.ones(7)), ("optimizers.generator.state.0.exp_avg", "x"),
    ("precision", GONE), ("callbacks", []), ("callbacks", {"Recorder": {"x": 1}}), ("callbacks", {"Checkpoints": 3}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"), OPTIMIZERS, ids=[f"{place}={str(value)[:30]}" for place, value in OPTIMIZERS]
)
def test_what_a_resumed_run_cannot_take_up_is_refused_before_its_first_step(
    stranger: Stranger, content: dict[str, Any], place: str, value: Any
) -> None:
    stranger.hold(changed(content, place, value))
    refused(lambda: stranger.resume("max_samples=24"), "the checkpoint does not fit this model")


def test_a_model_as_large_as_its_hollow_weights_is_not_built(
    stranger: Stranger, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes that agree prove nothing where both come from the stranger: 10^5 x 10^5 numbers would be 37 GiB."""
    name = first_weight(content).replace(".", "/")
    large = changed(
        changed(content, "config.model.latent.size", 10**5), f"state.{name}", torch.zeros(1).expand(4, 10**9)
    )
    stranger.hold(large)
    monkeypatch.setattr(loading, "build", lambda *_: pytest.fail("built"))
    refused(lambda: gan_zoo.load(stranger.checkpoint), "in a file of")


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    seal(tmp_path / "a.ckpt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpacked"))
    refused(lambda: checkpoint.read(tmp_path / "a.ckpt"), "that unpack to 10000000")


# ---- exports ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text", "words"), BAD_JSON, ids=[name for name, _, _ in BAD_JSON])
def test_a_model_json_that_is_none_is_refused(stranger: Stranger, name: str, text: bytes, words: str) -> None:
    (stranger.export / "model.json").write_bytes(text)
    for way, action in stranger.ways(exported=True).items():
        if way != "init_from":  # reads weights alone
            assert words in refused(action, str(stranger.export)), way


@pytest.mark.parametrize(("name", "data"), BAD_SAFETENSORS, ids=[name for name, _ in BAD_SAFETENSORS])
def test_safetensors_that_lie_are_refused(stranger: Stranger, name: str, data: bytes) -> None:
    (stranger.export / "model.safetensors").write_bytes(data)
    for way in ("load", "init_from", "sample"):
        refused(
            stranger.ways(exported=True)[way],
            "model.safetensors: not a safetensors file that can be read",
            "get it again",
        )


def test_an_export_without_its_parts_says_which(stranger: Stranger) -> None:
    stranger.card("counters", GONE)
    refused(lambda: gan_zoo.load(stranger.export), "counters: null came")
    (stranger.export / "model.safetensors").unlink()
    refused(lambda: gan_zoo.load(stranger.export), "there is no such file", "model.safetensors")
    (stranger.export / "model.json").unlink()
    refused(lambda: gan_zoo.load(stranger.export), "holds no checkpoint and no model.json")


def test_a_summary_and_names_of_a_stranger_do_not_break_the_card(stranger: Stranger) -> None:
    for text in (
        "[",
        "[]",
        '{"figures": 3, "parameters": {"generator": "x"}}',
        '{"figures": {"fid": "12", "kid": null}}',
    ):
        (stranger.run / "summary.json").write_text(text)
        stranger.ways()["export"]()


# ---- run directories --------------------------------------------------------------------------------------

BAD_SETTINGS: list[tuple[str, Any, str]] = [
    ("model", GONE, "model: null came, keys and values were wanted"),
    ("model", ["vanilla"], "model: ['vanilla'] came, keys and values were wanted"),
    ("model.name", "os", "model.name: 'os' came"),
    ("model._target_", "os.system", "model._target_: 'os.system'"),
    ("model._target_", "gan_zoo.models.vanilla.Vanilla", "say so on the command line"),
    ("model.generator._target_", "os.system", "model.generator._target_: no such key"),
    ("data", "ring", "data: 'ring' came, keys and values were wanted"),
    ("data._target_", "os.system", "data._target_: 'os.system'"),
    ("data._target_", "gan_zoo.data.toy.torch.load", "data._target_: 'gan_zoo.data.toy.torch.load'"),
    ("data._target_", "gan_zoo.data.toy.DataModule", "data._target_"),
    ("data._target_", 3, "data._target_: 3"),
    ("data._target_", GONE, "data._target_"),
    ("data.batch_size", "${oc.env:HOME}", "holds the interpolation"),
    ("data.batch_size", 0, "data.batch_size: 0 came"),
    ("data.size", GONE, "data.size: nothing came"),
    ("loss", None, "loss: null came"),
    ("regularizer.parts", {"os.system": {}}, "regularizer.parts may hold"),
    ("trainer", [1], "trainer: [1] came"),
    ("trainer.devices", "4", "trainer.devices: '4' came"),
    ("logger.wandb", {"_target_": "os.system"}, "logger.wandb._target_: no such key"),
    ("seed", None, "seed: null came"),
    ("max_samples", "16", "max_samples: '16' came"),
    ("evil", {"_target_": "os.system"}, "evil: no such key"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "words"),
    BAD_SETTINGS,
    ids=[f"{place}={str(value)[:30]}" for place, value, _ in BAD_SETTINGS],
)
def test_a_run_directory_that_describes_no_run_is_not_resumed(
    stranger: Stranger, place: str, value: Any, words: str
) -> None:
    stranger.settings(place, value)
    refused(stranger.resume, words)
    if place.startswith("data."):
        refused(lambda: data_of(stranger.run), "data.", *([words] if place != "data._target_" else []))


def test_callbacks_of_a_stranger_are_left_out(stranger: Stranger, capsys: pytest.CaptureFixture[str]) -> None:
    stranger.settings("callbacks", {"mine": {"_target_": "tests.test_strangers.Planted"}})
    assert stranger.resume() == 0
    assert "left out on resume: callbacks.mine, a class from outside gan_zoo" in capsys.readouterr().out


def test_callbacks_that_a_file_may_name_are_those_that_can_be_chosen() -> None:
    """No other class of gan_zoo's: some write where they are told to."""
    files = (conf_dir() / "callbacks").glob("*.yaml")
    chosen = [settings for file in files for settings in plain_yaml.plain(file).values()]
    assert {settings["_target_"] for settings in chosen} == set(resuming.OWN_CALLBACKS)


def test_a_callback_of_gan_zoos_that_writes_elsewhere_is_left_out(stranger: Stranger, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    recorder = {"_target_": "gan_zoo.callbacks.recorder.Recorder", "directory": str(elsewhere), "every": 1}
    stranger.settings("callbacks", {"mine": recorder})
    assert stranger.resume() == 0 and not elsewhere.exists()


class Planted:
    def __init__(self) -> None:
        pytest.fail("a stranger's callback was made")


def test_a_class_of_ones_own_is_taken_when_the_command_line_names_it_too(stranger: Stranger) -> None:
    own = "tests.games.CloudData"
    stranger.settings("data", {"_target_": own, "modality": "points", "batch_size": 8, "sise": 3})
    refused(stranger.resume, own, "say so on the command line")
    refused(
        lambda: stranger.resume(f"data._target_={own}"), "data.sise: no such key; did you mean data.size?"
    )


def test_a_choice_within_a_group_is_no_way_round_the_comparison(tmp_path: Path) -> None:
    config = validate(compose(["model=pggan"]))
    plain_yaml.save(config, tmp_path / "config.yaml")
    texts = [f"resume={tmp_path}", "model=pggan", "model/schedule=tf"]
    refused(
        lambda: resuming.continued(compose(texts), texts), "cannot go on with other rules", "model.schedule."
    )


def test_what_the_command_line_takes_away_is_compared_too(made: Path) -> None:
    composed = changed(compose([f"resume={made}"]), "model.n_critic", GONE)
    refused(lambda: resuming.continued(composed, ["~model.n_critic"]), "model.n_critic: 1 -> not set")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize(
    "name", [".lock", "metrics.csv", "checkpoints/last.ckpt", "samples/0000000000.png", "notes.txt"]
)
def test_a_link_out_of_a_run_directory_is_not_written_through(
    stranger: Stranger, name: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    (stranger.run / name).unlink(missing_ok=True)
    (stranger.run / name).symlink_to(os.path.relpath(mine, (stranger.run / name).parent))
    refused(lambda: stranger.resume("max_samples=24"), name, "outside of the run")
    assert mine.read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are a POSIX thing")
@pytest.mark.parametrize(
    "name", ["config.yaml", "export/model.json", "export/model.safetensors", "checkpoints/last.ckpt"]
)
def test_a_pipe_in_place_of_a_file_does_not_wait_for_ever(stranger: Stranger, name: str) -> None:
    shutil.rmtree(stranger.run / "checkpoints")
    (stranger.run / "checkpoints").mkdir()
    (stranger.run / name).unlink(missing_ok=True)
    os.mkfifo(stranger.run / name)
    place = stranger.export if "export" in name else stranger.run
    refused(lambda: gan_zoo.load(place))
    refused(stranger.resume)
    refused(
        lambda: plain_yaml.plain(stranger.run / name), "there is no such file"
    ) if "yaml" in name else None


@pytest.mark.parametrize(
    "text", ["a: " + ":".join(["59"] * 100_000), "a: " + "9" * 10_000, "a: -" + "1_" * 5000]
)
def test_a_number_that_takes_for_ever_to_read_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    refused(lambda: plain_yaml.plain(tmp_path / "config.yaml"), "holds a number of")


# ---- names ------------------------------------------------------------------------------------------------

ADDRESSES = ["http://127.0.0.1:9/a.ckpt", "https://example.org/run", "file:///etc/passwd", "s3://bucket/run"]
NAMES = ["", "absent", "../absent", "a" * 5000, "nul\0byte", "\udcff"]


@pytest.mark.parametrize("name", ADDRESSES + NAMES)
def test_addresses_and_strange_names_are_refused_in_words(
    name: str, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    from gan_zoo import export, resuming, sample

    (stranger.run.parent / "absent").unlink(missing_ok=True)
    composed = {**compose(), "resume": name}
    actions: list[Callable[[], Any]] = [
        lambda: gan_zoo.load(name), lambda: loading.initialise_from(gan_of(), name), lambda: loading.modality_of(name),
        lambda: sample.main(run=name), lambda: export.main(run=name), lambda: resuming.continued(composed, [])]  # fmt: skip
    if name == "":  # the working folder
        actions = actions[:5]
    for action in actions:
        refused(action, "an address came, only local" if "://" in name else "")


def test_a_device_that_is_not_there_is_named(made: Path) -> None:
    for device in ("gpu9", "", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(ConfigError, match=f"device: '{device}' came.*use cpu"):
            gan_zoo.load(made, device=device)


def test_a_checkpoint_between_two_others_is_named_with_what_is_wrong(made: Path, tmp_path: Path) -> None:
    """Truncated, foreign, older and newer: each its own words."""
    whole = (made / "checkpoints/last.ckpt").read_bytes()
    content = checkpoint.read(made / "checkpoints/last.ckpt")
    said = set()
    (tmp_path / "truncated.ckpt").write_bytes(whole[:-1000])
    (tmp_path / "damaged.ckpt").write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    checkpoint.write(tmp_path / "older.ckpt", {**content, "format": 0})
    checkpoint.write(tmp_path / "newer.ckpt", {**content, "format": 2})
    checkpoint.write(tmp_path / "foreign.ckpt", {"state_dict": content["state"]})
    for path in tmp_path.glob("*.ckpt"):
        said.add(refused(partial(gan_zoo.load, path), path.name).replace(path.stem, "NAME"))
    assert len(said) == 5


def test_these_files_would_run_code_elsewhere(tmp_path: Path) -> None:
    """The canary is watched by a shell of its own: what is tested above is not a harmless file."""
    canary = tmp_path / "canary"
    torch.save(Shell(canary), tmp_path / "a.pt")
    code = "import sys, torch; torch.load(sys.argv[1], weights_only=False)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pt")], check=True)
    assert canary.exists()
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "a.pt", sealed=False)


def test_an_id_that_wandb_could_not_have_given_is_refused(tmp_path: Path) -> None:
    from gan_zoo.loggers import wandb_run

    (tmp_path / "wandb_id.txt").write_text("../../elsewhere")
    refused(lambda: wandb_run({"mode": "offline"}, {}, tmp_path), "is no id of a W&B run")


def test_of_many_changes_some_are_named_and_the_others_counted(made: Path) -> None:
    texts = [f"resume={made}", "model=pggan", "data=avatars"]
    with pytest.raises(ConfigError) as refusal:
        resuming.continued(compose(texts), texts)
    said = str(refusal.value)
    assert re.search(r"; and \d\d more\. Start a new run", said) and said.count(" -> ") == resuming.MOST_SHOWN
