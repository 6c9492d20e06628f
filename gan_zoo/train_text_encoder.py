"""Trains a sentence encoder with a picture encoder: python -m gan_zoo.train_text_encoder data=flowers encoder=words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo.command import command

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan_zoo.data.captions import CaptionData
    from gan_zoo.nn.joint_embedding import Trained


@command
def main(
    *,
    data: str = "flowers",
    encoder: str = "words",
    output: str | None = None,
    overrides: list[str] | None = None,
    settings: dict[str, Any] | None = None,
    seed: NonNegativeInt = 0,
    device: str = "cpu",
    threads: PositiveInt | None = None,
) -> Path:
    """Trains a text encoder jointly with a picture encoder by the structured joint embedding loss (Reed et al. 2016a), and writes
    both to one safetensors file with the words, the settings, the figures and the data's name.

    data: a choice of conf/data with captions.
    encoder: a choice of conf/text_encoder: words, char_cnn_rnn.
    output: the file; default runs/text_encoder/<data>-<encoder>.safetensors.
    overrides: of the data, such as overrides=[data.root=DIR,data.resolution=32].
    settings: of the encoder's YAML, such as settings={samples: 64000, lr: 1e-3}.
    seed: of weights and order.
    device: cpu, cuda, mps.
    threads: CPU threads; default all.
    """
    import torch

    from gan_zoo.nn import joint_embedding

    if threads:
        torch.set_num_threads(threads)
    chosen = settings_of(encoder, settings or {})
    items = captioned_data(data, [f"data.unit={chosen.unit}", *(overrides or [])])
    target = Path(output) if output else Path("runs", "text_encoder", f"{data}-{encoder}.safetensors")
    text, picture, about = fit(items, encoder, chosen, seed, device)
    digest = joint_embedding.write(target, about, text, picture)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in about["figures"].items())
    print(f"{target}: {encoder} {digest}; held out: {figures}", flush=True)
    return target


class Settings(NamedTuple):
    """conf/text_encoder/<name>.yaml. unit: words or characters; encoder: keyword arguments of the network; size: of a sentence;
    decay: factor on the rate after each 1/decays of the run."""

    unit: str
    encoder: dict[str, Any]
    size: int
    picture_width: int
    samples: int
    batch_size: int
    lr: float
    decay: float
    clip: float


def _allowed(
    *,
    unit: str,
    encoder: dict[str, Any],
    size: PositiveInt,
    picture_width: PositiveInt,
    samples: PositiveInt,
    batch_size: PositiveInt,
    lr: PositiveFloat,
    decay: PositiveFloat,
    clip: NonNegativeFloat,
) -> None:
    """What Settings may hold; its annotations are the schema."""


def settings_of(name: str, changed: dict[str, Any]) -> Settings:
    """The settings of conf/text_encoder/<name>.yaml with changes; ConfigError names what cannot be right."""
    import yaml

    from gan_zoo.config import conf_dir
    from gan_zoo.signatures import arguments
    from gan_zoo.wording import raise_if, shown, suggestion

    folder = conf_dir() / "text_encoder"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise_if([f"encoder: {shown(name)} came; {suggestion(name, names)}"])
    content = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    problems: list[str] = []
    found = arguments({**content, **changed}, _allowed, "settings", problems)
    raise_if(problems)
    return Settings(**found)


def captioned_data(name: str, overrides: list[str]) -> CaptionData:
    """The data module of a choice of conf/data, which must have captions."""
    from gan_zoo.config import compose, validate
    from gan_zoo.data.captions import CaptionData
    from gan_zoo.run import data_module
    from gan_zoo.schema import ConfigError

    wrong = [text for text in overrides if not text.lstrip("+").startswith("data.")]
    if wrong:
        raise ConfigError(
            f"overrides: {wrong[0]!r} came, keys of the data were wanted, such as data.root=DIR"
        )
    if compose([f"data={name}"])["data"]["modality"] != CaptionData.MODALITY:
        raise ConfigError(
            f"data={name} has no captions; take data=flowers, or pictures with a text file each"
        )
    data = data_module(validate(compose(["model=text_to_image", f"data={name}", *overrides])))
    assert isinstance(data, CaptionData)  # what has captions is made of it
    return data


def fit(
    data: CaptionData, name: str, settings: Settings, seed: int, device: str
) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    """Both encoders, trained, and what their file says of them."""
    import torch

    from gan_zoo import chance
    from gan_zoo.nn import joint_embedding

    about: dict[str, Any] = {
        "name": name,
        "data": data.name,
        "encoder": settings.encoder,
        "size": settings.size,
        "picture": {
            "channels": data.channels,
            "resolution": data.resolution,
            "width": settings.picture_width,
        },
        "vocabulary": data.vocabulary.symbols,
        "caption_length": data.caption_length,
        "seed": seed,
        "samples": settings.samples,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.mix(seed, "text encoder"))
        text, picture = (network.to(device) for network in joint_embedding.networks(about))
    _train(data, settings, text, picture, seed, device)
    text.eval(), picture.eval()
    trained = joint_embedding.Trained(about, text.cpu(), picture.cpu(), "")
    about["figures"] = figures_of(trained, data)
    return text, picture, about


def _train(
    data: CaptionData, settings: Settings, text: nn.Module, picture: nn.Module, seed: int, device: str
) -> None:
    import torch

    from gan_zoo.data.stream import Order
    from gan_zoo.nn.joint_embedding import structured_joint_loss
    from gan_zoo.nn.sentences import encode

    parameters = [*text.parameters(), *picture.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=settings.lr)
    items, steps = data.train_set(), max(1, settings.samples // settings.batch_size)
    order = Order(len(items), seed, data._item_weights())
    begun = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * settings.decay ** (step / steps)
        keys = order.keys(step * settings.batch_size, settings.batch_size)
        batch = items.__getitems__([(index, epoch, data.resolution) for index, epoch in keys])
        real = batch["real"].to(device).float().div_(127.5).sub_(1)
        told = encode(text, batch["tokens"].long().to(device))
        terms = structured_joint_loss(told, picture(real), batch["class"].to(device))
        loss = terms[0] + terms[1]
        optimizer.zero_grad()
        loss.backward()
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        if step % max(1, steps // 10) == 0 or step == steps - 1:
            seen, spent = (step + 1) * settings.batch_size, time.monotonic() - begun
            print(f"{seen:>9,} samples  loss {loss.item():.4f}  {spent:.0f} s", flush=True)


def figures_of(trained: Trained, data: CaptionData, most: int = 1000) -> dict[str, float]:
    """On held-out items: how often the right caption among 100 of other items scores highest (R-precision), and how often the
    right class does, by the mean of its captions."""
    import torch

    items = data.held_out_set()
    batch = items.__getitems__([(i, 0, data.resolution) for i in range(min(most, len(items)))])
    with torch.no_grad():
        told, seen = vectors(trained, batch)
    scores = seen @ told.T  # [pictures, captions]
    n = len(scores)
    generator = torch.Generator().manual_seed(0)
    others = torch.stack([torch.randperm(n - 1, generator=generator)[: min(99, n - 1)] for _ in range(n)])
    others += others >= torch.arange(n)[:, None]  # never the item itself
    best = scores.gather(1, others).amax(1)
    figures = {"r_precision": float((scores.diagonal() > best).float().mean())}
    classes = batch["class"]
    present = classes.unique()
    if len(present) > 1 and int(present.min()) >= 0:
        means = torch.stack([told[classes == number].mean(0) for number in present])
        figures["class_accuracy"] = float((present[(seen @ means.T).argmax(1)] == classes).float().mean())
    return figures


def vectors(trained: Trained, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(sentences, pictures) of a batch on the wire, [N, E] each."""
    from gan_zoo.nn.sentences import encode

    real = batch["real"].float().div(127.5).sub(1)
    told = encode(trained.text, batch["tokens"].long())
    return told, trained.picture(real)


if __name__ == "__main__":
    main()
