"""What fakes and D's features are good for: train on fake, test on real; a linear SVM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, cross_entropy

from gan_zoo.metrics.inputs import as_classes, as_pictures, at_least, feature_pair, require_pictures, seeded

Fit = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]


class Classification(NamedTuple):
    """Accuracies on held-out reals of a classifier trained on fakes and of one trained on reals."""

    fake_trained: float
    real_trained: float
    gap: float
    by_class: tuple[float, ...]  # recall of each class, trained on fakes; NaN for a class the test set lacks


class SVM(NamedTuple):
    """Test accuracy of a linear SVM, the C that cross-validation chose, number of features."""

    accuracy: float
    c: float
    features: int


def convolutional_fit(
    classes: int, *, width: int = 32, epochs: int = 20, lr: float = 2e-3, batch: int = 64, seed: int = 0
) -> Fit:
    """The default classifier: three stride-2 convolutions with batch norm, a linear layer, Adam; sides >= 8.

    Returns fit(pictures, labels) -> predict(pictures) -> int64 [N]. Runs on the device of the pictures,
    leaves the global random state as it was.
    """

    def fit(pictures: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        generator = seeded(seed)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            network = _network(pictures.shape[1], width, classes).to(pictures.device)
            optimizer = torch.optim.Adam(network.parameters(), lr=lr)
            for _ in range(epochs):
                for index in (
                    torch.randperm(len(pictures), generator=generator).to(labels.device).split(batch)
                ):
                    if len(index) < 2:
                        continue  # batch norm cannot normalise one sample
                    optimizer.zero_grad()
                    cross_entropy(network(pictures[index]), labels[index]).backward()
                    optimizer.step()
        network.eval().requires_grad_(False)
        return lambda given: torch.cat([network(some).argmax(1) for some in given.split(512)])

    return fit


def _network(channels: int, width: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16 * width, classes))


def classification_performance(
    fake: tuple[Tensor, Tensor],
    real: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    fit: Fit | None = None,
) -> Classification:
    """Train on fake, test on real (Ravuri & Vinyals 2019), beside train on real.

    Each: (pictures [N, C, H, W], labels int64 [N]); the fakes' labels are the conditions they were drawn for.
    Give as many fakes as reals, and held-out reals as `test`. fit: (pictures, labels) -> predict; None is
    convolutional_fit.
    """
    sets = {"fake": fake, "real": real, "test": test}
    ready = {name: _labelled(name, *one) for name, one in sets.items()}
    shapes = {name: tuple(pictures.shape[1:]) for name, (pictures, _) in ready.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"pictures of one shape are needed, got {shapes}; resize them to one side")
    classes = int(max(labels.max() for _, labels in ready.values())) + 1
    fit = fit or convolutional_fit(classes)
    pictures, labels = ready["test"]
    guesses = {name: fit(*ready[name])(pictures) for name in ("fake", "real")}
    right = {name: float((guess == labels).double().mean()) for name, guess in guesses.items()}
    recalls = tuple(float((guesses["fake"][labels == k] == k).double().mean()) for k in range(classes))
    return Classification(right["fake"], right["real"], right["real"] - right["fake"], recalls)


def _labelled(name: str, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    require_pictures(pictures, name)
    labels = _labels(name, labels, len(pictures))
    return as_pictures(pictures, name).float(), labels.to(pictures.device)


def _labels(name: str, labels: Tensor, samples: int) -> Tensor:
    labels = as_classes(labels, f"labels of {name}")
    if len(labels) != samples:
        raise ValueError(f"{name} needs one integer label a sample, got {len(labels)} for {samples}")
    return labels


def pooled_features(features: Sequence[Tensor], side: int = 4) -> Tensor:
    """D's maps of all layers, max-pooled to side x side, joined: [N, F] (Radford et al. 2016, sec. 5.1).

    Maps are [N, C, H, W]; smaller ones than side x side and vectors [N, C] are taken as they are.
    """
    if not features:
        raise ValueError("no features given; ask the discriminator for its feature maps")
    if len({len(one) for one in features}) > 1 or min(one.ndim for one in features) < 2:
        raise ValueError(
            f"features must be [N, ...] of the same samples, got {[tuple(one.shape) for one in features]}"
        )
    found = []
    for one in features:
        large = one.ndim == 4 and min(one.shape[-2:]) > side
        found.append((adaptive_max_pool2d(one, side) if large else one).flatten(1))
    return torch.cat(found, 1)


def linear_svm(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    c: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1),
    folds: int = 3,
) -> SVM:
    """L2-SVM on standardised features (scikit-learn's LinearSVC), C by cross-validation.

    Each: (features [N, F], labels int64 [N]), e.g. pooled_features of D. Chance is 1 / classes; print the SVM
    on raw pixels beside it.
    """
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    at_least(2, folds=folds)
    features, tested = feature_pair(train[0], test[0], least=1, names=("train", "test"))
    labels, wanted = _labels("train", train[1], len(features)), _labels("test", test[1], len(tested))
    shown = labels.unique(return_counts=True)[1]
    if len(shown) < 2 or shown.max() < folds:
        raise ValueError(
            f"a linear SVM needs two classes, and {folds} samples of one for {folds} folds; got {len(shown)} classes of at most "
            f"{int(shown.max())} samples: give more"
        )
    x, y = features.cpu().numpy(), labels.cpu().numpy()
    machine = make_pipeline(StandardScaler(), LinearSVC(dual="auto", random_state=0, max_iter=5000))
    search = GridSearchCV(machine, {"linearsvc__C": list(c)}, cv=folds).fit(x, y)
    accuracy = search.score(tested.cpu().numpy(), wanted.cpu().numpy())
    return SVM(float(accuracy), float(search.best_params_["linearsvc__C"]), x.shape[1])
