"""What is measured: fakes beside the training and the held-out reals, and the views of them that metrics compare.

A view (pixels, features, class probabilities, ...) is made of each part once, when a measure first asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from gan_zoo.data.avatars import READ_FROM, Avatars, read_attributes
from gan_zoo.data.captions import CaptionData
from gan_zoo.data.images import Digits, StackedDigits
from gan_zoo.data.pair_data import PairData
from gan_zoo.data.stream import BatchDataset, DataModule, Shuffled
from gan_zoo.data.streets import Streets
from gan_zoo.data.text import Text
from gan_zoo.data.toy import Mixture, Triangles
from gan_zoo.gan import GAN, Judgement
from gan_zoo.metrics import digits_classifier, structural
from gan_zoo.metrics.captions import Joint, Told
from gan_zoo.metrics.distances import nearest
from gan_zoo.metrics.features import Features, digits_features, extract, raw_pixels
from gan_zoo.metrics.inputs import seeded
from gan_zoo.metrics.language import Language
from gan_zoo.metrics.manifold import THRESHOLD
from gan_zoo.metrics.modes import stacked_classes
from gan_zoo.metrics.segmentation import Segmenter, confusions, streets_segmenter
from gan_zoo.play.joined import joined
from gan_zoo.schema import ConfigError

CHUNK = 1024
LARGEST_SIDE_OF_PIXELS = 32  # larger pictures are shrunk before their pixels are features


class Judge(NamedTuple):
    """Who says which class a sample shows: classify -> int64 [N]; probabilities -> [N, K], or None."""

    name: str
    sha256: str | None
    resize: str
    classify: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor], Tensor] | None = None


class Source(NamedTuple):
    """G, to be asked again. latents: (n, seed) -> [n, Z]; walk: how two of them are joined; sample: latents -> samples as
    they are drawn; differentiable: the same with a graph, each row by itself."""

    latents: Callable[[int, int], Tensor]
    walk: Literal["slerp", "lerp"]
    sample: Callable[[Tensor], Tensor]
    differentiable: Callable[[Tensor], Tensor]


class Search(NamedTuple):
    """Of the nearest point of a manifold: pictures looked at; distance that counts as on it; starts and steps of the descent."""

    most: int = 256
    threshold: float = THRESHOLD
    starts: int = 3
    steps: int = 60


SEARCH = Search()


Keep = Callable[[Sequence[Tensor]], Tensor]  # of D's feature maps of some samples, what is to be kept: [N, F]


class Truth(NamedTuple):
    """What is known of the data: centres [K, D] and sigma of a mixture; who reads the classes; whether they spell
    a number, one digit a channel; whether they are triangles; who reads attributes, int64 [N] each by name; the
    language of text; who reads the label of each pixel."""

    centres: Tensor | None = None
    sigma: float = 0.0
    judge: Judge | None = None
    spelled: bool = False
    triangles: bool = False
    attributes: Callable[[Tensor], dict[str, Tensor]] | None = None
    language: Language | None = None
    segmenter: Segmenter | None = None


NOTHING_KNOWN = Truth()


class Reals(NamedTuple):
    """Real samples as `sample` gives them, float32 [N, ...] (token ids int64 [N, L]) on the CPU, and their classes, int64
    [N], if any."""

    samples: Tensor
    labels: Tensor | None


@dataclass(eq=False)
class Subject:
    """Fakes, reals, and what is known of them. asked: the classes that a conditional model was asked for, int64 [N].

    features: what pictures are turned into; remember: how features of reals are taken (a cache may stand here).
    scorer: gives the probabilities of the Inception score, where truth.judge is not to. source: G, and discriminator:
    (samples, labels, keep) -> its Judgement, as `judged` gives it, where the trained players are at hand. paired: fake i
    was made from what held-out real i was paired with; conditions: that, on the wire, where it is pictures or maps of
    ids. told: the captions that fakes were made from. mirrored: training showed each picture either way round, so that a copy may be
    mirrored. k, k_density: neighbours.
    """

    train: Reals
    held_out: Reals
    fake: Tensor
    features: Features
    modality: str = "image"
    data: str = ""
    truth: Truth = NOTHING_KNOWN
    asked: Tensor | None = None
    seed: int = 0
    k: int = 3
    k_density: int = 5
    remember: Callable[[Tensor, Features], Tensor] = extract
    discriminator: Callable[[Tensor, Tensor | None, Keep | None], Judgement] | None = None
    scorer: Features | None = None
    source: Source | None = None
    search: Search = SEARCH
    paired: bool = False
    conditions: Tensor | None = None
    told: Told | None = None
    mirrored: bool = False
    _views: dict[tuple[str, str], Tensor] = field(default_factory=dict, repr=False)
    _once: dict[str, Any] = field(default_factory=dict, repr=False)
    _of_model: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        shapes = {name: tuple(self.samples(name).shape[1:]) for name in PARTS}
        if len(set(shapes.values())) > 1:
            raise ConfigError(
                f"fakes and reals must have one shape, got {shapes}; take the reals at the fakes' resolution"
            )

    @property
    def pictures(self) -> bool:
        return self.fake.dim() == 4

    @property
    def side(self) -> int:
        """Shorter side of pictures in pixels; 0 for points."""
        return min(self.fake.shape[-2:]) if self.pictures else 0

    def samples(self, part: str) -> Tensor:
        return self.fake if part == "fake" else self.reals(part).samples

    def reals(self, part: str) -> Reals:
        return self.train if part == "train" else self.held_out

    def labels(self, part: str) -> Tensor | None:
        """Classes that the samples of a part should show."""
        return self.asked if part == "fake" else self.reals(part).labels

    def view(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """(train, held out, fake) of a view, [N, ...] each."""
        train, held_out, fake = (self.part(name, part) for part in PARTS)
        return train, held_out, fake

    def part(self, name: str, part: str) -> Tensor:
        """One part of a view: `part` is train, held_out or fake."""
        if (name, part) not in self._views:
            self._views[name, part] = VIEWS[name](self, part)
        return self._views[name, part]

    def provenance(self, view: str) -> tuple[str, str | None, str]:
        """Features, SHA-256 and resize filter of a view, for the protocol."""
        if view == "features":
            return self.features.name, self.features.sha256, self.features.resize
        if view == "scored" and self.scorer:
            return self.scorer.name, self.scorer.sha256, self.scorer.resize
        if view in ("probabilities", "scored", "classes", "asked") and self.truth.judge:
            return self.truth.judge[:3]
        if view == "matches" and self.told and self.told.joint:
            return self.told.joint.name, self.told.joint.sha256, "none"
        if view in ("told", "unseen"):
            return "attributes of flowers, read by a program", None, "area to 64"
        if view == "confusions" and self.truth.segmenter:
            return self.truth.segmenter[:3]
        if view == "attributes":
            return "attributes read by the program", None, "none"
        plain = "tokens" if self.modality == "text" else "pixels" if self.pictures else "coordinates"
        return plain, None, "none"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """A value of the reals that several calls need and one makes."""
        if name not in self._once:
            self._once[name] = make()
        return self._once[name]

    def of_model(self, name: str, make: Callable[[], Any]) -> Any:
        """The same for a value of the players as they are now."""
        if name not in self._of_model:
            self._of_model[name] = make()
        return self._of_model[name]

    def with_fakes(self, fake: Tensor, asked: Tensor | None = None) -> Subject:
        """Other fakes beside the same reals, of which all is kept that was made."""
        kept = {key: view for key, view in self._views.items() if key[1] != "fake"}
        return replace(self, fake=fake, asked=asked, _views=kept, _once=self._once, _of_model={})


PARTS = ("train", "held_out", "fake")


def _features(subject: Subject, part: str) -> Tensor:
    take = extract if part == "fake" else subject.remember
    return take(subject.samples(part), subject.features)


def _judge(subject: Subject) -> Judge:
    if subject.truth.judge is None:
        raise ConfigError(
            f"nothing reads the classes of data={subject.data}; leave out the metrics that need it"
        )
    return subject.truth.judge


def _probabilities(subject: Subject, part: str) -> Tensor:
    of = _judge(subject).probabilities
    if of is None:
        raise ConfigError(
            f"{_judge(subject).name} gives classes but no probabilities; leave out the metrics of them"
        )
    return of(subject.samples(part))


def _scored(subject: Subject, part: str) -> Tensor:
    if subject.scorer is None:
        return subject.part("probabilities", part)
    take = extract if part == "fake" else subject.remember
    return take(subject.samples(part), subject.scorer)


def _attributes(subject: Subject, part: str) -> Tensor:
    """int64 [N, A], in the order of the reader's names."""
    assert subject.truth.attributes is not None  # what fits, MEASURES says
    return torch.stack(list(subject.truth.attributes(subject.samples(part)).values()), 1)


