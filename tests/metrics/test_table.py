"""Measures that an evaluation takes, on generators whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_zoo.data.avatar_attributes import CHOICES
from gan_zoo.data.avatars import Avatars
from gan_zoo.data.toy import Triangles, coverage, triangle_vertices
from gan_zoo.gan import Judgement
from gan_zoo.metrics.features import Features, raw_pixels
from gan_zoo.metrics.inception_score import modified_score_by_class
from gan_zoo.metrics.inputs import as_bytes
from gan_zoo.metrics.manifold import CORNERS, RANGE
from gan_zoo.metrics.measures import normal_interval, of_auc, quick, take
from gan_zoo.metrics.protocol import ProtocolMismatch
from gan_zoo.metrics.subject import Reals, Search, Source, Subject, judged, source_of, subject_of, truth_of
from gan_zoo.metrics.table import MEASURES, chosen
from gan_zoo.metrics.usefulness import pooled_features


def normal(n: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) + shift


def identity(given: Tensor) -> Tensor:
    return given.flatten(1)


COORDINATES = Features("coordinates", None, "none", identity)


# ---- discrepancy and class scores ----------------------------------------------------------------


def test_mmd_of_two_gaussians_is_the_closed_form() -> None:
    shift = 1.0
    subject = Subject(
        Reals(normal(3000, 0), None), Reals(normal(500, 1), None), normal(3000, 2, shift), COORDINATES, "points"
    )  # fmt: skip
    found = take(MEASURES["mmd"], subject)["mmd"]
    width = float(found.figure.protocol.settings["bandwidth"])  # type: ignore[arg-type]
    # median of |x - y| for x - y ~ N(0, 2 I) in the plane: |x - y|^2 / 4 is exponential, so sqrt(4 ln 2)
    assert width == pytest.approx(math.sqrt(4 * math.log(2)), rel=0.03)
    spread = width**2 + 2
    wanted = (
        2 * width**2 / spread * (1 - math.exp(-2 * shift**2 / (2 * spread)))
    )  # per axis s / sqrt(s^2 + 2)
    assert found.figure.value == pytest.approx(wanted, rel=0.08)
    assert abs(found.figure.floor or 1.0) < 0.005
    interval = found.figure.interval
    assert interval is not None and interval.error < 0.01
    assert abs(found.figure.value - wanted) < 3 * interval.error


@pytest.mark.parametrize(("held_out", "said"), [(16, True), (17, False)])
def test_a_frechet_distance_of_fewer_samples_than_dimensions_says_so(held_out: int, said: bool) -> None:
    def rows(n: int) -> Tensor:
        return torch.randn(n, 16, generator=torch.Generator().manual_seed(n))

    subject = Subject(Reals(rows(40), None), Reals(rows(held_out), None), rows(50), COORDINATES, "points")
    details = MEASURES["frechet"].details
    assert details is not None
    words = details(subject).get("verdict", "")
    assert ("16 held-out samples do not fill a covariance of 16 dimensions" in words) == said


def of_seed(seed: int, **changes: Any) -> Subject:
    values: dict[str, Any] = {"data": "cloud", "seed": seed, **changes}
    reals = [Reals(normal(n, k), None) for n, k in ((3000, 0), (300, 1))]
    return Subject(*reals, normal(400, 2), COORDINATES, "points", **values)


def test_figures_of_another_seed_are_compared_and_those_of_other_data_are_not() -> None:
    names = ("mmd", "frechet", "copies", "parzen", "data_coverage")
    for name in names:
        one, other = (take(MEASURES[name], of_seed(seed)) for seed in (0, 1))
        for figure in one:
            one[figure].figure.better_than(other[figure].figure)
    frechet = take(MEASURES["frechet"], of_seed(0))["frechet_distance"].figure
    other = take(MEASURES["frechet"], of_seed(0, data="ring"))["frechet_distance"].figure
    with pytest.raises(ProtocolMismatch, match="data: 'cloud' and 'ring'"):
        frechet.better_than(other)
    mirrored = take(MEASURES["copies"], of_seed(0))["copied"].figure.protocol
    assert mirrored.settings == {"quantile": 0.01, "mirrored": False, "held_out": 300}


def test_every_figure_of_a_perfect_model_lies_in_its_interval() -> None:
    kinds = ("parzen", "data_coverage", "frechet", "copies", "neighbours", "one_nearest_neighbour", "mmd")
    for name in kinds:
        for figure, found in take(MEASURES[name], of_seed(0)).items():
            interval = found.figure.interval
            assert interval is not None and interval.low <= found.figure.value <= interval.high, figure


def test_the_interval_of_few_subsets_is_students() -> None:
    # Student 1908: 95 % of 4 degrees of freedom lie within 2.776 deviations, of 9 within 2.262
    for draws, wanted in ((5, 2.776), (10, 2.262), (None, 1.960)):
        interval = normal_interval(1.0, 0.5, "", draws)
        assert (interval.high - interval.low) / 2 == pytest.approx(wanted * 0.5, abs=5e-4)


def test_the_interval_of_an_auc_is_hanleys_and_mcneils() -> None:
    # Hanley & McNeil 1982, table: AUC 0.8 of 50 against 50: standard error 0.0444 by their formula
    interval = of_auc(0.8, 50, 50)
    q1, q2 = 0.8 / 1.2, 2 * 0.64 / 1.8
    wanted = math.sqrt((0.8 * 0.2 + 49 * (q1 - 0.64) + 49 * (q2 - 0.64)) / 2500)
    assert interval.error == pytest.approx(wanted, rel=1e-12) and wanted == pytest.approx(0.0444, abs=5e-4)
    assert of_auc(1.0, 50, 50).error == 0


def test_a_class_that_varies_inside_has_a_modified_score_above_1() -> None:
    rows = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8]], dtype=torch.float64)
    p, q = rows[:2]
    apart = float((p * (p / q).log()).sum() + (q * (q / p).log()).sum())
    wanted = (math.exp(apart / 4) + 1.0) / 2  # of 4 ordered pairs two differ; the other class says one thing
    assert modified_score_by_class(rows) == pytest.approx(wanted, rel=1e-12)
    assert modified_score_by_class(rows[1:3]) == 1.0  # no class with two samples


def test_a_scorer_gives_the_inception_score_and_its_name() -> None:
    """Two classes told apart with certainty, half the samples each: a score of 2, and no mode score beyond it."""

    def sides(pictures: Tensor) -> Tensor:
        right = (pictures.flatten(1).mean(1) > 0).float()
        return torch.stack([1 - right, right], 1)

    levels = torch.linspace(-0.9, 0.9, 40).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    reals = Reals(levels, None)
    subject = Subject(
        reals, reals, levels, raw_pixels(), scorer=Features("sides", "abc", "none", sides), data="levels"
    )
    found = take(MEASURES["inception_score"], subject)
    assert found["inception_score"].figure.value == pytest.approx(2.0, rel=1e-9)
    assert found["mode_score"].figure.value == pytest.approx(2.0, rel=1e-9)
    assert found["modified_inception_score"].figure.value == pytest.approx(1.0, rel=1e-9)
    protocol = found["inception_score"].figure.protocol
    assert (protocol.features, protocol.features_sha256) == ("sides", "abc")
    assert "digits" not in chosen(subject, None)  # its classes are not the data's


# ---- the generator itself ------------------------------------------------------------------------


def linear(weight: Tensor, shape: tuple[int, ...]) -> Source:
    """G(z) = W z on uniform latents."""

    def latents(n: int, seed: int) -> Tensor:
        return 2 * torch.rand(n, weight.shape[1], generator=torch.Generator().manual_seed(seed % 2**63)) - 1

    def draw(z: Tensor) -> Tensor:
        return (z @ weight.T).unflatten(1, shape)

    return Source(latents, "lerp", draw, draw)


def test_path_length_of_a_linear_generator_is_its_trace() -> None:
    weight = 0.01 * torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
    pictures = linear(weight, (1, 16, 16)).sample(torch.zeros(20, 6))
    parts = Reals(pictures, None)
    subject = Subject(parts, parts, pictures, raw_pixels(), source=linear(weight, (1, 16, 16)))
    one = take(MEASURES["path_length"], subject)["path_length"].figure
    wanted = 2 / 3 * float(weight.square().sum())  # E |W (b - a)|^2, each value of b - a of variance 2/3
    assert one.value == pytest.approx(wanted, rel=0.05)
    assert one.interval is not None and one.interval.low < one.value < one.interval.high
    assert one.protocol.settings["path"] == "lerp" and one.floor is None


def test_path_length_is_not_that_of_rounded_pictures() -> None:
    weight = 0.01 * torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
    pictures = linear(weight, (1, 16, 16)).sample(torch.zeros(20, 6))
    parts = Reals(pictures, None)
    plain = raw_pixels()
    rounding = Features("bytes", None, "none", lambda x: plain(as_bytes(x)), plain)
    subject = Subject(parts, parts, pictures, rounding, source=linear(weight, (1, 16, 16)))
    found = quick(MEASURES["path_length"], subject)["path_length"]
    assert found == pytest.approx(2 / 3 * float(weight.square().sum()), rel=0.05)


def test_path_length_is_taken_anew_of_another_moment() -> None:
    pictures = torch.zeros(20, 1, 16, 16)
    parts = Reals(pictures, None)
    weight = 0.01 * torch.ones(256, 2)
    subject = Subject(parts, parts, pictures, raw_pixels(), source=linear(weight, (1, 16, 16)))
    before = quick(MEASURES["path_length"], subject)["path_length"]
    weight.mul_(2)
    assert quick(MEASURES["path_length"], subject.with_fakes(pictures))["path_length"] == pytest.approx(
        4 * before, rel=0.01
    )


def triangle_source(turn: float) -> Source:
    """G that draws exactly the triangles whose rotation is below `turn`; its latent is three corners and that, radians."""

    def latents(n: int, seed: int) -> Tensor:
        return torch.rand(n, 4, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
            [*[RANGE] * 3, turn]
        )

    def draw(z: Tensor) -> Tensor:
        vertices = triangle_vertices(CORNERS + z[:, :3].clamp(0, RANGE), z[:, 3].clamp(0, turn))
        return 1 - 2 * coverage(vertices, 28, subpixels=4, smooth=True).unsqueeze(1)

    return Source(latents, "lerp", draw, draw)


@pytest.mark.parametrize(("turn", "recall"), [(2 * math.pi, (0.9, 1.0)), (0.5, (0.0, 0.8))])
def test_a_generator_of_some_rotations_is_precise_and_recalls_only_those(
    turn: float, recall: tuple[float, float]
) -> None:
    data = triangles()
    held_out = data.held_out_set().__getitems__([(i, 0, 28) for i in range(24)])["real"].float() / 127.5 - 1
    source, parts = triangle_source(turn), Reals(held_out, None)
    fake = source.sample(source.latents(24, 3))
    subject = Subject(
        parts, parts, fake, raw_pixels(), truth=truth_of(data), source=source, search=Search(24)
    )
    found = take(MEASURES["manifold"], subject)
    assert found["manifold_precision"].figure.value == 1.0
    assert recall[0] <= found["manifold_recall"].figure.value <= recall[1]
    assert found["manifold_precision"].figure.floor == 1.0 and found["manifold_recall"].figure.floor is None
    assert found["manifold_precision"].figure.protocol.n_fake == 24


def triangles() -> Triangles:
    return Triangles(name="triangles", resolution=28, channels=1, classes=0, modality="image", batch_size=8, size=64,
                     held_out=64, drawing_seed=0, faithful_rotation_bug=False)  # fmt: skip


def test_pictures_beyond_the_range_are_clipped_and_g_can_be_asked_again() -> None:
    """PGGAN's last layer is linear, so what it draws at first lies anywhere."""
    from gan_zoo import loading
    from gan_zoo.config import compose, validate
    from gan_zoo.metrics.subject import fakes_of
    from gan_zoo.run import data_module

    config = validate(compose(["model=pggan", "data.resolution=16", "data.batch_size=8"]))
    gan = loading.build(config)
    with torch.no_grad():
        for layer in gan.generator.to_rgb:  # type: ignore[union-attr]
            layer.bias.fill_(3.0)  # type: ignore[union-attr]
    gan.ema_generator.load_state_dict(gan.generator.state_dict())  # type: ignore[union-attr]
    assert gan.sample(4).max() > 1
    assert fakes_of(gan, data_module(config), 4, 0).max() == 1.0
    source = source_of(gan)
    assert source is not None and source.walk == "slerp"
    z = source.latents(3, 1).requires_grad_()
    torch.testing.assert_close(source.differentiable(z).clamp(-1, 1), source.sample(z.detach()))
    (gradient,) = torch.autograd.grad(source.differentiable(z).sum(), z)
    assert gradient.shape == (3, 64) and not any(p.grad is not None for p in gan.parameters())


