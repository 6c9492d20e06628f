from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.multiprocessing as mp
from torch import Tensor

from gan_zoo.metrics.features import gather
from gan_zoo.metrics.frechet import Moments, frechet_distance, frechet_distance_of_moments
from tests.metrics.arrays import fixed, real_and_fake


def gaussian(mean: list[float], covariance: Tensor) -> Moments:
    moments = Moments()
    moments.count, moments.mean = 3, torch.tensor(mean, dtype=torch.float64)
    moments.scatter = covariance.double() * 2
    return moments


def test_it_equals_torch_fidelitys_and_scipys_figure():
    # torch-fidelity 0.4.0: fid_statistics_to_metric of fid_features_to_statistics; scipy.linalg.sqrtm alike
    assert frechet_distance(*real_and_fake()) == pytest.approx(0.280454834220208, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(12, 9), (5, 39), (39, 39)])
def test_few_samples_of_many_dimensions_have_the_same_figure(n: int, m: int) -> None:
    """From the samples and from 40 x 40 covariances, which are singular here."""
    real, fake = fixed(n, 40), fixed(m, 40, step=2.3) * 1.2 + 0.1
    by_moments = frechet_distance_of_moments(Moments.of(real), Moments.of(fake))
    assert frechet_distance(real, fake) == pytest.approx(by_moments, rel=1e-6)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)


def test_it_equals_a_live_torch_fidelity_where_that_is_installed():
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    real, fake = fixed(300, 40), fixed(200, 40, step=2.3) * 1.2
    statistics = [fidelity.fid_features_to_statistics(one) for one in (real, fake)]
    expected = fidelity.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert frechet_distance(real, fake) == pytest.approx(expected, abs=1e-10)


def test_shifted_gaussians_are_their_squared_distance_apart():
    one = gaussian([0.0, 0.0], torch.eye(2))
    assert frechet_distance_of_moments(one, gaussian([3.0, 4.0], torch.eye(2))) == pytest.approx(
        25.0, abs=1e-12
    )


def test_commuting_gaussians_have_the_closed_form():
    # diagonal covariances: sum (s - t)^2 = (1 - 2)^2 + (3 - 5)^2
    a = gaussian([0.0, 0.0], torch.diag(torch.tensor([1.0, 9.0])))
    b = gaussian([0.0, 0.0], torch.diag(torch.tensor([4.0, 25.0])))
    assert frechet_distance_of_moments(a, b) == pytest.approx(5.0, abs=1e-12)


def test_covariances_that_do_not_commute_agree_with_scipys_matrix_root():
    a, b = (np.cov(fixed(30, 5, step).numpy(), rowvar=False) for step in (1.7, 2.9))
    expected = np.trace(a) + np.trace(b) - 2 * np.trace(scipy.linalg.sqrtm(a @ b)).real
    got = frechet_distance_of_moments(*(gaussian([0.0] * 5, torch.from_numpy(one)) for one in (a, b)))
    assert got == pytest.approx(expected, abs=1e-12)


def test_fewer_samples_than_dimensions_are_no_trouble():
    # where sqrtm of the singular product fails: tr (AB)^1/2 is the nuclear norm of the data's cross product
    a, b = fixed(10, 60), fixed(12, 60, step=2.3)
    centred = [one - one.mean(0) for one in (a, b)]
    root = torch.linalg.svdvals(centred[0] @ centred[1].T).sum() / (9 * 11) ** 0.5
    traces = a.var(0).sum() + b.var(0).sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + traces - 2 * root
    assert frechet_distance(a, b) == pytest.approx(float(expected), abs=1e-6)


def test_a_stream_of_unequal_chunks_equals_one_set():
    whole, parts = Moments.of(fixed(100, 7) + 1e3), Moments()
    for chunk in (fixed(100, 7) + 1e3).split([1, 3, 90, 6]):
        parts.update(chunk)
    assert parts.count == 100
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(parts.covariance, whole.covariance, rtol=1e-9, atol=0)
    expected = torch.from_numpy(np.cov((fixed(100, 7) + 1e3).numpy(), rowvar=False))
    torch.testing.assert_close(whole.covariance, expected, rtol=1e-9, atol=0)  # despite the mean of 1000


def test_merging_two_streams_changes_neither_and_equals_one():
    first, second = Moments.of(fixed(40, 6)), Moments.of(fixed(25, 6, step=2.3))
    before = first.mean.clone()
    merged = first.merge(second)
    expected = Moments.of(torch.cat([fixed(40, 6), fixed(25, 6, step=2.3)]))
    torch.testing.assert_close(merged.covariance, expected.covariance, rtol=1e-12, atol=0)
    assert torch.equal(first.mean, before) and first.count == 40


def _rank(rank: int, store: str, queue: mp.SimpleQueue) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    share = fixed(50, 4)[: 20 if rank == 0 else 0] if rank == 0 else fixed(50, 4)[20:]
    moments = Moments.of(share).across_ranks()
    queue.put((rank, moments.count, moments.covariance.tolist(), gather(share).tolist()))
    torch.distributed.destroy_process_group()


@pytest.mark.ddp
def test_two_ranks_with_unequal_shares_equal_one_process(tmp_path):
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(_rank, (str(tmp_path / "store"), queue), nprocs=2)
    answers = [queue.get() for _ in range(2)]
    assert {answer[0] for answer in answers} == {0, 1}
    assert answers[0][1:] == answers[1][1:]  # bitwise the same on both
    expected = Moments.of(fixed(50, 4)).covariance
    torch.testing.assert_close(torch.tensor(answers[0][2], dtype=torch.float64), expected, rtol=1e-12, atol=0)
    assert torch.equal(torch.tensor(answers[0][3], dtype=torch.float64), fixed(50, 4))


def test_float32_features_are_accumulated_in_float64():
    features = fixed(5000, 3).float() + 100
    expected = np.cov(features.double().numpy(), rowvar=False)
    torch.testing.assert_close(Moments.of(features).covariance, torch.from_numpy(expected), rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (torch.zeros(1, 4), "at least 2"),
        (torch.full((5, 4), torch.nan), "NaN"),
        (torch.zeros(5), r"\[N, D\]"),
        (torch.rand(5, 3), "3 dimensions, fake 4"),
        (torch.zeros(0, 4), "holds 0 samples"),
        (torch.tensor(1.0), r"\[N, D\]"),
    ],
)
def test_bad_sets_are_refused_with_the_reason(real, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, torch.rand(5, 4))
