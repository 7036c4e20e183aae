"""ICD-10-CM: from the words of a condition to codes.

The vocabulary file is gzip, one line a term: "code TAB kind TAB text", kind being `t` (title), `i` (inclusion term), `n` (a
note elsewhere that points to the code) or `s` (synonym). A code's score joins its best term, how much of the phrase its
category and subcategory speak of, and what its title adds that nobody said; the weights are learned (data/icd10cm.json).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine.decode import Floats
from opentrail.services.comprehendmedical.engine.terms import Index, words_of

MOST = 5
CANDIDATES = 120
"""Codes that are weighed for a phrase."""
WEIGHTS = Path(__file__).parent / "data" / "icd10cm.json"
SIDES = frozenset("left right bilateral unspecified".split())
TAILS = frozenset("initial subsequent sequela encounter".split())
FEATURES = ("title", "term", "note", "category", "subcategory", "first", "second", "unspecified", "other", "deep", "leaf", "chapter", "more", "exact")
"""What is weighed of a code; see `Icd10Cm.seen`."""


class Icd10Cm:
    """A loaded code system."""

    def __init__(self, rows: Iterable[tuple[str, str, str]], weights: Mapping[str, float]) -> None:
        listed = list(rows)
        self.titles = {code: text for code, kind, text in listed if kind == "t"}
        self.codes = list(self.titles)
        place = {code: number for number, code in enumerate(self.codes)}
        listed = [(code, kind, text) for code, kind, text in listed if code in place]
        self._index = Index([text for _, _, text in listed])
        self._owner = np.array([place[code] for code, _, _ in listed], np.intp)
        self._kind = np.array(["tins".index(kind) for _, kind, _ in listed], np.intp)
        self._weights = np.array([weights.get(name, 0.0) for name in FEATURES], np.float32)
        self._temper = weights.get("temper", 1.0)
        self._groups = [self._grouped(listed, size) for size in (3, 5)]
        self._traits = np.array([self._facts(code) for code in self.codes], np.float32)

    def __len__(self) -> int:
        return len(self.codes)

    def _grouped(self, listed: Sequence[tuple[str, str, str]], size: int) -> tuple[Index, Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
        heads = {head: number for number, head in enumerate(dict.fromkeys(code[:size] for code in self.codes))}
        texts: list[list[str]] = [[] for _ in heads]
        for code, _, text in listed:
            texts[heads[code[:size]]].append(text)
        of_code = np.array([heads[code[:size]] for code in self.codes], np.intp)
        index = Index([" ".join(dict.fromkeys(word for text in group for word in text.lower().split())) for group in texts], most_words=400)
        return index, np.zeros(0, np.float32), of_code

    def _facts(self, code: str) -> tuple[float, ...]:
        title = self.titles[code].lower()
        return (
            float("unspecified" in title), float(title.startswith("other")), len(code) / 8.0, float(len(code) > 6), float(code[0] in "VWXYZ"),
        )  # fmt: skip

    def seen(self, phrase: str) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], Floats]:
        """The candidates for a phrase (numbers of codes) and their features, one row each."""
        scores = self._index.weights(phrase)
        best = np.zeros((4, len(self.codes)), np.float32)
        for kind in range(4):
            chosen = self._kind == kind
            np.maximum.at(best[kind], self._owner[chosen], scores[chosen])
        groups = [index.share(phrase)[of_code] for index, _, of_code in self._groups]
        term = np.maximum(best[1], best[3])
        rough = np.maximum(np.maximum(best[0], term), 0.9 * best[2]) + 0.5 * groups[0] + 0.5 * groups[1]
        size = min(CANDIDATES, len(rough))
        top = np.argpartition(-rough, size - 1)[:size]
        peak = np.maximum(np.maximum(best[0], term), best[2])
        said = len(words_of(phrase))
        more = np.array([max(0, len(words_of(self.titles[self.codes[number]])) - said) / 10.0 for number in top], np.float32)
        exact = (peak[top] > 0.97).astype(np.float32)
        rest = self._traits[top]
        columns = [best[0][top], term[top], best[2][top], groups[0][top], groups[1][top], peak[top], peak[top] * groups[0][top]]
        columns += [rest[:, number] for number in range(5)] + [more, exact]
        return top, np.stack(columns, axis=1)

    def search(self, mention: str, details: str = "") -> list[tuple[str, str, float]]:
        """Up to five (code, title, score), best first; `details` are the words of the mention's attributes."""
        phrase = f"{mention} {details}".strip()
        if not words_of(phrase) or not self.codes:
            return []
        top, columns = self.seen(phrase)
        totals = columns @ self._weights
        if not float(columns[:, 5].max()) > 0:
            return []
        chances = np.exp((totals - totals.max()) * self._temper)
        shares = chances / chances.sum() * float(columns[:, 5].max())
        ranked = sorted(zip(totals.tolist(), shares.tolist(), top.tolist(), strict=True), key=lambda one: (-one[0], self.codes[one[2]]))
        return [(self.codes[number], self.titles[self.codes[number]], share) for _, share, number in ranked[:MOST]]


def load(path: Path, weights: Path = WEIGHTS) -> Icd10Cm:
    """Read a vocabulary file and the learned weights."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [(code, kind, text) for code, kind, text in (line.rstrip("\n").split("\t") for line in lines)]
    return Icd10Cm(rows, json.loads(weights.read_text(encoding="utf-8")))
