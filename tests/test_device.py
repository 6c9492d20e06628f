"""A step on a GPU, played where there is none: with tensors that have a device, a shape and a dtype, but no values.

Mixed devices are an error to them, and so is all that reads a value and would make the host wait for the device.
Backward is left out: it needs the queues of a real device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from gan_zoo import chance, loading, regularizers
from gan_zoo.gan import GAN, Batch
from gan_zoo.models import text_to_image
from gan_zoo.play import finite, players
from gan_zoo.run import data_module

from .test_zoo import MODELS, composed

GPU = torch.device("cuda:0")
READ_AT_ONCE = (
    "segan",
    "segan_plus",
)  # their RMSprop cannot leave a step out on the device, so the host reads its flag


class Counted:
    """Lightning's wrapper of an optimiser."""

    def _on_before_step(self) -> None: ...

    def _on_after_step(self) -> None: ...


@pytest.fixture
def outlines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without what a GPU itself must do: its random generators, its events, its backward."""

    def gradients(self: GAN, player: Any, total: Tensor, retain_graph: bool = False) -> None:
        assert total.device == GPU
        for parameter in self._parameters_of(player):
            parameter.grad = torch.zeros_like(parameter)

    def looked_at(critic: regularizers.Critic, x: Tensor) -> Tensor:
        critic(x)
        return x.flatten(1)

    monkeypatch.setattr(chance, "begin_step", lambda *step: None)
    monkeypatch.setattr(chance._shared, "generator", None)
    monkeypatch.setattr(players.Players, "_backward", gradients)
    monkeypatch.setattr(players.Players, "_scaler", None)
    monkeypatch.setattr(finite.FiniteFlag, "read_late", lambda self: True)
    for place in (regularizers, text_to_image):
        monkeypatch.setattr(place, "input_gradient", looked_at)
    with FakeTensorMode(), torch.inference_mode():  # autograd, too, asks for the device
        yield


def outline(value: Tensor) -> Tensor:
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=GPU)


def ready(config: dict[str, Any]) -> tuple[GAN, Batch]:
    """A model with values, and a batch of its data."""
    gan, data = loading.build(config), data_module(config)
    n, resolution = gan.batch_plan(0) or (data.batch_size, data.resolution)
    return gan, data.train_set().__getitems__([(i, 0, resolution) for i in range(n)])


def move(gan: GAN, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Module.to moves is on the GPU now, as an outline; then the optimisers are made, as Lightning does."""
    for module in gan.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(outline(parameter), parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, outline(buffer))
    gan._device = GPU
    both = gan.configure_optimizers()
    monkeypatch.setattr(
        gan, "optimizers", lambda use_pl_optimizer=True: [Counted()] * 2 if use_pl_optimizer else both
    )


# The host draws SEGAN+'s shift, and counting the instances of a batch does wait for the device.
BARE = {"segan_plus": ["model.discriminator.phase_shift=0"], "pix2pixhd": ["model.encoder=null"]}
VARIED = [
    ["dcgan", "loss=ragan", "regularizer=dragan", "model.discriminator.minibatch=discrimination"],
    ["dcgan", "loss=hinge", "regularizer=spectral_norm", "model.discriminator_update=separate", "model.accumulate=2"],
    ["dcgan", "regularizer=r1_r2", "model.update=simultaneous", "model.clip.generator=1.0", "model.clip.discriminator=1.0"],
    ["dcgan", "model.update=generator_first", "model.fresh_fake=true", "model.instance_noise=0.1",
     "loss.labels={real: [0.7, 1.2], fake: [0.0, 0.3], flip: 0.1}",
     "model.augment={colour: 0.5, translation: 0.125, cutout: 0.5}"],
    ["wgan_gp", "regularizer=weight_clipping", "regularizer.parts.weight_clipping.long=0", "model.dequantise=true"],
    ["cgan", "model.discriminator.condition=projection"],
]  # fmt: skip


@pytest.fixture(
    params=[*([model, *BARE.get(model, [])] for model in MODELS), *VARIED],
    ids=lambda names: "-".join(names[:3]),
)
def built(request: pytest.FixtureRequest) -> tuple[str, GAN, Batch]:
    name, *overrides = request.param
    return name, *ready(composed(name, *overrides))


def test_a_step_on_a_gpu_mixes_no_devices_and_waits_for_nothing(
    built: tuple[str, GAN, Batch], outlines: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, gan, batch = built
    move(gan, monkeypatch)
    if name in READ_AT_ONCE:
        monkeypatch.setattr(finite.FiniteFlag, "read", lambda self: True)
    for _ in range(gan.n_critic):
        gan.training_step({key: outline(value) for key, value in batch.items()}, 0)
    assert gan.generator_steps == 1


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda x: x + torch.ones(x.shape[1:]), "found at least two devices"),
        (lambda x: x * float(x.mean()), "aten._local_scalar_dense"),
    ],
    ids=["a tensor of the CPU", "a value read"],
)
def test_outlines_notice_what_a_gpu_would(
    mistake: Callable[[Tensor], Tensor],
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    gan, batch = ready(composed("vanilla"))
    request.getfixturevalue("outlines")
    move(gan, monkeypatch)
    generate = gan.generate
    monkeypatch.setattr(gan, "generate", lambda batch: mistake(generate(batch)))
    with pytest.raises((RuntimeError, DataDependentOutputException), match=error):
        gan.training_step({key: outline(value) for key, value in batch.items()}, 0)
