"""Draws from a trained model: python -m gan_zoo.sample run=RUN_DIR n=64 seed=0."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gan_zoo.command import command

if TYPE_CHECKING:
    from torch import Tensor

    from gan_zoo.gan import GAN

View = Literal[
    "grid",
    "interpolation",
    "arithmetic",
    "classes",
    "nearest",
    "video",
    "captions",
    "caption_arithmetic",
    "style",
]
Walk = Literal["spherical", "straight", "walk"]


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

    gan = load(run, device=device)
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    target = Path(output) if output else folder / "generated" / f"{view}-{seed}"
    _refuse_view(view, modality_of(run))
    with truncated(gan, truncation) if truncation is not None else nullcontext():
        if caption is not None or view in ("captions", "caption_arithmetic", "style"):
            said = [text for text in (caption, other) if text is not None]
            written = _captioned(
                gan, Path(run), view, said, output, n=n, seed=seed, steps=steps, style=style,
                style_steps=style_steps, encoder=encoder,
            )  # fmt: skip
        elif view == "video":
            target = target if output else target.with_suffix(".gif")
            written = _film(gan, target, n or 64, seed, path, seconds, fps, condition)
        else:
            samples, columns = _drawn(
                gan,
                Path(run),
                view,
                n or 64,
                seed,
                condition,
                path,
                steps,
                plus or [],
                minus or [],
                neighbours,
            )
            modality = modality_of(run)
            beside = _beside(gan, Path(run), n or 64) if view == "grid" and modality == "pair" else {}
            stem = target.with_suffix("") if output else target
            written = media.save(stem, gan.readable(samples), modality, columns=columns, **beside)
    print(written)
    return written


def _refuse_view(view: View, modality: str) -> None:
    from gan_zoo.schema import ConfigError

    if modality == "text" and view in ("nearest", "video"):
        raise ConfigError(
            f"view={view} is of pictures, this model writes text; take grid, interpolation, arithmetic or classes"
        )


def _captioned(
    gan: GAN, run: Path, view: str, captions: list[str], output: str | None, **options: Any
) -> Path:
    """Writes the labelled strip of a text-to-image model."""
    from gan_zoo import media
    from gan_zoo.schema import ConfigError
    from gan_zoo.views.captions import drawn

    if not captions:
        raise ConfigError(f'view={view} needs a caption; give caption="a flower with six yellow petals"')
    options["n"] = options["n"] or (8 if view == "grid" else 3)
    picture = drawn(gan, run, view, captions, **options)
    folder = run if run.is_dir() else run.parent
    name = "caption" if view == "grid" else view
    target = Path(output) if output else folder / "generated" / f"{name}-{options['seed']}.png"
    media.publish(target.with_suffix(".png"), media.png(picture))
    return target.with_suffix(".png")


def _film(
    gan: GAN, target: Path, n: int, seed: int, path: Walk, seconds: float, fps: int, condition: Any
) -> Path:
    from gan_zoo import media
    from gan_zoo.views import walks

    frames = max(2, round(seconds * fps))
    latents = walks.path_of(_latent(gan), n, frames, seed, path, fps)
    return media.write_film(walks.pictures(gan, latents, seed, condition), target, fps)


def _drawn(
    gan: GAN,
    run: Path,
    view: View,
    n: int,
    seed: int,
    condition: Any,
    path: str,
    steps: int,
    plus: list[list[int]],
    minus: list[list[int]],
    neighbours: int,
) -> tuple[Tensor, int | None]:
    from gan_zoo.schema import ConfigError

    if path == "walk":
        raise ConfigError(f"path=walk is for view=video, view={view} came; use path=spherical")
    if view == "interpolation":
        return interpolation(gan, n, seed, path, steps, condition), steps
    if view == "arithmetic":
        return arithmetic(gan, seed, plus, minus, condition), len(plus) + len(minus) + 1
    if view == "classes":
        return classes(gan, n, seed), n
    if view == "nearest":
        return nearest(gan, run, n, seed, neighbours, condition), neighbours + 1
    return _made(gan, run, n, seed, condition), None


def interpolation(
    gan: GAN, rows: int, seed: int, path: str = "spherical", steps: int = 9, condition: Any = None
) -> Tensor:
    """[rows * steps, ...]: row i walks from latent i to latent i + 1."""
    import torch

    from gan_zoo.latent import spherical, straight

    ends = _latent(gan).fixed(rows + 1, seed)
    walk = spherical if path == "spherical" else straight
    share = torch.linspace(0, 1, steps)
    latent = torch.cat([walk(ends[i], ends[i + 1], share) for i in range(rows)])
    if isinstance(condition, int) or condition is None:
        condition = (
            condition or 0 if getattr(gan, "classes", 0) else None
        )  # one class along a walk, not all in turn
    return gan.sample(len(latent), seed=seed, latent=latent, condition=condition)


def arithmetic(
    gan: GAN, seed: int, plus: list[list[int]], minus: list[list[int]], condition: Any = None
) -> Tensor:
    """The mean latent of each list, as a picture, and last their sum, added and subtracted (Radford et al. 2015, sec. 6.3.2)."""
    import torch

    from gan_zoo.schema import ConfigError

    if not plus or not all([*plus, *minus]):
        raise ConfigError(
            "arithmetic needs lists of latent numbers, such as plus=[[0,3,5],[7,8]] minus=[[1,2]]; look at view=grid for them"
        )
    z = _latent(gan).fixed(max(i for chosen in [*plus, *minus] for i in chosen) + 1, seed)
    means = torch.stack([z[chosen].mean(0) for chosen in [*plus, *minus]])
    signs = torch.tensor([1.0] * len(plus) + [-1.0] * len(minus)).view(-1, *[1] * (means.dim() - 1))
    latent = torch.cat([means, (signs * means).sum(0, keepdim=True)])
    return gan.sample(len(latent), seed=seed, latent=latent, condition=condition)


def classes(gan: GAN, columns: int, seed: int) -> Tensor:
    """[classes * columns, ...]: one row for each class, the same latents in every row."""
    import torch

    from gan_zoo.schema import ConfigError

    number = getattr(gan, "classes", 0)
    if not number:
        raise ConfigError(
            "view=classes came, but this model is not conditional; train one with model=cgan, or use view=grid"
        )
    latent = _latent(gan).fixed(columns, seed)
    latent = latent.repeat(number, *[1] * (latent.dim() - 1))
    return gan.sample(
        len(latent), seed=seed, latent=latent, condition=torch.arange(number).repeat_interleave(columns)
    )


def nearest(gan: GAN, run: Path, n: int, seed: int, neighbours: int, condition: Any = None) -> Tensor:
    """[n * (neighbours + 1), ...]: each sample, then the training pictures nearest to it in Euclidean distance of pixels."""
    import torch

    from gan_zoo.metrics.duplicates import nearest_training
    from gan_zoo.run import data_of, real_samples

    samples = _made(gan, run, n, seed, condition)
    data = data_of(run)
    real = real_samples(gan, data.train_set(), data.resolution)
    order, _ = nearest_training(samples.flatten(1), real.flatten(1), k=min(neighbours, len(real)))
    return torch.cat([torch.cat([samples[i : i + 1], real[order[i]]]) for i in range(n)])


def _made(gan: GAN, run: Path, n: int, seed: int, condition: Any) -> Tensor:
    """n samples; of a model that is conditioned on more than a class, made from the run's held-out items."""
    from gan_zoo.run import data_of

    inputs = data_of(run).held_out_batch(n) if gan.conditioned_on else None
    return gan.sample(n, seed=seed, condition=condition, inputs=inputs)


def _beside(gan: GAN, run: Path, n: int) -> dict[str, Any]:
    """What the samples of `_made` were made from, and the true pictures."""
    from gan_zoo.run import data_of

    inputs = data_of(run).held_out_batch(n)
    prepared = gan.prepare_batch({key: value.to(gan.device) for key, value in inputs.items()})
    return {"inputs": inputs, "real": prepared["real"].float().cpu()}


def _latent(gan: GAN) -> Any:
    from gan_zoo.schema import ConfigError

    if gan.latent is None:
        raise ConfigError(f"{type(gan).__name__} has no latent; only view=grid and view=nearest fit it")
    return gan.latent


if __name__ == "__main__":
    main()
