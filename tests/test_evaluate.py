"""Evaluation: models with a known answer, protocols, what is kept and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from gan_zoo import evaluate
from gan_zoo.config import compose, validate
from gan_zoo.data.images import Digits, StackedDigits
from gan_zoo.data.stream import Shuffled
from gan_zoo.data.toy import Ring
from gan_zoo.evaluation import blind, cache, drawings, record, subjects
from gan_zoo.loading import build
from gan_zoo.metrics.features import Features, raw_pixels
from gan_zoo.metrics.frechet import frechet_distance
from gan_zoo.metrics.measures import Measure, by_subsets, quick, take, wilson
from gan_zoo.metrics.protocol import Figure, ProtocolMismatch, subset_interval
from gan_zoo.metrics.scores import duplicate_threshold
from gan_zoo.metrics.subject import (
    Judge,
    Reals,
    Subject,
    Truth,
    digits_judge,
    features_of,
    reals_of,
    subject_of,
    truth_of,
)
from gan_zoo.metrics.table import MEASURES, chosen
from gan_zoo.metrics.text_table import TOKEN_VIEWS
from gan_zoo.run import train
from gan_zoo.schema import ConfigError
from tests.data.configured import made

TINY = (
    "model=vanilla", "data=digits", "data.resolution=16", "max_samples=64", "sample_every=64", "logger=csv", "trainer.threads=1",
    "trainer.accelerator=cpu",
)  # fmt: skip


def ring(**settings: Any) -> Ring:
    usual = {"name": "ring", "resolution": 1, "channels": 2, "classes": 8, "modality": "points", "batch_size": 16, "size": 800,
             "held_out": 400, "fresh": False, "balanced": True, "count": 8, "radius": 1.0, "std": 0.01, "divisor": 1.0}  # fmt: skip
    return Ring(**{**usual, **settings})


def points_subject(fake: Tensor, **options: Any) -> Subject:
    data = ring()
    parts = [Reals(one.points(0), one.labels) for one in (data.train_set(), data.held_out_set())]
    return Subject(*parts, fake, features_of(data, fake), "points", "ring", truth_of(data), **options)


def pictures(n: int, seed: int, side: int = 16, channels: int = 1) -> Tensor:
    """Blurred noise: smooth enough to have neighbours, no two alike."""
    drawn = torch.rand(n, channels, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return 2 * torch.nn.functional.interpolate(drawn, size=(side, side), mode="bilinear").clamp(0, 1) - 1


def picture_subject(fake: Tensor, **options: Any) -> Subject:
    channels = fake.shape[1]
    parts = [Reals(pictures(n, seed, channels=channels), None) for n, seed in ((200, 1), (120, 2))]
    return Subject(*parts, fake, raw_pixels(), data="noise", **options)


def values(name: str, subject: Subject) -> dict[str, float]:
    return {
        figure: one.figure.value for figure, one in take(MEASURES[name], subject, intervals=False).items()
    }


# ---- generators whose answer is known ------------------------------------------------------------


def test_a_generator_of_one_mode_finds_one_mode() -> None:
    torch.manual_seed(0)
    fake = torch.tensor([0.0, 1.0]) + 0.001 * torch.randn(500, 2)  # the third of eight modes on the circle
    found = values("modes", points_subject(fake))
    assert found["modes"] == 1 and found["high_quality"] == 1.0
    assert found["reverse_kl"] == pytest.approx(math.log(8), abs=1e-9)
    assert MEASURES["modes"].details(points_subject(fake))["counts"] == [0, 0, 500, 0, 0, 0, 0, 0]  # type: ignore[misc]


def test_a_perfect_generator_finds_all_modes_and_cannot_be_told_apart() -> None:
    subject = points_subject(ring(seed=5).train_set().points(0)[:400])
    found = values("modes", subject)
    assert found["modes"] == 8 and found["reverse_kl"] < 1e-9
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.015)  # 98.9 % of a 2-D Gaussian
    assert values("one_nearest_neighbour", subject)["nn_accuracy"] == pytest.approx(0.5, abs=0.06)
    assert values("two_sample", subject)["c2st_accuracy"] == pytest.approx(0.5, abs=0.08)


def test_a_generator_that_returns_training_data_is_a_copier_of_precision_1() -> None:
    train_set = picture_subject(pictures(50, 9)).train.samples
    subject = picture_subject(train_set[:100].clone())
    assert values("copies", subject) == {"copied": 1.0, "nearest_distance": 0.0}
    assert values("neighbours", subject)["precision"] == 1.0
    honest = values("copies", picture_subject(pictures(100, 3)))
    assert honest["copied"] < 0.06 and honest["nearest_distance"] == pytest.approx(1.0, abs=0.1)


def test_a_mirrored_copy_is_a_copy_where_training_mirrored() -> None:
    train_set = picture_subject(pictures(50, 9)).train.samples
    turned = train_set[:100].flip(-1)
    assert values("copies", picture_subject(turned, mirrored=True)) == {
        "copied": 1.0,
        "nearest_distance": 0.0,
    }
    assert values("copies", picture_subject(turned))["copied"] < 0.1
    honest = values("copies", picture_subject(pictures(100, 3), mirrored=True))
    assert honest["copied"] < 0.06 and honest["nearest_distance"] == pytest.approx(1.0, abs=0.1)


def test_samples_are_held_against_training_items_as_they_stand() -> None:
    """Not against one draw of what augmentation makes of them."""
    for name in ("digits", "streets", "edges"):
        pairs = {"size": 20, "jitter": 0.2} if name != "digits" else {}
        data = made(name, resolution=32, flip=True, **pairs)
        plain = made(name, resolution=32, flip=False, **pairs | ({"jitter": 0.0} if pairs else {}))
        keys = [(i, 0, 32) for i in range(20)]
        wanted, found, trained = (
            items.__getitems__(keys)["real"]
            for items in (plain.train_set(), data.plain_train_set(), data.train_set())
        )
        assert torch.equal(found, wanted) and not torch.equal(trained, wanted), name
        assert data.flip is True  # training goes on as it was


def test_a_few_equal_training_pictures_leave_the_birthday_test_as_it_is() -> None:
    """Three in 400: in float32 their distance by |a|^2 + |b|^2 - 2ab is no 0, and would be the threshold."""
    real = pictures(400, 1, channels=3)
    copies = torch.cat([real[:-3], real[:3]])
    thresholds = [
        duplicate_threshold(Subject(Reals(train, None), Reals(real, None), real, raw_pixels(), data="noise"))
        for train in (real[:-3], copies)
    ]
    assert thresholds[0] == pytest.approx(thresholds[1], rel=1e-6) and thresholds[0] > 0.1


def test_figures_of_other_pictures_under_the_same_names_are_not_kept() -> None:
    one, other = picture_subject(pictures(20, 3)), picture_subject(pictures(20, 3))
    assert evaluate._settings(one, 20) == evaluate._settings(other, 20)
    other.train = other.train._replace(samples=-other.train.samples)
    assert evaluate._settings(one, 20)["data_sha256"] != evaluate._settings(other, 20)["data_sha256"]


def test_a_divergence_lies_within_its_own_interval() -> None:
    """Resamples of 400 points on eight modes are less even than the points themselves."""
    fake = ring(seed=5).train_set().points(0)[:403]
    figure = take(MEASURES["modes"], points_subject(fake))["reverse_kl"].figure
    assert figure.interval is not None and figure.interval.low <= figure.value <= figure.interval.high


def test_a_generator_of_one_picture_repeats_itself_in_every_batch() -> None:
    found = values("birthday", picture_subject(pictures(1, 3).expand(200, -1, -1, -1)))
    assert found["duplicates"] == 1.0 and found["support"] < 100
    assert values("birthday", picture_subject(pictures(200, 3)))["duplicates"] < 0.5
    assert values("ms_ssim", picture_subject(pictures(1, 3).expand(50, -1, -1, -1)))[
        "ms_ssim"
    ] == pytest.approx(1.0, abs=1e-6)


def test_digits_are_read_and_missing_classes_are_seen() -> None:
    data = Digits(
        name="digits", resolution=32, channels=1, classes=10, modality="image", batch_size=8, margin=1
    )
    items = data.train_set()
    batch = items.__getitems__([(i, 0, 32) for i in range(600)])
    real, labels = batch["real"].float() / 127.5 - 1, batch["condition"]
    fake = real[300:][labels[300:] < 3]
    parts = Reals(real[:300], labels[:300])
    found = values("digits", Subject(parts, parts, fake, features_of(data, fake), truth=truth_of(data)))
    assert found["classes_found"] == 3 and found["confident"] > 0.9
    assert found["class_kl"] == pytest.approx(math.log(10 / 3), abs=0.1)
    same = take(
        MEASURES["digits"], Subject(parts, parts, real[:300], features_of(data, fake), truth=truth_of(data))
    )
    figure = same["class_kl"].figure
    assert figure.value == pytest.approx(0, abs=1e-9)
    assert figure.interval is not None and figure.interval.low <= figure.value <= figure.interval.high
    none = take(
        MEASURES["digits"],
        Subject(parts, parts, -torch.ones_like(real), features_of(data, fake), truth=truth_of(data)),
    )
    share = none["confident"].figure
    assert (
        share.interval is not None and share.interval.high - share.interval.low > 0.005
    )  # a bootstrap of zeros has no width


def test_stacked_digits_are_numbers_of_their_channels() -> None:
    settings: dict[str, Any] = {
        "name": "stacked",
        "resolution": 32,
        "channels": 3,
        "classes": 1000,
        "modality": "image",
        "batch_size": 8,
    }
    data = StackedDigits(**settings, margin=1, items=300, held_out_items=60)
    batch = data.train_set().__getitems__([(i, 0, 32) for i in range(300)])
    fake, spelled = batch["real"].float() / 127.5 - 1, batch["condition"]
    parts = Reals(fake[:60], spelled[:60])
    subject = Subject(parts, parts, fake, features_of(data, fake), truth=truth_of(data), asked=spelled)
    assert values("stacked_modes", subject)["stacked_modes"] == pytest.approx(len(spelled.unique()), abs=12)
    assert values("asked_class", subject)["asked_class"] > 0.9


def test_the_class_asked_for_is_looked_at_sample_by_sample() -> None:
    shade = Judge("shade", None, "none", lambda x: (x.mean((1, 2, 3)) > 0).long())
    fake = torch.stack([torch.full((1, 16, 16), level) for level in (-0.5, 0.5, 0.5, 0.5)])
    reals = Reals(fake, torch.tensor([0, 1, 1, 0]))
    subject = Subject(
        reals, reals, fake, raw_pixels(), truth=Truth(judge=shade), asked=torch.tensor([0, 1, 1, 1])
    )
    one = take(MEASURES["asked_class"], subject)["asked_class"]
    assert one.figure.value == 1.0 and one.figure.floor == 0.75


def test_a_discriminator_that_knows_its_training_set_is_found_out() -> None:
    from gan_zoo.gan import Judgement

    subject = picture_subject(pictures(40, 3))
    known = subject.train.samples

    def recognises(samples: Tensor, labels: Tensor | None, keep: Any) -> Judgement:
        return Judgement(
            torch.tensor([float(any(torch.equal(one, other) for other in known)) for one in samples])
        )

    subject.discriminator = recognises
    assert values("memory", subject)["memory_auc"] == 1.0


# ---- figures, floors, intervals ------------------------------------------------------------------


def test_a_figure_carries_value_floor_interval_and_protocol() -> None:
    subject = picture_subject(pictures(200, 3), seed=4)
    one = take(MEASURES["frechet"], subject)["frechet_distance"]
    train_set, held_out, fake = subject.view("pixels")
    assert one.figure.value == frechet_distance(train_set, fake)
    assert one.figure.floor == frechet_distance(train_set, held_out)
    assert (
        one.floor_samples == 120 and one.matched is not None and one.matched > one.figure.value
    )  # biased: fewer, larger
    p = one.figure.protocol
    assert (p.metric, p.features, p.n_real, p.n_fake, p.split, p.seed) == (
        "frechet_distance",
        "pixels",
        200,
        200,
        "train",
        4,
    )


def test_intervals_of_a_score_are_those_of_the_protocol() -> None:
    train_set, _, fake = picture_subject(pictures(100, 3)).view("pixels")
    value = frechet_distance(train_set, fake)
    wanted = subset_interval(frechet_distance, train_set, fake, value=value, subsets=10, seed=0)
    score = by_subsets(10)(
        picture_subject(pictures(8, 3)),
        lambda a, b: {"x": frechet_distance(a, b)},
        train_set,
        fake,
        {"x": value},
    )
    found = score["x"]
    assert (found.low, found.high, found.method) == (
        pytest.approx(wanted.low),
        pytest.approx(wanted.high),
        wanted.method,
    )


def test_wilson_is_the_published_interval() -> None:
    one = wilson(1.0, 10)
    assert (one.low, one.high) == (pytest.approx(0.7225, abs=1e-4), 1.0)
    half = wilson(0.5, 100)
    assert (half.low, half.high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
    assert wilson(0.0, 50).low == 0.0


def test_an_interval_of_a_share_stays_within_0_and_1() -> None:
    found = take(MEASURES["neighbours"], picture_subject(pictures(60, 3)))
    for name in ("precision", "recall", "coverage"):
        interval = found[name].figure.interval
        assert interval is not None and 0 <= interval.low <= found[name].figure.value <= interval.high <= 1


def test_names_of_measures_are_checked_against_what_fits() -> None:
    subject = points_subject(torch.randn(50, 2))
    assert {"modes", "frechet", "neighbours", "swd"} <= set(chosen(subject, None))
    assert not {"ms_ssim", "digits", "fingerprints"} & set(chosen(subject, None))
    with pytest.raises(ConfigError, match="did you mean neighbours"):
        chosen(subject, ["neighbors"])
    with pytest.raises(ConfigError, match=r"ms_ssim does not fit points.*modes"):
        chosen(subject, ["ms_ssim"])


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_each_measure_explains_each_of_its_numbers(name: str) -> None:
    measure: Measure = MEASURES[name]
    subjects = [
        points_subject(torch.randn(60, 2)),
        *(picture_subject(pictures(60, 3, channels=c)) for c in (1, 3)),
    ]
    for subject in subjects:
        if measure.view not in TOKEN_VIEWS and measure.fits(subject):
            found, may_lack = quick(measure, subject), [f"patch_swd_{2**power}" for power in range(5, 11)]
            assert {*found, *may_lack} == {*measure.figures, *may_lack}


def test_a_subject_of_other_fakes_keeps_the_views_of_reals() -> None:
    calls: list[int] = []

    def count(given: Tensor) -> Tensor:
        calls.append(len(given))
        return given.flatten(1)

    subject = picture_subject(pictures(30, 3))
    subject.features = Features("counted", None, "none", count)
    quick(MEASURES["frechet"], subject)
    seen = len(calls)
    other = subject.with_fakes(pictures(20, 4))
    quick(MEASURES["frechet"], other)
    assert calls[seen:] == [20]


class SortedByClass:
    """900 grey pictures whose level is their number, 300 of each of three classes, one class after the other."""

    def __len__(self) -> int:
        return 900

    def __getitems__(self, keys: Any) -> dict[str, Tensor]:
        index = torch.tensor([key[0] for key in keys])
        level = (index // 4).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        return {"real": level.contiguous(), "condition": index // 300}


def test_fewer_reals_than_there_are_show_all_classes_of_a_sorted_folder() -> None:
    """Of 90 of the 900, 30 of each class are expected, with a deviation of 4.2 (hypergeometric)."""
    gan = build(validate(compose(TINY)))
    some = reals_of(gan, Shuffled(SortedByClass()), 8, 90, chunk=50)
    assert some.labels is not None and len(some.samples) == 90
    for wanted in (some.labels, some.labels[:45]):  # measures look at the first few of what they are given
        shares = wanted.bincount(minlength=3) / len(wanted)
        assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.2)
    levels = ((some.samples[:, 0, 0, 0] + 1) * 127.5).round().long()
    assert torch.equal(levels * 4 // 300, some.labels)  # labels stay with their pictures
    again = reals_of(gan, Shuffled(SortedByClass()), 8, 90, chunk=7)
    assert torch.equal(again.samples, some.samples)
    paired = reals_of(gan, SortedByClass(), 8, 90)  # fake i was made from item i
    assert paired.labels is not None and int(paired.labels.max()) == 0
    whole = reals_of(gan, Shuffled(SortedByClass()), 8, 5000)
    assert whole.labels is not None and whole.labels.bincount().tolist() == [300] * 3


# ---- the cache -----------------------------------------------------------------------------------


def test_features_of_reals_are_taken_once_and_damage_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(cache, "LEAST_BYTES", 0)
    calls: list[int] = []

    def network(given: Tensor) -> Tensor:
        calls.append(len(given))
        return given.flatten(1)[:, :3]

    features, given = Features("net", "ab" * 32, "none", network), pictures(20, 1)
    first = cache.remembered(given, features)
    assert torch.equal(cache.remembered(given, features), first) and calls == [20]
    cache.remembered(pictures(20, 2), features)
    cache.remembered(given, Features("net", "cd" * 32, "none", network))
    assert calls == [20, 20, 20]  # other pictures, other weights
    for path in (tmp_path / "features").iterdir():
        path.write_bytes(b"rubbish")
    assert torch.equal(cache.remembered(given, features), first) and len(calls) == 4


# ---- the blind test ------------------------------------------------------------------------------


def test_the_blind_test_is_half_real_and_scored() -> None:
    test = blind.make(picture_subject(pictures(40, 3)), "abc", pairs=6)
    truth = [item["real"] for item in test["items"]]
    assert len(truth) == 12 and sum(truth) == 6
    assert sorted(i for one in test["rounds"] for i in one) == list(range(12))
    assert all(sum(truth[i] for i in one) == 2 for one in test["rounds"])
    said = {str(i): "real" if real or i == truth.index(False) else "fake" for i, real in enumerate(truth)}
    ranked = [sorted(one, key=lambda i: not truth[i]) for one in test["rounds"]]
    found = blind.score({"identity": "abc", "said": said, "ranked": ranked}, test)
    assert found["accuracy"] == pytest.approx(11 / 12) and found["fooled"] == pytest.approx(1 / 6)
    assert found["real_first"] == 1.0 and found["pairs"] == 12
    assert found["p_value"] == pytest.approx(26 / 4096)  # 2 (C(12, 0) + C(12, 1)) / 2^12
    with pytest.raises(ValueError, match="other pictures"):
        blind.score({"identity": "xyz", "said": {}}, test)


@pytest.mark.parametrize(("right", "n", "p"), [(8, 10, 0.109375), (5, 10, 1.0), (0, 5, 0.0625)])
def test_the_binomial_test_is_exact(right: int, n: int, p: float) -> None:
    assert blind.binomial_p(right, n) == pytest.approx(p)


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, evaluated."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = validate(compose([*TINY, f"output_dir={folder}", "data.batch_size=32"]))
    assert train(config) == 0
    evaluate.main(run=str(folder), n=64, metrics=["digits", "frechet", "birthday", "memory"])
    return folder


def test_evaluation_json_is_plain_and_reads_back(run: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    content = json.loads((run / record.NAME).read_text(), parse_constant=refuse)
    assert set(content["measures"]) == {"digits", "frechet", "birthday", "memory"}
    assert content["run"]["samples_seen"] == 64 and content["settings"]["n"] == 64
    figures = record.figures(run)
    assert figures["frechet_distance"].floor is not None and figures["frechet_distance"].interval is not None
    assert figures["frechet_distance"].protocol.features == "digits-classifier"
    for item in content["pictures"]:
        assert (run / "evaluation" / item["file"]).read_bytes().startswith(b"\x89PNG")
    assert {"classes.png", "nearest_neighbours.png", "spectra.png"} <= {
        item["file"] for item in content["pictures"]
    }


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of a small evaluation's time goes into its pictures."""
    monkeypatch.setattr(drawings, "draw_all", lambda subject, folder: [])


