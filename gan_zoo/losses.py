"""Adversarial losses: named, unweighted terms of each player from logits r = D(real) and f = D(fake).

The factors a paper prints (LSGAN's and the relativistic 1/2) are weights in conf/loss and not code. Logits may have any
shape (a PatchGAN's are [N, 1, H, W]); a discriminator of several scales returns a tuple, whose losses add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from gan_zoo import chance
from gan_zoo.nn.parallel import mean_over_ranks
from gan_zoo.schema import ConfigError

Logits = Tensor | tuple[Tensor, ...]
Terms = dict[str, Tensor]
Range = float | tuple[float, float]


@dataclass(frozen=True)
class Labels:
    """What D is told: a number or a range to draw from for each sample, and how often the two are exchanged.

    One-sided smoothing is real=0.9 (Salimans et al. 2016, sec. 3.4); noisy labels are real=(0.7, 1.2), fake=(0, 0.3).
    """

    real: Range = 1.0
    fake: Range = 0.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0

    def __post_init__(self) -> None:
        for name, law in (("real", self.real), ("fake", self.fake)):
            if isinstance(law, tuple) and (len(law) != 2 or law[0] > law[1]):
                raise ConfigError(
                    f"loss.labels.{name} must be a number, or a range as [lowest, highest]; got {list(law)}"
                )
        if not 0 <= self.flip <= 1:
            raise ConfigError(f"loss.labels.flip is a share from 0 to 1 of labels exchanged, got {self.flip}")

    def draw(self, logits: Tensor, genuine: bool) -> Tensor:
        """Targets like logits [N, ...]: one draw for each sample."""
        shape = [logits.shape[0]] + [1] * (logits.dim() - 1)
        told, other = (self.real, self.fake) if genuine else (self.fake, self.real)
        target = self._from(told, shape, logits)
        if self.flip:
            flipped = chance.uniform_rows(shape, logits.device) < self.flip
            target = torch.where(flipped, self._from(other, shape, logits), target)
        return target.expand_as(logits)

    def _from(self, law: Range, shape: list[int], like: Tensor) -> Tensor:
        if isinstance(law, tuple):
            low, high = law
            return low + (high - low) * chance.uniform_rows(shape, like.device)
        return torch.full(shape, law, device=like.device, dtype=like.dtype)


def _middle(law: Range) -> float:
    return sum(law) / 2 if isinstance(law, tuple) else law


def _scales(logits: Logits) -> tuple[Tensor, ...]:
    return logits if isinstance(logits, tuple) else (logits,)


def _sum(parts: list[Terms]) -> Terms:
    return (
        {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}
        if len(parts) > 1
        else parts[0]
    )


class Loss:
    """An adversarial game: what D minimises and what G minimises, from logits."""

    needs_real: ClassVar[bool] = False  # G's terms depend on D(real)
    takes_labels: ClassVar[bool] = False
    needs_lipschitz: ClassVar[bool] = False  # meaningless on a critic that nothing bounds

    def __init__(self, labels: Labels | None = None) -> None:
        if labels is not None and not self.takes_labels:
            raise ConfigError(
                f"loss.labels came, but {type(self).__name__} has no labels to change; "
                f"set loss.labels to null or choose non_saturating, minimax or least_squares"
            )
        self.labels = labels or Labels()

    def discriminator(self, real: Logits, fake: Logits) -> Terms:
        """D's terms: `real` and `fake`, or one `adversarial` where both are needed at once."""
        return _sum(
            [self.discriminator_scale(r, f) for r, f in zip(_scales(real), _scales(fake), strict=True)]
        )

    def generator(self, fake: Logits, real: Logits | None = None) -> Terms:
        """G's term `adversarial`."""
        reals = _scales(real) if real is not None else (None,) * len(_scales(fake))
        return _sum(
            [{"adversarial": self.generator_scale(f, r)} for f, r in zip(_scales(fake), reals, strict=True)]
        )

    def fake(self, logits: Logits) -> Tensor:
        """What D minimises on further samples it must reject (mismatched pairs, say)."""
        return sum((self.discriminator_scale(f, f)["fake"] for f in _scales(logits)), torch.zeros(()))

    def margins(self, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        """How far each real and each fake lies on its own side of this loss's border; above 0 D is right."""
        return r, -f

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        raise NotImplementedError

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        raise NotImplementedError


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    # softplus(x) - y x equals BCE with logits for y in [0, 1] and stays defined for noisy labels outside
    return (F.softplus(logits) - target * logits).mean()


class NonSaturating(Loss):
    """D: BCE(r, 1) + BCE(f, 0); G: BCE(f, 1) (Goodfellow et al. 2014, sec. 3)."""

    takes_labels = True

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        return {
            "real": _cross_entropy(r, self.labels.draw(r, True)),
            "fake": _cross_entropy(f, self.labels.draw(f, False)),
        }

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        return F.softplus(-f).mean()


class Minimax(NonSaturating):
    """D as non-saturating; G: -BCE(f, 0), whose gradient vanishes where D is sure (Goodfellow et al. 2014, eq. 1)."""

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        return -F.softplus(f).mean()


class LeastSquares(Loss):
    """D: (r - b)^2, (f - a)^2; G: (f - c)^2 (Mao et al. 2017, eq. 2), each with weight 1/2 in conf/loss.

    (a, b, c) = (0, 1, 1), or (-1, 1, 0) for the Pearson chi^2 divergence.
    """

    takes_labels = True

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0, labels: Labels | None = None) -> None:
        super().__init__(labels or Labels(real=b, fake=a))
        self.c = c

    def margins(self, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        """The border is half way between the targets, of which the real one may be the smaller."""
        real, fake = _middle(self.labels.real), _middle(self.labels.fake)
        border, side = (real + fake) / 2, 1 if real >= fake else -1
        return side * (r - border), side * (border - f)

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        return {
            "real": F.mse_loss(r, self.labels.draw(r, True)),
            "fake": F.mse_loss(f, self.labels.draw(f, False)),
        }

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        return (f - self.c).square().mean()


class Wasserstein(Loss):
    """D: mean f - mean r; G: -mean f (Arjovsky et al. 2017, eq. 2 and 3)."""

    needs_lipschitz = True

    def margins(self, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return _gaps(r, f)

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        return {"real": -r.mean(), "fake": f.mean()}

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        return -f.mean()


def _gaps(r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """Of each kind to the other's mean over the global batch, where a constant on all scores says nothing."""
    return r - mean_over_ranks(f.mean()), mean_over_ranks(r.mean()) - f


class Hinge(Loss):
    """D: relu(1 - r) + relu(1 + f); G: -mean f (Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17)."""

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        return {"real": F.relu(1 - r).mean(), "fake": F.relu(1 + f).mean()}

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        return -f.mean()


def _least_squares_to_one(x: Tensor) -> Tensor:
    return (x - 1).square()


def _hinge_to_one(x: Tensor) -> Tensor:
    return F.relu(1 - x)


def _logistic(x: Tensor) -> Tensor:
    return F.softplus(-x)


class Relativistic(Loss):
    """How much more real a real is than a fake (Jolicoeur-Martineau 2018); `score` is small where its argument is large.

    Pairing compares the i-th real with the i-th fake: D score(r - f), G score(f - r). Average compares each with the mean
    of the other kind over the whole global batch, both ways: D score(r - f~) + score(r~ - f), G the reverse. Means are not
    detached: the real term, too, trains G through f~.
    """

    needs_real = True

    def __init__(
        self, score: Callable[[Tensor], Tensor], average: bool, labels: Labels | None = None
    ) -> None:
        super().__init__(labels)
        self.score, self.average = score, average

    def margins(self, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        return _gaps(r, f) if self.average else (r - f, r - f)

    def discriminator_scale(self, r: Tensor, f: Tensor) -> Terms:
        return {"adversarial": self._preference(r, f)}

    def generator_scale(self, f: Tensor, r: Tensor | None) -> Tensor:
        assert r is not None  # the play passes it because of needs_real
        return self._preference(f, r)

    def fake(self, logits: Logits) -> Tensor:
        raise ConfigError(
            "this model scores further samples as fake by themselves, which a relativistic loss cannot: "
            "choose non_saturating, least_squares, hinge or wasserstein"
        )

    def _preference(self, better: Tensor, worse: Tensor) -> Tensor:
        if not self.average:
            return self.score(better - worse).mean()
        mean_better, mean_worse = mean_over_ranks(better.mean()), mean_over_ranks(worse.mean())
        return self.score(better - mean_worse).mean() + self.score(mean_better - worse).mean()


def feature_matching(real: tuple[Tensor, ...], fake: tuple[Tensor, ...]) -> Tensor:
    """|| E f(real) - E f(fake) ||^2 of D's last features over the global batch, no gradient to f(real) (Salimans et al. 2016, sec. 3.1)."""
    if not real:
        raise ConfigError(
            "weights.generator.feature_matching came, but this discriminator returns no features; drop the weight"
        )
    gap = real[-1].detach().float().mean(0) - fake[-1].float().mean(0)
    return mean_over_ranks(gap).square().sum()


def mode_seeking(sample: Tensor, other: Tensor, latent: Tensor, other_latent: Tensor) -> Tensor:
    """1 / (E |G(z) - G(z')| / E |z - z'| + 1e-5) over the global batch: G pays for hearing nothing in z (Mao et al. 2019, eq. 4-5).

    sample, other: [N, ...] made under the same conditions from latent and other_latent [N, *size]. The paper maximises
    the ratio; its code minimises this. Distances are means of absolute differences, as in the code.
    """
    far = mean_over_ranks((sample - other).abs().float().mean())
    apart = mean_over_ranks((latent - other_latent).abs().float().mean())
    return 1 / (far / apart + 1e-5)


_SIMPLE: dict[str, type[Loss]] = {
    "non_saturating": NonSaturating,
    "minimax": Minimax,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
}
_SCORES = {"": _logistic, "_ls": _least_squares_to_one, "_hinge": _hinge_to_one}
NAMES = (*_SIMPLE, *(f"{kind}{score}" for kind in ("rpgan", "ragan") for score in _SCORES))


def create(
    name: str,
    labels: dict[str, Any] | None = None,
    a: float | None = None,
    b: float | None = None,
    c: float | None = None,
) -> Loss:
    """The loss of a name in NAMES. labels: {real, fake, flip}; a, b, c: the targets of least_squares alone."""
    targets = {key: value for key, value in (("a", a), ("b", b), ("c", c)) if value is not None}
    if targets and name != "least_squares":
        raise ConfigError(
            f"loss.{next(iter(targets))} came, which only least_squares has; the loss is {name}"
        )
    if labels and name == "least_squares":  # a side that labels leave alone keeps its target
        labels = {"real": targets.get("b", 1.0), "fake": targets.get("a", 0.0), **labels}
    given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in (labels or {}).items()}
    parsed = Labels(**given) if given else None
    if name not in NAMES:
        raise ConfigError(f"loss.name must be one of {', '.join(NAMES)}; got {name!r}")
    if name in _SIMPLE:
        return _SIMPLE[name](**targets, labels=parsed)
    kind, _, score = name.partition("_")
    return Relativistic(_SCORES[f"_{score}" if score else ""], average=kind == "ragan", labels=parsed)
