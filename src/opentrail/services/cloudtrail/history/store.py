"""The statements of Event history's index."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opentrail.services.cloudtrail.history import segments
from opentrail.services.cloudtrail.history.segments import Segment
from opentrail.store.sql import Snapshot, Sql, Tx

MOST_TERMS = 8
"""Terms that one search combines at most."""

_CHUNK = 64

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
    """Segments that have `count` terms, newest first: the segments in order, then one lookup by key for each term."""
    numbers = range(count)
    return Sql(
        f"SELECT s.id, s.oldest, s.newest, {', '.join(f'p{i}.postings' for i in numbers)} FROM history_segment s"
        + "".join(f" CROSS JOIN history_posting p{i}" for i in numbers)
        + " WHERE s.newest >= :low AND s.newest <= :high AND (s.newest < :newest OR s.id < :id) AND s.oldest <= :until"
        + "".join(f" AND p{i}.segment = s.id AND p{i}.term = :t{i}" for i in numbers)
        + " ORDER BY s.newest DESC, s.id DESC LIMIT :count"
    )


_CANDIDATES = {count: _candidates(count) for count in range(1, MOST_TERMS + 1)}


class Candidate(NamedTuple):
    """A segment that has every term searched for, and its postings of each."""

    id: int
    oldest: int
    newest: int
    postings: Sequence[bytes]


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
    postings = {term: segments.decode(bytes(found)) for term, found in tx.all(_POSTINGS, id=id)}
    return Segment(id, row[0], row[1], array("Q", bytes(row[2])), postings)


def add(tx: Tx, segment: Segment) -> None:
    """Stores a segment."""
    places = segment.places.tobytes()
    size = len(segment.places)
    tx.run(_ADD, id=segment.first, last=segment.last, oldest=segment.oldest, newest=segment.newest, size=size, places=places)
    tx.many(
        _ADD_POSTINGS,
        [
            {"segment": segment.first, "term": term, "postings": segments.encode(segment.postings[term])}
            for term in sorted(segment.postings)
        ],
    )


def remove(tx: Tx, id: int) -> None:
    """Removes a segment."""
    tx.run(_REMOVE_POSTINGS, id=id)
    tx.run(_REMOVE, id=id)


def expired(tx: Tx, before: int, count: int) -> list[int]:
    """Up to `count` segments whose records are all older than that time."""
    return [row[0] for row in tx.all(_EXPIRED, before=before, count=count)]


def candidates(snapshot: Snapshot, terms: Sequence[int], low: int, high: int) -> Iterator[Candidate]:
    """Segments with every term and records that may lie between the times, in descending order of their newest record."""
    statement = _CANDIDATES[len(terms)]
    values = {f"t{i}": term for i, term in enumerate(terms)}
    newest, id = 2**62, 2**62
    while True:
        rows = snapshot.all(statement, low=low, high=newest, newest=newest, id=id, until=high, count=_CHUNK, **values)
        for row in rows:
            yield Candidate(row[0], row[1], row[2], [bytes(postings) for postings in row[3:]])
        if len(rows) < _CHUNK:
            return
        id, newest = rows[-1][0], rows[-1][2]


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