@pytest.mark.usefixtures("undrawn")
def test_what_was_measured_is_kept_unless_it_is_asked_for_afresh(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    once = evaluate._one

    def counted(measure: Measure, subject: Subject) -> dict[str, Any]:
        asked.append(measure.title)
        return once(measure, subject)

    monkeypatch.setattr(evaluate, "_one", counted)
    evaluate.main(run=str(run), n=64, metrics=["digits", "spectrum"])
    assert asked == ["Power spectrum"]
    assert "frechet" in json.loads((run / record.NAME).read_text())["measures"]
    evaluate.main(run=str(run), n=64, metrics=["digits", "frechet", "birthday", "memory"], fresh=True)
    assert len(asked) == 5


@pytest.mark.usefixtures("undrawn")
def test_measures_that_so_few_samples_do_not_allow_are_left_out_and_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    evaluate.main(run=str(own), n=3, fresh=True)
    said = capsys.readouterr().out
    assert "Classifier two-sample test: not measured; real holds 3 samples, at least 4 are needed" in said
    measured = json.loads((own / record.NAME).read_text())["measures"]
    assert "two_sample" not in measured and {"frechet", "ndb"} <= set(measured)
    with pytest.raises(ConfigError, match="metrics: two_sample: real holds 3 samples"):
        evaluate.main(run=str(own), n=3, metrics=["two_sample"])


def test_training_pictures_that_are_all_alike_have_no_distance_between_them() -> None:
    grey = Reals(torch.full((60, 1, 16, 16), 0.3), None)
    same = Subject(grey, grey, torch.full((60, 1, 16, 16), 0.3), raw_pixels(), data="grey")
    assert values("birthday", same)["duplicates"] == 1.0
    assert (
        values("birthday", Subject(grey, grey, pictures(60, 1), raw_pixels(), data="grey"))["duplicates"] == 0
    )


@pytest.mark.usefixtures("undrawn")
def test_the_same_run_is_the_same_figures(run: Path) -> None:
    before = {name: one.value for name, one in record.figures(run).items()}
    evaluate.main(run=str(run), n=64, metrics=["digits", "frechet", "birthday", "memory"], fresh=True)
    assert {name: one.value for name, one in record.figures(run).items()} == before


@pytest.mark.usefixtures("undrawn")
def test_figures_of_other_protocols_are_not_compared(run: Path, tmp_path: Path) -> None:
    figures = record.figures(run)
    assert set(record.compared(figures, figures).values()) == {"equal"}
    one = figures["frechet_distance"].to_dict()
    one["protocol"]["n_fake"] = 50_000
    with pytest.raises(ProtocolMismatch, match="n_fake: 64 and 50000"):
        record.compared(figures, {"frechet_distance": Figure.from_dict(one)})
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads((run / record.NAME).read_text())
    content["measures"]["frechet"]["figures"]["frechet_distance"]["figure"] = one
    (other / record.NAME).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="cannot be compared"):
        evaluate.main(run=str(run), n=64, metrics=["frechet"], against=str(other))


