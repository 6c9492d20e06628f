"""The play against steps written by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo import chance, loading
from gan_zoo.config import compose, validate
from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.losses import mode_seeking
from gan_zoo.schema import ConfigError

from .games import ADAM, BOTH_SGD, JOINT, SEPARATE, Cloud, CloudData, Points, play, points


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


@pytest.mark.parametrize(("scored", "company"), [("joint", False), ("concatenated", True)])
def test_batch_norm_sees_gs_fakes_as_in_ds_turn(scored: str, company: bool) -> None:
    gan = points(discriminator_update=scored)
    gan.discriminator[2] = nn.BatchNorm1d(16)
    real, fake = torch.randn(8, 2) + 3, torch.randn(8, 2)
    terms = gan.generator_terms({"real": real}, fake)
    said = gan.discriminator(torch.cat([real, fake]))[8:] if company else gan.discriminator(fake)
    other = gan.discriminator(fake) if company else gan.discriminator(torch.cat([real, fake]))[8:]
    torch.testing.assert_close(terms["adversarial"], F.softplus(-said).mean())
    assert abs(F.softplus(-other).mean().item() - F.softplus(-said).mean().item()) > 1e-3


def test_the_variance_of_ds_loss_is_right_where_the_loss_is_large() -> None:
    """Against weighted moments in double precision; float32 squares of such losses have lost their variance."""
    gan = points()
    losses = 3000 + 0.05 * torch.randn(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, square = losses[0], losses[0] ** 2
    for gan.iteration, loss in enumerate(losses):
        gan._after_discriminator(loss.float())
        mean, square = torch.lerp(mean, loss, 0.01), torch.lerp(square, loss**2, 0.01)
    expected = float(square - mean**2)
    assert float(gan.discriminator_loss_moments[1]) == pytest.approx(expected, rel=0.02)
    assert 0.001 < expected < 0.004


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


@pytest.mark.parametrize("order", ["alternating", "generator_first", "simultaneous"])
def test_accumulation_equals_the_whole_batch(order: str) -> None:
    """The moments of D's loss too, which the figures and the doctor read."""
    whole, parts = (points(optimizer=BOTH_SGD, update=order, accumulate=n) for n in (1, 4))
    play(whole, 3), play(parts, 3)
    assert whole.state_dict().keys() == parts.state_dict().keys()
    for name, value in whole.state_dict().items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(parts.state_dict()[name], value, atol=1e-6, rtol=1e-5)


def test_a_variant_that_overrides_the_play_fails_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match=r"overrides training_step.*discriminator_terms and generator_terms"):
        type("Stubborn", (GAN,), {"training_step": lambda self, batch, batch_idx: None})


def test_average_follows_the_generator_at_its_half_life() -> None:
    gan = points(ema_half_life=16.0)  # one batch: the average moves half the way at each step
    start = gan.ema_generator[0].weight.clone()
    play(gan, 1)
    torch.testing.assert_close(gan.ema_generator[0].weight, (start + gan.generator[0].weight.detach()) / 2)
    assert not any(p.requires_grad for p in gan.ema_generator.parameters())


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


def test_an_average_that_the_source_lacks_begins_at_the_sources_generator(tmp_path: Path) -> None:
    config = validate(compose(["model=vanilla", "data=ring", "model.ema_half_life=null", "seed=1"]))
    source = loading.build(config)
    loading.export(source, tmp_path / "export", loading.described(config), "")
    for average in ("model.ema_half_life=100", "model.ema_decay=0.9"):
        new = loading.build(
            validate(compose(["model=vanilla", "data=ring", "seed=2", "model.ema_half_life=null", average]))
        )
        _, missing = loading.initialise_from(new, tmp_path / "export")
        assert torch.equal(new.sample(8, seed=3), source.sample(8, seed=3)) and missing == []


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_figures_of_micro_batches_are_those_of_the_step(update: str) -> None:
    """Nets without batch statistics: cut in four or whole, a step has one and the same loss."""
    found = []
    for accumulate in (1, 4):
        gan = points(accumulate=accumulate, update=update)
        play(gan, 1)
        found.append(gan.figures())
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_two_turns_of_d_are_told_as_one_loss() -> None:
    gan = points(discriminator_update="separate")
    play(gan, 1)
    found = gan.figures()
    parts = found["discriminator/real"] + found["discriminator/fake"]
    assert found["discriminator/total"] == pytest.approx(parts, rel=1e-5)
    assert float(gan.discriminator_loss_moments[0]) == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("name", ["rmsprop", "rmsprop_tensorflow"])
def test_both_play_at_once_where_one_optimiser_is_told_on_the_device_and_one_is_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where G's fused Adam leaves a step out by itself and D's optimiser reads the flag before."""
    monkeypatch.setattr(GAN, "_masks", lambda self, optimizer: bool(optimizer.defaults.get("fused")))
    both = {
        "generator": {"name": "adam", "lr": 1e-3, "fused": True},
        "discriminator": {"name": name, "lr": 1e-3},
    }
    gan = points(update="simultaneous", optimizer=both)
    before = copy.deepcopy(gan.generator.state_dict())
    play(gan, 2)
    assert not any(torch.equal(before[key], value) for key, value in gan.generator.state_dict().items())


def test_mode_seeking_is_the_inverse_of_how_far_samples_are_for_the_distance_of_their_latents() -> None:
    a, b = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 4.0]])  # 1 a value
    z, other = torch.zeros(2, 4), torch.full((2, 4), 0.5)
    assert mode_seeking(a, b, z, other).item() == pytest.approx(1 / (1 / 0.5 + 1e-5))
    assert mode_seeking(a, a, z, other).item() == pytest.approx(1e5)  # a G that is deaf to z


def test_mode_seeking_compares_with_the_same_batch_under_other_latents() -> None:
    gan = points(weights={"generator": {"mode_seeking": 1.0}})
    told: list[Tensor] = []
    generate = gan.generate

    def heard(batch: Batch) -> Tensor:
        told.append(batch["latent"])
        return generate(batch)

    gan.generate = heard  # type: ignore[method-assign]
    play(gan, 3)
    assert len(told) == 6  # one for D's fakes, which G shares, and one more
    for mine, other in zip(told[::2], told[1::2], strict=True):
        assert mine.shape == other.shape and not torch.isclose(mine, other).any()
    figure = gan.figures()["generator/mode_seeking"]
    with torch.no_grad():
        now = mode_seeking(generate({"latent": told[-2]}), generate({"latent": told[-1]}), *told[-2:])
    assert figure == pytest.approx(now.item(), rel=0.3)  # G has made its step since


def test_mode_seeking_keeps_samples_apart() -> None:
    """A G that only has this term to follow makes its samples ever more different."""

    def spread(weight: float) -> float:
        weights = {"generator": {"adversarial": 0.0, "mode_seeking": weight}}
        gan = points(weights=weights)
        play(gan, 80)
        return gan.sample(256).std(0).mean().item()

    assert spread(1.0) > 1.5 * spread(0.0)


def test_a_weight_of_0_leaves_mode_seeking_out() -> None:
    gan = points(weights={"generator": {"mode_seeking": 0.0}})
    play(gan, 1)
    assert "generator/mode_seeking" not in gan.figures()


def test_mode_seeking_needs_latents() -> None:
    with pytest.raises(ConfigError, match=r"mode_seeking compares .* no model\.latent"):
        points(weights={"generator": {"mode_seeking": 1.0}}, latent=None)


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
