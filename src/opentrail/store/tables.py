"""The databases' schemas. Each part declares its own tables (in its `tables.py`) on the metadata of the database they lie in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, SmallInteger, Table

_NAMES = {"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}

MAIN = MetaData(naming_convention=_NAMES)
"""State of services, identity and the journal: written by the lane alone."""

HISTORY = MetaData(naming_convention=_NAMES)
"""The index of Event history: written by its follower alone."""

DELIVERY = MetaData(naming_convention=_NAMES)
"""Plans and outcomes of log files and digests: written by the delivery followers alone."""

state_epoch = Table(
    "state_epoch",
    MAIN,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)
"""One row: how often rights changed. On PostgreSQL every web process reads it with a call's first statement."""