# ---- attributes ----------------------------------------------------------------------------------


def avatars(**settings: Any) -> Avatars:
    usual = {"name": "avatars", "resolution": 32, "channels": 3, "classes": 0, "modality": "image", "batch_size": 8,
             "size": 600, "held_out": 200, "drawing_seed": 0, "label": "hair_style"}  # fmt: skip
    return Avatars(**{**usual, **settings})


def faces(data: Avatars, held_out: bool = False) -> Tensor:
    items = data.held_out_set() if held_out else data.train_set()
    return items.__getitems__([(i, 0, 32) for i in range(len(items))])["real"].float() / 127.5 - 1


def test_equal_sets_of_faces_have_no_divergence_of_attributes() -> None:
    real = faces(avatars())
    subject = Subject(Reals(real, None), Reals(real, None), real, raw_pixels(), truth=truth_of(avatars()))
    found = take(MEASURES["attributes"], subject)
    # half a count more in each of some 6 cells of 600 faces, of some 30 of pairs
    assert 0 <= found["attribute_kl"].figure.value < 1e-3
    assert 0 <= found["attribute_pair_kl"].figure.value < 1e-2
    for one in found.values():
        assert one.figure.interval.low <= one.figure.value <= one.figure.interval.high


def test_a_generator_of_one_background_lacks_the_others() -> None:
    data = avatars()
    real, held_out = faces(data), faces(data, held_out=True)
    chosen_ones = data.attribute_table()["background"][:600] == 2
    subject = Subject(
        Reals(real, None), Reals(held_out, None), real[chosen_ones], raw_pixels(), truth=truth_of(data)
    )
    found = take(MEASURES["attributes"], subject)
    # ln(1 / share) of one of four attributes, and what so few faces leave to chance of the others
    share = chosen_ones.float().mean().item()
    assert found["attribute_kl"].figure.value == pytest.approx(-math.log(share) / 4 + 0.05, abs=0.05)
    assert (found["attribute_kl"].figure.floor or 1) < 0.2  # of as many held-out faces
    rows = MEASURES["attributes"].details(subject)["attributes"]  # type: ignore[misc]
    background = {choice: share for name, choice, share, *_ in rows if name == "background"}
    assert max(background, key=lambda name: background[name]) == CHOICES["background"][2]
    assert sum(background.values()) == pytest.approx(1.0)


