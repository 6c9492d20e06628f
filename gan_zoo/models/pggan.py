"""Progressive growing (Karras et al. 2018): both players begin at 4x4 and gain a resolution at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo import chance
from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.nn.dense import minibatch_layer
from gan_zoo.nn.equalised import EqualisedConv2d, EqualisedLinear, blended, halved, upsampled
from gan_zoo.nn.labels import append
from gan_zoo.nn.minibatch import MinibatchName, MinibatchStdDev
from gan_zoo.nn.noise import vector_size
from gan_zoo.nn.norms import PixelNorm, normalisation
from gan_zoo.nn.parallel import mean_over_ranks
from gan_zoo.schedules import Growth, Moment, levels_of
from gan_zoo.schema import Arguments, ConfigError

NETWORK_GIVEN = ("side", "levels", "image_channels", "classes")
Norm = Literal["pixel", "batch", "layer", "none"]
# Of pictures made at a time: the published maps of 64 pictures of 1024 px would be 8 GB each.
CHUNK_PIXELS = 2**22


def widths(levels: int, base: int, max_channels: int) -> list[int]:
    """Channels at each resolution, the smallest first: min(base / 2^stage, max) for stages 1, 2, ..."""
    found = [min(base >> stage, max_channels) for stage in range(1, levels + 1)]
    if found[-1] < 1:
        raise ConfigError(
            f"base={base} leaves no channel for the largest of {levels} resolutions; take {2**levels} or more"
        )
    return found


def _norm(name: Norm, channels: int) -> nn.Module:
    return PixelNorm() if name == "pixel" else normalisation(name, channels)


def _activation(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


# ---- generator -------------------------------------------------------------------------------------------


class Stem(nn.Module):
    """[N, Z] -> [N, channels, side, side]: dense (a bias a channel, or a unit), then 3x3."""

    def __init__(
        self,
        latent: int,
        channels: int,
        side: int,
        norm: Norm,
        slope: float,
        equalised: bool,
        unit_bias: bool,
    ) -> None:
        super().__init__()
        self.shape = (channels, side, side)
        # the gain is the authors': their dense layer was a convolution, whose fan-in counted all positions
        gain = math.sqrt(2) / side
        self.dense = EqualisedLinear(
            latent, math.prod(self.shape), gain=gain, bias=False, equalised=equalised
        )
        self.bias = nn.Parameter(torch.zeros(self.shape if unit_bias else (channels, 1, 1)))
        self.finish = nn.Sequential(_activation(slope), _norm(norm, channels))
        self.conv = _convolution(channels, channels, norm, slope, equalised)

    def forward(self, z: Tensor) -> Tensor:
        return self.conv(self.finish(self.dense(z).unflatten(1, self.shape) + self.bias))


def _convolution(inward: int, outward: int, norm: Norm, slope: float, equalised: bool) -> nn.Sequential:
    layers = [EqualisedConv2d(inward, outward, 3, equalised=equalised), _activation(slope)]
    return nn.Sequential(*layers, *([_norm(norm, outward)] if norm != "none" else []))


class ProgressiveGenerator(nn.Module):
    """z [N, latent], and one-hot labels [N, classes] -> pictures [N, C, s, s] of a level, s = side * 2^level.

    Level 0 is the stem; each further one repeats pixels and adds two 3x3 convolutions. toRGB is 1x1 at every
    level (tab. 2). All levels exist from the beginning; those above the one asked for cost nothing.

    base, max_channels: a level has min(base / 2^(level + 1), max_channels) channels. norm: after each
    activation. equalised: see nn.equalised. normalise_latent: z and label to mean square 1. slope: of the
    leaky ReLU, 0 for ReLU. output: linear, as published, or tanh. unit_bias: of the first layer, one for
    each unit and not for each channel, as in pytorch_GAN_zoo.
    """

    def __init__(
        self,
        latent: int,
        side: int,
        levels: int,
        image_channels: int,
        classes: int = 0,
        *,
        base: PositiveInt,
        max_channels: PositiveInt,
        norm: Norm,
        equalised: bool,
        normalise_latent: bool,
        slope: NonNegativeFloat,
        output: Literal["linear", "tanh"],
        unit_bias: bool = False,
    ) -> None:
        super().__init__()
        channels = widths(levels, base, max_channels)
        self.input = PixelNorm() if normalise_latent else nn.Identity()
        self.stem = Stem(latent + classes, channels[0], side, norm, slope, equalised, unit_bias)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _convolution(below, here, norm, slope, equalised),
                _convolution(here, here, norm, slope, equalised),
            )
            for below, here in pairwise(channels)
        )
        self.to_rgb = nn.ModuleList(
            EqualisedConv2d(width, image_channels, 1, gain=1.0, equalised=equalised) for width in channels
        )
        self.output = nn.Tanh() if output == "tanh" else nn.Identity()

    def forward(
        self, z: Tensor, level: int, alpha: Tensor | None = None, label: Tensor | None = None
    ) -> Tensor:
        """alpha: 0-d, the weight of `level` against the enlarged picture of the one below; None: 1."""
        x = below = self.stem(self.input(append(z, label)))
        for block in self.blocks[:level]:
            below, x = x, block(upsampled(x))
        picture = self.to_rgb[level](x)
        if alpha is not None and level > 0:
            picture = blended(upsampled(self.to_rgb[level - 1](below)), picture, alpha)
        return self.output(picture)

    def parts(self, level: int, fading: bool) -> list[nn.Module]:
        """The modules that make a picture of that level."""
        return [self.stem, *self.blocks[:level], *self.to_rgb[level - fading : level + 1]]


# ---- discriminator ---------------------------------------------------------------------------------------


class NoisyLayer(nn.Module):
    """A layer and what follows; its input is multiplied by N(1, C strength^2), a draw a sample and channel.

    The noise of the paper's least-squares variant (app. B), against signals that escalate.
    """

    def __init__(self, layer: nn.Module, *finish: nn.Module) -> None:
        super().__init__()
        self.layer, self.finish = layer, nn.Sequential(*finish)

    def forward(self, x: Tensor, strength: Tensor | None) -> Tensor:
        if strength is not None:
            draw = chance.normal_rows([*x.shape[:2], *[1] * (x.dim() - 2)], x.device)
            x = x * (1 + draw * strength * math.sqrt(x.shape[1])).to(x.dtype)
        return self.finish(self.layer(x))


class Halving(nn.Module):
    """[N, C, H, W] -> [N, C', H/2, W/2]: two layers, then the mean of each four pixels."""

    def __init__(self, first: NoisyLayer, second: NoisyLayer) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, strength: Tensor | None) -> Tensor:
        return halved(self.second(self.first(x, strength), strength))


