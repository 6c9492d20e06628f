"""Labels read back from generated pictures and compared with those they were made from (Isola et al. 2017, sec. 4.1).

The truth is a map of ids [N, H, W]; who reads a picture is a Segmenter: for `streets` the program that drew them, exactly,
for other data a segmentation network of the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_zoo.data.street_palette import CLASSES as STREET_CLASSES
from gan_zoo.data.street_palette import read_labels
from gan_zoo.metrics.features import IMAGENET_MEAN, IMAGENET_STD, WeightsError, file_sha256
from gan_zoo.metrics.inputs import as_pictures, require_values

IGNORED = 255
# Cityscapes' ids of the 19 classes that are evaluated, in the order of its training ids
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CITYSCAPES_NAMES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky",
    "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip


class Segmenter(NamedTuple):
    """Who reads labels: pictures in [-1, 1] -> ids [N, H, W] below `classes`; truth: the data's ids -> the same, where
    IGNORED is not counted; names of the classes. name, sha256 and resize are for the protocol."""

    name: str
    sha256: str | None
    resize: str
    classes: int
    read: Callable[[Tensor], Tensor]
    truth: Callable[[Tensor], Tensor]
    names: tuple[str, ...]


class Segmentation(NamedTuple):
    """The three numbers of FCN's evaluation, shares of 1."""

    pixel_accuracy: float
    class_accuracy: float
    mean_iou: float


def confusions(truth: Tensor, read: Tensor, classes: int) -> Tensor:
    """Pixels of each picture by (true class, class read), int64 [N, classes, classes]; truth IGNORED is left out."""
    if truth.shape != read.shape or truth.dim() != 3:
        raise ValueError(
            f"maps of ids must be [N, H, W] of one shape, got {tuple(truth.shape)} and {tuple(read.shape)}"
        )
    for name, one in (("truth", truth), ("read", read)):
        require_values(one, name)
        if one.is_floating_point():
            raise ValueError(
                f"{name} must be whole numbers, got {one.dtype}; take the argmax of logits first"
            )
    truth, read = truth.long(), read.long()
    counted = truth != IGNORED
    low, high = int(read.min()), int(read.max())
    known = truth[counted] if counted.any() else read
    low, high = min(low, int(known.min())), max(high, int(known.max()))
    if low < 0 or high >= classes:
        raise ValueError(
            f"ids must lie in 0 ... {classes - 1}, or be {IGNORED} in the truth; got {low} ... {high}"
        )
    items = torch.arange(len(truth)).view(-1, 1, 1).expand_as(truth)
    flat = (items * classes + truth) * classes + read
    return torch.bincount(flat[counted], minlength=len(truth) * classes**2).view(-1, classes, classes)


