"""Progressive growing (Karras et al. 2018): networks, fades, penalty, and the play through it."""

from __future__ import annotations

import copy
import itertools
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

from gan_zoo import chance, checkpoint, loading
from gan_zoo.config import compose, validate
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import PLAYERS, Batch
from gan_zoo.models.pggan import PGGAN
from gan_zoo.nn.equalised import halved, upsampled
from gan_zoo.run import data_module
from gan_zoo.schema import ConfigError
from gan_zoo.strategy import GradientAverage
from tests.games import trainer
from tests.models.presets import build, counts
from tests.test_zoo import play, same

SMALL = (
    "data.resolution=16",
    *(f"model.{player}.{key}" for player in PLAYERS for key in ("base=32", "max_channels=8")),
    "model.latent.size=8",
)
SHORT = (
    "model.schedule.stable=[16,24,32]",
    "model.schedule.fade=[0,24,32]",
    "model.schedule.batch_size=[8,4,8]",
)
# positions 0, 8, 16 at 4 px; 24, 28 ... 36 fade; 40 ... 64 at 8 px; 68 ... 92 fade, 100 ... at 16 px


def small(*overrides: str, samples_seen: int = 0) -> PGGAN:
    gan = build("model=pggan", *SMALL, *SHORT, *overrides)
    assert isinstance(gan, PGGAN)
    gan.samples_seen = samples_seen
    return gan


def used(network: Any, level: int) -> int:
    return sum(p.numel() for part in network.parts(level, False) for p in part.parameters())


# ---- networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "level", "generator", "discriminator"),
    [
        (("experiment=pggan_paper",), 8, 23_071_507, 23_077_137),
        (("experiment=pggan_paper",), 6, 23_036_995, 23_042_625),
        (("experiment=pggan_paper",), 5, 22_926_467, 22_932_097),
        (("experiment=pggan_paper",), 4, 22_484_227, 22_489_857),
        (("experiment=pggan_celeba",), 5, 13_625_379, 13_631_009),
        (("experiment=pggan_cifar10",), 3, 1_295_747, 1_297_153),
        (("experiment=book_7",), 3, 1_295_747, 1_297_153),
    ],
)
def test_the_networks_of_each_size_have_the_published_parameters(
    overrides: tuple[str, ...], level: int, generator: int, discriminator: int
) -> None:
    gan = build(*overrides, device="meta")
    assert (used(gan.generator, level), used(gan.discriminator, level)) == (generator, discriminator)


def test_all_layers_to_and_from_colours_are_built_up_front() -> None:
    assert counts("experiment=pggan_paper") == (23_079_115, 23_087_249)


@pytest.mark.parametrize("level", [1, 2])
def test_alpha_0_is_the_smaller_networks_and_alpha_1_the_larger_ones(level: int) -> None:
    gan = small()
    g, d, z = gan.generator, gan.discriminator, torch.randn(4, 8)
    nothing, everything = torch.tensor(0.0), torch.tensor(1.0)
    torch.testing.assert_close(g(z, level, nothing), upsampled(g(z, level - 1)))
    torch.testing.assert_close(g(z, level, everything), g(z, level))
    x = torch.randn(4, 1, 4 * 2**level, 4 * 2**level)
    torch.testing.assert_close(d(x, level, nothing)[0], d(halved(x), level - 1)[0])
    torch.testing.assert_close(d(x, level, everything)[0], d(x, level)[0])
    assert not torch.allclose(g(z, level), upsampled(g(z, level - 1)))


def test_real_pictures_fade_in_as_g_does() -> None:
    real = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    fine = real / 127.5 - 1
    coarse = F.avg_pool2d(fine, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    gan = small(samples_seen=28)  # 12 of 24 samples into the fade to 8 px
    assert gan.moment == (1, 0.5)
    torch.testing.assert_close(gan.prepare_batch({"real": real})["real"], (fine + coarse) / 2)
    gan.samples_seen = 40
    torch.testing.assert_close(gan.prepare_batch({"real": real})["real"], fine)


def test_larger_pictures_come_down_to_the_resolution_of_the_moment() -> None:
    real = torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8)
    found = small().prepare_batch({"real": real})["real"]
    torch.testing.assert_close(found, F.avg_pool2d(real / 127.5 - 1, 4))


