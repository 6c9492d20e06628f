"""The loops that gan_zoo's pix2pix and pix2pixHD are timed against: in the authors' manner, and tuned by hand."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from benchmark import DEVICE
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from gan_zoo import loading

Batch = dict[str, Tensor]


class Pairs(Dataset[Batch]):
    """One pair at a time."""

    def __init__(self, whole: Batch) -> None:
        self.whole = whole

    def __len__(self) -> int:
        return len(self.whole["real"])

    def __getitem__(self, index: int) -> Batch:
        return {key: value[index] for key, value in self.whole.items()}


class Loop:
    """A contender: networks of its own, the game of the config, one method that plays a step."""

    def __init__(self, config: dict[str, Any], whole: Batch, precision: str, fused: bool) -> None:
        self.gan = gan = loading.build(config).to(DEVICE.type)
        self.g, self.d = gan.generator, gan.discriminator
        self.whole, self.batch, self.bf16 = whole, config["data"]["batch_size"], precision == "bf16-mixed"
        self.large = config["model"]["name"] == "pix2pixhd"
        if self.large:
            gan.samples_seen = 2**40  # all nets at full size, as the timed run of gan_zoo
        rules = config["model"]["optimizer"]["generator"]
        options: dict[str, Any] = {"lr": 2e-4, "betas": tuple(rules["betas"]), "fused": fused}
        self.optimizer_g = torch.optim.Adam(gan.generator.parameters(), **options)
        self.optimizer_d = torch.optim.Adam(gan.discriminator.parameters(), **options)
        self.losses: list[tuple[float, ...]] = []

    def generate(self, batch: Batch) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            return self.gan.generate(batch)

    def judge(self, picture: Tensor, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            says = self.gan.discriminate(picture, batch)
        logits = says.logits if isinstance(says.logits, tuple) else (says.logits,)
        return [scale.float() for scale in logits], list(says.features)

    def adversarial(self, logits: list[Tensor], genuine: bool) -> Tensor:
        """LSGAN over the scales for pix2pixHD, cross entropy for pix2pix."""
        loss = F.mse_loss if self.large else F.binary_cross_entropy_with_logits
        return sum(
            (loss(x, torch.full_like(x, float(genuine))) for x in logits), torch.zeros((), device=DEVICE)
        )

    def reconstruction(
        self, fake: Tensor, batch: Batch, seen: list[Tensor], real_seen: list[Tensor]
    ) -> Tensor:
        if not self.large:
            return 100 * F.l1_loss(fake.float(), batch["real"])
        network: Any = self.gan.discriminator
        factor = 10 * 4 / (network.n_layers + 1) / len(network.scales)
        return factor * sum(
            (F.l1_loss(a.float(), b.detach().float()) for a, b in zip(seen, real_seen, strict=True)),
            torch.zeros((), device=DEVICE),
        )


class Authors(Loop):
    """As the authors' PyTorch code plays: a loader of single items, the fake judged for D and again for G, losses read each step."""

    def __init__(self, config: dict[str, Any], whole: Batch, precision: str) -> None:
        super().__init__(config, whole, precision, fused=False)
        self.gan.channels_last = False
        self.gan.to(memory_format=torch.contiguous_format)
        self.loader = itertools.cycle(
            DataLoader(Pairs(whole), batch_size=self.batch, shuffle=True, drop_last=True)
        )

    def step(self) -> None:
        batch = self.gan.prepare_batch({key: value.to(DEVICE) for key, value in next(self.loader).items()})
        fake = self.generate(batch)
        if self.large:
            self.step_hd(batch, fake)
            return
        self.optimizer_d.zero_grad()
        on_fake, on_real = self.judge(fake.detach(), batch)[0], self.judge(batch["real"], batch)[0]
        loss_d = (self.adversarial(on_fake, False) + self.adversarial(on_real, True)) * 0.5
        loss_d.backward()
        self.optimizer_d.step()
        frozen(self.gan.discriminator, True)
        self.optimizer_g.zero_grad()
        loss_g = self.adversarial(self.judge(fake, batch)[0], True) + self.reconstruction(fake, batch, [], [])
        loss_g.backward()
        self.optimizer_g.step()
        frozen(self.gan.discriminator, False)
        self.losses.append((loss_d.item(), loss_g.item()))

    def step_hd(self, batch: Batch, fake: Tensor) -> None:
        on_fake = self.judge(fake.detach(), batch)[0]
        on_real, real_seen = self.judge(batch["real"], batch)
        again, seen = self.judge(fake, batch)
        loss_d = (self.adversarial(on_fake, False) + self.adversarial(on_real, True)) * 0.5
        loss_g = self.adversarial(again, True) + self.reconstruction(fake, batch, seen, real_seen)
        self.optimizer_g.zero_grad()
        loss_g.backward()
        self.optimizer_g.step()
        self.optimizer_d.zero_grad()
        loss_d.backward()
        self.optimizer_d.step()
        self.losses.append((loss_d.item(), loss_g.item()))


class Tuned(Loop):
    """The ceiling: pairs sliced in memory, fused Adam, channels last, no weight gradient that is not used, nothing read back."""

    def __init__(self, config: dict[str, Any], whole: Batch, precision: str) -> None:
        super().__init__(
            config, {key: value.to(DEVICE) for key, value in whole.items()}, precision, fused=True
        )
        self.weights = list(self.gan.generator.parameters()), list(self.gan.discriminator.parameters())

    def step(self) -> None:
        index = torch.randint(len(self.whole["real"]), (self.batch,), device=DEVICE)
        batch = self.gan.prepare_batch({key: value[index] for key, value in self.whole.items()})
        if self.gan.channels_last:
            batch["real"] = batch["real"].contiguous(memory_format=torch.channels_last)
        fake = self.generate(batch)
        of_g, of_d = self.weights
        self.optimizer_d.zero_grad()
        self.optimizer_g.zero_grad()
        if self.large:  # one forward of D serves both players
            (on_real, real_seen), (on_fake, seen) = self.judge(batch["real"], batch), self.judge(fake, batch)
            loss_d = (self.adversarial(on_real, True) + self.adversarial(on_fake, False)) * 0.5
            loss_d.backward(inputs=of_d, retain_graph=True)
            loss_g = self.adversarial(on_fake, True) + self.reconstruction(fake, batch, seen, real_seen)
            loss_g.backward(inputs=of_g)
            self.optimizer_g.step()
            self.optimizer_d.step()
            return
        on_real, on_fake = self.judge(batch["real"], batch)[0], self.judge(fake.detach(), batch)[0]
        ((self.adversarial(on_real, True) + self.adversarial(on_fake, False)) * 0.5).backward()
        self.optimizer_d.step()
        frozen(self.gan.discriminator, True)
        (
            self.adversarial(self.judge(fake, batch)[0], True) + self.reconstruction(fake, batch, [], [])
        ).backward()
        self.optimizer_g.step()
        frozen(self.gan.discriminator, False)


def frozen(network: nn.Module, yes: bool) -> None:
    for weight in network.parameters():
        weight.requires_grad_(not yes)
