"""Measures a trained model: python -m gan_zoo.evaluate run=RUN_DIR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeInt, PositiveInt

from gan_zoo.command import command
from gan_zoo.evaluation import VGG, FeatureChoice, SegmentationNetwork

DEFINITIONS = 3  # one more when a figure comes to mean something else: those of before are measured again

if TYPE_CHECKING:
    from rich.console import Console

    from gan_zoo.data.stream import DataModule
    from gan_zoo.gan import GAN
    from gan_zoo.metrics.measures import Measure
    from gan_zoo.metrics.subject import Subject


@command
def main(
    *,
    run: str,
    metrics: list[str] | None = None,
    n: PositiveInt | None = None,
    reals: PositiveInt = 10_000,
    seed: NonNegativeInt = 0,
    features: FeatureChoice = "auto",
    weights: str | None = None,
    sha256: str | None = None,
    network: str = VGG,
    download: bool = False,
    joint_encoder: str | None = None,
    k: PositiveInt = 3,
    k_density: PositiveInt = 5,
    against: str | None = None,
    fresh: bool = False,
    device: str = "cpu",
    segmenter: str | None = None,
    segmenter_network: SegmentationNetwork = "deeplabv3_resnet50",
    segmenter_height: PositiveInt | None = None,
) -> Path:
    """Measures a run, and writes evaluation.json, evaluation/*.png and report.html into its directory.

    Beside each figure stands its floor (the same of held-out in the place of generated samples) and an interval.
    Of speech, clean and enhanced utterances are compared instead, beside the noisy ones and two filters.
    What an earlier evaluation of the same checkpoint and settings found is kept: an interrupted one goes on.

    run: run directory.
    metrics: names, as [frechet, neighbours]; null takes all usual ones that fit the data; a wrong name lists them.
    n: samples to draw; default 2,500 points, 26,000 stacked digits, of pairs one for each that is held out (of large ones
        fewer), else as many as training samples, at most 10,000.
    reals: training and held-out samples to compare with, at most. Parts of more than 2 GiB wait in files of TMPDIR.
    seed: of the samples and of every random choice of a metric.
    features: what pictures are turned into; auto: the digits classifier for the embedded digits, else pixels.
    weights: file of the weights of features=inception or torchvision.
    sha256: of that file; default: of Inception's published one.
    network: for features=torchvision, a network and the node whose output is taken, NAME:NODE.
    download: fetches Inception's weights (91 MB), to `weights` or torch's own folder, where they are missing.
    joint_encoder: file of gan_zoo.train_text_encoder, for the R-precision of captions.
    k: neighbours for precision and recall.
    k_density: neighbours for density and coverage.
    against: another evaluated run, to compare with; refused where its figures were made in another way.
    fresh: measures everything again.
    device: cpu, cuda, mps.
    segmenter: file of weights of a network that reads the labels of pictures made from label maps; streets need none.
    segmenter_network: which of torchvision's it is; the file says how many classes it knows (of Cityscapes all or the 19).
    segmenter_height: at what height it looks; pix2pix's table takes 1024.
    """
    from rich.console import Console

    from gan_zoo.evaluation import record
    from gan_zoo.evaluation.report import write_report
    from gan_zoo.evaluation.wording import verdicts

    console, directory = Console(), Path(run)
    if _is_sound(directory):
        return _speech(directory, metrics, n, seed, fresh, device)
    other = record.figures(against) if against else None
    subject, moment = _subject(
        directory, n, reals=reals, seed=seed, features=features, weights=weights, sha256=sha256, network=network,
        download=download, device=device, k=k, k_density=k_density, joint_encoder=joint_encoder, segmenter=segmenter,
        segmenter_network=segmenter_network, segmenter_height=segmenter_height,
    )  # fmt: skip
    blank = record.empty(moment, _settings(subject, reals))
    content = blank if fresh else record.begun(directory, blank)
    _measure(subject, metrics, directory, content, console)
    console.print(table(content))
    for title, said in verdicts(content):
        console.print(f"{title}: {said}", highlight=False, soft_wrap=True)
    console.print(f"{write_report(directory)}", highlight=False, soft_wrap=True)
    if other is not None:
        _compare(record.figures_in(content), other, str(against), console)
    return directory / record.NAME


def _subject(directory: Path, n: int | None, **options: Any) -> tuple[Subject, dict[str, Any]]:
    """What is measured, and which moment of which run it is. options: of evaluation.subjects.measured."""
    from gan_zoo.evaluation.subjects import measured
    from gan_zoo.loading import load
    from gan_zoo.run import data_of

    data = data_of(directory)
    gan = load(directory, device=options["device"])
    return measured(gan, data, n or usual_number(data), **options), _moment(gan, data, directory)


def _is_sound(directory: Path) -> bool:
    from gan_zoo.loading import modality_of

    return modality_of(directory) == "audio"


def _speech(
    directory: Path, metrics: list[str] | None, n: int | None, seed: int, fresh: bool, device: str
) -> Path:
    from gan_zoo.evaluation.speech import evaluate_speech
    from gan_zoo.loading import load
    from gan_zoo.run import data_of

    data, gan = data_of(directory), load(directory, device=device)
    return evaluate_speech(gan, data, directory, _moment(gan, data, directory), metrics, n, seed, fresh)


def _moment(gan: GAN, data: DataModule, directory: Path) -> dict[str, Any]:
    """Which moment of which run is measured."""
    from gan_zoo.loading import checkpoint_in
    from gan_zoo.metrics.features import file_sha256

    return {
        "model": type(gan).__name__,
        "data": data.name,
        "samples_seen": gan.samples_seen,
        "checkpoint": file_sha256(checkpoint_in(directory)),
    }


def usual_number(data: DataModule) -> int:
    """The papers' 2,500 points and 26,000 stacks; the held-out pairs, of large pictures as many as a GB holds; else one
    sample for each training sample, at most 10,000."""
    from gan_zoo.data.images import StackedDigits
    from gan_zoo.data.pair_data import PairData

    if isinstance(data, StackedDigits):
        return 26_000
    if isinstance(data, PairData):
        return min(len(data.held_out_set()), max(8, 2**28 // (3 * data.resolution * data.width)))
    return 2500 if data.modality == "points" else min(10_000, len(data.train_set()))


def _settings(subject: Subject, reals: int) -> dict[str, Any]:
    """What decides figures beside the checkpoint: those of other settings are not kept."""
    from gan_zoo.evaluation.cache import contents_of

    features, segmenter = subject.features, subject.truth.segmenter
    joint = subject.told.joint if subject.told else None
    return {
        "definitions": DEFINITIONS,
        "data_sha256": contents_of(subject.train.samples, subject.held_out.samples),
        "n": len(subject.fake),
        "training": len(subject.train.samples),
        "held_out": len(subject.held_out.samples),
        "reals": reals,
        "seed": subject.seed,
        "k": subject.k,
        "k_density": subject.k_density,
        "features": [features.name, features.sha256, features.resize],
        **({"segmenter": list(segmenter[:3])} if segmenter else {}),
        **({"joint_encoder": [joint.name, joint.sha256]} if joint else {}),
    }


def _measure(
    subject: Subject, names: list[str] | None, directory: Path, content: dict[str, Any], console: Console
) -> None:
    """Fills content["measures"], writes it after each; then the pictures and the blind test.

    Of the usual measures those that these samples do not allow are left out, with a word on why; ConfigError for one that was
    asked for.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from gan_zoo.evaluation import record
    from gan_zoo.metrics.table import chosen
    from gan_zoo.schema import ConfigError, DataError

    measures = chosen(subject, names)
    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(measures) + 1)
        for name, measure in measures.items():
            progress.update(task, description=measure.title)
            if name not in content["measures"]:
                try:
                    content["measures"][name] = _one(measure, subject)
                except ValueError as failure:  # also how metrics refuse samples: too few, not finite
                    if names is not None or isinstance(failure, (ConfigError, DataError)):
                        raise ConfigError(f"metrics: {name}: {failure}") from failure
                    console.print(
                        f"{measure.title}: not measured; {failure}", highlight=False, soft_wrap=True
                    )
                record.write(directory, content)
            progress.advance(task)
        progress.update(task, description="pictures")
        content["pictures"] = _draw(subject, directory / "evaluation", content)
        record.write(directory, content)
        progress.advance(task)


def _draw(subject: Subject, folder: Path, content: dict[str, Any]) -> list[dict[str, str]]:
    """The pictures, whose files and captions it returns, and of pictures the blind test."""
    import json

    from gan_zoo import media
    from gan_zoo.evaluation import blind, drawings

    drawn = drawings.draw_all(subject, folder)
    if subject.pictures:
        data = content["settings"]["data_sha256"]
        identity = f"{content['run']['checkpoint'][:16]}-{subject.seed}-{len(subject.fake)}-{data[:16]}"
        media.publish(folder / blind.NAME, json.dumps(blind.make(subject, identity)).encode())
    return drawn


def _one(measure: Measure, subject: Subject) -> dict[str, Any]:
    import time

    from gan_zoo.evaluation import record
    from gan_zoo.metrics.measures import take

    begun = time.perf_counter()
    taken = take(measure, subject)
    details = measure.details(subject) if measure.details else {}
    return record.plain(record.entry(measure.title, taken, details, time.perf_counter() - begun))


def table(content: dict[str, Any]) -> Any:
    """The figures as a rich table."""
    from rich.table import Table

    from gan_zoo.evaluation.wording import figure_rows

    run, settings = content["run"], content["settings"]
    title = f"{run['model']} on {run['data']} after {run['samples_seen']:,} samples"
    if "held_out" in settings:  # not of speech, which is compared pair by pair
        title += (
            f": {settings['n']:,} samples beside {settings['training']:,} training and {settings['held_out']:,} held-out ones; "
            f"features: {settings['features'][0]}"
        )
    found = Table(title=title, title_justify="left")
    for name in ("figure", "value", "95 % interval", "floor", ""):
        found.add_column(name, justify="left" if name in ("figure", "") else "right")
    for row in figure_rows(content):
        if row.first:
            found.add_section()
        found.add_row(
            row.label,
            row.value,
            row.interval,
            row.floor,
            "lower is better" if row.lower_is_better else "higher is better",
        )
    return found


def _compare(mine: dict[str, Any], theirs: dict[str, Any], other: str, console: Console) -> None:
    from gan_zoo.evaluation import record
    from gan_zoo.metrics.protocol import ProtocolMismatch
    from gan_zoo.schema import ConfigError

    try:
        compared = record.compared(mine, theirs)
    except ProtocolMismatch as failure:
        raise ConfigError(f"against={other}: {failure}") from None
    for name, verdict in compared.items():
        console.print(
            f"{name}: {mine[name].value:.4g} against {theirs[name].value:.4g}: {verdict}", highlight=False
        )


if __name__ == "__main__":
    main()