def test_the_output_is_linear_and_the_stem_has_the_authors_gain() -> None:
    gan = build("experiment=pggan_cifar10")
    dense, rgb = gan.generator.stem.dense, gan.generator.to_rgb[0]
    assert dense.scale == pytest.approx(2**0.5 / 4 / 128**0.5) and rgb.scale == pytest.approx(128**-0.5)
    assert gan.discriminator.head.scale == pytest.approx(128**-0.5)
    assert isinstance(gan.generator.output, nn.Identity)


def test_features_of_g_have_mean_square_one() -> None:
    gan = small()
    features: list[Tensor] = []
    gan.generator.blocks[1].register_forward_hook(lambda layer, given, returned: features.append(returned))
    gan.generator(torch.randn(2, 8), 2)
    torch.testing.assert_close(features[0].square().mean(1), torch.ones(2, 16, 16), atol=1e-4, rtol=0)


@pytest.mark.parametrize("resolution", [4, 28, 48])
def test_it_fits_itself_to_other_sides(resolution: int) -> None:
    gan = build("model=pggan", *SMALL, f"data.resolution={resolution}", "data=folder")
    gan.samples_seen = 10**9
    assert gan.sample(2).shape == (2, 3, resolution, resolution)


def test_the_ablations_layers_can_be_chosen() -> None:
    """Rows a to f of table 1: batch norm and ReLU and tanh in G, layer norm in D, no equalised rates."""
    gan = small("model.generator.norm=batch", "model.generator.slope=0.0", "model.generator.output=tanh",
                "model.generator.equalised=false", "model.generator.normalise_latent=false",
                "model.discriminator.norm=layer", "model.discriminator.equalised=false",
                "model.discriminator.minibatch=discrimination")  # fmt: skip
    assert gan.generator(torch.randn(4, 8), 2).abs().max() <= 1
    assert gan.discriminator(torch.randn(4, 1, 16, 16), 2)[0].shape == (4,)
    kinds = {type(m).__name__ for m in gan.modules()}
    assert {
        "BatchNorm",
        "LayerNorm",
        "ReLU",
        "Tanh",
        "MinibatchDiscrimination",
    } <= kinds and "PixelNorm" not in kinds


@pytest.mark.parametrize(
    "preset",
    ["pggan_paper", "pggan_celeba", "pggan_cifar10", "pggan_conditional", "pggan_lsgan", "book_7"],
)
def test_presets_are_valid_and_the_command_line_exchanges_their_data(preset: str) -> None:
    validate(compose([f"experiment={preset}"]))
    config = validate(
        compose([f"experiment={preset}", "data=avatars", "data.resolution=64", "data.batch_size=4"])
    )
    assert (config["data"]["name"], config["model"]["resolution"], config["data"]["batch_size"]) == (
        "avatars",
        64,
        4,
    )


# ---- penalty ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples_seen", "lod"), [(0, 2), (28, 1), (64, 1), (200, 0)])
@pytest.mark.parametrize("target", [1.0, 750.0])
def test_the_penalty_is_that_of_the_full_size_picture(samples_seen: int, lod: int, target: float) -> None:
    """As the authors': pictures enlarged to full size, and a D that first averages them down."""
    gan = small(f"regularizer.parts.gradient_penalty.target={target}", samples_seen=samples_seen)
    side = 16 >> lod
    real, fake = torch.randn(2, 6, 1, side, side)
    batch = {"real": real, "latent": torch.randn(6, 8)}
    chance.begin_step(0, 0)
    found = gan._discriminator_terms(batch, fake)["gradient_penalty"]

    chance.begin_step(0, 0)
    share = chance.uniform_rows([6, 1, 1, 1], real.device)
    full = F.interpolate(torch.lerp(real, fake, share), scale_factor=float(2**lod)).requires_grad_()
    shrunk = F.avg_pool2d(full, 2**lod) if lod else full
    (gradient,) = torch.autograd.grad(gan.discriminate(shrunk, batch).logits.sum(), full)
    norm = gradient.flatten(1).norm(dim=1)
    torch.testing.assert_close(found, ((norm - target) / target).square().mean())

    # which is the target 2^lod for the norm of the small picture's gradient
    small_picture = shrunk.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(gan.discriminate(small_picture, batch).logits.sum(), small_picture)
    wanted = target * 2**lod
    torch.testing.assert_close(found, ((gradient.flatten(1).norm(dim=1) - wanted) / wanted).square().mean())


