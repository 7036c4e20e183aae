"""The state epoch in the database: how often rights changed, for processes that do not do all the writing themselves."""

from __future__ import annotations

from opentrail.store.sql import Snapshot, Sql

_EPOCH = Sql("SELECT epoch FROM state_epoch WHERE id = 1")


def stored_epoch(snapshot: Snapshot) -> int:
    """The epoch that the view sees."""
    row = snapshot.one(_EPOCH)
    assert row is not None, "the first migration inserts the epoch"
    return int(row[0])
