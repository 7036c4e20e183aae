"""HealthLake's SQL for import and export jobs; what a running one has done is in its checkpoint (work.jobs)."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx

IMPORT, EXPORT = "import", "export"
_FIRST, _LAST = -1e18, 1e18


class JobRow(NamedTuple):
    """A job's row; see tables.job."""

    id: str
    datastore: str
    kind: str
    name: str | None
    status: str
    submitted: float
    ended: float | None
    wanted: str
    report: str
    message: str | None


_COLUMNS = "id, datastore, kind, name, status, submitted, ended, wanted, report, message"
_ADD = Sql(
    "INSERT INTO healthlake_job (id, datastore, kind, name, status, submitted, wanted, token, token_input, report)"
    " VALUES (:id, :datastore, :kind, :name, :status, :submitted, :wanted, :token, :token_input, '{}')"
)
_ONE = Sql(f"SELECT {_COLUMNS} FROM healthlake_job WHERE id = :id AND datastore = :datastore AND kind = :kind")
_BY_ID = Sql(f"SELECT {_COLUMNS} FROM healthlake_job WHERE id = :id")
_TOKEN = Sql(f"SELECT {_COLUMNS}, token_input FROM healthlake_job WHERE datastore = :datastore AND kind = :kind AND token = :token")
_PAGE = Sql(
    f"SELECT {_COLUMNS} FROM healthlake_job WHERE datastore = :datastore AND kind = :kind AND submitted > :after AND submitted < :before"
    " AND (:name = '' OR name = :name) AND (:status = '' OR status = :status)"
    " AND (submitted < :last OR (submitted = :last AND id < :last_id)) ORDER BY submitted DESC, id DESC LIMIT :most"
)
_MOVE = Sql("UPDATE healthlake_job SET status = :status WHERE id = :id")
_END = Sql("UPDATE healthlake_job SET status = :status, ended = :ended, report = :report, message = :message WHERE id = :id")
_KEEP_FILES = Sql("INSERT INTO healthlake_job_files (job, files) VALUES (:job, :files)")
_FILES = Sql("SELECT files FROM healthlake_job_files WHERE job = :job")
_DROP_FILES = Sql("DELETE FROM healthlake_job_files WHERE job = :job")


def add(
    tx: Tx, id: str, datastore: str, kind: str, name: str | None, status: str, submitted: float, wanted: str, token: str, token_input: str
) -> None:
    """Adds a job that was just asked for."""
    tx.run(
        _ADD, id=id, datastore=datastore, kind=kind, name=name, status=status, submitted=submitted, wanted=wanted,
        token=token, token_input=token_input,
    )  # fmt: skip


def job(snapshot: Snapshot, datastore: str, kind: str, id: str) -> JobRow | None:
    """A job of a data store."""
    row = snapshot.one(_ONE, datastore=datastore, kind=kind, id=id)
    return JobRow(*row) if row else None


def job_by_id(snapshot: Snapshot, id: str) -> JobRow | None:
    """A job, whosever it is."""
    row = snapshot.one(_BY_ID, id=id)
    return JobRow(*row) if row else None


def by_token(snapshot: Snapshot, datastore: str, kind: str, token: str) -> tuple[JobRow, str] | None:
    """The job that was started with this client token, and the hash of what was asked for then."""
    row = snapshot.one(_TOKEN, datastore=datastore, kind=kind, token=token)
    return (JobRow(*row[:-1]), str(row[-1])) if row else None


def page(
    snapshot: Snapshot, datastore: str, kind: str, name: str | None, status: str | None, after: float | None, before: float | None,
    last: tuple[float, str] | None, most: int,
) -> list[JobRow]:  # fmt: skip
    """Jobs of a data store that pass the filters, newest first, behind `last` (submitted, id)."""
    submitted, id = last or (_LAST, "")
    rows = snapshot.all(
        _PAGE, datastore=datastore, kind=kind, name=name or "", status=status or "", after=_FIRST if after is None else after,
        before=_LAST if before is None else before, last=submitted, last_id=id, most=most,
    )  # fmt: skip
    return [JobRow(*row) for row in rows]


def move(tx: Tx, id: str, status: str) -> None:
    """Moves a job to another status."""
    tx.run(_MOVE, id=id, status=status)


def end(tx: Tx, id: str, status: str, ended: float, report: str, message: str | None) -> None:
    """Writes what became of a job, and forgets its files."""
    tx.run(_END, id=id, status=status, ended=ended, report=report, message=message)
    tx.run(_DROP_FILES, job=id)


def keep_files(tx: Tx, job: str, files: bytes) -> None:
    """Keeps what an import found."""
    tx.run(_KEEP_FILES, job=job, files=files)


def files(snapshot: Snapshot, job: str) -> bytes | None:
    """What an import found when it began; None before."""
    row = snapshot.one(_FILES, job=job)
    return bytes(row[0]) if row else None
