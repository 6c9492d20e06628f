"""Pictures made from pictures or label maps: python -m gan_zoo.translate run=RUN_DIR input=PATH output=DIR."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import NonNegativeInt, PositiveInt

from gan_zoo.command import command
from gan_zoo.schema import DataError
from gan_zoo.wording import of_unread

if TYPE_CHECKING:
    from torch import Tensor

    from gan_zoo.gan import GAN


@command
def main(
    *,
    run: str,
    input: str,
    output: str,
    instances: str | None = None,
    tile: PositiveInt = 1024,
    overlap: NonNegativeInt = 64,
    seed: NonNegativeInt = 0,
    styles: NonNegativeInt = 0,
    style: NonNegativeInt | list[NonNegativeInt] = 0,
    style_items: PositiveInt = 1000,
    compare: bool = False,
    max_pixels: PositiveInt = 64_000_000,
    device: str = "cpu",
) -> list[Path]:
    """Makes a picture from a file, or from every file of a folder and its sub-folders, at the size it has.

    What the network cannot take as it is is padded by repeating its border, and cut off again; what is larger than `tile` is
    made in tiles that fade into one another. A model of label maps reads class ids from pictures of one channel.

    run: run directory, .ckpt file or export of a pix2pix or pix2pixhd.
    input: a file or folder; pictures, or label maps with ids as the model was trained on.
    output: folder to write NAME.png to, with the sub-folders of `input`; of one file also the .png itself.
    instances: folder (or file) of instance maps of the same names; default: each connected area of a class is one instance.
    tile: largest side made at once, in pixels.
    overlap: pixels that neighbouring tiles share.
    seed: of dropout and of drawn styles, where the model keeps them.
    styles: for pix2pixhd: how many K-means styles each class has, from the run's training data; 0 draws remembered styles.
    style: which of them all instances take, 0 is the commonest; or one for each class, as [0, 2, 7] (0 for the rest).
    style_items: training pictures whose instances are gathered.
    compare: also NAME.compare.png, input and output side by side.
    max_pixels: larger files are refused by their header.
    device: cpu, cuda, mps.
    """
    from gan_zoo.loading import load
    from gan_zoo.schema import ConfigError
    from gan_zoo.styles import of_run

    gan = load(run, device=device)
    if "condition" not in gan.conditioned_on or not hasattr(gan, "sides"):
        raise ConfigError(
            f"{run}: a {type(gan).__name__} translates no pictures; give a run of pix2pix or pix2pixhd"
        )
    if overlap >= tile:
        raise ConfigError(f"overlap={overlap} must be smaller than tile={tile}")
    jobs = _jobs(Path(input), Path(output), Path(instances) if instances else None)
    centres = of_run(gan, Path(run), styles, style_items) if styles else None
    written, unread = [], []
    for job in _with_progress(jobs):
        try:
            inputs = _read(gan, job, max_pixels)
        except DataError as failure:  # one of a thousand files keeps none of the others back
            if len(jobs) == 1:
                raise
            unread.append(failure)
            continue
        made = translated(
            gan, inputs, tile=tile, overlap=overlap, seed=seed, style=_style(centres, inputs, style)
        )
        written.append(_write(made, job.target))
        if compare:
            _compare(made, inputs, job.target.with_suffix(".compare.png"))
    if unread:
        raise DataError(input, of_unread(unread, len(jobs)))
    return written


class Job(NamedTuple):
    """A file, the map of its instances, and where its picture goes."""

    source: Path
    instances: Path | None
    target: Path


def translated(
    gan: GAN,
    inputs: dict[str, Tensor],
    *,
    tile: int = 1024,
    overlap: int = 64,
    seed: int = 0,
    style: Tensor | None = None,
) -> Tensor:
    """The picture [1, C, H, W] in [-1, 1] of inputs on the wire, each [1, ..., H, W], of any height and width.

    style: style maps [1, F, H, W] of a pix2pixHD with an encoder; None: drawn by the seed.
    """
    import torch

    from gan_zoo import chance
    from gan_zoo.schema import ConfigError
    from gan_zoo.tiling import tiled

    if style is None and getattr(gan.generator, "encoder", None) is not None:
        style = drawn_style(gan, inputs, seed)
    maps = {key: inputs[key] for key in gan.conditioned_on} | ({} if style is None else {"style": style})

    def make(part: dict[str, Tensor]) -> Tensor:
        chance.seed_default(chance.mix(seed, "sample"), gan.device)
        batch = gan.prepare_batch({key: value.to(gan.device) for key, value in part.items()})
        made = gan.generate(batch).float().cpu()
        if made.shape[-2:] != part["condition"].shape[-2:]:
            raise ConfigError(
                f"this run ended in its coarse stage, after {gan.samples_seen} samples, and makes smaller pictures; train on"
            )
        return made

    with torch.random.fork_rng(devices=[]), gan.averaged():
        multiple, least = gan.sides()  # type: ignore[operator]
        return tiled(make, maps, multiple, tile, overlap, least)


def drawn_style(gan: GAN, inputs: dict[str, Tensor], seed: int) -> Tensor:
    """A remembered style for each instance, drawn once for the whole picture, so that tiles agree."""
    import torch

    from gan_zoo import chance
    from gan_zoo.nn.label_maps import region_classes, regions, spread
    from gan_zoo.styles import encoder_of

    numbers, count = regions(inputs["instances"])
    labels = inputs["condition"] if inputs["condition"].dim() == 3 else torch.zeros_like(numbers)
    with torch.random.fork_rng(devices=[]):
        chance.seed_default(chance.mix(seed, "style"), gan.device)
        classes = region_classes(labels, numbers, count).to(gan.device)
        return spread(encoder_of(gan).drawn(classes).cpu(), numbers)


def _style(centres: Tensor | None, inputs: dict[str, Tensor], style: int | list[int]) -> Tensor | None:
    from gan_zoo.styles import chosen

    return None if centres is None else chosen(centres, inputs, style)


# ---- files ---------------------------------------------------------------------------------------------------


def _jobs(source: Path, output: Path, instances: Path | None) -> list[Job]:
    """What is to be done; refused before anything is, where files would be lost or lack a partner."""
    from gan_zoo.data.pictures import data_error, list_pictures
    from gan_zoo.schema import ConfigError

    if source.is_file():
        root, files = source.parent, [source]
    else:
        listing = list_pictures(source)
        root, files = source, list(listing.files)
        if listing.bad or not files:
            raise listing.bad[0] if listing.bad else data_error(source, "holds no picture")
    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    for file in files:
        named = source.is_file() and output.suffix.lower() == ".png" and not output.is_dir()
        target = output if named else output / file.relative_to(root).with_suffix(".png")
        if target.resolve() == file.resolve():
            raise ConfigError(f"{file} would be overwritten by what is made from it; choose another output")
        if target in taken:
            raise ConfigError(
                f"{taken[target]} and {file} would both be {target}; rename one, or translate them one by one"
            )
        taken[target] = file
        partner = (
            instances if instances is None or instances.is_file() else instances / file.relative_to(root)
        )
        if partner is not None and not partner.is_file():
            raise data_error(partner, f"there is no such file, which holds the instances of {file}")
        jobs.append(Job(file, partner, target))
    return jobs


def _read(gan: GAN, job: Job, max_pixels: int) -> dict[str, Tensor]:
    """The inputs of a job on the wire, a batch of one."""
    import numpy as np
    import torch

    from gan_zoo.data.pictures import Reading, data_error, read_ids

    classes = int(getattr(gan, "classes_of_maps", 0))
    if not classes:
        channels: Any = gan.input_channels
        picture = np.array(Reading(1, channels, max_pixels=max_pixels).whole(job.source))
        planes = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
        found = {"condition": torch.from_numpy(np.ascontiguousarray(planes)).unsqueeze(0)}
    else:
        ids = read_ids(job.source, max_pixels)
        if ids.max() >= classes:
            raise data_error(job.source, f"has the class id {ids.max()}, the model knows 0 to {classes - 1}")
        found = {"condition": torch.from_numpy(ids.astype(np.uint8)).unsqueeze(0)}
    if "instances" in gan.conditioned_on:
        found["instances"] = _instances(job, found["condition"], max_pixels)
    return found


def _instances(job: Job, labels: Tensor, max_pixels: int) -> Tensor:
    import numpy as np
    import torch
    from scipy import ndimage

    from gan_zoo.data.pictures import data_error, read_ids

    if job.instances is not None:
        ids = read_ids(job.instances, max_pixels).astype(np.int32)
        if ids.shape != tuple(labels.shape[-2:]):
            raise data_error(
                job.instances,
                f"is {ids.shape[1]} x {ids.shape[0]}, {job.source} is {labels.shape[-1]} x {labels.shape[-2]}",
            )
        return torch.from_numpy(ids).unsqueeze(0)
    ids = np.zeros(labels.shape[-2:], np.int32)
    for kind in np.unique(labels[0].numpy()):
        areas, _ = ndimage.label(labels[0].numpy() == kind)
        ids = np.where(areas > 0, areas + ids.max(), ids)
    return torch.from_numpy(ids.astype(np.int32)).unsqueeze(0)


def _write(made: Tensor, target: Path) -> Path:
    from gan_zoo import media

    media.publish(target, media.png(media.as_bytes(made)[0]))
    return target


def _compare(made: Tensor, inputs: dict[str, Tensor], target: Path) -> None:
    from gan_zoo import media

    cells, _ = media.pairs.in_rows(made, None, inputs)
    media.publish(target, media.png(media.grid(cells, columns=2, width=1)))


def _with_progress(jobs: list[Job]) -> Iterator[Job]:
    """A bar on a terminal, else a line for each file."""
    from rich import progress
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        yield from progress.track(jobs, "translating", console=console)
        return
    for number, job in enumerate(jobs, 1):
        started = time.monotonic()
        yield job
        if job.target.is_file():
            print(f"{number:5d}/{len(jobs)}  {job.target}  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
