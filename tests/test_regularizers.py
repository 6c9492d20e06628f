"""Penalties with closed forms, and constraints on weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from gan_zoo import chance, regularizers
from gan_zoo.regularizers import WeightClipping, drift, gradient_penalty, r1, r2
from gan_zoo.schema import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "regularizer"
W = torch.tensor([3.0, 4.0])  # ||W|| = 5


def linear(x: Tensor) -> Tensor:
    return x @ W


def bowl(x: Tensor) -> Tensor:
    """3/2 ||x||^2, whose gradient is 3 x."""
    return 1.5 * x.square().flatten(1).sum(1)


@pytest.fixture
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# ---- penalties ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"), [(1.0, 16.0), (5.0, 0.0), (2.0, 2.25), (10.0, 0.25), (750.0, (745 / 750) ** 2)]
)
def test_penalty_of_a_linear_critic_is_the_squared_gap_of_its_norm(target: float, expected: float) -> None:
    real, fake = torch.randn(2, 7, 2)
    torch.testing.assert_close(gradient_penalty(linear, real, fake, target), torch.tensor(expected))


def test_r1_and_r2_of_a_linear_critic_are_half_its_squared_norm() -> None:
    x = torch.randn(7, 2)
    torch.testing.assert_close(r1(linear, x), torch.tensor(12.5))
    torch.testing.assert_close(r2(linear, x), torch.tensor(12.5))


@pytest.mark.parametrize(("target", "expected"), [(1.0, 16.0), (5.0, 0.0), (2.0, 9.0)])
def test_dragan_of_a_linear_critic_is_the_plain_squared_gap(target: float, expected: float) -> None:
    torch.testing.assert_close(
        regularizers.dragan(linear, torch.randn(7, 2), target=target), torch.tensor(expected)
    )


def test_penalties_of_a_bowl_depend_on_where_they_look() -> None:
    real, fake = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    parts = regularizers.create({"r1": {}, "r2": {}, "gradient_penalty": {}})
    terms = parts.terms(bowl, real, fake, bowl(real))
    assert terms["r1"].item() == pytest.approx((9 * 25 + 9 * 1) / 2 / 2)
    assert terms["r2"].item() == pytest.approx((9 * 4 + 0) / 2 / 2)
    same = gradient_penalty(bowl, real, real)  # nothing between a point and itself
    assert same.item() == pytest.approx(((15 - 1) ** 2 + (3 - 1) ** 2) / 2)


def test_the_norm_is_over_all_values_of_a_sample() -> None:
    x = torch.ones(5, 3, 2, 2)  # 12 values, ||3 x|| = 3 sqrt 12
    assert gradient_penalty(bowl, x, x).item() == pytest.approx((3 * math.sqrt(12) - 1) ** 2, rel=1e-5)
    assert r1(bowl, x).item() == pytest.approx(9 * 12 / 2)


def looked_at(penalty: Callable[[Callable[[Tensor], Tensor]], Tensor]) -> Tensor:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return bowl(x)

    penalty(critic)
    assert len(seen) == 1
    return seen[0]


def test_the_penalty_looks_at_uniform_points_of_the_lines_one_for_each_sample() -> None:
    chance.begin_step(0, 0)
    real, fake = torch.zeros(10_000, 1, 2, 2), torch.ones(10_000, 1, 2, 2)
    share = looked_at(lambda critic: gradient_penalty(critic, real, fake))
    assert torch.equal(share, share[:, :, :1, :1].expand_as(share))
    each = share[:, 0, 0, 0]
    assert each.mean().item() == pytest.approx(1 / 2, abs=5 / math.sqrt(12 * 10_000))
    assert each.square().mean().item() == pytest.approx(1 / 3, abs=0.015)
    assert each.min() >= 0 and each.max() <= 1


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_dragan_looks_around_the_data_at_its_scale(scale: float) -> None:
    chance.begin_step(0, 0)
    real = torch.randn(10_000, 4) * 3 + 7
    step = looked_at(lambda critic: regularizers.dragan(critic, real, scale=scale)) - real
    largest = scale * real.std().item()
    assert step.min() >= -1e-5 and step.max() <= largest * 1.0001
    assert step.mean().item() == pytest.approx(largest / 4, rel=0.03)  # E a u = 1/4
    assert step.square().mean().item() == pytest.approx(largest**2 / 9, rel=0.05)  # E a^2 u^2 = 1/9
    mean_square_of_means = step.mean(1).square().mean().item()  # a is shared, u is not
    assert mean_square_of_means == pytest.approx(largest**2 * (1 / 9 + 3 / 12) / 4, rel=0.05)


def test_drift_is_the_mean_square_of_the_scores_of_reals() -> None:
    assert drift(torch.tensor([1.0, -2.0, 3.0])).item() == pytest.approx(14 / 3)
    terms = regularizers.create({"drift": {}}).terms(
        linear, torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([2.0])
    )
    assert terms["drift"].item() == 4.0


def test_scales_of_a_critic_are_summed() -> None:
    v = torch.tensor([0.0, 8.0])

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ W, (x @ v).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)  # four patches count as their mean

    x = torch.randn(6, 2)
    norm = math.sqrt(3**2 + (4 + 8) ** 2)
    assert gradient_penalty(both, x, x).item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    assert r1(both, x).item() == pytest.approx(norm**2 / 2, rel=1e-5)
    assert drift((torch.tensor([1.0, 3.0]), torch.full((2, 1, 2, 2), 2.0))).item() == 5.0 + 4.0


def test_a_flat_critic_is_penalised_without_nan() -> None:
    weight = torch.zeros(2, requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ weight, torch.randn(4, 2), torch.randn(4, 2))
    assert penalty.item() == 1.0
    assert torch.isfinite(torch.autograd.grad(penalty, weight)[0]).all()


@pytest.mark.parametrize("name", ["gradient_penalty", "r1", "r2", "dragan"])
def test_penalties_train_the_critics_weights(name: str, in_float64: None) -> None:
    torch.manual_seed(0)
    real, fake, first, second = torch.randn(3, 2), torch.randn(3, 2), torch.randn(2, 4), torch.randn(4)
    regularizer = regularizers.create({name: {}})

    def penalty(a: Tensor, b: Tensor) -> Tensor:
        chance.begin_step(0, 0)  # the same draws each time
        critic = lambda x: torch.tanh(x @ a) @ b  # noqa: E731
        return regularizer.terms(critic, real, fake, critic(real))[name]

    assert torch.autograd.gradcheck(penalty, (first.requires_grad_(), second.requires_grad_()))


def test_penalties_work_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert r1(linear, torch.zeros(2, 2)).item() == 12.5


def test_penalties_leave_no_gradient_on_the_samples() -> None:
    real, fake = torch.randn(3, 2), torch.randn(3, 2)
    gradient_penalty(bowl, real, fake)
    r1(bowl, real)
    assert not real.requires_grad and not fake.requires_grad and real.grad is None


# ---- spectral norm -----------------------------------------------------------------------------------------


def matrix(layer: nn.Module) -> Tensor:
    weight = layer.weight.detach()
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


def largest(layer: nn.Module) -> float:
    return float(torch.linalg.matrix_norm(matrix(layer), ord=2))


def layers() -> nn.ModuleList:
    torch.manual_seed(0)
    return nn.ModuleList(
        [
            nn.Conv2d(3, 5, 3),
            nn.ConvTranspose2d(4, 6, 3),
            nn.Conv1d(2, 3, 5),
            nn.Embedding(10, 4),
            nn.BatchNorm2d(5),
            nn.Linear(6, 3),
        ]
    )


def test_spectral_norm_makes_the_largest_singular_value_one() -> None:
    free, bounded = layers(), layers()
    regularizers.create({"spectral_norm": {}}).prepare(bounded)
    for before, layer in zip(free, bounded, strict=True):
        for _ in range(100):  # each look at the weight in training is one power iteration
            _ = layer.weight
        if isinstance(layer, nn.BatchNorm2d):
            assert torch.equal(layer.weight, torch.ones(5))
        else:
            assert largest(layer) == pytest.approx(1.0, abs=1e-3)
            torch.testing.assert_close(matrix(layer) * largest(before), matrix(before), rtol=2e-3, atol=1e-4)


def test_spectral_norm_can_spare_the_output_layer() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.1), nn.Linear(4, 1))
    before = network[2].weight.detach().clone()
    regularizers.create({"spectral_norm": {"skip_last": True}}).prepare(network)
    assert nn.utils.parametrize.is_parametrized(network[0], "weight")
    assert not nn.utils.parametrize.is_parametrized(network[2]) and torch.equal(network[2].weight, before)


def test_spectral_norm_is_added_once() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    regularizer = regularizers.create({"spectral_norm": {"iterations": 3}})
    regularizer.prepare(network)
    regularizer.prepare(network)
    assert [len(layer.parametrizations.weight) for layer in network] == [1, 1]
    assert network[0].parametrizations.weight[0].n_power_iterations == 3


# ---- weight clipping ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.01, 0.1])
def test_clipping_bounds_every_parameter_batch_norm_too(limit: float) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        network[3].weight.copy_(torch.tensor([[-1.0, -limit / 2, limit / 2, 1.0]]))
    network[1].running_var.fill_(7.0)
    regularizers.create({"weight_clipping": {"limit": limit}}).after_step(network)
    assert all(parameter.abs().max() <= limit for parameter in network.parameters())
    assert torch.equal(network[1].weight, torch.full((4,), limit))  # a batch norm's gain starts at 1
    torch.testing.assert_close(network[3].weight, torch.tensor([[-limit, -limit / 2, limit / 2, limit]]))
    assert torch.equal(network[1].running_var, torch.full((4,), 7.0))  # a buffer is no parameter


def test_without_clipping_nothing_is_changed() -> None:
    network = nn.Linear(3, 3)
    before = network.weight.detach().clone()
    none = regularizers.create(None)
    none.prepare(network)
    none.after_step(network)
    assert torch.equal(network.weight, before) and not none.term_names and not none.bounds_critic
    assert none.terms(linear, torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1)) == {}
    assert [none.n_critic(step, 5) for step in (0, 24, 500)] == [5, 5, 5]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (0, 100),
        (1, 100),
        (24, 100),
        (25, 5),
        (26, 5),
        (499, 5),
        (500, 100),
        (501, 5),
        (999, 5),
        (1000, 100),
        (1250, 5),
    ],
)
def test_the_critic_plays_longer_at_first_and_at_every_500th(steps: int, expected: int) -> None:
    clipping = regularizers.create({"weight_clipping": {}})
    assert clipping.n_critic(steps, 5) == expected


def test_over_1000_generator_steps_26_are_long() -> None:
    clipping = WeightClipping()
    assert sum(clipping.n_critic(step, 5) == 100 for step in range(1000)) == 26  # 0 ... 24 and 500


def test_long_runs_can_be_switched_off_and_never_shorten() -> None:
    assert WeightClipping(long=0).n_critic(0, 5) == 5
    assert WeightClipping(long=100).n_critic(0, 200) == 200


# ---- assembly ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_choice_builds_and_weighs_its_own_terms(choice: str) -> None:
    values = yaml.safe_load((CONF / f"{choice}.yaml").read_text())
    regularizer = regularizers.create(values["parts"])
    assert regularizer.term_names == values["weights"]["discriminator"].keys()
    x = torch.randn(4, 2)
    assert regularizer.terms(bowl, x, x, bowl(x)).keys() == regularizer.term_names


@pytest.mark.parametrize(
    ("parts", "per_sample", "bounds"),
    [
        ({}, False, False),
        ({"drift": None}, False, False),
        ({"spectral_norm": None}, False, True),
        ({"weight_clipping": None}, False, True),
        ({"r1": None}, True, True),
        ({"gradient_penalty": None, "drift": None}, True, True),
    ],
)
def test_a_regulariser_knows_what_it_does_to_the_critic(
    parts: dict[str, None], per_sample: bool, bounds: bool
) -> None:
    regularizer = regularizers.create(parts)
    assert (regularizer.per_sample, regularizer.bounds_critic) == (per_sample, bounds)


def test_unknown_parts_are_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigError, match=r"may hold gradient_penalty, .*weight_clipping; got 'gradient_penality'"
    ):
        regularizers.create({"gradient_penality": {}})


@pytest.mark.parametrize(
    ("part", "argument", "takes"),
    [
        ("gradient_penalty", "lambda", "target"),
        ("r1", "gamma", "no arguments"),
        ("drift", "real_logits", "no arguments"),
        ("dragan", "c", "scale, target"),
        ("weight_clipping", "clip", "every, limit, long, warm_up"),
        ("spectral_norm", "discriminator", "iterations, skip_last"),
    ],
)
def test_unknown_arguments_are_refused_with_those_that_exist(part: str, argument: str, takes: str) -> None:
    with pytest.raises(ConfigError, match=rf"regularizer.parts.{part} takes {takes}; got '{argument}'"):
        regularizers.create({part: {argument: 1.0}})


@pytest.mark.parametrize(
    ("part", "arguments", "words"),
    [("gradient_penalty", {"target": 0.0}, "gradient_penalty.target: 0.0 came; .*greater than 0"),
     ("gradient_penalty", {"target": -1.0}, "-1.0"),
     ("gradient_penalty", {"target": "1"}, "'1' came"), ("dragan", {"scale": 0.0}, "dragan.scale: 0.0"),
     ("dragan", {"target": -0.5}, "dragan.target"),
     ("weight_clipping", {"every": 0}, "weight_clipping.every: 0 came"), ("weight_clipping", {"long": -1}, "weight_clipping.long: -1"),
     ("weight_clipping", {"limit": 0.0}, "weight_clipping.limit"), ("weight_clipping", {"warm_up": 1.5}, "weight_clipping.warm_up: 1.5"),
     ("spectral_norm", {"iterations": 0}, "spectral_norm.iterations: 0")],
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused(part: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"regularizer\.parts\.{part}.*{words.removeprefix(part)}"):
        regularizers.create({part: arguments})


def test_the_smallest_numbers_that_can_be_are_taken() -> None:
    regularizers.create({"dragan": {"target": 0.0, "scale": 1e-9}})
    clipping = regularizers.create({"weight_clipping": {"limit": 1e-9, "long": 0, "warm_up": 0, "every": 1}})
    assert [clipping.n_critic(step, 5) for step in (0, 1)] == [5, 5]
    assert regularizers.create({"weight_clipping": {"long": 9, "warm_up": 0, "every": 1}}).n_critic(3, 5) == 9


def test_the_gradient_penalty_keeps_the_precision_of_its_samples() -> None:
    """||w|| = 5 in float64, where float32 has 1e-7 of rounding: ((5 - 1) / 1)^2 = 16."""
    w = torch.tensor([3.0, 4.0], dtype=torch.float64)
    real, fake = torch.randn(2, 7, 2, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: x @ w, real, fake)
    assert penalty.dtype == torch.float64
    torch.testing.assert_close(penalty, torch.tensor(16.0, dtype=torch.float64), rtol=1e-14, atol=1e-14)
