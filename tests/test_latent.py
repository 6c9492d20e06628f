"""Laws of the latent, and which of its draws agree with which."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from gan_zoo import chance
from gan_zoo.latent import LAWS, Latent, on_sphere
from gan_zoo.schema import ConfigError

CPU = torch.device("cpu")
SQRT3 = math.sqrt(3)
REFERENCE = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-1, 2),
    "unit_uniform": stats.uniform(0, 1),
    "unit_variance_uniform": stats.uniform(-SQRT3, 2 * SQRT3),
}


def drawn(law: str, n: int = 4000, size: int | list[int] = 8) -> Tensor:
    chance.begin_step(1, 2)
    return Latent(size, law).draw(n, CPU)


@pytest.mark.parametrize("law", REFERENCE)
def test_values_follow_their_law(law: str) -> None:
    for z in (drawn(law), Latent(8, law).fixed(2000, 5)):
        found = stats.kstest(z.flatten().numpy(), REFERENCE[law].cdf)
        assert found.pvalue > 1e-3
        assert z.mean().item() == pytest.approx(REFERENCE[law].mean(), abs=0.04)
        assert z.std().item() == pytest.approx(REFERENCE[law].std(), rel=0.02)


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [("uniform", -1, 1), ("unit_uniform", 0, 1), ("unit_variance_uniform", -SQRT3, SQRT3)],
)
def test_uniform_laws_reach_their_bounds_and_no_further(law: str, low: float, high: float) -> None:
    z = drawn(law)
    assert low <= z.min().item() == pytest.approx(low, abs=1e-3)
    assert high >= z.max().item() == pytest.approx(high, abs=1e-3)


def test_rademacher_draws_are_fair_signs() -> None:
    for z in (drawn("rademacher"), Latent(8, "rademacher").fixed(4000, 5)):
        assert z.unique().tolist() == [-1.0, 1.0]
        ups = int((z > 0).sum())
        assert stats.binomtest(ups, z.numel()).pvalue > 1e-3
        products = (z[:, 0] * z[:, 1]).mean().item()  # coordinates know nothing of one another
        assert abs(products) < 4 / math.sqrt(len(z))
    normal = torch.tensor([[-0.1, 0.1, -3.0]])
    assert Latent(3, "rademacher").of_normal(normal).tolist() == [[-1.0, 1.0, -1.0]]


@pytest.mark.parametrize("size", [2, 8, 512])
def test_the_sphere_has_radius_root_of_its_size_and_no_preferred_side(size: int) -> None:
    z = drawn("sphere", 2000, size)
    torch.testing.assert_close(z.norm(dim=1), torch.full((2000,), math.sqrt(size)))
    torch.testing.assert_close(z.square().mean(1), torch.ones(2000))
    assert z.mean(0).norm().item() < 5 * math.sqrt(
        size / 2000
    )  # a mean of 2000 unit-variance coordinates in each direction


def test_a_known_point_is_projected_onto_the_sphere() -> None:
    expected = torch.tensor([[0.6, 0.8]]) * math.sqrt(2)
    torch.testing.assert_close(on_sphere(torch.tensor([[3.0, 4.0]])), expected)
    torch.testing.assert_close(on_sphere(torch.full((2, 3, 4, 4), -7.0)), -torch.ones(2, 3, 4, 4))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("size", "shape"), [(5, (5,)), ([4, 3], (4, 3)), ((1, 8, 8), (1, 8, 8))])
def test_shapes_are_the_size_for_each_sample(law: str, size: int | list[int], shape: tuple[int, ...]) -> None:
    latent = Latent(size, law)
    assert latent.size == size
    assert latent.draw(7, CPU).shape == latent.fixed(7, 0).shape == (7, *shape)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("size", [3, 128])
def test_fixed_latents_depend_on_the_seed_alone(law: str, size: int) -> None:
    latent = Latent(size, law)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = latent.fixed(16, 5)
    assert torch.equal(torch.get_rng_state(), state)  # sampling does not disturb training
    chance.begin_step(9, 9)
    assert torch.equal(latent.fixed(16, 5), first)
    alike = torch.isclose(latent.fixed(16, 6), first).all(1)
    assert alike.sum() <= (5 if law == "rademacher" and size == 3 else 0)  # three signs agree once in eight


@pytest.mark.parametrize("law", LAWS)
def test_the_first_of_many_fixed_latents_are_the_few(law: str) -> None:
    latent = Latent(100, law)
    assert torch.equal(latent.fixed(64, 3)[:10], latent.fixed(10, 3))
    assert len(latent.fixed(64, 3).unique(dim=0)) == 64


@pytest.mark.parametrize("law", LAWS)
def test_ranks_draw_their_parts_of_the_whole_batch(law: str) -> None:
    latent = Latent(6, law)
    parts = []
    for rank in range(2):
        chance.begin_step(0, 11, rank, 2)
        parts.append(latent.draw(4, CPU))
    chance.begin_step(0, 11)
    torch.testing.assert_close(torch.cat(parts), latent.draw(8, CPU), rtol=0, atol=0)


def test_unknown_laws_are_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigError, match=r"model.latent.law must be one of normal, uniform, .*sphere; got 'gaussian'"
    ):
        Latent(4, "gaussian")
