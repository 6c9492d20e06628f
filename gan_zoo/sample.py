"""Draws from a trained model: python -m gan_zoo.sample run=RUN_DIR n=64 seed=0."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo.command import command
from gan_zoo.schema import ConfigError
from gan_zoo.views import OF_A_CAPTION, OF_CAPTIONS, OF_LATENTS, USES, Options, View, Walk

if TYPE_CHECKING:
    from torch import Tensor

    from gan_zoo.gan import GAN


@command
def main(
    *,
    run: str,
    n: PositiveInt | None = None,
    seed: NonNegativeInt = 0,
    view: View = "grid",
    condition: NonNegativeInt | list[NonNegativeInt] | None = None,
    path: Walk = "spherical",
    truncation: Annotated[float, Field(ge=0, le=1)] | None = None,
    seconds: PositiveFloat = 8.0,
    fps: PositiveInt = 25,
    steps: PositiveInt = 9,
    plus: list[list[NonNegativeInt]] | None = None,
    minus: list[list[NonNegativeInt]] | None = None,
    neighbours: PositiveInt = 5,
    caption: str | None = None,
    other: str | None = None,
    style: str | None = None,
    style_steps: PositiveInt = 1000,
    encoder: str | None = None,
    output: str | None = None,
    device: str = "cpu",
) -> Path:
    """Draws samples of a run, a checkpoint or an export, from its averaged generator where it has one.

    run: run directory, .ckpt file or export.
    n: how many samples (grid, nearest, video), or how many rows (interpolation), or columns (classes); default 64, for
        captions 8 pictures or 3 rows.
    seed: of the latents; the same seed draws the same samples.
    view: grid; interpolation: a row from each latent to the next; arithmetic: means of chosen latents, added and
        subtracted, with the terms beside the result; classes: a row for each class, the same latents in each;
        nearest: each sample and the training pictures nearest to it in pixels; video: a film of n walks beside one
        another that ends where it began.
    condition: a class for all samples, or one for each.
    path: from latent to latent along the great circle, or straight; for video also walk: a smoothed random walk.
    truncation: draws latents towards their mean by scaling, 1 not at all: less variety, often better pictures.
    seconds: of a video.
    fps: pictures a second of a video.
    steps: pictures in a row of an interpolation.
    plus: for arithmetic: lists of latent numbers whose means are added, as [[0, 3, 5], [7, 8]].
    minus: likewise, subtracted.
    neighbours: for nearest: how many.
    caption: for text-to-image models: what to draw, as caption="a flower with six yellow petals"; n pictures of it, with
        view=interpolation n walks from a latent to the next. view=captions: from `caption` to `other`, n rows of `steps`;
        view=caption_arithmetic: a, b, a + b, a - b, b - a of the two; view=style: with the style of a picture.
    other: the second caption.
    style: for view=style: a picture file, whose latent a style encoder finds; it is trained at the first call and kept.
    style_steps: batches that the style encoder learns from.
    encoder: for models trained on embeddings: the encoder that made them.
    output: file to write; default RUN/generated/<view>-<seed>.png (.txt for text, .wav for sound, .gif for video, which
        may be .mp4).
    device: cpu, cuda, mps.
    """
    from gan_zoo.loading import folder_of, load, modality_of
    from gan_zoo.truncation import truncated

    options = Options(
        n=n, condition=condition, path=path, seconds=seconds, fps=fps, steps=steps, plus=plus, minus=minus,
        neighbours=neighbours, caption=caption, other=other, style=style, style_steps=style_steps, encoder=encoder,
    )  # fmt: skip
    refuse_unused(view, options)
    gan, modality, place = load(run, device=device), modality_of(run), folder_of(Path(run))
    told = caption is not None or view in OF_CAPTIONS
    refuse_unfit(view, modality, None if told else gan)
    target = _target(place, _name(view, told), seed, _suffix(view, modality, told), output)
    task = Task(gan, modality, place, view, seed, options, target)
    with truncated(gan, truncation) if truncation is not None else nullcontext():
        written = _strip(task) if told else _film(task) if view == "video" else _sheet(task)
    print(written)
    return written


# ---- what is refused -----------------------------------------------------------------------------------------


def refuse_unused(view: View, options: Options) -> None:
    """ConfigError where something was asked for that this view does not look at, and would be lost without a word."""
    told = options.caption is not None or view in OF_CAPTIONS
    if told and view not in OF_A_CAPTION:
        raise ConfigError(
            f"view={view} draws no captions; leave the caption out, or take {_list(OF_A_CAPTION)}"
        )
    mine, others = (OF_A_CAPTION, USES) if told else (USES, OF_A_CAPTION)
    for name in options.beside_default():
        if name in mine[view]:
            continue
        table = mine if any(name in used for used in mine.values()) else others
        fitting = _list(other for other in table if name in table[other])
        how = " with caption=..." if table is OF_A_CAPTION and not told else ""
        raise ConfigError(
            f"{name} came, view={view}{' of a caption' if told and view in USES else ''} does not use it; "
            f"leave it out, or take view={fitting}{how}"
        )


def refuse_unfit(view: View, modality: str, gan: GAN | None) -> None:
    """ConfigError where a view cannot show what this model makes. gan: None where a caption says what is drawn."""
    if modality == "text" and view in ("nearest", "video"):
        raise ConfigError(
            f"view={view} is of pictures, this model writes text; take grid, interpolation, arithmetic or classes"
        )
    if modality in ("audio", "points") and view in ("nearest", "video"):
        raise ConfigError(f"view={view} is of pictures, this model makes {modality}; take view=grid")
    if gan is not None and gan.conditioned_on and view in OF_LATENTS:
        remedy = (
            'give caption="...", with view=interpolation' if modality == "captioned" else "take view=grid"
        )
        raise ConfigError(
            f"view={view} shows what latents alone make, {type(gan).__name__} also needs {_list(gan.conditioned_on, 'and')}; {remedy}"
        )


def _list(names: Iterable[str], word: str = "or") -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


# ---- where it is written -------------------------------------------------------------------------------------


def _name(view: View, told: bool) -> str:
    return "caption" if told and view == "grid" else view


def _suffix(view: View, modality: str, told: bool) -> str:
    from gan_zoo import media

    return ".png" if told else ".gif" if view == "video" else media.medium_of(modality).suffix


def _target(place: Path, name: str, seed: int, suffix: str, output: str | None) -> Path:
    """The file to write: `output`, to which an ending is added where it has none, or one beside the run's other files."""
    from gan_zoo import media

    if output is None:
        return place / "generated" / f"{name}-{seed}{suffix}"
    path = Path(output)
    if (
        not path.suffix or path.suffix[1:].isdigit()
    ):  # what stands after the dot of truncation_0.5 is no ending
        return path.with_name(path.name + suffix)
    endings = media.films.SUFFIXES if suffix in media.films.SUFFIXES else (suffix,)
    if path.suffix not in endings:
        raise ConfigError(
            f"output={output}: this is written as {_list(endings)}; name it {path.with_suffix(suffix)}"
        )
    return path