class ProgressiveDiscriminator(nn.Module):
    """Pictures [N, C, s, s] of a level -> (scores [N], outputs of the blocks and, last, of the dense layer).

    fromRGB is 1x1 at every level; a level has two 3x3 convolutions, then the mean of 2x2 pixels, taken after
    the activation as in the paper's table 2 (the authors' fused TensorFlow layer pools before it). The
    smallest level has the batch's standard deviation as one more channel, a 3x3 and two dense layers.

    classes: > 0 for `classifier`, logits of the class from the last features (Odena et al. 2017). norm: after
    each activation. minibatch: stddev, or discrimination before the last layer; minibatch_group: of stddev,
    null is the whole batch. noise: c of the noise before each layer, whose strength is c max(d - 1/2, 0)^2,
    where d is a running mean of D's loss clipped to [0, 1], as in the authors' code; c is 0.2 there.
    """

    overpowered: Tensor

    def __init__(
        self,
        side: int,
        levels: int,
        image_channels: int,
        classes: int = 0,
        *,
        base: PositiveInt,
        max_channels: PositiveInt,
        norm: Literal["layer", "none"],
        equalised: bool,
        slope: PositiveFloat,
        minibatch: MinibatchName,
        minibatch_group: PositiveInt | None = None,
        noise: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__()
        channels = widths(levels, base, max_channels)
        hidden, smallest = min(base, max_channels), channels[0]
        self.noise = noise
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualisedConv2d(image_channels, width, 1, equalised=equalised), nn.LeakyReLU(slope))
            for width in channels
        )

        def layer(inward: int, outward: int) -> NoisyLayer:
            finish = [nn.LeakyReLU(slope), *([_norm(norm, outward)] if norm != "none" else [])]
            return NoisyLayer(EqualisedConv2d(inward, outward, 3, equalised=equalised), *finish)

        self.blocks = nn.ModuleList(
            Halving(layer(here, here), layer(here, below)) for below, here in pairwise(channels)
        )
        deviation = minibatch == "stddev"
        self.deviation = MinibatchStdDev(minibatch_group) if deviation else nn.Identity()
        self.last = layer(smallest + deviation, smallest)
        dense = EqualisedLinear(smallest * side**2, hidden, equalised=equalised)
        self.dense = NoisyLayer(dense, nn.LeakyReLU(slope))
        self.neighbours, features = minibatch_layer("none" if deviation else minibatch, hidden, None)
        self.head = EqualisedLinear(features, 1, gain=1.0, equalised=equalised)
        self.classifier = (
            EqualisedLinear(features, classes, gain=1.0, equalised=equalised) if classes else None
        )
        if noise:
            self.register_buffer("overpowered", torch.zeros(()))

    def forward(
        self, x: Tensor, level: int, alpha: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        strength = self.strength if self.noise and self.training else None
        hidden, features = self.from_rgb[level](x), []
        for below in range(level - 1, -1, -1):
            hidden = self.blocks[below](hidden, strength)
            if alpha is not None and below == level - 1:
                hidden = blended(self.from_rgb[below](halved(x)), hidden, alpha)
            features.append(hidden)
        hidden = self.last(self.deviation(hidden), strength)
        vector = self.neighbours(self.dense(hidden.flatten(1), strength))
        return self.head(vector).squeeze(1), (*features, hidden, vector)

    @property
    def strength(self) -> Tensor:
        """0-d, of the noise before each layer."""
        return self.noise * (self.overpowered - 0.5).clamp_min(0).square()

    @torch.no_grad()
    def note_loss(self, loss: Tensor) -> None:
        """Tells the noise how D fares: d becomes 0.9 d + 0.1 of its loss."""
        self.overpowered.lerp_(mean_over_ranks(loss.detach().float()).clamp(0, 1), 0.1)

    def parts(self, level: int, fading: bool) -> list[nn.Module]:
        """The modules that score a picture of that level."""
        ends: list[nn.Module] = [self.last, self.dense, self.neighbours, self.head]
        ends += [self.classifier] if self.classifier is not None else []
        return [*self.from_rgb[level - fading : level + 1], *self.blocks[:level], *ends]


# ---- the rules -------------------------------------------------------------------------------------------


class PGGAN(GAN):
    """The game of the resolution that `schedule` has reached, which fades in: in G, in D and in the pictures.

    conditional: G is given the class and D has to tell it, a term `auxiliary` of both players. schedule:
    Growth. Level and alpha follow from samples seen: nothing is stored that a resumed run could lack.
    """

    modalities = ("image",)
    generator: ProgressiveGenerator
    discriminator: ProgressiveDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        classes: NonNegativeInt = 0,
        conditional: bool = False,
        generator: Annotated[
            dict[str, Any], Arguments(ProgressiveGenerator, given=("latent", *NETWORK_GIVEN))
        ],
        discriminator: Annotated[dict[str, Any], Arguments(ProgressiveDiscriminator, given=NETWORK_GIVEN)],
        schedule: Annotated[dict[str, Any], Arguments(Growth, given=("side", "levels"))],
        **play: Any,
    ) -> None:
        side, levels = levels_of(resolution)
        growth = Growth(side, levels, **schedule)
        optimizer = {
            player: {**settings, "lr": growth.learning_rate(settings["lr"])}
            for player, settings in play.pop("optimizer").items()
        }
        super().__init__(**play, optimizer=optimizer)
        growth.require_shares(self.accumulate)
        if conditional and classes < 2:
            raise ConfigError(
                f"model.conditional=true needs labelled data, but data.classes is {classes}; "
                "of a folder with one sub-folder a class say data.classes=NUMBER_OF_SUB_FOLDERS, or take data=digits, cifar10 or avatars"
            )
        self.growth, self.classes = growth, classes if conditional else 0
        shape = (side, levels, channels, self.classes)
        self.generator = ProgressiveGenerator(vector_size(self.latent), *shape, **generator)
        self.discriminator = ProgressiveDiscriminator(*shape, **discriminator)

    # ---- what changes with time ---------------------------------------------------------------------------

    @property
    def moment(self) -> Moment:
        return self.growth.at(self.samples_seen)

    @property
    def _alpha(self) -> Tensor | None:
        # a tensor, since a compiled network would be compiled again for each new number
        alpha = self.moment.alpha
        return torch.full((), alpha, device=self.device) if alpha < 1 else None

    def advance(self, samples_seen: int) -> bool:
        return samples_seen in self.growth.changes

    def batch_plan(self, samples_seen: int) -> tuple[int, int]:
        return self.growth.plan(samples_seen)

    def magnification(self) -> float:
        """2^lod: the authors' D takes pictures of full size, small ones enlarged by repeating pixels."""
        return 2.0 ** (self.growth.levels - 1 - self.moment.level)

    def averaged_parameters(self, generator: nn.Module) -> Iterable[nn.Parameter]:
        assert isinstance(generator, ProgressiveGenerator)
        level, alpha = self.moment
        return [p for part in generator.parts(level, alpha < 1) for p in part.parameters()]

    def extra_figures(self) -> dict[str, float]:
        batch, resolution = self.growth.plan(self.samples_seen)
        figures = {"resolution": resolution, "alpha": self.moment.alpha, "batch_size": batch}
        return {
            "kimg": self.samples_seen / 1000,
            **{f"growth/{name}": float(x) for name, x in figures.items()},
        }

    # ---- the game -----------------------------------------------------------------------------------------

    def prepare_batch(self, batch: Batch) -> Batch:
        """Pictures in [-1, 1] at the side of the moment, larger ones averaged; in a fade, blended with coarser."""
        batch = super().prepare_batch(batch)
        real, level = batch["real"], self.moment.level
        times = real.shape[-1] // self.growth.resolution(level)
        if times > 1:
            real = F.avg_pool2d(real, times)
        alpha = self._alpha
        if alpha is not None and level > 0:
            real = blended(upsampled(halved(real)), real, alpha)
        return {**batch, "real": real}

    def generate(self, batch: Batch) -> Tensor:
        label = F.one_hot(batch["condition"], self.classes).to(batch["latent"]) if self.classes else None
        return self.generator(batch["latent"], self.moment.level, self._alpha, label)

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample, self.moment.level, self._alpha))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        real_says, fake_says = self.judge(batch, fake)
        terms = self.loss.discriminator(real_says.logits, fake_says.logits)
        if self.discriminator.noise:
            weights = self.weights["discriminator"]
            self.discriminator.note_loss(torch.stack([weights[key] * x for key, x in terms.items()]).sum())
        if self.classes:  # the authors' label terms have weight 1 each
            terms["auxiliary"] = self._cross_entropy(real_says, batch) + self._cross_entropy(fake_says, batch)
        return terms

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = super().generator_terms(batch, fake)
        if self.classes:
            terms["auxiliary"] = self._cross_entropy(self.score(fake, batch), batch)
        return terms

    def _cross_entropy(self, judgement: Judgement, batch: Batch) -> Tensor:
        assert self.discriminator.classifier is not None
        logits = self.discriminator.classifier(judgement.features[-1])
        return F.cross_entropy(logits.float(), batch["condition"])

    def sample(self, n: int, *, full_size: bool = False, **options: Any) -> Tensor:
        """As GAN.sample, at the resolution of the moment; full_size: enlarged to the final one.

        chunk: pictures at a time, 256 where it is left out, fewer above 128 px: 4 of 1024 px.
        """
        chunk = max(1, min(256, CHUNK_PIXELS // self.growth.resolution(self.moment.level) ** 2))
        pictures = super().sample(n, **{"chunk": chunk, **options})
        return upsampled(pictures, self.magnification()) if full_size else pictures
