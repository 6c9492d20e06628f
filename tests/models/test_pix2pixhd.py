"""pix2pixHD (Wang et al. 2018): coarse to fine, several scales, styles."""

import pytest
import torch

from gan_zoo.config import compose, validate
from gan_zoo.models.pix2pixhd import CoarseToFine, MultiScaleDiscriminator, Stages, feature_distance
from gan_zoo.nn.label_maps import regions
from gan_zoo.nn.perceptual import TAPS, WEIGHTS, VGGDistance, vgg_distance
from gan_zoo.schedules import create
from gan_zoo.schema import ConfigError
from tests.models.presets import build, check_a_round, parameters

SMALL = [
    "data.resolution=32",
    "model.generator.width=4",
    "model.generator.downs=2",
    "model.generator.blocks=1",
    "model.encoder.width=4",
    "model.encoder.downs=2",
    "model.discriminator.width=8",
]
FINE = "model.schedule={coarse: 0, enhancer: 0}"
PAPER = {"width": 32, "downs": 4, "blocks": 9, "enhancers": 1, "enhancer_blocks": 3, "norm": "instance"}


def batch_of(gan, n=3, height=32, width=32, seed=0):
    """As the wire has it: rectangles of classes, each an instance."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(8, (n, height // 8, width // 8), generator=generator)
    labels = ids.repeat_interleave(8, 1).repeat_interleave(8, 2)
    number = torch.arange(ids[0].numel()).view(ids.shape[1:]).repeat_interleave(8, 0).repeat_interleave(8, 1)
    real = torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=generator)
    return {
        "real": real,
        "condition": labels.to(torch.uint8),
        "instances": (labels * 1000 + number).to(torch.int32),
    }


def fresh(*overrides):
    gan = build("model=pix2pixhd", *SMALL, *overrides)
    return gan, gan.prepare_batch(batch_of(gan))


# ---- networks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "expected"), [(36, 182_857_059), (39, 182_871_171)])
def test_generator_with_its_enhancer_has_the_published_parameters(channels, expected):
    with torch.device("meta"):
        assert parameters(CoarseToFine(channels, 3, False, **PAPER)) == expected
        assert (
            parameters(CoarseToFine(channels, 3, True, **PAPER)) == expected + 64 * 3 * 49 + 3
        )  # the coarse head


@pytest.mark.parametrize(("scales", "expected"), [(1, 2_801_601), (2, 5_603_202), (3, 8_404_803)])
def test_discriminators_have_the_published_parameters(scales, expected):
    with torch.device("meta"):
        network = MultiScaleDiscriminator(39, scales=scales, n_layers=3, width=64, norm="instance")
        logits, features = network(torch.empty(1, 39, 256, 512))
    assert parameters(network) == expected
    assert len(logits) == len(features) == scales and logits[0].shape[2:] == (35, 67)


def test_the_global_nets_features_and_the_enhancers_branch_meet_at_half_size():
    with torch.device("meta"):
        network = CoarseToFine(36, 3, False, **PAPER)
        maps = torch.empty(1, 36, 64, 128)
        assert network.whole(torch.empty(1, 36, 32, 64)).shape == (1, 64, 32, 64)
        assert network.enhancers[0].down(maps).shape == (1, 64, 32, 64)
        assert network(maps).shape == (1, 3, 64, 128)


def test_two_enhancers_quarter_the_size_of_the_global_net():
    network = CoarseToFine(5, 3, True, **PAPER | {"width": 2, "downs": 1, "blocks": 1, "enhancers": 2})
    maps = torch.randn(1, 5, 32, 64)
    assert network(maps).shape == (1, 3, 32, 64) and network(maps[:, :, :8, :16], "coarse").shape == (
        1,
        3,
        8,
        16,
    )
    assert (
        network.enhancers[0].down[0][0].out_channels == 4
        and network.enhancers[1].down[0][0].out_channels == 2
    )


def test_a_silent_branch_leaves_the_global_net_its_gradient():
    network = CoarseToFine(5, 3, False, **PAPER | {"width": 4, "downs": 1, "blocks": 1})
    for layer in network.enhancers[0].down.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.zeros_(layer.weight)
    network(torch.randn(1, 5, 16, 16)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.whole.parameters() if p.dim() > 1)


def trained(gan, batch):
    """Which of G's parts a step would move."""
    gan.generate(batch).sum().backward()
    network = gan.generator.network
    parts = {"whole": network.whole.trunk, "coarse head": network.whole.head, "enhancer": network.enhancers}
    parts |= {"head": network.head, "encoder": gan.generator.encoder}
    return {name for name, part in parts.items() if any(p.grad is not None for p in part.parameters())}


