"""cGAN (Mirza & Osindero 2014) and the other ways to give both players a label."""

import math

import pytest
import torch

from gan_zoo.nn.norms import BatchNorm
from gan_zoo.schema import ConfigError
from tests.models.presets import batch_of, build, check_a_round, counts

SMALL = ["data.resolution=8", "model.generator.conv.width=8", "model.discriminator.conv.width=8"]


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("cgan_paper", (2_413_984, 1_224_351)),
        ("cgan_dcgan", (6_820_538, 6_688_202)),
        ("course_2c", (1_169_336, 196_773)),
    ],
)
def test_presets_have_the_published_parameters(preset, expected):
    assert counts(f"experiment={preset}") == expected


def test_paper_nets_drop_half_of_every_hidden_layer_and_work_on_0_1():
    gan = build("experiment=cgan_paper", "data=digits")
    for network in (gan.generator, gan.discriminator):
        assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == [0.5, 0.5, 0.5]
    sample = gan.sample(10)
    assert sample.shape == (10, 1, 28, 28) and sample.min() < 0 < sample.max() and sample.abs().max() <= 1


def test_authors_conditional_dcgan_has_norms_without_parameters():
    gan = build("experiment=cgan_dcgan", device="meta")
    norms = [m for m in gan.modules() if isinstance(m, BatchNorm)]
    assert [m.num_features for m in norms] == [1024, 6272, 64, 128, 1024]
    assert all(m.weight is None and m.running_mean is None for m in norms)


CONDITIONS = [
    (g, d)
    for g in ("every_layer", "concatenate", "add", "multiply", "map")
    for d in ("every_layer", "concatenate", "add", "multiply", "map", "projection")
    if g == d or "every_layer" in (g, d)
]


@pytest.mark.parametrize(("generator", "discriminator"), CONDITIONS)
def test_every_way_to_condition_plays_and_hears_the_label(generator, discriminator):
    gan = build(
        "model=cgan",
        *SMALL,
        f"model.generator.condition={generator}",
        f"model.discriminator.condition={discriminator}",
    )
    batch = batch_of(gan, torch.rand(10, 1, 8, 8) * 2 - 1, 10)
    check_a_round(gan, batch)
    gan.eval()
    other = {**batch, "condition": batch["condition"].flip(0)}
    assert (gan.generate(batch) - gan.generate(other)).abs().amax((1, 2, 3)).min() > 1e-5
    change = gan.discriminate(batch["real"], batch).logits - gan.discriminate(batch["real"], other).logits
    assert change.abs().min() > 1e-7


@pytest.mark.parametrize("embedding", [0, 7])
@pytest.mark.parametrize("condition", ["concatenate", "add", "multiply"])
def test_dense_nets_are_conditioned_too_for_points_as_well(condition, embedding):
    net = "{units: [16], activation: relu, output: auto, init: glorot_uniform}"
    critic = "{units: [16], activation: relu, init: glorot_uniform}"
    for modality, shape in (("points", (2,)), ("image", (1, 8, 8))):
        gan = build(
            "model=cgan",
            "data.resolution=8",
            f"model.modality={modality}",
            *(f"model.{player}.condition={condition}" for player in ("generator", "discriminator")),
            *(f"model.{player}.embedding={embedding}" for player in ("generator", "discriminator")),
            "model.generator.conv=null",
            "model.discriminator.conv=null",
            f"+model.generator.dense={net}",
            f"+model.discriminator.dense={critic}",
        )
        check_a_round(gan, batch_of(gan, torch.randn(10, *shape), 10))


def test_permuting_pairs_of_sample_and_label_leaves_the_loss_of_d():
    gan = build("model=cgan", *SMALL, "model.discriminator.conv.norm=none")
    batch = batch_of(gan, torch.rand(10, 1, 8, 8) * 2 - 1, 10)
    order = torch.randperm(10)
    torch.testing.assert_close(
        gan.loss.discriminator(*(gan.discriminate(batch["real"], batch).logits,) * 2)["real"],
        gan.loss.discriminator(
            *(gan.discriminate(batch["real"][order], {"condition": batch["condition"][order]}).logits,) * 2
        )["real"],
    )


