"""Log files, the spans of time that digests cover, digests, and what became of the attempts to put them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, SmallInteger, String, Table, text

from opentrail.services.cloudtrail.tables import signing_key
from opentrail.store.tables import DELIVERY


def _open_rows(name: str, open_column: Column[Any], *columns: Column[Any]) -> Index:
    """An index of the rows in which a column is still NULL."""
    where = text(f"{open_column.name} IS NULL")
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


log_file = Table(
    "log_file",
    DELIVERY,
    Column("object_key", String, primary_key=True),
    Column("trail", String, nullable=False),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("bucket", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("stamp", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("records", Integer, nullable=False),
    Column("oldest", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("planned", Float, nullable=False),
    Column("delivered", Float),
    Column("digest_end", BigInteger),
)
"""One row a log file, never removed. It holds the records of `account` and `region` from `first_position` to
`last_position` that the trail, as it was for each record, put into this bucket under this prefix. `sha256` and
`size` are of the uncompressed bytes; `oldest` and `newest` event times, `stamp` the time in the name; `digest_end` names the
digest (of the trail and region) that covers the file, NULL while none does."""

_open_rows("ix_log_file_waiting", log_file.c.delivered, log_file.c.trail, log_file.c.first_position)
_open_rows("ix_log_file_uncovered", log_file.c.digest_end, log_file.c.trail, log_file.c.region, log_file.c.last_position)

digest_chain = Table(
    "digest_chain",
    DELIVERY,
    Column("trail", String, primary_key=True),
    Column("region", String, primary_key=True),
    Column("on_position", BigInteger, primary_key=True, autoincrement=False),
    Column("on_time", BigInteger, nullable=False),
    Column("off_position", BigInteger, nullable=False),
    Column("bucket", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("closed", SmallInteger, nullable=False),
)
"""One row for each time that a trail logs with file validation, in each region in which it then has records (the home
region from the start). It begins at `on_position`, at `on_time` seconds since 1970, and ends before `off_position` (2^62:
still on), the position after the record of the call that ended it. `closed` once its final digest is planned. Bucket and prefix
are where its next digest goes."""

digest = Table(
    "digest",
    DELIVERY,
    Column("trail", String, primary_key=True),
    Column("region", String, primary_key=True),
    Column("end_time", BigInteger, primary_key=True, autoincrement=False),
    Column("on_position", BigInteger, nullable=False),
    Column("bucket", String, nullable=False),
    Column("object_key", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signature", String, nullable=False),
    Column("planned", Float, nullable=False),
    Column("delivered", Float),
)
"""One row a digest, never removed. `body` is the uncompressed document, `signature` its signature in hexadecimal;
`on_position` names the chain."""

_open_rows("ix_digest_waiting", digest.c.delivered, digest.c.trail, digest.c.region, digest.c.end_time)

delivery_status = Table(
    "delivery_status",
    DELIVERY,
    Column("trail", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("attempted", Float, nullable=False),
    Column("succeeded", Float),
    Column("error", String, nullable=False),
    Column("stopped", String, nullable=False),
)
"""The latest attempt for each trail and kind (`log` or `digest`): when, the last success, the error code if it failed, and
why the trail is stopped for good, empty while it is not."""

own_signing_key = Table(
    "signing_key",
    DELIVERY,
    *(Column(column.name, column.type, primary_key=column.primary_key, nullable=False) for column in signing_key.columns),
)
"""The keys that the followers' process made by itself, as those of the main database."""
