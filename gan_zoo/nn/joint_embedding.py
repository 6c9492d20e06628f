"""Texts and pictures in one space (Reed et al. 2016a): the structured joint loss, the image side, and the file of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.nn import sentences
from gan_zoo.schema import CheckpointError, ConfigError
from gan_zoo.vocabulary import Vocabulary

FORMAT = "gan_zoo text encoder 1"


def structured_joint_loss(
    text: Tensor, picture: Tensor, classes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Margins that the score of a text and picture of one item must keep over others (Reed et al. 2016a, eq. 5).

    text, picture: [N, E], row i of one item; the score of i and j is their inner product. Returns two terms: of each picture
    among the texts, and of each text among the pictures: sum_ij max(0, 1 + score_ij - score_ii) / N^2 over j of another class
    than i (classes [N], where -1 is a class of its own).
    """
    scores = picture.float() @ text.float().T
    same = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    if classes is not None:
        same = same | ((classes[:, None] == classes) & (classes[:, None] >= 0))
    right = scores.diagonal()
    among_texts = F.relu(1 + scores - right[:, None]).masked_fill(same, 0).sum()
    among_pictures = F.relu(1 + scores - right[None, :]).masked_fill(same, 0).sum()
    return among_texts / scores.numel(), among_pictures / scores.numel()


class PictureEncoder(nn.Module):
    """[N, channels, R, R] in [-1, 1] -> [N, size]: convolutions that halve the side to 4x4 (batch norm, ReLU), their last maps'
    mean and a linear layer. Theirs is a GoogLeNet trained on ImageNet, whose 1024 features stand still."""

    def __init__(self, channels: int, resolution: int, size: int, width: PositiveInt = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inward, outward, side = channels, width, resolution
        while side > 4:
            layers += [nn.Conv2d(inward, outward, 4, 2, 1, bias=False), nn.BatchNorm2d(outward), nn.ReLU()]
            inward, outward, side = outward, min(2 * outward, 256), side // 2
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(inward * side * side, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.layers(x).flatten(1))


class Trained(NamedTuple):
    """A trained pair: what its file says, the words by number, and both networks."""

    about: dict[str, Any]  # name, encoder (settings), size, picture (settings), vocabulary, data, figures
    text: nn.Module
    picture: nn.Module
    digest: str

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.listed(self.about["vocabulary"])

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """Captions as int16 [N, L], as the data that it was trained on would give them."""
        return self.vocabulary.tokens(captions, self.about["caption_length"])

    def refuse_other(self, encoder: dict[str, Any] | None, size: int, words: Vocabulary) -> None:
        """ConfigError where a model's settings or its data's words are not this encoder's."""
        settings = {"name": self.about["encoder"]["name"], **defaults_of(self.about["encoder"])}
        wanted = {"name": (encoder or {}).get("name"), **defaults_of(encoder or {})}
        if settings != wanted or size != self.about["size"]:
            raise ConfigError(
                f"model.text.weights holds an encoder {settings} of size {self.about['size']}, the model has {wanted} of size {size}; "
                f"set model.text.encoder and model.text.size to the file's"
            )
        if words != self.vocabulary:
            raise ConfigError(
                f"model.text.weights was trained with other words ({len(self.vocabulary)}) than the data have ({len(words)}); train it on "
                f"these data, or give it their vocabulary"
            )


def defaults_of(settings: dict[str, Any]) -> dict[str, Any]:
    """An encoder's settings, with the class's own for those that are not given, without the name."""
    import inspect

    kind = sentences.ENCODERS.get(str(settings.get("name")))
    if kind is None:
        return {}
    own = {
        name: item.default
        for name, item in inspect.signature(kind).parameters.items()
        if item.default is not inspect.Parameter.empty
    }
    return {**own, **{key: value for key, value in settings.items() if key != "name"}}


def fill(encoder: nn.Module, trained: nn.Module) -> None:
    """Copies trained weights; tables of word vectors may have more room than the trained ones."""
    with torch.no_grad():
        for (name, own), (_, other) in zip(
            encoder.state_dict().items(), trained.state_dict().items(), strict=True
        ):
            if own.shape[1:] != other.shape[1:] or len(own) < len(other):
                raise ConfigError(
                    f"model.text.weights: {name} is {list(other.shape)}, the model's is {list(own.shape)}; set model.text.vocabulary "
                    f"to what the encoder was trained with"
                )
            own[: len(other)] = other


def digest_of(tensors: dict[str, Tensor]) -> str:
    """16 hex digits of all weights, by name and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        found.update(
            name.encode()
            + str(list(value.shape)).encode()
            + value.flatten().view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()[:16]


def write(path: Path, about: dict[str, Any], text: nn.Module, picture: nn.Module) -> str:
    """One safetensors file with both networks and what they are; returns the digest of the text encoder."""
    tensors = {
        f"{side}.{name}": value.detach().cpu().contiguous().clone()
        for side, network in (("text", text), ("picture", picture))
        for name, value in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": FORMAT, "about": json.dumps(about)})
    return digest_of(text.state_dict())


def read(path: str | Path) -> Trained:
    """The pair of a file that `write` made; CheckpointError where it is something else. No code of the file is run."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError, ValueError) as failure:
        raise CheckpointError(
            f"{path}: not a text encoder that can be read ({failure}); make one with python -m gan_zoo.train_text_encoder"
        ) from failure
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: says format {metadata.get('format')!r}, {FORMAT!r} was wanted; make one with python -m gan_zoo.train_text_encoder"
        )
    try:
        about = json.loads(metadata["about"])
        _refuse_misfit(about, tensors)
        text, picture = networks(about)
        Vocabulary.listed(about["vocabulary"])
        for side, network in (("text", text), ("picture", picture)):
            network.load_state_dict(
                {
                    name.removeprefix(f"{side}."): value
                    for name, value in tensors.items()
                    if name.startswith(f"{side}.")
                }
            )
    except (KeyError, TypeError, ValueError, RuntimeError) as failure:
        raise CheckpointError(
            f"{path}: its weights are not those of the encoder that it describes ({failure}); make it again"
        ) from failure
    return Trained(about, text.eval(), picture.eval(), digest_of(text.state_dict()))


def _refuse_misfit(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """ValueError, before memory is spent, where a file describes other networks than its tensors are of."""
    depth = about["encoder"].get("layers", 1)
    if not isinstance(depth, int) or depth > len(tensors):
        raise ValueError(f"{depth} layers in a file of {len(tensors)} tensors")
    with torch.device("meta"):
        outline = dict(zip(("text", "picture"), networks(about), strict=True))
    wanted = {
        f"{side}.{name}": value.shape
        for side, network in outline.items()
        for name, value in network.state_dict().items()
    }
    wrong = [name for name, shape in wanted.items() if name not in tensors or tensors[name].shape != shape]
    if wrong:
        raise ValueError(f"{wrong[0]} is of another shape, or missing")


def networks(about: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Both networks as `about` describes them, with new weights."""
    text = sentences.create(len(about["vocabulary"]), size=about["size"], **about["encoder"])
    return text, PictureEncoder(size=about["size"], **about["picture"])
