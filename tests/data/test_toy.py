"""Points and triangles: closed forms, purity, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import sklearn.datasets
import torch

from gan_zoo.data.stream import EndlessBatchSampler, Order
from gan_zoo.data.toy import Mixture, Points, coverage, triangle_vertices
from gan_zoo.schema import ConfigError
from tests.data.configured import made

MIXTURES = ["ring", "grid", "eight_gaussians", "gaussians_25"]
POINTS = [*MIXTURES, "swiss_roll"]


def whole(module: Points, epoch: int = 0) -> dict[str, torch.Tensor]:
    data = module.train_set()
    return data.__getitems__([(index, epoch, 1) for index in range(len(data))])


@pytest.mark.parametrize("name", POINTS)
def test_a_batch_is_float32_points_with_their_int64_modes(name: str):
    batch = made(name).train_set().__getitems__([(5, 0, 1), (0, 3, 1)])
    assert batch["real"].shape == (2, 2)
    assert batch["real"].dtype == torch.float32
    assert ("condition" in batch) == (name != "swiss_roll")
    if "condition" in batch:
        assert batch["condition"].shape == (2,)
        assert batch["condition"].dtype == torch.int64


def test_centres_are_the_papers():
    half = math.sqrt(0.5)
    corners = torch.tensor([[1, 0], [half, half], [0, 1], [-half, half]])
    torch.testing.assert_close(made("ring").modes(), torch.cat([corners, -corners]))
    torch.testing.assert_close(made("eight_gaussians").modes(), torch.cat([corners, -corners]) * 2 / 1.414)
    ticks = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    torch.testing.assert_close(made("grid").modes(), torch.cartesian_prod(ticks, ticks))
    torch.testing.assert_close(made("gaussians_25").modes(), torch.cartesian_prod(ticks, ticks) / 2.828)


@pytest.mark.parametrize(
    ("name", "std"),
    [("ring", 0.01), ("grid", 0.05), ("eight_gaussians", 0.0141443), ("gaussians_25", 0.0176803)],
)
def test_every_mode_is_a_round_gaussian_of_the_stated_std(name: str, std: float):
    module: Mixture = made(name)
    assert module.std == pytest.approx(std, rel=1e-5)
    batch = whole(module)
    away = batch["real"] - module.modes()[batch["condition"]]
    modes = len(module.modes())
    for mode in range(modes):
        own = away[batch["condition"] == mode].double()
        error = std / math.sqrt(len(own))
        assert own.mean(0).abs().max() < 5 * error
        covariance = own.T.cov() / std**2
        assert (covariance - torch.eye(2)).abs().max() < 5 * math.sqrt(2 / len(own))
    squares = away.square().sum(1) / std**2  # chi-squared with two degrees: P(within 3 std) = 1 - exp(-4.5)
    share = (squares < 9).double().mean().item()
    assert share == pytest.approx(1 - math.exp(-4.5), abs=5 * math.sqrt(0.011 * 0.989 / len(squares)))


@pytest.mark.parametrize("name", MIXTURES)
def test_modes_are_equally_frequent(name: str):
    module = made(name)
    for labels in (module.conditions(), module.held_out_set().labels):
        counts = torch.bincount(labels, minlength=len(module.modes())).double()
        expected = len(labels) / len(counts)
        if module.balanced:
            assert counts.tolist() == [expected] * len(counts)
        else:
            assert counts.std() > 0
            assert ((counts - expected).abs() < 5 * math.sqrt(expected)).all()


def test_25_gaussians_have_nearly_unit_variance():
    # grid of -2 ... 2: variance 2 of 2x, hence 8 + 0.05^2, over 2.828^2
    variance = whole(made("gaussians_25"))["real"].double().var(0)
    torch.testing.assert_close(
        variance, torch.full((2,), (8 + 0.05**2) / 2.828**2).double(), rtol=1e-3, atol=0
    )


def test_swiss_roll_has_the_moments_of_scikit_learns():
    ours = whole(made("swiss_roll"))["real"].double()
    drawn = sklearn.datasets.make_swiss_roll(100_000, noise=0.25, random_state=1)[0][:, [0, 2]] / 7.5
    theirs = torch.from_numpy(drawn)
    assert (ours.mean(0) - theirs.mean(0)).abs().max() < 0.02
    torch.testing.assert_close(ours.T.cov(), theirs.T.cov(), atol=0.02, rtol=0)
    for axis in (0, 1):
        ordered = torch.linspace(0.01, 0.99, 50).double()
        gap = ours[:, axis].quantile(ordered) - theirs[:, axis].quantile(ordered)
        assert gap.abs().max() < 0.04


def test_swiss_roll_stays_near_its_curve():
    module = made("swiss_roll")
    assert module.std == pytest.approx(0.25 / 7.5)
    curve = module.curve(torch.linspace(0, 1, 4001))
    # the ends: t = 3 pi / 2 points down, t = 9 pi / 2 points up
    torch.testing.assert_close(curve[0], torch.tensor([0, -1.5 * math.pi / 7.5]), atol=1e-5, rtol=0)
    torch.testing.assert_close(curve[-1], torch.tensor([0, 4.5 * math.pi / 7.5]), atol=1e-5, rtol=0)
    away = torch.cdist(whole(module)["real"][:5000], curve).amin(1) / module.std
    # across the line only one of two directions of noise counts: a half-normal, of mean sqrt(2 / pi)
    assert away.mean().item() == pytest.approx(math.sqrt(2 / math.pi), abs=0.04)


@pytest.mark.parametrize("name", POINTS)
def test_an_item_is_a_function_of_seed_epoch_and_index(name: str):
    keys = [(index, epoch, 1) for index, epoch in [(7, 0), (99_999, 0), (7, 1), (8, 1), (7, 0)]]
    together = made(name).train_set().__getitems__(keys)["real"]
    data = made(name).train_set()
    alone = torch.cat([data.__getitems__([key])["real"] for key in reversed(keys)]).flip(0)
    assert torch.equal(together, alone)
    assert torch.equal(together[0], together[4])
    assert torch.equal(together[0], together[2]) == (not made(name).fresh)
    assert not torch.equal(made(name, seed=1).train_set().__getitems__(keys)["real"], together)


def test_fresh_points_keep_their_modes_so_that_they_can_be_weighted():
    module = made("eight_gaussians")
    first, second = whole(module, 0), whole(module, 1)
    assert torch.equal(first["condition"], second["condition"])
    assert not (first["real"] == second["real"]).all(1).any()
    correlation = torch.corrcoef(
        (torch.stack([first["real"], second["real"]]) - module.modes()[first["condition"]]).flatten(1)
    )[0, 1]
    assert correlation.abs() < 5 / math.sqrt(200_000)


def test_held_out_points_are_others():
    module = made("ring")
    held_out = module.held_out_set()
    assert len(held_out) == 10_000
    found = held_out.__getitems__([(index, 0, 1) for index in range(10_000)])["real"]
    assert not torch.isin(found[:, 0], whole(module)["real"][:, 0]).all()
    assert torch.equal(found, held_out.__getitems__([(index, 5, 1) for index in range(10_000)])["real"])


def test_the_stream_gives_whole_epochs_across_their_border():
    module = made("eight_gaussians", size=10)
    sampler = iter(EndlessBatchSampler(Order(10, seed=3), lambda position: (4, 1)))
    keys = [key for _ in range(5) for key in next(sampler)]
    data = module.train_set()
    real = torch.cat([data.__getitems__(keys[start : start + 4])["real"] for start in range(0, 20, 4)])
    expected = torch.cat([data.points(0), data.points(1)])
    assert sorted(real.tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("ring", {"classes": 7}, "8 modes, data.classes is 7"),
        ("ring", {"resolution": 2}, "data.resolution must be 1"),
        ("grid", {"channels": 3}, "data.channels 2"),
        ("grid", {"flip": True}, "data.flip=false"),
        ("swiss_roll", {"classes": 3}, "data.classes=0"),
        ("triangles", {"channels": 3}, "data.channels must be 1"),
        ("triangles", {"classes": 2}, "has 0 classes"),
    ],
)
def test_what_cannot_be_right_is_refused(name: str, changes: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        made(name, **changes)


def test_labels_can_be_left_out():
    module = made("ring", classes=0)
    assert module.conditions() is None
    assert set(module.train_set().__getitems__([(0, 0, 1)])) == {"real"}


def test_coverage_of_a_half_plane_triangle_is_exact():
    corners = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]).double()  # below the falling diagonal
    expected = torch.full((4, 4), 1.0).tril().double()
    expected.diagonal().fill_(0.5)
    torch.testing.assert_close(coverage(corners, 4, smooth=True)[0], expected)
    # of 8 x 8 centres 36 or 28 lie on either side when those on the line count
    counted = coverage(corners, 4)[0]
    assert (counted.tril(-1) == torch.ones(4, 4).tril(-1)).all()
    assert set((counted.diagonal() * 64).tolist()) <= {28.0, 36.0}


def test_coverage_counts_the_centres_of_sub_pixels():
    corners = torch.tensor([[[0.13, 0.21], [0.84, 0.4], [0.3, 0.93]]]).double()
    centres = (torch.arange(40).double() + 0.5) / 40
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    inside = torch.ones(40, 40, dtype=torch.bool)
    for start, end in zip(corners[0], corners[0].roll(-1, 0), strict=True):
        inside &= (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0]) > 0
    expected = inside.double().reshape(5, 8, 5, 8).mean((1, 3))
    torch.testing.assert_close(coverage(corners, 5)[0], expected)


def test_triangles_cover_the_area_that_their_corners_span():
    module = made("triangles", size=200, held_out=1)
    corners = module.vertices
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    area = (ax * by - ay * bx).abs() / 2
    torch.testing.assert_close(coverage(corners, 28, smooth=True).mean((1, 2)), area, atol=2e-4, rtol=0)
    drawn = (
        1
        - module.train_set().__getitems__([(i, 0, 28) for i in range(200)])["real"].double().mean((1, 2, 3))
        / 255
    )
    torch.testing.assert_close(drawn, area[:200], atol=2e-3, rtol=0)


def test_smooth_coverage_has_the_gradient_of_the_area():
    corners = triangle_vertices(torch.tensor([[0.4, 2.5, 4.6]]).double(), torch.tensor([0.3]).double())
    corners.requires_grad_()
    coverage(corners, 28, smooth=True).mean().backward()
    a, b, c = corners.detach()[0]
    # d area / d a = half the opposite side, turned by a quarter
    side, winding = c - b, torch.sign((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0])
    expected = winding * torch.stack([-side[1], side[0]]) / 2
    assert corners.grad is not None
    torch.testing.assert_close(corners.grad[0, 0], expected, atol=5e-3, rtol=0)


def test_triangles_have_a_radius_of_three_eighths_and_their_mean_in_the_middle():
    module = made("triangles", size=500, held_out=1)
    torch.testing.assert_close(module.vertices.mean(1), torch.full((501, 2), 0.5).double())
    a, b, c = (module.vertices[:, i] for i in range(3))
    sides = torch.stack([(a - b).norm(dim=1), (b - c).norm(dim=1), (c - a).norm(dim=1)])
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).abs() / 2
    torch.testing.assert_close(sides.prod(0) / (4 * area), torch.full((501,), 0.375).double())  # circumradius
    steps = module.angles.diff(dim=1, append=module.angles[:, :1] + 2 * math.pi).rad2deg()
    assert 10 <= steps.min() < 20
    assert module.vertices.min() > 0
    assert module.vertices.max() < 1


@pytest.mark.parametrize(("faithful", "most"), [(True, math.radians(2 * math.pi)), (False, 2 * math.pi)])
def test_rotations_are_all_or_the_few_of_the_authors(faithful: bool, most: float):
    module = made("triangles", size=2000, held_out=10, faithful_rotation_bug=faithful)
    assert 0 <= module.rotation.min() < 0.01 * most
    assert 0.99 * most < module.rotation.max() < most
    assert module.rotation.mean().item() == pytest.approx(most / 2, rel=0.06)


def test_triangles_are_black_on_white_at_any_size_and_smaller_ones_are_box_means():
    module = made("triangles", size=20, held_out=5)
    keys = [(index, 0, 28) for index in range(20)]
    real = module.train_set().__getitems__(keys)["real"]
    assert real.dtype == torch.uint8
    assert real.shape == (20, 1, 28, 28)
    assert (real[:, :, 0, 0] == 255).all()
    assert (real[:, :, 12:16, 12:16].amin((1, 2, 3)) == 0).all()
    small = module.train_set().__getitems__([(index, 0, 7) for index in range(20)])["real"].double()
    expected = real.double().reshape(20, 1, 7, 4, 7, 4).mean((3, 5))
    assert (small - expected).abs().max() <= 0.5
    assert len(module.held_out_set()) == 5
    held_out = module.held_out_set().__getitems__([(0, 0, 28)])["real"]
    assert not (real == held_out).flatten(1).all(1).any()
    assert torch.equal(
        made("triangles", size=20, held_out=5, seed=9).train_set().__getitems__(keys)["real"], real
    )
    assert (
        made("triangles", size=2, held_out=1, resolution=64)
        .train_set()
        .__getitems__([(0, 0, 64)])["real"]
        .shape[-1]
        == 64
    )
