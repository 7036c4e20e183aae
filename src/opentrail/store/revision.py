"""Which revision a database's schema has, told without loading the tools that change it: they take longer than the rest of a start."""

from __future__ import annotations

from pathlib import Path

from opentrail.store.database import Database
from opentrail.store.databases import Name
from opentrail.store.sql import Sql

_HERE = Path(__file__).parent / "migrations"
_VERSION = Sql("SELECT version_num FROM schema_version")


def newest(name: Name) -> str:
    """The revision of this release: the number at the head of the newest migration's file name, which is its revision."""
    return max(file.name.partition("_")[0] for file in (_HERE / name).glob("[0-9]*.py"))


def is_current(database: Database, name: Name) -> bool:
    """Whether the schema is this release's. False for a database without a schema."""
    try:
        with database.read() as snapshot:
            return snapshot.one(_VERSION) == (newest(name),)
    except RuntimeError:  # the statement is wrong where the table is not there yet
        return False
