"""Brings a database's schema to this release: Alembic, from the first table on.

Runs in the process that starts the others, before they start, so that serving processes need not load SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from opentrail.store.database import Broken
from opentrail.store.databases import Name
from opentrail.store.postgres import PostgresDatabase, arguments
from opentrail.store.sqlite import SqliteDatabase
from opentrail.store.sqlite_errors import reason
from opentrail.store.tables import DELIVERY, HISTORY, MAIN

METADATA = {"main": MAIN, "history": HISTORY, "delivery": DELIVERY}
_HERE = Path(__file__).parent / "migrations"


def engine(database: SqliteDatabase | PostgresDatabase) -> Engine:
    """SQLAlchemy's way to the same database. Values never appear in its errors."""
    if isinstance(database, SqliteDatabase):
        return _in_transactions(create_engine(f"sqlite:///{database.file}", poolclass=NullPool, hide_parameters=True))
    return create_engine(
        "postgresql+pg8000://",
        connect_args={**arguments(database.address), "startup_params": {"search_path": database.schema}},
        poolclass=NullPool,
        hide_parameters=True,
    )


def _in_transactions(engine: Engine) -> Engine:
    """Python's driver commits before every statement that changes a schema, unless transactions are left to us."""

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def migrate(database: SqliteDatabase | PostgresDatabase, name: Name) -> None:
    """Creates or upgrades the schema, whole or not at all. Running it on an up-to-date database changes nothing. Raises Broken."""
    try:
        with engine(database).begin() as connection:
            if isinstance(database, PostgresDatabase):
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"'))
            command.upgrade(config(connection, name), "head")
    except DBAPIError as error:
        why = reason(error.orig) if isinstance(error.orig, sqlite3.Error) else type(error.orig).__name__
        raise Broken(f"the {name} database cannot be brought to this release: {why}") from error


def config(connection: Connection, name: Name) -> Config:
    """Alembic's configuration for one of the databases."""
    found = Config()
    found.set_main_option("script_location", str(_HERE))
    found.set_main_option("version_locations", str(_HERE / name))
    found.set_main_option("path_separator", "newline")
    found.attributes["connection"] = connection
    found.attributes["metadata"] = METADATA[name]
    return found
