"""Migrated databases for tests, as copies: a migration takes half a second, a copy some milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from opentrail.store.databases import NAMES, Name
from opentrail.store.migrate import migrate
from opentrail.store.postgres import PostgresDatabase
from opentrail.store.sqlite import SqliteDatabase

Database = SqliteDatabase | PostgresDatabase
MakeDatabase = Callable[[Name], Database]


@cache
def _migrated(name: Name) -> bytes:
    """The file of a migrated database."""
    with TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "one.db")
        database.writer()
        migrate(database, name)
        database.close()
        return database.file.read_bytes()


def on_sqlite(folder: Path, name: Name) -> SqliteDatabase:
    """A migrated database in a folder, open for writing."""
    database = SqliteDatabase(folder / f"{name}.db")
    database.file.write_bytes(_migrated(name))
    database.writer()
    return database


def on_postgres(address: str, name: Name) -> PostgresDatabase:
    """One of the schemas at an address."""
    return PostgresDatabase(address, f"opentrail_{name}")


def migrate_all(address: str) -> None:
    """Makes the schemas at the address of an empty PostgreSQL database."""
    for name in NAMES:
        database = on_postgres(address, name)
        migrate(database, name)
        database.close()