def _pairs(subject: Subject, part: str) -> Tensor:
    """SSIM, PSNR, sharpness difference and L1 of each fake and its partner, float64 [N, 4]; nothing of reals."""
    if part != "fake":
        return torch.zeros(len(subject.fake), 4)
    pairs = zip(subject.held_out.samples.split(1), subject.fake.split(1), strict=False)
    measured = (structural.ssim, structural.psnr, structural.sharpness_difference, structural.l1)
    return torch.tensor([[one(real, fake) for one in measured] for real, fake in pairs], dtype=torch.float64)


def _confusions(subject: Subject, part: str) -> Tensor:
    """Pixels of each picture by (true class, class read), int64 [N, K, K]; the reals are the true held-out pictures."""
    segmenter, conditions = subject.truth.segmenter, subject.conditions
    assert segmenter is not None and conditions is not None  # what fits, MEASURES says
    if part == "train":
        return subject.part("confusions", "held_out")
    pictures = subject.samples(part)[: len(conditions)]
    found = [
        confusions(segmenter.truth(truth), segmenter.read(some), segmenter.classes)
        for truth, some in zip(conditions.split(64), pictures.split(64), strict=True)
    ]
    return torch.cat(found)


def _asked(subject: Subject, part: str) -> Tensor:
    """1 where the class shown is the class wanted, else 0: float [N, 1]."""
    wanted = subject.labels(part)
    if wanted is None:
        raise ConfigError(
            f"the {part} samples of data={subject.data} have no classes; leave out the metric asked_class"
        )
    return (subject.part("classes", part)[:, 0] == wanted).float()[:, None]


