"""The follower of Event history: puts the journal's management records into the index, every batch as a segment.

Decoding and sorting happen before the transaction, which only writes rows. `merging` makes few segments of many.
"""

from __future__ import annotations

from opentrail.services.cloudtrail.history import store
from opentrail.services.cloudtrail.history.build import build
from opentrail.services.cloudtrail.history.segments import Stored
from opentrail.store.sql import Tx
from opentrail.work.follower import Follower

NAME = store.NAME
"""The follower's name."""

MOST = 2_000
"""Entries of one batch: a transaction of some ten milliseconds."""


def take(tx: Tx, segment: Stored | None) -> None:
    """Stores what `build` made of a batch."""
    if segment is not None:
        store.add(tx, segment)


def follower() -> Follower:
    """What the runner needs to know."""
    return Follower(NAME, take, build, most_entries=MOST)
