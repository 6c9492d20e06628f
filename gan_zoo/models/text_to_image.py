"""GAN-CLS and GAN-INT (Reed et al. 2016): pictures from sentences, with the authors' networks of residual bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo import chance
from gan_zoo.gan import GAN, Batch, Judgement, Terms
from gan_zoo.latent import Latent
from gan_zoo.nn import joint_embedding, sentences
from gan_zoo.nn.dense import BatchNormSettings
from gan_zoo.nn.initialisation import initialise
from gan_zoo.nn.noise import vector_size
from gan_zoo.nn.norms import CriticNormName, NormName, normalisation, resolve
from gan_zoo.nn.per_layer import without_identities
from gan_zoo.play.refusals import mixes_samples
from gan_zoo.regularizers import input_gradient
from gan_zoo.schema import Arguments, ConfigError
from gan_zoo.vocabulary import SYMBOL_BYTES, Vocabulary

Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass
class Text:
    """What both players are told of a caption: a vector of `size`.

    source: `captions` (an encoder reads them) or `embedding` (vectors that come with the data). training: `joint` gives each
    player an encoder of its own, trained with it; `frozen` has one for both that nothing trains. weights: a file of
    train_text_encoder, in which they begin. vocabulary: room for words, padding among them.
    """

    source: Literal["captions", "embedding"]
    size: PositiveInt
    encoder: Annotated[dict[str, Any], Arguments(sentences.ENCODERS, given=("vocabulary", "size"))] | None = (
        None
    )
    training: Literal["joint", "frozen"] = "joint"
    weights: str | None = None
    vocabulary: PositiveInt = 1000

    def __post_init__(self) -> None:
        if (self.source == "captions") != (self.encoder is not None):
            raise ConfigError(
                f"model.text.source={self.source} came with model.text.encoder={'null' if self.encoder is None else '{...}'}; "
                f"captions need an encoder to read them, an embedding has been read already"
            )
        if self.weights is not None and self.encoder is None:
            raise ConfigError(
                f"model.text.weights={self.weights} came with model.text.source=embedding, which leaves no encoder to begin with "
                "them; set model.text.weights=null"
            )
        if self.encoder is not None and self.training == "frozen" and self.weights is None:
            raise ConfigError(
                "model.text.training=frozen came without model.text.weights: nothing would ever train the encoder; "
                "make one with python -m gan_zoo.train_text_encoder, or set training=joint"
            )


class Bottleneck(nn.Module):
    """[N, channels, H, W] -> the same: 1x1 to a quarter of the channels, 3x3, 3x3 back, each with norm, beside the input;
    `activation` follows the sum. (Theirs ends in a 3x3 where ResNets have a 1x1.)"""

    def __init__(self, channels: int, norm: partial[nn.Module], activation: nn.Module, bias: bool) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.residual = without_identities(
            nn.Conv2d(channels, inner, 1, bias=bias),
            norm(inner),
            activation,
            nn.Conv2d(inner, inner, 3, padding=1, bias=bias),
            norm(inner),
            activation,
            nn.Conv2d(inner, channels, 3, padding=1, bias=bias),
            norm(channels),
        )
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.residual(x))


def _widths(resolution: int, width: int) -> list[int]:
    """Channels of the maps from the picture's half side down to 4x4: width, twice that, ..."""
    halvings = resolution.bit_length() - 3
    if resolution != 4 * 2**halvings or halvings < 1:
        raise ConfigError(
            f"text_to_image takes sides of 8, 16, 32, 64, 128, ..., got {resolution}; set data.resolution"
        )
    return [width * 2**i for i in range(halvings)]


