"""The loops that gan_zoo's text-to-image is held against: as ports of GAN-CLS write it, and tuned by hand."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from benchmark import DEVICE, Loop
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from gan_zoo.models.text_to_image import between
from gan_zoo.run import data_module


class Items(Dataset[dict[str, Tensor]]):
    """One picture, its caption and another's at a time."""

    def __init__(self, whole: dict[str, Tensor]) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return len(self.whole["real"])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "real": self.whole["real"][index].float().div(127.5).sub(1),
            "tokens": self.whole["tokens"][index].long(),
            "other": self.whole["mismatch_tokens"][index].long(),
        }


class CaptionLoop(Loop):
    """GAN-CLS-INT with a word encoder in each player."""

    fused = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        data = data_module(args[0])
        self.whole = data.train_set().__getitems__(
            [(i, 0, data.resolution) for i in range(len(self.pictures))]
        )

        def adam(net: torch.nn.Module, player: str) -> torch.optim.Optimizer:
            rates = self.settings[player]
            return torch.optim.Adam(
                net.parameters(), lr=self.rate(player), betas=tuple(rates["betas"]), fused=self.fused
            )

        self.optimizer_d, self.optimizer_g = adam(self.d, "discriminator"), adam(self.g, "generator")

    def cast(self) -> Any:
        return torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16)


class Port(CaptionLoop):
    """Items one by one, every pair judged by a forward of its own, gradients for D's weights in G's step, losses read back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.loader = itertools.cycle(
            DataLoader(Items(self.whole), batch_size=self.batch, shuffle=True, drop_last=True)
        )
        self.losses: list[tuple[float, float]] = []

    def loss(self, x: Tensor, sentence: Tensor, target: float) -> Tensor:
        logits = self.d(x, sentence)[0].float()
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def step(self) -> None:
        batch = {name: tensor.to(DEVICE) for name, tensor in next(self.loader).items()}
        real, z = batch["real"], self.latent(self.batch)
        with self.cast():
            told = self.g.encoder(batch["tokens"])
            fake = self.g(z, told)
            right, wrong = self.d.encoder(batch["tokens"]), self.d.encoder(batch["other"])
            loss_d = self.loss(real, right, 1.0) + 0.5 * self.loss(real, wrong, 0.0)
            loss_d = loss_d + 0.5 * self.loss(fake.detach(), right, 0.0)
        self.optimizer_d.zero_grad()
        loss_d.backward()
        self.optimizer_d.step()
        with self.cast():
            half = torch.full((self.batch // 2, 1), 0.5, device=DEVICE)
            heard = self.d.encoder(batch["tokens"])
            more = self.g(self.latent(self.batch // 2), between(told, half))
            pictures, sentences = torch.cat([fake, more]), torch.cat([heard, between(heard, half)])
            loss_g = self.loss(pictures, sentences, 1.0)
        self.optimizer_g.zero_grad()
        loss_g.backward()
        self.optimizer_g.step()
        self.losses.append((loss_d.item(), loss_g.item()))


class Tuned(CaptionLoop):
    """Sliced in memory, fused Adam, channels last, real pictures seen once for both captions, D frozen while G learns."""

    fused = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pictures = self.pictures.to(DEVICE)
        self.whole = {name: tensor.to(DEVICE) for name, tensor in self.whole.items()}
        if self.gan.channels_last:
            self.g.to(memory_format=torch.channels_last), self.d.to(memory_format=torch.channels_last)
        self.weights_d = list(self.d.parameters())

    def step(self) -> None:
        index = torch.randint(len(self.pictures), (self.batch,), device=DEVICE)
        real = self.pictures[index].float().div_(127.5).sub_(1)
        if self.gan.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        tokens, other = self.whole["tokens"][index].long(), self.whole["mismatch_tokens"][index].long()
        half = torch.full((self.batch // 2, 1), 0.5, device=DEVICE)
        with self.cast():
            told = self.g.encoder(tokens)
            fake = self.g(self.latent(self.batch), told)
            right = self.d.encoder(tokens)
            on_real, (maps, _) = self.d(real, right)
            on_wrong = self.d.match(maps, self.d.encoder(other))[0]
            on_fake = self.d(fake.detach(), right)[0]
        loss_d = F.softplus(-on_real.float()).mean()
        loss_d = loss_d + (F.softplus(on_wrong.float()).mean() + F.softplus(on_fake.float()).mean()) / 2
        self.optimizer_d.zero_grad()
        loss_d.backward()
        self.optimizer_d.step()
        for weight in self.weights_d:
            weight.requires_grad_(False)
        with self.cast():
            heard = self.d.encoder(tokens)
            more = self.g(self.latent(self.batch // 2), between(told, half))
            again = self.d(torch.cat([fake, more]), torch.cat([heard, between(heard, half)]))[0]
        self.optimizer_g.zero_grad()
        F.softplus(-again.float()).mean().backward()
        self.optimizer_g.step()
        for weight in self.weights_d:
            weight.requires_grad_(True)
