"""Draws from a trained model: python -m gan_zoo.sample run=RUN_DIR n=64 seed=0."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo.command import command
from gan_zoo.views import OF_CAPTIONS, OF_LATENTS, View, Walk

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
    output: file to write; default RUN/generated/<view>-<seed>.png (.txt for text, .gif for video, which may be .mp4).
    device: cpu, cuda, mps.
    """
    from gan_zoo import media
    from gan_zoo.loading import load, modality_of
    from gan_zoo.truncation import truncated
    from gan_zoo.views import items

    gan, modality, place = load(run, device=device), modality_of(run), Path(run)
    _refuse(view, modality, gan if caption is None else None)
    with truncated(gan, truncation) if truncation is not None else nullcontext():
        if caption is not None or view in OF_CAPTIONS:
            said = [text for text in (caption, other) if text is not None]
            written = _strip(
                gan, place, view, said, output, n=n, seed=seed, steps=steps, style=style,
                style_steps=style_steps, encoder=encoder,
            )  # fmt: skip
        elif view == "video":
            written = _film(gan, place, n or 64, seed, path, seconds, fps, condition, output)
        else:
            samples, columns = _sheet(
                gan, place, view, n or 64, seed, condition, path=path, steps=steps, plus=plus or [],
                minus=minus or [], neighbours=neighbours,
            )  # fmt: skip
            beside = items.beside(gan, place, len(samples)) if view == "grid" and gan.conditioned_on else {}
            stem = _stem(output) if output else _target(place, view, seed)
            written = media.save(stem, gan.readable(samples), modality, columns=columns, **beside)
    print(written)
    return written


def _refuse(view: View, modality: str, gan: GAN | None) -> None:
    """gan: None where a caption says what is drawn."""
    from gan_zoo.schema import ConfigError

    if modality == "text" and view in ("nearest", "video"):
        raise ConfigError(
            f"view={view} is of pictures, this model writes text; take grid, interpolation, arithmetic or classes"
        )
    if modality in ("audio", "points") and view in ("nearest", "video"):
        raise ConfigError(f"view={view} is of pictures, this model makes {modality}; take view=grid")
    if gan is None and view not in ("grid", "interpolation", *OF_CAPTIONS):
        raise ConfigError(
            f"view={view} draws no captions; leave the caption out, or take grid, interpolation or {', '.join(OF_CAPTIONS)}"
        )
    if gan is not None and gan.conditioned_on and view in OF_LATENTS:
        remedy = (
            'give caption="...", with view=interpolation' if modality == "captioned" else "take view=grid"
        )
        raise ConfigError(
            f"view={view} shows what latents alone make, {type(gan).__name__} also needs {', '.join(gan.conditioned_on)}; {remedy}"
        )


def _target(run: Path, name: str, seed: int) -> Path:
    """Where a view is written unless `output` says, without its suffix: beside the run's other files."""
    folder = run if run.is_dir() else run.parent
    return folder / "generated" / f"{name}-{seed}"


def _stem(output: str) -> Path:
    """`output` without the ending of a file; what stands after the dot of truncation_0.5 is no ending."""
    path = Path(output)
    return path if path.suffix[1:].isdigit() else path.with_suffix("")


def _strip(
    gan: GAN, run: Path, view: View, captions: list[str], output: str | None, *, n: int | None, **options: Any
) -> Path:
    """Writes the labelled strip of a text-to-image model."""
    from gan_zoo import media
    from gan_zoo.schema import ConfigError
    from gan_zoo.views.captions import drawn

    if not captions:
        raise ConfigError(f'view={view} needs a caption; give caption="a flower with six yellow petals"')
    picture = drawn(gan, run, view, captions, n=n or (8 if view == "grid" else 3), **options)
    name = "caption" if view == "grid" else view
    stem = _stem(output) if output else _target(run, name, options["seed"])
    target = stem.with_name(f"{stem.name}.png")
    media.publish(target, media.png(picture))
    return target


def _film(
    gan: GAN,
    run: Path,
    n: int,
    seed: int,
    path: Walk,
    seconds: float,
    fps: int,
    condition: Any,
    output: str | None,
) -> Path:
    from gan_zoo import media
    from gan_zoo.views import latents, walks

    target = Path(output) if output else _target(run, "video", seed).with_suffix(".gif")
    walked = walks.path_of(latents.latent_of(gan), n, max(2, round(seconds * fps)), seed, path, fps)
    return media.write_film(walks.pictures(gan, walked, seed, condition), target, fps)


def _sheet(
    gan: GAN,
    run: Path,
    view: View,
    n: int,
    seed: int,
    condition: Any,
    *,
    path: Walk,
    steps: int,
    plus: list[list[int]],
    minus: list[list[int]],
    neighbours: int,
) -> tuple[Tensor, int | None]:
    """The samples of a view, and how many of them make a row."""
    from gan_zoo.schema import ConfigError
    from gan_zoo.views import items, latents

    if path == "walk":
        raise ConfigError(f"path=walk is for view=video, view={view} came; use path=spherical")
    if view == "interpolation":
        return latents.interpolation(gan, n, seed, path, steps, condition), steps
    if view == "arithmetic":
        return latents.arithmetic(gan, seed, plus, minus, condition), len(plus) + len(minus) + 1
    if view == "classes":
        return latents.classes(gan, n, seed), n
    if view == "nearest":
        samples = items.nearest(gan, run, n, seed, neighbours, condition)
        return samples, len(samples) // n
    return items.made(gan, run, n, seed, condition), None


if __name__ == "__main__":
    main()
