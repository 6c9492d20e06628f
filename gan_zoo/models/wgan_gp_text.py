"""Text without likelihood: G gives a distribution over the vocabulary at each position, which the critic compares with
one-hot text (Gulrajani et al. 2017, sec. 5.4; Rajeswar et al. 2017)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo import chance, schedules
from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.nn.initialisation import InitName, initialise
from gan_zoo.nn.noise import vector_size
from gan_zoo.nn.per_layer import outputs_of
from gan_zoo.schema import Arguments, ByName, ConfigError
from gan_zoo.vocabulary import PAD, SYMBOL_BYTES, Vocabulary

Output = Literal["softmax", "straight_through", "gumbel"]


class ResidualBlock(nn.Module):
    """[N, width, L] -> the same: x + scale (ReLU, convolution, ReLU, convolution); no norm."""

    def __init__(self, width: int, kernel: int, scale: float) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ConfigError(f"kernel must be odd, so that the length is kept; got {kernel}")
        self.scale = scale
        self.residual = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.residual(x)


def _said(logits: Tensor, output: Output, training: bool) -> Tensor:
    """[N, vocabulary, ...] as D is shown it: the distribution, or one word alone, with the distribution's gradient.

    straight_through (Bengio et al. 2013, sec. 4): the likeliest word. D cannot tell G's words by their not being quite 0 and
    1, and so looks at what they say; but the gradient is of another function than the one that was played, and fades as G
    grows sure. gumbel: in training a word drawn from the distribution, by noise on its logits (Jang et al. 2017, sec. 2.2;
    on GANs Kusner & Hernandez-Lobato 2016), so that what G is unsure of is tried; the likeliest one otherwise.
    """
    if output == "gumbel" and training:
        share = chance.uniform_rows(logits.shape, logits.device).clamp(1e-9, 1 - 1e-6)
        logits = logits - (-share.log()).log()
    distribution = logits.softmax(1)
    if output == "softmax":
        return distribution
    word = F.one_hot(distribution.argmax(1), distribution.shape[1]).movedim(-1, 1).to(distribution)
    return word + (distribution - distribution.detach())


def _initialise(network: nn.Module, law: InitName, scale: float, convolution_scale: float) -> None:
    """One law for all layers, with a scale of its own for convolutions, which the authors draw wider by sqrt 2."""
    initialise(network, law, scale)
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d):
            initialise(layer, law, convolution_scale)


class CNNGenerator(nn.Module):
    """z [N, latent] -> distributions [N, vocabulary, length] (Gulrajani et al. 2017; the authors' gan_language.py)."""

    def __init__(
        self,
        latent: int,
        vocabulary: int,
        length: int,
        *,
        width: PositiveInt,
        blocks: PositiveInt,
        kernel: PositiveInt,
        residual_scale: PositiveFloat,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        convolution_scale: PositiveFloat = 1.0,
        output: Output = "softmax",
    ) -> None:
        super().__init__()
        self.shape, self.output = (width, length), output
        self.stem = nn.Linear(latent, width * length)
        self.blocks = nn.Sequential(*(ResidualBlock(width, kernel, residual_scale) for _ in range(blocks)))
        self.last = nn.Conv1d(width, vocabulary, 1)
        _initialise(self, init, init_scale, convolution_scale)

    def forward(self, z: Tensor, length: int) -> Tensor:
        """length: positions that are wanted, the first ones."""
        logits = self.last(self.blocks(self.stem(z).unflatten(1, self.shape)))
        return _said(logits[:, :, :length].float(), self.output, self.training)


class LSTMGenerator(nn.Module):
    """z [N, latent] -> distributions [N, vocabulary, length], one step a position (Rajeswar et al. 2017).

    z is the input of every step and, by a linear layer, the first state. feedback: the distribution of a step is input
    of the next one too, which the paper calls LSTM-P. Neither is published as code: sizes and places are ours.
    """

    def __init__(
        self,
        latent: int,
        vocabulary: int,
        length: int,
        *,
        width: PositiveInt,
        feedback: bool,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        output: Output = "softmax",
    ) -> None:
        super().__init__()
        self.feedback, self.vocabulary, self.output = feedback, vocabulary, output
        self.first = nn.Linear(latent, 2 * width)  # hidden state and cell
        self.cell = nn.LSTMCell(latent + (vocabulary if feedback else 0), width)
        self.last = nn.Linear(width, vocabulary)
        initialise(self, init, init_scale)

    def forward(self, z: Tensor, length: int) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):  # small steps, which bfloat16 does not make faster
            hidden, cell = self.first(z).tanh().chunk(2, 1)
            said = z.new_zeros(len(z), self.vocabulary)
            distributions = []
            for _ in range(length):
                told = torch.cat([z, said], 1) if self.feedback else z
                hidden, cell = self.cell(told, (hidden, cell))
                said = _said(self.last(hidden), self.output, self.training)
                distributions.append(said)
            return torch.stack(distributions, 2)


