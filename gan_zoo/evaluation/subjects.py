"""From what a command says to what is measured: a trained model, its data, and the features asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_zoo.data.pair_data import PairData
from gan_zoo.data.pair_files import Cityscapes
from gan_zoo.data.stream import DataModule
from gan_zoo.evaluation import VGG, FeatureChoice, SegmentationNetwork
from gan_zoo.evaluation.cache import remembered
from gan_zoo.gan import GAN
from gan_zoo.metrics import features as networks
from gan_zoo.metrics.captions import Joint
from gan_zoo.metrics.features import Features
from gan_zoo.metrics.segmentation import Segmenter, network_segmenter
from gan_zoo.metrics.subject import Subject, subject_of
from gan_zoo.nn import joint_embedding
from gan_zoo.schema import ConfigError


def measured(
    gan: GAN,
    data: DataModule,
    n: int,
    *,
    reals: int,
    seed: int,
    features: FeatureChoice = "auto",
    weights: str | None = None,
    sha256: str | None = None,
    network: str = VGG,
    download: bool = False,
    joint_encoder: str | None = None,
    device: str = "cpu",
    segmenter: str | None = None,
    segmenter_network: SegmentationNetwork = "deeplabv3_resnet50",
    segmenter_height: int | None = None,
    **options: Any,
) -> Subject:
    """n samples of `gan` beside at most `reals` reals; with features=inception its classes give the Inception score.

    auto leaves the features to the data. weights, sha256, download: of Inception. network: NAME:NODE of torchvision, which takes
    weights too. joint_encoder: a file of train_text_encoder.
    segmenter: weights of a network that reads labels, segmenter_network which of torchvision's it is, segmenter_height
    at what height it looks. options: further fields of Subject.
    """
    chosen, scorer = chosen_features(features, weights, sha256, device, network=network, download=download)
    reader = chosen_segmenter(data, segmenter, segmenter_network, segmenter_height, device)
    return subject_of(
        gan, data, n, reals=reals, seed=seed, features=chosen, scorer=scorer, remember=partial(remembered, device=device),
        joint=None if joint_encoder is None else joint_of(joint_encoder, data, device), segmenter=reader, **options,
    )  # fmt: skip


def joint_of(path: str, data: DataModule, device: str) -> Joint:
    """The pair of encoders that train_text_encoder wrote; ConfigError where it is of pictures of another shape."""
    trained = joint_embedding.read(path)
    wanted = trained.about["picture"]
    if (wanted["channels"], wanted["resolution"]) != (data.channels, data.resolution):
        raise ConfigError(
            f"{path} encodes pictures of {wanted['resolution']} px and {wanted['channels']} channels, data={data.name} has "
            f"{data.resolution} px and {data.channels}; train one on these data: python -m gan_zoo.train_text_encoder"
        )
    text, picture = trained.text.to(device), trained.picture.to(device)

    @torch.no_grad()
    def embed(pictures: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens = trained.tokens(captions).long().to(device)
        return picture(pictures.to(device)).float().cpu(), text(tokens).float().cpu()

    return Joint(f"{trained.about['name']} of {trained.about['data']}", trained.digest, embed)


def chosen_segmenter(
    data: DataModule, weights: str | None, network: SegmentationNetwork, height: int | None, device: str
) -> Segmenter | None:
    """The user's segmentation network; None leaves the labels to the data."""
    if weights is None:
        return None
    if not (isinstance(data, PairData) and data.classes):
        raise ConfigError(
            f"segmenter={weights} reads labels, and data={data.name} has no label maps to compare with"
        )
    try:
        return network_segmenter(
            weights,
            network,
            data.classes,
            height=height,
            device=device,
            cityscapes=isinstance(data, Cityscapes),
        )
    except networks.WeightsError as failure:
        raise ConfigError(f"segmenter: {failure}") from None


def chosen_features(
    choice: FeatureChoice,
    weights: str | None,
    sha256: str | None,
    device: str,
    *,
    network: str = VGG,
    download: bool = False,
) -> tuple[Features | None, Features | None]:
    """(features, what gives the probabilities of the Inception score); None leaves either to the data."""
    try:
        if choice == "inception":
            return _inception(weights, sha256, device, download)
        if choice == "torchvision":
            return _torchvision(network, weights, sha256, device), None
    except networks.WeightsError as failure:
        raise ConfigError(str(failure)) from None
    if weights or sha256 or download:
        raise ConfigError(
            f"weights, sha256 and download are for features=inception or torchvision, features={choice} came"
        )
    made = {"auto": lambda: None, "digits": networks.digits_features, "pixels": networks.raw_pixels}
    return made[choice](), None


def _inception(
    weights: str | None, sha256: str | None, device: str, download: bool
) -> tuple[Features, Features]:
    if not weights and not download:
        raise ConfigError(
            f"features=inception needs its weights: fetch {networks.INCEPTION_URL} and give weights=FILE, or say download=true"
        )
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / networks.INCEPTION_URL.rsplit("/", 1)[1]
    wanted: dict[str, Any] = {"sha256": sha256 or networks.INCEPTION_SHA256, "device": device}
    pool = networks.inception(path, download=download, **wanted)
    return pool, probabilities_of(networks.inception(path, output="logits_unbiased", **wanted))


def _torchvision(network: str, weights: str | None, sha256: str | None, device: str) -> Features:
    name, _, node = network.partition(":")
    if not weights or not node:
        raise ConfigError(
            f"features=torchvision needs weights=FILE, as torchvision publishes them, and network=NAME:NODE such as {VGG}; "
            f"got network={network} and {weights or 'no weights'}"
        )
    try:
        return networks.torchvision_features(name, node, path=weights, sha256=sha256, device=device)
    except networks.WeightsError:
        raise
    except ValueError as failure:  # torchvision's words for a network or node that it does not know
        raise ConfigError(f"network={network}: {failure}") from None


def probabilities_of(logits: Features) -> Features:
    """The softmax of features that are logits."""
    return Features(f"{logits.name}-softmax", logits.sha256, logits.resize, lambda x: logits(x).softmax(1))
