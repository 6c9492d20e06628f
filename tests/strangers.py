"""Files that a stranger might hand over: a run that is one's own, and what can be done to it."""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gan_zoo
from gan_zoo import checkpoint, export, loading, plain_yaml, resuming, run, sample
from gan_zoo.config import compose, validate
from gan_zoo.schema import CheckpointError, ConfigError, DataError

MISTAKES = (ConfigError, DataError, CheckpointError)
SMALL = [
    "model=vanilla",
    "data=ring",
    "data.size=100",
    "data.held_out=10",
    "data.batch_size=8",
    "model.generator.units=[4]",
    "model.discriminator.units=[4]",
    "model.latent.size=3",
    "logger=csv",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "max_samples=16",
]


class _Gone:
    """Stands for a key that is taken away; its name is the same in every process."""

    def __repr__(self) -> str:
        return "gone"

    __str__ = __repr__


GONE = _Gone()


def make_run(directory: Path) -> Path:
    """A run of two batches, and its export."""
    assert run.train(validate(compose([*SMALL, f"output_dir={directory}"]))) == 0
    export.main(run=str(directory))
    return directory


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a dotted place (a / in a name stands for its dot), or without it."""
    content = copy.deepcopy(content)
    *parents, last = (part.replace("/", ".") for part in place.split("."))
    node: Any = content
    for part in parents:
        node = node[part if part in node else int(part)]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return content


class Stranger:
    """A copy of a run, to be spoilt, and every way of reading it."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.run = folder / "run"
        shutil.copytree(source, self.run)
        self.checkpoint = checkpoint.all_of(self.run / "checkpoints")[0]
        self.export = self.run / "export"

    def hold(self, content: Any) -> None:
        """Makes `content`, properly sealed, the only checkpoint."""
        for path in (self.run / "checkpoints").iterdir():
            path.unlink()
        checkpoint.write(self.checkpoint, content)

    def settings(self, place: str, value: Any) -> None:
        """Changes config.yaml."""
        config = changed(plain_yaml.plain(self.run / "config.yaml"), place, value)
        plain_yaml.save(config, self.run / "config.yaml")

    def card(self, place: str, value: Any) -> None:
        """Changes the export's model.json."""
        file = self.export / loading.SETTINGS
        file.write_text(json.dumps(changed(json.loads(file.read_text()), place, value)))

    def resume(self, *overrides: str) -> int:
        texts = [f"resume={self.run}", *overrides]
        return run.train(resuming.continued(compose(texts), texts))

    def start_from(self, path: Path) -> None:
        gan = loading.build(validate(compose(SMALL)))
        loading.initialise_from(gan, path)

    def ways(self, exported: bool = False) -> dict[str, Callable[[], Any]]:
        """Every way of reading its checkpoint, or its export."""
        place = self.export if exported else self.run
        ways: dict[str, Callable[[], Any]] = {
            "load": lambda: gan_zoo.load(place),
            "load with a class": lambda: gan_zoo.load(place, model=type(gan_of())),
            "init_from": lambda: self.start_from(place),
            "sample": lambda: sample.main(run=str(place), n=2),
            "export": lambda: export.main(run=str(place), output=str(self.run.parent / "packed")),
            "modality": lambda: loading.modality_of(place),
        }
        if not exported:
            ways |= {
                "load a file": lambda: gan_zoo.load(self.checkpoint),
                "resume": lambda: self.resume("max_samples=24"),
            }
        return ways


def gan_of() -> Any:
    return loading.build(validate(compose(SMALL)))


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor_header(**tensors: tuple[str, list[int], list[int]]) -> bytes:
    described = {
        name: {"dtype": kind, "shape": shape, "data_offsets": ends}
        for name, (kind, shape, ends) in tensors.items()
    }
    return json.dumps(described).encode()


# What a checkpoint may hold where something else belongs, and a part of the message.
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
DEEP: list[Any] = []
for _ in range(100):
    DEEP = [DEEP]
