"""Steps per second of gan_zoo, of a loop as tutorials write it, and of a loop tuned by hand without any framework.

    python experiments/throughput/benchmark.py model=dcgan,wgan_gp,vanilla,cgan precision=32-true,bf16-mixed
    python experiments/throughput/benchmark.py model=pggan_16,pggan_32,pggan_64    # "tutorial": as the public PyTorch port
    python experiments/throughput/benchmark.py model=segan_plus,segan                # "tutorial": as the authors' segan_pytorch
    python experiments/throughput/benchmark.py model=dcgan compile=false,true        # a row as written, one compiled

On a GPU where there is one; CUDA_VISIBLE_DEVICES= keeps it from that.

The three take turns in blocks of steps within one process, on the same networks, data and batch size, so that whatever else
the machine does falls on all of them. The figure is the median over rounds of the ratio of two neighbouring blocks.
"""

from __future__ import annotations

import csv
import itertools
import logging
import os
import platform
import statistics
import sys
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from gan_zoo import loading, schedules
from gan_zoo.config import compose, validate
from gan_zoo.nn.compiled import eager
from gan_zoo.run import data_module

# An average of G and noise on what D sees cost time, which the loops do not spend.
PLAIN = ["model.ema_half_life=null"]
SETTINGS = {
    "dcgan": ["experiment=dcgan_port", "data=avatars", "data.resolution=64"],
    "wgan_gp": ["model=wgan_gp", "data=stacked_digits"],
    "vanilla": ["model=vanilla", "data=digits", "data.resolution=28"],
    "cgan": ["model=cgan", "data=digits"],
    "wgan_gp_text": ["model=wgan_gp_text", "data=python_manual", *PLAIN],
    "text_to_image": ["model=text_to_image", "data.size=400", "data.held_out=8", "data.unseen=8", "model.instance_noise=0.0",
                      "model.weights.generator.mode_seeking=0.0", *PLAIN],
    **{f"pggan_{side}": ["model=pggan", "data=avatars", "data.size=300", "data.held_out=8", "data.classes=0", f"data.resolution={side}",
                         f"model.schedule.initial_resolution={side}", "data.batch_size=16"] for side in (16, 32, 64)},
    "pix2pix": ["model=pix2pix", "data=streets", "data.size=200", "data.width=128"],
    "pix2pixhd": ["model=pix2pixhd", "data=streets", "data.size=200", "data.width=128",
                  "model.schedule={coarse: 0, enhancer: 0}"],
    **{name: [f"model={name}", "data.speakers=4", "data.utterances=4", *PLAIN] for name in ("segan_plus", "segan")},
}  # fmt: skip
BLOCK = {"dcgan": 4, "wgan_gp": 5, "vanilla": 100, "cgan": 20, "wgan_gp_text": 10, "pggan_16": 10, "pggan_32": 6, "pggan_64": 3,
         "pix2pix": 3, "pix2pixhd": 2, "segan_plus": 10, "segan": 5, "text_to_image": 2}  # fmt: skip
HERE = Path(__file__).parent
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Items(Dataset[tuple[Tensor, int]]):
    """One picture (or one-hot line) at a time, as torchvision's data sets give them."""

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pictures[index], int(self.labels[index])