def test_faces_learnt_by_heart_tie_attributes_together() -> None:
    data = avatars()
    real, held_out = faces(data), faces(data, held_out=True)
    few = Subject(
        Reals(real, None), Reals(held_out, None), real[:12].repeat(20, 1, 1, 1), raw_pixels(), truth=truth_of(data)
    )  # fmt: skip
    one = take(MEASURES["attributes"], few, intervals=False)["attribute_pair_kl"].figure
    assert one.floor is not None and one.value > 4 * one.floor


def test_the_class_of_avatars_is_read_where_it_can_be_read() -> None:
    judge = truth_of(avatars(label="skin", classes=6)).judge
    assert judge is not None
    data = avatars(label="skin", classes=6)
    right = judge.classify(faces(data)) == data.attribute_table()["skin"][:600]
    assert right.float().mean() > 0.95
    assert truth_of(avatars(label="mouth", classes=7)).judge is None
    assert truth_of(avatars(label="skin", classes=6), 8).judge is None  # skin shows from 16 pixels on


# ---- pairs ---------------------------------------------------------------------------------------


def test_pairs_are_compared_one_by_one() -> None:
    held_out = torch.linspace(-0.8, 0.8, 6).view(-1, 1, 1, 1) + torch.zeros(6, 1, 16, 16)
    reals, fake = Reals(held_out, None), held_out + 0.2  # 10 log10(2^2 / 0.2^2) = 20 dB each
    subject = Subject(reals, reals, fake, raw_pixels(), paired=True)
    assert quick(MEASURES["pairs"], subject)["psnr"] == pytest.approx(20.0, abs=1e-4)
    one = take(MEASURES["pairs"], subject)["psnr"].figure
    assert one.floor is None and one.interval is not None and one.interval.error == pytest.approx(0, abs=1e-5)
    swapped = Subject(reals, reals, fake.flip(0), raw_pixels(), paired=True)
    assert quick(MEASURES["pairs"], swapped)["psnr"] < 15
    assert "pairs" not in chosen(Subject(reals, reals, fake, raw_pixels()), None)