BAD_DESCRIPTIONS: list[tuple[str, Any, str]] = [
    ("config", GONE, "keys and values were wanted, null came"),
    ("config", 3, "keys and values were wanted, 3 came"),
    ("config", ["model"], "keys and values were wanted"),
    ("config.model", GONE, "model: null came, keys and values were wanted"),
    ("config.model", "vanilla", "model: 'vanilla' came, keys and values were wanted"),
    ("config.model.name", GONE, "model.name: null came"),
    ("config.model.name", "os", "model.name: 'os' came"),
    ("config.model.name", "../../evil", "model.name: '../../evil' came"),
    ("config.model.name", "vanilla.os", "model.name: 'vanilla.os' came"),
    ("config.model.name", "__init__", "model.name: '__init__' came"),
    ("config.model.name", ["vanilla"], "model.name: ['vanilla'] came"),
    ("config.model.name", 3, "model.name: 3 came"),
    ("config.model._target_", "os.system", "a model from outside gan_zoo, 'os.system'"),
    ("config.model._target_", "gan_zoo.models.vanilla.torch.load", "a model from outside gan_zoo"),
    ("config.model._target_", None, "a model from outside gan_zoo, null"),
    ("config.model.generator", {"_target_": "os.system", "_args_": ["true"]}, "model.generator._target_: no such key"),
    ("config.model.generator._target_", "torch.os.system", "model.generator._target_: no such key"),
    ("config.model.generator._partial_", True, "model.generator._partial_: no such key"),
    ("config.model.generator.units", [{"_target_": "numpy.load"}], "model.generator.units[0]"),
    ("config.model.generator.units", [-4], "model.generator.units[0]: -4 came"),
    ("config.model.generator.units", "os.system", "model.generator.units: 'os.system' came"),
    ("config.model.optimizer.generator._target_", "os.system", "model.optimizer.generator._target_: no such key"),
    ("config.model.optimizer.generator.name", "os.system", "model.optimizer.generator.name: 'os.system' came"),
    ("config.model.optimizer.generator.betas", [{"_target_": "os.system"}, 0.9], "betas[0]"),
    ("config.model.latent._instantiator", "os.system", "model.latent._instantiator: no such key"),
    ("config.model.latent.size", -1, "cannot be built here"),
    ("config.model.latent.size", 10**12, "its weights do not fit the model it names"),
    ("config.model.latent.size", [10**6, 10**6], "cannot be built here"),
    ("config.model.generator.units", [10**12], "its weights do not fit the model it names"),
    ("config.model.generator.units", [10**6] * 1000, "it has more than"),
    ("config.model.generator.activation", "__import__('os')", "model.generator.activation"),
    ("config.model.seed", 3, "model.seed: no such key"),
    ("config.loss", GONE, "loss: null came"),
    ("config.loss", "hinge", "loss: 'hinge' came, keys and values were wanted"),
    ("config.loss.name", "torch.load", "loss.name: 'torch.load' came"),
    ("config.loss._target_", "os.system", "loss._target_: no such key"),
    ("config.loss.labels", {"flip": 2.0}, "loss.labels.flip: 2.0 came"),
    ("config.regularizer", GONE, "regularizer: null came"),
    ("config.regularizer.parts", {"_target_": "os.system"}, "regularizer"),
    ("config.regularizer.parts", {"gradient_penalty": {"target": 0.0}}, "target: 0.0 came"),
    ("config.seed", GONE, "seed: null came"),
    ("config.seed", "0", "seed: '0' came, an integer >= 0"),
    ("config.seed", 10**400, "seed: 1000"),
    ("config.data", GONE, "data.name: null came"),
    ("config.data", [], "data.name: null came"),
    ("config.data.modality", "../../x", "data.modality: '../../x' came"),
    ("config.data.resolution", "8", "data.resolution: '8' came, an integer >= 1"),
    ("config.data.name", {"_target_": "os.system"}, "data.name: {'_target_': 'os.system'} came"),
    ("config.model.generator.init", "${oc.env:HOME}", "model.generator.init holds the interpolation '${oc.env:HOME}'"),
    ("config.data.name", "${oc.decode:x}", "data.name holds the interpolation"),
    ("config.extra", {"deep": ["x", "${now:%Y}"]}, "extra.deep[1] holds the interpolation"),
    ("config.extra", DEEP, "nested deeper than 32"),
    ("config.extra", [0] * 60_000, "longer than 50000 values"),
    ("config.extra", {"1": {2: 3}}, "extra.1 has the key 2, a name was wanted"),
    ("model", GONE, "model: null came, a string was wanted"),
    ("gan_zoo", ["0.1"], "gan_zoo: ['0.1'] came, a string was wanted"),
]  # fmt: skip

FIRST = "generator.layers.0.weight"  # replaced by the name of the first weight


def hollow() -> torch.Tensor:
    """10^6 x 10^6 numbers in four bytes."""
    return torch.zeros(1).expand(10**6, 10**6)


