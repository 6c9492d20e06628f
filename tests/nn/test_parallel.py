"""Means over ranks, with two real processes on the CPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor

from gan_zoo import losses
from gan_zoo.nn.minibatch import MinibatchDiscrimination
from gan_zoo.nn.parallel import average_, mean_over_ranks, rank, world_size

WORLD = 2


def ddp(test: Callable[..., None]) -> Callable[..., None]:
    only_linux = pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="forks and speaks gloo: Linux only"
    )
    return pytest.mark.ddp(only_linux(test))  # type: ignore[no-any-return]


def joined(number: int, meeting: Path, body: Callable[[int], None]) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=WORLD)
    try:
        body(number)
    finally:
        dist.destroy_process_group()


def on_two_ranks(tmp_path: Path, body: Callable[[int], None]) -> None:
    """Runs body(rank) in two processes; what it raises is raised here."""
    torch.multiprocessing.start_processes(joined, (tmp_path / "meeting", body), WORLD, start_method="fork")


def test_one_process_is_its_own_mean() -> None:
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    assert mean_over_ranks(value) is value
    tensor = torch.tensor([1.0, 2.0])
    average_([tensor])
    assert torch.equal(tensor, torch.tensor([1.0, 2.0])) and (rank(), world_size()) == (0, 1)


@ddp
def test_the_mean_goes_forward_and_its_gradients_mean_goes_back(tmp_path: Path) -> None:
    def body(number: int) -> None:
        assert (rank(), world_size()) == (number, 2)
        value = torch.tensor([1.0 + 2 * number, 10.0], requires_grad=True)
        mean = mean_over_ranks(value)
        torch.testing.assert_close(mean.detach(), torch.tensor([2.0, 10.0]))
        torch.testing.assert_close(
            value.detach(), torch.tensor([1.0 + 2 * number, 10.0])
        )  # not changed itself
        incoming = torch.tensor([3.0, 1.0]) if number else torch.tensor([5.0, 1.0])
        (mean * incoming).sum().backward()
        torch.testing.assert_close(value.grad, torch.tensor([4.0, 1.0]))

    on_two_ranks(tmp_path, body)


@ddp
def test_the_mean_can_be_differentiated_twice(tmp_path: Path) -> None:
    def body(number: int) -> None:
        value = torch.tensor(1.0 + 2 * number, requires_grad=True)
        (first,) = torch.autograd.grad(mean_over_ranks(value) ** 3, value, create_graph=True)
        assert first.item() == 12.0  # 3 m^2 at m = 2
        (second,) = torch.autograd.grad(first, value)
        assert second.item() == 12.0  # 6 m

    on_two_ranks(tmp_path, body)


@ddp
def test_a_failure_on_one_rank_is_seen_here(tmp_path: Path) -> None:
    def body(number: int) -> None:
        assert number == 0, "rank 1 fails"

    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="rank 1 fails"):
        on_two_ranks(tmp_path, body)


@ddp
def test_relativistic_losses_on_two_ranks_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    real, fake, start = torch.randn(8, 3), torch.randn(8, 3), torch.randn(3)

    def totals(loss: losses.Loss, rows: slice) -> tuple[list[float], list[Tensor]]:
        """Both players' values, and their gradients for the weights of a linear critic."""
        weight = start.clone().requires_grad_()
        r, f = torch.tanh(real[rows] @ weight), torch.tanh(fake[rows] @ weight)
        both = [loss.discriminator(r, f)["adversarial"], loss.generator(f, r)["adversarial"]]
        return [value.item() for value in both], [
            torch.autograd.grad(value, weight, retain_graph=True)[0] for value in both
        ]

    names = ["ragan", "ragan_ls", "ragan_hinge", "rpgan"]
    whole = {name: totals(losses.create(name), slice(0, 8)) for name in names}

    def body(number: int) -> None:
        for name in names:
            values, gradients = totals(losses.create(name), slice(4 * number, 4 * number + 4))
            average_([*gradients, shared := torch.tensor(values)])  # as the play does before a step
            torch.testing.assert_close((shared, gradients), (torch.tensor(whole[name][0]), whole[name][1]))

    on_two_ranks(tmp_path, body)


