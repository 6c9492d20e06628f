"""The blind test: pictures that a person judges in report.html without being told what they are, and the score.

The page saves the answers in the browser and hands them out as a JSON file; put such files into RUN/evaluation/ as
answers*.json and `write_report` shows their scores. `score` is the one definition; the page computes the same.
"""

from __future__ import annotations

import base64
import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from gan_zoo import chance, media
from gan_zoo.metrics.inputs import as_bytes, seeded
from gan_zoo.metrics.measures import wilson
from gan_zoo.metrics.subject import Subject

NAME = "blind.json"
PAIRS = 20  # real and as many generated pictures
ROUND = 4  # pictures of a round of ranking, half of them real


def make(subject: Subject, identity: str, pairs: int = PAIRS) -> dict[str, Any]:
    """`pairs` held-out reals and as many fakes, drawn by the seed, shuffled, as PNG in base64.

    identity: of the evaluated moment; answers carry it, so that they are never scored against other pictures.
    """
    generator = seeded(chance.mix(subject.seed, "blind"))
    sets = {True: as_bytes(subject.held_out.samples.clamp(-1, 1)), False: as_bytes(subject.fake.clamp(-1, 1))}
    count = min(pairs, *map(len, sets.values()))
    items = []
    for real, pictures in sets.items():
        for index in torch.randperm(len(pictures), generator=generator)[:count].tolist():
            frame = pictures[index].permute(1, 2, 0).numpy()
            items.append({"png": base64.b64encode(media.png(frame)).decode(), "real": real})
    order = torch.randperm(len(items), generator=generator).tolist()
    return {
        "identity": identity,
        "items": [items[i] for i in order],
        "rounds": _rounds(items, order, generator),
    }


def _rounds(items: list[dict[str, Any]], order: list[int], generator: torch.Generator) -> list[list[int]]:
    """Rounds of ranking: half real, half fake, in random order; numbers of shuffled items, each used once."""
    kinds = [[at for at, i in enumerate(order) if items[i]["real"] is real] for real in (True, False)]
    half = ROUND // 2
    found = []
    for start in range(0, len(kinds[0]) - half + 1, half):
        chosen = [*kinds[0][start : start + half], *kinds[1][start : start + half]]
        found.append([chosen[i] for i in torch.randperm(len(chosen), generator=generator).tolist()])
    return found


def score(answers: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    """What a person's answers come to.

    answers: {"identity", "said": {item: "real" | "fake"}, "ranked": [[item, ...] best first, ...]}.
    accuracy (0.5: cannot tell) with its interval and two-sided binomial p-value; fooled: share of fakes called real;
    real_first: share of real-fake pairs in which the real one was ranked higher. ValueError for answers to other
    pictures.
    """
    if answers.get("identity") != test["identity"]:
        raise ValueError("these answers were given to other pictures than those of this evaluation")
    truth = [bool(item["real"]) for item in test["items"]]
    said = {int(item): word == "real" for item, word in answers.get("said", {}).items()}
    right = sum(truth[item] == word for item, word in said.items())
    fakes = [word for item, word in said.items() if not truth[item]]
    ordered = [pair for ranked in answers.get("ranked", []) for pair in combinations(ranked, 2)]
    pairs = [truth[first] for first, second in ordered if truth[first] != truth[second]]
    interval = wilson(right / len(said), len(said)) if said else None
    return {
        "answers": len(said),
        "accuracy": right / len(said) if said else None,
        "interval": [interval.low, interval.high] if interval else None,
        "p_value": binomial_p(right, len(said)) if said else None,
        "fooled": sum(fakes) / len(fakes) if fakes else None,
        "pairs": len(pairs),
        "real_first": sum(pairs) / len(pairs) if pairs else None,
    }


def binomial_p(right: int, n: int) -> float:
    """Two-sided exact p-value of `right` of n answers under guessing: outcomes no likelier than this one."""
    ways = [math.comb(n, k) for k in range(n + 1)]
    return min(1.0, sum(way for way in ways if way <= ways[right]) / 2**n)


def saved_scores(folder: Path) -> list[dict[str, Any]]:
    """Scores of all answers*.json beside blind.json, each with the file's name; those that do not fit say why."""
    if not (folder / NAME).is_file():
        return []
    test = json.loads((folder / NAME).read_text(encoding="utf-8"))
    found = []
    for path in sorted(folder.glob("answers*.json")):
        try:
            found.append({"file": path.name, **score(json.loads(path.read_text(encoding="utf-8")), test)})
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as failure:
            found.append({"file": path.name, "error": str(failure)})
    return found