def test_r1_too_is_that_of_the_full_size_picture() -> None:
    gan = small("regularizer=r1", "loss=non_saturating")
    real = torch.randn(6, 1, 4, 4, requires_grad=True)
    batch = {"real": real.detach(), "latent": torch.randn(6, 8)}
    found = gan._discriminator_terms(batch, torch.randn(6, 1, 4, 4))["r1"]
    (gradient,) = torch.autograd.grad(gan.discriminate(real, batch).logits.sum(), real)
    torch.testing.assert_close(found, gradient.flatten(1).square().sum(1).mean() / 2 / 4**2)


# ---- the play --------------------------------------------------------------------------------------------


def config_of(*overrides: str) -> dict[str, Any]:
    return validate(compose(["model=pggan", *SMALL, *SHORT, *overrides]))


def positions(gan: PGGAN, until: int) -> list[int]:
    found = [0]
    while found[-1] < until:
        found.append(found[-1] + gan.batch_plan(found[-1])[0])
    return found


class Watch(pl.Callback):
    """Notes shapes, and which parameters moved, at each step."""

    def __init__(self) -> None:
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.moved: dict[int, set[str]] = {}
        self.adam: dict[int, set[int]] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.position, self.before = pl_module.samples_seen, copy.deepcopy(pl_module.state_dict())
        self.shapes[self.position] = tuple(batch["real"].shape)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        now = pl_module.state_dict()
        self.moved[self.position] = {
            name
            for name, value in now.items()
            if isinstance(value, Tensor) and not torch.equal(value, self.before[name])
        }
        states = pl_module._optimizer("discriminator").state.values()
        self.adam[self.position] = {int(state["step"]) for state in states}
        pl_module.sample(2)  # what pictures do between two steps must change nothing


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PGGAN, Watch]:
    watch = Watch()
    gan = loading.build(config_of())
    assert isinstance(gan, PGGAN)
    data = data_of(config_of(), gan)
    trainer(132, watch).fit(gan, data)
    return gan, watch


def data_of(config: dict[str, Any], gan: PGGAN) -> DataModule:
    data = data_module(config)
    data.begin(gan.samples_seen, gan.batch_plan)
    return data


def test_batches_and_resolutions_change_where_the_schedule_says(watched: tuple[PGGAN, Watch]) -> None:
    gan, watch = watched
    assert list(watch.shapes) == positions(gan, 132)[: len(watch.shapes)]
    sides = {
        0: (8, 1, 4, 4),
        16: (8, 1, 4, 4),
        24: (4, 1, 8, 8),
        64: (4, 1, 8, 8),
        72: (4, 1, 8, 8),
        76: (8, 1, 16, 16),
    }
    assert {place: watch.shapes[place] for place in sides if place in watch.shapes} == {
        place: shape for place, shape in sides.items() if place in watch.shapes
    }
    assert {shape[2] for shape in watch.shapes.values()} == {4, 8, 16}


def test_unborn_layers_are_untouched_and_old_ones_grow_on(watched: tuple[PGGAN, Watch]) -> None:
    gan, watch = watched
    for place, moved in watch.moved.items():
        level = gan.growth.at(place).level
        unborn = {f"blocks.{i}." for i in range(level, 2)} | {f"_rgb.{i}." for i in range(level + 1, 3)}
        assert not [name for name in moved if any(part in name for part in unborn)], place
        for network in ("generator.stem", "ema_generator.stem", "discriminator.last"):
            assert any(name.startswith(network) for name in moved), place


def test_the_average_follows_only_what_is_born() -> None:
    gan = small(samples_seen=28)  # fading to 8 px
    found = {id(p) for p in gan.averaged_parameters(gan.generator)}
    names = {
        name.split(".")[0] + name.split(".")[1]
        for name, p in gan.generator.named_parameters()
        if id(p) in found
    }
    assert names == {"stemdense", "stembias", "stemconv", "blocks0", "to_rgb0", "to_rgb1"}