class Loop:
    """A contender: networks of its own, the rules of the config, one method that plays a step."""

    def __init__(self, config: dict[str, Any], pictures: Tensor, labels: Tensor, precision: str) -> None:
        gan = loading.build(config).to(DEVICE.type)
        self.gan, self.g, self.d = gan, gan.generator, gan.discriminator
        self.penalised = bool(gan.regularizer.term_names)
        self.n_critic, self.conditional = gan.n_critic, bool(getattr(gan, "classes", 0))
        self.batch = config["data"]["batch_size"]
        self.bf16 = precision == "bf16-mixed"
        self.settings = config["model"]["optimizer"]
        self.pictures, self.labels = pictures, labels
        self.step_number = 0

    def rate(self, player: str) -> float:
        """The learning rate at the start."""
        return schedules.create(self.settings[player]["lr"])(0)

    def real(self, raw: Tensor) -> Tensor:
        """What the networks see of pictures, or of token ids."""
        if raw.dtype == torch.int16:
            return F.one_hot(raw.long(), self.gan.vocabulary_size).mT.float()
        return raw.float().div_(127.5).sub_(1)

    def latent(self, n: int) -> Tensor:
        return torch.randn(n, self.gan.latent.size, device=DEVICE)

    def judge(self, x: Tensor, label: Tensor) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            batch = {"condition": label} if self.conditional else {}
            return self.gan.discriminate(x, batch).logits.float()

    def fake(self, z: Tensor, label: Tensor) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.bf16):
            return self.gan.generate({"latent": z, "condition": label} if self.conditional else {"latent": z})

    def penalty(self, real: Tensor, fake: Tensor, label: Tensor) -> Tensor:
        share = torch.rand(len(real), *[1] * (real.dim() - 1), device=DEVICE)
        mixed = (real + share * (fake - real)).detach().requires_grad_()
        batch = {"condition": label} if self.conditional else {}
        with eager(self.d):
            score = self.gan.discriminate(mixed, batch).logits.sum()
        (gradient,) = torch.autograd.grad(score, mixed, create_graph=True)
        return 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class Tutorial(Loop):
    """As the DCGAN tutorial and its many copies write it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        data = Items(self.real(self.pictures), self.labels)
        self.loader = itertools.cycle(DataLoader(data, batch_size=self.batch, shuffle=True, drop_last=True))

        def adam(net: nn.Module, player: str) -> torch.optim.Optimizer:
            return torch.optim.Adam(
                net.parameters(), lr=self.rate(player), betas=tuple(self.settings[player]["betas"])
            )

        self.optimizer_d, self.optimizer_g = adam(self.d, "discriminator"), adam(self.g, "generator")
        self.losses: list[tuple[float, float]] = []

    def step(self) -> None:
        real, label = (tensor.to(DEVICE) for tensor in next(self.loader))
        ones, zeros = torch.ones(len(real), device=DEVICE), torch.zeros(len(real), device=DEVICE)
        fake = self.fake(self.latent(len(real)), label)
        self.optimizer_d.zero_grad()
        on_real, on_fake = self.judge(real, label), self.judge(fake.detach(), label)
        if self.penalised:
            loss_d = on_fake.mean() - on_real.mean() + self.penalty(real, fake.detach().float(), label)
        else:
            loss_d = F.binary_cross_entropy_with_logits(on_real, ones) + F.binary_cross_entropy_with_logits(
                on_fake, zeros
            )
        loss_d.backward()
        self.optimizer_d.step()
        self.step_number += 1
        if self.step_number % self.n_critic:
            return
        self.optimizer_g.zero_grad()
        if self.n_critic > 1:
            fake = self.fake(self.latent(len(real)), label)
        again = self.judge(fake, label)
        loss_g = -again.mean() if self.penalised else F.binary_cross_entropy_with_logits(again, ones)
        loss_g.backward()
        self.optimizer_g.step()
        self.losses.append((loss_d.item(), loss_g.item()))


class Tuned(Loop):
    """The ceiling: pictures sliced in memory, fused Adam, channels last, D frozen while G learns, nothing read back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pictures, self.labels = self.pictures.to(DEVICE), self.labels.to(DEVICE)

        def adam(net: nn.Module, player: str) -> torch.optim.Optimizer:
            return torch.optim.Adam(
                net.parameters(),
                lr=self.rate(player),
                betas=tuple(self.settings[player]["betas"]),
                fused=True,
            )

        self.optimizer_d, self.optimizer_g = adam(self.d, "discriminator"), adam(self.g, "generator")
        if self.gan.channels_last:
            self.g.to(memory_format=torch.channels_last), self.d.to(memory_format=torch.channels_last)
        self.weights_d = list(self.d.parameters())

    def step(self) -> None:
        index = torch.randint(len(self.pictures), (self.batch,), device=DEVICE)
        real, label = self.real(self.pictures[index]), self.labels[index]
        if self.gan.channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        self.step_number += 1
        g_plays = self.step_number % self.n_critic == 0
        with torch.set_grad_enabled(g_plays):
            fake = self.fake(self.latent(self.batch), label)
        self.optimizer_d.zero_grad()
        on_real, on_fake = self.judge(real, label), self.judge(fake.detach(), label)
        if self.penalised:
            loss_d = on_fake.mean() - on_real.mean() + self.penalty(real, fake.detach().float(), label)
        else:
            loss_d = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        loss_d.backward()
        self.optimizer_d.step()
        if g_plays:
            for weight in self.weights_d:
                weight.requires_grad_(False)
            self.optimizer_g.zero_grad()
            again = self.judge(fake, label)
            (-again.mean() if self.penalised else F.softplus(-again).mean()).backward()
            self.optimizer_g.step()
            for weight in self.weights_d:
                weight.requires_grad_(True)


class TakeTurns(pl.Callback):
    """Times gan_zoo's blocks of steps, and lets the others play theirs in between."""

    def __init__(self, others: dict[str, Any], block: int, rounds: int) -> None:
        self.others, self.block, self.rounds = others, block, rounds
        self.seconds: dict[str, list[float]] = {"gan_zoo": [], **{name: [] for name in others}}
        self.steps = 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.steps += 1
        if self.steps % self.block:
            return
        if self.steps > self.block:  # the first block of each warms up
            self.seconds["gan_zoo"].append(now() - self.started)
        for name, loop in self.others.items():
            started = now()
            for _ in range(self.block):
                loop.step()
            if self.steps > self.block:
                self.seconds[name].append(now() - started)
        trainer.should_stop = len(self.seconds["gan_zoo"]) >= self.rounds
        self.started = now()