def test_each_stage_trains_its_own_part():
    found = {}
    for samples in (0, 8000, 10_000):
        gan = build("model=pix2pixhd", *SMALL)
        gan.samples_seen = samples
        found[gan.stage] = trained(gan, gan.prepare_batch(batch_of(gan)))
    assert found == {
        "coarse": {"whole", "coarse head", "encoder"},
        "enhancer": {"enhancer", "head", "encoder"},
        "both": {"whole", "enhancer", "head", "encoder"},
    }


def test_paper_preset_has_the_papers_networks_stages_and_weights():
    gan = build("experiment=pix2pixhd_paper", "data.root=x", device="meta")
    head, styled = 64 * 3 * 49 + 3, 182_871_171
    assert parameters(gan.generator.network) == styled + head and parameters(gan.generator.encoder) == 788_803
    assert parameters(gan.discriminator) == 8_404_803
    assert gan.batch_plan(0) == (1, 512) and gan.batch_plan(595_000) == (1, 1024)
    assert [gan.schedule.at(s) for s in (594_999, 595_000, 624_750)] == ["coarse", "enhancer", "both"]
    rate = create(gan.optimizer_settings["generator"]["lr"])
    assert [rate(s) for s in (0, 446_250, 595_000, 818_125)] == [
        2e-4,
        pytest.approx(1e-4),
        2e-4,
        pytest.approx(1e-4),
    ]
    weights = {"adversarial": 1.0, "feature_matching": 10.0, "perceptual": 10.0}
    assert gan.weights == {"generator": weights, "discriminator": {"real": 0.5, "fake": 0.5}}
    assert gan.update == "simultaneous" and gan.vgg == "download"
    validate(compose(["experiment=pix2pixhd_paper", "data.root=x"]))


# ---- coarse to fine ----------------------------------------------------------------------------------------


def test_stages_are_a_function_of_samples_seen():
    stages = Stages(4, coarse=10, enhancer=8)
    assert [stages.at(s) for s in (0, 8, 10, 12, 17, 18, 10**9)] == [
        "coarse", "coarse", "enhancer", "enhancer", "enhancer", "both", "both",
    ]  # fmt: skip
    assert [s for s in range(0, 60, 4) if stages.changes(s)] == [12, 20]  # the first batches of the others
    assert not any(Stages(4).changes(s) for s in range(0, 60, 4))


def test_the_coarse_stage_asks_for_half_the_size_and_makes_it():
    gan, batch = fresh()
    assert gan.batch_plan(0) == (4, 16) and gan.batch_plan(8000) == (4, 32)
    assert batch["real"].shape == (3, 3, 16, 16) and batch["condition"].shape == (3, 9, 16, 16)
    wire = batch_of(gan)
    assert gan.sample(3, inputs=wire).shape == (3, 3, 16, 16)
    gan.samples_seen = 10_000
    assert gan.sample(3, inputs=wire).shape == (3, 3, 32, 32)
    assert build("model=pix2pixhd", *SMALL, FINE).batch_plan(0) is None


def test_coarse_pictures_are_means_and_coarse_labels_are_labels():
    gan, batch = fresh()
    wire = batch_of(gan)
    torch.testing.assert_close(
        batch["real"], torch.nn.functional.avg_pool2d(wire["real"] / 127.5 - 1, 2), atol=1e-5, rtol=0
    )
    assert torch.equal(batch["condition"][:, :8].argmax(1), wire["condition"][:, ::2, ::2].long())