def test_the_optimisers_start_afresh_when_a_fade_begins_and_when_it_ends(
    watched: tuple[PGGAN, Watch],
) -> None:
    gan, watch = watched
    fresh = [place for place, steps in watch.adam.items() if steps == {1} and place]
    assert set(fresh) == {place for place in gan.growth.changes if place <= max(watch.adam)}
    assert len(fresh) == 4  # two resolutions come in, each with a beginning and an end


def test_figures_tell_where_the_growth_is(watched: tuple[PGGAN, Watch]) -> None:
    gan, _ = watched
    figures = gan.figures()
    assert (figures["growth/resolution"], figures["growth/alpha"]) == (16.0, 1.0)
    assert (figures["growth/batch_size"], figures["kimg"]) == (8.0, gan.samples_seen / 1000)


def test_samples_have_the_resolution_of_the_moment_or_the_full_one() -> None:
    gan = small(samples_seen=40)
    pictures, full = gan.sample(3, seed=1), gan.sample(3, seed=1, full_size=True)
    assert pictures.shape == (3, 1, 8, 8) and full.shape == (3, 1, 16, 16)
    assert torch.equal(full, upsampled(pictures))


def test_large_pictures_are_made_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = small("data.resolution=1024", "model.schedule={initial_resolution: 1024}", *(f"model.{player}={{base: 512, max_channels: 1}}"
                for player in ("generator", "discriminator")))  # fmt: skip
    sizes: list[int] = []

    def spied(batch: Batch) -> Tensor:
        sizes.append(len(batch["latent"]))
        return torch.zeros(len(batch["latent"]), 1, 2, 2)

    monkeypatch.setattr(gan, "generate", spied)
    gan.sample(9)
    gan.sample(9, chunk=8)
    assert sizes == [4, 4, 1, 8, 1]


CUTS = [3, 5, 7, 20]  # batches: before the first fade, inside it, at its end, inside the second


@pytest.mark.parametrize("overrides", [(), ("experiment=pggan_conditional",), ("experiment=pggan_lsgan",)])
def test_resume_is_bitwise_wherever_it_is_cut(overrides: tuple[str, ...], tmp_path: Path) -> None:
    head = list(overrides) or ["model=pggan"]
    config = validate(compose([*head, *SMALL, *SHORT]))
    play(config, tmp_path / "whole", 23)
    for cut in CUTS if not overrides else (5, 20):
        for stop in (cut, 23):
            play(config, tmp_path / str(cut), stop)
        whole, parts = (
            checkpoint.read(checkpoint.newest_good(tmp_path / name)[0]) for name in ("whole", str(cut))
        )
        assert same(whole, parts), cut


def test_resume_has_teeth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play that forgot to start the optimisers afresh after a resume would differ."""
    play(config_of(), tmp_path / "whole", 8)
    play(config_of(), tmp_path / "parts", 3)  # the next batch begins a fade
    monkeypatch.setattr(PGGAN, "advance", lambda self, samples_seen: False)
    play(config_of(), tmp_path / "parts", 8)
    whole, parts = (
        checkpoint.read(checkpoint.newest_good(tmp_path / name)[0]) for name in ("whole", "parts")
    )
    assert not same(whole, parts)


def test_workers_change_nothing_while_batches_and_resolutions_change() -> None:
    batches = []
    for workers in (0, 2):
        config = config_of(f"data.workers={workers}")
        data = data_of(config, small())
        batches.append(list(itertools.islice(iter(data.train_dataloader()), 24)))
    for alone, parallel in zip(*batches, strict=True):
        assert torch.equal(alone["real"], parallel["real"])
    assert {tuple(batch["real"].shape) for batch in batches[0]} == {
        (8, 1, 4, 4),
        (4, 1, 8, 8),
        (8, 1, 16, 16),
    }


class Read(pl.Callback):
    """Writes each rank's weights where the test can read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        torch.save(
            dict(pl_module.state_dict()), self.folder / f"{trainer.world_size}-{trainer.global_rank}.pt"
        )


