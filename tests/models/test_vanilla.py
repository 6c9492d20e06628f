"""GAN (Goodfellow et al. 2014) and the dense presets."""

import math

import pytest
import torch

from gan_zoo.models.vanilla import Vanilla, bias_for_mean
from gan_zoo.nn.activations import ToUnitRange, UnitSigmoid
from gan_zoo.nn.maxout import Maxout
from gan_zoo.schema import ConfigError
from tests.models.presets import batch_of, build, check_a_round, counts


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("vanilla_paper", (2_503_984, 1_231_441)),
        ("course_4_mlp", (1_493_520, 1_460_225)),
        ("wgan_gp_toy", (527_874, 527_361)),
    ],
)
def test_presets_have_the_published_parameters(preset, expected):
    assert counts(f"experiment={preset}") == expected


def test_paper_nets_start_with_the_authors_weights_and_dropout():
    gan = build("experiment=vanilla_paper", "data=digits")
    assert isinstance(gan, Vanilla)
    assert gan.generator.last.weight.abs().max().item() == pytest.approx(0.05, rel=1e-3)
    maxouts = [m for m in gan.discriminator.modules() if isinstance(m, Maxout)]
    assert [(m.units, m.pieces) for m in maxouts] == [(240, 5), (240, 5)]
    assert maxouts[0].linear.weight.abs().max().item() == pytest.approx(0.005, rel=1e-3)
    drops = [m.p for m in gan.discriminator.modules() if isinstance(m, torch.nn.Dropout)]
    assert drops == [0.2, 0.5, 0.5]
    assert not any(isinstance(m, torch.nn.Dropout) for m in gan.generator.modules())


def test_paper_nets_work_on_pixels_in_0_1_and_the_outside_stays_symmetric():
    gan = build("experiment=vanilla_paper", "data=digits")
    assert isinstance(gan.generator.output, UnitSigmoid)
    assert any(isinstance(m, ToUnitRange) for m in gan.discriminator.modules())
    sample = gan.sample(8)
    assert sample.shape == (8, 1, 28, 28) and -1 <= sample.min() < 0 < sample.max() <= 1


def test_zero_logits_cost_ln_2_with_the_papers_half_and_ln_2_for_g():
    gan = build("experiment=vanilla_paper", "data=digits")
    torch.nn.init.zeros_(gan.discriminator.head.weight)
    batch = batch_of(gan, torch.rand(6, 1, 28, 28) * 2 - 1)
    fake = gan.generate(batch)
    cost = sum(gan.weights["discriminator"][k] * v for k, v in gan.discriminator_terms(batch, fake).items())
    assert cost.item() == pytest.approx(math.log(2), abs=1e-6)
    assert gan.generator_terms(batch, fake)["adversarial"].item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_output_bias_shows_the_mean_of_the_training_pictures(output):
    gan = build("model=vanilla", "data.resolution=8", f"model.generator.output={output}")
    pictures = torch.randint(20, 236, (40, 1, 8, 8), dtype=torch.uint8)
    gan.start_at_mean(iter([{"real": pictures[:30]}, {"real": pictures[30:]}]))
    torch.nn.init.zeros_(gan.generator.last.weight)
    mean = pictures.float().mean(0) / 127.5 - 1
    torch.testing.assert_close(gan.generator(torch.randn(2, 64))[0], mean, atol=1e-5, rtol=0)


def test_pixels_that_are_always_black_get_a_finite_bias():
    bias = bias_for_mean(UnitSigmoid(), torch.tensor([-1.0, 1.0, 0.0]))
    torch.testing.assert_close(bias, torch.tensor([-6.9068, 6.9068, 0.0]), atol=1e-3, rtol=0)
    assert torch.isfinite(bias_for_mean(torch.nn.Tanh(), torch.tensor([-1.0, 1.0]))).all()


def test_pixel_means_are_set_once_and_only_on_fresh_weights():
    gan = build("experiment=vanilla_paper", "data=digits", "data.resolution=8", "model.generator.units=[4]")

    class Data:
        resolution = 8

        def train_set(self):
            return self

        def __len__(self):
            return 600

        def __getitems__(self, keys):
            assert all(resolution == 8 for _, _, resolution in keys)
            return {"real": torch.full((len(keys), 1, 8, 8), 51, dtype=torch.uint8)}

    gan._trainer = type("T", (), {"datamodule": Data()})()
    gan.setup("fit")
    torch.testing.assert_close(gan.generator.last.bias.data, torch.full((64,), math.log(0.2 / 0.8)))
    with torch.no_grad():
        gan.generator.last.bias.fill_(3.0)
    gan.setup("fit")
    assert (gan.generator.last.bias == 3.0).all()


def test_points_of_the_plane_are_linear_and_bounded_outputs_are_refused():
    gan = build("experiment=wgan_gp_toy")
    assert gan.sample(5).shape == (5, 2)
    check_a_round(gan, batch_of(gan, torch.randn(6, 2)))
    with pytest.raises(ConfigError, match="bounds points"):
        build("experiment=wgan_gp_toy", "model.generator.output=tanh")


def test_a_missing_latent_is_named():
    with pytest.raises(ConfigError, match="latent is missing"):
        build("model=vanilla", "model.latent=null")


def test_optimal_discriminator_of_two_gaussians_is_p_over_p_plus_q():
    gan = build(
        "experiment=wgan_gp_toy",
        "loss=non_saturating",
        "regularizer=none",
        "model.discriminator.units=[32, 32]",
    )
    adam = torch.optim.Adam(gan.discriminator.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(300):
        real, fake = torch.randn(512, 2), torch.randn(512, 2) + torch.tensor([1.0, 0.0])
        loss = sum(gan.discriminator_terms({"real": real}, fake).values())
        adam.zero_grad(), loss.backward(), adam.step()
    x = torch.linspace(-1, 2, 13)
    logits = gan.discriminator(torch.stack([x, torch.zeros(13)], 1))[0]
    torch.testing.assert_close(logits.sigmoid(), (0.5 - x).sigmoid(), atol=0.08, rtol=0)  # log p/q = 1/2 - x