@ddp
def test_minibatch_discrimination_on_two_ranks_sees_the_whole_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer, batch, weight = MinibatchDiscrimination(3, kernels=4, dims=2), torch.randn(6, 3), torch.randn(7)
    mine = layer.projection.weight

    def played(rows: slice) -> tuple[Tensor, list[Tensor]]:
        """What it appends, and gradients of the mean score for the batch's rows and the layer's weight, as if summed."""
        x = batch[rows].clone().requires_grad_()
        scores = (layer(x) @ weight).tanh()
        return layer(x)[:, 3:].detach(), list(torch.autograd.grad(scores.sum(), (x, mine)))

    seen, (by_sample, by_weight) = played(slice(0, 6))

    def body(number: int) -> None:
        rows = slice(3 * number, 3 * number + 3)
        own, (gradient, shared) = played(rows)
        torch.testing.assert_close(own, seen[rows])
        torch.testing.assert_close(gradient, by_sample[rows])
        average_([shared])
        torch.testing.assert_close(2 * shared, by_weight)
        torch.testing.assert_close(
            layer.eval()(batch)[:, 3:], seen
        )  # D judges what each rank holds by itself

    on_two_ranks(tmp_path, body)


def some_tensors(number: int) -> list[Tensor]:
    """Two dtypes in turn, many shapes, one view; rank 1 holds three times what rank 0 holds."""
    factor = 1.0 + 2 * number
    matrix = torch.arange(12.0).view(3, 4)
    tensors = [
        torch.tensor(7.0),
        torch.ones(5, dtype=torch.float64),
        matrix,
        torch.arange(3.0, dtype=torch.float64),
        torch.zeros(0),
        torch.full((2, 1, 2), -3.0),
        torch.arange(40.0),
    ]
    scaled = [tensor * factor for tensor in tensors]
    return [*scaled[:2], scaled[2].t(), *scaled[3:]]  # a transposed gradient is not contiguous


@ddp
@pytest.mark.parametrize("bucket_bytes", [1, 30, 100, 25 * 2**20])
def test_tensors_become_their_means_whatever_the_bucket(tmp_path: Path, bucket_bytes: int) -> None:
    def body(number: int) -> None:
        tensors = some_tensors(number)
        places = [tensor.data_ptr() for tensor in tensors]
        average_(iter(tensors), bucket_bytes)
        torch.testing.assert_close(tensors, [2 * tensor for tensor in some_tensors(0)])  # (1 + 3) / 2
        assert [tensor.data_ptr() for tensor in tensors] == places

    on_two_ranks(tmp_path, body)


@ddp
def test_buckets_are_as_few_as_they_can_be(tmp_path: Path) -> None:
    def body(number: int) -> None:
        sent: list[int] = []
        reduce = dist.all_reduce

        def counted(tensor: Tensor, **settings: bool) -> object:
            sent.append(tensor.numel() * tensor.element_size())
            return reduce(tensor, **settings)

        dist.all_reduce = counted
        average_(some_tensors(number))
        assert sorted(sent) == [8 * 8, 4 * (1 + 12 + 4 + 40)]  # one for each dtype
        sent.clear()
        average_([torch.zeros(10) for _ in range(10)], bucket_bytes=100)
        assert sent == [120, 120, 120, 40]

    on_two_ranks(tmp_path, body)


@ddp
def test_a_parameters_gradient_and_a_scalars_view_are_replaced_in_place(tmp_path: Path) -> None:
    def body(number: int) -> None:
        total = torch.tensor(float(number))
        weight = torch.nn.Parameter(torch.zeros(2))
        weight.grad = torch.full((2,), float(number))
        average_([weight.grad, total.unsqueeze(0)])
        assert total.item() == 0.5 and torch.equal(weight.grad, torch.full((2,), 0.5))

    on_two_ranks(tmp_path, body)