def by_class(confusion: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and intersection over union of each class, float64 [K] each; NaN where there is nothing to divide by."""
    require_values(confusion, "confusion")
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1] or confusion.min() < 0:
        raise ValueError(
            f"a confusion matrix is [K, K] of counts >= 0, got {tuple(confusion.shape)}; sum over the pictures first"
        )
    counts = confusion.double()
    hits, true, read = counts.diagonal(), counts.sum(1), counts.sum(0)
    return hits / true, hits / (true + read - hits)


def segmentation_scores(confusion: Tensor) -> Segmentation:
    """Of one confusion matrix [K, K], rows true.

    Accuracy by class is the mean over the classes that occur; IoU over those that occur or were read, as in FCN's code.
    """
    counts = confusion.double()
    accuracy, iou = by_class(confusion)
    pixels = float(counts.diagonal().sum() / counts.sum()) if counts.sum() else float("nan")
    return Segmentation(pixels, float(accuracy.nanmean()), float(iou.nanmean()))


# ---------------------------------------------------------------- who reads


def streets_segmenter() -> Segmenter:
    """The program that drew the streets; exact on real ones."""
    size = len(STREET_CLASSES)
    return Segmenter(
        "streets, read by the program", None, "none", size, read_labels, lambda ids: ids, STREET_CLASSES
    )


def train_ids(ids: Tensor) -> Tensor:
    """Cityscapes' label ids -> the 19 training ids, IGNORED elsewhere."""
    table = torch.full((256,), IGNORED, dtype=torch.int64)
    table[list(CITYSCAPES_IDS)] = torch.arange(len(CITYSCAPES_IDS))
    return table[ids.long()]


def network_segmenter(
    weights: str | Path,
    architecture: str,
    classes: int,
    *,
    height: int | None = None,
    device: str = "cpu",
    cityscapes: bool = False,
) -> Segmenter:
    """torchvision's segmentation network `architecture` with weights of a file (a state_dict, .safetensors or .pth).

    The file says how many classes it knows: `classes`, as the data have them, or Cityscapes' 19. height: pictures are brought
    to it (bilinear) before the network sees them, and what it says back to theirs; pix2pix's table takes 1024. Pixels are
    normalised as for ImageNet. WeightsError where the file does not fit.
    """
    state = _state(Path(weights))
    known = _classes_of(state, weights)
    mapped = cityscapes and known == len(CITYSCAPES_IDS) and classes != known
    if known != classes and not mapped:
        raise WeightsError(
            f"{weights}: the network knows {known} classes, the data have {classes}; give one that was trained on these classes"
        )
    network = _built(architecture, known, state, weights).eval().requires_grad_(False).to(device)
    return Segmenter(
        architecture,
        file_sha256(weights),
        f"bilinear to {height}" if height else "none",
        known,
        lambda pictures: _read(network, pictures, height, device),
        train_ids if mapped else (lambda ids: ids),
        CITYSCAPES_NAMES if mapped else tuple(f"class {number}" for number in range(known)),
    )


def _state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; give the weights of a segmentation network")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors each raise their own
        raise WeightsError(f"{path}: no weights can be read ({type(error).__name__}: {error})") from None
    state = state.get("state_dict", state.get("model", state)) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"{path}: wanted a state_dict of tensors by name; save one with torch.save(model.state_dict(), ...)"
        )
    return {name.removeprefix("module."): value for name, value in state.items()}


LAST_LAYERS = ("classifier.4.weight", "classifier.low_classifier.weight")  # of FCN and DeepLab; of LR-ASPP


def _classes_of(state: dict[str, Tensor], weights: str | Path) -> int:
    found = [state[name] for name in LAST_LAYERS if name in state]
    if not found:
        raise WeightsError(
            f"{weights}: has no {' or '.join(LAST_LAYERS)}, so it is none of torchvision's segmentation networks"
        )
    return len(found[0])


def _built(architecture: str, classes: int, state: dict[str, Tensor], weights: str | Path) -> nn.Module:
    from torchvision.models import segmentation  # slow to import

    made = getattr(segmentation, architecture)(
        weights=None,
        weights_backbone=None,
        num_classes=classes,
        **({} if architecture.startswith("lraspp") else {"aux_loss": False}),
    )
    wanted = {name: value for name, value in state.items() if not name.startswith("aux_classifier.")}
    try:
        made.load_state_dict(wanted)
    except RuntimeError as error:
        reason = str(error).split("\n")[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"{weights}: does not fit {architecture}: {reason[:200]}") from None
    network: nn.Module = made
    return network


@torch.no_grad()
def _read(network: nn.Module, pictures: Tensor, height: int | None, device: str) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    found = []
    size = tuple(pictures.shape[-2:])
    large = size if height is None else (height, round(size[1] * height / size[0]))
    for part in as_pictures(pictures).split(max(1, 2**21 // (large[0] * large[1]))):
        part = part.expand(-1, 3, -1, -1) if part.shape[1] == 1 else part
        seen = ((part + 1) / 2 - mean) / std
        if large != size:
            seen = F.interpolate(seen, size=large, mode="bilinear", align_corners=False)
        logits = network(seen.to(device))["out"]
        ids = logits.argmax(1, keepdim=True).float()
        found.append(F.interpolate(ids, size=size, mode="nearest-exact")[:, 0].long().cpu())
    return torch.cat(found)
