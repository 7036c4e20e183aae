"""The tables of Event history's index. See `segments` for what they hold."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Table

from opentrail.store.tables import HISTORY

_BIG = BigInteger().with_variant(Integer, "sqlite")

history_head = Table(
    "history_head",
    HISTORY,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row: the position up to which the journal is in the index. None before the first record."""

history_segment = Table(
    "history_segment",
    HISTORY,
    Column("id", _BIG, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("oldest", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("places", LargeBinary, nullable=False),
    Index("ix_history_segment_newest", "newest"),
)
"""One row a segment: the management records of a range of positions. `id` is the range's first position and `last` its last,
`oldest` and `newest` the least and greatest eventTime, `size` the number of records, `places` when and where each one is."""

history_posting = Table(
    "history_posting",
    HISTORY,
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("postings", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Which of a segment's records have which terms, as `segments.rows` says. Clustered by segment: writing only ever appends."""
