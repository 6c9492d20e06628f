"""pix2pixHD (Wang et al. 2018): large pictures from label maps, coarse first, judged at several scales."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.nn.dense import BatchNormSettings
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.label_maps import (
    as_maps,
    boundaries,
    halved_ids,
    pooled,
    refuse_two_kinds,
    region_classes,
    region_means,
    regions,
    spread,
)
from gan_zoo.nn.norms import CriticNormName
from gan_zoo.nn.patch import PatchDiscriminator
from gan_zoo.nn.perceptual import VGGDistance, vgg_distance
from gan_zoo.nn.resnet import Layers, PictureNormName, ResnetGenerator, TranslationBlock, require_divisible
from gan_zoo.schema import Arguments, ConfigError

Stage = Literal["coarse", "enhancer", "both"]


# ---- generator -------------------------------------------------------------------------------------------


class LocalEnhancer(nn.Module):
    """Maps [N, L, H, W] and features [N, 2 width, H/2, W/2] of the net below -> features [N, width, H, W] (sec. 3.1)."""

    def __init__(self, in_channels: int, width: int, blocks: int, layers: Layers) -> None:
        super().__init__()
        self.down = nn.Sequential(layers.kept(in_channels, width, 7), layers.halved(width, 2 * width))
        self.up = nn.Sequential(
            *(TranslationBlock(2 * width, layers) for _ in range(blocks)), layers.doubled(2 * width, width)
        )

    def forward(self, maps: Tensor, below: Tensor) -> Tensor:
        return self.up(self.down(maps) + below)


class CoarseToFine(nn.Module):
    """Label maps [N, L, H, W] -> pictures [N, C, H, W] in (-1, 1): a global net, and local enhancers around it.

    width: channels at full size; the global net has width * 2^enhancers at its own. downs, blocks: of the global net.
    enhancers: each doubles the side; enhancer_blocks: their residual blocks. coarse_head: the global net can also make
    pictures by itself, at H / 2^enhancers.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        coarse_head: bool,
        *,
        width: PositiveInt,
        downs: PositiveInt,
        blocks: NonNegativeInt,
        enhancers: NonNegativeInt,
        enhancer_blocks: NonNegativeInt,
        norm: PictureNormName,
        batch_norm: BatchNormSettings | None = None,
        bias: bool = True,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        self.downs, self.blocks = downs, blocks
        layers = Layers(norm, batch_norm, "reflect", bias)
        self.whole = ResnetGenerator(
            in_channels,
            out_channels,
            head=coarse_head or not enhancers,
            width=width * 2**enhancers,
            downs=downs,
            blocks=blocks,
            norm=norm,
            batch_norm=batch_norm,
            bias=bias,
        )
        self.enhancers = nn.ModuleList(  # the coarsest first
            LocalEnhancer(in_channels, width * 2 ** (enhancers - 1 - i), enhancer_blocks, layers)
            for i in range(enhancers)
        )
        self.head = (
            nn.Sequential(layers.same(width, out_channels, 7, bias=True), nn.Tanh()) if enhancers else None
        )
        initialise(self, init, init_scale)

    def forward(self, maps: Tensor, stage: Stage = "both") -> Tensor:
        """stage: coarse, the global net alone on maps of its own size; enhancer, with gradients for the finest enhancer alone."""
        if stage == "coarse" or self.head is None:
            return self.whole(maps)
        pyramid = [maps]
        for _ in self.enhancers:
            pyramid.append(pooled(pyramid[-1]))
        with torch.set_grad_enabled(torch.is_grad_enabled() and stage == "both"):
            below = self.whole.trunk(pyramid.pop())
            for enhancer in self.enhancers[:-1]:
                below = enhancer(pyramid.pop(), below)
        return self.head(self.enhancers[-1](maps, below))

    def require_size(self, height: int, width: int) -> None:
        """ConfigError where pictures of that size do not fit."""
        steps = len(self.enhancers)
        require_divisible(height, width, self.downs + steps, "pix2pixHD's generator")
        self.whole.require_size(height // 2**steps, width // 2**steps)


class StyleEncoder(nn.Module):
    """Pictures [N, C, H, W] -> feature maps [N, features, H, W] in (-1, 1), constant within each instance (sec. 3.4).

    bank: the last `bank` instance features of each class, as training met them; from them a style is drawn where there is no
    picture to encode.
    """

    bank: Tensor
    filled: Tensor

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        features: PositiveInt,
        width: PositiveInt,
        downs: PositiveInt,
        norm: PictureNormName,
        bias: bool = True,
        bank: PositiveInt = 256,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        self.features, self.downs = features, downs
        self.network = ResnetGenerator(
            channels,
            features,
            width=width,
            downs=downs,
            blocks=0,
            norm=norm,
            bias=bias,
            init=init,
            init_scale=init_scale,
        )
        self.register_buffer("bank", torch.zeros(classes, bank, features))
        self.register_buffer("filled", torch.zeros(classes, dtype=torch.int64))

    def forward(self, picture: Tensor, numbers: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """(feature maps, means of the regions [R, features]); numbers, count: label_maps.regions of the instances."""
        means = region_means(self.network(picture), numbers, count)
        return spread(means, numbers), means

    @torch.no_grad()
    def remember(self, means: Tensor, classes: Tensor) -> None:
        """Puts features [R, F] of regions of these classes [R] into the bank, over the oldest."""
        size = self.bank.shape[1]
        before = (
            (classes.unsqueeze(1) == classes).tril(-1).sum(1)
        )  # regions of the same class that come first
        place = (self.filled[classes] + before) % size
        self.bank[classes, place] = means.detach().float()
        self.filled.add_(torch.bincount(classes, minlength=len(self.filled)))

    def drawn(self, classes: Tensor) -> Tensor:
        """A remembered style for each region of these classes [R]: [R, features]; 0 for classes never met."""
        known = self.filled[classes].clamp(1, self.bank.shape[1])
        share = torch.rand(len(classes), device=classes.device)
        return self.bank[classes, (share * known).long()]


class StyledGenerator(nn.Module):
    """The coarse-to-fine net and, with `encoder`, the one that says how each instance looks."""

    def __init__(self, network: CoarseToFine, encoder: StyleEncoder | None) -> None:
        super().__init__()
        self.network, self.encoder = network, encoder


# ---- discriminator ---------------------------------------------------------------------------------------


class MultiScaleDiscriminator(nn.Module):
    """`scales` PatchGANs alike: the first sees the picture, each further one the average-pooled half of it (sec. 3.2).

    Returns (logits of each scale, features of each scale), the finest first.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        per_sample: bool = False,
        scales: PositiveInt,
        n_layers: Annotated[int, Field(ge=1)],
        width: PositiveInt,
        norm: CriticNormName,
        batch_norm: BatchNormSettings | None = None,
        padding: Annotated[int, Field(ge=1, le=2)] = 2,
        bias: bool = True,
        slope: PositiveFloat = 0.2,
        init: InitName = "normal",
        init_scale: PositiveFloat = 0.02,
    ) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.scales = nn.ModuleList(
            PatchDiscriminator(
                in_channels,
                per_sample=per_sample,
                n_layers=n_layers,
                width=width,
                norm=norm,
                batch_norm=batch_norm,
                padding=padding,
                bias=bias,
                slope=slope,
                init=init,
                init_scale=init_scale,
            )
            for _ in range(scales)
        )

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        logits, features = [], []
        for i, network in enumerate(self.scales):
            x = pooled(x) if i else x
            says, seen = network(x)
            logits.append(says)
            features.append(seen)
        return tuple(logits), tuple(features)


def feature_distance(
    real: tuple[Tensor, ...], fake: tuple[Tensor, ...], n_layers: int, scales: int
) -> Tensor:
    """4 / (n_layers + 1) * mean over scales of the sum over layers of the mean absolute difference (eq. 4, and the authors'
    factors); 0 where D sees no difference."""
    parts = [(f.float() - r.detach().float()).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(parts).sum() * (4 / (n_layers + 1) / scales)


# ---- the rules -------------------------------------------------------------------------------------------


class Stages:
    """Coarse to fine, in samples: `coarse`, the global net alone on small pictures; `enhancer`, the finest enhancer alone at
    full size, the rest as it is; then all."""

    def __init__(self, batch: int, *, coarse: NonNegativeInt = 0, enhancer: NonNegativeInt = 0) -> None:
        self.batch, self.coarse, self.enhancer = batch, coarse, enhancer

    def at(self, samples_seen: int) -> Stage:
        """Of the batch that begins there."""
        if samples_seen < self.coarse:
            return "coarse"
        return "enhancer" if samples_seen < self.coarse + self.enhancer else "both"

    def changes(self, samples_seen: int) -> bool:
        """Whether that batch is the first of a stage other than the one before."""
        return samples_seen > 0 and self.at(samples_seen) != self.at(samples_seen - self.batch)


class Pix2PixHD(GAN):
    """G makes pictures from one-hot labels, instance boundaries and, with `encoder`, a style for each instance.

    Data without instances have neither boundaries nor styles: `encoder` then stands for nothing.

    resolution, width: height and width, width null for squares. instances: whether the data have instance maps. batch_size:
    global, the data's. Terms of G: adversarial over all scales; feature_matching, the L1 distance of D's features;
    perceptual, that of VGG-19's, where it has a weight other than 0: vgg is the path of torchvision's weights, or `download`.
    Where the stage changes, both optimisers start afresh; departs from the authors, whose D goes on when G is joined.
    """

    modalities = ("pair",)
    generator: StyledGenerator
    discriminator: MultiScaleDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        width: PositiveInt | None = None,
        channels: PositiveInt,
        input_channels: NonNegativeInt,
        classes: NonNegativeInt,
        instances: bool,
        batch_size: PositiveInt,
        generator: Annotated[
            dict[str, Any], Arguments(CoarseToFine, given=("in_channels", "out_channels", "coarse_head"))
        ],
        encoder: Annotated[dict[str, Any], Arguments(StyleEncoder, given=("channels", "classes"))]
        | None = None,
        discriminator: Annotated[
            dict[str, Any], Arguments(MultiScaleDiscriminator, given=("in_channels", "per_sample"))
        ],
        schedule: Annotated[dict[str, Any], Arguments(Stages, given=("batch",))],
        vgg: str | None = None,
        **play: Any,
    ) -> None:
        super().__init__(**play)
        refuse_two_kinds(input_channels, classes)
        encoder = encoder if instances else None
        self.input_channels, self.classes_of_maps, self.has_instances = input_channels, classes, instances
        self.conditioned_on = ("condition", "instances") if instances else ("condition",)
        self.size = resolution, width or resolution
        self.schedule, self.batch_size = Stages(batch_size, **schedule), batch_size
        maps = (input_channels or classes) + instances
        styled = maps + (encoder["features"] if encoder else 0)
        network = CoarseToFine(styled, channels, self.schedule.coarse > 0, **generator)
        network.require_size(*self.size)
        self.shrink = 2 ** len(network.enhancers)
        self._refuse_stages(network)
        # pictures to translate have no labels: then all instances are of one class
        styles = StyleEncoder(channels, max(classes, 1), **encoder) if encoder else None
        self.generator = StyledGenerator(network, styles)
        self.discriminator = MultiScaleDiscriminator(
            maps + channels, per_sample=self.regularizer.per_sample, **discriminator
        )
        self._judge_perceptually(vgg, channels)

    def sides(self) -> tuple[int, int]:
        """(what sides of a picture must be multiples of, the smallest one)."""
        network = self.generator.network
        return 2**network.downs * self.shrink, network.whole.least() * self.shrink

    def _refuse_stages(self, network: CoarseToFine) -> None:
        wanted = self.schedule.coarse, self.schedule.enhancer
        if any(wanted) and not network.enhancers:
            raise ConfigError(
                f"model.schedule={{coarse: {wanted[0]}, enhancer: {wanted[1]}}} came, but model.generator.enhancers=0 has no "
                "finer net to come to; set both to 0, or enhancers to 1"
            )

    def _judge_perceptually(self, vgg: str | None, channels: int) -> None:
        weight = self.weights["generator"].get("perceptual", 0.0)
        if weight and vgg is None:
            raise ConfigError(
                f"model.weights.generator.perceptual={weight}, but model.vgg is null: give the path of torchvision's VGG-19 "
                "weights, or download; or set the weight to 0.0"
            )
        if weight and channels != 3:
            raise ConfigError(
                f"VGG-19 sees three channels, the pictures have {channels}; set the perceptual weight to 0.0"
            )
        self.vgg = vgg if weight else None
        self._vgg: list[VGGDistance] = []  # in a list: neither G's nor D's, and in no checkpoint

    def on_fit_start(self) -> None:
        if self.vgg is not None:
            self._vgg = [vgg_distance(self.vgg).to(self.device)]

    # ---- what changes with time ---------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        return self.schedule.at(self.samples_seen)

    def advance(self, samples_seen: int) -> bool:
        return self.schedule.changes(samples_seen)

    def batch_plan(self, samples_seen: int) -> tuple[int, int] | None:
        if not self.schedule.coarse:
            return None
        coarse = self.schedule.at(samples_seen) == "coarse"
        return self.batch_size, self.size[0] // (self.shrink if coarse else 1)

    def extra_figures(self) -> dict[str, float]:
        if not self.schedule.coarse and not self.schedule.enhancer:
            return {}
        return {"stage": float(("coarse", "enhancer", "both").index(self.stage))}

    # ---- the game -----------------------------------------------------------------------------------------

    def prepare_batch(self, batch: Batch) -> Batch:
        """`condition` becomes float [N, L, H, W], labels one-hot and boundaries last; `ids` and `labels` serve the styles.

        In the coarse stage all is at its size: pictures averaged, ids at every second pixel.
        """
        batch = super().prepare_batch(batch)
        if batch["condition"].is_floating_point():
            return batch  # it has been here before
        if self.stage == "coarse" and batch["condition"].shape[-2] == self.size[0]:
            batch = {key: self._shrunk(value) for key, value in batch.items()}
        condition = batch["condition"]
        maps = as_maps(condition, self.classes_of_maps)
        if self.has_instances:
            maps = torch.cat([maps, boundaries(batch["instances"])], 1)
        found = {**batch, "condition": maps.contiguous(memory_format=self.memory_format)}
        if self.generator.encoder is not None:
            found["labels"] = (
                condition.long() if condition.dim() == 3 else torch.zeros_like(batch["instances"]).long()
            )
        return found

    def _shrunk(self, value: Tensor) -> Tensor:
        if value.dim() == 3:
            return halved_ids(value, self.shrink)
        small = F.avg_pool2d(value.float(), self.shrink)
        return small if value.is_floating_point() else small.round().to(value.dtype)

    def generate(self, batch: Batch) -> Tensor:
        maps = batch["condition"]
        if self.generator.encoder is not None:
            maps = torch.cat([maps, self.styles(batch)], 1)
        return self.generator.network(maps, self.stage)

    def styles(self, batch: Batch) -> Tensor:
        """[N, features, H, W]: `style` where it is given, else those of the real pictures, else remembered ones at random."""
        encoder = cast(StyleEncoder, self.generator.encoder)
        if "style" in batch:
            return batch["style"]
        numbers, count = regions(batch["instances"])
        classes = region_classes(batch["labels"], numbers, count)
        if "real" not in batch:
            return spread(encoder.drawn(classes), numbers)
        maps, means = encoder(batch["real"], numbers, count)
        if encoder.training:
            encoder.remember(means, classes)
        return maps

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        logits, features = self.discriminator(torch.cat([batch["condition"], sample], 1))
        return Judgement(logits, tuple(layer for scale in features for layer in scale))

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        weights = self.weights["generator"]
        fake_says = self.score(fake, batch)
        matching = bool(weights.get("feature_matching"))
        real_says = self.score(batch["real"], batch) if matching or self.loss.needs_real else None
        terms = self.loss.generator(fake_says.logits, real_says.logits if real_says else None)
        zero = torch.zeros((), device=fake.device)
        terms["feature_matching"] = terms["perceptual"] = zero
        if matching and real_says:
            network = self.discriminator
            terms["feature_matching"] = feature_distance(
                real_says.features, fake_says.features, network.n_layers, len(network.scales)
            )
        if self._vgg:
            terms["perceptual"] = self._vgg[0](fake, batch["real"])
        return terms
