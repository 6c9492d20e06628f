"""The contenders of a step of progressive growing: a hand-tuned loop, and one in the manner of the public PyTorch port."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from benchmark import DEVICE, Items, Loop
from torch import Tensor, nn
from torch.utils.data import DataLoader

DRIFT, DECAY = 0.001, 0.999


class Growing(Loop):
    """What both have: Wasserstein, penalty, drift, an average of G, latents drawn anew for G."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.no_label = torch.zeros(self.batch, dtype=torch.int64, device=DEVICE)
        self.average = copy.deepcopy(self.g).requires_grad_(False)

    def adam(self, net: nn.Module, player: str, **options: Any) -> torch.optim.Optimizer:
        own = self.settings[player]
        return torch.optim.Adam(
            net.parameters(), lr=own["lr"], betas=tuple(own["betas"]), eps=own["eps"], **options
        )

    def score(self, x: Tensor) -> Tensor:
        return self.judge(x, self.no_label)

    def drawn(self) -> Tensor:
        return self.fake(self.latent(self.batch), self.no_label)


class Port(Growing):
    """As facebookresearch/pytorch_GAN_zoo plays it: a data loader of single pictures, the penalty's backward apart, gradients
    of D's weights in G's turn too, each parameter looked at for NaN and averaged by itself, each loss read at once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        data = Items(self.pictures.float().div(127.5).sub(1), self.labels)
        self.loader = itertools.cycle(DataLoader(data, batch_size=self.batch, shuffle=True, drop_last=True))
        self.optimizer_d, self.optimizer_g = (
            self.adam(self.d, "discriminator"),
            self.adam(self.g, "generator"),
        )
        self.losses: list[tuple[float, float, float]] = []

    def step(self) -> None:
        real = next(self.loader)[0].to(DEVICE)
        self.optimizer_d.zero_grad()
        on_real = self.score(real)
        fake = self.drawn().detach().float()
        on_fake = self.score(fake)
        penalty = self.penalty(real, fake, self.no_label)
        penalty.backward()
        loss_d = on_fake.mean() - on_real.mean() + DRIFT * on_real.square().mean()
        loss_d.backward()
        finite(self.d)
        self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        self.optimizer_d.zero_grad()
        loss_g = -self.score(self.drawn()).mean()
        loss_g.backward()
        finite(self.g)
        self.optimizer_g.step()
        for own, mean in zip(self.g.parameters(), self.average.parameters(), strict=True):
            mean.mul_(DECAY).add_(own.data, alpha=1 - DECAY)
        self.losses.append((loss_d.item(), penalty.item(), loss_g.item()))


def finite(net: nn.Module) -> None:
    for parameter in net.parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            raise FloatingPointError("a gradient is not finite")


class Tuned(Growing):
    """The ceiling: pictures sliced in memory, fused Adam, channels last, D frozen while G learns, one call for the average."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pictures = self.pictures.to(DEVICE)
        self.optimizer_d = self.adam(self.d, "discriminator", fused=True)
        self.optimizer_g = self.adam(self.g, "generator", fused=True)
        if self.gan.channels_last:
            for net in (self.g, self.d, self.average):
                net.to(memory_format=torch.channels_last)
        self.weights_d = list(self.d.parameters())
        self.weights_g, self.mean_g = list(self.g.parameters()), list(self.average.parameters())

    def step(self) -> None:
        index = torch.randint(len(self.pictures), (self.batch,), device=DEVICE)
        real = self.pictures[index].float().div_(127.5).sub_(1)
        if self.gan.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            fake = self.drawn()
        self.optimizer_d.zero_grad()
        on_real, on_fake = self.score(real), self.score(fake)
        loss = on_fake.mean() - on_real.mean() + DRIFT * on_real.square().mean()
        (loss + self.penalty(real, fake.float(), self.no_label)).backward()
        self.optimizer_d.step()
        for weight in self.weights_d:
            weight.requires_grad_(False)
        self.optimizer_g.zero_grad()
        (-self.score(self.drawn()).mean()).backward()
        self.optimizer_g.step()
        for weight in self.weights_d:
            weight.requires_grad_(True)
        torch._foreach_lerp_(self.mean_g, self.weights_g, 1 - DECAY)
