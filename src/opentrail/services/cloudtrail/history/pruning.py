"""The task that lets Event history forget what the journal no longer keeps."""

from __future__ import annotations

from opentrail.kernel.ambient import Clock
from opentrail.services.cloudtrail.history import index
from opentrail.work.lease import Lease

_DAY = 86_400


class Pruning:
    """Removes index segments older than `days`, a few in each step."""

    name = "history prune"
    every = 600.0

    def __init__(self, clock: Clock, days: int) -> None:
        self._clock = clock
        self._days = days

    def step(self, lease: Lease) -> bool:
        """One short transaction. True when more may be left."""
        before = int(self._clock.now()) - self._days * _DAY
        with lease.write() as tx:
            return index.prune(tx, before) > 0
