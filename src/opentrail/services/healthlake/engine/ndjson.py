"""NDJSON in pieces of any size, cut into parts of whole lines, in bounded memory.

    parts(pieces) -> Part, Part, ...

A line ends with a line feed, the last one also without. A byte order mark at the start of the file is no part of the first line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST_LINE = 4 * 1024 * 1024
"""Bytes of a line that are looked at: as many as a resource may have. A longer one is passed over, not held."""
PART_BYTES = 256 * 1024
_MARK = b"\xef\xbb\xbf"


class Part(NamedTuple):
    """Whole lines, the first of which is line `first` of the file (counted from 1); or one line that is too long, without its text."""

    first: int
    data: bytes
    too_long: bool = False


def parts(pieces: Iterable[bytes], most_line: int = MOST_LINE, part_bytes: int = PART_BYTES) -> Iterator[Part]:
    """Cuts a file into parts of about `part_bytes`; at most a piece, a part and a line are held."""
    held, line, skipping, opening = b"", 1, False, True
    for piece in _nonempty(pieces):
        held += piece
        if opening:
            if len(held) < len(_MARK) and _MARK.startswith(held):
                continue
            held, opening = held.removeprefix(_MARK), False
        if skipping:
            end = held.find(b"\n")
            if end < 0:
                held = b""
                continue
            yield Part(line, b"", too_long=True)
            held, line, skipping = held[end + 1 :], line + 1, False
        start = 0
        while (end := _cut(held, start, part_bytes)) >= 0:
            data = held[start : end + 1]
            yield Part(line, data)
            line, start = line + data.count(b"\n"), end + 1
        held = held[start:]
        if len(held) > most_line:
            held, skipping = b"", True
    if skipping:
        yield Part(line, b"", too_long=True)
    elif held and not (opening and held == _MARK):
        yield Part(line, held)


def _nonempty(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (piece for piece in pieces if piece)


def _cut(held: bytes, start: int, size: int) -> int:
    """Where the part that begins at `start` ends: the last line feed within its size, else the first after it; -1 for none."""
    within = held.rfind(b"\n", start, start + size)
    return within if within >= 0 else held.find(b"\n", start + size)


def lines(part: Part) -> Iterator[tuple[int, bytes]]:
    """The lines of a part by number, without their ends; lines of white space alone are left out."""
    for number, text in enumerate(part.data.split(b"\n"), part.first):
        if text and not text.isspace():
            yield number, text