def test_projection_adds_the_inner_product_of_class_and_feature():
    gan = build("model=cgan", *SMALL, "model.discriminator.condition=projection").eval()
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([0, 3, 3, 9])
    logits, features = gan.discriminator(x, y)
    table, head = gan.discriminator.projection.weight, gan.discriminator.network.head
    torch.testing.assert_close(logits, head(features[-1]).squeeze(1) + (table[y] * features[-1]).sum(1))


def test_class_head_adds_the_cross_entropy_for_both_players():
    gan = build("experiment=acgan", "data.resolution=8")
    torch.nn.init.zeros_(gan.discriminator.classifier.weight)
    batch = batch_of(gan, torch.rand(10, 1, 8, 8) * 2 - 1, 10)
    fake = gan.generate(batch)
    for terms in (gan.discriminator_terms(batch, fake.detach()), gan.generator_terms(batch, fake)):
        assert terms["auxiliary"].item() == pytest.approx(math.log(10), rel=1e-5)
    check_a_round(build("experiment=acgan", "data.resolution=8"), batch)
    check_a_round(
        build("experiment=acgan", "data.resolution=8", "model.discriminator.condition=projection"), batch
    )
    concatenated = build("experiment=acgan", "data.resolution=8", "model.discriminator_update=concatenated")
    check_a_round(concatenated, batch)


def test_dropping_the_class_head_drops_its_term():
    gan = build("model=cgan", *SMALL)
    batch = batch_of(gan, torch.rand(10, 1, 8, 8), 10)
    assert set(gan.discriminator_terms(batch, gan.generate(batch))) == {"real", "fake"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.classes=0"], "labelled data"),
        (["model.generator.conv=null"], "wants one of"),
        (["model.generator.condition=branches"], "branched"),
        (["model.discriminator.condition=none"], "class_head=true"),
        (["model.discriminator.class_head=true"], "nothing to learn"),
        (["model.modality=points"], "draws pictures"),
    ],
)
def test_what_cannot_be_right_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build("model=cgan", *overrides)


def test_samples_are_the_classes_in_turn_and_one_class_on_request():
    gan = build("model=cgan", *SMALL)
    z = torch.randn(1, 100).expand(12, -1)
    turn = gan.sample(12, latent=z)
    torch.testing.assert_close(turn[:2], turn[10:])
    torch.testing.assert_close(gan.sample(12, latent=z, condition=3), turn[3:4].expand(12, -1, -1, -1))


def test_wrong_labels_cost_d_more_on_ten_clusters():
    critic = "{units: [32, 32], activation: relu, init: glorot_uniform}"
    net = "{units: [16], activation: relu, output: auto, init: glorot_uniform}"
    gan = build(
        "model=cgan",
        "model.modality=points",
        "model.generator.conv=null",
        "model.discriminator.conv=null",
        "model.generator.condition=concatenate",
        "model.discriminator.condition=concatenate",
        f"+model.generator.dense={net}",
        f"+model.discriminator.dense={critic}",
    )
    angles = torch.arange(10) * (2 * math.pi / 10)
    centres = torch.stack([angles.cos(), angles.sin()], 1)
    adam = torch.optim.Adam(gan.discriminator.parameters(), lr=3e-3)
    torch.manual_seed(0)

    def draw():
        condition = torch.randint(10, (100,))
        return {
            "real": centres[condition] + 0.05 * torch.randn(100, 2),
            "condition": condition,
            "latent": torch.randn(100, 100),
        }

    for _ in range(300):
        batch = draw()
        loss = sum(
            gan.discriminator_terms(
                batch, centres[torch.randint(10, (100,))] + 0.05 * torch.randn(100, 2)
            ).values()
        )
        adam.zero_grad(), loss.backward(), adam.step()
    batch = draw()
    right = gan.loss.discriminator(*(gan.discriminate(batch["real"], batch).logits,) * 2)["real"]
    wrong_labels = {**batch, "condition": (batch["condition"] + 1) % 10}
    wrong = gan.loss.discriminator(*(gan.discriminate(batch["real"], wrong_labels).logits,) * 2)["real"]
    assert wrong > right + 0.5
