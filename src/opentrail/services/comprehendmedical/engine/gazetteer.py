"""Dictionaries of phrases: which words of a document are listed as drugs, diseases, body parts, tests, names.

One dictionary holds every phrase with a set of kinds, one letter each (see `KINDS`). Matching is by token, without
case and without hyphens, the longest phrase first, independently for each group of kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Strings, joined
from opentrail.services.comprehendmedical.engine.text import TOKEN

FORM = "phrases 1"

KINDS = {
    "C": "drug: name of a substance or product",
    "R": "drug: RxNorm ingredient",
    "B": "drug: brand",
    "U": "drug: substance register (UNII)",
    "M": "drug: class of drugs or common name, hand-made",
    "D": "disease: MeSH disease term",
    "I": "disease: ICD-10-CM title or inclusion term",
    "S": "disease: symptom or sign",
    "H": "disease: common condition, hand-made",
    "A": "body: part of the body",
    "T": "body: test",
    "P": "body: procedure or treatment",
    "V": "short: medical abbreviation",
    "F": "name: given name",
    "L": "name: family name",
    "Y": "name: city",
    "G": "name: state or country",
    "W": "word: common English word",
}
GROUPS = ("CRBUM", "DISH", "ATP", "FLYG")
"""Groups that are matched apart; V and W qualify single words and belong to the last and the first."""
LONGEST = 8
"""Tokens of the longest phrase that is listed."""


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """`kinds` of each phrase (tokens joined by a space) and the longest phrase that starts with each word."""

    kinds: dict[str, str]
    longest: dict[str, int]

    def tags(self, words: Sequence[str]) -> list[list[str]]:
        """One list for each of `GROUPS`: the tag of each token, "" or B or I with the kinds of the phrase it is in."""
        places = [number for number, word in enumerate(words) if word != "-"]
        keys = [words[number].lower() for number in places]
        tags = [[""] * len(words) for _ in GROUPS]
        free = [0] * len(GROUPS)
        for start, key in enumerate(keys):
            for size in range(min(self.longest.get(key, 0), len(keys) - start), 0, -1):
                kinds = self.kinds.get(" ".join(keys[start : start + size]) if size > 1 else key)
                if kinds is not None:
                    self._mark(tags, free, places, start, size, kinds)
        return tags

    def _mark(self, tags: list[list[str]], free: list[int], places: list[int], start: int, size: int, kinds: str) -> None:
        for group, letters in enumerate(GROUPS):
            if free[group] > start:
                continue
            inside = "".join(letter for letter in kinds if letter in letters)
            if inside:
                free[group] = start + size
                first, last = places[start], places[start + size - 1]
                tags[group][first] = "B" + inside
                for number in range(first + 1, last + 1):
                    tags[group][number] = "I" + inside


def phrase_key(phrase: str) -> str:
    """The form under which a phrase is listed: lower-case tokens joined by a space, hyphens left out."""
    return " ".join(word for word in TOKEN.findall(phrase.lower()) if word != "-")


def compiled(phrases: Mapping[str, str]) -> Arrays:
    """The arrays of a gazetteer: `phrases` maps a phrase key to its kinds."""
    shared = {kinds: number for number, kinds in enumerate(dict.fromkeys(phrases.values()))}
    longest: dict[str, int] = {}
    for key in phrases:
        first, size = key.partition(" ")[0], 1 + key.count(" ")
        longest[first] = max(longest.get(first, 0), size)
    return {
        "phrases": joined(phrases),
        "kinds": joined(shared),
        "kind": np.array([shared[kinds] for kinds in phrases.values()], np.uint16),
        "firsts": joined(longest),
        "longest": np.array(list(longest.values()), np.uint8),
    }


def of(arrays: Arrays) -> Gazetteer:
    """The gazetteer of such arrays."""
    kinds = Strings.of(arrays["kinds"]).all()
    listed = dict(zip(Strings.of(arrays["phrases"]).all(), map(kinds.__getitem__, arrays["kind"].tolist()), strict=True))
    return Gazetteer(listed, dict(zip(Strings.of(arrays["firsts"]).all(), arrays["longest"].tolist(), strict=True)))


def load(path: Path) -> Gazetteer:
    """Read a compiled file."""
    return of(stored.load(path, FORM))
