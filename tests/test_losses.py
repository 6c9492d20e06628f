"""Losses against the papers' formulas, written a second time in float64 with the weights of conf/loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from torch import Tensor
from torch.nn import functional as F

from gan_zoo import chance, losses
from gan_zoo.losses import Labels, Loss
from gan_zoo.schema import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "loss"
CHOICES = sorted(path.stem for path in CONF.glob("*.yaml"))
LN2, LN4 = math.log(2), math.log(4)


def chosen(choice: str) -> tuple[Loss, dict[str, dict[str, float]]]:
    """The loss of conf/loss/<choice>.yaml and its weights."""
    values = yaml.safe_load((CONF / f"{choice}.yaml").read_text())
    weights = values.pop("weights")
    return losses.create(**values), weights


def totals(choice: str, real: Any, fake: Any) -> tuple[Tensor, Tensor]:
    """What D and G minimise under conf/loss/<choice>.yaml."""
    loss, weights = chosen(choice)
    d_terms, g_terms = loss.discriminator(real, fake), loss.generator(fake, real)
    assert d_terms.keys() == weights["discriminator"].keys() and g_terms.keys() == weights["generator"].keys()
    total = [
        sum(weights[player][name] * value for name, value in terms.items())
        for player, terms in (("discriminator", d_terms), ("generator", g_terms))
    ]
    return total[0], total[1]


# ---- the papers' formulas ----------------------------------------------------------------------------------

Array = np.ndarray[Any, Any]


def bce(logits: Array, target: float) -> float:
    """-mean(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), Goodfellow et al. 2014."""
    return float(np.mean(target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)))


def square(x: Array) -> float:
    return float(np.mean(x**2))


def relu(x: Array) -> float:
    return float(np.mean(np.maximum(x, 0)))


# (r, f) -> what D minimises, what G minimises, as the papers print them
PAPERS: dict[str, tuple[Callable[[Array, Array], float], Callable[[Array, Array], float]]] = {
    "minimax": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: -bce(f, 0)),
    "non_saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1)),
    "non_saturating_half": (lambda r, f: (bce(r, 1) + bce(f, 0)) / 2, lambda r, f: bce(f, 1)),
    "least_squares": (lambda r, f: (square(r - 1) + square(f)) / 2, lambda r, f: square(f - 1) / 2),
    "least_squares_whole": (lambda r, f: square(r - 1) + square(f), lambda r, f: square(f - 1)),
    "least_squares_pearson": (lambda r, f: (square(r - 1) + square(f + 1)) / 2, lambda r, f: square(f) / 2),
    "wasserstein": (lambda r, f: float(f.mean() - r.mean()), lambda r, f: -float(f.mean())),
    "hinge": (lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -float(f.mean())),
    "rpgan": (lambda r, f: bce(r - f, 1), lambda r, f: bce(f - r, 1)),
    "rpgan_ls": (lambda r, f: square(r - f - 1), lambda r, f: square(f - r - 1)),
    "rpgan_hinge": (lambda r, f: relu(1 - (r - f)), lambda r, f: relu(1 - (f - r))),
    "ragan": (
        lambda r, f: (bce(r - f.mean(), 1) + bce(f - r.mean(), 0)) / 2,
        lambda r, f: (bce(r - f.mean(), 0) + bce(f - r.mean(), 1)) / 2,
    ),
    "ragan_ls": (
        lambda r, f: (square(r - f.mean() - 1) + square(f - r.mean() + 1)) / 2,
        lambda r, f: (square(r - f.mean() + 1) + square(f - r.mean() - 1)) / 2,
    ),
    "ragan_hinge": (
        lambda r, f: (relu(1 - (r - f.mean())) + relu(1 + (f - r.mean()))) / 2,
        lambda r, f: (relu(1 + (r - f.mean())) + relu(1 - (f - r.mean()))) / 2,
    ),
}


def test_every_choice_has_a_formula_and_every_name_a_choice() -> None:
    assert set(CHOICES) == PAPERS.keys()
    assert set(losses.NAMES) <= set(CHOICES)


score = st.floats(-1e4, 1e4, width=32)
batches = st.lists(st.tuples(score, score), min_size=1, max_size=8)


@pytest.mark.parametrize("choice", CHOICES)
@settings(max_examples=50, deadline=None)
@given(batch=batches)
def test_losses_are_the_papers_formulas(choice: str, batch: list[tuple[float, float]]) -> None:
    r, f = np.array(batch).T
    expected = [formula(r, f) for formula in PAPERS[choice]]
    exact = totals(choice, torch.tensor(r), torch.tensor(f))
    # torch's softplus is the identity from 20 on: off by ln(1 + e^-20) = 2e-9, in at most two terms
    assert [value.item() for value in exact] == pytest.approx(expected, rel=1e-11, abs=5e-9)
    single = totals(choice, torch.tensor(r).float(), torch.tensor(f).float())
    # about a hundred roundings of the largest number on the way, which is a square for least squares
    largest = (1 + 2 * np.abs([r, f]).max()) ** (
        2 if choice.startswith("least") or choice.endswith("ls") else 1
    )
    assert [value.item() for value in single] == pytest.approx(expected, rel=1e-5, abs=1e-5 * largest)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("size", [0.0, 1e4, -1e4])
def test_gradients_are_finite_at_any_score(choice: str, size: float) -> None:
    r, f = torch.full((4,), size, requires_grad=True), torch.full((4,), -size, requires_grad=True)
    for total in totals(choice, r, f):
        gradients = torch.autograd.grad(total, (r, f), retain_graph=True, allow_unused=True)
        assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)


UNDECIDED = {  # an undecided D scores everything 0
    "minimax": (LN4, -LN2),
    "non_saturating": (LN4, LN2),
    "non_saturating_half": (LN2, LN2),
    "least_squares": (0.5, 0.5),
    "least_squares_whole": (1.0, 1.0),
    "least_squares_pearson": (1.0, 0.0),
    "wasserstein": (0.0, 0.0),
    "hinge": (2.0, 0.0),
    "rpgan": (LN2, LN2),
    "rpgan_ls": (1.0, 1.0),
    "rpgan_hinge": (1.0, 1.0),
    "ragan": (LN2, LN2),
    "ragan_ls": (1.0, 1.0),
    "ragan_hinge": (1.0, 1.0),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_values_of_an_undecided_discriminator(choice: str) -> None:
    d, g = totals(choice, torch.zeros(6), torch.zeros(6))
    assert (d.item(), g.item()) == pytest.approx(UNDECIDED[choice], abs=1e-6)


# ---- what the optimal D sees -------------------------------------------------------------------------------

P, Q = np.array([1, 2, 3, 4]) / 10, np.array([4, 3, 1, 2]) / 10


def on_samples_of(p: Array, value: Array) -> Tensor:
    """The values at each point, as often as p has the point in ten samples."""
    return torch.tensor(value).repeat_interleave(torch.tensor(np.rint(10 * p)).long())


def test_against_the_optimal_discriminator_the_game_is_the_jensen_shannon_divergence() -> None:
    best = np.log(P / Q)  # the logit of p / (p + q)
    d, _ = totals("non_saturating", on_samples_of(P, best), on_samples_of(Q, best))
    assert -d.item() == pytest.approx(-LN4 + 2 * jensenshannon(P, Q) ** 2)  # V = -ln 4 + 2 JS, in nats


def test_against_the_optimal_discriminator_hinge_is_the_total_variation() -> None:
    best = np.sign(P - Q)
    d, _ = totals("hinge", on_samples_of(P, best), on_samples_of(Q, best))
    assert d.item() == pytest.approx(2 - np.abs(P - Q).sum())


def test_least_squares_with_pearsons_targets_is_the_pearson_divergence() -> None:
    best = (P - Q) / (P + Q)  # (b p + a q) / (p + q)
    loss = losses.create("least_squares", a=-1.0, b=1.0, c=0.0)
    value = sum(
        loss.generator(on_samples_of(law, best))["adversarial"].item() for law in (P, Q)
    )  # Mao et al. 2017, eq. 6
    assert value == pytest.approx(float(((2 * Q - (P + Q)) ** 2 / (P + Q)).sum()))


def test_against_the_best_bounded_critic_wasserstein_is_the_distance() -> None:
    positions, moved = np.arange(4.0), 2.5
    d, g = totals(
        "wasserstein", torch.tensor(positions + moved), torch.tensor(positions)
    )  # the critic is the identity
    assert (-d.item(), g.item()) == pytest.approx((moved, -1.5))


# ---- gradients ---------------------------------------------------------------------------------------------


def slope(choice: str, score: float) -> float:
    f = torch.tensor([score], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(totals(choice, torch.zeros(1, dtype=torch.float64), f)[1], f)
    return gradient.item()


def test_where_d_is_sure_the_saturating_gradient_vanishes_and_the_other_tends_to_one() -> None:
    for sure in (-5.0, -10.0, -20.0):  # D(G(z)) = sigmoid(sure)
        assert slope("minimax", sure) == pytest.approx(-1 / (1 + math.exp(-sure)))
        assert slope("non_saturating", sure) == pytest.approx(-1 / (1 + math.exp(sure)))
    assert slope("minimax", -20.0) == pytest.approx(0.0, abs=3e-9)
    assert slope("non_saturating", -20.0) == pytest.approx(-1.0, abs=3e-9)


def test_the_mean_of_the_fakes_trains_g_through_the_real_term() -> None:
    # at r = f = 0 both halves of the sum have slope -1/2; with f's mean detached only one would remain
    assert slope("ragan", 0.0) == pytest.approx(-0.5)
    assert slope("ragan_ls", 0.0) == pytest.approx(-2.0)
    assert slope("ragan_hinge", 0.0) == pytest.approx(-1.0)


def test_pairing_compares_sample_by_sample_and_average_with_the_mean() -> None:
    r, f = torch.tensor([1.0, -3.0]), torch.tensor([2.0, 0.0])
    pairing, average = losses.create("rpgan_ls"), losses.create("ragan_ls")
    assert pairing.discriminator(r, f)["adversarial"].item() == pytest.approx((4 + 16) / 2)  # r - f = -1, -3
    assert pairing.generator(f, r)["adversarial"].item() == pytest.approx((0 + 4) / 2)
    # means -1 and 1: r - f~ = 0, -4 and r~ - f = -3, -1
    assert average.discriminator(r, f)["adversarial"].item() == pytest.approx((1 + 25) / 2 + (16 + 4) / 2)
    assert average.generator(f, r)["adversarial"].item() == pytest.approx((4 + 0) / 2 + (1 + 9) / 2)


# ---- shapes and scales -------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", CHOICES)
def test_a_patch_counts_as_a_sample(choice: str) -> None:
    r, f = torch.randn(2, 3, 1, 4, 4).double()
    patches, flat = totals(choice, r, f), totals(choice, r.flatten(), f.flatten())
    torch.testing.assert_close(patches, flat)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_losses_of_several_scales_add_up(choice: str) -> None:
    scales = [(torch.randn(4, 1, size, size), torch.randn(4, 1, size, size)) for size in (4, 2, 1)]
    together = totals(choice, tuple(r for r, _ in scales), tuple(f for _, f in scales))
    apart = [totals(choice, r, f) for r, f in scales]
    torch.testing.assert_close(together, (sum(d for d, _ in apart), sum(g for _, g in apart)))


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if not choice.startswith("r")])
def test_further_fakes_cost_what_fakes_cost(choice: str) -> None:
    loss, _ = chosen(choice)
    scales = torch.randn(5), torch.randn(5, 1, 2, 2)
    expected = loss.discriminator(scales, scales)["fake"]
    torch.testing.assert_close(loss.fake(scales), expected)
    torch.testing.assert_close(loss.fake(scales[0]), loss.discriminator(scales[0], scales[0])["fake"])


# ---- labels ------------------------------------------------------------------------------------------------

N = 20_000


def targets(labels: Labels, genuine: bool, *shape: int) -> Tensor:
    chance.begin_step(0, 0)
    return labels.draw(torch.zeros(N, *shape), genuine)


def test_one_sided_smoothing_moves_the_targets_of_reals_alone() -> None:
    logits = torch.linspace(-3, 3, 7)
    terms = losses.create("non_saturating", labels={"real": 0.9}).discriminator(logits, logits)
    torch.testing.assert_close(
        terms["real"], F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, 0.9))
    )
    torch.testing.assert_close(
        terms["fake"], F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
    )


def test_g_is_never_told_smoothed_labels() -> None:
    logits = torch.linspace(-3, 3, 7)
    smoothed = losses.create("non_saturating", labels={"real": 0.9, "fake": 0.1, "flip": 0.5})
    torch.testing.assert_close(smoothed.generator(logits)["adversarial"], F.softplus(-logits).mean())


def test_noisy_labels_are_uniform_in_their_range() -> None:
    labels = Labels(real=(0.7, 1.2), fake=(0.0, 0.3))
    for genuine, low, high in ((True, 0.7, 1.2), (False, 0.0, 0.3)):
        drawn = targets(labels, genuine)
        assert low <= drawn.min() < low + 0.001 and high - 0.001 < drawn.max() <= high
        spread = (high - low) / math.sqrt(12)
        assert drawn.mean().item() == pytest.approx((low + high) / 2, abs=5 * spread / math.sqrt(N))
        assert drawn.std().item() == pytest.approx(spread, rel=0.02)


def test_labels_are_flipped_as_often_as_asked() -> None:
    wrong = (targets(Labels(flip=0.05), True) == 0).float().mean().item()
    assert wrong == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / N))
    flipped = targets(Labels(real=0.9, fake=(0.0, 0.3), flip=0.2), False)
    assert (flipped == 0.9).float().mean().item() == pytest.approx(0.2, abs=5 * math.sqrt(0.2 * 0.8 / N))
    assert targets(Labels(flip=1.0), True).max() == 0


def test_one_sample_has_one_label() -> None:
    drawn = targets(Labels(real=(0.7, 1.2), flip=0.3), True, 1, 2, 2)
    assert drawn.shape == (N, 1, 2, 2) and len(drawn[:, 0, 0, 0].unique()) > N / 2
    assert torch.equal(drawn, drawn[:, :, :1, :1].expand_as(drawn))


def test_labels_beyond_one_stay_defined() -> None:
    logits = torch.tensor([3.0])
    value = losses.create("non_saturating", labels={"real": 1.2}).discriminator(logits, logits)["real"].item()
    assert value == pytest.approx(
        -1.2 * math.log(1 / (1 + math.exp(-3))) + 0.2 * math.log(1 - 1 / (1 + math.exp(-3))), rel=1e-5
    )


def test_smoothing_one_side_of_least_squares_leaves_the_other_at_its_target() -> None:
    loss = losses.create("least_squares", labels={"real": 0.9}, a=-1.0, b=1.0, c=0.0)
    terms = loss.discriminator(torch.zeros(3), torch.zeros(3))
    assert (terms["real"].item(), terms["fake"].item()) == pytest.approx((0.81, 1.0))


def test_lists_from_yaml_are_ranges() -> None:
    assert losses.create("minimax", labels={"real": [0.7, 1.2]}).labels == Labels(real=(0.7, 1.2))


# ---- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lsgan", "rpgan_wasserstein", "ragan_", "rpgan_ls_", "", "RPGAN"])
def test_unknown_names_are_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"loss.name must be one of non_saturating, .*ragan_hinge; got '{name}'"
    ):
        losses.create(name)


@pytest.mark.parametrize("name", ["wasserstein", "hinge", "rpgan", "ragan_hinge"])
def test_labels_are_refused_where_there_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match=r"loss.labels came, but \w+ has no labels.*choose non_saturating"):
        losses.create(name, labels={"real": 0.9})


@pytest.mark.parametrize("name", ["hinge", "non_saturating", "ragan_ls"])
def test_targets_are_refused_where_there_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"loss.b came, which only least_squares has; the loss is {name}"):
        losses.create(name, b=0.9)


def test_relativistic_losses_refuse_to_score_fakes_by_themselves() -> None:
    with pytest.raises(ConfigError, match="relativistic loss cannot: choose non_saturating"):
        losses.create("ragan").fake(torch.zeros(3))


def test_players_with_different_numbers_of_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        losses.create("hinge").discriminator((torch.zeros(2), torch.zeros(2)), (torch.zeros(2),))


@pytest.mark.parametrize(
    ("labels", "words"),
    [({"flip": 1.01}, "flip is a share from 0 to 1.*1.01"), ({"flip": -0.1}, "flip"), ({"flip": float("nan")}, "flip"),
     ({"real": [0.9]}, r"real must be a number, or a range as \[lowest, highest\]; got \[0.9\]"), ({"fake": [0.0, 0.1, 0.3]}, "fake"),
     ({"fake": []}, "fake"), ({"real": [1.2, 0.7]}, "real")],
)  # fmt: skip
def test_labels_that_cannot_be_drawn_are_refused(labels: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"loss\.labels\.{words}"):
        losses.create("non_saturating", labels=labels)
    for flip in (0.0, 1.0):
        assert losses.create("non_saturating", labels={"flip": flip, "real": [0.7, 1.2]}).labels.flip == flip


# ---- the border ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "real", "fake"),
    [
        ({"name": "non_saturating"}, [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]),  # logit 0
        ({"name": "hinge"}, [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
        ({"name": "least_squares"}, [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]),  # 0.5, between 0 and 1
        ({"name": "least_squares", "a": -1.0, "b": 1.0, "c": 0.0}, [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
        ({"name": "least_squares", "a": 1.0, "b": 0.0, "c": 0.0}, [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]),  # real below
        ({"name": "least_squares", "labels": {"real": [0.7, 1.3]}}, [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]),
        ({"name": "wasserstein"}, [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]),  # mean of fakes .13, of reals .63
        ({"name": "ragan"}, [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]),
        ({"name": "rpgan"}, [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]),  # partner by partner
    ],
)  # fmt: skip
def test_d_is_right_on_the_losss_own_side_of_its_border(
    settings: dict[str, Any], real: list[float], fake: list[float]
) -> None:
    r, f = torch.tensor([0.4, 2.0, -0.5]), torch.tensor([0.45, 0.55, -0.6])
    margins = losses.create(**settings).margins(r, f)
    assert [(margin > 0).float().tolist() for margin in margins] == [real, fake]


def test_least_squares_at_its_targets_is_right_on_all_samples() -> None:
    """Where D's loss is 0 its accuracy is 1, whatever the targets: at logit 0 the fakes of (0, 1, 1) would be none."""
    for a, b in ((0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)):
        loss = losses.create("least_squares", a=a, b=b)
        r, f = torch.full((5,), b), torch.full((5,), a)
        assert sum(loss.discriminator(r, f).values()) == 0.0
        assert all((margin > 0).all() for margin in loss.margins(r, f))