def test_the_rate_starts_anew_in_each_stage():
    rate = create({"name": "restarted", "value": 2.0, "stages": [[100, 100], [50, 50]]})
    assert [rate(s) for s in (0, 100, 150, 199, 200, 249, 250, 275, 300, 10**6)] == [
        2.0, 2.0, 1.0, pytest.approx(0.02), 2.0, 2.0, 2.0, 1.0, 0.0, 0.0,
    ]  # fmt: skip


# ---- terms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides", [[FINE], [FINE, "model.encoder=null"], [FINE, "model.discriminator.scales=3"]]
)
def test_a_round_at_full_size_moves_everything(overrides):
    gan, batch = fresh(*overrides)
    check_a_round(gan, batch)


@pytest.mark.parametrize(
    ("overrides", "channels"), [(["data.instances=false"], 8), (["data.instances=false", "data.classes=0", "data.input_channels=1"], 1)]
)  # fmt: skip
def test_data_without_instances_have_neither_boundaries_nor_styles(overrides, channels):
    gan = build("model=pix2pixhd", *SMALL, FINE, *overrides)
    assert gan.generator.encoder is None and gan.conditioned_on == ("condition",)
    wire = batch_of(gan)
    del wire["instances"]
    if channels == 1:
        wire["condition"] = wire["real"][:, :1]
    batch = gan.prepare_batch(wire)
    assert batch["condition"].shape == (3, channels, 32, 32)
    check_a_round(gan, batch)


def test_feature_matching_is_0_for_the_real_picture_and_counts_all_layers_but_the_last():
    gan, batch = fresh(FINE)
    gan.eval()
    assert gan.generator_terms(batch, batch["real"].clone())["feature_matching"] == 0
    says = gan.discriminate(batch["real"], batch)
    assert len(says.logits) == 2 and len(says.features) == 2 * 3  # n_layers + 1 layers before the logits


def test_feature_matching_has_the_authors_factors():
    real = tuple(torch.zeros(1, 2, 3, 3) for _ in range(8))
    fake = tuple(torch.full((1, 2, 3, 3), 0.5) for _ in range(8))  # 2 scales of 4 layers, 0.5 each
    assert feature_distance(real, fake, n_layers=3, scales=2).item() == pytest.approx(8 * 0.5 * 4 / 4 / 2)


def test_least_squares_is_summed_over_scales():
    gan, batch = fresh(FINE)
    scores = gan.discriminate(batch["real"], batch).logits
    expected = sum((s - 1).square().mean() for s in scores)
    torch.testing.assert_close(gan.discriminator_terms(batch, batch["real"])["real"], expected)
    assert gan.weights["generator"] == {"adversarial": 1.0, "feature_matching": 10.0, "perceptual": 0.0}


def test_real_features_carry_no_gradient_to_d():
    gan, batch = fresh(FINE)
    term = gan.generator_terms(batch, batch["real"].clone())["feature_matching"]
    for scale in gan.discriminator.scales:
        assert (
            torch.autograd.grad(term, scale.layers[0][0].weight, retain_graph=True, allow_unused=True)[0]
            is not None
        )
    says = gan.discriminate(batch["real"], batch).features
    assert feature_distance(says, tuple(f.detach() for f in says), 2, 2).requires_grad is False


# ---- perceptual loss ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    from torchvision.models import vgg19

    torch.manual_seed(0)
    network = vgg19(weights=None)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({k: v for k, v in network.state_dict().items() if k.startswith("features")}, path)
    return path, network.features.eval()