def now() -> float:
    """Seconds, once the device has done all it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def contenders(config: dict[str, Any], whole: dict[str, Tensor], precision: str) -> dict[str, Any]:
    """The loops that take turns with gan_zoo's, on the real samples of a batch."""
    return {name: contender(name, config, whole, precision) for name in ("tutorial", "tuned")}


def contender(name: str, config: dict[str, Any], whole: dict[str, Tensor], precision: str) -> Any:
    """The loop of that name, `tutorial` or `tuned`."""
    kind = rivals(config["model"]["name"])[name == "tuned"]
    if config["data"]["modality"] == "pair":
        return kind(config, whole, precision)
    real = whole["real"]
    labels = whole.get("condition", torch.zeros(len(real), dtype=torch.int64))
    return kind(config, real, labels, precision)


def rivals(model: str) -> tuple[Any, Any]:
    """A loop as people find it (a tutorial's, the public port's, the authors' own), and one tuned by hand."""
    sys.modules.setdefault("benchmark", sys.modules[__name__])  # whose classes theirs extend
    if model == "pggan":
        import progressive

        return progressive.Port, progressive.Tuned
    if model in ("pix2pix", "pix2pixhd"):
        import translation

        return translation.Authors, translation.Tuned
    if model == "text_to_image":
        import captioned

        return captioned.Port, captioned.Tuned
    if model in ("segan", "segan_plus"):
        import enhancing

        return enhancing.Port, enhancing.Tuned
    return Tutorial, Tuned


def trainer(precision: str, callback: pl.Callback) -> pl.Trainer:
    """gan_zoo's, with nothing that watches."""
    return pl.Trainer(
        accelerator=DEVICE.type,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        precision=precision,  # type: ignore[arg-type]
        callbacks=[callback],
    )


def measure(model: str, precision: str, rounds: int, compiled: bool = False) -> dict[str, Any]:
    """A row of the table. compiled: the networks of gan_zoo and of the tuned loop are, with torch.compile; penalties take
    them as they were written."""
    config = validate(compose([*SETTINGS[model], "seed=1"]))
    data = data_module(config)
    items = data.train_set()
    count = min(len(items), 2000)
    whole = items.__getitems__([(i, 0, data.resolution) for i in range(count)])
    others = contenders(config, whole, precision)
    gan = loading.build(config)
    data.begin(0, None)
    for network in (
        (gan.generator, gan.discriminator, others["tuned"].g, others["tuned"].d) if compiled else ()
    ):
        network.compile()
    turns = TakeTurns(others, BLOCK[model], rounds)
    gan.observing = False
    trainer(precision, turns).fit(gan, data)
    seconds = turns.seconds

    def ratio(name: str) -> float:
        return statistics.median(
            other / own for own, other in zip(seconds["gan_zoo"], seconds[name], strict=True)
        )

    rates = {name: BLOCK[model] / statistics.median(times) for name, times in seconds.items()}
    return {
        "model": model,
        "precision": precision + (", compiled" if compiled else ""),
        "batch": config["data"]["batch_size"],
        "gan_zoo steps/s": round(rates["gan_zoo"], 2),
        "tuned steps/s": round(rates["tuned"], 2),
        "tutorial steps/s": round(rates["tutorial"], 2),
        "of tuned": round(ratio("tuned"), 3),
        "times tutorial": round(ratio("tutorial"), 2),
    }


def main(arguments: list[str]) -> None:
    chosen = dict(argument.split("=", 1) for argument in arguments)
    threads = int(chosen.get("threads", os.cpu_count() or 1))
    torch.set_num_threads(threads)
    silence()
    rows = []
    for model in chosen.get("model", ",".join(SETTINGS)).split(","):
        for precision in chosen.get("precision", "32-true,bf16-mixed").split(","):
            for compiled in chosen.get("compile", "false").split(","):
                rows.append(measure(model, precision, int(chosen.get("rounds", 12)), compiled == "true"))
                print(rows[-1], flush=True)
    write(rows, threads, Path(chosen.get("output", HERE)))


def silence() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def write(
    rows: list[dict[str, Any]], threads: int, folder: Path, name: str = "table", below: str = ""
) -> None:
    """name.csv and name.md of the rows, with the machine, the date and the command that made them."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    head = "| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]) + "\n"
    body = "".join("| " + " | ".join(str(value) for value in row.values()) + " |\n" for row in rows)
    where = f"{date.today()}, {processor()}, {threads} threads, torch {torch.__version__}, lightning {pl.__version__}"
    command = f"python experiments/throughput/{Path(sys.argv[0]).name} " + " ".join(sys.argv[1:])
    (folder / f"{name}.md").write_text(
        f"{where}; `{command.strip()}`\n\n{head}{body}" + (f"\n{below}\n" if below else "")
    )


def processor() -> str:
    if DEVICE.type == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = (
        [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        if info.exists()
        else []
    )
    amx = " with AMX" if info.exists() and "amx_bf16" in info.read_text() else ""
    return (names[0] if names else platform.processor()) + amx


if __name__ == "__main__":
    main(sys.argv[1:])