def _initialise_convolutions(network: nn.Module) -> None:
    """N(0, 0.02); linear layers keep torch's own, as in the authors' code."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            initialise(layer, "normal", 0.02)


class TextGenerator(nn.Module):
    """(z [N, latent], sentence [N, size]) -> [N, image_channels, resolution, resolution] in [-1, 1].

    The sentence is squeezed to `text` values and stands beside z. Transposed convolutions double the side from 4x4;
    `residual`: bottlenecks at the first two sides. bias: of convolutions; the authors set theirs to zero before each step.
    """

    def __init__(
        self,
        latent: int,
        size: int,
        resolution: int,
        image_channels: int,
        encoder: nn.Module | None = None,
        *,
        width: PositiveInt,
        text: PositiveInt,
        residual: bool,
        norm: NormName,
        batch_norm: BatchNormSettings | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        widths = _widths(resolution, width)[::-1]
        make_norm, act = partial(normalisation, norm, batch_norm=batch_norm), nn.ReLU()
        self.text = nn.Sequential(nn.Linear(size, text), nn.LeakyReLU(0.2))
        inward = [latent + text, *widths]
        layers: list[nn.Module] = []
        for i, outward in enumerate(widths):
            up = (4, 1, 0) if i == 0 else (4, 2, 1)
            layers += [nn.ConvTranspose2d(inward[i], outward, *up, bias=bias), make_norm(outward)]
            layers.append(Bottleneck(outward, make_norm, act, bias) if residual and i < 2 else act)
        layers += [nn.ConvTranspose2d(widths[-1], image_channels, 4, 2, 1, bias=bias), nn.Tanh()]
        self.layers = without_identities(*layers)
        _initialise_convolutions(self)

    def forward(self, z: Tensor, sentence: Tensor) -> Tensor:
        return self.layers(torch.cat([z, self.text(sentence)], dim=1)[:, :, None, None])


class TextDiscriminator(nn.Module):
    """(pictures, sentences [N, size]) -> (logits [N], features): does this caption belong to this picture, and is it real?

    Convolutions halve the side to 4x4; there the squeezed sentence is set beside every place. output: `one_way` has this
    logit alone; `two_way` a second one that sees no text, and logits are then a pair. The layer before the last has no
    activation where the nets are residual, as in the authors' code. per_sample: norm `auto` is none.
    """

    def __init__(
        self,
        size: int,
        resolution: int,
        image_channels: int,
        encoder: nn.Module | None = None,
        *,
        per_sample: bool = False,
        width: PositiveInt,
        text: PositiveInt,
        residual: bool,
        output: Literal["one_way", "two_way"] = "one_way",
        norm: CriticNormName,
        text_norm: CriticNormName = "auto",
        batch_norm: BatchNormSettings | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        widths, act = _widths(resolution, width), nn.LeakyReLU(0.2)
        make_norm = partial(normalisation, resolve(norm, per_sample), batch_norm=batch_norm)
        layers: list[nn.Module] = []
        for i, outward in enumerate(widths):
            layers.append(nn.Conv2d(widths[i - 1] if i else image_channels, outward, 4, 2, 1, bias=bias))
            layers.append(make_norm(outward) if i else nn.Identity())
            linear = residual and i == len(widths) - 2 and i > 0
            if i < len(widths) - 1:
                layers.append(nn.Identity() if linear else act)
        last = widths[-1]
        layers.append(Bottleneck(last, make_norm, act, bias) if residual else act)
        self.picture = without_identities(*layers)
        self.text = without_identities(
            nn.Linear(size, text), normalisation(resolve(text_norm, per_sample), text, batch_norm), act
        )
        self.joint = without_identities(nn.Conv2d(last + text, last, 1, bias=bias), make_norm(last), act)
        self.head = nn.Conv2d(last, 1, 4, bias=bias)
        self.blind = nn.Conv2d(last, 1, 4, bias=bias) if output == "two_way" else None
        _initialise_convolutions(self)

    def forward(self, x: Tensor, sentence: Tensor) -> tuple[Tensor | tuple[Tensor, ...], tuple[Tensor, ...]]:
        maps = self.picture(x)
        logits, joint = self.match(maps, sentence)
        if self.blind is not None:
            return (logits, self.blind(maps).flatten()), (maps, joint)
        return logits, (maps, joint)

    def match(self, maps: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N] of pictures' last maps [N, C, 4, 4] with sentences, and the maps of both."""
        text = self.text(sentence)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        joint = self.joint(torch.cat([maps, text], dim=1))
        return self.head(joint).flatten(), joint


