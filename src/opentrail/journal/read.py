"""Reading the journal by position. Positions are dense and in commit order: `after` never skips a record that commits late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql

MANAGEMENT, DATA = 0, 1


class Entry(NamedTuple):
    """One record in its place. `time` in whole seconds since 1970; `record` the JSON as it is delivered."""

    position: int
    time: int
    account: str
    region: str
    category: int
    record: bytes


class Head(NamedTuple):
    """The newest position and the running hash up to it; the oldest position kept and the hash before it."""

    position: int
    root: bytes
    first: int
    first_root: bytes


_HEAD = Sql("SELECT position, root, first, first_root FROM journal_head WHERE id = 1")
_AFTER = Sql(
    "SELECT position, time, account, region, category, record FROM journal"
    " WHERE position > :position AND position <= :last ORDER BY position LIMIT :count"
)

AT_ONCE = 64
"""Positions that one `at` takes at most."""

_AT = Sql(
    "SELECT position, time, account, region, category, record FROM journal"
    f" WHERE position IN ({', '.join(f':p{i}' for i in range(AT_ONCE))})"
)
_RECORDS_OF = Sql(
    "SELECT position, record FROM journal WHERE position > :position AND position <= :last"
    " AND account = :account AND region = :region ORDER BY position LIMIT :count"
)


def head(snapshot: Snapshot) -> Head:
    """Where the journal stands."""
    row = snapshot.one(_HEAD)
    assert row is not None, "the first migration inserts the head"
    return Head(*row)


def after(snapshot: Snapshot, position: int, count: int, last: int = 2**62) -> list[Entry]:
    """The next `count` entries after `position`, up to and including `last`."""
    return list(map(Entry._make, snapshot.all(_AFTER, position=position, last=last, count=count)))


def at(snapshot: Snapshot, positions: Sequence[int]) -> dict[int, Entry]:
    """The entries at up to AT_ONCE positions, those that are still kept."""
    if not positions:
        return {}
    last = len(positions) - 1
    rows = snapshot.all(_AT, **{f"p{i}": positions[min(i, last)] for i in range(AT_ONCE)})
    return {row[0]: Entry(*row) for row in rows}


def records_of(snapshot: Snapshot, account: str, region: str, position: int, last: int, count: int) -> list[tuple[int, bytes]]:
    """Position and record of the next `count` entries of an account and region after `position`, up to and including `last`."""
    return snapshot.all(_RECORDS_OF, account=account, region=region, position=position, last=last, count=count)
