"""The play against steps written by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo import chance
from gan_zoo.gan import GAN, Batch, Judgement, NonFinite
from gan_zoo.schema import ConfigError

from .games import ADAM, JOINT, SEPARATE, Cloud, CloudData, Points, play, points

SGD = {"name": "sgd", "lr": 0.1}
BOTH_SGD = {"generator": SGD, "discriminator": SGD}


def step_inputs(gan: GAN, step: int = 0, batch: int = 16) -> tuple[Tensor, Tensor]:
    """Real points and latents of a step, drawn as the play draws them."""
    data = CloudData(batch)
    order = data.train_dataloader().batch_sampler.order
    keys = [(i, e, 1) for i, e in order.keys(step * batch, batch)]
    chance.begin_step(gan.seed, step)
    return Cloud(100).__getitems__(keys)["real"], gan.latent.draw(batch, torch.device("cpu"))


def logits(d: nn.Module, x: Tensor) -> Tensor:
    return d(x).squeeze(1)


def by_hand(g: nn.Module, d: nn.Module, real: Tensor, z: Tensor, order: str) -> None:
    """One SGD step of each player, lr 0.1, non-saturating, as a tutorial writes it."""

    def d_loss() -> Tensor:
        return F.softplus(-logits(d, real)).mean() + F.softplus(logits(d, g(z).detach())).mean()

    def g_loss() -> Tensor:
        return F.softplus(-logits(d, g(z))).mean()

    def step(net: nn.Module, gradients: Any) -> None:
        with torch.no_grad():
            for p, gradient in zip(net.parameters(), gradients, strict=True):
                p -= 0.1 * gradient

    if order == "simultaneous":
        for_d = torch.autograd.grad(d_loss(), list(d.parameters()))
        for_g = torch.autograd.grad(g_loss(), list(g.parameters()))
        step(d, for_d), step(g, for_g)
    else:
        turns = [(d, d_loss), (g, g_loss)] if order == "alternating" else [(g, g_loss), (d, None)]
        fake = g(z).detach()
        for net, loss in turns:
            value = (
                loss() if loss else F.softplus(-logits(d, real)).mean() + F.softplus(logits(d, fake)).mean()
            )
            step(net, torch.autograd.grad(value, list(net.parameters())))


@pytest.mark.parametrize("order", ["alternating", "generator_first", "simultaneous"])
@pytest.mark.parametrize("scored", ["joint", "concatenated"])
def test_steps_equal_those_written_by_hand(order: str, scored: str) -> None:
    gan = points(optimizer=BOTH_SGD, update=order, discriminator_update=scored)
    g, d = copy.deepcopy(gan.generator), copy.deepcopy(gan.discriminator)
    play(gan, 3)
    for step in range(3):
        by_hand(g, d, *step_inputs(gan, step), order)
    for mine, theirs in zip(
        [*gan.generator.parameters(), *gan.discriminator.parameters()],
        [*g.parameters(), *d.parameters()],
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_the_orders_differ_where_they_should() -> None:
    alternating, first, simultaneous = (
        play_and_read(update=order) for order in ("alternating", "generator_first", "simultaneous")
    )
    own_fakes = play_and_read(update="generator_first", fresh_fake=True)
    assert not torch.equal(alternating, simultaneous) and not torch.equal(first, own_fakes)
    torch.testing.assert_close(
        first, simultaneous
    )  # on one shared fake both players see each other's old weights


def test_with_fresh_fakes_g_first_shows_d_the_new_g() -> None:
    gan = points(optimizer=BOTH_SGD, update="generator_first", fresh_fake=True)
    d = copy.deepcopy(gan.discriminator)
    real, z = step_inputs(gan)
    play(gan, 1)
    value = F.softplus(-logits(d, real)).mean() + F.softplus(logits(d, gan.generator(z).detach())).mean()
    gradients = torch.autograd.grad(value, list(d.parameters()))
    torch.testing.assert_close(
        gan.discriminator[0].weight, d[0].weight - 0.1 * gradients[0], atol=1e-6, rtol=1e-5
    )


def play_and_read(steps: int = 3, **settings: Any) -> Tensor:
    gan = points(**settings)
    play(gan, steps)
    return gan.generator[0].weight.detach().clone()


def test_separate_update_steps_on_real_and_then_on_fake() -> None:
    gan = points(optimizer=BOTH_SGD, discriminator_update="separate", n_critic=100)
    d = copy.deepcopy(gan.discriminator)
    real, z = step_inputs(gan)
    fake = gan.generator(z).detach()
    play(gan, 1)
    for loss in (lambda: F.softplus(-logits(d, real)).mean(), lambda: F.softplus(logits(d, fake)).mean()):
        gradients = torch.autograd.grad(loss(), list(d.parameters()))
        with torch.no_grad():
            for p, gradient in zip(d.parameters(), gradients, strict=True):
                p -= 0.1 * gradient
    torch.testing.assert_close(gan.discriminator[0].weight, d[0].weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("order", "n", "expected"),
    [
        ("alternating", 1, 12),
        ("alternating", 5, 2),
        ("generator_first", 5, 3),
        ("generator_first", 1, 12),
        ("simultaneous", 4, 3),
    ],
)
def test_g_plays_after_every_nth_batch(order: str, n: int, expected: int) -> None:
    gan = points(update=order, n_critic=n)
    fitted = play(gan, 12)
    assert (gan.generator_steps, gan.iteration, gan.samples_seen) == (expected, 12, 192)
    assert fitted.global_step == expected  # Lightning's own counter sees G's steps alone


def test_only_the_player_whose_turn_it_is_moves() -> None:
    gan = points(n_critic=100)
    before = copy.deepcopy(gan.state_dict())
    play(gan, 2)
    assert all(
        torch.equal(gan.state_dict()[name], before[name]) for name in before if name.startswith("generator.")
    )
    assert not torch.equal(gan.state_dict()["discriminator.0.weight"], before["discriminator.0.weight"])


def test_accumulation_equals_the_whole_batch() -> None:
    whole, parts = points(optimizer=BOTH_SGD), points(optimizer=BOTH_SGD, accumulate=4)
    play(whole, 3), play(parts, 3)
    for mine, theirs in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_clipping_bounds_the_step() -> None:
    gan = points(optimizer=BOTH_SGD, clip={"discriminator": 1e-3}, n_critic=100)
    before = torch.cat([p.detach().flatten().clone() for p in gan.discriminator.parameters()])
    play(gan, 1)
    moved = torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()]) - before
    assert moved.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_terms_and_weights_must_have_the_same_names() -> None:
    gan = points(weights={"generator": {"l1": 100.0}})
    with pytest.raises(
        ConfigError, match=r"terms adversarial and weights adversarial, l1.*without a term: l1"
    ):
        play(gan, 1)


def test_the_models_weights_win_over_the_losss() -> None:
    gan = points(weights={"discriminator": {"fake": 0.5}})
    assert gan.weights == {"discriminator": {"real": 1.0, "fake": 0.5}, "generator": {"adversarial": 1.0}}


def test_a_variant_that_overrides_the_play_fails_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match=r"overrides training_step.*discriminator_terms and generator_terms"):
        type("Stubborn", (GAN,), {"training_step": lambda self, batch, batch_idx: None})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": {"name": "wasserstein", "weights": SEPARATE}}, "nothing bounds"),
        (
            {"loss": {"name": "rpgan", "weights": JOINT}, "discriminator_update": "separate"},
            "scores real and fake together",
        ),
        ({"generator_batch_factor": 2}, "needs model.fresh_fake=true"),
    ],
)
def test_combinations_that_cannot_be_right_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        points(**settings)


class Normed(Points):
    def __init__(self, last: nn.Module, **play: Any) -> None:
        super().__init__(**play)
        self.discriminator = nn.Sequential(nn.Linear(2, 4), last)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (nn.BatchNorm1d(4), "cannot be right on a discriminator with batch norm"),
        (nn.Sigmoid(), "ends in a sigmoid"),
    ],
)
def test_networks_that_cannot_be_right_are_refused(last: nn.Module, words: str) -> None:
    penalty = {"parts": {"gradient_penalty": {}}, "weights": {"discriminator": {"gradient_penalty": 10.0}}}
    with pytest.raises(ConfigError, match=words):
        Normed(
            last,
            loss={"name": "hinge", "weights": SEPARATE},
            regularizer=penalty,
            latent={"size": 8},
            optimizer={"generator": ADAM, "discriminator": ADAM},
        )


def test_average_follows_the_generator_at_its_half_life() -> None:
    gan = points(ema_half_life=16.0)  # one batch: the average moves half the way at each step
    start = gan.ema_generator[0].weight.clone()
    play(gan, 1)
    torch.testing.assert_close(gan.ema_generator[0].weight, (start + gan.generator[0].weight.detach()) / 2)
    assert not any(p.requires_grad for p in gan.ema_generator.parameters())


def test_samples_come_from_the_average_and_leave_no_trace() -> None:
    gan = points(ema_decay=0.999, dropout=0.5)
    play(gan, 5)
    state, rng = copy.deepcopy(gan.state_dict()), torch.get_rng_state()
    first = gan.sample(10, seed=3)
    assert torch.equal(torch.get_rng_state(), rng) and gan.generator.training
    torch.testing.assert_close(first, gan.ema_generator(gan.latent.fixed(10, 3)))
    assert all(
        torch.equal(gan.state_dict()[name], value)
        for name, value in state.items()
        if isinstance(value, Tensor)
    )
    torch.testing.assert_close(gan.sample(4, seed=3), first[:4])


class Moved(Points):
    """Makes a point from a given one, which the wire carries as centimetres."""

    conditioned_on = ("condition",)

    def prepare_batch(self, batch: Batch) -> Batch:
        return super().prepare_batch(batch) | {"condition": batch["condition"].float() / 100}

    def generate(self, batch: Batch) -> Tensor:
        return batch["condition"] + 0 * self.generator(batch["latent"])


def moved() -> Moved:
    setting = {
        "loss": {"name": "non_saturating", "weights": SEPARATE},
        "latent": {"size": 8},
        "optimizer": BOTH_SGD,
    }
    return Moved(**setting)


def test_samples_are_made_from_given_inputs_prepared_as_in_training() -> None:
    gan = moved()
    given = torch.tensor([[100, 200], [300, 400], [500, 600]], dtype=torch.int16)
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for chunk in (1, 2, 256):
        torch.testing.assert_close(gan.sample(3, inputs={"condition": given}, chunk=chunk), expected)
    torch.testing.assert_close(gan.sample(2, condition=given), expected[:2])


def test_inputs_that_lack_or_are_too_few_are_refused() -> None:
    with pytest.raises(ConfigError, match="makes its samples from condition, and condition did not come"):
        moved().sample(2)
    with pytest.raises(ConfigError, match="condition has 3 entries for 4 samples"):
        moved().sample(4, inputs={"condition": torch.zeros(3, 2)})


def test_sampling_with_batch_statistics_leaves_the_running_ones_alone() -> None:
    gan = points(batch_statistics=True)
    gan.generator = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = copy.deepcopy(gan.state_dict())
    together, alone = (
        gan.sample(2),
        gan.sample(2, latent=torch.cat([gan.latent.fixed(1, 0), torch.zeros(1, 8)])),
    )
    assert not torch.allclose(together[0], alone[0])  # a sample depends on its batch mates
    assert all(
        torch.equal(gan.state_dict()[name], value)
        for name, value in before.items()
        if isinstance(value, Tensor)
    )


def test_noise_on_what_d_sees_fades_with_samples_seen() -> None:
    fading = {"name": "linear", "value": 1.0, "to": 0.0, "length": 32}
    gan = points(instance_noise=fading)
    real = torch.zeros(4000, 2)
    gan.discriminate = lambda sample, batch: Judgement(sample[:, 0])  # type: ignore[method-assign]
    spreads = []
    for seen in (0, 16, 32):
        gan.samples_seen = seen
        spreads.append(gan.score(real, {}).logits.std().item())
    assert spreads == pytest.approx([1.0, 0.5, 0.0], abs=0.05)


def test_feature_matching_is_the_distance_of_mean_features() -> None:
    gan = points(weights={"generator": {"feature_matching": 1.0}})
    real, fake = torch.randn(64, 2), torch.randn(64, 2)
    terms = gan.generator_terms({"real": real}, fake)
    features = gan.discriminator[:3]
    expected = (features(real).mean(0) - features(fake).mean(0)).square().sum()
    torch.testing.assert_close(terms["feature_matching"], expected)


PENALISED = {
    "loss": {"name": "wasserstein", "weights": SEPARATE},
    "n_critic": 2,
    "regularizer": {
        "parts": {"gradient_penalty": {}, "drift": {}},
        "weights": {"discriminator": {"gradient_penalty": 10.0, "drift": 1e-3}},
    },
}
RELATIVISTIC = {"loss": {"name": "ragan", "weights": JOINT}}


@pytest.mark.parametrize(
    "settings",
    [{}, PENALISED, RELATIVISTIC, {"update": "simultaneous"}, {"discriminator_update": "separate"}],
    ids=["plain", "penalised", "relativistic", "simultaneous", "separate"],
)
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_stays_near_full_precision(settings: dict[str, Any], precision: str) -> None:
    full, mixed = points(width=64, **settings), points(width=64, **settings)
    play(full, 8)
    if precision == "16-mixed":  # on the CPU Lightning would silently take bf16
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        play(mixed, 8, plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)])
    else:
        play(mixed, 8, precision=precision)
    moved = full.generator[0].weight - points(width=64, **settings).generator[0].weight
    error = (full.generator[0].weight - mixed.generator[0].weight).norm() / moved.norm()
    assert 0 < error.item() < 0.2


R1_R2 = {"parts": {"r1": {}, "r2": {}}, "weights": {"discriminator": {"r1": 0.1, "r2": 0.1}}}


class Whole(Points):
    """D called as one module, so that it can be compiled as one."""

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(self.discriminator(sample).squeeze(1))


@pytest.mark.parametrize("regularizer", [None, R1_R2])
def test_compiled_players_play_the_same_game(regularizer: dict[str, Any] | None) -> None:
    """aot_eager traces forward and backward as inductor does; its graphs refuse the penalties' second derivative."""
    settings: dict[str, Any] = {
        "loss": {"name": "non_saturating", "weights": SEPARATE},
        "latent": {"size": 8},
    }
    settings |= {"optimizer": {"generator": ADAM, "discriminator": ADAM}, "regularizer": regularizer}
    games = []
    for compiled in (False, True):
        torch.manual_seed(0)
        gan = Whole(**copy.deepcopy(settings))
        if compiled:
            gan.generator.compile(backend="aot_eager")
            gan.discriminator.compile(backend="aot_eager")
        play(gan, 4)
        games.append(torch.cat([p.detach().flatten() for p in gan.parameters()]))
    torch.testing.assert_close(*games, rtol=1e-4, atol=1e-5)


