"""HealthLake's SQL for asynchronous transactions. Times are milliseconds."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx

SUBMITTED, IN_PROGRESS, COMPLETED, FAILED = "SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED"


class Waiting(NamedTuple):
    """A transaction that has not ended; see tables.transaction."""

    id: str
    datastore: str
    account: str
    region: str
    status: str
    request: str
    base: str
    prefer: str
    level: str
    body: bytes


class Ended(NamedTuple):
    """What became of a transaction: its status, and once it ended the answer and what the answer shows."""

    status: str
    answer_status: int | None
    answer: bytes | None
    shown: bytes | None


_COLUMNS = "id, datastore, account, region, status, request, base, prefer, level, body"
_ONE = Sql(f"SELECT {_COLUMNS} FROM fhir_transaction WHERE id = :id AND status IN ('IN_PROGRESS', 'SUBMITTED')")
_PENDING = Sql("SELECT COUNT(*) FROM fhir_transaction WHERE datastore = :datastore AND status IN ('IN_PROGRESS', 'SUBMITTED')")
_STATE = Sql("SELECT status, answer_status, answer, shown FROM fhir_transaction WHERE id = :id AND datastore = :datastore")
_INSERT = Sql(
    "INSERT INTO fhir_transaction (id, datastore, account, region, status, submitted, request, base, prefer, level, body)"
    " VALUES (:id, :datastore, :account, :region, 'SUBMITTED', :submitted, :request, :base, :prefer, :level, :body)"
)
_BEGIN = Sql("UPDATE fhir_transaction SET status = 'IN_PROGRESS' WHERE id = :id AND status = 'SUBMITTED'")
_END = Sql(
    "UPDATE fhir_transaction SET status = :status, answer_status = :answer_status, answer = :answer, shown = :shown, body = NULL"
    " WHERE id = :id AND status IN ('IN_PROGRESS', 'SUBMITTED')"
)
_ERASE = Sql("DELETE FROM fhir_transaction WHERE datastore = :datastore")
_FORGET = Sql("DELETE FROM fhir_transaction WHERE datastore = :datastore AND status IN ('COMPLETED', 'FAILED') AND submitted < :before")


def waiting(snapshot: Snapshot, id: str) -> Waiting | None:
    """The transaction, unless it has ended."""
    row = snapshot.one(_ONE, id=id)
    return Waiting(*row) if row else None


def pending(snapshot: Snapshot, datastore: str) -> int:
    """How many transactions of a data store have not ended."""
    row = snapshot.one(_PENDING, datastore=datastore)
    return int(row[0]) if row else 0


def state(snapshot: Snapshot, datastore: str, id: str) -> Ended | None:
    """How a transaction of a data store is doing."""
    row = snapshot.one(_STATE, id=id, datastore=datastore)
    return Ended(*row) if row else None


def insert(tx: Tx, new: Waiting, submitted: int) -> None:
    """Adds a transaction that waits."""
    tx.run(
        _INSERT, id=new.id, datastore=new.datastore, account=new.account, region=new.region, submitted=submitted,
        request=new.request, base=new.base, prefer=new.prefer, level=new.level, body=new.body,
    )  # fmt: skip


def begin(tx: Tx, id: str) -> Waiting | None:
    """Notes that a transaction is being carried out; None when it has ended."""
    tx.run(_BEGIN, id=id)
    return waiting(tx, id)


def end(tx: Tx, id: str, status: str, answer_status: int, answer: bytes, shown: bytes | None = None) -> None:
    """Ends a transaction that has not ended, and drops its Bundle."""
    tx.run(_END, id=id, status=status, answer_status=answer_status, answer=answer, shown=shown)


def erase(tx: Tx, datastore: str) -> None:
    """Removes every transaction of a data store."""
    tx.run(_ERASE, datastore=datastore)


def forget(tx: Tx, datastore: str, before: int) -> None:
    """Removes what ended and was submitted before a time, of one data store."""
    tx.run(_FORGET, datastore=datastore, before=before)
