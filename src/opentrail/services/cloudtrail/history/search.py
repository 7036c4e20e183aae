"""Searching the index: positions of the records that have every term, newest first, as far as they are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from opentrail.services.cloudtrail.history import segments, store
from opentrail.services.cloudtrail.history.store import Candidate
from opentrail.store.sql import Snapshot


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
    id, oldest, newest, size, numbers = candidate
    places = store.Places(snapshot, id, size)
    start = 0 if low <= oldest else bisect_left(places, segments.place(oldest, id, low, id))
    end = size if newest <= high else bisect_left(places, segments.place(oldest, id, high + 1, id))
    if before is not None and before.time <= newest:
        end = min(end, bisect_left(places, segments.place(oldest, id, before.time, max(before.position, id))))
    for number in segments.descending(numbers, start, end):
        place = places[number]
        yield Hit(segments.time_of(oldest, place), segments.position_of(id, place))
