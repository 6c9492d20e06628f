"""Optimisers by name: what YAML writes reaches torch, what cannot be right does not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from gan_zoo import optimizers
from gan_zoo.schema import ConfigError

FADING: dict[str, Any] = {"name": "linear", "value": 0.1, "to": 0.0, "length": 100}
NAMES = ["adam", "adamw", "sgd", "rmsprop"]


def parameter(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def stepped(gradients: list[float], settings: dict[str, Any]) -> list[float]:
    """Where a parameter that starts at 1 goes under these gradients, one for each 10 samples."""
    weight = parameter()
    optimizer = optimizers.create([weight], **settings)
    changing = optimizers.rates(settings)
    path = []
    for step, gradient in enumerate(gradients):
        optimizers.set_rates(optimizer, changing, 10 * step)
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        path.append(weight.item())
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_names_are_torchs_optimisers(name: str, kind: type) -> None:
    weights = [parameter(), parameter()]
    optimizer = optimizers.create((weight for weight in weights), name, 3e-4, weight_decay=0.01)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert group["params"] == weights and (group["lr"], group["weight_decay"]) == (3e-4, 0.01)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_whole_numbers_in_betas_become_floats(name: str) -> None:
    optimizer = optimizers.create(
        [parameter()], name, 1e-3, betas=[0, 0.99]
    )  # progressive growing's, as YAML reads them
    assert optimizer.param_groups[0]["betas"] == (0.0, 0.99)
    assert all(type(beta) is float for beta in optimizer.param_groups[0]["betas"])


def test_adams_first_step_is_the_learning_rate() -> None:
    settings = {"name": "adam", "lr": 0.01, "betas": [0, 0.99]}
    assert stepped([0.3], settings) == pytest.approx([1 - 0.01], abs=1e-6)  # whatever the gradient's size
    assert stepped([-1e4], settings) == pytest.approx([1 + 0.01], abs=1e-6)


def test_sgd_with_momentum_by_hand() -> None:
    path = stepped([1.0, 1.0, 1.0], {"name": "sgd", "lr": 0.1, "momentum": 0.5})
    assert path == pytest.approx([1 - 0.1, 1 - 0.1 - 0.15, 1 - 0.1 - 0.15 - 0.175])  # velocities 1, 1.5, 1.75


def test_a_scheduled_learning_rate_is_used_at_each_step() -> None:
    assert stepped([1.0, 1.0, 1.0], {"name": "sgd", "lr": FADING}) == pytest.approx([0.9, 0.81, 0.73])


def test_a_scheduled_momentum_is_used_at_each_step() -> None:
    rising = {"name": "linear", "value": 0.5, "to": 1.0, "length": 20}  # 0.5, 0.75, 1
    path = stepped([1.0, 1.0, 1.0], {"name": "sgd", "lr": 0.1, "momentum": rising})
    assert path == pytest.approx([0.9, 0.9 - 0.175, 0.725 - 0.275])  # velocities 1, 0.75 + 1, 1.75 + 1


def test_a_scheduled_beta1_replaces_the_first_beta() -> None:
    settings = {
        "name": "adam",
        "lr": 1e-3,
        "betas": [0.9, 0.99],
        "beta1": {"name": "linear", "value": 0.5, "to": 0.0, "length": 100},
    }
    optimizer = optimizers.create([parameter()], **settings)
    changing = optimizers.rates(settings)
    for samples, beta1 in ((0, 0.5), (50, 0.25), (100, 0.0), (1000, 0.0)):
        optimizers.set_rates(optimizer, changing, samples)
        assert optimizer.param_groups[0]["betas"] == pytest.approx((beta1, 0.99))
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_rates_name_only_what_changes() -> None:
    assert optimizers.rates({"name": "sgd", "lr": 0.1, "momentum": 0.5}) == {}
    changing = optimizers.rates({"name": "sgd", "lr": FADING, "momentum": 0.5})
    assert changing.keys() == {"lr"} and changing["lr"](50) == pytest.approx(0.05)


def test_rates_reach_every_group() -> None:
    optimizer = optimizers.create([parameter()], "sgd", FADING)
    optimizer.add_param_group({"params": [parameter()]})
    optimizers.set_rates(optimizer, optimizers.rates({"lr": FADING}), 25)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.075, 0.075])


def test_a_warm_up_may_start_at_rate_zero() -> None:
    settings = {"name": "adam", "lr": {"name": "warm_up", "value": 0.001, "length": 10}}
    first, second = stepped([1.0, 1.0], settings)
    assert first == 1.0 and second == pytest.approx(1 - 0.001, abs=1e-6)


def test_optimisers_are_fused_where_they_can_be() -> None:
    assert optimizers.create([parameter()], "adam", 1e-3).defaults["fused"]
    assert not optimizers.create([parameter()], "adam", 1e-3, fused=False).defaults["fused"]
    assert "fused" not in optimizers.create([parameter()], "rmsprop", 1e-3).defaults


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_foreach_is_taken_instead_of_fused(name: str) -> None:
    defaults = optimizers.create([parameter()], name, 1e-3, foreach=True).defaults
    assert defaults["foreach"] and not defaults["fused"]


def test_null_is_torchs_default() -> None:
    optimizer = optimizers.create([parameter()], "adam", 1e-3, betas=None, beta1=None, eps=None)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999) and optimizer.param_groups[0]["eps"] == 1e-8


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigError,
        match=r"optimizer\.name must be one of adam, adamw, sgd, rmsprop, rmsprop_tensorflow; got 'Adam'",
    ):
        optimizers.create([parameter()], "Adam", 1e-3)


@pytest.mark.parametrize(
    ("name", "option", "takes"),
    [
        ("sgd", "betas", "momentum, nesterov"),
        ("adam", "momentum", "amsgrad, betas"),
        ("rmsprop", "fused", "alpha, "),
        ("adam", "learning_rate", "lr, maximize"),
    ],
)
def test_unknown_options_are_refused_with_those_that_exist(name: str, option: str, takes: str) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer {name} has no option '{option}'; it takes .*{takes}"):
        optimizers.create([parameter()], name, 1e-3, **{option: 0.5})


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_beta1_is_refused_where_there_are_no_betas(name: str) -> None:
    with pytest.raises(ConfigError, match=f"optimizer {name} has no option 'beta1'"):
        optimizers.create([parameter()], name, 1e-3, beta1=FADING)


def test_a_beta1_that_stays_the_same_counts_too() -> None:
    assert optimizers.create([parameter()], "adam", 1e-3, beta1=0.5).param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lr", [-1e-3, math.nan, math.inf, {"name": "constant", "value": -1.0}], ids=str)
def test_rates_that_cannot_be_right_are_refused(name: str, lr: Any) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer {name}: .*(learning rate|lr)"):
        optimizers.create([parameter()], name, lr)


@pytest.mark.parametrize("betas", [[0.5, 1.0], [-0.1, 0.9], [math.nan, 0.9]])
def test_betas_outside_0_and_1_are_refused(betas: list[float]) -> None:
    with pytest.raises(ConfigError, match="optimizer adam: Invalid beta"):
        optimizers.create([parameter()], "adam", 1e-3, betas=betas)


@pytest.mark.parametrize("betas", [[0.5], [0.5, 0.9, 0.9]])
def test_betas_are_two(betas: list[float]) -> None:
    with pytest.raises(ConfigError, match="betas"):
        optimizers.create([parameter()], "adam", 1e-3, betas=betas)


def test_tensorflows_rmsprop_starts_its_mean_square_at_1_and_has_eps_within_the_root():
    settings = {"name": "rmsprop_tensorflow", "lr": 0.1}
    square, at, wanted = 1.0, 1.0, []
    for gradient in (0.1, -2.0, 0.5):
        square = 0.9 * square + 0.1 * gradient**2
        at -= 0.1 * gradient / math.sqrt(square + 1e-10)
        wanted.append(at)
    assert stepped([0.1, -2.0, 0.5], settings) == pytest.approx(wanted, rel=1e-6)


def test_its_first_step_is_95_times_shorter_than_torchs_for_a_gradient_of_a_tenth():
    own, torchs = (
        1 - stepped([0.1], {"name": name, "lr": 0.01})[0] for name in ("rmsprop_tensorflow", "rmsprop")
    )
    assert own == pytest.approx(0.01 * 0.1 / 0.95, rel=2e-3) and torchs == pytest.approx(0.1, rel=1e-3)
    assert torchs / own == pytest.approx(95, rel=0.01)


def test_tensorflows_rmsprop_with_momentum_decay_and_a_schedule():
    settings: dict[str, Any] = {
        "name": "rmsprop_tensorflow",
        "lr": FADING,
        "momentum": 0.9,
        "weight_decay": 0.01,
    }
    square, moved, at, wanted = 1.0, 0.0, 1.0, []
    for step, gradient in enumerate((1.0, 1.0, -1.0)):
        g = gradient + 0.01 * at
        square = 0.9 * square + 0.1 * g**2
        moved = 0.9 * moved + (0.1 - 0.01 * step) * g / math.sqrt(square + 1e-10)
        at -= moved
        wanted.append(at)
    assert stepped([1.0, 1.0, -1.0], settings) == pytest.approx(wanted, rel=1e-5)


def test_tensorflows_rmsprop_refuses_what_it_cannot_do():
    with pytest.raises(ConfigError, match=r"alpha must lie in \[0, 1\)"):
        optimizers.create([parameter()], "rmsprop_tensorflow", 0.1, alpha=1.0)
    with pytest.raises(ConfigError, match="no option 'centered'"):
        optimizers.create([parameter()], "rmsprop_tensorflow", 0.1, centered=True)