# ---- what is drawn -------------------------------------------------------------------------------------------


class Task(NamedTuple):
    """What is drawn of which model (modality: of its samples), whose run, with its data, is at `place`."""

    gan: GAN
    modality: str
    place: Path
    view: View
    seed: int
    options: Options
    target: Path


def _strip(task: Task) -> Path:
    """The labelled strip of a text-to-image model."""
    from gan_zoo import media
    from gan_zoo.views.captions import drawn

    if not task.options.captions():
        raise ConfigError(f'view={task.view} needs a caption; give caption="a flower with six yellow petals"')
    picture = drawn(task.gan, task.place, task.view, task.seed, task.options)
    media.publish(task.target, media.png(picture))
    return task.target


def _film(task: Task) -> Path:
    from gan_zoo import media
    from gan_zoo.views import latents, walks

    gan, seed, options = task.gan, task.seed, task.options
    frames = max(2, round(options.seconds * options.fps))
    walked = walks.path_of(latents.latent_of(gan), options.n or 64, frames, seed, options.path, options.fps)
    return media.write_film(walks.pictures(gan, walked, seed, options.condition), task.target, options.fps)


def _sheet(task: Task) -> Path:
    from gan_zoo import media
    from gan_zoo.views import items

    samples, columns = _laid_out(task)
    told = task.view == "grid" and task.gan.conditioned_on
    beside = items.beside(task.gan, task.place, len(samples)) if told else {}
    stem = task.target.with_suffix("")
    return media.save(stem, task.gan.readable(samples), task.modality, columns=columns, **beside)


def _laid_out(task: Task) -> tuple[Tensor, int | None]:
    """The samples of a view, and how many of them make a row."""
    from gan_zoo.views import items, latents

    gan, place, view, seed, options = task.gan, task.place, task.view, task.seed, task.options
    n, condition, path = options.n or 64, options.condition, options.path
    if path == "walk":
        raise ConfigError(f"path=walk is for view=video, view={view} came; use path=spherical")
    if view == "interpolation":
        return latents.interpolation(gan, n, seed, path, options.steps, condition), options.steps
    if view == "arithmetic":
        plus, minus = options.plus or [], options.minus or []
        return latents.arithmetic(gan, seed, plus, minus, condition), len(plus) + len(minus) + 1
    if view == "classes":
        return latents.classes(gan, n, seed), n
    if view == "nearest":
        samples = items.nearest(gan, place, n, seed, options.neighbours, condition)
        return samples, len(samples) // n
    return items.made(gan, place, n, seed, condition), None


if __name__ == "__main__":
    main()