def _told(subject: Subject) -> Told:
    if subject.told is None:
        raise ConfigError(
            f"the samples of data={subject.data} have no captions; leave out the metrics of them"
        )
    return subject.told


def language_of(subject: Subject) -> Language:
    """Of text; ConfigError for other data, and for data modules that are no gan_zoo.data.text.Text."""
    if subject.truth.language is None:
        raise ConfigError(f"data={subject.data} is no gan_zoo.data.text.Text; its lines cannot be measured")
    return subject.truth.language


VIEWS: dict[str, Callable[[Subject, str], Tensor]] = {
    "pairs": _pairs,
    "confusions": _confusions,
    "samples": lambda subject, part: subject.samples(part),
    "pixels": lambda subject, part: subject.samples(part).flatten(1),
    "features": _features,
    "probabilities": _probabilities,
    "scored": _scored,
    "attributes": _attributes,
    "classes": lambda subject, part: _judge(subject).classify(subject.samples(part))[:, None],
    "asked": _asked,
    "told": lambda subject, part: _told(subject).right(part, subject.samples(part)),
    "unseen": lambda subject, part: (
        subject.part("told", "train") if part == "train" else _told(subject).unseen(part, len(subject.fake))
    ),
    "one_caption": lambda subject, part: _told(subject).repeated(part),
    "matches": lambda subject, part: _told(subject).matches(part, subject.samples(part)),
    "tokens": lambda subject, part: subject.samples(part),
    "parsed": lambda subject, part: language_of(subject).parsed(subject.samples(part)),
    "known_words": lambda subject, part: language_of(subject).known_words(subject.samples(part)),
    "copied_lines": lambda subject, part: language_of(subject).copied(subject.samples(part)),
}


# ---------------------------------------------------------------- from a model and its data


