"""The statements of Event history's index."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opentrail.services.cloudtrail.history import segments
from opentrail.services.cloudtrail.history.segments import Numbers, Segment
from opentrail.store.sql import Snapshot, Sql, Tx

MOST_TERMS = 8
"""Terms that one search combines at most."""

_FIRST, _CHUNK = 4, 64
"""Segments read at first, which mostly hold the whole page, and at a time after that."""

_HEAD = Sql("SELECT position FROM history_head WHERE id = 1")
_MOVE = Sql("INSERT INTO history_head (id, position) VALUES (1, :position) ON CONFLICT (id) DO UPDATE SET position = excluded.position")
_SIZES = Sql("SELECT id, size FROM history_segment ORDER BY id DESC LIMIT :count")
_ONE = Sql("SELECT last, oldest, places FROM history_segment WHERE id = :id")
_POSTINGS = Sql("SELECT term, postings FROM history_posting WHERE segment = :id")
_ADD = Sql("INSERT INTO history_segment (id, last, oldest, newest, size, places) VALUES (:id, :last, :oldest, :newest, :size, :places)")
_ADD_POSTINGS = Sql("INSERT INTO history_posting (segment, term, postings) VALUES (:segment, :term, :postings)")
_REMOVE = Sql("DELETE FROM history_segment WHERE id = :id")
_REMOVE_POSTINGS = Sql("DELETE FROM history_posting WHERE segment = :id")
_EXPIRED = Sql("SELECT id FROM history_segment WHERE newest < :before ORDER BY id LIMIT :count")
_PLACES = Sql("SELECT places FROM history_segment WHERE id = :id")
_PLACE = Sql("SELECT substr(places, :start, 8) FROM history_segment WHERE id = :id")


def _candidates(count: int) -> Sql:
    """Segments newest first, and for each of `count` terms its bucket and its bitmap: lookups by key from each segment."""
    numbers = range(count)
    return Sql(
        f"SELECT s.id, s.oldest, s.newest, {', '.join(f'b{i}.postings, m{i}.postings' for i in numbers)} FROM history_segment s"
        + "".join(
            f" LEFT JOIN history_posting b{i} ON b{i}.segment = s.id AND b{i}.term = :bucket{i}"
            f" LEFT JOIN history_posting m{i} ON m{i}.segment = s.id AND m{i}.term = :bitmap{i}"
            for i in numbers
        )
        + " WHERE s.newest >= :low AND s.newest <= :newest AND (s.newest < :newest OR s.id < :id) AND s.oldest <= :high"
        + " ORDER BY s.newest DESC, s.id DESC LIMIT :count"
    )


_CANDIDATES = {count: _candidates(count) for count in range(1, MOST_TERMS + 1)}


class Candidate(NamedTuple):
    """A segment, and which of its numbers have every term searched for."""

    id: int
    oldest: int
    newest: int
    numbers: Numbers


def indexed_to(snapshot: Snapshot) -> int:
    """The position up to which the journal is in the index."""
    row = snapshot.one(_HEAD)
    return 0 if row is None else int(row[0])


def move(tx: Tx, position: int) -> None:
    """Says that the journal is in the index up to this position."""
    tx.run(_MOVE, position=position)


def sizes(tx: Tx, count: int) -> list[tuple[int, int]]:
    """Id and size of the newest segments, newest first."""
    return [(row[0], row[1]) for row in tx.all(_SIZES, count=count)]


def load(tx: Tx, id: int) -> Segment:
    """A whole segment."""
    row = tx.one(_ONE, id=id)
    assert row is not None, "asked for by an id just read"
    entries = segments.entries_of((key, bytes(stored)) for key, stored in tx.all(_POSTINGS, id=id))
    return Segment(id, row[0], row[1], array("Q", bytes(row[2])), entries)


def add(tx: Tx, segment: Segment) -> None:
    """Stores a segment."""
    places = array("Q", segment.places).tobytes()
    size = len(segment.places)
    tx.run(_ADD, id=segment.first, last=segment.last, oldest=segment.oldest, newest=segment.newest, size=size, places=places)
    rows = segments.rows(segment.entries)
    tx.many(_ADD_POSTINGS, [{"segment": segment.first, "term": key, "postings": stored} for key, stored in rows])


def remove(tx: Tx, id: int) -> None:
    """Removes a segment."""
    tx.run(_REMOVE_POSTINGS, id=id)
    tx.run(_REMOVE, id=id)


def expired(tx: Tx, before: int, count: int) -> list[int]:
    """Up to `count` segments whose records are all older than that time."""
    return [row[0] for row in tx.all(_EXPIRED, before=before, count=count)]


def candidates(snapshot: Snapshot, terms: Sequence[int], low: int, high: int) -> Iterator[Candidate]:
    """Segments with records that have every term and may lie between the times, in descending order of their newest record."""
    statement = _CANDIDATES[len(terms)]
    keys = [segments.keys(term) for term in terms]
    values = {f"bucket{i}": key[0] for i, key in enumerate(keys)} | {f"bitmap{i}": key[1] for i, key in enumerate(keys)}
    newest, id, count = 2**62, 2**62, _FIRST
    while True:
        rows = snapshot.all(statement, low=low, high=high, newest=newest, id=id, count=count, **values)
        for row in rows:
            found = segments.common([segments.numbers_of(term, row[3 + 2 * i], row[4 + 2 * i]) for i, term in enumerate(terms)])
            if found:
                yield Candidate(row[0], row[1], row[2], found)
        if len(rows) < count:
            return
        id, newest, count = rows[-1][0], rows[-1][2], _CHUNK


def places(snapshot: Snapshot, id: int) -> array[int]:
    """The places of a whole segment."""
    row = snapshot.one(_PLACES, id=id)
    assert row is not None, "one snapshot"
    return array("Q", bytes(row[0]))


def place(snapshot: Snapshot, id: int, number: int) -> int:
    """One place of a segment."""
    row = snapshot.one(_PLACE, id=id, start=8 * number + 1)
    assert row is not None, "one snapshot"
    return array("Q", bytes(row[0]))[0]
