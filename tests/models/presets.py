"""Models as conf/ describes them, built without data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_zoo.config import compose, conf_dir, load_model_class
from gan_zoo.gan import Batch

EXPERIMENTS = sorted(path.stem for path in Path(conf_dir(), "experiment").glob("*.yaml"))


def build(*overrides: str, device: str = "cpu") -> Any:
    """The GAN that `python -m gan_zoo.train OVERRIDES` would train."""
    config = compose(overrides)
    model: dict[str, Any] = dict(config["model"])
    kind = load_model_class(model.pop("name"))
    torch.manual_seed(0)
    with torch.device(device):
        return kind(**model, loss=config["loss"], regularizer=config["regularizer"], seed=0)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def counts(*overrides: str) -> tuple[int, int]:
    """Trainable parameters of G and D; nothing is allocated."""
    gan = build(*overrides, device="meta")
    return parameters(gan.generator), parameters(gan.discriminator)


def batch_of(gan: Any, real: Tensor, classes: int = 0) -> Batch:
    batch = {"real": real, "latent": gan.latent.fixed(len(real), 0)}
    return {**batch, "condition": torch.arange(len(real)) % classes} if classes else batch


def check_a_round(gan: Any, batch: Batch) -> None:
    """One forward of both players: named terms are finite scalars, one weight each, and every parameter has a
    gradient."""
    fake = gan.generate(batch)
    assert fake.shape == batch["real"].shape
    for player, terms in (
        ("discriminator", gan.discriminator_terms(batch, fake.detach())),
        ("generator", gan._generator_terms(batch, gan.generate(batch))),
    ):
        assert terms.keys() | gan.regularizer.term_names >= gan.weights[player].keys() >= terms.keys()
        total = torch.stack([gan.weights[player][name] * term for name, term in terms.items()]).sum()
        owned = [p for p in getattr(gan, player).parameters() if p.requires_grad]
        gradients = torch.autograd.grad(total, owned, allow_unused=True)
        assert all(g is not None and torch.isfinite(g).all() for g in gradients)
