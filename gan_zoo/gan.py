"""The play: how two players take turns, once for all GANs.

A variant is a subclass that says its rules (networks, terms, what changes with time). Freezing, scoring, stepping,
averaging, precision, clipping, several processes and the clock are here, and sealed.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from gan_zoo import chance, losses, regularizers, schedules
from gan_zoo.augmentation import Augmentation
from gan_zoo.averaging import MovingAverage
from gan_zoo.latent import Latent
from gan_zoo.losses import Terms, feature_matching, mode_seeking
from gan_zoo.nn.compiled import eager
from gan_zoo.nn.parallel import rank, world_size
from gan_zoo.play import refusals, sampling
from gan_zoo.play.batch import Batch, in_parts, repeated, rows
from gan_zoo.play.finite import NonFinite
from gan_zoo.play.joined import joined
from gan_zoo.play.judgement import Judgement, halves, logit_figures
from gan_zoo.play.players import Players, frozen
from gan_zoo.play.weights import PLAYERS, Player, counts, merged, weighted_sum
from gan_zoo.schema import Arguments, ConfigError

__all__ = ["GAN", "PLAYERS", "Batch", "Judgement", "NonFinite", "Player", "Terms"]


class _Assembled(abc.ABCMeta):
    """Completes a variant after its own __init__ has run, so that no subclass can forget to."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        gan = super().__call__(*args, **kwargs)
        gan._assemble()
        return gan


