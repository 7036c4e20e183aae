"""The task that keeps the index small: merges neighbouring segments as they pile up and removes those that have expired.

Small neighbours of like size become one, so that at any time there are few segments and each record was written a handful
of times (the idea of log-structured merge trees). Reading and merging happen before the transaction, which only writes
rows. The follower only ever adds segments newer than all others, so that what is merged does not change meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.kernel.ambient import Clock
from opentrail.services.cloudtrail.history import build, store
from opentrail.services.cloudtrail.history.segments import FULL
from opentrail.work.lease import Lease

NAME = "history-merging"
"""The task's name."""

PILE = 16
"""Neighbours of like size that are merged."""

_EXPIRE = 4
_DAY = 86400


class Merging:
    """One merge a step, or the removal of a few segments whose records are all older than `days`."""

    name = NAME
    every = 0.5

    def __init__(self, clock: Clock, days: int) -> None:
        self._clock = clock
        self._days = days

    def step(self, lease: Lease) -> bool:
        """True when more may wait. Raises LeaseLost, and what the database raises."""
        return self._merge(lease) or self._expire(lease)

    def _merge(self, lease: Lease) -> bool:
        with lease.database.read() as snapshot:
            due = pile(store.weights(snapshot, FULL // 2))
            parts = [store.load(snapshot, id) for id in due]
        if not parts:
            return False
        merged = build.merge(parts)
        with lease.write() as tx:
            store.remove(tx, due)
            store.add(tx, merged)
        return True

    def _expire(self, lease: Lease) -> bool:
        with lease.database.read() as snapshot:
            expired = store.expired(snapshot, int(self._clock.now()) - self._days * _DAY, _EXPIRE)
        if expired:
            with lease.write() as tx:
                store.remove(tx, expired)
        return len(expired) == _EXPIRE


def pile(newest: Sequence[tuple[int, int]]) -> list[int]:
    """Which of the segments, given as (id, weight) newest first, are to be merged now: their ids in ascending order, or none.

    PILE or more neighbours that weigh at most PILE ** n records become one, n as small as possible; more than half full is for good.
    The oldest are merged first, so that no small segment is left behind one that is for good.
    """
    limit = PILE
    while limit <= FULL * PILE:
        run = []
        for id, weight in newest:
            if weight > min(limit, FULL // 2):
                break
            run.append((id, weight))
        if len(run) >= PILE:
            return _fitting(run[::-1])
        limit *= PILE
    return []


def _fitting(run: Sequence[tuple[int, int]]) -> list[int]:
    """The first of the run, as many as fit into one segment."""
    chosen = []
    total = 0
    for id, weight in run:
        total += weight
        if total > FULL:
            break
        chosen.append(id)
    return chosen
