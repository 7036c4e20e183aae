"""Comprehend Medical's SQL: batch jobs by id, token and list; the files that a job has done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from opentrail.store.sql import Snapshot, Sql, Tx

KEPT = 120 * 86400.0
"""Seconds for which a job can be asked for, from its start (AWS's own answers show this ExpirationTime)."""

SUBMITTED, IN_PROGRESS, STOP_REQUESTED = "SUBMITTED", "IN_PROGRESS", "STOP_REQUESTED"
COMPLETED, PARTIAL_SUCCESS, FAILED, STOPPED = "COMPLETED", "PARTIAL_SUCCESS", "FAILED", "STOPPED"


class Settings(msgspec.Struct, kw_only=True):
    """What a job was started with. `output_key` is the job's own folder, with a trailing slash."""

    input_bucket: str
    input_key: str
    output_bucket: str
    output_key: str
    role: str
    language: str
    model: str


class Job(NamedTuple):
    """A job's row; see tables.job."""

    id: str
    account: str
    region: str
    kind: str
    name: str | None
    status: str
    submitted: float
    ended: float | None
    message: str | None
    manifest: str | None
    settings: str

    @property
    def places(self) -> Settings:
        """The settings, read."""
        return msgspec.json.decode(self.settings, type=Settings)


class File(NamedTuple):
    """What became of an input file; see tables.file."""

    key: str
    size: int
    characters: int = 0
    code: str = ""
    message: str = ""


class Sums(NamedTuple):
    """The files of a job: how many were processed, with how many characters, and how many were not."""

    good: int
    characters: int
    bad: int


_COLUMNS = "id, account, region, kind, name, status, submitted, ended, message, manifest, settings"
_ONE = Sql(f"SELECT {_COLUMNS} FROM comprehendmedical_job WHERE id = :id")
_TOKEN = Sql(
    f"SELECT {_COLUMNS}, token_input FROM comprehendmedical_job"
    " WHERE account = :account AND region = :region AND kind = :kind AND token = :token"
)
_INSERT = Sql(
    f"INSERT INTO comprehendmedical_job ({_COLUMNS}, token, token_input) VALUES (:id, :account, :region, :kind, :name, :status,"
    " :submitted, :ended, :message, :manifest, :settings, :token, :token_input)"
)
_MOVE = Sql("UPDATE comprehendmedical_job SET status = :status WHERE id = :id AND status = :origin")
_END = Sql("UPDATE comprehendmedical_job SET status = :status, ended = :ended, message = :message, manifest = :manifest WHERE id = :id")
_EXPIRE = Sql(
    "DELETE FROM comprehendmedical_job WHERE account = :account AND region = :region AND kind = :kind AND submitted < :before"
    " AND ended IS NOT NULL"
)

FILTERS = {
    "": "",
    "JobName": " AND name = :value",
    "JobStatus": " AND status = :value",
    "SubmitTimeBefore": " AND submitted < :value",
    "SubmitTimeAfter": " AND submitted > :value",
}
"""Members of a list's Filter, and what each asks for."""

ASCENDING = "SubmitTimeBefore"
"""The filter with which the oldest job comes first; else the newest does."""


def _list(name: str) -> Sql:
    after, order = (">", "ASC") if name == ASCENDING else ("<", "DESC")
    return Sql(
        f"SELECT {_COLUMNS} FROM comprehendmedical_job WHERE account = :account AND region = :region AND kind = :kind"
        f" AND submitted >= :since{FILTERS[name]} AND (submitted {after} :at OR (submitted = :at AND id {after} :id))"
        f" ORDER BY submitted {order}, id {order} LIMIT :most"
    )


_LISTS = {name: _list(name) for name in FILTERS}

_ADD_FILE = Sql(
    "INSERT INTO comprehendmedical_file (job, key, size, characters, code, message)"
    " VALUES (:job, :key, :size, :characters, :code, :message)"
)
_SUMS = Sql("SELECT code = '', COUNT(*), SUM(characters) FROM comprehendmedical_file WHERE job = :job GROUP BY code = ''")
_FILES = {
    good: Sql(
        "SELECT key, size, characters, code, message FROM comprehendmedical_file"
        f" WHERE job = :job AND key > :after AND code {'=' if good else '<>'} '' ORDER BY key LIMIT :most"
    )
    for good in (True, False)
}
_DROP = Sql(
    "DELETE FROM comprehendmedical_file WHERE job = :job AND key IN (SELECT key FROM comprehendmedical_file WHERE job = :job LIMIT :most)"
)


def job(snapshot: Snapshot, id: str) -> Job | None:
    """The job, whoever owns it."""
    row = snapshot.one(_ONE, id=id)
    return Job(*row) if row else None


def job_by_token(snapshot: Snapshot, account: str, region: str, kind: str, token: str) -> tuple[Job, str] | None:
    """The job that was started with this token, and the hash of the input that started it."""
    row = snapshot.one(_TOKEN, account=account, region=region, kind=kind, token=token)
    return (Job(*row[:-1]), str(row[-1])) if row else None


def insert(tx: Tx, made: Job, token: str, token_input: str) -> None:
    """Adds a job, and removes those of its kind that nobody can ask for any more."""
    tx.run(_EXPIRE, account=made.account, region=made.region, kind=made.kind, before=made.submitted - KEPT)
    tx.run(_INSERT, **made._asdict(), token=token, token_input=token_input)


def move(tx: Tx, id: str, origin: str, status: str) -> bool:
    """Sets the status of a job that has the status `origin`; False when it has another."""
    return tx.run(_MOVE, id=id, origin=origin, status=status) == 1


def end(tx: Tx, id: str, status: str, ended: float, message: str | None = None, manifest: str | None = None) -> None:
    """Writes a job's end; `manifest` is the key under which it lies, if it was written."""
    tx.run(_END, id=id, status=status, ended=ended, message=message, manifest=manifest)


def page(
    snapshot: Snapshot,
    account: str,
    region: str,
    kind: str,
    since: float,
    filter: tuple[str, str | float],
    place: tuple[float, str],
    most: int,
) -> list[Job]:
    """The next jobs of a kind behind a place (start, id), in the order of the filter (a key of FILTERS, and its value)."""
    name, value = filter
    given = {"value": value} if name else {}
    rows = snapshot.all(
        _LISTS[name], account=account, region=region, kind=kind, since=since, at=place[0], id=place[1], most=most, **given
    )  # fmt: skip
    return [Job(*row) for row in rows]


def add_files(tx: Tx, job: str, files: Sequence[File]) -> None:
    """Adds what became of some files."""
    tx.many(_ADD_FILE, [{"job": job, **one._asdict(), "key": one.key.encode()} for one in files])


def sums(snapshot: Snapshot, job: str) -> Sums:
    """What became of all files up to now."""
    by = {bool(good): (int(count), int(characters or 0)) for good, count, characters in snapshot.all(_SUMS, job=job)}
    return Sums(*by.get(True, (0, 0)), by.get(False, (0, 0))[0])


def files(snapshot: Snapshot, job: str, good: bool, after: str, most: int) -> list[File]:
    """The next processed, or unprocessed, files behind a key."""
    rows = snapshot.all(_FILES[good], job=job, after=after.encode(), most=most)
    return [File(bytes(key).decode(), size, characters, code, message) for key, size, characters, code, message in rows]


def drop_files(tx: Tx, job: str, most: int) -> bool:
    """Forgets at most so many files. False when there were none left."""
    return tx.run(_DROP, job=job, most=most) > 0
