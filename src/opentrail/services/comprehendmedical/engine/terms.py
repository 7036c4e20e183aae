"""Looking up names: an index of short texts that finds the nearest to a phrase by shared and similar words.

A word of the phrase speaks for every listed word that is like it (same letters, same stem, many common trigrams), each
word by its rarity; texts are ranked by the cosine of these weights. Used for ICD-10-CM and SNOMED CT alike.
A `Lexicon` knows words, a `Table` which text holds which words, `Postings` turn a table round. Lexicon and table are arrays, so
that an index that was made once is loaded in an instant.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine.decode import Floats

WORD = re.compile(r"[^\W_]+")
Likes = Sequence[tuple[float, int]]
"""Words by number that a word speaks for: (likeness, number), the likest last."""
Bridge = Mapping[str, Sequence[tuple[str, float]]]
"""For a word, other words that stand for it in names of the same things, and how often they do."""
LIKE = 0.5
"""Least likeness (Dice of trigrams) at which two words speak for each other."""
MOST_LIKE = 10
LONGEST_WORD = 40
MOST_WORDS = 40
"""Words of a text that are listed or looked up."""
REMEMBERED = 20_000
"""Words whose likes are kept; beyond it all are forgotten."""
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


def words_of(text: str) -> list[str]:
    """The words that count (the first `MOST_WORDS`), lower-case, American spelling."""
    low = (
        text.lower()
        .replace("'s", "")
        .replace("’s", "")
        .replace("aemi", "emi")
        .replace("oedem", "edem")
        .replace("haem", "hem")
        .replace("oes", "es")
    )
    return [SAME.get(word, word[:LONGEST_WORD]) for word in WORD.findall(low) if word not in PLAIN][:MOST_WORDS]


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


class Strings(Sequence[str]):
    """Many short texts kept as one piece of bytes; a text is made when it is asked for."""

    def __init__(self, blob: bytes, ends: NDArray[np.int64]) -> None:
        self._blob, self._ends = blob, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError("there is no such text")
        first = int(self._ends[number - 1]) + 1 if number else 0
        return self._blob[first : int(self._ends[number])].decode()

    def all(self) -> list[str]:
        """All texts at once."""
        return self._blob.decode().split("\n")[:-1]

    @staticmethod
    def of(lines: NDArray[np.uint8]) -> Strings:
        """Texts that were joined by line ends (`joined`)."""
        return Strings(lines.tobytes(), np.flatnonzero(lines == 10))


def joined(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Texts (without line ends in them) as `Strings.of` takes them."""
    return np.frombuffer("".join(f"{text}\n" for text in texts).encode(), np.uint8)


class _Groups:
    """Numbers grouped under keys: what a dictionary of lists would hold, in a tenth of the memory."""

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        self._places: dict[str, int] = {}
        places, members = array("i"), array("i")
        for key, member in pairs:
            places.append(self._places.setdefault(key, len(self._places)))
            members.append(member)
        self._members = np.frombuffer(members, np.int32)[np.argsort(np.frombuffer(places, np.int32), kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(np.frombuffer(places, np.int32), minlength=len(self._places)))])

    def of(self, key: str) -> NDArray[np.int32]:
        """The members under a key, in the order in which they came."""
        place = self._places.get(key)
        return self._members[:0] if place is None else self._members[self._starts[place] : self._starts[place + 1]]


class Lexicon:
    """The words of an index by number, and which of them are like a word."""

    def __init__(self, words: Sequence[str], bridge: Bridge | None = None) -> None:
        self.names = words
        self.numbers = {word: number for number, word in enumerate(words)}
        self._bridge = bridge or {}
        self._spelling: tuple[_Groups, _Groups, NDArray[np.int32]] | None = None
        self._likes: dict[str, Likes] = {}

    def like(self, word: str) -> Likes:
        """Listed words like this one, the likest last."""
        known = self._likes.get(word)
        if known is None:
            if len(self._likes) > REMEMBERED:
                self._likes.clear()
            known = self._likes[word] = self._look_for(word)
        return known

    def _spelt(self) -> tuple[_Groups, _Groups, NDArray[np.int32]]:
        """Words by stem and by trigram, and how many trigrams each has; listed when a word is first looked up."""
        if self._spelling is None:
            stems = _Groups((stem(word), number) for word, number in self.numbers.items())
            by_gram = _Groups((part, number) for word, number in self.numbers.items() for part in grams(word))
            sizes = np.fromiter((len(grams(word)) for word in self.numbers), np.int32, len(self.numbers))
            self._spelling = (stems, by_gram, sizes)
        return self._spelling

    def _look_for(self, word: str) -> Likes:
        stems, by_gram, sizes = self._spelt()
        found: dict[int, float] = {}
        if len(word) > 3 and not word.isdigit():
            parts = grams(word)
            counts = np.bincount(np.concatenate([by_gram.of(part) for part in parts]), minlength=len(sizes))
            shares = 2 * counts / (len(parts) + sizes)
            found = {int(number): 0.8 * float(shares[number]) for number in np.flatnonzero(shares >= LIKE)}
        for number in stems.of(stem(word)).tolist():
            found[number] = 0.95
        for other, chance in self._bridge.get(word, ()):
            if other in self.numbers:
                number = self.numbers[other]
                found[number] = max(found.get(number, 0.0), 0.9 * chance**0.5)
        if word in self.numbers:
            found[self.numbers[word]] = 1.0
        return sorted((likeness, number) for number, likeness in found.items())[-MOST_LIKE:]


