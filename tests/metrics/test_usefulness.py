from __future__ import annotations

import pytest
import torch

from gan_zoo.metrics.usefulness import classification_performance, linear_svm, pooled_features


def bars(n: int, seed: int, strength: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Horizontal (class 0) and vertical (class 1) bright bars in noise, [n, 1, 8, 8]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    pictures = 0.3 * torch.randn(n, 1, 8, 8, generator=generator)
    at = torch.randint(8, (n,), generator=generator)
    for i in range(n):
        row = pictures[i, 0, at[i]] if labels[i] == 0 else pictures[i, 0, :, at[i]]
        row += 1.5 * strength
    return pictures.clamp(-1, 1), labels


def test_a_perfect_generator_trains_as_well_as_real_data_and_a_mislabelled_one_fails():
    perfect = classification_performance(bars(200, 0), bars(200, 1), bars(100, 2))
    assert perfect.real_trained > 0.9 and abs(perfect.gap) < 0.08
    assert sum(perfect.by_class) / 2 == pytest.approx(perfect.fake_trained)
    pictures, labels = bars(200, 0)
    swapped = classification_performance((pictures, 1 - labels), bars(200, 1), bars(100, 2))
    assert swapped.fake_trained < 0.1 and swapped.gap > 0.8


def test_a_generator_without_one_class_has_no_recall_there():
    pictures, labels = bars(200, 0)
    found = classification_performance((pictures[::2], labels[::2]), bars(200, 1), bars(100, 2))
    assert found.by_class == (1.0, 0.0) and found.fake_trained == 0.5


def test_a_classifier_of_ones_own_is_used_and_the_global_state_left_alone():
    calls = []

    def fit(pictures, labels):
        calls.append(len(pictures))
        return lambda given: torch.zeros(len(given), dtype=torch.int64)

    assert classification_performance(bars(20, 0), bars(30, 1), bars(10, 2), fit)[:2] == (0.5, 0.5)
    assert calls == [20, 30]
    torch.manual_seed(1)
    state = torch.get_rng_state()
    classification_performance(bars(20, 0), bars(20, 1), bars(10, 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_must_be_one_integer_a_picture():
    pictures, labels = bars(10, 0)
    with pytest.raises(
        ValueError, match=r"labels of fake must be a tensor of integers \[N\], got \(10,\) of torch.float32"
    ):
        classification_performance((pictures, labels.float()), bars(10, 1), bars(10, 2))
    with pytest.raises(ValueError, match="fake needs one integer label a sample, got 9 for 10"):
        classification_performance((pictures, labels[1:]), bars(10, 1), bars(10, 2))


def test_feature_maps_are_max_pooled_to_four_by_four_and_joined():
    large = torch.zeros(2, 3, 16, 16)
    large[0, 1, 5, 15] = 7.0
    found = pooled_features([large, torch.ones(2, 5, 4, 4), torch.ones(2, 6)])
    assert found.shape == (2, 3 * 16 + 5 * 16 + 6)
    assert found[0, 16 + 4 * 1 + 3] == 7.0  # channel 1, row 5 // 4, column 15 // 4
    assert found[:, :48].sum() == 7.0
    with pytest.raises(ValueError, match="no features"):
        pooled_features([])


def test_an_svm_of_too_few_samples_says_so_and_one_of_just_enough_is_trained():
    x, y = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    with pytest.raises(ValueError, match="for 3 folds; got 2 classes of at most 2 samples"):
        linear_svm((x[:4], y[:4]), (x, y))
    with pytest.raises(ValueError, match=r"two classes.*got 1 classes of at most 20 samples"):
        linear_svm((x[1::2], y[1::2]), (x, y))
    assert linear_svm((x[:6], y[:6]), (x, y)).features == 6


def test_the_svm_separates_what_is_linear_and_not_what_is_noise():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 6, generator=generator)
    y = (x[:, 0] + x[:, 1] > 0).long()
    found = linear_svm((x[:200], y[:200]), (x[200:], y[200:]))
    assert found.accuracy > 0.95 and found.features == 6 and found.c in (1e-4, 1e-3, 1e-2, 1e-1)
    noise = torch.randint(2, (300,), generator=generator)
    assert linear_svm((x[:200], noise[:200]), (x[200:], noise[200:])).accuracy == pytest.approx(0.5, abs=0.15)
