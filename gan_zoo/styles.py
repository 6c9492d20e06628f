"""Styles to choose from: the features of training instances, gathered around a few centres for each class (Wang et al. 2018, sec. 3.4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_zoo.data.stream import DataModule
from gan_zoo.nn.label_maps import region_classes, regions, spread
from gan_zoo.schema import ConfigError

if TYPE_CHECKING:
    from gan_zoo.gan import GAN

FILE = "styles.safetensors"


def encoder_of(gan: GAN) -> Any:
    """The network that says how instances look; ConfigError where the model has none."""
    encoder = getattr(gan.generator, "encoder", None)
    if encoder is None:
        raise ConfigError(
            f"this {type(gan).__name__} has no styles; train one with model=pix2pixhd and model.encoder, on data with instances"
        )
    return encoder


def gathered(gan: GAN, data: DataModule, items: int, chunk: int = 8) -> tuple[Tensor, Tensor]:
    """Features [R, F] and classes [R] of all instances of the first `items` training pictures."""
    encoder, found = encoder_of(gan), data.train_set()
    count, features, classes = min(items, len(found)), [], []
    with gan.averaged():
        for start in range(0, count, chunk):
            keys = [(i, 0, data.resolution) for i in range(start, min(start + chunk, count))]
            batch = gan.prepare_batch(
                {key: value.to(gan.device) for key, value in found.__getitems__(keys).items()}
            )
            numbers, regions_there = regions(batch["instances"])
            _, means = encoder(batch["real"], numbers, regions_there)
            features.append(means.cpu())
            classes.append(region_classes(batch["labels"], numbers, regions_there).cpu())
    return torch.cat(features), torch.cat(classes)


def clusters(features: Tensor, classes: Tensor, number: int, k: int, seed: int = 0) -> Tensor:
    """K-means centres [number, k, F] of each class, the one with the most instances first; repeated where there are fewer than k.

    Classes without instances have zeros.
    """
    from sklearn.cluster import KMeans

    centres = torch.zeros(number, k, features.shape[1])
    for kind in classes.unique().tolist():
        own = features[classes == kind].double().numpy()
        distinct = len(np.unique(own, axis=0))
        fitted = KMeans(min(k, distinct), n_init=4, random_state=seed).fit(own)
        order = np.argsort(-np.bincount(fitted.labels_, minlength=min(k, distinct)), kind="stable")
        found = torch.from_numpy(fitted.cluster_centers_[order]).float()
        centres[kind] = found[torch.arange(k) % len(found)]
    return centres


def of_run(gan: GAN, run: Path, k: int, items: int) -> Tensor:
    """Centres [classes, k, F] of a run's training data, kept in RUN/styles.safetensors until its weights or k change."""
    from gan_zoo.run import data_of

    mark = {"k": str(k), "items": str(items), "samples_seen": str(gan.samples_seen)}
    path = run / FILE
    if path.is_file():
        with safe_open(path, "pt") as file:
            if file.metadata() == mark:
                return file.get_tensor("centres")
    features, classes = gathered(gan, data_of(run), items)
    centres = clusters(features, classes, len(encoder_of(gan).filled), k)
    unfinished = path.with_suffix(".part")
    save_file({"centres": centres}, unfinished, mark)
    unfinished.replace(path)
    return centres


def chosen(centres: Tensor, inputs: dict[str, Tensor], style: int | list[int]) -> Tensor:
    """Style maps [1, F, H, W] that give every instance a centre of its class; style: which one, for all or for each class (else 0)."""
    number, k = centres.shape[:2]
    wanted = [style] * number if isinstance(style, int) else [*style, *[0] * (number - len(style))]
    if len(wanted) > number or not all(0 <= index < k for index in wanted):
        raise ConfigError(
            f"style={style} came; there are {number} classes with styles 0 to {k - 1} each; raise styles for more"
        )
    numbers, count = regions(inputs["instances"])
    labels = inputs["condition"] if inputs["condition"].dim() == 3 else torch.zeros_like(numbers)
    classes = region_classes(labels, numbers, count)
    return spread(centres[classes, torch.tensor(wanted)[classes]], numbers)
