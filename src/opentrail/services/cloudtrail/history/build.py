"""Making segments: from the journal's entries, and one from several. Pure; the only part of the index that needs NumPy."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opentrail.journal.read import MANAGEMENT, Entry
from opentrail.services.cloudtrail.history.facts import facts
from opentrail.services.cloudtrail.history.segments import BUCKETS, CHUNK, HEAVY, SPARSE, TERM_BITS, Stored, place, places_key, time_of
from opentrail.services.cloudtrail.history.terms import disclosed_terms, terms

Words = NDArray[np.uint64]

_NUMBER = np.uint64(0xFFFF)
_SHIFT = np.uint64(16)
_BUCKET = np.uint64(TERM_BITS + 16 - 9)


class _Segment(NamedTuple):
    """Records from position `first` on. `places` and `entries` as `segments` says, ascending, every entry once."""

    first: int
    oldest: int
    places: Words
    entries: Words


Disclosed = Mapping[int, Sequence[tuple[str, Sequence[str]]]]
"""By position: what stands before the names of a list beside the record, and the names."""


def build(entries: Sequence[Entry], disclosed: Disclosed) -> Stored | None:
    """The segment of the management records among some of the journal's entries, at most FULL; None when there are none."""
    kept = [entry for entry in entries if entry.category == MANAGEMENT]
    if not kept:
        return None
    found = [terms(entry.account, entry.region, facts(entry.record)) for entry in kept]
    for entry, each in zip(kept, found, strict=True):
        for under, names in disclosed.get(entry.position, ()):
            each += disclosed_terms(entry.account, entry.region, under, names)
    first, oldest = kept[0].position, min(entry.time for entry in kept)
    places = _words([place(oldest, first, entry.time, entry.position) for entry in kept])
    which = np.repeat(np.arange(len(kept)), [len(each) for each in found])
    return _stored(_numbered(first, oldest, places, _words([term for each in found for term in each]), which))


def merge(segments: Sequence[Stored]) -> Stored:
    """One segment in place of neighbours, given in the order of positions."""
    parts = [_opened(segment) for segment in segments]
    first, oldest = parts[0].first, min(part.oldest for part in parts)
    places = np.concatenate([part.places + np.uint64(place(oldest, first, part.oldest, part.first)) for part in parts])
    starts = np.cumsum([0, *(len(part.places) for part in parts[:-1])])
    which = np.concatenate([(part.entries & _NUMBER).astype(np.int64) + start for part, start in zip(parts, starts, strict=True)])
    return _stored(_numbered(first, oldest, places, np.concatenate([part.entries >> _SHIFT for part in parts]), which))


def _numbered(first: int, oldest: int, places: Words, terms: Words, which: NDArray[np.int64]) -> _Segment:
    """Numbers the records by their places; `which` says, for every term, the index of its record in `places`."""
    order = np.argsort(places)
    numbers = np.empty(len(places), np.uint64)
    numbers[order] = np.arange(len(places), dtype=np.uint64)
    entries = np.sort(terms << _SHIFT | numbers[which])
    return _Segment(first, oldest, places[order], entries[np.append(True, entries[1:] != entries[:-1])])


def _stored(segment: _Segment) -> Stored:
    first, oldest, places, entries = segment
    rows = [*_place_rows(places), *_entry_rows(entries)]
    weight = max(len(places), len(entries) // HEAVY)
    return Stored(first, oldest, time_of(oldest, int(places[-1])), len(places), weight, rows)


def _place_rows(places: Words) -> Iterator[tuple[int, bytes]]:
    for start in reversed(range(0, len(places), CHUNK)):
        yield places_key(start), places[start : start + CHUNK].tobytes()


def _entry_rows(entries: Words) -> Iterator[tuple[int, bytes]]:
    values = entries >> _SHIFT
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    counts = np.diff(starts, append=len(values))
    frequent = counts > SPARSE
    rare = entries[np.repeat(~frequent, counts)]
    edges = np.searchsorted(rare >> _BUCKET, np.arange(BUCKETS + 1, dtype=np.uint64)).tolist()
    yield from ((key, rare[low:high].tobytes()) for key, (low, high) in enumerate(pairwise(edges)) if low < high)
    for start, count in zip(starts[frequent].tolist(), counts[frequent].tolist(), strict=True):
        yield BUCKETS + int(values[start]), _bitmap(entries[start : start + count] & _NUMBER)


def _opened(segment: Stored) -> _Segment:
    places: list[Words] = []
    entries: list[Words] = []
    for key, row in segment.rows:
        if key < 0:
            places.append(np.frombuffer(row, np.uint64))
        elif key < BUCKETS:
            entries.append(np.frombuffer(row, np.uint64))
        else:
            numbers = np.flatnonzero(np.unpackbits(np.frombuffer(row, np.uint8), bitorder="little"))
            entries.append(numbers.astype(np.uint64) | np.uint64((key - BUCKETS) << 16))
    return _Segment(segment.first, segment.oldest, np.concatenate(places[::-1]), np.concatenate(entries))


def _words(values: list[int]) -> Words:
    return np.frombuffer(array("Q", values), np.uint64)


def _bitmap(numbers: Words) -> bytes:
    bits = np.zeros(int(numbers[-1]) + 1, np.uint8)
    bits[numbers] = 1
    return np.packbits(bits, bitorder="little").tobytes()
