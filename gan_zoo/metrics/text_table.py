"""The measures of text: entries of gan_zoo.metrics.table for data of modality text."""

from __future__ import annotations

import math

from torch import Tensor

from gan_zoo.metrics import text
from gan_zoo.metrics.language import LINES
from gan_zoo.metrics.measures import Meaning, Measure, Numbers, both, by_bootstrap, by_subsets, by_trials
from gan_zoo.metrics.subject import Subject, language_of

ORDERS = (1, 2, 3, 4, 6)
BLEU_ORDER = 4
SHARE, POSITIVE = (0.0, 1.0), (0.0, math.inf)


def _parsable(subject: Subject) -> bool:
    return language_of(subject).grammar is not None


def _long_enough(subject: Subject) -> bool:
    return subject.fake.shape[1] >= max(ORDERS)


def divergences(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {f"js_{n}": text.ngram_divergence(real, fake, n) for n in ORDERS}


def short_divergences(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {f"js_{n}": text.ngram_divergence(real, fake, n) for n in ORDERS if n <= 4}


def grammatical(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    """Of rows that Language.parsed gives."""
    grammar = language_of(subject).grammar
    assert grammar is not None
    length = subject.fake.shape[1] - (2 if language_of(subject).data.boundaries else 0)
    accepted = fake[:, 0].mean()
    usable = len(grammar.usable(length))
    return {
        "accepted": float(accepted),
        "rules": float(fake[:, 2:].amax(0).sum()) / usable,
        "bits": float(fake[:, 1].sum() / fake[:, 0].sum()) if accepted else math.nan,
    }


def entropy_of(subject: Subject) -> dict[str, float]:
    grammar = language_of(subject).grammar
    assert grammar is not None
    length = subject.fake.shape[1] - (2 if language_of(subject).data.boundaries else 0)
    return {"entropy_of_derivations": grammar.entropy(length), "usable_rules": len(grammar.usable(length))}


def unique(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"uniqueness": text.uniqueness(fake)}


def bleu(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    lines = [line.split() for line in language_of(subject).lines(fake)]
    return {"self_bleu": text.self_bleu(lines, BLEU_ORDER)}


def known_words(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    known, words = fake.sum(0).tolist()
    return {"real_words": known / words if words else 0.0}


def copied(subject: Subject, real: Tensor, fake: Tensor) -> Numbers:
    return {"copied_lines": float(fake.mean())}


def _divergence(n: int) -> Meaning:
    return Meaning(
        f"JS of {n}-grams", True,
        "Jensen-Shannon divergence from training lines, bits: 0 for equal, 1 for disjoint; falls with more samples.", SHARE,
    )  # fmt: skip


TEXT_MEASURES: dict[str, Measure] = {
    "grammar": Measure(
        "Grammar", "parsed", grammatical,
        {"accepted": Meaning("accepted", False, "Sentences that the grammar's parser accepts.", SHARE),
         "rules": Meaning("rules covered", False, "Rules that some accepted sentence uses, of those the length allows.", SHARE),
         "bits": Meaning(
             "bits a sentence", True,
             "-log2 of an accepted sentence's probability under the true grammar; the floor is its entropy; below it: likely ones only.",
             POSITIVE)},
        _parsable, both(by_bootstrap(200), by_trials(lambda s, r, f: len(f), "accepted")), cheap=True,
        settings=lambda s: {"parser": "nltk"}, details=entropy_of),
    "uniqueness": Measure(
        "Uniqueness", "tokens", unique,
        {"uniqueness": Meaning("uniqueness", False, "Different lines over lines; falls with more samples.", SHARE)},
        lambda s: True, cheap=True, most=1_000),
    "ngrams": Measure(
        "n-grams", "tokens", divergences, {f"js_{n}": _divergence(n) for n in ORDERS},
        _long_enough, cheap=True, most=10_000),
    "short_ngrams": Measure(
        "n-grams", "tokens", short_divergences, {f"js_{n}": _divergence(n) for n in ORDERS if n <= 4},
        lambda s: 4 <= s.fake.shape[1] < max(ORDERS), cheap=True, most=10_000),
    "self_bleu": Measure(
        "Self-BLEU", "tokens", bleu,
        {"self_bleu": Meaning(
            "self-BLEU", True, "BLEU-4 of words, each line with all others as references; above the floor: little variety.",
            SHARE)},
        lambda s: True, by_subsets(5), most=500, settings=lambda s: {"order": BLEU_ORDER, "smoothing": "method 1"}),
    "words": Measure(
        "Words", "known_words", known_words,
        {"real_words": Meaning("real words", False, "Words that occur in the training lines, case folded.", SHARE)},
        lambda s: not language_of(s).data.vocabulary.spelling.joiner, by_bootstrap(200), cheap=True, most=10_000,
        settings=lambda s: {"lines": LINES}),
    "copied_lines": Measure(
        "Copies of training lines", "copied_lines", copied,
        {"copied_lines": Meaning("copied lines", True, "Lines that stand in a training line, letter by letter.", SHARE)},
        lambda s: True, by_trials(lambda s, r, f: len(f), "copied_lines"), most=2_000,
        settings=lambda s: {"lines": LINES}),
}  # fmt: skip
TOKEN_VIEWS = frozenset(measure.view for measure in TEXT_MEASURES.values())
