"""What keeps D in bounds: penalties on its gradient or its scores, and constraints on its weights.

Penalties are plain functions of a critic and samples, differentiable twice, in float32: the play calls them with autocast
disabled. A regulariser is a set of such parts, {gradient_penalty: {target: 1.0}, drift: {}}; the part's name is the
name of its term and of its weight.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import torch
from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from torch import Tensor, nn

from gan_zoo import chance
from gan_zoo.losses import Logits, Terms
from gan_zoo.nn.parallel import mean_over_ranks, world_size
from gan_zoo.schema import ConfigError

Critic = Callable[[Tensor], Logits]


def _score(critic: Critic, x: Tensor) -> Tensor:
    """One number for each sample, [N]: the mean of its logits, summed over scales."""
    logits = critic(x)
    scales = logits if isinstance(logits, tuple) else (logits,)
    return torch.stack([scale.flatten(1).mean(1) if scale.dim() > 1 else scale for scale in scales]).sum(0)


def input_gradient(critic: Critic, x: Tensor) -> Tensor:
    """d critic(x_i) / d x_i for each sample, flattened: [N, D]."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(_score(critic, x).sum(), x, create_graph=True)
    return gradient.flatten(1)


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, target: PositiveFloat = 1.0) -> Tensor:
    """E ((||grad critic(x)|| - target) / target)^2 on lines between real and fake (Gulrajani et al. 2017, eq. 3).

    real, fake: [N, ...], same shape, any range; mixed with one uniform weight for each sample. With a target other than 1
    this is the term of Karras et al. 2018, app. A.1.
    """
    share = chance.uniform_rows([len(real)] + [1] * (real.dim() - 1), real.device).to(real)
    norm = input_gradient(critic, torch.lerp(real, fake, share)).norm(dim=1)
    return ((norm - target) / target).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """1/2 E ||grad critic(real)||^2 (Mescheder et al. 2018, eq. 9): weight it by the paper's gamma.

    Their code's reg_param has no 1/2, so its 10 is gamma = 20 here.
    """
    return input_gradient(critic, real).square().sum(1).mean() / 2


def r2(critic: Critic, fake: Tensor) -> Tensor:
    """1/2 E ||grad critic(fake)||^2 (Mescheder et al. 2018, eq. 10)."""
    return r1(critic, fake)


def dragan(
    critic: Critic, real: Tensor, scale: PositiveFloat = 0.5, target: NonNegativeFloat = 1.0
) -> Tensor:
    """E (||grad critic(x)|| - target)^2 around the data, x = real + a * scale * std(real) * u, a and u ~ U(0, 1).

    Kodali et al. 2017, sec. 2.3 and their code; the step a is drawn for each sample, u for each value; std is that of all
    values of the global batch.
    """
    noise = scale * _std_over_ranks(real) * chance.uniform_rows(real.shape, real.device)
    step = chance.uniform_rows([len(real)] + [1] * (real.dim() - 1), real.device)
    norm = input_gradient(critic, real + step * noise).norm(dim=1)
    return (norm - target).square().mean()


def _std_over_ranks(x: Tensor) -> Tensor:
    """Sample deviation of all values of all ranks' x, which have one size: torch's std where there is one rank."""
    gap = x.detach().float() - mean_over_ranks(x.detach().float().mean())
    degrees = gap.numel() - 1 / world_size()  # (n * world - 1) / world
    return (mean_over_ranks(gap.square().sum()) / degrees).sqrt().to(x)


def drift(real_logits: Logits) -> Tensor:
    """E D(real)^2, which keeps a Wasserstein critic's scores near 0 (Karras et al. 2018, app. A.1)."""
    scales = real_logits if isinstance(real_logits, tuple) else (real_logits,)
    return torch.stack([scale.square().mean() for scale in scales]).sum()


def add_spectral_norm(discriminator: nn.Module, skip_last: bool = False, iterations: PositiveInt = 1) -> None:
    """Divides each weight by its largest singular value (Miyato et al. 2018). skip_last: not the output layer."""
    layers = [
        m
        for m in discriminator.modules()
        if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding))
    ]
    for layer in layers[: len(layers) - skip_last]:
        if not torch.nn.utils.parametrize.is_parametrized(layer, "weight"):
            torch.nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=iterations)