class TextToImage(GAN):
    """Reed's players. mismatched: the share of what D must reject that is real pictures with the caption of another class; the
    loss's weight on fakes is shared by it (1, 1/2, 1/2 for 0.5; 0 is the plain conditional GAN).

    interpolation: G also plays half a batch of sentences between two captions, (1 - b) one + b another, with this b
    (GAN-INT's 1/2), `uniform` draws, or null for none. A weight for `matching_penalty` adds DF-GAN's penalty on real matching
    pairs, E ||(grad_x D, grad_sentence D)||^penalty_power (Tao et al. 2022, eq. 2: weight 2, power 6).
    """

    modalities = ("captioned",)
    generator: TextGenerator
    discriminator: TextDiscriminator

    def __init__(
        self,
        *,
        resolution: PositiveInt,
        channels: PositiveInt,
        text: Annotated[dict[str, Any], Arguments(Text)],
        generator: Annotated[
            dict[str, Any],
            Arguments(TextGenerator, given=("latent", "size", "resolution", "image_channels", "encoder")),
        ],
        discriminator: Annotated[
            dict[str, Any],
            Arguments(
                TextDiscriminator, given=("size", "resolution", "image_channels", "encoder", "per_sample")
            ),
        ],
        mismatched: Share = 0.5,
        interpolation: Annotated[float, Field(ge=0, le=1)] | Literal["uniform"] | None = 0.5,
        penalty_power: PositiveFloat = 6.0,
        **play: Any,
    ) -> None:
        super().__init__(**play)
        self.settings = Text(**text)
        self.mismatched, self.interpolation, self.penalty_power = mismatched, interpolation, penalty_power
        self._heard: tuple[Tensor | None, Tensor] | None = None
        self.penalised = "matching_penalty" in self.weights["discriminator"]
        own = self.settings.training == "joint" and self.settings.source == "captions"
        self.sample_shape = (channels, resolution, resolution)
        shape = (self.settings.size, resolution, channels)
        self.generator = TextGenerator(
            vector_size(self.latent), *shape, self._encoder() if own else None, **generator
        )
        self.discriminator = TextDiscriminator(
            *shape,
            self._encoder() if own else None,
            per_sample=self.regularizer.per_sample or self.penalised,
            **discriminator,
        )
        shared = self.settings.source == "captions" and not own
        self.encoder = self._encoder().requires_grad_(False) if shared else None
        self.conditioned_on = ("tokens",) if self.settings.source == "captions" else ("embedding",)
        self.register_buffer("words", torch.zeros(self.settings.vocabulary, SYMBOL_BYTES, dtype=torch.uint8))
        self.register_buffer("caption_length", torch.zeros((), dtype=torch.int64))
        self._share_rejection()
        self._refuse_norms_under_penalty()

    def _encoder(self) -> nn.Module:
        return sentences.create(
            self.settings.vocabulary, size=self.settings.size, **cast(Any, self.settings.encoder)
        )

    def _share_rejection(self) -> None:
        """Splits D's weight on what it must reject between fakes and mismatched pairs."""
        if not self.mismatched:
            return
        weights = self.weights["discriminator"]
        rejected = "adversarial" if self.loss.needs_real else "fake"
        weights["mismatched"] = weights[rejected] * self.mismatched
        weights[rejected] *= 1 - self.mismatched

    def _refuse_norms_under_penalty(self) -> None:
        if self.penalised and any(map(mixes_samples, self.discriminator.modules())):
            raise ConfigError(
                "weights.discriminator.matching_penalty takes the gradient of each sample's score, which batch norm mixes: "
                "set model.discriminator.norm and text_norm to auto, none or layer"
            )

    # ---- words -------------------------------------------------------------------------------------------------------

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that it was trained on, which are stored with the weights."""
        return Vocabulary.from_table(cast(Tensor, self.words))

    def learn_words(self, vocabulary: Vocabulary, length: int) -> None:
        """Stores the words of the data with the model, and how many a caption has; ConfigError where it knows others."""
        vocabulary.store(cast(Tensor, self.words), room="model.text.vocabulary")
        cast(Tensor, self.caption_length).fill_(length)

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """Captions as int16 [N, L], as the data would give them."""
        return self.vocabulary.tokens(captions, int(cast(Tensor, self.caption_length)))

    def on_fit_start(self) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self._refuse_data_without_text(data)
        if self.settings.source == "captions":
            self.learn_words(data.vocabulary, int(data.caption_length))
        if self.settings.weights is not None and self.samples_seen == 0:
            self._begin_with(joint_embedding.read(self.settings.weights))

    def _refuse_data_without_text(self, data: Any) -> None:
        """ConfigError before the first step where the data have no embeddings, or longer ones than the model takes."""
        if self.settings.source == "captions":
            return
        embedding = data.held_out_batch(1).get("embedding")
        if embedding is None:
            raise ConfigError(
                f"model.text.source=embedding, but data={data.name} came without embeddings; give data.embeddings=FILE of "
                f"python -m gan_zoo.embed_captions, or let the model read captions"
            )
        if embedding.shape[-1] != self.settings.size:
            raise ConfigError(
                f"model.text.size={self.settings.size} came, the data's embeddings have {embedding.shape[-1]} values; "
                f"set model.text.size={embedding.shape[-1]}"
            )

    def _begin_with(self, trained: joint_embedding.Trained) -> None:
        trained.refuse_other(self.settings.encoder, self.settings.size, self.vocabulary)
        players = (self.generator, self.discriminator, self.ema_generator)
        for encoder in (self.encoder, *(getattr(player, "encoder", None) for player in players)):
            if encoder is not None:
                joint_embedding.fill(encoder, trained.text)

    # ---- sentences as vectors ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> Tensor:
        """What G is told of captions, [N, size]; only a model with an encoder can read."""
        if self.settings.source == "embedding":
            raise ConfigError(
                "this model was trained on embeddings and cannot read words: give encoder=..., the one that made them"
            )
        encoder = self.encoder if self.encoder is not None else (self.ema_generator or self.generator).encoder
        return sentences.encode(
            cast(nn.Module, encoder), self.tokens(captions).long().to(self.device)
        ).float()

    def draw(self, sentence: Tensor, latent: Tensor, chunk: int = 256) -> Tensor:
        """Pictures [N, C, R, R] on the CPU of sentences [N, size], which need not be anybody's, and latents [N, Z]."""
        with self.averaged():
            parts = [
                self.generate({"sentence": told.to(self.device), "latent": z.to(self.device)}).float().cpu()
                for told, z in zip(sentence.split(chunk), latent.split(chunk), strict=True)
            ]
        return torch.cat(parts)

    # ---- the rules ---------------------------------------------------------------------------------------------------

    def prepare_batch(self, batch: Batch) -> Batch:
        """Adds `sentence` (and `mismatch_sentence`) where no player trains an encoder of its own."""
        batch = super().prepare_batch(batch)
        for prefix in ("", "mismatch_"):
            tokens, embedding = batch.get(f"{prefix}tokens"), batch.get(f"{prefix}embedding")
            if self.settings.source == "embedding" and embedding is not None:
                batch = {**batch, f"{prefix}sentence": embedding.float()}
            elif tokens is not None and self.encoder is not None:
                with torch.no_grad():
                    batch = {**batch, f"{prefix}sentence": sentences.encode(self.encoder, tokens.long())}
        return batch

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(batch["latent"], self._heard_by_generator(batch))

    def _heard_by_generator(self, batch: Batch) -> Tensor:
        """The batch's sentences as G's own encoder reads them: once for all that G makes of a batch, until its terms are known."""
        tokens, sentence = self._heard or (None, None)
        if tokens is not None and tokens is batch.get("tokens") and torch.is_grad_enabled():
            return cast(Tensor, sentence)
        sentence = _sentence(self.generator, batch)
        self._heard = (batch.get("tokens"), sentence) if sentence.requires_grad else None
        return sentence

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(*self.discriminator(sample, _sentence(self.discriminator, batch)))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        batch = {**batch, "sentence": _sentence(self.discriminator, batch)}  # read once for all pairs
        real_says, fake_says = self.judge(batch, fake)
        terms = self.loss.discriminator(real_says.logits, fake_says.logits)
        if self.mismatched:
            other = _sentence(self.discriminator, batch, "mismatch_")
            wrong = self.discriminator.match(real_says.features[0], other)[0].float()
            terms["mismatched"] = self._rejection(real_says, wrong)
        if self.penalised:
            terms["matching_penalty"] = self._matching_penalty(batch)
        return terms

    def _rejection(self, right: Judgement, wrong: Tensor) -> Tensor:
        """D's loss on real pictures with another's caption; a relativistic loss compares them with the right pairs."""
        if not self.loss.needs_real:
            return self.loss.fake(wrong)
        logits = right.logits[0] if isinstance(right.logits, tuple) else right.logits
        return self.loss.discriminator(logits, wrong)["adversarial"]

    def _matching_penalty(self, batch: Batch) -> Tensor:
        """E ||(grad_x D, grad_sentence D)||^power on real matching pairs, as one gradient of picture and sentence joined."""
        real, sentence = batch["real"].float(), batch["sentence"].detach().float()
        pixels = real[0].numel()

        def score(joined: Tensor) -> Tensor:
            picture, text = joined.split([pixels, sentence.shape[1]], dim=1)
            # forward, not the call: a compiled module has no double backward
            logits, _ = self.discriminator.forward(picture.view_as(real), text)
            return logits[0] if isinstance(logits, tuple) else logits

        with torch.autocast(self.device.type, enabled=False):
            norm = input_gradient(score, torch.cat([real.flatten(1), sentence], dim=1)).norm(dim=1)
            return norm.pow(self.penalty_power).mean()

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        """The loss's, over the batch and half a batch more of sentences between two captions, with noise of their own."""
        half = len(fake) // 2
        if self.interpolation is None or half == 0:
            self._heard = None
            return super().generator_terms(batch, fake)
        share, heard = self._shares(half), _sentence(self.discriminator, batch)
        z = cast(Latent, self.latent).draw(half, self.device)
        # Departs from the authors' code, where G draws all three halves as one batch of its batch norm
        more = self.generator(z, between(self._heard_by_generator(batch), share))
        self._heard = None
        longer = {
            **batch,
            "sentence": torch.cat([heard, between(heard, share)]),
            "real": torch.cat([batch["real"], batch["real"][:half]]),
        }
        return super().generator_terms(longer, torch.cat([fake, more]))

    def _shares(self, n: int) -> Tensor:
        if self.interpolation == "uniform":
            return chance.uniform_rows([n, 1], self.device)
        return torch.full((n, 1), cast(float, self.interpolation), device=self.device)


def between(sentence: Tensor, share: Tensor) -> Tensor:
    """[n, size]: from sentence i of the first half, at share 0, to sentence i of the second, at 1; share [n, 1]."""
    n = len(share)
    return torch.lerp(sentence[:n], sentence[n : 2 * n], share.to(sentence))


def _sentence(network: nn.Module, batch: Batch, prefix: str = "") -> Tensor:
    """[N, size]: as it came with the batch, or as this player's own encoder reads the captions."""
    if f"{prefix}sentence" in batch:
        return batch[f"{prefix}sentence"]
    if f"{prefix}tokens" not in batch:
        raise ConfigError(
            f"the batch has neither {prefix}sentence nor {prefix}tokens, only {', '.join(sorted(batch))}; take data with captions "
            f"(data=flowers), or set model.text.source=embedding where the data hold embeddings"
        )
    if network.encoder is None:
        raise ConfigError(
            "model.text.source=embedding, but the data came with captions alone; give data.embeddings=FILE, made by "
            "python -m gan_zoo.embed_captions, or set model.text.source=captions and a model.text.encoder"
        )
    return sentences.encode(cast(nn.Module, network.encoder), batch[f"{prefix}tokens"].long())