def subject_of(
    gan: GAN,
    data: DataModule,
    n: int,
    *,
    reals: int,
    seed: int = 0,
    features: Features | None = None,
    joint: Joint | None = None,
    segmenter: Segmenter | None = None,
    **options: Any,
) -> Subject:
    """n samples of `gan` beside at most `reals` training and held-out reals of its data; pictures at the fakes' side.

    features: None is what suits the data (see `features_of`). joint: encodes pictures and captions. segmenter: who reads
    labels, None is what the data know. options: further fields of Subject.
    """
    paired = bool(gan.conditioned_on)
    n = min(n, reals, len(data.held_out_set())) if paired else n
    reals = min(reals, n) if isinstance(data, PairData) else reals  # large pictures, as many as fakes
    asked = None if paired else wanted_classes(gan, data, n, seed)
    fake = fakes_of(gan, data, n, seed, asked)
    if not isinstance(fake, Tensor) or fake.dim() not in (2, 4):
        raise ConfigError(
            f"samples of modality {data.modality} cannot be measured here; pictures, points and text can"
        )
    resolution = fake.shape[-2] if fake.dim() == 4 else data.resolution
    own = data.held_out_set()
    train, held_out = (
        reals_of(gan, items, resolution, reals, _chunk(data, CHUNK))
        for items in (Shuffled(data.plain_train_set()), own if paired else Shuffled(own))
    )
    truth = truth_of(data, resolution)
    truth = truth._replace(segmenter=segmenter) if segmenter else truth
    return Subject(
        train, held_out, fake, features or features_of(data, fake), data.modality, str(data.name), truth, asked, seed,
        conditions=conditions_of(data, n, resolution),
        discriminator=None if paired else partial(judged, gan, chunk=_chunk(data, 256)),
        source=source_of(gan), paired=paired,
        told=Told(gan, data, seed, joint) if paired and isinstance(data, CaptionData) else None,
        mirrored=data.flip, **options,
    )  # fmt: skip


def fakes_of(gan: GAN, data: DataModule, n: int, seed: int, asked: Tensor | None = None) -> Tensor:
    """n samples on the CPU, made from the first held-out inputs where G is given some; pictures are clipped to [-1, 1],
    as they are when they are shown."""
    inputs = data.held_out_batch(n) if gan.conditioned_on else None
    chunk = _chunk(data, 256)
    fake = gan.sample(n, seed=seed, condition=asked, inputs=inputs, chunk=chunk)
    if not isinstance(fake, Tensor) or fake.dim() != 4:
        return fake
    return fake.clamp_(-1, 1) if fake.is_contiguous() else fake.clamp(-1, 1)  # many pictures stand in a file


