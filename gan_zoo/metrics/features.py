"""What turns pictures into the vectors that metrics compare, with a name and a hash that go into each figure.

extract(pictures, digits_features())            our own classifier, shipped
extract(pictures, inception(path))              the Inception-v3 of FID, weights by path and SHA-256
extract(pictures, torchvision_features(...))    any torchvision network and node
extract(pictures, user_features(module, ...))   your network
extract(pictures, raw_pixels())
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_zoo.metrics import digits_classifier
from gan_zoo.metrics.inception import InceptionV3, Output
from gan_zoo.metrics.inputs import as_bytes, as_pictures

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class WeightsError(ValueError):
    """Weights that are missing, or not the ones asked for."""


@dataclass(frozen=True)
class Features:
    """A function from pictures [N, C, H, W] (uint8 or [-1, 1]) to vectors [N, D], and what it is.

    sha256: of the weights (None where there are none); resize: the filter and side that pictures go through. unrounded:
    the same for float pictures without rounding them to bytes, where `network` does: for differences of near pictures.
    """

    name: str
    sha256: str | None
    resize: str
    network: Callable[[Tensor], Tensor]
    unrounded: Callable[[Tensor], Tensor] | None = None

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.network(pictures)

    def smooth(self, pictures: Tensor) -> Tensor:
        """Features that move as little as the pictures [N, C, H, W] in [-1, 1] do."""
        return (self.unrounded or self.network)(pictures)


def extract(
    pictures: Tensor | Iterable[Tensor], features: Features, batch: int = 64, device: str = "cpu"
) -> Tensor:
    """Features of all pictures (a tensor or an iterable of batches), float32 [N, D] on the CPU."""
    found = list(stream(pictures, features, batch, device))
    if not found:
        raise ValueError("there are no pictures to take features of")
    return torch.cat(found)


@torch.no_grad()
def stream(
    pictures: Tensor | Iterable[Tensor], features: Features, batch: int = 64, device: str = "cpu"
) -> Iterator[Tensor]:
    """The same chunk by chunk: frechet_distance(stream(...), stream(...)) holds one chunk at a time."""
    for some in [pictures] if isinstance(pictures, Tensor) else pictures:
        for part in some.split(batch):
            yield features(part.to(device)).float().flatten(1).cpu()


def gather(features: Tensor) -> Tensor:
    """All ranks' features [N_r, D] joined in rank order, the same on every rank; the N_r may differ.

    Every rank must call it. Itself without torch.distributed.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return features
    found: list[Tensor | None] = [None] * dist.get_world_size()
    dist.all_gather_object(found, features.cpu())
    return torch.cat([one for one in found if one is not None]).to(features.device)


# ---------------------------------------------------------------- weights


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over names, dtypes, shapes and values of a module's state: identifies a user's network."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def checked_weights(path: str | Path, sha256: str | None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a .safetensors or torch file and its SHA-256, which is checked before it is opened.

    torch files are read with weights_only=True: no code in them runs. sha256 None accepts any file (and
    records it).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file of weights")
    found = file_sha256(path)
    if sha256 is not None and found != sha256.lower():
        raise WeightsError(f"{path}: SHA-256 is {found}, wanted {sha256}; the file is damaged or another one")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path), found
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: wanted a plain dictionary of tensors, got {type(state).__name__}")
    return state, found


def _frozen(module: nn.Module, state: dict[str, Tensor], path: str | Path) -> nn.Module:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: the weights do not fit {type(module).__name__}: {error}") from error
    return module.eval().requires_grad_(False)


# ---------------------------------------------------------------- the choices


