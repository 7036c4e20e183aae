"""What a segment of the index holds, as stored, and how to read it. Pure; `build` makes it.

A segment covers a range of positions. Its records are numbered from 0 in the order of (eventTime, position): the *number*.
Newest first is then simply from the greatest number down, a range of time is a range of numbers, and several attributes
are an intersection of numbers: no lookup, however its attributes are spread, does more than a few operations a segment.

A segment is a set of rows, by key:

    below 0          *places*, when and where each record is, CHUNK numbers a row
    0 to BUCKETS-1   *entries*, term << 16 | number, ascending, of all terms that begin with the key's nine bits
    BUCKETS + term   for a term with more than SPARSE numbers a bitmap of them instead
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

FULL = 65_536
"""Records in a segment at most: a number has 16 bits."""

HEAVY = 64
"""Entries that weigh as much as a record: a segment whose records have more than that on average, as those of calls that
returned many patients, holds fewer records, so that merging takes bounded memory."""

TERM_BITS = 48
"""Bits of a term."""

BUCKETS = 512
"""Rows for the entries of infrequent terms."""

SPARSE = 256
"""Entries of a term that stay in its bucket at most. Two such lists intersect in 50 us, two bitmaps in 15; lists of 1,024 took 210 us."""

CHUNK = 512
"""Places in a row."""

Numbers = Sequence[int] | int
"""Ascending numbers, or an integer whose bits are set at them."""


class Stored(NamedTuple):
    """A segment: the first of its positions, its least and greatest eventTime, how many records, what it weighs (FULL at most,
    unless a single batch weighs more), its rows by ascending keys."""

    first: int
    oldest: int
    newest: int
    size: int
    weight: int
    rows: Sequence[tuple[int, bytes]]


def place(oldest: int, first: int, time: int, position: int) -> int:
    """When and where a record is, as one number that sorts by time, then position."""
    return (time - oldest) << 32 | (position - first)


def time_of(oldest: int, place: int) -> int:
    """The eventTime in a place."""
    return oldest + (place >> 32)


def position_of(first: int, place: int) -> int:
    """The position in a place."""
    return first + (place & 0xFFFFFFFF)


def keys(term: int) -> tuple[int, int]:
    """The keys of the two rows that may hold a term: its bucket and its bitmap."""
    return term >> (TERM_BITS - 9), BUCKETS + term


def places_key(number: int) -> int:
    """The key of the row that holds a number's place, at number % CHUNK."""
    return -1 - number // CHUNK


def listed(term: int, bucket: bytes) -> list[int]:
    """The numbers of a term in its bucket."""
    entries = memoryview(bucket).cast("Q")
    low = bisect_left(entries, term << 16)
    high = bisect_left(entries, (term + 1) << 16, low)
    return [entry & 0xFFFF for entry in entries[low:high]]


def common(found: Sequence[Sequence[int] | bytes]) -> Numbers:
    """The numbers that all have; given as ascending numbers, or as bitmaps as they are stored."""
    bitmaps = [numbers for numbers in found if isinstance(numbers, bytes)]
    lists = sorted((numbers for numbers in found if not isinstance(numbers, bytes)), key=len)
    if not lists:
        return _all_of(bitmaps)
    few = lists[0]
    for other in lists[1:]:
        few = sorted(set(few).intersection(other))
    for bitmap in bitmaps:
        end = len(bitmap) << 3
        few = [number for number in few if number < end and bitmap[number >> 3] >> (number & 7) & 1]
    return few


def _all_of(bitmaps: Sequence[bytes]) -> int:
    shared = -1
    for bitmap in bitmaps:
        shared &= int.from_bytes(bitmap, "little")
    return shared


def descending(numbers: Numbers, start: int, end: int) -> Iterator[int]:
    """The numbers from `end` (exclusive) down to `start`."""
    if not isinstance(numbers, int):
        yield from (number for number in reversed(numbers) if start <= number < end)
        return
    bits = numbers & ((1 << end) - 1)
    while (number := bits.bit_length() - 1) >= start:
        yield number
        bits ^= 1 << number


def unpacked(stored: bytes) -> array[int]:
    """The places or entries of a row."""
    return array("Q", stored)
