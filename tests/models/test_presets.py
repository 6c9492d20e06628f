"""conf/model and conf/experiment of the first models: they compose, are valid, and the command line wins."""

import pytest
import torch

from gan_zoo.config import compose, validate
from tests.models.presets import EXPERIMENTS, batch_of, build, check_a_round

MINE = ["vanilla", "dcgan", "cgan", "wgan_gp"]
PRESETS = [
    "course_0",
    "course_1",
    "course_2a",
    "course_2b",
    "course_2c",
    "course_4_mlp",
    "course_4_dcgan",
    "book_3",
    "book_5_wgan",
    "book_5_wgan_gp",
    "vanilla_paper",
    "dcgan_paper",
    "cgan_paper",
    "cgan_dcgan",
    "acgan",
    "dcgan_port",
    "wgan_gp_cifar10",
    "wgan_gp_toy",
]


def test_every_preset_is_there():
    assert set(PRESETS) <= set(EXPERIMENTS)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset):
    validate(compose([f"experiment={preset}"]))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_command_line_exchanges_the_data_of_a_preset(preset):
    twin = "grid" if preset == "wgan_gp_toy" else "digits"
    config = compose([f"experiment={preset}", f"data={twin}"])
    assert config["data"]["name"] == twin
    if twin == "digits":
        asked = compose([f"experiment={preset}", "data=digits", "data.resolution=16", "data.batch_size=7"])
        assert (asked["data"]["resolution"], asked["data"]["batch_size"]) == (16, 7)
        assert asked["model"]["resolution"] == 16


@pytest.mark.parametrize("name", MINE)
def test_a_plain_model_takes_digits_and_whatever_the_command_line_asks(name):
    assert compose([f"model={name}"])["data"]["name"] == "digits"
    assert compose([f"model={name}", "data=cifar10"])["data"]["name"] == "cifar10"
    assert compose([f"model={name}", "loss=hinge", "regularizer=r1"])["loss"]["name"] == "hinge"
    validate(compose([f"model={name}", "data=cifar10"]))


GAMES = [
    *(
        (loss, "none")
        for loss in ("non_saturating", "minimax", "least_squares", "rpgan", "ragan_ls", "hinge")
    ),
    *(("rpgan", regularizer) for regularizer in ("r1_r2", "gradient_penalty", "spectral_norm")),
    ("wasserstein", "weight_clipping"),
]


@pytest.mark.parametrize(("loss", "regularizer"), GAMES)
@pytest.mark.parametrize("name", MINE)
def test_losses_and_regularisers_go_with_every_model(name, loss, regularizer):
    shallow = ["model.discriminator.down_blocks=1"] if name == "wgan_gp" else []
    gan = build(f"model={name}", "data.resolution=8", f"loss={loss}", f"regularizer={regularizer}", *shallow)
    check_a_round(gan, batch_of(gan, torch.rand(6, 1, 8, 8) * 2 - 1, 10))