# ---- fingerprints --------------------------------------------------------------------------------


def test_moments_of_one_white_row_are_its_number_and_nothing_else() -> None:
    """The ink of each column lies in row 5: centroid 5 everywhere, and no slope."""
    rows = -torch.ones(8, 1, 16, 16)
    rows[:, :, 5] = 1
    other = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    subject = Subject(Reals(other, None), Reals(other, None), rows, raw_pixels())
    moments = MEASURES["fingerprints"].details(subject)["moments"]  # type: ignore[misc]
    assert moments["spectral centroid, fake"][:2] == pytest.approx([5.0, 0.0], abs=1e-9)
    assert moments["spectral slope, fake"][:2] == pytest.approx([0.0, 0.0], abs=1e-9)
    mean, deviation, *_ = moments["spectral centroid, train"]
    assert mean == pytest.approx(7.5, abs=0.5) and 0.3 < deviation < 1.5
    assert set(moments) == {
        f"spectral {what}, {part}" for what in ("centroid", "slope") for part in ("train", "held out", "fake")
    }


# ---- what D says ---------------------------------------------------------------------------------


class Watching:
    """A model whose D says the mean of a picture, shows feature maps, and remembers how many it was shown together."""

    device = "cpu"

    def __init__(self) -> None:
        self.discriminator = torch.nn.Identity()
        self.shown: list[int] = []

    def discriminate(self, sample: Tensor, batch: dict[str, Tensor]) -> Judgement:
        self.shown.append(len(sample))
        return Judgement(sample.flatten(1).mean(1) + batch["condition"], (sample, sample.flatten(1)[:, :5]))


