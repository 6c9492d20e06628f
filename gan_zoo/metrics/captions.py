"""Whether pictures show what their captions say: attributes read back, R-precision, and variety under one caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gan_zoo.data.captions import CaptionData
from gan_zoo.data.flower_reader import ATTRIBUTES, read_attributes
from gan_zoo.data.flowers import Flowers
from gan_zoo.data.stream import BatchDataset, Shuffled
from gan_zoo.gan import GAN
from gan_zoo.metrics.inputs import as_features, at_least, require_values, seeded
from gan_zoo.schema import ConfigError

if TYPE_CHECKING:
    from gan_zoo.metrics.subject import Subject

CHUNK = 512
CANDIDATES = 100  # Xu et al. 2018
CAPTIONS, LATENTS = 32, 8  # for the variety under one caption
IGNORES_Z = 0.02  # variety below this share of that between captions is none
NEARLY = 1 / 3  # and below this share of the variety of reals it is little


class Joint(NamedTuple):
    """An encoder of both: embed(pictures [N, C, H, W] in [-1, 1], captions) -> both in one space, [N, E] each."""

    name: str
    sha256: str | None
    embed: Callable[[Tensor, Sequence[str]], tuple[Tensor, Tensor]]


# ---------------------------------------------------------------- pure functions


def correct(read: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """1 where an attribute is the one that was asked for, 0 where it is not, NaN where none was: float [N, attributes].

    read: int64 [N] each; wanted likewise, -1 where the caption does not say it.
    """
    counts = {len(one) for name in wanted for one in (read.get(name, ()), wanted[name])}
    if not wanted or len(counts) > 1:
        raise ConfigError(
            f"each attribute wanted must have been read, of the same samples; got {sorted(wanted)} wanted, {sorted(read)} read, "
            f"of {sorted(counts)} samples"
        )
    columns = [
        torch.where(wanted[name] < 0, torch.nan, (read[name] == wanted[name]).float()) for name in wanted
    ]
    return torch.stack(columns, 1)


def r_precision(
    pictures: Tensor, texts: Tensor, captions: Sequence[int], *, candidates: int = CANDIDATES, seed: int = 0
) -> Tensor:
    """Whether each picture is nearer to its own caption than to `candidates` - 1 others, as Xu et al. (2018) count it.

    pictures, texts: [N, E] of one joint encoder, compared by the cosine. captions: a number each; equal numbers are equal
    captions, which do not count as others. Returns float [N] of 0 and 1; 1 / candidates on average by chance, and a tie is 0.
    """
    at_least(2, candidates=candidates)
    pictures, texts = (
        normalize(as_features(one, name).double(), dim=1)
        for one, name in ((pictures, "pictures"), (texts, "texts"))
    )
    if len(pictures) != len(texts) or len(pictures) != len(captions) or pictures.shape != texts.shape:
        raise ConfigError(
            f"R-precision needs a caption for each picture in one space, got {list(pictures.shape)}, {list(texts.shape)} and "
            f"{len(captions)} captions"
        )
    numbers, generator = torch.as_tensor(captions), seeded(seed)
    right = torch.zeros(len(pictures))
    for i, picture in enumerate(pictures):
        others = (numbers != numbers[i]).nonzero()[:, 0]
        chosen = others[torch.randperm(len(others), generator=generator)[: candidates - 1]]
        if len(chosen):
            right[i] = (texts[i] @ picture > (texts[chosen] @ picture).max()).float()
    return right


def distances_of(groups: Tensor) -> Tensor:
    """Of each group [C, K, ...]: mean root-mean-square distance of two of its samples, and of one of its and one of
    another group's: [C, 2]."""
    count, size = groups.shape[:2]
    if count < 2 or size < 2:
        raise ConfigError(f"variety needs two groups of two samples, got {count} of {size}")
    require_values(groups, "groups")
    flat = groups.flatten(2).flatten(0, 1).double()
    apart = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
    apart = apart.view(count, size, count, size).sum((1, 3))
    own = apart.diagonal()
    return torch.stack([own / (size * (size - 1)), (apart.sum(1) - own) / (size * size * (count - 1))], 1)


def variety(distances: Tensor) -> float:
    """Distance within groups over that between them; 0: one picture a caption, 1: the caption changes nothing."""
    if as_features(distances, "distances", least=1).shape[1] != 2:
        raise ValueError(
            f"distances within and between groups are needed, [C, 2], got {tuple(distances.shape)}"
        )
    within, between = distances.mean(0).tolist()
    return within / between if between > 0 else 0.0


def verdict(ratio: float, usual: float = 1.0) -> str:
    """What a variety under one caption says of the generator; usual: the variety of real samples of one class."""
    if ratio < IGNORES_Z:
        return "ignores z: every latent gives the same picture of a caption"
    if ratio < NEARLY * usual:
        return f"nearly ignores z: pictures of a caption have {ratio / usual:.0%} of the variety of real ones"
    return "the caption is ignored" if ratio > 0.98 else "latents vary what the caption leaves open"


# ---------------------------------------------------------------- a model and its captioned data


class Wanted(NamedTuple):
    """Captions and what they ask for, int64 [N] each, -1 where they do not say it."""

    captions: list[str]
    attributes: dict[str, Tensor]