@pytest.mark.ddp
@pytest.mark.skipif(sys.platform != "linux", reason="forks two gloo processes")
def test_two_processes_equal_one_through_a_fade(tmp_path: Path) -> None:
    config = config_of("model.ema_half_life=null", "model.ema_decay=0.9")
    config["model"]["optimizer"] = {
        player: {"name": "sgd", "lr": 0.01} for player in PLAYERS
    }  # Adam would blow up rounding
    for processes in (1, 2):
        gan = loading.build(config)
        assert isinstance(gan, PGGAN)
        strategy = (
            GradientAverage(start_method="fork", process_group_backend="gloo") if processes > 1 else "auto"
        )
        trainer(84, Read(tmp_path), devices=processes, strategy=strategy).fit(gan, data_of(config, gan))
    one, first, second = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1")
    )
    start = loading.build(config).state_dict()
    for key, value in one.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(
                first[key], value, atol=1e-4, rtol=1e-3, msg=lambda m, key=key: f"{key}: {m}"
            )
            assert torch.equal(first[key], second[key]), key
    moved = (one["generator.blocks.0.0.0.weight"] - start["generator.blocks.0.0.0.weight"]).abs().max()
    assert moved > 1e-3


# ---- options ---------------------------------------------------------------------------------------------


def test_labels_reach_g_and_are_read_by_d() -> None:
    gan = build("experiment=pggan_conditional", *SMALL)
    z = torch.randn(1, 64)[:, :8].expand(2, 8)
    different = gan.generate({"latent": z, "condition": torch.tensor([0, 7])})
    assert not torch.equal(different[0], different[1])
    batch = {"real": torch.randn(8, 1, 4, 4), "latent": torch.randn(8, 8), "condition": torch.arange(8)}
    fake = gan.generate(batch)
    terms = gan.discriminator_terms(batch, fake.detach())
    classifier = gan.discriminator.classifier
    entropies = [F.cross_entropy(classifier(gan.discriminate(x, batch).features[-1]), batch["condition"])
                 for x in (batch["real"], fake)]  # fmt: skip
    torch.testing.assert_close(terms["auxiliary"], entropies[0] + entropies[1])
    torch.testing.assert_close(gan.generator_terms(batch, fake)["auxiliary"], entropies[1])


def test_labels_without_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.classes is 0.*data=digits"):
        build("experiment=pggan_conditional", "data=celeba")


def test_the_least_squares_variant_has_the_authors_targets() -> None:
    gan = build("experiment=pggan_lsgan", *SMALL)
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    terms, weights = gan.loss.discriminator(real, fake), gan.weights
    assert {
        name: weights["discriminator"][name] * term.item() for name, term in terms.items()
    } == pytest.approx({"real": 2.0, "fake": 0.05})
    assert gan.loss.generator(fake)["adversarial"].item() == pytest.approx(
        0.5
    )  # G wants 0, what real ones get


def test_noise_in_d_grows_with_its_loss() -> None:
    """d becomes 0.9 d + 0.1 min(loss, 1); strength 0.2 max(d - 1/2, 0)^2; only in training."""
    d = build("experiment=pggan_lsgan", *SMALL).discriminator
    for _ in range(200):
        d.note_loss(torch.tensor(0.4))
    assert d.strength.item() == 0.0
    for _ in range(500):
        d.note_loss(torch.tensor(7.0))
    assert d.strength.item() == pytest.approx(0.2 * 0.25, rel=1e-3)
    x = torch.randn(4, 1, 16, 16)
    assert not torch.equal(d(x, 2)[0], d(x, 2)[0])
    d.eval()
    assert torch.equal(d(x, 2)[0], d(x, 2)[0])


def test_noise_has_the_strength_times_the_root_of_the_channels() -> None:
    layer = build("experiment=pggan_lsgan", *SMALL).discriminator.dense
    seen: list[Tensor] = []
    layer.layer.register_forward_hook(lambda module, given, returned: seen.append(given[0]))
    layer(torch.ones(2000, 128), torch.tensor(0.05))
    assert seen[0].std().item() == pytest.approx(0.05 * 128**0.5, rel=0.02)
    assert seen[0].mean().item() == pytest.approx(1.0, abs=0.01)


def test_a_compiled_g_is_not_compiled_again_for_each_alpha() -> None:
    gan = small("model.schedule.fade=[0,100,0]", samples_seen=28)
    counter = CompileCounter()
    gan.generator.compile(backend=counter)
    data = data_of(config_of("model.schedule.fade=[0,100,0]"), gan)
    trainer(80).fit(gan, data)  # 13 batches, all in one fade
    assert counter.frame_count == 2  # without gradients and with them
