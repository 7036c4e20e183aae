"""The follower of Event history: puts the journal's management records into the index, every batch as a segment, with the
resources that the lists beside them name.

Decoding and sorting happen before the transaction, which only writes rows. `merging` makes few segments of many.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.journal import disclosures
from opentrail.journal.read import MANAGEMENT, Entry
from opentrail.services.cloudtrail.history import store
from opentrail.services.cloudtrail.history.build import build
from opentrail.services.cloudtrail.history.segments import Stored
from opentrail.store.sql import Snapshot, Tx
from opentrail.work.follower import Follower

NAME = store.NAME
"""The follower's name."""

MOST = 4_000
"""Entries of one batch: a transaction of some ten milliseconds."""


EVERY = 0.4
"""Seconds between two looks. A lookup reads what is not indexed yet from the journal, 2 us a record; fewer and fuller segments
cost a third less CPU than looking ten times a second."""

MOST_NAMES = 200_000
"""Names of the lists in one batch, but for those of a single record: a second's work outside of the transaction."""

Gathered = tuple[Sequence[Entry], dict[int, list[tuple[str, list[str]]]]]


def gather(snapshot: Snapshot, entries: Sequence[Entry]) -> tuple[int, Gathered]:
    """As many of the entries as one batch takes, with the names in the lists beside them."""
    found: dict[int, list[tuple[str, list[str]]]] = {}
    total = 0
    beside = disclosures.positions(snapshot, entries[0].position, entries[-1].position)
    for number, entry in enumerate(entries if beside else ()):
        if entry.position not in beside or entry.category != MANAGEMENT:
            continue
        claimed = {name: claim for name, claim in disclosures.claims(entry.record).items() if claim.under}
        total += sum(claim.count for claim in claimed.values())
        if total > MOST_NAMES and found:
            return number, (entries[:number], found)
        if claimed:
            found[entry.position] = [(claim.under, disclosures.items(snapshot, entry.position, name)) for name, claim in claimed.items()]
    return len(entries), (entries, found)


def prepare(gathered: Gathered) -> Stored | None:
    """See work.follower."""
    return build(*gathered)


def take(tx: Tx, segment: Stored | None) -> None:
    """Stores what `build` made of a batch."""
    if segment is not None:
        store.add(tx, segment)


def follower() -> Follower:
    """What the runner needs to know."""
    return Follower(NAME, take, prepare, gather, every=EVERY, most_entries=MOST)
