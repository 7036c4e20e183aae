"""Looking up names: an index of short texts that finds the nearest to a phrase by shared and similar words.

A word of the phrase speaks for every listed word that is like it (same letters, same stem, many common trigrams), each
word by its rarity; texts are ranked by the cosine of these weights. Used for ICD-10-CM, RxNorm and SNOMED CT alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine.decode import Floats

WORD = re.compile(r"[^\W_]+")
Bridge = Mapping[str, Sequence[tuple[str, float]]]
"""For a word, other words that stand for it in names of the same things, and how often they do."""
LIKE = 0.5
"""Least likeness (Dice of trigrams) at which two words speak for each other."""
MOST_LIKE = 10
LONGEST_WORD = 40
MOST_WORDS = 40
"""Words of a phrase that are looked up."""
PLAIN = frozenset(["of", "the", "and", "in", "with", "to", "or", "due", "by", "for", "on", "at", "a", "an", "as", "from", "other", "is"])
SAME = {
    "nos": "unspecified",
    "nec": "elsewhere",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "renal": "kidney",
    "hepatic": "liver",
    "cardiac": "heart",
    "pulmonary": "lung",
    "cancer": "malignant",
    "carcinoma": "malignant",
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "gastric": "stomach",
    "cerebral": "brain",
    "ocular": "eye",
    "dermal": "skin",
    "cutaneous": "skin",
    "dental": "tooth",
    "haemorrhage": "hemorrhage",
    "bleeding": "hemorrhage",
    "acquired": "acquired",
    "hereditary": "congenital",
    "inherited": "congenital",
}
"""Words that mean the same in names of diseases."""
ENDINGS = (
    "ically",
    "ations",
    "ation",
    "ical",
    "ing",
    "ism",
    "ies",
    "ous",
    "ary",
    "ory",
    "ic",
    "al",
    "es",
    "ed",
    "ia",
    "y",
    "s",
    "e",
    "a",
    "um",
    "us",
)


def words_of(text: str, most: int = MOST_WORDS) -> list[str]:
    """The words that count (the first `most`), lower-case, American spelling."""
    low = (
        text.lower()
        .replace("'s", "")
        .replace("’s", "")
        .replace("aemi", "emi")
        .replace("oedem", "edem")
        .replace("haem", "hem")
        .replace("oes", "es")
    )
    return [SAME.get(word, word[:LONGEST_WORD]) for word in WORD.findall(low) if word not in PLAIN][:most]


def stem(word: str) -> str:
    """The word without its ending, if five letters remain."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 5:
            return word[: -len(ending)]
    return word


def grams(word: str) -> set[str]:
    """Trigrams of a word with its edges."""
    edged = f"^{word}$"
    return {edged[at : at + 3] for at in range(len(edged) - 2)}


@dataclass(frozen=True, slots=True)
class Hit:
    """A text of the index by number, and its score from 0 to 1."""

    number: int
    score: float


