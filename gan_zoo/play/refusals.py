"""Combinations that cannot be right, refused with the reason before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from gan_zoo.latent import Latent
from gan_zoo.losses import Loss
from gan_zoo.regularizers import Regularizer
from gan_zoo.schema import ConfigError


def check_discriminator(discriminator: nn.Module, loss: Loss, regularizer: Regularizer) -> None:
    """Losses take logits; penalties on each sample's gradient want samples apart; Wasserstein critics want bounds."""
    layers = list(discriminator.modules())
    if regularizer.per_sample and any(map(mixes_samples, layers)):
        raise ConfigError(
            "a penalty on each sample's gradient cannot be right on a discriminator with batch norm, which mixes the "
            "samples (Gulrajani et al. 2017, sec. 4): set model.discriminator.norm to none, layer or instance, or regularizer=none"
        )
    if isinstance(layers[-1], nn.Sigmoid):
        raise ConfigError("the discriminator ends in a sigmoid, but losses take logits: drop the sigmoid")
    if loss.needs_lipschitz and not regularizer.bounds_critic:
        raise ConfigError(
            "loss=wasserstein on a critic that nothing bounds has no minimum: add regularizer=gradient_penalty, "
            "weight_clipping or spectral_norm"
        )


def check_turns(
    loss: Loss, *, update: str, discriminator_update: str, fresh_fake: bool, generator_batch_factor: int
) -> None:
    """Relativistic losses compare a real sample and a fake, which must then come to D together and in equal numbers."""
    if loss.needs_real and discriminator_update == "separate":
        raise ConfigError(
            "a relativistic loss scores real and fake together: set model.discriminator_update to joint or concatenated"
        )
    own_batch = fresh_fake and not loss.needs_real and update != "simultaneous"
    if generator_batch_factor > 1 and not own_batch:
        raise ConfigError(
            "model.generator_batch_factor > 1 needs model.fresh_fake=true, an update that is not simultaneous and a loss "
            "that is not relativistic: G's batch has no real partner for each fake"
        )


def check_latent(latent: Latent | None, weights: Mapping[str, float]) -> None:
    """The mode-seeking term compares what two latents make."""
    if "mode_seeking" in weights and latent is None:
        raise ConfigError(
            "weights.generator.mode_seeking compares the samples of two latents, but this model has no model.latent: drop the weight"
        )


def mixes_samples(layer: nn.Module) -> bool:
    """Whether each sample of a batch counts for the others there: a batch norm, or a layer that says so by `sees_batch`."""
    batch_norm, instance_norm = nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm
    own = isinstance(layer, batch_norm) and not isinstance(layer, instance_norm)
    return own or bool(getattr(layer, "sees_batch", False))
