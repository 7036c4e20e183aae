"""The task of the work role that fills data stores created with PreloadDataConfig: CREATING until the last resource is in.

It writes in turns of a few milliseconds, each a transaction of its own; after a crash it goes on behind what is there. It is
a job's own progress, so no record tells of it: that of CreateFHIRDatastore does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.services.healthlake import fhir_store, requests, store
from opentrail.services.healthlake.drafts import Draft, draft, stored
from opentrail.services.healthlake.engine import synthetic
from opentrail.store.sql import Tx
from opentrail.store.turns import SLICE
from opentrail.work.lease import Lease

Write = Callable[[], AbstractContextManager[Tx]]


@cache
def drafts() -> list[tuple[str, Draft]]:
    """The resources by id, validated and indexed."""
    made = []
    for line in synthetic.lines():
        resource = msgspec.json.decode(line)
        made.append((resource["id"], draft(resource, "strict", requests.raw_members(line))))
    return made


class Preload:
    """The task. `write` borrows the turn to write the main database."""

    name = "healthlake preload"
    every = 0.25

    def __init__(self, read: Snapshots, write: Write, clock: Clock) -> None:
        self._read, self._write, self._clock = read, write, clock
        self._place: tuple[str, int] = ("", 0)
        """The data store that is being filled, and how many resources are known to be in."""

    def step(self, lease: Lease) -> bool:
        """Writes the next slice of the oldest data store that waits."""
        with self._read() as snapshot:
            waiting = store.creating(snapshot)
        if waiting is None:
            return False
        todo, done = drafts(), self._place[1] if self._place[0] == waiting.id else 0
        with self._write() as tx:
            until = self._clock.monotonic() + SLICE
            while done < len(todo) and self._clock.monotonic() < until:
                self._put(tx, waiting.key, *todo[done])
                done += 1
            if done == len(todo):
                store.set_status(tx, waiting.id, "ACTIVE")
        self._place = waiting.id, done
        return True

    def _put(self, tx: Tx, key: int, id: str, made: Draft) -> None:
        if fhir_store.current(tx, key, made.type, id) is None:
            updated = int(self._clock.now() * 1000)
            fhir_store.insert(tx, key, made.type, id, "PUT", updated, stored(made, id, 1, updated), made.rows)
