"""Which attribute belongs to which mention: a logistic score over what lies between the two, learned from relations.

Weights are in data/attach.json: {feature: weight}; `features` names them. An attribute goes to its likeliest head in
the same sentence, or to none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIKELY = 0.3
"""Least probability of a relation that is told."""
LIKELY_TIME = 0.04
"""The same for times, which are seldom annotated beside what they belong to."""
NEXT = 0.9
"""Probability that a direction belongs to the body part or condition right behind it."""
HEADS: Mapping[str, tuple[str, ...]] = {
    "DOSAGE": ("MED",),
    "STRENGTH": ("MED",),
    "FORM": ("MED",),
    "ROUTE_OR_MODE": ("MED",),
    "RATE": ("MED",),
    "FREQUENCY": ("MED", "HABIT"),
    "DURATION": ("MED",),
    "AMOUNT": ("HABIT",),
    "TEST_VALUE": ("TEST",),
    "TEST_UNIT": ("TEST",),
    "ACUITY": ("DX",),
    "QUALITY": ("DX",),
    "SYSTEM_ORGAN_SITE": ("DX",),
    "DIRECTION": ("ANAT", "DX"),
    "TIME": ("MED", "DX", "TEST", "PROC"),
}
"""Kinds of mention that each kind of attribute may belong to."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mention or attribute by kind and token numbers (first, past last)."""

    kind: str
    first: int
    last: int


def features(part: Place, head: Place, words: Sequence[str], others: Sequence[Place]) -> list[str]:
    """What is seen of a pair: kinds, order, distance, punctuation between them, and rival heads between them."""
    before = part.last <= head.first
    first, last = (part.last, head.first) if before else (head.last, part.first)
    gap = max(0, last - first)
    between = words[first:last]
    pair = f"{part.kind}>{head.kind}"
    rivals = sum(other.kind in HEADS[part.kind] and first <= other.first and other.last <= last for other in others)
    size = gap if gap < 4 else 4 + int(math.log2(gap / 4) * 1.5)
    order = "<" if before else ">"
    names = [f"p={pair}{order}", f"d={size}", f"d={size}{order}{pair}", f"r={min(rivals, 3)}{order}", f"r={min(rivals, 3)}{pair}"]
    names += [f"has={mark}{order}" for mark in (",", ";", ":", "(", ".", "and", "or", "with", "of", "in", "was", "for") if mark in between]
    return names


def probability(names: Sequence[str], weights: Mapping[str, float]) -> float:
    """The logistic score of a pair's features."""
    total = weights.get("bias", 0.0) + sum(weights.get(name, 0.0) for name in names)
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def best_head(part: Place, heads: Sequence[Place], words: Sequence[str], weights: Mapping[str, float]) -> tuple[int, float] | None:
    """The number of the likeliest head among `heads` (of the part's sentence) and the probability; None when there is none."""
    best: tuple[int, float] | None = None
    likely = LIKELY_TIME if part.kind == "TIME" else LIKELY
    for number, head in enumerate(heads):
        if head.kind in HEADS[part.kind]:
            beside = part.kind == "DIRECTION" and part.last == head.first
            chance = NEXT if beside else probability(features(part, head, words, heads), weights)
            if chance >= likely and (best is None or chance > best[1]):
                best = (number, chance)
    return best


def load(path: Path) -> dict[str, float]:
    """Read the weights."""
    weights: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return weights