def _chunk(data: DataModule, most: int) -> int:
    """Pictures at a time; fewer of large ones, whose maps are many channels deep."""
    if data.modality not in ("image", "pair", "captioned"):
        return most
    width = data.width if isinstance(data, PairData) else data.resolution
    return max(1, min(most, 2**22 // (data.resolution * width)))


def conditions_of(data: DataModule, n: int, resolution: int) -> Tensor | None:
    """What the first n held-out pictures are made from, on the wire, where that is a picture or a map of ids."""
    if not isinstance(data, PairData):
        return None
    items, chunk = data.held_out_set(), _chunk(data, CHUNK)
    parts = [
        items.__getitems__([(i, 0, resolution) for i in range(start, min(start + chunk, n))])["condition"]
        for start in range(0, n, chunk)
    ]
    return torch.cat(parts)


def source_of(gan: GAN) -> Source | None:
    """G of a model whose samples are a function of one vector each."""
    latent = gan.latent
    if latent is None or len(latent.shape) != 1 or gan.conditioned_on:
        return None

    def sample(z: Tensor) -> Tensor:
        pictures = gan.sample(len(z), latent=z)
        return pictures.clamp(-1, 1) if pictures.dim() == 4 else pictures

    def differentiable(z: Tensor) -> Tensor:
        with gan.averaged(), torch.enable_grad():
            gan.generator.eval()  # else batch statistics would mix the rows
            return gan.generate(
                {key: value.to(gan.device) for key, value in gan.sample_batch(len(z), 0, None, z).items()}
            ).cpu()

    walk: Literal["slerp", "lerp"] = "slerp" if latent.law in ("normal", "sphere") else "lerp"
    return Source(latent.fixed, walk, sample, differentiable)


@torch.no_grad()
def reals_of(gan: GAN, items: BatchDataset, resolution: int, most: int, chunk: int = CHUNK) -> Reals:
    """The first items of a data set, of its first epoch: at most `most`."""
    order, labels = torch.arange(min(len(items), most)), []

    def part(indices: Tensor) -> Tensor:
        batch = items.__getitems__([(i, 0, resolution) for i in indices.tolist()])
        if "condition" in batch and batch["condition"].dim() == 1:
            labels.append(batch["condition"])
        prepared = gan.prepare_batch({name: value.to(gan.device) for name, value in batch.items()})
        outcome = gan.outcome(prepared["real"])
        return (outcome.float() if outcome.is_floating_point() else outcome).cpu()

    samples = joined(map(part, order.split(chunk)), len(order))
    return Reals(samples, torch.cat(labels) if labels else None)


def wanted_classes(gan: GAN, data: DataModule, n: int, seed: int) -> Tensor | None:
    """Classes to ask a conditional model for: as frequent as in the training data where their labels are at hand."""
    classes = int(getattr(gan, "classes", 0))
    if not classes:
        return None
    labels = data.conditions()
    if labels is None or not len(labels):
        return torch.arange(n) % classes
    order = torch.randperm(len(labels), generator=seeded(seed))
    return labels[order.repeat(-(-n // len(labels)))[:n]]


@torch.no_grad()
def judged(
    gan: GAN, samples: Tensor, labels: Tensor | None, keep: Keep | None = None, *, chunk: int = 256
) -> Judgement:
    """D's judgement of samples, in evaluation mode, on the CPU; its scales are averaged into logits [N].

    keep: what is kept of the feature maps, which are many times as large as the pictures; features are then one tensor
    [N, F], else none. chunk: samples shown to D together.
    """
    was_training = gan.discriminator.training
    gan.discriminator.eval()
    logits, kept = [], []
    for start in range(0, len(samples), chunk):
        batch = {"real": samples[start : start + chunk].to(gan.device)}
        if labels is not None:
            batch["condition"] = labels[start : start + chunk].to(gan.device)
        says = gan.discriminate(batch["real"], batch)
        scales = says.logits if isinstance(says.logits, tuple) else (says.logits,)
        logits.append(
            torch.stack([scale.flatten(1).mean(1) if scale.dim() > 1 else scale for scale in scales]).mean(0)
        )
        if keep:
            kept.append(keep(says.features).cpu())
    gan.discriminator.train(was_training)
    return Judgement(torch.cat(logits).float().cpu(), (torch.cat(kept),) if kept else ())


def features_of(data: DataModule, fake: Tensor) -> Features:
    """Coordinates of points, our own classifier for the embedded digits, pixels (at most 32 x 32) for all else."""
    if fake.dim() == 2:
        return Features("coordinates", None, "none", lambda points: points)
    if isinstance(data, Digits | StackedDigits):
        return digits_features()
    return raw_pixels(None if fake.shape[-1] <= LARGEST_SIDE_OF_PIXELS else LARGEST_SIDE_OF_PIXELS)


def digits_judge() -> Judge:
    """Our classifier of handwritten digits; of pictures with several channels, their mean."""

    def read(pictures: Tensor) -> Tensor:
        return digits_classifier.classify(pictures.mean(1, keepdim=True))

    sha256 = digits_classifier.weights_sha256()
    return Judge("digits-classifier", sha256, digits_classifier.RESIZE, lambda x: read(x).argmax(1), read)


def truth_of(data: DataModule, side: int | None = None) -> Truth:
    """What is known of the embedded and procedural data, seen at a side in pixels; nothing of others."""
    side = side or data.resolution
    if isinstance(data, Text):
        return Truth(language=Language(data))
    if isinstance(data, Mixture):
        centres = data.modes()
        judge = Judge(
            "nearest mode", None, "none", lambda points: nearest(points, centres.to(points), 1)[1][:, 0]
        )
        return Truth(centres, data.std, judge)
    if isinstance(data, StackedDigits):
        read = partial(stacked_classes, classify=digits_classifier.classify)
        own = digits_judge()
        return Truth(
            judge=own._replace(classify=cast(Callable[[Tensor], Tensor], read), probabilities=None),
            spelled=True,
        )
    if isinstance(data, Streets) and data.channels == 3:
        return Truth(segmenter=streets_segmenter())
    if isinstance(data, Triangles):
        return Truth(triangles=True)
    if isinstance(data, Avatars) and data.channels == 3 and side >= min(READ_FROM.values()):
        return Truth(judge=avatar_judge(data, side), attributes=read_attributes)
    return Truth(judge=digits_judge()) if isinstance(data, Digits) else Truth()


def avatar_judge(data: Avatars, side: int) -> Judge | None:
    """Reads the attribute that is the condition, where that can be read back."""
    if not data.classes or side < READ_FROM.get(data.label, side + 1):
        return None
    return Judge(
        f"avatars' {data.label}", None, "none", lambda pictures: read_attributes(pictures)[data.label]
    )
