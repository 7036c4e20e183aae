"""Statements over digests and the files that they cover."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.kernel import arn
from opentrail.services.cloudtrail.delivery.files import prefix_of
from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.digests.chains import Chain
from opentrail.store.sql import Snapshot, Sql, Tx


class DigestRow(NamedTuple):
    """A row of `digest`; see `delivery.tables`."""

    trail: str
    region: str
    end_time: int
    on_position: int
    bucket: str
    object_key: str
    body: bytes
    signature: str
    planned: float
    delivered: float | None = None


_COLUMNS = ", ".join(DigestRow._fields)
_FILE = ", ".join(LogFile._fields)
_INSERT = Sql(f"INSERT INTO digest ({_COLUMNS}) VALUES ({', '.join(':' + name for name in DigestRow._fields)})")
_LATEST = Sql(f"SELECT {_COLUMNS} FROM digest WHERE trail = :trail AND region = :region ORDER BY end_time DESC LIMIT 1")
_GET = Sql(f"SELECT {_COLUMNS} FROM digest WHERE trail = :trail AND region = :region AND end_time = :end_time")
_OF_TRAIL = Sql(f"SELECT {_COLUMNS} FROM digest WHERE trail = :trail ORDER BY region, end_time")
_LOG_PLACES = Sql("SELECT DISTINCT bucket, prefix FROM log_file WHERE trail = :trail")
_DIGEST_KEYS = Sql("SELECT bucket, object_key FROM digest WHERE trail = :trail")
_UNCOVERED = (
    " FROM log_file WHERE digest_end IS NULL AND trail = :trail AND region = :region"
    " AND last_position >= :on_position AND first_position < :off_position"
)
_FILES = Sql(f"SELECT {_FILE}{_UNCOVERED} AND delivered < :end_time ORDER BY first_position, object_key")
_LATER = Sql(f"SELECT COUNT(*){_UNCOVERED} AND (delivered IS NULL OR delivered >= :end_time)")
_COVER = Sql("UPDATE log_file SET digest_end = :end_time WHERE object_key = :object_key")
_WAITING_TRAILS = Sql("SELECT DISTINCT trail FROM digest WHERE delivered IS NULL ORDER BY trail")
_WAITING = Sql("SELECT region, end_time FROM digest WHERE delivered IS NULL AND trail = :trail ORDER BY end_time, region LIMIT :count")
_DONE = Sql("UPDATE digest SET delivered = :at WHERE trail = :trail AND region = :region AND end_time = :end_time AND delivered IS NULL")


def _row(row: tuple[object, ...]) -> DigestRow:
    made = DigestRow(*row)  # type: ignore[arg-type]
    return made._replace(body=bytes(made.body))


def latest(snapshot: Snapshot, chain: Chain) -> DigestRow | None:
    """The newest digest of the chain's trail and region, of whatever chain."""
    row = snapshot.one(_LATEST, trail=chain.trail, region=chain.region)
    return None if row is None else _row(row)


def files(snapshot: Snapshot, chain: Chain, end: int) -> list[LogFile]:
    """The chain's files that were delivered before `end` and that no digest covers."""
    return [LogFile(*row) for row in snapshot.all(_FILES, **_which(chain), end_time=end)]


def later(snapshot: Snapshot, chain: Chain, end: int) -> int:
    """How many of the chain's files are not delivered, or not before `end`."""
    row = snapshot.one(_LATER, **_which(chain), end_time=end)
    assert row is not None, "a count has a row"
    return int(row[0])


def _which(chain: Chain) -> dict[str, str | int]:
    return {
        "trail": chain.trail,
        "region": chain.region,
        "on_position": chain.on_position,
        "off_position": chain.off_position,
    }


def plan(tx: Tx, row: DigestRow, covered: list[LogFile]) -> None:
    """Keeps a planned digest, and that it covers these files."""
    tx.run(_INSERT, **row._asdict())
    for file in covered:
        tx.run(_COVER, end_time=row.end_time, object_key=file.object_key)


def waiting_trails(snapshot: Snapshot) -> list[str]:
    """The trails with digests that are planned and not delivered."""
    return [row[0] for row in snapshot.all(_WAITING_TRAILS)]


def waiting(snapshot: Snapshot, trail: str, count: int) -> list[tuple[str, int]]:
    """Region and end of the trail's next digests, oldest first."""
    return [(row[0], row[1]) for row in snapshot.all(_WAITING, trail=trail, count=count)]


def get(snapshot: Snapshot, trail: str, region: str, end: int) -> DigestRow:
    """One planned digest."""
    row = snapshot.one(_GET, trail=trail, region=region, end_time=end)
    assert row is not None, "planned digests are never removed"
    return _row(row)


def of_trail(snapshot: Snapshot, trail: str) -> list[DigestRow]:
    """Every digest ever planned for the trail, by region and time."""
    return [_row(row) for row in snapshot.all(_OF_TRAIL, trail=trail)]


def places(snapshot: Snapshot, trail: str) -> list[tuple[str, str]]:
    """Bucket and prefix of every place to which a log file or digest of the trail was ever planned."""
    named = arn.parse(trail)
    assert named is not None, "trails are named by their ARN"
    found = {(row[0], row[1]) for row in snapshot.all(_LOG_PLACES, trail=trail)}
    found |= {(row[0], prefix_of(row[1], named.account) or "") for row in snapshot.all(_DIGEST_KEYS, trail=trail)}
    return sorted(found)


def done(tx: Tx, trail: str, region: str, end: int, at: float) -> None:
    """Marks a digest as delivered."""
    tx.run(_DONE, trail=trail, region=region, end_time=end, at=at)
