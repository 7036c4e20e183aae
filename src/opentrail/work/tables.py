"""The tables of this part: who works on what, in every database that followers own; the jobs, in the main database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, LargeBinary, MetaData, SmallInteger, String, Table

from opentrail.store.tables import DELIVERY, HISTORY, MAIN


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

job = Table(
    "job",
    MAIN,
    Column("id", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("crashes", BigInteger, nullable=False),
    Column("stopping", SmallInteger, nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
    Index("ix_job_service_created_id", "service", "created", "id"),
)
"""One row a job that has not ended. `id` is unique in the installation, `crashes` counts the times that it ended without a result,
`stopping` is 1 once its end was asked for, `checkpoint` is its kind's own (empty at first)."""
