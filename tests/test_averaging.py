"""The moving average against its closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gan_zoo.averaging import MovingAverage
from gan_zoo.schema import ConfigError


def network(value: float) -> nn.Sequential:
    """Every parameter is `value`, the batch norm has seen data."""
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(value)
    net(torch.randn(8, 3))
    return net


def values(net: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


@pytest.mark.parametrize("decay", [0.999, 0.9, 0.0])
@pytest.mark.parametrize("steps", [1, 10, 300])
def test_at_constant_weights_the_start_decays_geometrically(decay: float, steps: int) -> None:
    net, start, goal = network(5.0), 1.0, 5.0
    average = MovingAverage.copy_of(network(start))
    mover = MovingAverage(None, decay)
    for _ in range(steps):
        mover.update(average, net, samples=64)
    expected = goal + (start - goal) * decay**steps  # w + (w0 - w) 0.999^n, Karras et al. 2018
    torch.testing.assert_close(values(average), torch.full((12,), expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 50, 500, 1000, 2000])
def test_after_a_half_life_half_the_start_is_left_whatever_the_batch_size(batch: int) -> None:
    average, net = MovingAverage.copy_of(network(1.0)), network(0.0)
    mover = MovingAverage(half_life=1000.0, decay=None)
    for _ in range(1000 // batch or 1):
        mover.update(average, net, batch)
    left = 0.25 if batch == 2000 else 0.5
    torch.testing.assert_close(values(average), torch.full((12,), left), rtol=1e-4, atol=0.0)


def test_a_decay_for_each_step_and_its_half_life_agree() -> None:
    half_life = 64 * math.log(0.5) / math.log(0.999)  # 692.8 steps of 64 samples
    assert half_life == pytest.approx(44_339, abs=1)
    assert (
        MovingAverage(half_life, None).share(64)
        == pytest.approx(MovingAverage(None, 0.999).share(64))
        == pytest.approx(0.001)
    )


def test_buffers_are_copied_not_averaged() -> None:
    net, average = network(5.0), MovingAverage.copy_of(network(1.0))
    net(torch.randn(8, 3) * 10 + 4)
    MovingAverage(None, 0.999).update(average, net, 64)
    for mine, other in zip(average.buffers(), net.buffers(), strict=True):
        assert torch.equal(mine, other)
    assert average[1].num_batches_tracked.item() == 2


def test_the_network_is_left_alone() -> None:
    net, average = network(5.0), MovingAverage.copy_of(network(1.0))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    MovingAverage(None, 0.5).update(average, net, 64)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_copy_is_its_own_and_is_not_trained() -> None:
    net = network(5.0)
    average = MovingAverage.copy_of(net)
    with torch.no_grad():
        net[0].weight.zero_()
    assert (average[0].weight == 5.0).all() and not any(
        parameter.requires_grad for parameter in average.parameters()
    )


def test_only_the_parameters_asked_for_move() -> None:
    net, average = network(5.0), MovingAverage.copy_of(network(1.0))
    MovingAverage(None, 0.75).update(average, net, 64, of=lambda net: net[0].parameters())
    assert (average[0].weight == 2.0).all() and (average[0].bias == 2.0).all()
    assert (average[1].weight == 1.0).all() and torch.equal(average[1].running_mean, net[1].running_mean)


@pytest.mark.parametrize("flag", [torch.tensor(False), torch.tensor(0.0)])
def test_where_the_flag_is_zero_everything_stays(flag: Tensor) -> None:
    net, average = network(5.0), MovingAverage.copy_of(network(1.0))
    net[1].running_mean.fill_(math.nan)  # the skipped step's batch went through the batch norm
    before = {name: value.clone() for name, value in average.state_dict().items()}
    MovingAverage(None, 0.5).update(average, net, 64, finite=flag)
    assert {
        name for name, value in average.state_dict().items() if not torch.equal(value, before[name])
    } == set()


def test_where_the_flag_is_zero_a_network_that_broke_leaves_no_mark() -> None:
    average = MovingAverage.copy_of(network(1.0))
    MovingAverage(None, 0.5).update(average, network(math.nan), 64, finite=torch.tensor(False))
    assert torch.equal(values(average), torch.ones(12))


@pytest.mark.parametrize("flag", [torch.tensor(True), torch.tensor(1.0)])
def test_where_the_flag_is_one_the_average_moves_as_without_it(flag: Tensor) -> None:
    net = network(5.0)
    with_flag, without = MovingAverage.copy_of(network(1.0)), MovingAverage.copy_of(network(1.0))
    MovingAverage(None, 0.75).update(with_flag, net, 64, finite=flag)
    MovingAverage(None, 0.75).update(without, net, 64)
    torch.testing.assert_close(with_flag.state_dict(), without.state_dict())
    torch.testing.assert_close(values(with_flag), torch.full((12,), 2.0))


def test_a_half_life_and_a_decay_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ema_half_life=2000 and ema_decay=0\.999 both came"):
        MovingAverage(2000.0, 0.999)