def test_better_and_not_apart_are_told_from_each_other(run: Path) -> None:
    mine = record.figures(run)["frechet_distance"]
    low = {
        **mine.to_dict(),
        "value": 0.0,
        "interval": {"low": -1e-9, "high": 1e-9, "level": 0.95, "error": 1e-9, "method": "none"},
    }
    wide = {**low, "interval": {**low["interval"], "low": -1e9, "high": 1e9}}
    verdicts = [record.compared({"x": Figure.from_dict(one)}, {"x": mine})["x"] for one in (low, wide)]
    assert verdicts == ["better", "not apart"]


def test_mistakes_are_told_before_anything_is_measured(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean frechet"):
        evaluate.main(run=str(run), n=64, metrics=["frechett"])
    with pytest.raises(ConfigError, match="weights"):
        evaluate.main(run=str(run), features="inception")
    with pytest.raises(ConfigError, match="not evaluated yet"):
        evaluate.main(run=str(run), against=str(tmp_path))
    (tmp_path / record.NAME).write_text('{"format": 99}')
    with pytest.raises(ConfigError, match="format 99 came"):
        record.figures(tmp_path)


def test_torchvisions_networks_are_features_by_name_and_node(tmp_path):
    network = torchvision.models.squeezenet1_1(weights=None)
    torch.save(network.state_dict(), tmp_path / "squeezenet.pth")
    weights = str(tmp_path / "squeezenet.pth")
    found, scorer = subjects.chosen_features(
        "torchvision", weights, None, "cpu", network="squeezenet1_1:features"
    )
    assert found is not None and found.name == "torchvision-squeezenet1_1-features" and scorer is None
    assert found(torch.zeros(2, 1, 8, 8)).shape == (2, 512 * 13 * 13)
    for network_name, words in (
        ("squeezenet1_1", "NAME:NODE"),
        ("squeezenet9:features", "squeezenet9"),
        ("squeezenet1_1:head", "head"),
    ):
        with pytest.raises(ConfigError, match=words):
            subjects.chosen_features("torchvision", weights, None, "cpu", network=network_name)


def test_inceptions_weights_are_fetched_only_when_asked(tmp_path, monkeypatch):
    asked = []

    def fetch(url, target, **options):
        asked.append((url, Path(target).name))
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="download=true"):
        subjects.chosen_features("inception", None, None, "cpu")
    assert not asked
    with pytest.raises(ConfigError, match=r"no network.*weights=FILE"):
        subjects.chosen_features("inception", None, None, "cpu", download=True)
    assert [name for _, name in asked] == ["weights-inception-2015-12-05-6726825d.pth"]


def test_a_conditional_model_is_asked_for_the_classes_of_the_data() -> None:
    from gan_zoo import loading
    from gan_zoo.run import data_module

    config = validate(compose(["model=cgan", "data=digits", "data.resolution=16", "data.batch_size=8"]))
    subject = subject_of(loading.build(config), data_module(config), 100, reals=200)
    assert subject.asked is not None and len(subject.asked) == 100
    assert {"asked_class", "classification", "memory"} <= set(chosen(subject, None))
    with pytest.raises(ConfigError, match="discriminator_svm does not fit"):  # D is told the label
        chosen(subject, ["discriminator_svm"])
    assert subject.truth.judge is not None and subject.truth.judge[:3] == digits_judge()[:3]
    assert 0 <= values("memory", subject)["memory_auc"] <= 1