class CNNCritic(nn.Module):
    """[N, inputs, length] -> (scores [N], the blocks' outputs) (Gulrajani et al. 2017; the authors' gan_language.py)."""

    def __init__(
        self,
        inputs: int,
        length: int,
        *,
        width: PositiveInt,
        blocks: PositiveInt,
        kernel: PositiveInt,
        residual_scale: PositiveFloat,
        init: InitName,
        init_scale: PositiveFloat = 1.0,
        convolution_scale: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width, kernel, residual_scale) for _ in range(blocks))
        self.head = nn.Linear(width * length, 1)
        _initialise(self, init, init_scale, convolution_scale)

    def forward(self, x: Tensor, length: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = outputs_of(self.blocks, self.first(x))
        return self.head(features[-1].flatten(1)).squeeze(1), tuple(features)


class LSTMCritic(nn.Module):
    """[N, inputs, length] -> (scores [N], the last state): reads from left to right (Rajeswar et al. 2017)."""

    def __init__(
        self, inputs: int, length: int, *, width: PositiveInt, init: InitName, init_scale: PositiveFloat = 1.0
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, 1)
        initialise(self, init, init_scale)

    def forward(self, x: Tensor, length: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """length: positions that are read, the first ones."""
        with torch.autocast(x.device.type, enabled=False):
            read, _ = self.lstm(self.first(x.float()[:, :, :length].transpose(1, 2)))
            last = read[:, -1]
            return self.head(last).squeeze(1), (last,)


GENERATORS = ByName(cnn=CNNGenerator, lstm=LSTMGenerator)
CRITICS = ByName(cnn=CNNCritic, lstm=LSTMCritic)


def _network(kinds: ByName, settings: dict[str, Any], *given: int) -> nn.Module:
    arguments = {key: value for key, value in settings.items() if key != "name" and value is not None}
    network: nn.Module = kinds[settings["name"]](*given, **arguments)
    return network


class WGANGPText(GAN):
    """resolution: tokens of a line; channels: size of the vocabulary. Samples are token ids int64 [N, resolution].

    classes: an attribute of the sentence that both players are told, repeated at every position; 0 for none.
    curriculum: a schedule of samples seen, how many tokens of a line are played for; the rest is pad.
    """

    modalities = ("text",)

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        classes: NonNegativeInt = 0,
        generator: Annotated[dict[str, Any], Arguments(GENERATORS, given=("latent", "vocabulary", "length"))],
        discriminator: Annotated[dict[str, Any], Arguments(CRITICS, given=("inputs", "length"))],
        curriculum: dict[str, Any] | None = None,
        **play: Any,
    ) -> None:
        super().__init__(**play)
        if self.augment:
            raise ConfigError("model.augment changes pictures, text has none; set it to null")
        if "spectral_norm" in self.regularizer.parts and discriminator["name"] == "lstm":
            raise ConfigError(
                "regularizer=spectral_norm does not reach an LSTM's weights; take gradient_penalty, or model/discriminator=text_cnn"
            )
        self.length, self.vocabulary_size, self.classes = resolution, channels, classes
        self.curriculum = schedules.create(curriculum or float(resolution))
        self.played = resolution  # tokens of a line that are played for
        told = vector_size(self.latent) + classes
        self.generator = _network(GENERATORS, generator, told, channels, resolution)
        self.discriminator = _network(CRITICS, discriminator, channels + classes, resolution)
        self.register_buffer("symbols", torch.zeros(channels, SYMBOL_BYTES, dtype=torch.uint8))

    # ---- the game ----------------------------------------------------------------------------------------------------

    def advance(self, samples_seen: int) -> bool:
        self.played = min(max(1, int(self.curriculum(samples_seen))), self.length)
        return False

    def prepare_batch(self, batch: Batch) -> Batch:
        """Token ids [N, L] become one-hot columns [N, vocabulary, L], on the device."""
        real = batch.get("real")
        if real is None or real.is_floating_point():
            return batch
        one_hot = torch.zeros(len(real), self.vocabulary_size, real.shape[1], device=real.device)
        one_hot.scatter_(1, real.long().unsqueeze(1), 1.0)
        return {**batch, "real": one_hot}

    def generate(self, batch: Batch) -> Tensor:
        z = batch["latent"]
        if self.classes:
            z = torch.cat([z, F.one_hot(batch["condition"], self.classes).to(z)], 1)
        return self._padded(self.generator(z, self.played))

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        # a penalty differentiates with respect to a leaf, and then again, which cuDNN's LSTM cannot
        penalised = sample.is_leaf and sample.requires_grad and isinstance(self.discriminator, LSTMCritic)
        if self.played < self.length:
            sample = self._padded(sample[:, :, : self.played])
        if self.classes:
            told = F.one_hot(batch["condition"], self.classes).to(sample)
            sample = torch.cat([sample, told.unsqueeze(2).expand(-1, -1, self.length)], 1)
        with torch.backends.cudnn.flags(enabled=False) if penalised else nullcontext():
            return Judgement(*self.discriminator(sample, self.played))

    def _padded(self, lines: Tensor) -> Tensor:
        """[N, vocabulary, up to L] -> [N, vocabulary, L], with pads."""
        missing = self.length - lines.shape[2]
        if not missing:
            return lines
        pads = lines.new_zeros(len(lines), self.vocabulary_size, missing)
        pads[:, PAD] = 1
        return torch.cat([lines, pads], 2)

    # ---- as text -----------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols that it was trained on, which are stored with the weights."""
        return Vocabulary.from_table(cast(Tensor, self.symbols))

    def on_fit_start(self) -> None:
        """Takes the symbols of the data, or checks that they are those of the weights."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        data.vocabulary.store(cast(Tensor, self.symbols), room="data.channels")

    def outcome(self, made: Tensor) -> Tensor:
        return made.argmax(1)

    def readable(self, samples: Tensor) -> list[str]:
        """Lines of token ids [N, L], or of one-hot columns [N, vocabulary, L]."""
        ids = samples if samples.dim() == 2 else self.outcome(samples)
        return self.vocabulary.lines(ids)
