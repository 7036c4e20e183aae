"""What a segment of the index holds, as values. Pure.

A segment covers a range of positions. Its records are numbered from 0 in the order of (eventTime, position): the *number*.
`places` says time and position of every number, *postings* say which numbers have a term. Newest first is then simply
from the greatest number down, a range of time is a range of numbers, and several attributes are an intersection of
numbers: no lookup, however its attributes are spread, does more than a few operations a segment.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

FULL = 32_768
"""Records in a segment at most."""

SPARSE = 128
"""Postings up to this many are a list of numbers (two bytes each); more are a bitmap of at most FULL / 8 bytes."""

_LIST, _BITMAP = b"l", b"b"
_TIME_SHIFT = 32


@dataclass(frozen=True, slots=True)
class Segment:
    """Records from position `first` to `last`. `places` are ascending; terms map to ascending numbers."""

    first: int
    last: int
    oldest: int
    places: array[int]
    postings: Mapping[int, Sequence[int]]

    @property
    def newest(self) -> int:
        return time_of(self.oldest, self.places[-1])


def build(first: int, last: int, records: Iterable[tuple[int, int, Iterable[int]]]) -> Segment:
    """The segment of records given as (time, position, terms). At least one record, at most FULL."""
    ordered = sorted(records, key=lambda record: record[:2])
    oldest = ordered[0][0]
    postings: dict[int, list[int]] = {}
    for number, (_, _, terms) in enumerate(ordered):
        for term in terms:
            postings.setdefault(term, []).append(number)
    return Segment(first, last, oldest, array("Q", (place(oldest, first, time, at) for time, at, _ in ordered)), postings)


def merge(parts: Sequence[Segment]) -> Segment:
    """One segment in place of adjoining ones."""
    first, last, oldest = parts[0].first, parts[-1].last, min(part.oldest for part in parts)
    moved = [
        (place(oldest, first, time_of(part.oldest, at), position_of(part.first, at)), which, number)
        for which, part in enumerate(parts)
        for number, at in enumerate(part.places)
    ]
    moved.sort()
    renumbered = [array("L", bytes(array("L").itemsize * len(part.places))) for part in parts]
    for number, (_, which, was) in enumerate(moved):
        renumbered[which][was] = number
    postings: dict[int, list[int]] = {}
    for numbers, part in zip(renumbered, parts, strict=True):
        for term, had in part.postings.items():
            postings.setdefault(term, []).extend([numbers[number] for number in had])
    for found in postings.values():
        found.sort()
    return Segment(first, last, oldest, array("Q", (at for at, _, _ in moved)), postings)


def place(oldest: int, first: int, time: int, position: int) -> int:
    """When and where a record is, as one number that sorts by time, then position."""
    return (time - oldest) << _TIME_SHIFT | (position - first)


def time_of(oldest: int, place: int) -> int:
    """The eventTime in a place."""
    return oldest + (place >> _TIME_SHIFT)


def position_of(first: int, place: int) -> int:
    """The position in a place."""
    return first + (place & 0xFFFFFFFF)


def encode(numbers: Sequence[int]) -> bytes:
    """Postings as they are stored."""
    if len(numbers) <= SPARSE:
        return _LIST + array("H", numbers).tobytes()
    bits = bytearray(numbers[-1] // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return _BITMAP + bytes(bits)


def decode(postings: bytes) -> list[int]:
    """The numbers of stored postings, ascending."""
    if postings[:1] == _LIST:
        return array("H", postings[1:]).tolist()
    bits = bin(int.from_bytes(postings[1:], "little"))[:1:-1]
    return [number for number, bit in enumerate(bits) if bit == "1"]


def common(postings: Sequence[bytes]) -> bytes:
    """The postings that all of the given ones have in common, in stored form; empty when there are none."""
    lists = [p for p in postings if p[:1] == _LIST]
    bitmaps = [p for p in postings if p[:1] == _BITMAP]
    if not lists:
        shared = int.from_bytes(bitmaps[0][1:], "little")
        for bitmap in bitmaps[1:]:
            shared &= int.from_bytes(bitmap[1:], "little")
        return _BITMAP + shared.to_bytes(len(bitmaps[0]), "little") if shared else b""
    numbers = array("H", lists[0][1:]).tolist()
    for other in lists[1:]:
        numbers = sorted(set(numbers).intersection(array("H", other[1:])))
    for bitmap in bitmaps:
        numbers = [n for n in numbers if (n >> 3) + 1 < len(bitmap) and bitmap[(n >> 3) + 1] >> (n & 7) & 1]
    return _LIST + array("H", numbers).tobytes() if numbers else b""


def below(places: Sequence[int], oldest: int, first: int, time: int, position: int) -> int:
    """How many places lie before (time, position)."""
    if time < oldest:
        return 0
    return bisect_left(places, (time - oldest) << _TIME_SHIFT | min(max(position - first, 0), 0xFFFFFFFF))


def count(postings: bytes) -> int:
    """How many numbers stored postings hold."""
    return len(postings) // 2 if postings[:1] == _LIST else int.from_bytes(postings[1:], "little").bit_count()


def descending(postings: bytes, start: int = 0, end: int = FULL) -> Iterator[int]:
    """The numbers of stored postings from `end` (exclusive) down to `start`."""
    if postings[:1] == _LIST:
        yield from (number for number in reversed(array("H", postings[1:])) if start <= number < end)
        return
    bits = int.from_bytes(postings[1:], "little") & ((1 << end) - 1)
    while (number := bits.bit_length() - 1) >= start:
        yield number
        bits ^= 1 << number
