"""The text layer: tokens, sentences and sections, all with code-point offsets (Python string indices).

Every pattern here is linear: one pass, no nested repetition over overlapping classes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d]\w*|[^\w\s]|\w+")
LONGEST = 120
"""Tokens in one sentence at most: longer runs are cut, which bounds the work of one decoding step."""

SHORTENED = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "mt",
        "vs",
        "no",
        "fig",
        "approx",
        "dept",
        "est",
        "e.g",
        "i.e",
        "q.d",
        "b.i.d",
        "t.i.d",
        "q.i.d",
        "p.o",
        "a.m",
        "p.m",
        "inc",
        "jr",
        "sr",
        "pt",
        "tab",
        "cap",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "ft",
        "lt",
        "gt",
        "hx",
        "dx",
        "tx",
        "rx",
    ]
)
BULLET = re.compile(r"[ \t]*(?:[-*•·+]|\(?\d{1,2}[.)])[ \t]")
HEADER = re.compile(r"^[ \t]*([A-Za-z][A-Za-z/&' ]{1,48}?)[ \t]*:", re.MULTILINE)
BARE_HEADER = re.compile(r"^[ \t]*([A-Z][A-Za-z/&' ]{1,48})[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its text and where it begins and ends."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A text cut up: `sentences` are (first, past last) token numbers, `sections` (begin offset, kind, end of header) in order."""

    text: str
    tokens: tuple[Token, ...]
    sentences: tuple[tuple[int, int], ...]
    sections: tuple[tuple[int, str, int], ...]

    def section_at(self, offset: int) -> str:
        """The kind of the section that `offset` lies in; "" before the first header."""
        index = bisect_right(self.sections, offset, key=lambda section: section[0]) - 1
        return self.sections[index][1] if index >= 0 else ""


def tokenize(text: str) -> tuple[Token, ...]:
    """Numbers (with decimals), words, and every other visible character by itself."""
    return tuple(Token(found.group(), found.start(), found.end()) for found in TOKEN.finditer(text))


def read(text: str, headers: dict[str, str]) -> Document:
    """Cut `text` up; `headers` maps a lower-case section header to its kind (see data/sections.tsv)."""
    tokens = tokenize(text)
    return Document(text, tokens, split_sentences(text, tokens), find_sections(text, headers))


def split_sentences(text: str, tokens: Sequence[Token]) -> tuple[tuple[int, int], ...]:
    """Sentences as ranges of token numbers: cut at final punctuation, at blank lines, bullets and new capitalised lines."""
    cuts = [number for number in range(1, len(tokens)) if _cut_before(text, tokens, number)]
    sentences: list[tuple[int, int]] = []
    for first, last in zip([0, *cuts], [*cuts, len(tokens)], strict=True):
        sentences.extend((begin, min(begin + LONGEST, last)) for begin in range(first, last, LONGEST))
    return tuple(sentences)


def _cut_before(text: str, tokens: Sequence[Token], number: int) -> bool:
    before, here = tokens[number - 1], tokens[number]
    if before.end == here.begin:
        return False
    if "\n" in text[before.end : here.begin] or "\r" in text[before.end : here.begin]:
        return _line_ends_sentence(text, before, here)
    if before.text in "?!":
        return True
    return before.text == "." and _starts_sentence(here) and not _is_shortened(text, tokens, number - 1)


def _line_ends_sentence(text: str, before: Token, here: Token) -> bool:
    gap = text[before.end : here.begin]
    if gap.count("\n") > 1 or gap.count("\r") > 1 or before.text in ".?!:;":
        return True
    return not here.text[0].islower() or BULLET.match(text, here.begin) is not None


def _starts_sentence(token: Token) -> bool:
    return not token.text[0].islower() and token.text not in ",;:)]}%"


def _is_shortened(text: str, tokens: Sequence[Token], dot: int) -> bool:
    """Whether the full stop at token `dot` closes an abbreviation or an initial."""
    if dot == 0 or tokens[dot - 1].end != tokens[dot].begin:
        return False
    word = tokens[dot - 1]
    begin = max(text.rfind(" ", max(0, word.begin - 8), word.begin), text.rfind("\n", max(0, word.begin - 8), word.begin)) + 1
    whole = text[begin : word.end] if begin else word.text
    return word.text.lower() in SHORTENED or whole.lower() in SHORTENED or (len(word.text) == 1 and word.text.isupper())


def find_sections(text: str, headers: dict[str, str]) -> tuple[tuple[int, str, int], ...]:
    """Known section headers: "Header:" at the start of a line, or a line that is nothing but a header."""
    found = []
    for pattern in (HEADER, BARE_HEADER):
        for match in pattern.finditer(text):
            kind = headers.get(" ".join(match.group(1).lower().split()))
            if kind is not None:
                found.append((match.start(1), kind, match.end(1)))
    return tuple(sorted(set(found)))