def test_perceptual_term_weighs_the_first_relus_of_five_blocks(vgg_file):
    path, features = vgg_file
    distance = vgg_distance(str(path))
    fake, real = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    expected, a, b = torch.zeros(()), fake, real
    with torch.no_grad():
        for i, layer in enumerate(features[: TAPS[-1]]):
            a, b = layer(a), layer(b)
            if i + 1 in TAPS:
                assert isinstance(layer, torch.nn.ReLU)
                expected = expected + WEIGHTS[TAPS.index(i + 1)] * (a - b).abs().mean()
    torch.testing.assert_close(distance(fake, real), expected)
    assert distance(real, real) == 0
    channels = [stage[-2].out_channels for stage in distance.stages]
    assert channels == [64, 128, 256, 512, 512]


def test_perceptual_loss_reaches_g_and_is_in_no_checkpoint(vgg_file):
    gan, batch = fresh(FINE, f"model.vgg={vgg_file[0]}", "model.weights.generator.perceptual=10.0")
    names = set(gan.state_dict())
    gan.on_fit_start()
    fake = batch["real"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(gan.generator_terms(batch, fake * 0.5)["perceptual"], fake)
    assert gradient.abs().sum() > 0
    assert set(gan.state_dict()) == names and not any(isinstance(m, VGGDistance) for m in gan.modules())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.weights.generator.perceptual=10.0"], "model.vgg is null"),
        (["model.generator.enhancers=0"], "no finer net"),
        (["data.resolution=36"], "does not allow"),
        (["data.classes=0"], "one of them must be 0"),
    ],
)
def test_what_cannot_be_right_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build("model=pix2pixhd", *SMALL, *overrides)


def test_weights_that_are_no_vgg_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(ConfigError, match="is not there"):
        vgg_distance(str(tmp_path / "missing.pth"))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="does not hold torchvision's VGG-19"):
        vgg_distance(str(tmp_path / "other.pth"))
    (tmp_path / "text.pth").write_text("not a file of weights")
    with pytest.raises(ConfigError, match="cannot be read"):
        vgg_distance(str(tmp_path / "text.pth"))


# ---- styles ------------------------------------------------------------------------------------------------


def test_styles_are_constant_within_each_instance_and_reach_the_picture():
    gan, batch = fresh(FINE)
    gan.eval()
    styles = gan.styles(batch)
    assert styles.shape == (3, 3, 32, 32) and styles.abs().max() <= 1
    numbers, count = regions(batch["instances"])
    for i in range(count):
        inside = styles.permute(0, 2, 3, 1)[numbers == i]
        torch.testing.assert_close(inside, inside[:1].expand_as(inside))
    other = gan.generate({**batch, "style": styles.flip(0)})
    assert (other - gan.generate(batch)).abs().max() > 1e-4


def test_training_remembers_styles_by_class_and_sampling_draws_them():
    gan, batch = fresh(FINE)
    gan.train()
    gan.generate(batch)
    encoder = gan.generator.encoder
    numbers, count = regions(batch["instances"])
    classes = torch.stack([batch["labels"][numbers == i][0] for i in range(count)])
    assert torch.equal(encoder.filled, torch.bincount(classes, minlength=8))
    drawn = encoder.drawn(classes)
    for style, kind in zip(drawn, classes, strict=True):
        known = encoder.bank[kind, : encoder.filled[kind]]
        assert (known - style).abs().sum(1).min() < 1e-6
    inputs = {key: value for key, value in batch_of(gan).items() if key != "real"}
    samples = [gan.sample(3, seed=seed, inputs=inputs) for seed in (0, 0, 1)]
    assert torch.equal(samples[0], samples[1]) and not torch.equal(samples[0], samples[2])


def test_the_bank_forgets_the_oldest_first():
    gan, _ = fresh(FINE, "model.encoder.bank=4")
    encoder = gan.generator.encoder
    for value in range(6):
        encoder.remember(torch.full((1, 3), float(value)), torch.tensor([2]))
    assert sorted(encoder.bank[2, :, 0].tolist()) == [2, 3, 4, 5]
    encoder.remember(torch.tensor([[7.0] * 3, [8.0] * 3]), torch.tensor([2, 2]))
    assert sorted(encoder.bank[2, :, 0].tolist()) == [4, 5, 7, 8]
