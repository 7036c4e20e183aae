"""Texts of our own with what a person would mark in them: `[words|MARKS]`, and how well the engine agrees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "gold"
MARK = re.compile(r"\[([^|\]]*)\|(\w*)\]")
Marked = tuple[int, int, str]


def read(name: str) -> Iterator[tuple[str, list[Marked]]]:
    """Each line's bare text and its marks: begin, end, what was marked."""
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        text, marks, at = "", [], 0
        for match in MARK.finditer(line):
            text += line[at : match.start()]
            marks.append((len(text), len(text) + len(match[1]), match[2]))
            text, at = text + match[1], match.end()
        yield text + line[at:], marks


def f1(right: int, told: int, wanted: int) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * right / (told + wanted) if told + wanted else 0.0
