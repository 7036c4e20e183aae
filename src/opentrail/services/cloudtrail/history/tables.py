"""The tables of Event history's index. See `segments` for what they hold."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from opentrail.store.tables import HISTORY

_BIG = BigInteger().with_variant(Integer, "sqlite")

history_segment = Table(
    "history_segment",
    HISTORY,
    Column("id", _BIG, primary_key=True, autoincrement=False),
    Column("oldest", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Index("ix_history_segment_newest", "newest"),
)
"""One row a segment: the management records of a range of positions. `id` is the first of them, `oldest` and `newest` the least
and greatest eventTime, `size` the number of records, `weight` what counts against the largest segment."""

history_row = Table(
    "history_row",
    HISTORY,
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("stored", LargeBinary, nullable=False),
)
"""What a segment holds, as `segments` says. With a rowid in SQLite: without one its rows, large as they
are, would lie in the inner pages of the tree, which then had ten levels."""
