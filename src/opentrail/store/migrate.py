"""Brings a database's schema to this release: Alembic, from the first table on.

Runs in the process that starts the others, before they start, so that serving processes need not load SQLAlchemy.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from opentrail.store.databases import Name
from opentrail.store.postgres import PostgresDatabase, arguments
from opentrail.store.sqlite import SqliteDatabase
from opentrail.store.tables import DELIVERY, HISTORY, MAIN

METADATA = {"main": MAIN, "history": HISTORY, "delivery": DELIVERY}
_HERE = Path(__file__).parent / "migrations"


def engine(database: SqliteDatabase | PostgresDatabase) -> Engine:
    """SQLAlchemy's way to the same database. Values never appear in its errors."""
    if isinstance(database, SqliteDatabase):
        return create_engine(f"sqlite:///{database.file}", poolclass=NullPool, hide_parameters=True)
    return create_engine(
        "postgresql+pg8000://",
        connect_args={**arguments(database.address), "startup_params": {"search_path": database.schema}},
        poolclass=NullPool,
        hide_parameters=True,
    )


def migrate(database: SqliteDatabase | PostgresDatabase, name: Name) -> None:
    """Creates or upgrades the schema. Running it on an up-to-date database changes nothing."""
    with engine(database).begin() as connection:
        if isinstance(database, PostgresDatabase):
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"'))
        command.upgrade(config(connection, name), "head")


def config(connection: Connection, name: Name) -> Config:
    """Alembic's configuration for one of the databases."""
    found = Config()
    found.set_main_option("script_location", str(_HERE))
    found.set_main_option("version_locations", str(_HERE / name))
    found.set_main_option("path_separator", "newline")
    found.attributes["connection"] = connection
    found.attributes["metadata"] = METADATA[name]
    return found