@dataclass(frozen=True, slots=True)
class Table:
    """Which words each text holds, each once: text `n` holds `words[starts[n] : starts[n + 1]]` (numbers of a lexicon)."""

    starts: NDArray[np.int32]
    words: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, text: int) -> list[int]:
        """The words of a text, in its order."""
        numbers: list[int] = self.words[self.starts[text] : self.starts[text + 1]].tolist()
        return numbers

    def grouped(self, groups: NDArray[np.intp], count: int) -> Table:
        """A table of groups of texts: `groups` tells each text's group."""
        owners = np.repeat(groups, np.diff(self.starts)).astype(np.int64)
        width = int(self.words.max(initial=0)) + 1
        pairs = np.unique(owners * width + self.words)
        starts = np.searchsorted(pairs, np.arange(count + 1, dtype=np.int64) * width)
        return Table(starts.astype(np.int32), (pairs % width).astype(np.int32))


def tabulated(texts: Iterable[str]) -> tuple[list[str], Table]:
    """The words of texts, and the table over them."""
    numbers: dict[str, int] = {}
    starts, words = array("i", [0]), array("i")
    for text in texts:
        words.extend(dict.fromkeys(numbers.setdefault(word, len(numbers)) for word in words_of(text)))
        starts.append(len(words))
    return list(numbers), Table(np.frombuffer(starts, np.int32), np.frombuffer(words, np.int32))


class Postings:
    """A table turned round: which texts hold a word; every word weighs what it is rare."""

    def __init__(self, lexicon: Lexicon, table: Table) -> None:
        self.count = len(table)
        self._lexicon = lexicon
        owners = np.repeat(np.arange(self.count, dtype=np.int32), np.diff(table.starts))
        order = np.argsort(table.words, kind="stable")
        self._texts = owners[order]
        often = np.bincount(table.words, minlength=len(lexicon.numbers))
        self._starts = np.concatenate([[0], np.cumsum(often)])
        self.rare: Floats = np.log((self.count + 1) / (often + 0.5)).astype(np.float32)
        self.sums: Floats = np.bincount(owners, self.rare[table.words], self.count).astype(np.float32)
        squares = np.bincount(owners, self.rare[table.words] ** 2, self.count)
        self._norms: Floats = np.sqrt(squares).astype(np.float32) + np.float32(1e-6)

    def holding(self, word: int) -> NDArray[np.int32]:
        """The texts that hold a word."""
        return self._texts[self._starts[word] : self._starts[word + 1]]

    def weights(self, words: Sequence[str]) -> Floats:
        """The cosine of every text with these words."""
        total, length = self._add_up(words)
        scored: Floats = total / (self._norms * np.float32(max(length, 1e-6) ** 0.5))
        return scored

    def both(self, words: Sequence[str]) -> tuple[Floats, Floats]:
        """The same, and how much of the words (by rarity) every text speaks of, whatever else it holds."""
        total, length = self._add_up(words)
        return total / (self._norms * np.float32(max(length, 1e-6) ** 0.5)), total / np.float32(max(length, 1e-6))

    def _add_up(self, words: Sequence[str]) -> tuple[Floats, float]:
        total = np.zeros(self.count, np.float32)
        length = 0.0
        for word in dict.fromkeys(words):
            likes = [(likeness, number) for likeness, number in self._lexicon.like(word) if self._starts[number] < self._starts[number + 1]]
            own = float(self.rare[likes[-1][1]]) if likes else float(np.log(self.count + 1))
            length += own * own
            if len(likes) == 1:
                total[self.holding(likes[0][1])] += likes[0][0] * self.rare[likes[0][1]] * own
            elif likes:
                row = np.zeros(self.count, np.float32)
                for likeness, number in likes:
                    row[self.holding(number)] = likeness * self.rare[number] * own
                total += row
        return total, length


class Index:
    """An index of texts; texts are known by their number."""

    def __init__(self, words: Sequence[str], table: Table) -> None:
        self._postings = Postings(Lexicon(words), table)

    @staticmethod
    def of(texts: Iterable[str]) -> Index:
        """An index of these texts."""
        return Index(*tabulated(texts))

    def search(self, phrase: str, most: int) -> list[Hit]:
        """The nearest texts, best first; texts that share nothing are left out."""
        most = min(most, self._postings.count)
        if not most:
            return []
        scores = self._postings.weights(words_of(phrase))
        top: NDArray[np.intp] = np.argpartition(-scores, most - 1)[:most]
        ranked = sorted(
            ((float(scores[number]), int(number)) for number in top if scores[number] > 0), key=lambda pair: (-pair[0], pair[1])
        )
        return [Hit(number, score) for score, number in ranked]