class Poison(Callback):
    """Makes one real sample infinite at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.step:
            batch["real"][0] = torch.inf


def test_a_loss_that_is_not_finite_stops_before_the_update() -> None:
    gan, twin = points(), points()
    play(twin, 2)
    with pytest.raises(NonFinite, match=r"discriminator.*after 32 samples.*all parameters are as they were"):
        play(gan, 5, Poison(2))
    for mine, theirs in zip(gan.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_healthy_run_raises_no_alarm() -> None:
    play(points(), 200)


def test_figures_name_every_term_of_each_player() -> None:
    gan = points(**PENALISED)
    play(gan, 2)
    expected = {
        "discriminator/real",
        "discriminator/fake",
        "discriminator/gradient_penalty",
        "discriminator/drift",
        "discriminator/total",
        "discriminator/gradient_norm",
        "discriminator/learning_rate",
        "discriminator/loss_variance",
        "discriminator/accuracy_real",
        "discriminator/accuracy_fake",
        "discriminator/logit_real",
        "discriminator/logit_fake",
        "generator/adversarial",
        "generator/total",
        "generator/gradient_norm",
        "generator/learning_rate",
    }
    figures = gan.figures()
    assert figures.keys() == expected
    weighted = (
        figures["discriminator/real"]
        + figures["discriminator/fake"]
        + 10 * figures["discriminator/gradient_penalty"]
    )
    assert figures["discriminator/total"] == pytest.approx(
        weighted + 1e-3 * figures["discriminator/drift"], rel=1e-4
    )


def test_accuracy_is_counted_from_the_losss_border_over_all_scales() -> None:
    gan = points(loss={"name": "least_squares", "weights": SEPARATE})
    real, fake = torch.tensor([0.9, 0.2]), torch.tensor([0.1, 0.3])  # targets 1 and 0
    gan._observe_judgements(Judgement((real, real)), Judgement((fake, fake + 1)))
    found = {name: float(value) for name, value in gan.observations.items()}
    assert found["discriminator/accuracy_real"] == 0.5 and found["discriminator/accuracy_fake"] == 0.5
    assert found["discriminator/logit_fake"] == pytest.approx(0.7)


def test_learning_rates_follow_samples_seen() -> None:
    decaying = {"name": "adam", "lr": {"name": "linear", "value": 1e-3, "to": 0.0, "length": 160}}
    gan = points(optimizer={"generator": decaying, "discriminator": ADAM})
    play(gan, 6)
    assert gan.figures()["generator/learning_rate"] == pytest.approx(
        1e-3 * (1 - 80 / 160)
    )  # the sixth step began at 80 samples


def test_a_stale_optimiser_state_is_cleared() -> None:
    class Growing(Points):
        def advance(self, samples_seen: int) -> bool:
            return samples_seen == 48

    torch.manual_seed(0)
    gan = Growing(
        loss={"name": "hinge", "weights": SEPARATE},
        latent={"size": 8},
        optimizer={"generator": ADAM, "discriminator": ADAM},
    )
    play(gan, 5)
    steps = {int(state["step"]) for state in gan._optimizer("discriminator").state.values()}
    assert steps == {2}  # counted anew from the fourth step on