BAD_STATES: list[tuple[str, Callable[[], Any], str]] = [
    ("state", lambda: GONE, "state: null came, tensors by name were wanted"),
    ("state", lambda: [torch.ones(1)], "tensors by name were wanted"),
    ("state", lambda: {1: torch.ones(1)}, "tensors by name were wanted"),
    ("state", dict, "does not say how many samples were seen"),
    (f"state.{FIRST}", lambda: "os.system", "is a str, a plain tensor was wanted"),
    (f"state.{FIRST}", lambda: [1.0], "is a list, a plain tensor was wanted"),
    (f"state.{FIRST}", lambda: torch.ones(4, 3).to_sparse(), "a plain tensor was wanted"),
    (f"state.{FIRST}", hollow, "tensors of 4000000000"),
    ("optimizers.generator.state.0.exp_avg", hollow, "tensors of 4000000000"),
    ("state.extra", lambda: [hollow(), hollow()], "tensors of 8000000000"),
    ("state._extra_state", lambda: GONE, "does not say how many samples were seen"),
    ("state._extra_state", lambda: [1], "counters: [1] came"),
    ("state._extra_state.training_step", lambda: 1, "counters: {"),
    ("state._extra_state.samples_seen", lambda: -1, "counters: {"),
    ("state._extra_state.samples_seen", lambda: 2.0, "counters: {"),
    ("state._extra_state.samples_seen", lambda: "16", "counters: {"),
    ("state._extra_state.samples_seen", lambda: 2**70, "counters: {"),
    ("state._extra_state.iteration", lambda: True, "counters: {"),
]  # fmt: skip

MISFITS: list[tuple[str, Callable[[], Any], str]] = [
    (f"state.{FIRST}", lambda: GONE, f"{FIRST} is missing"),
    (f"state.{FIRST}", lambda: torch.ones(3, 4), f"{FIRST} is torch.float32 [3, 4], torch.float32 [4, 3] was wanted"),
    (f"state.{FIRST}", lambda: torch.ones(4, 3, dtype=torch.int64), "is torch.int64 [4, 3]"),
    (f"state.{FIRST}", lambda: torch.ones(4, 3, dtype=torch.complex64), "is torch.complex64 [4, 3]"),
    ("state.stranger", lambda: torch.ones(1), "stranger is not known"),
]  # fmt: skip

BAD_JSON: list[tuple[str, bytes, str]] = [
    ("empty", b"", "Expecting value"),
    ("a list", b"[]", "keys and values were wanted, [] came"),
    ("a number", b"3", "keys and values were wanted, 3 came"),
    ("a text", b'"os.system"', "keys and values were wanted"),
    ("half", b'{"format": 1', "Expecting"),
    ("nested", b"[" * 100_000, "recursion"),
    ("nested less", b'{"a":' + b"[" * 50 + b"]" * 50 + b"}", "nested deeper than 32"),
    ("a long number", b'{"a": ' + b"9" * 10_000 + b"}", "integer string"),
    ("large", b" " * 2**20 + b"{}", "a config has at most"),
    ("not text", b"\xff\xfe\x00", "cannot be read as a config"),
    ("an interpolation", b'{"format": 1, "model": "${oc.env:HOME}"}', "holds the interpolation"),
    ("without a format", b"{}", "no format number"),
    ("another's", b'{"architectures": ["Bert"], "format": "pt"}', "no format number"),
    ("older", b'{"format": 0}', "an older gan_zoo"),
    ("newer", b'{"format": 2}', "a newer gan_zoo; update yours"),
]  # fmt: skip

BAD_SAFETENSORS: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("four bytes", b"\0" * 4),
    ("a header of 2^63 bytes", safetensors(b"{}", length=2**63)),
    ("a header of 1 GB", safetensors(b"{}", length=2**30)),
    ("a header that is cut", safetensors(b'{"a":')),
    ("a header of text", safetensors(b"os.system")),
    ("a header that is a list", safetensors(b"[]")),
    ("a header nested 10^5 deep", safetensors(b"[" * 100_000)),
    ("numbers outside of the file", safetensors(tensor_header(a=("F32", [2], [0, 8])), b"\0" * 4)),
    ("10^12 numbers in 4 bytes", safetensors(tensor_header(a=("F32", [10**6, 10**6], [0, 4])), b"\0" * 4)),
    ("tensors on each other", safetensors(tensor_header(a=("F32", [1], [0, 4]), b=("F32", [1], [0, 4])), b"\0" * 4)),
    ("a hole", safetensors(tensor_header(a=("F32", [1], [4, 8])), b"\0" * 8)),
    ("a negative side", safetensors(tensor_header(a=("F32", [-1], [0, 4])), b"\0" * 4)),
    ("an unknown kind", safetensors(tensor_header(a=("PICKLE", [1], [0, 4])), b"\0" * 4)),
    ("a pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR."),
]  # fmt: skip
