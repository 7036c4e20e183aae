"""The statements of Event history's index."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from opentrail.services.cloudtrail.history import segments
from opentrail.services.cloudtrail.history.segments import CHUNK, Numbers, Stored
from opentrail.store.sql import Snapshot, Sql, Tx
from opentrail.work.lease import position

NAME = "history"
"""The follower whose position says how far the index has come."""

MOST_TERMS = 8
"""Terms that one search combines at most."""

_FIRST, _MORE = 4, 32
"""Segments read at first, which mostly hold the whole page, and at a time after that."""

_WEIGHTS = Sql(
    "SELECT id, weight FROM history_segment"
    " WHERE id > COALESCE((SELECT id FROM history_segment WHERE weight > :more ORDER BY id DESC LIMIT 1), -1) ORDER BY id DESC"
)
_ONE = Sql("SELECT oldest, newest, size, weight FROM history_segment WHERE id = :id")
_ROWS = Sql("SELECT key, stored FROM history_row WHERE segment = :id ORDER BY key")
_ADD = Sql("INSERT INTO history_segment (id, oldest, newest, size, weight) VALUES (:id, :oldest, :newest, :size, :weight)")
_ADD_ROW = Sql("INSERT INTO history_row (segment, key, stored) VALUES (:segment, :key, :stored)")
_REMOVE = Sql("DELETE FROM history_segment WHERE id = :id")
_REMOVE_ROWS = Sql("DELETE FROM history_row WHERE segment = :id")
_EXPIRED = Sql("SELECT id FROM history_segment WHERE newest < :before ORDER BY newest LIMIT :count")
_STORED = Sql("SELECT stored FROM history_row WHERE segment = :id AND key = :key")


def _candidates(count: int) -> Sql:
    """Segments newest first, and for each of `count` terms its bitmap, or without one its bucket: lookups by key."""
    numbers = range(count)
    found = ", ".join(f"m{i}.stored, CASE WHEN m{i}.stored IS NULL THEN b{i}.stored END" for i in numbers)
    return Sql(
        f"SELECT s.id, s.oldest, s.newest, s.size, {found} FROM history_segment s"
        + "".join(
            f" LEFT JOIN history_row b{i} ON b{i}.segment = s.id AND b{i}.key = :bucket{i}"
            f" LEFT JOIN history_row m{i} ON m{i}.segment = s.id AND m{i}.key = :bitmap{i}"
            for i in numbers
        )
        + " WHERE s.newest >= :low AND s.newest <= :newest AND (s.newest < :newest OR s.id < :id) AND s.oldest <= :high"
        + " ORDER BY s.newest DESC, s.id DESC LIMIT :count"
    )


_CANDIDATES = {count: _candidates(count) for count in range(1, MOST_TERMS + 1)}


class Candidate(NamedTuple):
    """A segment of `size` records, and which of its numbers have every term searched for."""

    id: int
    oldest: int
    newest: int
    size: int
    numbers: Numbers


class Places:
    """The places of a segment by number, read in rows as they are asked for; a sequence for `bisect`."""

    def __init__(self, snapshot: Snapshot, id: int, size: int) -> None:
        self._snapshot = snapshot
        self._id = id
        self._size = size
        self._read: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> int:
        key = segments.places_key(number)
        chunk = self._read.get(key)
        if chunk is None:
            row = self._snapshot.one(_STORED, id=self._id, key=key)
            assert row is not None, "one snapshot"
            chunk = self._read[key] = segments.unpacked(bytes(row[0]))
        return chunk[number % CHUNK]


def indexed_to(snapshot: Snapshot) -> int:
    """The position up to which the journal is in the index."""
    return position(snapshot, NAME)


def weights(snapshot: Snapshot, more: int) -> list[tuple[int, int]]:
    """Id and weight, newest first, of the segments that are newer than the newest that weighs more than that."""
    return [(row[0], row[1]) for row in snapshot.all(_WEIGHTS, more=more)]


def load(snapshot: Snapshot, id: int) -> Stored:
    """A whole segment."""
    row = snapshot.one(_ONE, id=id)
    assert row is not None, "asked for by an id of the same view"
    return Stored(id, row[0], row[1], row[2], row[3], [(key, bytes(stored)) for key, stored in snapshot.all(_ROWS, id=id)])


def add(tx: Tx, segment: Stored) -> None:
    """Stores a segment under the first of its positions."""
    tx.run(_ADD, id=segment.first, oldest=segment.oldest, newest=segment.newest, size=segment.size, weight=segment.weight)
    tx.many(_ADD_ROW, [{"segment": segment.first, "key": key, "stored": stored} for key, stored in segment.rows])


def remove(tx: Tx, ids: Iterable[int]) -> None:
    """Removes segments."""
    for id in ids:
        tx.run(_REMOVE_ROWS, id=id)
        tx.run(_REMOVE, id=id)


def expired(snapshot: Snapshot, before: int, count: int) -> list[int]:
    """Up to `count` segments whose records are all older than that time."""
    return [row[0] for row in snapshot.all(_EXPIRED, before=before, count=count)]


def candidates(snapshot: Snapshot, terms: Sequence[int], low: int, high: int) -> Iterator[Candidate]:
    """Segments with records that have every term and may lie between the times, in descending order of their newest record."""
    statement = _CANDIDATES[len(terms)]
    keys = [segments.keys(term) for term in terms]
    values = {f"bucket{i}": key[0] for i, key in enumerate(keys)} | {f"bitmap{i}": key[1] for i, key in enumerate(keys)}
    newest, id, count = 2**62, 2**62, _FIRST
    while True:
        rows = snapshot.all(statement, low=low, high=high, newest=newest, id=id, count=count, **values)
        for row in rows:
            numbers = segments.common([_numbers(term, row[4 + 2 * i], row[5 + 2 * i]) for i, term in enumerate(terms)])
            if numbers:
                yield Candidate(row[0], row[1], row[2], row[3], numbers)
        if len(rows) < count:
            return
        id, newest, count = rows[-1][0], rows[-1][2], _MORE


def _numbers(term: int, bitmap: bytes | None, bucket: bytes | None) -> Sequence[int] | bytes:
    if bitmap is not None:
        return bytes(bitmap)
    return [] if bucket is None else segments.listed(term, bytes(bucket))
