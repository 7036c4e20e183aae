"""The journal's tables in the main database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, String, Table

from opentrail.store.tables import MAIN

journal = Table(
    "journal",
    MAIN,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("category", SmallInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
)
"""One row a record. `time` is eventTime in whole seconds since 1970, `account` the recipient account, `category` 0 for a
management and 1 for a data event, `record` the UTF-8 JSON exactly as it is delivered."""

journal_head = Table(
    "journal_head",
    MAIN,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("first_root", LargeBinary, nullable=False),
)
"""One row: the newest position and the running hash up to it; the oldest position kept and the running hash before it."""

disclosure = Table(
    "disclosure",
    MAIN,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("items", LargeBinary, nullable=False),
)
"""The lists that are too long for their records, whole: the record's position, the list's name in its additionalEventData, and
the list's text (UTF-8, every item followed by a line feed) cut into parts, numbered from 0."""
