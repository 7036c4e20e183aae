"""Whether a mention is denied, someone else's, past, hypothetical, to come or unsure: cue words with a reach.

Cues are listed in data/context.tsv: "words TAB trait TAB way", way being `before` (the cue precedes what it speaks of), `next` (it
precedes it directly), `after` (it follows), `stop` (no cue reaches over it; where it has the mark `same`, as verbs have, cues of the
family do) or `pass` (words that look like a cue and say nothing). A cue reaches to the end of its sentence or to a stop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opentrail.services.comprehendmedical.engine.text import Document

REACH = {"NEGATION": 14, "LOW_CONFIDENCE": 8, "PERTAINS_TO_FAMILY": 20, "HYPOTHETICAL": 14, "PAST_HISTORY": 12, "FUTURE": 10}
"""Tokens that a cue of each trait reaches at most."""
AFTER_REACH = 6
SECTIONS = {"history": "PAST_HISTORY", "family": "PERTAINS_TO_FAMILY"}
SURE = {"NEGATION": 0.95, "PERTAINS_TO_FAMILY": 0.93, "PAST_HISTORY": 0.85, "HYPOTHETICAL": 0.85, "FUTURE": 0.8, "LOW_CONFIDENCE": 0.8}


@dataclass(frozen=True, slots=True)
class Cue:
    """Where a cue stands (token numbers), what it says and which way it looks."""

    first: int
    last: int
    trait: str
    way: str


@dataclass(frozen=True, slots=True)
class Cues:
    """Cue phrases by their first word: (words, trait, way), longest first."""

    by_first: Mapping[str, Sequence[tuple[tuple[str, ...], str, str]]]

    def find(self, words: Sequence[str]) -> list[Cue]:
        """The cues in a sentence's lower-case words; the longest wins, none overlap."""
        found = []
        at = 0
        while at < len(words):
            for phrase, trait, way in self.by_first.get(words[at], ()):
                end = at + len(phrase)
                if tuple(words[at:end]) == phrase and not (phrase[-1] == "negative" and words[end : end + 1] == ["for"]):
                    found.append(Cue(at, at + len(phrase), trait, way))
                    at += len(phrase) - 1
                    break
            at += 1
        return found


def traits(document: Document, cues: Cues, mentions: Sequence[tuple[int, int]]) -> list[dict[str, float]]:
    """For each mention (first, past last token number, in order): its context traits and how sure they are."""
    out: list[dict[str, float]] = [{} for _ in mentions]
    at = 0
    for first, last in document.sentences:
        here = []
        while at < len(mentions) and mentions[at][0] < last:
            here.append(at)
            at += 1
        if here:
            _mark_sentence(document, cues, first, last, mentions, here, out)
    return out


def _mark_sentence(
    document: Document,
    cues: Cues,
    first: int,
    last: int,
    mentions: Sequence[tuple[int, int]],
    here: Sequence[int],
    out: list[dict[str, float]],
) -> None:
    words = [token.text.lower() for token in document.tokens[first:last]]
    found = cues.find(words)
    stops = [cue for cue in found if cue.way == "stop"]
    section = SECTIONS.get(document.section_at(document.tokens[first].begin))
    for index in here:
        begin, end = mentions[index][0] - first, mentions[index][1] - first
        if section:
            out[index][section] = SURE[section]
        for cue in found:
            if cue.way != "stop" and _reaches(cue, begin, end, stops, words):
                out[index][cue.trait] = SURE[cue.trait]


def _reaches(cue: Cue, begin: int, end: int, stops: Sequence[Cue], words: Sequence[str]) -> bool:
    if cue.first < end and begin < cue.last:
        return cue.way == "within"
    if cue.way in ("before", "next") and cue.last <= begin:
        gap = (cue.last, begin)
        limit = REACH[cue.trait] if cue.way == "before" else 1
    elif cue.way == "after" and end <= cue.first:
        gap = (end, cue.first)
        limit = AFTER_REACH
    else:
        return False
    if any(gap[0] <= stop.first < gap[1] for stop in stops if not (stop.trait and cue.trait == "PERTAINS_TO_FAMILY")):
        return False
    listed = 2 * sum(word in (",", "or", "nor", "and") for word in words[gap[0] : gap[1]]) if limit > 1 else 0
    return gap[1] - gap[0] <= limit + min(listed, 30)


def load(path: Path) -> Cues:
    """Read data/context.tsv."""
    by_first: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        phrase, trait, way = line.split("\t")
        words = tuple(re.findall(r"\w+|[^\w\s]", phrase.lower()))
        by_first.setdefault(words[0], []).append((words, trait, way))
    for listed in by_first.values():
        listed.sort(key=lambda cue: -len(cue[0]))
    return Cues(by_first)