class WeightClipping:
    """All of D's parameters stay in [-limit, limit]; the critic plays longer at first and now and then (Arjovsky et al. 2017).

    n_critic is `long` for the first `warm_up` generator steps and at every `every`-th, as in the authors' code.
    """

    def __init__(
        self,
        limit: PositiveFloat = 0.01,
        long: NonNegativeInt = 100,
        warm_up: NonNegativeInt = 25,
        every: PositiveInt = 500,
    ) -> None:
        self.limit, self.long, self.warm_up, self.every = limit, long, warm_up, every

    def clip(self, discriminator: nn.Module) -> None:
        with torch.no_grad():
            parameters: list[Tensor] = list(discriminator.parameters())
            torch._foreach_clamp_min_(parameters, -self.limit)
            torch._foreach_clamp_max_(parameters, self.limit)

    def n_critic(self, generator_steps: int, usual: int) -> int:
        if self.long and (generator_steps < self.warm_up or generator_steps % self.every == 0):
            return max(self.long, usual)
        return usual


_ON_REAL_AND_FAKE = {"gradient_penalty": gradient_penalty}
_ON_REAL = {"r1": r1, "dragan": dragan}
_ON_FAKE = {"r2": r2}
_OTHER: dict[str, Callable[..., Any]] = {
    "drift": drift,
    "spectral_norm": add_spectral_norm,
    "weight_clipping": WeightClipping,
}
PARTS: dict[str, Callable[..., Any]] = {**_ON_REAL_AND_FAKE, **_ON_REAL, **_ON_FAKE, **_OTHER}
_FILLED_IN = {"critic", "real", "fake", "real_logits", "discriminator"}


class Regularizer:
    """A set of parts; empty is none.

    per_sample: some part takes the gradient of each sample's score, so D must not mix samples by batch norm.
    """

    def __init__(self, parts: dict[str, dict[str, Any]]) -> None:
        self.parts = parts
        self.per_sample = any(name in parts for name in (*_ON_REAL_AND_FAKE, *_ON_REAL, *_ON_FAKE))
        self.bounds_critic = bool(parts.keys() - {"drift"})
        self._clipping = WeightClipping(**parts["weight_clipping"]) if "weight_clipping" in parts else None

    @property
    def term_names(self) -> set[str]:
        return set(self.parts) - {"spectral_norm", "weight_clipping"}

    def terms(self, critic: Critic, real: Tensor, fake: Tensor, real_logits: Logits) -> Terms:
        """Unweighted penalties; real and fake [N, ...], without graph."""
        terms: Terms = {}
        for name, arguments in self.parts.items():
            if name in _ON_REAL_AND_FAKE:
                terms[name] = _ON_REAL_AND_FAKE[name](critic, real, fake, **arguments)
            elif name in _ON_REAL:
                terms[name] = _ON_REAL[name](critic, real, **arguments)
            elif name in _ON_FAKE:
                terms[name] = _ON_FAKE[name](critic, fake, **arguments)
            elif name == "drift":
                terms[name] = drift(real_logits)
        return terms

    def prepare(self, discriminator: nn.Module) -> None:
        """Changes D's layers, once, before it is trained or loaded."""
        if "spectral_norm" in self.parts:
            add_spectral_norm(discriminator, **self.parts["spectral_norm"])

    def after_step(self, discriminator: nn.Module) -> None:
        """Puts D's weights back in bounds after its optimiser stepped."""
        if self._clipping:
            self._clipping.clip(discriminator)

    def n_critic(self, generator_steps: int, usual: int) -> int:
        """How many D steps the next G step waits for."""
        return self._clipping.n_critic(generator_steps, usual) if self._clipping else usual


def create(parts: dict[str, dict[str, Any] | None] | None = None) -> Regularizer:
    """A regulariser of named parts from PARTS with their arguments."""
    given = {name: arguments or {} for name, arguments in (parts or {}).items()}
    for name, arguments in given.items():
        if name not in PARTS:
            raise ConfigError(f"regularizer.parts may hold {', '.join(PARTS)}; got {name!r}")
        allowed = inspect.signature(PARTS[name]).parameters.keys() - _FILLED_IN
        for key in arguments.keys() - allowed:
            raise ConfigError(
                f"regularizer.parts.{name} takes {', '.join(sorted(allowed)) or 'no arguments'}; got {key!r}"
            )
        _refuse_values(name, arguments)
    return Regularizer(given)


def _refuse_values(name: str, arguments: dict[str, Any]) -> None:
    """ConfigError for a value that its annotation does not allow: a target of 0, which would be divided by."""
    part = PARTS[name]
    hints = get_type_hints(part.__init__ if inspect.isclass(part) else part, include_extras=True)
    for key, value in arguments.items():
        try:
            TypeAdapter(hints[key]).validate_python(value, strict=True)
        except ValidationError as wrong:
            raise ConfigError(
                f"regularizer.parts.{name}.{key}: {value!r} came; {wrong.errors()[0]['msg']}"
            ) from None