class Index:
    """An index of texts; texts are known by their number."""

    def __init__(self, texts: Sequence[str], most_words: int = MOST_WORDS, bridge: Bridge | None = None) -> None:
        self._bridge = bridge or {}
        lists = [words_of(text, most_words) for text in texts]
        self.vocabulary = {word: number for number, word in enumerate(dict.fromkeys(word for words in lists for word in words))}
        self.count = len(lists)
        pairs = np.array(
            [(self.vocabulary[word], number) for number, words in enumerate(lists) for word in dict.fromkeys(words)], np.int32
        ).reshape(-1, 2)
        order = np.argsort(pairs[:, 0], kind="stable")
        self._texts = pairs[order, 1]
        often = np.bincount(pairs[:, 0], minlength=len(self.vocabulary))
        self._starts = np.concatenate([[0], np.cumsum(often)])
        self._rare: Floats = np.log((self.count + 1) / (often + 0.5)).astype(np.float32)
        self._norms: Floats = np.sqrt(np.bincount(pairs[:, 1], self._rare[pairs[:, 0]] ** 2, self.count)).astype(np.float32) + 1e-6
        self._stems: dict[str, list[int]] = {}
        self._by_gram: dict[str, list[int]] = {}
        self._sizes: list[int] = []
        self._likes: dict[str, list[tuple[float, int]]] = {}

    def like(self, word: str) -> list[tuple[float, int]]:
        """Listed words like this one: (likeness, number), the likest last."""
        known = self._likes.get(word)
        if known is None:
            if len(self._likes) > 20_000:
                self._likes.clear()
            known = self._likes[word] = self._look_for(word)
        return known

    def _spell_out(self) -> None:
        """List stems and trigrams of the vocabulary, when a word is first looked up; set in one step each, sizes last."""
        stems: dict[str, list[int]] = {}
        by_gram: dict[str, list[int]] = {}
        sizes = []
        for word, number in self.vocabulary.items():
            stems.setdefault(stem(word), []).append(number)
            parts = grams(word)
            sizes.append(len(parts))
            for part in parts:
                by_gram.setdefault(part, []).append(number)
        self._stems, self._by_gram = stems, by_gram
        self._sizes = sizes

    def _look_for(self, word: str) -> list[tuple[float, int]]:
        if len(self._sizes) < len(self.vocabulary):
            self._spell_out()
        found: dict[int, float] = {}
        parts = grams(word)
        if len(word) > 3 and not word.isdigit():
            counts: dict[int, int] = {}
            for part in parts:
                for number in self._by_gram.get(part, ()):
                    counts[number] = counts.get(number, 0) + 1
            for number, shared in counts.items():
                likeness = 2 * shared / (len(parts) + self._sizes[number])
                if likeness >= LIKE:
                    found[number] = 0.8 * likeness
        for number in self._stems.get(stem(word), ()):
            found[number] = 0.95
        for other, chance in self._bridge.get(word, ()):
            if other in self.vocabulary:
                number = self.vocabulary[other]
                found[number] = max(found.get(number, 0.0), 0.9 * chance**0.5)
        if word in self.vocabulary:
            found[self.vocabulary[word]] = 1.0
        return sorted((likeness, number) for number, likeness in found.items())[-MOST_LIKE:]

    def weights(self, phrase: str) -> Floats:
        """The cosine of every text with the phrase."""
        total, length = self._sums(phrase)
        scored: Floats = total / (self._norms * np.float32(max(length, 1e-6) ** 0.5))
        return scored

    def share(self, phrase: str) -> Floats:
        """How much of the phrase (by rarity of its words) every text speaks of, whatever else it holds."""
        total, length = self._sums(phrase)
        shared: Floats = total / np.float32(max(length, 1e-6))
        return shared

    def _sums(self, phrase: str) -> tuple[Floats, float]:
        total = np.zeros(self.count, np.float32)
        length = 0.0
        for word in dict.fromkeys(words_of(phrase)):
            likes = self.like(word)
            own = float(self._rare[likes[-1][1]]) if likes else float(np.log(self.count + 1))
            length += own * own
            row = np.zeros(self.count, np.float32)
            for likeness, number in likes:
                row[self._texts[self._starts[number] : self._starts[number + 1]]] = likeness * self._rare[number]
            total += row * own
        return total, length

    def search(self, phrase: str, most: int) -> list[Hit]:
        """The nearest texts, best first; texts that share nothing are left out."""
        scores = self.weights(phrase)
        most = min(most, self.count)
        if not most:
            return []
        top: NDArray[np.intp] = np.argpartition(-scores, most - 1)[:most]
        ranked = sorted(
            ((float(scores[number]), int(number)) for number in top if scores[number] > 0), key=lambda pair: (-pair[0], pair[1])
        )
        return [Hit(number, score) for score, number in ranked]


def unique(items: Iterable[str]) -> list[str]:
    """Items in order, each once."""
    return list(dict.fromkeys(items))
