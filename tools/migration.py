"""Maintainers: writes the migration that brings a database from its last migration to the declared tables.

python tools/migration.py main "What changes and why"
"""

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from alembic import command

import opentrail
from opentrail.store.databases import Name
from opentrail.store.migrate import config, engine, migrate
from opentrail.store.sqlite import SqliteDatabase


def load_tables() -> None:
    """Imports every module that declares tables."""
    for module in pkgutil.walk_packages(opentrail.__path__, "opentrail."):
        if module.name.rpartition(".")[2] == "tables":
            importlib.import_module(module.name)


def main(name: Name, message: str) -> None:
    load_tables()
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "new.db")
        database.writer()
        migrate(database, name)
        with engine(database).begin() as connection:
            command.revision(config(connection, name), message, autogenerate=True)


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
