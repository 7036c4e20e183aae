"""Which databases there are, and where: files in the data folder, or schemas of one PostgreSQL database."""

from __future__ import annotations

from typing import Literal

from opentrail.kernel.settings import Settings
from opentrail.store.postgres import PostgresDatabase
from opentrail.store.sqlite import SqliteDatabase

Name = Literal["main", "history", "delivery"]
NAMES: tuple[Name, ...] = ("main", "history", "delivery")


def open_database(settings: Settings, name: Name, writable: bool) -> SqliteDatabase | PostgresDatabase:
    """One database, for its one writing process (`writable`) or for reading."""
    if settings.database:
        return PostgresDatabase(settings.database, f"opentrail_{name}")
    return SqliteDatabase(settings.folder / f"{name}.db", writable)
