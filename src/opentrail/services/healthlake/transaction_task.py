"""The task of the work role that has kept transactions carried out, one after the other, by HealthLake's own calls.

The call is answered like every other: with a record. What it refuses ends the transaction with that refusal; what it cannot do
now is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import Unavailable
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.healthlake import transaction_store as store
from opentrail.services.healthlake.engine.issues import error, operation_outcome
from opentrail.services.healthlake.transactions import SERVICE
from opentrail.store.sql import Tx
from opentrail.work.lease import Lease

MOST_ATTEMPTS = 8
KEPT = 90 * 86_400
"""Seconds for which an ended transaction can be asked for."""
_SWEEP = 3600.0

Write = Callable[[], AbstractContextManager[Tx]]
Ask = Callable[[Principal, str, str, str], tuple[int, bytes]]
"""Makes a FHIR call (principal, region, method, path below the server): the HTTP status and the body. Raises Unavailable."""


class Transactions:
    """The task. `write` borrows the turn to write the main database."""

    name = "healthlake transactions"
    every = 0.25

    def __init__(self, read: Snapshots, write: Write, ask: Ask, clock: Clock) -> None:
        self._read, self._write, self._ask, self._clock = read, write, ask, clock
        self._sweep_at = 0.0

    def step(self, lease: Lease) -> bool:
        """Has the oldest one carried out."""
        with self._read() as snapshot:
            one = store.next_waiting(snapshot)
        if one is None:
            self._sweep()
            return False
        if one.attempts >= MOST_ATTEMPTS:
            text = "The transaction could not be carried out because of an internal error. Nothing of it happened."
            outcome = operation_outcome([error("exception", text)])
            self._end(one.id, 500, msgspec.json.encode(outcome))
            return True
        with self._write() as tx:
            store.begin(tx, one.id)
        principal = service_principal(SERVICE, one.account, f"arn:aws:healthlake:{one.region}:{one.account}:datastore/fhir/{one.datastore}")
        status, body = self._ask(principal, one.region, "POST", f"/datastore/{one.datastore}/r4/Transaction/{one.id}")
        if status >= 500:
            raise Unavailable("The transaction could not be carried out now.")
        if status >= 400:
            self._end(one.id, status, body)
        return True

    def _end(self, id: str, status: int, outcome: bytes) -> None:
        with self._write() as tx:
            store.end(tx, id, store.FAILED, status, outcome)

    def _sweep(self) -> None:
        if self._clock.monotonic() < self._sweep_at:
            return
        self._sweep_at = self._clock.monotonic() + _SWEEP
        with self._write() as tx:
            store.forget(tx, int((self._clock.now() - KEPT) * 1000))
