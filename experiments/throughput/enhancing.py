"""The contenders of a step of SEGAN and SEGAN+: a hand-tuned loop, and one in the manner of the authors' PyTorch code.

Both are given pairs that are mixed already; gan_zoo mixes its own in each step.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from benchmark import DEVICE, Loop
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from gan_zoo import optimizers
from gan_zoo.nn.waveform import full_scale, pre_emphasis


class Enhancing(Loop):
    """What both have: least squares without halves, L1 times 100, the optimisers of the config."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pairs = [self.emphasised(sound) for sound in (self.pictures, self.labels)]
        self.optimizer_d, self.optimizer_g = (
            optimizers.create(net.parameters(), **self.settings[player])
            for net, player in ((self.d, "discriminator"), (self.g, "generator"))
        )

    def emphasised(self, sound: Tensor) -> Tensor:
        return pre_emphasis(full_scale(sound), self.gan.pre_emphasis)

    def latents(self, n: int) -> Tensor:
        return torch.randn(n, *self.gan.latent.size, device=DEVICE)

    def cleaned(self, noisy: Tensor) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            return self.g(noisy, self.latents(len(noisy)))

    def logits(self, sample: Tensor, real: Tensor, noisy: Tensor) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            return self.gan.discriminate(sample, {"real": real, "condition": noisy}).logits.float()


class Port(Enhancing):
    """As segan_pytorch plays it: a data loader of single windows, D's two backwards apart, gradients of D's weights in G's turn
    too, each loss read at once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.loader = itertools.cycle(
            DataLoader(TensorDataset(*self.pairs), self.batch, shuffle=True, drop_last=True)
        )
        self.losses: list[tuple[float, ...]] = []

    def step(self) -> None:
        real, noisy = (sound.to(DEVICE) for sound in next(self.loader))
        ones, zeros = torch.ones(len(real), device=DEVICE), torch.zeros(len(real), device=DEVICE)
        self.optimizer_d.zero_grad()
        on_real = F.mse_loss(self.logits(real, real, noisy), ones)
        on_real.backward()
        fake = self.cleaned(noisy)
        on_fake = F.mse_loss(self.logits(fake.detach().float(), real, noisy), zeros)
        on_fake.backward()
        self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        judged = F.mse_loss(self.logits(fake, real, noisy), ones)
        distance = 100 * F.l1_loss(fake.float(), real)
        (judged + distance).backward()
        self.optimizer_g.step()
        self.losses.append((on_real.item(), on_fake.item(), judged.item(), distance.item()))


class Tuned(Enhancing):
    """The ceiling: windows sliced in memory, one backward for D, D frozen while G learns, nothing read back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pairs = [sound.to(DEVICE) for sound in self.pairs]
        self.weights_d: list[nn.Parameter] = list(self.d.parameters())

    def step(self) -> None:
        index = torch.randint(len(self.pairs[0]), (self.batch,), device=DEVICE)
        real, noisy = (sound[index] for sound in self.pairs)
        fake = self.cleaned(noisy)
        self.optimizer_d.zero_grad()
        on_real, on_fake = self.logits(real, real, noisy), self.logits(fake.detach(), real, noisy)
        ((on_real - 1).square().mean() + on_fake.square().mean()).backward()
        self.optimizer_d.step()
        for weight in self.weights_d:
            weight.requires_grad_(False)
        self.optimizer_g.zero_grad()
        judged = (self.logits(fake, real, noisy) - 1).square().mean()
        (judged + 100 * F.l1_loss(fake.float(), real)).backward()
        self.optimizer_g.step()
        for weight in self.weights_d:
            weight.requires_grad_(True)