def inception(
    path: str | Path,
    *,
    output: Output = "2048",
    sha256: str | None = INCEPTION_SHA256,
    download: bool = False,
    device: str = "cpu",
) -> Features:
    """Inception-v3 with FID's weights (2015-12-05, as torch-fidelity and pytorch-fid ship them).

    path: the file; with download=True it is fetched there first if missing. Grey pictures are repeated to
    RGB. output: "2048" for FID, KID and neighbours, "logits_unbiased" for the Inception score (then softmax).
    """
    path = Path(path).expanduser()
    if not path.exists():
        if not download:
            raise WeightsError(
                f"{path}: Inception's weights are not there; fetch {INCEPTION_URL}, or pass download=True"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(INCEPTION_URL, str(path), hash_prefix=INCEPTION_SHA256)
        except (OSError, RuntimeError) as failure:  # RuntimeError: torch's word for a wrong hash
            raise WeightsError(
                f"{INCEPTION_URL} could not be fetched ({failure}); get it in another way and give weights=FILE"
            ) from failure
    state, found = checked_weights(path, sha256)
    network = cast(InceptionV3, _frozen(InceptionV3(output), state, path).to(device))
    return Features(
        f"inception-v3-2015-{output}",
        found,
        "tf1-bilinear-299",
        lambda x: network(_rgb(as_bytes(x))),
        lambda x: network.read((_rgb(as_pictures(x)) + 1) * 127.5),
    )


def torchvision_features(
    name: str,
    node: str,
    *,
    path: str | Path | None = None,
    sha256: str | None = None,
    random_seed: int | None = None,
    side: int = 224,
    device: str = "cpu",
) -> Features:
    """A node of a torchvision network; ("vgg16", "classifier.4") is fc2, of improved precision and recall.

    path: its weights (never downloaded); or random_seed: an untrained network, as Naeem et al. 2020 use it
    off ImageNet. Pictures are resized bicubically with antialiasing to `side` and normalised as ImageNet.
    """
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    if (path is None) == (random_seed is None):
        raise ValueError("give either path (trained weights) or random_seed (an untrained network)")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed or 0)
        model = get_model(name, weights=None)
    state, found = (model.state_dict(), None) if path is None else checked_weights(path, sha256)
    network = create_feature_extractor(_frozen(model, state, path or name), {node: "features"}).to(device)
    label = f"torchvision-{name}-{node}" + ("" if path else f"-random{random_seed}")

    def run(pictures: Tensor) -> Tensor:
        x = (resized(_rgb(as_pictures(pictures)).float(), side) + 1) / 2
        mean, std = (x.new_tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
        return network((x - mean) / std)["features"].flatten(1)

    return Features(label, found or state_sha256(model), f"bicubic-antialias-{side}", run)


def user_features(module: nn.Module, name: str, *, side: int | None = None) -> Features:
    """Your own network on pictures in [-1, 1], resized to `side` where given; it is put into eval mode."""
    module = module.eval()

    def run(pictures: Tensor) -> Tensor:
        pictures = as_pictures(pictures)
        return module(pictures if side is None else resized(pictures, side)).flatten(1)

    return Features(name, state_sha256(module), "none" if side is None else f"bicubic-antialias-{side}", run)


def raw_pixels(side: int | None = None) -> Features:
    """Pixels in [-1, 1] as they are, or resized: fit for digits, not for judging natural pictures."""

    def run(pictures: Tensor) -> Tensor:
        pictures = as_pictures(pictures).float()
        return (pictures if side is None else resized(pictures, side)).flatten(1)

    return Features("pixels", None, "none" if side is None else f"bicubic-antialias-{side}", run)


def digits_features() -> Features:
    """The last hidden layer of our digits classifier, 64 numbers a channel, joined."""

    def run(pictures: Tensor) -> Tensor:
        channels = as_pictures(pictures).split(1, dim=1)
        return torch.cat([digits_classifier.features(one) for one in channels], 1)

    return Features("digits-classifier", digits_classifier.weights_sha256(), digits_classifier.RESIZE, run)


def resized(pictures: Tensor, side: int) -> Tensor:
    """Bicubic with antialiasing, clipped to [-1, 1]; float [N, C, H, W] -> [N, C, side, side]."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return interpolate(pictures, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(
        -1, 1
    )


def _rgb(pictures: Tensor) -> Tensor:
    if pictures.shape[1] not in (1, 3):
        raise ValueError(f"pictures need one channel or three, got {pictures.shape[1]}; drop alpha first")
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures
