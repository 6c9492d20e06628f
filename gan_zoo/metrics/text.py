"""Text measured: n-gram distributions, repetition, and BLEU of samples among themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_zoo.metrics.inputs import at_least, require_values

Integers = npt.NDArray[np.int64]
SMALLEST = 0.1  # matches that are counted where there are none (Chen & Cherry 2014, method 1)


def ngram_codes(lines: Tensor, n: int) -> Integers:
    """A number for every n-gram within the lines [N, L]: int64 [N * (L - n + 1)], equal where the n-grams are.

    The numbers mean something only within one call.
    """
    at_least(1, n=n)
    ids = _ids(lines, "lines", n)
    length = ids.shape[1] - n + 1
    codes = ids[:, :length].reshape(-1)
    for offset in range(1, n):
        following = ids[:, offset : offset + length].reshape(-1)
        pairs = codes * (int(ids.max()) + 1) + following
        codes = (
            np.unique(pairs, return_inverse=True)[1].reshape(-1).astype(np.int64)
        )  # small again: no overflow
    return codes


def ngram_divergence(real: Tensor, fake: Tensor, n: int) -> float:
    """Jensen-Shannon divergence in bits of the n-grams of token ids, [N, L] each: 0 for equal, 1 for disjoint ones.

    As Gulrajani et al. 2017's code counts them: at every position of a line, pads included.
    """
    at_least(1, n=n)
    for name, one in (("real", real), ("fake", fake)):
        _ids(one, name, n)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real lines have {real.shape[1]} ids, fake ones {fake.shape[1]}; pad both to one length"
        )
    codes = ngram_codes(torch.cat([real, fake]), n)
    split = len(real) * (real.shape[1] - n + 1)
    size = int(codes.max()) + 1
    p, q = (np.bincount(part, minlength=size) / len(part) for part in (codes[:split], codes[split:]))
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def _ids(lines: Tensor, name: str, least: int = 1) -> Integers:
    """Token ids as int64 [N, L]; ValueError for no line, lines shorter than `least`, floats and negative ids."""
    require_values(lines, name)
    if lines.ndim != 2 or lines.shape[1] < least or lines.is_floating_point() or lines.min() < 0:
        raise ValueError(
            f"{name} must be token ids >= 0, [N, L] with L >= {least}, got {tuple(lines.shape)} of {lines.dtype} from "
            f"{float(lines.min()):g} on"
        )
    return lines.cpu().numpy().astype(np.int64)


def _entropy(p: npt.NDArray[np.float64]) -> float:
    """Bits."""
    positive = p[p > 0]
    return float(-(positive * np.log2(positive)).sum())


def uniqueness(lines: Tensor) -> float:
    """Different lines over lines, of token ids [N, L]."""
    return len(np.unique(_ids(lines, "lines"), axis=0)) / len(lines)


def self_bleu(sentences: Sequence[Sequence[Hashable]], order: int = 4) -> float:
    """Mean BLEU of each sentence with all others as references (Zhu et al. 2018): 1 where all are alike.

    Weights are equal up to `order`; 0.1 matches are counted where there are none.
    """
    at_least(1, order=order)
    if len(sentences) < 2:
        raise ValueError(f"self-BLEU compares sentences, {len(sentences)} came; draw at least two")
    counts = [[_ngrams(sentence, n) for n in range(1, order + 1)] for sentence in sentences]
    most = [_two_most([one[n] for one in counts]) for n in range(order)]
    lengths = Counter(map(len, sentences))
    scores = []
    for i, sentence in enumerate(sentences):
        logs = 0.0
        for n in range(order):
            matches = sum(
                min(count, _most_of_others(most[n][gram], i)) for gram, count in counts[i][n].items()
            )
            total = max(1, len(sentence) - n)
            logs += math.log((matches or SMALLEST) / total) / order
        others = [length for length in lengths if length != len(sentence) or lengths[length] > 1]
        closest = min(others, key=lambda length: (abs(length - len(sentence)), length))
        brevity = 1.0 if len(sentence) > closest else math.exp(1 - closest / max(1, len(sentence)))
        scores.append(brevity * math.exp(logs))
    return sum(scores) / len(scores)


def _ngrams(sentence: Sequence[Hashable], n: int) -> Counter[tuple[Hashable, ...]]:
    return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))


Most = tuple[int, int, int]  # who has the n-gram most often, how often, and how often the next one


def _two_most(counts: Sequence[Counter[tuple[Hashable, ...]]]) -> dict[tuple[Hashable, ...], Most]:
    found: dict[tuple[Hashable, ...], Most] = {}
    for i, one in enumerate(counts):
        for gram, count in one.items():
            who, first, second = found.get(gram, (-1, 0, 0))
            found[gram] = (i, count, first) if count > first else (who, first, max(second, count))
    return found


def _most_of_others(most: Most, i: int) -> int:
    who, first, second = most
    return second if who == i else first
