"""The queue of what is done to a data store's resources outside calls; `jobs` does it. Asked for in the transaction of the call."""

from __future__ import annotations

from opentrail.store.sql import Tx
from opentrail.work import jobs

QUEUE = "healthlake-data"
PRELOAD, ERASURE, TRANSACTION = "preload", "erasure", "transaction"


def preload(tx: Tx, datastore: str, created: float) -> None:
    """Has a data store filled."""
    jobs.submit(tx, QUEUE, PRELOAD, f"{QUEUE} {datastore}", created, datastore.encode())


def erasure(tx: Tx, datastore: str, created: float) -> None:
    """Has the rows of a deleted data store removed."""
    jobs.submit(tx, QUEUE, ERASURE, f"{QUEUE} {ERASURE} {datastore}", created, datastore.encode())


def transaction(tx: Tx, id: str, created: float) -> None:
    """Has a kept transaction carried out."""
    jobs.submit(tx, QUEUE, TRANSACTION, f"{QUEUE} {id}", created, id.encode())
