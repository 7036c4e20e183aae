"""Statements over log files and delivery status."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx


class LogFile(NamedTuple):
    """A row of `log_file`; see `tables`."""

    object_key: str
    trail: str
    account: str
    region: str
    bucket: str
    prefix: str
    first_position: int
    last_position: int
    stamp: int
    size: int
    sha256: str
    records: int
    oldest: int
    newest: int
    planned: float
    delivered: float | None = None
    digest_end: int | None = None


class Status(NamedTuple):
    """A row of `delivery_status` without its key; times in seconds since 1970."""

    attempted: float | None = None
    succeeded: float | None = None
    error: str = ""
    stopped: str = ""


_COLUMNS = ", ".join(LogFile._fields)
_INSERT = Sql(f"INSERT INTO log_file ({_COLUMNS}) VALUES ({', '.join(':' + name for name in LogFile._fields)})")
_QUEUES = Sql("SELECT DISTINCT trail, bucket FROM log_file WHERE delivered IS NULL ORDER BY trail, bucket")
_WAITING = Sql(
    f"SELECT {_COLUMNS} FROM log_file WHERE delivered IS NULL AND trail = :trail AND bucket = :bucket"
    " ORDER BY first_position, object_key LIMIT :count"
)
_GET = Sql(f"SELECT {_COLUMNS} FROM log_file WHERE object_key = :object_key")
_OLDEST_WAITING = Sql("SELECT MIN(first_position) FROM log_file WHERE delivered IS NULL")
_DONE = Sql("UPDATE log_file SET delivered = :at WHERE object_key = :object_key AND delivered IS NULL")
_OF_TRAIL = Sql(f"SELECT {_COLUMNS} FROM log_file WHERE trail = :trail ORDER BY first_position, object_key")
_OF_BUCKET = Sql(f"SELECT {_COLUMNS} FROM log_file WHERE bucket = :bucket ORDER BY first_position, object_key")
_STATUS = Sql("SELECT attempted, succeeded, error, stopped FROM delivery_status WHERE trail = :trail AND kind = :kind")
_STOPPED = Sql("SELECT trail, kind, stopped FROM delivery_status WHERE stopped <> '' ORDER BY trail, kind")
_SUCCEEDED = Sql(
    "INSERT INTO delivery_status (trail, kind, attempted, succeeded, error, stopped) VALUES (:trail, :kind, :at, :at, '', '')"
    " ON CONFLICT (trail, kind) DO UPDATE SET attempted = excluded.attempted, succeeded = excluded.succeeded, error = ''"
)
_FAILED = Sql(
    "INSERT INTO delivery_status (trail, kind, attempted, succeeded, error, stopped) VALUES (:trail, :kind, :at, NULL, :error, :stopped)"
    " ON CONFLICT (trail, kind) DO UPDATE SET attempted = excluded.attempted, error = excluded.error,"
    " stopped = CASE WHEN delivery_status.stopped = '' THEN excluded.stopped ELSE delivery_status.stopped END"
)


def plan(tx: Tx, files: list[LogFile]) -> None:
    """Keeps planned files."""
    tx.many(_INSERT, [file._asdict() for file in files])


def queues(snapshot: Snapshot) -> list[tuple[str, str]]:
    """The trails and buckets with files that are planned and not delivered."""
    return [(row[0], row[1]) for row in snapshot.all(_QUEUES)]


def waiting(snapshot: Snapshot, trail: str, bucket: str, count: int) -> list[LogFile]:
    """The trail's next files to deliver into the bucket, in order."""
    return [LogFile(*row) for row in snapshot.all(_WAITING, trail=trail, bucket=bucket, count=count)]


def get(snapshot: Snapshot, object_key: str) -> LogFile:
    """One planned file."""
    row = snapshot.one(_GET, object_key=object_key)
    assert row is not None, "planned files are never removed"
    return LogFile(*row)


def oldest_needed(snapshot: Snapshot) -> int | None:
    """The oldest position that a planned file still needs to be rebuilt; None when every file is delivered. The journal may
    be pruned only below it."""
    row = snapshot.one(_OLDEST_WAITING)
    return None if row is None or row[0] is None else int(row[0])


def done(tx: Tx, object_key: str, at: float) -> None:
    """Marks a file as delivered."""
    tx.run(_DONE, object_key=object_key, at=at)


def of_trail(snapshot: Snapshot, trail: str) -> list[LogFile]:
    """Every file ever planned for the trail, in order."""
    return [LogFile(*row) for row in snapshot.all(_OF_TRAIL, trail=trail)]


def of_bucket(snapshot: Snapshot, bucket: str) -> list[LogFile]:
    """The files of every trail that delivers into the bucket."""
    return [LogFile(*row) for row in snapshot.all(_OF_BUCKET, bucket=bucket)]


def status(snapshot: Snapshot, trail: str, kind: str) -> Status:
    """The latest attempt; empty before the first one."""
    row = snapshot.one(_STATUS, trail=trail, kind=kind)
    return Status() if row is None else Status(*row)


def stopped(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """Trail, kind and reason of everything that is stopped for good. Health is red while there is any."""
    return [(row[0], row[1], row[2]) for row in snapshot.all(_STOPPED)]


def succeeded(tx: Tx, trail: str, kind: str, at: float) -> None:
    """Keeps that an attempt succeeded."""
    tx.run(_SUCCEEDED, trail=trail, kind=kind, at=at)


def failed(tx: Tx, trail: str, kind: str, at: float, error: str, stopped: str = "") -> None:
    """Keeps that an attempt failed, and why nothing of the trail is tried again if that is so."""
    tx.run(_FAILED, trail=trail, kind=kind, at=at, error=error, stopped=stopped)
