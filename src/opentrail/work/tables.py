"""The one table of this part, in every database that followers own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, MetaData, String, Table

from opentrail.store.tables import DELIVERY, HISTORY


def _follower(metadata: MetaData) -> Table:
    return Table(
        "follower",
        metadata,
        Column("name", String, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("holder", String, nullable=False),
        Column("held_until", Float, nullable=False),
    )


history_follower = _follower(HISTORY)
delivery_follower = _follower(DELIVERY)
"""One row a task. `position` is the newest journal position it has taken (0 for work that follows no journal), `fence` grows
with every lease, `holder` has the lease until `held_until` (seconds since 1970)."""
