"""What a segment of the index holds, as values. Pure.

A segment covers a range of positions. Its records are numbered from 0 in the order of (eventTime, position): the *number*.
`places` says time and position of every number, an *entry* says that a number has a term. Newest first is then simply
from the greatest number down, a range of time is a range of numbers, and several attributes are an intersection of
numbers: no lookup, however its attributes are spread, does more than a few operations a segment.

Stored, the entries of frequent terms are a bitmap each; all others lie sorted in buckets by the term's first bits, so that
writing a thousand different values writes a few rows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

FULL = 16_384
"""Records in a segment at most."""

TERM_BITS = 48
"""Bits of a term."""

BUCKETS = 512
"""Rows for infrequent terms; a bitmap's key is its term plus this."""

_BUCKET_SHIFT = 64 - 9
_STEP = 64
_TIME_SHIFT = 32

Numbers = list[int] | int
"""Ascending numbers, or an integer whose bits are set at them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Records from position `first` to `last`. `places` and `entries` (term << 16 | number) are ascending."""

    first: int
    last: int
    oldest: int
    places: Sequence[int]
    entries: Sequence[int]

    @property
    def newest(self) -> int:
        return time_of(self.oldest, self.places[-1])


def build(first: int, last: int, records: Iterable[tuple[int, int, Iterable[int]]]) -> Segment:
    """The segment of records given as (time, position, terms). At least one record, at most FULL."""
    ordered = sorted(records, key=lambda record: record[:2])
    oldest = ordered[0][0]
    places = [place(oldest, first, time, position) for time, position, _ in ordered]
    entries = [term << 16 | number for number, (_, _, terms) in enumerate(ordered) for term in terms]
    entries.sort()
    return Segment(first, last, oldest, places, entries)


def merge(parts: Sequence[Segment]) -> Segment:
    """One segment in place of adjoining ones, given in the order of positions."""
    first, last, oldest = parts[0].first, parts[-1].last, min(part.oldest for part in parts)
    moved = [
        (place(oldest, first, time_of(part.oldest, at), position_of(part.first, at)), which, number)
        for which, part in enumerate(parts)
        for number, at in enumerate(part.places)
    ]
    moved.sort()
    renumbered = [[0] * len(part.places) for part in parts]
    for number, (_, which, was) in enumerate(moved):
        renumbered[which][was] = number
    entries: list[int] = []
    for numbers, part in zip(renumbered, parts, strict=True):
        entries += [entry ^ (was := entry & 0xFFFF) | numbers[was] for entry in part.entries]
    entries.sort()
    return Segment(first, last, oldest, [at for at, _, _ in moved], entries)


def place(oldest: int, first: int, time: int, position: int) -> int:
    """When and where a record is, as one number that sorts by time, then position."""
    return (time - oldest) << _TIME_SHIFT | (position - first)


def time_of(oldest: int, place: int) -> int:
    """The eventTime in a place."""
    return oldest + (place >> _TIME_SHIFT)


def position_of(first: int, place: int) -> int:
    """The position in a place."""
    return first + (place & 0xFFFFFFFF)


def below(places: Sequence[int], oldest: int, first: int, time: int, position: int) -> int:
    """How many places lie before (time, position)."""
    if time < oldest:
        return 0
    return bisect_left(places, (time - oldest) << _TIME_SHIFT | min(max(position - first, 0), 0xFFFFFFFF))


def rows(entries: Sequence[int]) -> list[tuple[int, bytes]]:
    """The entries as they are stored: by ascending keys, first the buckets that are not empty, then the bitmaps."""
    rare: list[int] = []
    bitmaps: list[tuple[int, bytes]] = []
    start = 0
    for term in sorted({entries[i] >> 16 for i in range(0, len(entries) - _STEP, _STEP) if entries[i] >> 16 == entries[i + _STEP] >> 16}):
        low, high = _span(entries, term)
        rare += entries[start:low]
        bitmaps.append((BUCKETS + term, _bitmap(entries[low:high])))
        start = high
    rare += entries[start:]
    edges = [bisect_left(rare, bucket << _BUCKET_SHIFT) for bucket in range(BUCKETS)] + [len(rare)]
    buckets = [(key, array("Q", rare[low:high]).tobytes()) for key, (low, high) in enumerate(pairwise(edges)) if low < high]
    return buckets + bitmaps


def entries_of(rows: Iterable[tuple[int, bytes]]) -> list[int]:
    """The entries in stored rows."""
    entries: list[int] = []
    for key, stored in rows:
        if key < BUCKETS:
            entries.extend(array("Q", stored))
        else:
            term = (key - BUCKETS) << 16
            bits = bin(int.from_bytes(stored, "little"))[:1:-1]
            entries += [term | number for number, bit in enumerate(bits) if bit == "1"]
    entries.sort()
    return entries


def keys(term: int) -> tuple[int, int]:
    """The keys of the two rows that may hold a term: its bucket and its bitmap."""
    return term >> (TERM_BITS - 9), BUCKETS + term


def numbers_of(term: int, bucket: bytes | None, bitmap: bytes | None) -> Numbers:
    """The numbers that have a term, from its two rows."""
    if bitmap is not None:
        return int.from_bytes(bitmap, "little")
    if bucket is None:
        return []
    entries = memoryview(bucket).cast("Q")
    low, high = _span(entries, term)
    return [entry & 0xFFFF for entry in entries[low:high]]


def common(found: Sequence[Numbers]) -> Numbers:
    """The numbers that all have."""
    lists = [numbers for numbers in found if isinstance(numbers, list)]
    bitmaps = [numbers for numbers in found if isinstance(numbers, int)]
    shared = bitmaps[0] if bitmaps else 0
    for bitmap in bitmaps[1:]:
        shared &= bitmap
    if not lists:
        return shared
    few = min(lists, key=len)
    for other in lists:
        if other is not few:
            few = sorted(set(few).intersection(other))
    return [number for number in few if shared >> number & 1] if bitmaps else few


def count(numbers: Numbers) -> int:
    """How many numbers there are."""
    return len(numbers) if isinstance(numbers, list) else numbers.bit_count()


def descending(numbers: Numbers, start: int = 0, end: int = FULL) -> Iterator[int]:
    """The numbers from `end` (exclusive) down to `start`."""
    if isinstance(numbers, list):
        yield from (number for number in reversed(numbers) if start <= number < end)
        return
    bits = numbers & ((1 << end) - 1)
    while (number := bits.bit_length() - 1) >= start:
        yield number
        bits ^= 1 << number


def _span(entries: Sequence[int], term: int) -> tuple[int, int]:
    low = bisect_left(entries, term << 16)
    return low, bisect_left(entries, (term + 1) << 16, low)


def _bitmap(entries: Sequence[int]) -> bytes:
    bits = bytearray((entries[-1] & 0xFFFF) // 8 + 1)
    for entry in entries:
        bits[(entry & 0xFFFF) >> 3] |= 1 << (entry & 7)
    return bytes(bits)
