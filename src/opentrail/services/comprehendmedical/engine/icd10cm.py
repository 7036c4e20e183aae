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

from opentrail.services.comprehendmedical.engine.decode import Floats, Numbers
from opentrail.services.comprehendmedical.engine.terms import Bridge, Index, words_of

KINDS = "tins"
MOST = 5
CANDIDATES = 150
"""Codes that are weighed for a phrase."""
WEIGHTS = Path(__file__).parent / "data" / "icd10cm.json"
SIDES = frozenset(["left", "right", "bilateral", "unspecified"])
TAILS = frozenset(["initial", "subsequent", "sequela", "encounter"])
UNKNOWN = frozenset(
    [
        "unspecified",
        "not",
        "otherwise",
        "specified",
        "organism",
        "without",
        "complication",
        "complications",
        "uncomplicated",
        "site",
        "part",
        "type",
        "cause",
    ]
)
FEATURES = (
    "title",
    "term",
    "note",
    "category",
    "subcategory",
    "first",
    "second",
    "unspecified",
    "other",
    "deep",
    "leaf",
    "chapter",
    "more",
    "exact",
    "third",
    "other_c",
    "other_s",
    "nos",
    "named",
    "plain",
)
"""What is weighed of a code; see `Icd10Cm.seen`."""


class Icd10Cm:
    """A loaded code system."""

    def __init__(self, rows: Iterable[tuple[str, str, str]], weights: Mapping[str, float], bridge: Bridge | None = None) -> None:
        listed = list(rows)
        self._bridge = bridge or {}
        self.titles = {code: text for code, kind, text in listed if kind == "t"}
        self.codes = list(self.titles)
        place = {code: number for number, code in enumerate(self.codes)}
        listed = sorted(
            ((code, kind, text) for code, kind, text in listed if code in place), key=lambda row: (KINDS.index(row[1]), place[row[0]])
        )
        self._index = Index([text for _, _, text in listed], bridge=self._bridge)
        owner = np.array([place[code] for code, _, _ in listed], np.intp)
        kind = np.array([KINDS.index(kind) for _, kind, _ in listed], np.intp)
        self._runs = [self._runs_of(owner, kind, number) for number in range(len(KINDS))]
        self._plain = Index([plain(self.titles[code]) for code in self.codes], bridge=self._bridge)
        self._sizes = np.array([len(words_of(self.titles[code])) for code in self.codes], np.float32)
        self._weights = np.array([weights.get(name, 0.0) for name in FEATURES], np.float32)
        self._temper = weights.get("temper", 1.0)
        self._groups = [self._grouped(listed, size) for size in (3, 5, 6)]
        names = np.bincount(owner[kind == 1], minlength=len(self.codes))
        self._named: Floats = np.log1p(names).astype(np.float32)
        self._traits = np.array([self._facts(code) for code in self.codes], np.float32)

    @staticmethod
    def _runs_of(owner: Numbers, kind: Numbers, wanted: int) -> tuple[int, int, Numbers, Numbers]:
        """Where the texts of one kind lie (first, past last), where each code's run starts in there, and the codes."""
        first, last = (int(np.searchsorted(kind, wanted, side)) for side in ("left", "right"))
        owners, starts = np.unique(owner[first:last], return_index=True)
        return first, last, starts, owners

    def __len__(self) -> int:
        return len(self.codes)

    def _grouped(self, listed: Sequence[tuple[str, str, str]], size: int) -> tuple[Index, Floats, Numbers]:
        heads = {head: number for number, head in enumerate(dict.fromkeys(code[:size] for code in self.codes))}
        texts: list[list[str]] = [[] for _ in heads]
        for code, _, text in listed:
            texts[heads[code[:size]]].append(text)
        of_code = np.array([heads[code[:size]] for code in self.codes], np.intp)
        index = Index(
            [" ".join(dict.fromkeys(word for text in group for word in text.lower().split())) for group in texts],
            most_words=400,
            bridge=self._bridge,
        )
        return index, np.zeros(0, np.float32), of_code

    def _facts(self, code: str) -> tuple[float, ...]:
        title = self.titles[code].lower()
        return (
            float("unspecified" in title),
            float(title.startswith("other")),
            len(code) / 8.0,
            float(len(code) > 6),
            float(code[0] in "VWXYZ"),
        )

    def seen(self, phrase: str) -> tuple[Numbers, Floats]:
        """The candidates for a phrase (numbers of codes) and their features, one row each."""
        scores = self._index.weights(phrase)
        best = np.zeros((len(KINDS), len(self.codes)), np.float32)
        for row, (first, last, starts, owners) in zip(best, self._runs, strict=True):
            if len(starts):
                row[owners] = np.maximum.reduceat(scores[first:last], starts)
        groups = [index.share(phrase)[of_code] for index, _, of_code in self._groups]
        term = np.maximum(best[1], best[3])
        rough = np.maximum(np.maximum(best[0], term), 0.9 * best[2]) + 0.6 * groups[0] + 0.5 * groups[1]
        size = min(CANDIDATES, len(rough))
        top = np.argpartition(-rough, size - 1)[:size]
        peak = np.maximum(np.maximum(best[0], term), best[2])
        said = len(words_of(phrase))
        more = np.maximum(0, self._sizes[top] - said) / np.float32(10.0)
        exact = (peak[top] > 0.97).astype(np.float32)
        rest = self._traits[top]
        columns = [best[0][top], term[top], best[2][top], groups[0][top], groups[1][top], peak[top], peak[top] * groups[0][top]]
        columns += [rest[:, number] for number in range(5)] + [more, exact]
        other = rest[:, 1]
        nos = rest[:, 0] * np.float32("unspecified" in words_of(phrase))
        columns += [
            groups[2][top],
            other * groups[0][top],
            other * groups[1][top],
            nos,
            self._named[top],
            self._plain.weights(phrase)[top] * rest[:, 0],
        ]
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


def plain(title: str) -> str:
    """A title without the words that say that nothing more is known: what a clinician would write for it."""
    if "unspecified" not in title.lower():
        return title
    return " ".join(word for word in title.lower().replace(",", " ").split() if word not in UNKNOWN) or title


def load(path: Path, weights: Path = WEIGHTS) -> Icd10Cm:
    """Read a vocabulary file and the learned weights."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [(code, kind, text) for code, kind, text in (line.rstrip("\n").split("\t") for line in lines)]
    learned = json.loads(weights.read_text(encoding="utf-8"))
    return Icd10Cm(rows, learned["weights"], learned["bridge"])