class GAN(Players, metaclass=_Assembled):
    """Base of every variant. A subclass sets `generator` and `discriminator` and defines `generate` and `discriminate`.

    loss, regularizer: keyword arguments of losses.create and regularizers.create, each with `weights`.
    weights: {player: {term: weight}} of the variant's own terms; they win over the loss's and the regulariser's. A weight
    for feature_matching or mode_seeking adds that term to G's.
    n_critic: D steps for each G step. update: alternating (Algorithm 1 of 2014: D, then G against the new D),
    generator_first, or simultaneous (both gradients from one forward, then both steps).
    discriminator_update: joint (real and fake scored apart, one step), concatenated (scored as one batch, which batch norm
    mixes, in G's turn too) or separate (two optimiser steps). fresh_fake: G draws its own latents; otherwise both players share one fake.
    generator_batch_factor: G's batch in units of D's. ema_half_life (samples) or ema_decay (a step): average of G.
    clip: largest gradient norm of each player. accumulate: micro-batches for each optimiser step.
    instance_noise: standard deviation of the noise on all that D sees (a number or a schedule of samples seen).
    augment: amounts of the differentiable augmentation of pictures that D sees; penalties see them as they are.
    batch_statistics: G keeps its batch statistics and dropout when it samples, as DCGAN's and pix2pix's authors did.
    """

    _SEALED = (
        "training_step",
        "configure_optimizers",
        "optimizer_step",
        "backward",
        "manual_backward",
        "configure_gradient_clipping",
        "on_before_optimizer_step",
        "lr_scheduler_step",
    )

    conditioned_on: tuple[str, ...] = ()  # keys of a batch that G needs, where they are more than a class

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls._SEALED:
            if name in cls.__dict__:
                raise TypeError(
                    f"{cls.__name__} overrides {name}, which belongs to the play in gan_zoo/gan.py: say what your variant "
                    f"minimises in discriminator_terms and generator_terms, and what changes with time in advance"
                )

    def __init__(
        self,
        *,
        loss: dict[str, Any],
        optimizer: dict[Player, dict[str, Any]],
        regularizer: dict[str, Any] | None = None,
        weights: dict[Player, dict[str, float]] | None = None,
        latent: Annotated[dict[str, Any], Arguments(Latent)] | None = None,
        n_critic: PositiveInt = 1,
        update: Literal["alternating", "generator_first", "simultaneous"] = "alternating",
        discriminator_update: Literal["joint", "concatenated", "separate"] = "joint",
        fresh_fake: bool = False,
        generator_batch_factor: PositiveInt = 1,
        ema_half_life: PositiveFloat | None = None,
        ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None,
        clip: dict[Player, PositiveFloat] | None = None,
        accumulate: PositiveInt = 1,
        instance_noise: NonNegativeFloat | dict[str, Any] = 0.0,
        augment: Annotated[dict[str, Any], Arguments(Augmentation)] | None = None,
        batch_statistics: bool = False,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer, clip or {}, accumulate)
        loss, regularizer = dict(loss), dict(regularizer or {})
        self.weights = merged(loss.pop("weights", None), regularizer.pop("weights", None), weights)
        if self.weights["generator"].get("mode_seeking") == 0:  # a preset's way to leave it out
            del self.weights["generator"]["mode_seeking"]
        self.loss, self.regularizer = losses.create(**loss), regularizers.create(**regularizer)
        self.latent = Latent(**latent) if latent else None
        self.n_critic, self.update, self.discriminator_update = n_critic, update, discriminator_update
        self.fresh_fake, self.generator_batch_factor = fresh_fake, generator_batch_factor
        averages = ema_half_life or ema_decay is not None
        self.average = MovingAverage(ema_half_life, ema_decay) if averages else None
        self.instance_noise = schedules.create(instance_noise)
        self.augment = Augmentation(**augment) if augment else None
        self.batch_statistics, self.channels_last = batch_statistics, channels_last
        self.seed = seed
        self.iteration = self.generator_steps = self.critic_steps = 0  # critic_steps: since G's last
        self.ema_generator: nn.Module | None = None
        self._judged: tuple[Judgement, Judgement] | None = None
        # within a turn: judgements by sample and batch, which are kept so that their ids stay theirs
        self._scored: dict[tuple[int, int], tuple[Tensor, Batch, Judgement]] | None = None
        self.register_buffer("discriminator_loss_moments", torch.zeros(2))

    # ---- what a variant says ----------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """G's samples for a batch, in the range of the data: G(z), or G(z, condition), with z = batch["latent"]."""
        raise NotImplementedError(f"{type(self).__name__} must define generate(batch)")

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        """D's logits (and features) for `sample`, real or fake, in the context of `batch`."""
        raise NotImplementedError(f"{type(self).__name__} must define discriminate(sample, batch)")

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        """What D minimises: named, unweighted scalars; `fake` arrives detached. Penalties are added by the play."""
        real_says, fake_says = self.judge(batch, fake)
        return self.loss.discriminator(real_says.logits, fake_says.logits)

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        """What G minimises: named, unweighted scalars; `fake` carries the graph back to G."""
        matching = "feature_matching" in self.weights["generator"]
        real_says: Judgement | None = None
        if self._in_company:
            real_says, fake_says = self._concatenated(batch, fake)
        else:
            fake_says = self.score(fake, batch)
            if self.loss.needs_real or matching:
                real_says = self.score(batch["real"], batch)
        terms = self.loss.generator(fake_says.logits, real_says.logits if real_says else None)
        if matching:
            terms["feature_matching"] = feature_matching(
                cast(Judgement, real_says).features, fake_says.features
            )
        return terms

    def advance(self, samples_seen: int) -> bool:
        """Sets what changes with time, from samples seen alone; True means the optimisers' state is stale and is cleared.

        It is called before each step, and before sampling, where the answer is not read: it must not depend on earlier calls.
        """
        return False

    def batch_plan(self, samples_seen: int) -> tuple[int, int] | None:
        """(global batch size, resolution) at that moment, where the variant has a schedule of its own; None: the data's."""
        return None

    def magnification(self) -> float:
        """How many times larger a side the picture is that a sample stands for: 2^lod while a run grows to full size.

        Penalties take D's gradient with respect to that picture, whose norm is the sample's divided by this.
        """
        return 1.0

    def averaged_parameters(self, generator: nn.Module) -> Iterable[nn.Parameter]:
        """Those of G (live or averaged) that training has reached: the average leaves the others as they are."""
        return generator.parameters()

    def extra_figures(self) -> dict[str, float]:
        """Figures of the variant's own for each row of metrics.csv, the same on all ranks."""
        return {}

    def prepare_batch(self, batch: Batch) -> Batch:
        """From the wire to the networks, on the device: uint8 pictures become floats in [-1, 1].

        A model with `conditioned_on` gets these keys without `real` when it samples.
        """
        real = batch.get("real")
        if real is not None and real.dtype == torch.uint8:
            batch = {**batch, "real": real.float().div_(127.5).sub_(1)}
        return batch

    def outcome(self, made: Tensor) -> Tensor:
        """What `sample` gives of what G makes, and is compared with: pictures as they are; of text the token ids."""
        return made

    def readable(self, samples: Tensor) -> Any:
        """What people are shown of samples [N, ...]: the samples, or for text the lines that they spell."""
        return samples

    # ---- what a variant may call ------------------------------------------------------------------------------------

    def score(self, sample: Tensor, batch: Batch) -> Judgement:
        """discriminate, as the play wants it: with noise and augmentation, logits in float32, once a turn for one sample and batch."""
        key = id(sample), id(batch)
        if self._scored is not None and key in self._scored:
            return self._scored[key][2]
        std = self.instance_noise(self.samples_seen)
        seen = sample + std * torch.randn_like(sample) if std > 0 else sample
        seen = self.augment(seen) if self.augment else seen
        logits, features = self.discriminate(seen, batch)
        logits = tuple(scale.float() for scale in logits) if isinstance(logits, tuple) else logits.float()
        judgement = Judgement(logits, features)
        if self._scored is not None:
            self._scored[key] = sample, batch, judgement
        return judgement

    def judge(self, batch: Batch, fake: Tensor) -> tuple[Judgement, Judgement]:
        """D's judgements of the batch's real samples and of `fake`: apart, or as one batch where the rules say so."""
        if self.discriminator_update == "concatenated":
            self._judged = self._concatenated(batch, fake)
        else:
            self._judged = self.score(batch["real"], batch), self.score(fake, batch)
        return self._judged

    def _concatenated(self, batch: Batch, fake: Tensor) -> tuple[Judgement, Judgement]:
        return halves(self.score(torch.cat([batch["real"], fake]), repeated(batch, 2)))

    @property
    def _in_company(self) -> bool:
        """Whether G's fakes are judged beside real samples: batch norm subtracts from fakes alone what gives them away, and
        G would find a D content with it that is never wrong in its own turn."""
        concatenated = self.discriminator_update == "concatenated"
        return concatenated and any(map(refusals.mixes_samples, self.discriminator.modules()))

    # ---- the play ---------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One batch for D; G plays after every n_critic-th."""
        self.raise_if_not_finite(late=True)
        chance.begin_step(self.seed, self.iteration, rank(), world_size(), self.device)
        self._set_rates(stale=self.advance(self.samples_seen))
        batch = self._complete_batch(batch)
        samples = len(batch["real"]) * world_size()
        self.observations = {}
        {
            "alternating": self._alternating,
            "generator_first": self._generator_first,
            "simultaneous": self._simultaneous,
        }[self.update](batch, self._generator_plays, samples)
        self._judged = None
        self.iteration += 1
        self.samples_seen += samples

    @property
    def _generator_plays(self) -> bool:
        """After every n_critic-th D step: in this step or, where G goes first, in the next."""
        waits = self.regularizer.n_critic(self.generator_steps, self.n_critic)
        if self.update == "generator_first":
            return self.iteration == 0 or self.critic_steps >= waits
        return self.critic_steps + 1 >= waits

    def _alternating(self, batch: Batch, generator_plays: bool, samples: int) -> None:
        shares = generator_plays and self._shares_fake
        fakes = self._fakes(batch, with_graph=shares)
        self._play_discriminator(batch, fakes)
        if generator_plays:
            self._play_generator(batch, fakes if shares else None, samples)

    def _generator_first(self, batch: Batch, generator_plays: bool, samples: int) -> None:
        """D then sees the fakes that G was just judged by, or, where each has its own, those of the new G."""
        shares = generator_plays and self._shares_fake
        same = generator_plays and not self.fresh_fake
        before = self._fakes(batch, with_graph=shares) if same else None
        if generator_plays:
            self._play_generator(batch, before if shares else None, samples)
        self._play_discriminator(batch, before or self._fakes(batch, with_graph=False))

    def _simultaneous(self, batch: Batch, generator_plays: bool, samples: int) -> None:
        """Both gradients at the same parameters, from one forward of G and one of D on each batch; then both steps."""
        if not generator_plays:
            self._play_discriminator(batch, self._fakes(batch, with_graph=False))
            return
        totals = {player: torch.zeros((), device=self.device) for player in reversed(PLAYERS)}
        for player in PLAYERS:
            self._begin(player)
        for part, fake in zip(
            in_parts(batch, self.accumulate), self._fakes(batch, with_graph=True), strict=True
        ):
            self._scored = {}
            game: dict[Player, Terms] = {
                "discriminator": self._discriminator_terms(part, fake),
                "generator": self._generator_terms(part, fake),
            }
            self._scored = None
            for player in reversed(PLAYERS):
                total = self._total(player, game[player])
                self._backward(player, total, retain_graph=player == "discriminator")
                totals[player] = totals[player] + total.detach() / self.accumulate
        means = {player: self._ready(player, total) for player, total in totals.items()}
        for player in means:
            self._observe(self._minimised[player])
            self._step(player)
        if scaler := self._scaler:
            scaler.update()
        self._after_discriminator(means["discriminator"])
        self._after_generator(samples)

    def _play_discriminator(self, batch: Batch, fakes: list[Tensor]) -> None:
        fakes = [fake.detach() for fake in fakes]
        if self.discriminator_update == "separate":
            total = self._turn("discriminator", batch, fakes, leave_out="fake")
            total = total + self._turn("discriminator", batch, fakes, only="fake")
        else:
            total = self._turn("discriminator", batch, fakes)
        self._after_discriminator(total)

    def _play_generator(self, batch: Batch, fakes: list[Tensor] | None, samples: int) -> None:
        if self.generator_batch_factor > 1:
            batch = repeated(batch, self.generator_batch_factor)
        if self.latent and self.fresh_fake:
            batch = {**batch, "latent": self.latent.draw(len(batch["real"]), self.device)}
        with frozen(self.discriminator):
            self._turn("generator", batch, fakes)
        self._after_generator(samples)

    def _turn(
        self, player: Player, batch: Batch, fakes: list[Tensor] | None, only: str = "", leave_out: str = ""
    ) -> Tensor:
        """One optimiser step of one player; returns its total, averaged over ranks."""
        self._begin(player)
        total = torch.zeros((), device=self.device)
        for index, part in enumerate(in_parts(batch, self.accumulate)):
            fake = fakes[index] if fakes is not None else self.generate(part)
            self._scored = {}
            terms = (
                self._discriminator_terms(part, fake, observe=not only)
                if player == "discriminator"
                else self._generator_terms(part, fake)
            )
            self._scored = None
            part_total = self._total(player, terms, only, leave_out)
            self._backward(player, part_total)
            total = total + part_total.detach() / self.accumulate
        mean_total = self._ready(player, total)
        self._observe(self._minimised[player])
        self._step(player)
        if scaler := self._scaler:
            scaler.update()
        return mean_total

    def _discriminator_terms(self, batch: Batch, fake: Tensor, observe: bool = True) -> Terms:
        terms = self.discriminator_terms(batch, fake)
        if self.regularizer.term_names:
            real_logits = self._judged[0].logits if self._judged else ()
            with torch.autocast(self.device.type, enabled=False), eager(self.discriminator):
                exact = {
                    key: value.float() if value.is_floating_point() else value for key, value in batch.items()
                }
                # scaled by it, a sample is as far from others as the pictures they stand for
                scale = self.magnification()
                terms |= self.regularizer.terms(
                    lambda x: self.discriminate(x / scale if scale != 1 else x, exact).logits,
                    exact["real"] * scale,
                    fake.detach().float() * scale,
                    real_logits,
                )
        if observe and self.observing and self._judged:
            figures = logit_figures(self.loss, *self._judged)
            self._observe({name: value / self.accumulate for name, value in figures.items()})
        return terms

    def _generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        more: Terms = {}
        if self.latent and "mode_seeking" in self.weights["generator"]:
            other = self.latent.draw(len(batch["latent"]), self.device)
            again = self.generate({**batch, "latent": other})
            more["mode_seeking"] = mode_seeking(fake, again, batch["latent"], other)
        return self.generator_terms(batch, fake) | more

    def _fakes(self, batch: Batch, with_graph: bool) -> list[Tensor]:
        with torch.set_grad_enabled(with_graph):
            fakes = [self.generate(part) for part in in_parts(batch, self.accumulate)]
        if not with_graph:
            torch.clear_autocast_cache()  # casts made without grad would be found again by the next forward
        return fakes

    @property
    def _shares_fake(self) -> bool:
        # with accumulation the graphs of all micro-batches would be alive at once: G generates again from the same latents
        return not self.fresh_fake and self.accumulate == 1

    def _total(self, player: Player, terms: Terms, only: str = "", leave_out: str = "") -> Tensor:
        total = weighted_sum(player, terms, self.weights[player], only, leave_out)
        played = {name: term for name, term in terms.items() if counts(name, only, leave_out)}
        found = self._minimised[player]
        for name, value in {**played, "total": total}.items():
            key, share = f"{player}/{name}", value.detach()
            if self.accumulate > 1:  # else there is nothing to divide or to add, at every step
                share = found.get(key, 0) + share / self.accumulate
            found[key] = share
        return total

    @property
    def memory_format(self) -> torch.memory_format:
        """Of pictures and feature maps."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def _complete_batch(self, batch: Batch) -> Batch:
        batch = self.prepare_batch(batch)
        if self.channels_last and batch["real"].dim() == 4:
            batch = {**batch, "real": batch["real"].contiguous(memory_format=torch.channels_last)}
        if self.latent:
            batch = {**batch, "latent": self.latent.draw(len(batch["real"]), self.device)}
        return batch

    def _after_discriminator(self, total: Tensor) -> None:
        self.regularizer.after_step(self.discriminator)
        self.critic_steps += 1
        mean, variance = cast(Tensor, self.discriminator_loss_moments)  # over about the last 100 steps
        loss = total.detach().float()
        if self.iteration == 0:
            mean.copy_(loss)
            return
        shift = loss - mean
        mean.add_(shift, alpha=0.01)
        variance.add_(shift.square(), alpha=0.01).mul_(0.99)

    def _after_generator(self, samples: int) -> None:
        fresh = self.critic_steps * samples  # real samples since G's last step
        self.critic_steps = 0
        self.generator_steps += 1
        if self.average and self.ema_generator is not None:
            fresh = max(fresh, samples)
            self.average.update(
                self.ema_generator, self.generator, fresh, self._flag.unread, self.averaged_parameters
            )

    # ---- figures ----------------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """The last step's figures, averaged over ranks; the one place where the host waits for the device."""
        observed = self._observed()
        variance = {"discriminator/loss_variance": float(cast(Tensor, self.discriminator_loss_moments)[1])}
        return observed | variance | self._rates_now() | self.extra_figures()

    # ---- assembly and state -----------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        for player in PLAYERS:
            if not isinstance(getattr(self, player, None), nn.Module):
                raise TypeError(f"{type(self).__name__}.__init__ must set self.{player} to an nn.Module")
        self.regularizer.prepare(self.discriminator)
        if self.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.average:
            self.ema_generator = MovingAverage.copy_of(self.generator)
        refusals.check_discriminator(self.discriminator, self.loss, self.regularizer)
        refusals.check_turns(
            self.loss,
            update=self.update,
            discriminator_update=self.discriminator_update,
            fresh_fake=self.fresh_fake,
            generator_batch_factor=self.generator_batch_factor,
        )
        refusals.check_latent(self.latent, self.weights["generator"])

    def get_extra_state(self) -> dict[str, int]:
        return {
            "iteration": self.iteration,
            "samples_seen": self.samples_seen,
            "generator_steps": self.generator_steps,
            "critic_steps": self.critic_steps,
        }

    def set_extra_state(self, state: dict[str, int]) -> None:
        for name, value in state.items():
            setattr(self, name, int(value))

    # ---- sampling ---------------------------------------------------------------------------------------------------

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it, `generator` is the averaged one where there is one, in evaluation mode, without gradients."""
        live = self.generator
        self.generator = self.ema_generator if self.ema_generator is not None else live
        try:
            with sampling.undisturbed(self.generator, self.batch_statistics):
                self.advance(self.samples_seen)
                with torch.no_grad():
                    yield
        finally:
            self.generator = live

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        condition: Tensor | int | list[int] | None = None,
        latent: Tensor | None = None,
        inputs: Batch | None = None,
        chunk: int = 256,
    ) -> Tensor:
        """[n, ...] samples on the CPU, pictures in [-1, 1], a function of (weights, seed, condition, inputs) alone.

        condition: a class for all, one for each, or None: the classes in turn. latent [n, *size] replaces the seed's.
        inputs: what a model with `conditioned_on` makes its samples from, as the data give it (uint8 pictures, class maps,
        token ids), at least n of each; where that is `condition` alone, condition=tensor says the same.
        """
        if n < 1:
            raise ConfigError(f"n must be at least 1, got {n}")
        if self.conditioned_on and inputs is None and isinstance(condition, Tensor):
            inputs, condition = {"condition": condition}, None
        given = sampling.given(self.conditioned_on, inputs, n, type(self).__name__)
        batch = self.sample_batch(n, seed, condition, latent)

        def part(start: int) -> Tensor:
            own, from_data = (
                rows(some, start, min(start + chunk, n), self.device) for some in (batch, given)
            )
            made = self.outcome(self.generate((self.prepare_batch(from_data) if from_data else {}) | own))
            return (made.float() if made.is_floating_point() else made).cpu()

        with torch.random.fork_rng(devices=[]), self.averaged():
            chance.seed_default(chance.mix(seed, "sample"), self.device)
            return joined(map(part, range(0, n, chunk)), n)

    def sample_batch(
        self, n: int, seed: int, condition: Tensor | int | list[int] | None, latent: Tensor | None
    ) -> Batch:
        """What `generate` needs for n samples: latents of the seed, conditions as asked."""
        return sampling.asked(self.latent, getattr(self, "classes", 0), n, seed, condition, latent)