class Told:
    """What a model was told to draw, and more drawings of it; sample i is of held-out item i.

    joint: puts pictures and captions into one space, where such an encoder is at hand.
    """

    def __init__(self, gan: GAN, data: CaptionData, seed: int = 0, joint: Joint | None = None) -> None:
        self.gan, self.data, self.seed, self.joint = gan, data, seed, joint
        self._wanted: dict[str, Wanted] = {}

    @property
    def readable(self) -> bool:
        """Whether a program can read the attributes back."""
        return isinstance(self.data, Flowers) and self.data.channels == 3 and self.data.resolution >= 16

    @property
    def has_unseen(self) -> bool:
        return self.readable and bool(self.gan.conditioned_on)

    def items(self, part: str) -> BatchDataset:
        if part == "unseen":
            assert isinstance(self.data, Flowers)  # what fits, the table says
            return self.data.unseen_set()
        return Shuffled(self.data.plain_train_set()) if part == "train" else self.data.held_out_set()

    def batch(self, part: str, start: int, count: int) -> dict[str, Tensor]:
        items = self.items(part)
        return items.__getitems__(
            [(i % len(items), 0, self.data.resolution) for i in range(start, start + count)]
        )

    def wanted(self, part: str, count: int) -> Wanted:
        """Of the first `count` items; fakes were asked for the held-out ones."""
        known = self._wanted.get(part)
        if known is None or len(known.captions) < count:
            captions = self.data.decode(
                self.batch("held_out" if part == "fake" else part, 0, count)["tokens"]
            )
            asked = self.data.asked(captions) if isinstance(self.data, Flowers) else {}
            known = Wanted(captions, {name: asked[name] for name in ATTRIBUTES if name in asked})
            self._wanted[part] = known
        return Wanted(known.captions[:count], {name: one[:count] for name, one in known.attributes.items()})

    def right(self, part: str, pictures: Tensor) -> Tensor:
        """`correct` of pictures of the part's captions."""
        return correct(read_attributes(pictures), self.wanted(part, len(pictures)).attributes)

    def unseen(self, part: str, count: int) -> Tensor:
        """`correct` of pictures of pairs that were never trained on: fakes, or the reals themselves."""
        count = min(count, len(self.items("unseen")))
        batch = self.batch("unseen", 0, count)
        return self.right("unseen", self.sample(batch) if part == "fake" else batch["real"])

    def drawn_unseen(self, n: int) -> tuple[Tensor, list[str], Tensor]:
        """Samples of n captions of unseen pairs, the captions, and the pictures that these describe, in [-1, 1]."""
        batch = self.batch("unseen", 0, n)
        return self.sample(batch), self.wanted("unseen", n).captions, batch["real"].float() / 127.5 - 1

    def sample(self, inputs: dict[str, Tensor]) -> Tensor:
        count = len(inputs["real"])
        return self.gan.sample(count, seed=self.seed, inputs=inputs).clamp(-1, 1)

    def repeated(self, part: str) -> Tensor:
        """`distances_of`: fakes of one caption each, or reals of one class each; [0, 2] where there are no classes."""
        if part == "fake":
            inputs = self.batch("held_out", 0, CAPTIONS)
            many = {name: value.repeat_interleave(LATENTS, 0) for name, value in inputs.items()}
            return distances_of(self.sample(many).unflatten(0, (CAPTIONS, LATENTS)))
        batch = self.batch(part, 0, min(2048, len(self.items(part))))
        classes, counts = batch["class"].unique(return_counts=True)
        enough = classes[(counts >= 2) & (classes >= 0)].tolist()
        size = min([LATENTS, *(int((batch["class"] == one).sum()) for one in enough)])
        groups = [batch["real"][batch["class"] == one][:size] for one in enough[:CAPTIONS]]
        return distances_of(torch.stack(groups).float() / 127.5) if len(groups) > 1 else torch.zeros(0, 2)

    def matches(self, part: str, pictures: Tensor) -> Tensor:
        """Whether the joint encoder finds each picture's caption among others, [N, 1]."""
        assert self.joint is not None  # what fits, the table says
        captions = self.wanted(part, len(pictures)).captions
        numbers: dict[str, int] = {}
        parts = [
            self.joint.embed(pictures[i : i + CHUNK], captions[i : i + CHUNK])
            for i in range(0, len(pictures), CHUNK)
        ]
        shown, told = (torch.cat(one) for one in zip(*parts, strict=True))
        said = [numbers.setdefault(caption, len(numbers)) for caption in captions]
        return r_precision(shown, told, said, seed=self.seed)[:, None]


# ---------------------------------------------------------------- for gan_zoo.metrics.table


def attribute_shares(subject: Subject, real: Tensor, fake: Tensor) -> dict[str, float]:
    """Share of right ones of each attribute, of those that were asked for."""
    return dict(zip(ATTRIBUTES, fake.double().nanmean(0).tolist(), strict=True))


def unseen_shares(subject: Subject, real: Tensor, fake: Tensor) -> dict[str, float]:
    return {f"unseen_{name}": value for name, value in attribute_shares(subject, real, fake).items()}


def said(subject: Subject) -> dict[str, Any]:
    """How many of the captions ask for each attribute."""
    counts = (~subject.part("told", "fake").isnan()).sum(0).tolist()
    return {"asked": dict(zip(ATTRIBUTES, counts, strict=True))}


def caption_variety(subject: Subject, real: Tensor, fake: Tensor) -> dict[str, float]:
    return {"caption_variety": variety(fake)}


def variety_of_reals(subject: Subject, score: Any = None) -> dict[str, float]:
    """The same of held-out reals of one class each."""
    held_out = subject.part("one_caption", "held_out")
    return {"caption_variety": variety(held_out)} if len(held_out) else {}


def variety_said(subject: Subject) -> dict[str, Any]:
    ratio = variety(subject.part("one_caption", "fake"))
    usual = variety_of_reals(subject).get("caption_variety", 1.0)
    return {"verdict": verdict(ratio, usual), "captions": CAPTIONS, "latents": LATENTS}


def retrieval(subject: Subject, real: Tensor, fake: Tensor) -> dict[str, float]:
    return {"r_precision": float(fake.double().mean())}
