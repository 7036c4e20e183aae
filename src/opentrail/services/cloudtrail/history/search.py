"""Searching the index: positions of the records that have every term, newest first, as far as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from opentrail.services.cloudtrail.history import segments, store
from opentrail.services.cloudtrail.history.store import Candidate
from opentrail.store.sql import Snapshot

_FEW = 8
"""With at most this many hits in a segment their places are read one by one, with more all places at once (measured)."""


class Hit(NamedTuple):
    """A record's eventTime and position; greater is newer."""

    time: int
    position: int


def newest_first(snapshot: Snapshot, terms: Sequence[int], low: int, high: int, before: Hit | None) -> Iterator[Hit]:
    """The records with every term, from time `low` to `high`, those older than `before`. At least one term."""
    if before is not None:
        high = min(high, before.time)
    waiting: list[tuple[int, int, int, Iterator[Hit]]] = []
    for opened, candidate in enumerate(store.candidates(snapshot, terms, low, high)):
        while waiting and -waiting[0][0] > candidate.newest:
            yield _next(waiting)
        _push(waiting, opened, _hits(snapshot, candidate, low, high, before))
    while waiting:
        yield _next(waiting)


def _push(waiting: list[tuple[int, int, int, Iterator[Hit]]], opened: int, hits: Iterator[Hit]) -> None:
    hit = next(hits, None)
    if hit is not None:
        heappush(waiting, (-hit.time, -hit.position, opened, hits))


def _next(waiting: list[tuple[int, int, int, Iterator[Hit]]]) -> Hit:
    time, position, opened, hits = heappop(waiting)
    _push(waiting, opened, hits)
    return Hit(-time, -position)


def _hits(snapshot: Snapshot, candidate: Candidate, low: int, high: int, before: Hit | None) -> Iterator[Hit]:
    """The hits of one segment, newest first."""
    id, oldest, shared = candidate.id, candidate.oldest, candidate.numbers
    inside = low <= oldest and candidate.newest <= high and (before is None or candidate.newest < before.time)
    if inside and segments.count(shared) <= _FEW:
        for number in segments.descending(shared):
            place = store.place(snapshot, id, number)
            yield Hit(segments.time_of(oldest, place), segments.position_of(id, place))
        return
    places = store.places(snapshot, id)
    start = segments.below(places, oldest, id, low, 0)
    end = segments.below(places, oldest, id, high + 1, 0)
    if before is not None:
        end = min(end, segments.below(places, oldest, id, before.time, before.position))
    for number in segments.descending(shared, start, end):
        yield Hit(segments.time_of(oldest, places[number]), segments.position_of(id, places[number]))
