"""The follower of Event history: puts the journal's management records into the index.

Every batch becomes a segment; small neighbours are merged as they pile up, so that at any time there are few segments and
each record was written a handful of times (the idea of log-structured merge trees). A batch merges at most once: it is short.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.journal.read import MANAGEMENT, Entry
from opentrail.record.schema import view
from opentrail.services.cloudtrail.history import segments, store
from opentrail.services.cloudtrail.history.terms import terms
from opentrail.store.sql import Tx

NAME = "history"
"""The follower's name."""

PILE = 8
"""Neighbours of like size that are merged."""

_RECENT = 64
_EXPIRE = 4


def index(tx: Tx, entries: Sequence[Entry]) -> None:
    """Puts the next entries of the journal into the index, in one transaction of the history database.

    Entries that are in the index already are passed over, so that repeating a batch changes nothing.
    """
    done = store.indexed_to(tx)
    fresh = [entry for entry in entries if entry.position > done]
    if not fresh:
        return
    for start in range(0, len(fresh), segments.FULL):
        _add(tx, fresh[start : start + segments.FULL])
    store.move(tx, fresh[-1].position)


def _add(tx: Tx, entries: Sequence[Entry]) -> None:
    records = [(e.time, e.position, terms(e.account, e.region, view(e.record))) for e in entries if e.category == MANAGEMENT]
    if records:
        store.add(tx, segments.build(entries[0].position, entries[-1].position, records))
        if due := pile(store.sizes(tx, _RECENT)):
            merged = segments.merge([store.load(tx, id) for id in due])
            for id in due:
                store.remove(tx, id)
            store.add(tx, merged)


def pile(newest: Sequence[tuple[int, int]]) -> list[int]:
    """Which of the segments, given as (id, size) newest first, are to be merged now: their ids in ascending order, or none.

    PILE or more neighbours of at most PILE ** n records become one, n as small as possible; more than half full is for good.
    """
    limit = PILE
    while limit <= segments.FULL * PILE:
        run = []
        for id, size in newest:
            if size > min(limit, segments.FULL // 2):
                break
            run.append((id, size))
        if len(run) >= PILE:
            chosen: list[int] = []
            total = 0
            for id, size in reversed(run):
                total += size
                if total > segments.FULL:
                    break
                chosen.append(id)
            return chosen
        limit *= PILE
    return []


def prune(tx: Tx, before: int) -> int:
    """Removes a few segments whose records are all older than that time. Returns how many; 0: nothing is left to do."""
    expired = store.expired(tx, before, _EXPIRE)
    for id in expired:
        store.remove(tx, id)
    return len(expired)
