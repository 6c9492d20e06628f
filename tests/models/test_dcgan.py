"""DCGAN (Radford et al. 2015) and the convolutional presets."""

import pytest
import torch
from torch import nn

from gan_zoo.nn.norms import BatchNorm
from tests.models.presets import batch_of, build, check_a_round, counts


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["experiment=dcgan_paper"], (18_885_760, 17_232_768)),
        (
            ["experiment=dcgan_paper", "model.generator.stem=conv", "model.generator.stem_norm=channel"],
            (18_855_040, 17_232_768),
        ),
        (["experiment=dcgan_port"], (3_576_704, 2_765_568)),
        (["experiment=dcgan_port", "data.channels=1"], (3_574_656, 2_763_520)),
        (
            [
                "experiment=dcgan_port",
                "model.generator.width=128",
                "model.generator.max_channels=1024",
                "model.discriminator.width=128",
                "model.discriminator.max_channels=1024",
            ],
            (12_658_432, 11_036_160),
        ),
        (["experiment=course_1"], (2_368_705, 4_311_553)),
        (["experiment=course_2a"], (2_305_472, 212_865)),
        (["experiment=course_2b"], (2_700_352, 1_045_633)),
        (["experiment=course_0"], (3_844_099, 2_766_529)),
        (["experiment=course_4_dcgan"], (2_005_761, 400_385)),
        (["experiment=book_3"], (4_514_819, 4_310_401)),
    ],
)
def test_presets_have_the_published_parameters(overrides, expected):
    """Those of courses 0, 2 and 4 and of the book, which print none, are summed by hand from their layers."""
    assert counts(*overrides) == expected


def sides(network, x):
    """Side and channels of every map, in the order the layers make them."""
    found = []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(lambda m, i, o: found.append((o.shape[2], o.shape[1])))
    network(x)
    return found


def test_course_0_has_the_shapes_of_its_summary():
    gan = build("experiment=course_0")
    assert sides(gan.generator, torch.randn(1, 128).expand(2, -1)) == [
        (4, 512),
        (8, 256),
        (16, 128),
        (32, 64),
        (32, 64),
        (64, 3),
    ]
    assert sides(gan.discriminator, torch.randn(2, 3, 64, 64)) == [(32, 64), (16, 128), (8, 256), (4, 512)]


def test_book_3_starts_and_ends_at_2x2():
    gan = build("experiment=book_3")
    assert sides(gan.generator, torch.randn(2, 100)) == [(4, 256), (8, 128), (16, 64), (32, 3)]
    assert sides(gan.discriminator, torch.randn(2, 3, 32, 32)) == [(16, 64), (8, 128), (4, 256), (2, 512)]


def test_course_4_activates_all_maps_of_g_but_the_stems():
    gan = build("experiment=course_4_dcgan", "data=digits")
    assert len(gan.generator.stem.finish) == 0
    assert [type(layer[-1]) for layer in gan.generator.layers] == [nn.ReLU, nn.ReLU, nn.ReLU, nn.Tanh]


def test_authors_net_after_initialisation():
    gan = build("experiment=dcgan_paper", "data=avatars")
    weights = [m.weight for m in gan.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
    for weight in weights:
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert abs(weight.mean().item()) < 2e-3
    gains = torch.cat([m.weight for m in gan.modules() if isinstance(m, BatchNorm)])
    assert gains.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert gains.std().item() == pytest.approx(0.02, rel=0.05)
    assert all(
        m.bias is None for m in gan.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    )
    assert {m.eps for m in gan.modules() if isinstance(m, BatchNorm)} == {1e-8}
    norms = [m.num_features for m in gan.generator.modules() if isinstance(m, BatchNorm)]
    assert norms == [16384, 512, 256, 128]  # the stem's units one by one
    picture = gan.generator(torch.rand(2, 100) * 2 - 1)
    assert picture.shape == (2, 3, 64, 64) and picture.abs().max() < 1


@pytest.mark.parametrize(("running", "alone"), [("true", True), ("false", False)])
def test_a_sample_depends_on_its_batch_mates_with_batch_statistics_alone(running, alone):
    gan = build("model=dcgan", "data.resolution=8", f"model.generator.batch_norm.running={running}")
    z = torch.randn(6, gan.latent.size)
    assert torch.allclose(gan.sample(6, latent=z)[:2], gan.sample(2, latent=z[:2]), atol=1e-6) == alone


@pytest.mark.parametrize("resolution", [8, 16, 28, 32, 48])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_plain_model_fits_itself_to_the_data(resolution, channels):
    gan = build(
        "model=dcgan",
        f"data.resolution={resolution}",
        f"data.channels={channels}",
        "model.generator.width=4",
        "model.discriminator.width=4",
    )
    check_a_round(gan, batch_of(gan, torch.rand(4, channels, resolution, resolution) * 2 - 1))


@pytest.mark.parametrize(
    "trick",
    [
        "model.discriminator.minibatch=stddev",
        "model.discriminator.minibatch=discrimination",
        "model.discriminator.head=pool",
        "model.discriminator.dropout=0.4",
        "model.generator.upsample=nearest",
        "model.generator.norm=instance",
        "model.discriminator.norm=layer",
        "model.generator.output=sigmoid",
        "+model.weights.generator.feature_matching=1.0",
    ],
)
def test_tricks_are_options(trick):
    kernel = ["model.generator.kernel=5"] if "nearest" in trick else []
    gan = build("model=dcgan", "data.resolution=16", trick, *kernel)
    check_a_round(gan, batch_of(gan, torch.rand(4, 1, 16, 16) * 2 - 1))


def test_noisy_labels_of_course_1_reach_the_loss():
    gan = build("experiment=course_1", "data=digits")
    assert gan.loss.labels.real == (0.7, 1.2) and gan.loss.labels.fake == (0.0, 0.3)
    assert gan.instance_noise(0) == 0.1 and gan.instance_noise(10**9) == 0.0
