"""cGAN (Mirza & Osindero 2014) and the ways that came after it to give both players a class label."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.nn.activations import OutputName, ToUnitRange, output_activation
from gan_zoo.nn.convolution import ConvDiscriminator, ConvGenerator
from gan_zoo.nn.dense import DenseDiscriminator, DenseGenerator, DenseStack
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.labels import append
from gan_zoo.nn.noise import vector_size
from gan_zoo.schema import Arguments, ConfigError

GeneratorCondition = Literal["branches", "concatenate", "add", "multiply", "map", "every_layer"]
DiscriminatorCondition = Literal[
    "branches", "concatenate", "add", "multiply", "map", "every_layer", "projection", "none"
]
Branch = Annotated[dict[str, Any], Arguments(DenseStack, given=("in_features",))]


class Label(nn.Module):
    """Class indices [N] -> [N, size]: one-hot where `embedding` is 0, else a learnt vector of that size."""

    def __init__(self, classes: int, embedding: int) -> None:
        super().__init__()
        self.classes, self.size = classes, embedding or classes
        self.table = nn.Embedding(classes, embedding) if embedding else None

    def forward(self, y: Tensor) -> Tensor:
        return self.table(y) if self.table is not None else F.one_hot(y, self.classes).float()


class Branches(nn.Module):
    """An input [N, F] and a label [N, L], each through layers of its own, then joint layers (Mirza & Osindero
    2014, fig. 1)."""

    def __init__(
        self,
        in_features: int,
        label: int,
        sample: dict[str, Any],
        of_label: dict[str, Any],
        joint: dict[str, Any],
    ) -> None:
        super().__init__()
        self.sample, self.label = DenseStack(in_features, **sample), DenseStack(label, **of_label)
        self.joint = DenseStack(self.sample.out_features + self.label.out_features, **joint)
        self.out_features = self.joint.out_features

    def forward(self, x: Tensor, label: Tensor) -> list[Tensor]:
        seen, told = self.sample(x), self.label(label)
        return [*seen, *told, *self.joint(torch.cat([seen[-1], told[-1]], dim=1))]


class BranchedGenerator(nn.Module):
    """The paper's G: noise and label each in a layer of their own, one joint layer, the picture."""

    def __init__(
        self,
        latent: int,
        shape: tuple[int, ...],
        label_size: int,
        *,
        noise: Branch,
        label: Branch,
        joint: Branch,
        output: OutputName,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.branches = Branches(latent, label_size, noise, label, joint)
        self.last = nn.Linear(self.branches.out_features, math.prod(shape))
        self.output = output_activation(output)
        initialise(self, init, init_scale)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return self.output(self.last(self.branches(z, label)[-1])).unflatten(1, self.shape)


class BranchedDiscriminator(nn.Module):
    """The paper's D: (logits [N], outputs of all layers), with maxout layers for the picture, the label and
    both."""

    def __init__(
        self,
        in_features: int,
        label_size: int,
        *,
        sample: Branch,
        label: Branch,
        joint: Branch,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.branches = Branches(in_features, label_size, sample, label, joint)
        self.head = nn.Linear(self.branches.out_features, 1)
        initialise(self, init, init_scale)

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = self.branches(x.flatten(1), label)
        return self.head(features[-1]).squeeze(1), tuple(features)


def _chosen(player: str, condition: str, **networks: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """The one network that is configured, refused where it cannot take the label that way."""
    given = {name: settings for name, settings in networks.items() if settings is not None}
    if len(given) != 1:
        raise ConfigError(
            f"model.{player} wants one of {', '.join(networks)}, "
            f"got {', '.join(given) or 'none'}; set the others to null"
        )
    ((name, settings),) = given.items()
    if (name == "branched") != (condition == "branches"):
        raise ConfigError(
            f"model.{player}.condition={condition} does not go with {name}: "
            "branches and branched need each other"
        )
    if name == "dense" and condition in ("map", "every_layer"):
        raise ConfigError(
            f"model.{player}.condition={condition} needs maps to put the label beside; "
            "take conv, or concatenate"
        )
    return name, settings


def _refuse_points(player: str, name: str, shape: tuple[int, ...]) -> None:
    if name == "conv" and len(shape) != 3:
        raise ConfigError(
            f"model.{player}.conv draws pictures; for points of the plane set conv=null and give dense"
        )


class ConditionalGenerator(nn.Module):
    """(z [N, Z], classes [N]) -> [N, *shape], pictures in [-1, 1].

    condition: `concatenate` puts the label beside z, `add` and `multiply` join a learnt vector of z's size to
    z, `every_layer` puts the label beside every layer's input (Radford et al. 2015's MNIST code), `map` makes
    one more channel of the smallest map from it, `branches` is the 2014 paper's. embedding: size of a learnt
    label vector, 0 for one-hot. conv, dense, branched: the network's own settings; one of them.
    """

    def __init__(
        self,
        latent: int,
        shape: tuple[int, ...],
        classes: int,
        *,
        condition: GeneratorCondition,
        embedding: NonNegativeInt = 0,
        conv: Annotated[
            dict[str, Any],
            Arguments(ConvGenerator, given=("latent", "resolution", "image_channels", "label", "maps")),
        ]
        | None = None,
        dense: Annotated[dict[str, Any], Arguments(DenseGenerator, given=("latent", "shape"))] | None = None,
        branched: Annotated[
            dict[str, Any], Arguments(BranchedGenerator, given=("latent", "shape", "label_size"))
        ]
        | None = None,
    ) -> None:
        super().__init__()
        name, settings = _chosen("generator", condition, conv=conv, dense=dense, branched=branched)
        _refuse_points("generator", name, shape)
        self.condition = condition
        self.label = (
            nn.Embedding(classes, latent) if condition in ("add", "multiply") else Label(classes, embedding)
        )
        size = getattr(self.label, "size", 0)
        start = latent + (size if condition == "concatenate" else 0)
        if name == "conv":
            beside, maps = size if condition == "every_layer" else 0, int(condition == "map")
            self.network: nn.Module = ConvGenerator(
                start, shape[1], shape[0], label=beside, maps=maps, **settings
            )
        elif name == "dense":
            self.network = DenseGenerator(start, shape, **settings)
        else:
            self.network = BranchedGenerator(latent, shape, size, **settings)
        self.map = (
            nn.Linear(size, self.network.start**2)
            if isinstance(self.network, ConvGenerator) and condition == "map"
            else None
        )
        if self.map is not None:
            initialise(self.map, settings["init"], settings.get("init_scale", 1.0))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        label = self.label(y)
        if self.condition in ("every_layer", "branches"):
            return self.network(z, label)
        if self.map is not None:
            return self.network(z, maps=_as_map(self.map(label)))
        return self.network(_joined(z, label, self.condition))


class ConditionalDiscriminator(nn.Module):
    """(samples [N, *shape], classes [N]) -> (logits [N], features, the last one the vector that the head
    reads).

    condition: as the generator's, the label joined to the picture: `concatenate` as constant channels, `add`
    and `multiply` with a learnt picture of each class, `map` one channel made from the label. `projection`
    adds the inner product of a learnt vector of the class and the last feature (Miyato & Koyama 2018, eq. 3);
    `none` leaves the label to the class head. class_head: `classify` gives class logits of the last feature
    (Odena et al. 2017).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        per_sample: bool = False,
        unit_range: bool = False,
        condition: DiscriminatorCondition,
        embedding: NonNegativeInt = 0,
        class_head: bool = False,
        conv: Annotated[
            dict[str, Any],
            Arguments(
                ConvDiscriminator, given=("resolution", "image_channels", "label", "per_sample", "unit_range")
            ),
        ]
        | None = None,
        dense: Annotated[
            dict[str, Any], Arguments(DenseDiscriminator, given=("in_features", "per_sample", "unit_range"))
        ]
        | None = None,
        branched: Annotated[
            dict[str, Any], Arguments(BranchedDiscriminator, given=("in_features", "label_size"))
        ]
        | None = None,
    ) -> None:
        super().__init__()
        name, settings = _chosen("discriminator", condition, conv=conv, dense=dense, branched=branched)
        _refuse_points("discriminator", name, shape)
        if class_head and condition not in ("none", "projection"):
            raise ConfigError(
                f"model.discriminator.class_head has nothing to learn where condition={condition} shows D "
                "the label; set condition to none or projection"
            )
        if condition == "none" and not class_head:
            raise ConfigError(
                "model.discriminator.condition=none without class_head: D would never hear of the label; "
                "set class_head=true, or another condition"
            )
        self.condition, self.shape = condition, shape
        self.input = (
            ToUnitRange() if unit_range else nn.Identity()
        )  # here, so that labels joined to the picture keep their range
        self.label = self._label(condition, classes, embedding)
        size = getattr(self.label, "size", 0)
        self.map = nn.Linear(size, math.prod(shape[1:])) if condition == "map" else None
        more = size if condition == "concatenate" else int(condition == "map")
        if name == "conv":
            beside = size if condition == "every_layer" else 0
            self.network: nn.Module = ConvDiscriminator(
                shape[1], shape[0] + more, label=beside, per_sample=per_sample, **settings
            )
        elif name == "dense":
            self.network = DenseDiscriminator(math.prod(shape) + more, per_sample=per_sample, **settings)
        else:
            self.network = BranchedDiscriminator(math.prod(shape), size, **settings)
        last = self.network.head.in_features
        self.projection = nn.Embedding(classes, last) if condition == "projection" else None
        self.classifier = nn.Linear(last, classes) if class_head else None
        self._initialise(settings["init"], settings.get("init_scale", 1.0))

    def _label(self, condition: DiscriminatorCondition, classes: int, embedding: int) -> nn.Module | None:
        if condition in ("add", "multiply"):
            return nn.Embedding(classes, math.prod(self.shape))
        return None if condition in ("none", "projection") else Label(classes, embedding)

    def _initialise(self, law: InitName, scale: float) -> None:
        for layer in (self.map, self.classifier):
            if layer is not None:
                initialise(layer, law, scale)
        if self.projection is not None:  # the inner product starts with the variance of one feature
            nn.init.normal_(self.projection.weight, 0.0, self.projection.embedding_dim**-0.5)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = self.input(x)
        label = self.label(y) if self.label is not None else None
        if label is None:
            logits, features = self.network(x)
        elif self.condition in ("every_layer", "branches"):
            logits, features = self.network(x, label)
        elif self.map is not None:
            logits, features = self.network(torch.cat([x, _as_map(self.map(label))], dim=1))
        else:
            flat = isinstance(self.network, DenseDiscriminator)
            logits, features = self.network(_joined(x.flatten(1) if flat else x, label, self.condition))
        if self.projection is not None:
            logits = logits + (self.projection(y) * features[-1]).sum(1)
        return logits, features

    def classify(self, judgement: Judgement) -> Tensor:
        """Class logits [N, classes], in float32, of samples that D has judged."""
        assert self.classifier is not None  # asked for only with class_head
        return self.classifier(judgement.features[-1]).float()


def _as_map(values: Tensor) -> Tensor:
    """[N, side * side] -> [N, 1, side, side]."""
    side = math.isqrt(values.shape[1])
    return values.view(-1, 1, side, side)


def _joined(x: Tensor, label: Tensor, how: str) -> Tensor:
    """x [N, ...] with a label beside it, added to it or multiplied with it."""
    if how == "concatenate":
        return append(x, label)
    label = label.view_as(x)
    return x + label if how == "add" else x * label


class CGAN(GAN):
    """Both players see the class. With discriminator.class_head there is one more term for both, `auxiliary`:
    the cross entropy of the class that D reads in a sample (Odena et al. 2017, eq. 3; D's is over real and
    fake)."""

    modalities = ("image", "points")
    generator: ConditionalGenerator
    discriminator: ConditionalDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        classes: NonNegativeInt,
        modality: Literal["image", "points"] = "image",
        generator: Annotated[
            dict[str, Any], Arguments(ConditionalGenerator, given=("latent", "shape", "classes"))
        ],
        discriminator: Annotated[
            dict[str, Any],
            Arguments(ConditionalDiscriminator, given=("shape", "classes", "per_sample", "unit_range")),
        ],
        **play: Any,
    ) -> None:
        super().__init__(**play)
        if classes < 2:
            raise ConfigError(
                f"cgan needs labelled data, but data.classes={classes}; of a folder with one sub-folder a class say "
                f"data.classes=NUMBER_OF_SUB_FOLDERS, or take data=digits, mnist, fashion_mnist or cifar10"
            )
        shape = (2,) if modality == "points" else (channels, resolution, resolution)
        self.classes = classes
        self.generator = ConditionalGenerator(vector_size(self.latent), shape, classes, **generator)
        inner = next(settings for key in ("conv", "dense", "branched") if (settings := generator.get(key)))
        self.discriminator = ConditionalDiscriminator(
            shape,
            classes,
            per_sample=self.regularizer.per_sample,
            unit_range=inner["output"] == "sigmoid",
            **discriminator,
        )

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"], batch["condition"])

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample, batch["condition"]))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        if self.discriminator.classifier is None:
            return super().discriminator_terms(batch, fake)
        real_says, fake_says = self.judge(batch, fake)
        terms = self.loss.discriminator(real_says.logits, fake_says.logits)
        terms["auxiliary"] = (
            self._cross_entropy(real_says, batch) + self._cross_entropy(fake_says, batch)
        ) / 2
        return terms

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = super().generator_terms(batch, fake)
        if self.discriminator.classifier is not None:
            terms["auxiliary"] = self._cross_entropy(self.score(fake, batch), batch)
        return terms

    def _cross_entropy(self, judgement: Judgement, batch: Batch) -> Tensor:
        return F.cross_entropy(self.discriminator.classify(judgement), batch["condition"])
