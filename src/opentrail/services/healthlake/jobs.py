"""HealthLake's jobs on its own data: filling a data store created with PreloadDataConfig, erasing a deleted one, carrying out kept
transactions.

They queue apart from imports and exports, which may take hours. Preloads and erasures write in turns of a few milliseconds and go on
from what is there; no record tells of them but that of the call that asked. A transaction is carried out by a call of HealthLake's own,
answered and recorded like every other: what it refuses ends the transaction with that refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import msgspec

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.healthlake import fhir_store, requests, store, transaction_store
from opentrail.services.healthlake.data_queue import ERASURE, PRELOAD, TRANSACTION
from opentrail.services.healthlake.drafts import Draft, draft, stored
from opentrail.services.healthlake.engine import synthetic
from opentrail.services.healthlake.engine.issues import error, operation_outcome
from opentrail.store.sql import Tx
from opentrail.work import jobs
from opentrail.work.executor import WorkerDied
from opentrail.work.jobs import Run

SERVICE = "healthlake.amazonaws.com"

ROWS = 250
"""Rows that are removed at once: about two milliseconds."""

Ask = Callable[[Principal, str, str, str, str], tuple[int, bytes]]
"""Makes a call (principal, region, service, method, path below the server): the HTTP status and the body. Raises Unavailable."""


@cache
def drafts() -> list[tuple[str, Draft]]:
    """The invented patients' resources by id, validated and indexed: as they name each other by type and id, for any data store."""
    made = []
    for line in synthetic.lines():
        resource = msgspec.json.decode(line)
        made.append((resource["id"], draft(resource, "strict", requests.raw_members(line), own="")))
    return made


class Preload:
    """The kind that fills a data store; its checkpoint is the store's id."""

    def work(self, run: Run) -> Iterator[None]:
        """Writes what is not there yet, then makes the data store ACTIVE."""
        id, todo, done = run.job.checkpoint.decode(), drafts(), 0
        while done < len(todo):
            with run.write() as tx:
                found = store.datastore(tx, id)
                assert found is not None, "a data store that is being created is not deleted"
                until = run.clock.monotonic() + tx.lasts
                while done < len(todo) and run.clock.monotonic() < until:
                    _put(tx, found.key, *todo[done], int(run.clock.now() * 1000))
                    done += 1
            yield
        with run.write() as tx:
            store.set_status(tx, id, "ACTIVE")
            run.end(tx)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """The data store cannot be used."""
        store.set_status(tx, run.job.checkpoint.decode(), "CREATE_FAILED")

    def stopped(self, tx: Tx, run: Run) -> None:
        """As failed: nobody asks for it."""
        store.set_status(tx, run.job.checkpoint.decode(), "CREATE_FAILED")


class Erasure:
    """The kind that removes what a deleted data store held; its checkpoint is the store's id."""

    def work(self, run: Run) -> Iterator[None]:
        """Removes rows until none is left."""
        id, left = run.job.checkpoint.decode(), 1
        while left:
            with run.write() as tx:
                found = store.datastore(tx, id)
                assert found is not None, "a deleted data store stays describable"
                until = run.clock.monotonic() + tx.lasts
                while left and run.clock.monotonic() < until:
                    left = fhir_store.erase(tx, found.key, ROWS)
            yield
        with run.write() as tx:
            transaction_store.erase(tx, id)
            run.end(tx)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """The data store is deleted whatever is left of its rows."""

    def stopped(self, tx: Tx, run: Run) -> None:
        """As failed: nobody asks for it."""


def _put(tx: Tx, key: int, id: str, made: Draft, now: int) -> None:
    if fhir_store.current(tx, key, made.type, id) is None:
        fhir_store.insert(tx, key, made.type, id, "PUT", now, stored(made, id, 1, now), made.rows)


class Transaction:
    """The kind that has a transaction carried out; its checkpoint is the transaction's id."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def work(self, run: Run) -> Iterator[None]:
        """One call. It ends the transaction's row itself when it succeeds."""
        id = run.job.checkpoint.decode()
        with run.write() as tx:
            one = transaction_store.begin(tx, id)
        yield
        if one is not None:
            place = f"arn:aws:healthlake:{one.region}:{one.account}:datastore/fhir/{one.datastore}"
            principal = service_principal(SERVICE, one.account, place)
            status, body = self._ask(principal, one.region, "healthlake", "POST", f"/datastore/{one.datastore}/r4/Transaction/{id}")
            if status == 503:
                raise Unavailable("The transaction cannot be carried out now.")
            if status >= 500:
                raise WorkerDied(f"the call was answered with {status}")
            if status >= 400:
                with run.write() as tx:
                    transaction_store.end(tx, id, transaction_store.FAILED, status, body)
                    run.end(tx)
                return
        with run.write() as tx:
            run.end(tx)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """Polling says that it could not be done."""
        text = "The transaction could not be carried out because of an internal error. Nothing of it happened."
        outcome = msgspec.json.encode(operation_outcome([error("exception", text)]))
        transaction_store.end(tx, run.job.checkpoint.decode(), transaction_store.FAILED, 500, outcome)

    def stopped(self, tx: Tx, run: Run) -> None:
        """As failed: nobody asks for it."""
        self.failed(tx, run, ServiceError("InternalServerException", jobs.INTERNAL, status=500))


def kinds(ask: Ask) -> dict[str, jobs.Kind]:
    """The kinds of the queue."""
    return {PRELOAD: Preload(), ERASURE: Erasure(), TRANSACTION: Transaction(ask)}