def test_d_is_shown_a_chunk_at_a_time_and_of_its_maps_only_what_is_asked_for_is_kept() -> None:
    gan: Any = Watching()
    pictures, labels = torch.rand(10, 2, 8, 8), torch.arange(10)
    plain = judged(gan, pictures, labels, chunk=4)
    assert gan.shown == [4, 4, 2] and plain.features == ()
    torch.testing.assert_close(plain.logits, pictures.mean((1, 2, 3)) + labels)
    kept_at_once: list[int] = []

    def keep(maps: Any) -> Tensor:
        kept_at_once.append(len(maps[0]))
        return pooled_features(maps)

    said = judged(gan, pictures, labels, keep, chunk=4)
    assert kept_at_once == [4, 4, 2]
    torch.testing.assert_close(
        said.features[0], pooled_features([pictures, pictures.flatten(1)[:, :5]]), rtol=0, atol=0
    )
    assert gan.discriminator.training


def test_the_d_of_a_subject_is_shown_fewer_of_large_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_zoo import loading
    from gan_zoo.config import compose, validate
    from gan_zoo.metrics import subject as subjects
    from gan_zoo.run import data_module

    config = validate(compose(["model=dcgan", "data.resolution=16", "data.batch_size=8"]))
    gan = loading.build(config)
    monkeypatch.setattr(subjects, "_chunk", lambda data, most: min(most, 7))
    subject = subject_of(gan, data_module(config), 4, reals=20)
    shown: list[int] = []
    gan.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(len(inputs[0])))
    quick(MEASURES["memory"], subject)
    assert shown == [7, 7, 6] * 2
