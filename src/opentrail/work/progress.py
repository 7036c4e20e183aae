"""How far followers are: the gauges of metrics and health."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.journal.read import head
from opentrail.store.sql import Snapshot
from opentrail.work.lease import holdings


class Progress(NamedTuple):
    """A follower's newest position, and how many records of the journal it has not taken yet."""

    name: str
    position: int
    lag: int


def progress(main: Snapshot, name: str, own: Snapshot) -> Progress:
    """Where the follower `name` of the database `own` is. A database that was read before `main` never shows a negative lag."""
    position = next((held.position for held in holdings(own) if held.name == name), 0)
    return Progress(name, position, max(0, head(main).position - position))
