"""The schema is the sum of its migrations, and every statement is understood, on both databases."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Callable, Iterator

import pg8000.exceptions
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import opentrail
from opentrail.store.databases import NAMES, Name
from opentrail.store.migrate import METADATA, engine
from opentrail.store.sql import Sql
from opentrail.store.sqlite import SqliteDatabase
from tests.databases import Database, MakeDatabase

ONLY = {"opentrail.store.sqlite": "sqlite", "opentrail.store.postgres": "postgresql"}
"""Modules whose statements one database alone runs."""


def all_modules() -> Iterator[str]:
    """Every module of the package but the migrations, and but those of an extra that need not be installed and hold no SQL."""
    names = (found.name for found in pkgutil.walk_packages(opentrail.__path__, "opentrail."))
    return (name for name in names if ".migrations" not in name and ".engine.deep" not in name)


def statements() -> dict[str, Sql]:
    """Every statement that a module holds, alone or in a tuple, list or mapping, by its name."""
    found: dict[str, Sql] = {}
    for name in all_modules():
        for label, value in vars(importlib.import_module(name)).items():
            for number, one in enumerate(nested(value)):
                found[f"{name}.{label}[{number}]"] = one
    return {name: one for name, one in found.items() if name.startswith("opentrail.")}


def nested(value: object) -> Iterator[Sql]:
    """The statements in a value."""
    if isinstance(value, Sql):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from nested(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from nested(part)


def asks(database: Database) -> Callable[[Sql], str]:
    """A function that tells why the database does not understand a statement: nothing when it does."""
    if isinstance(database, SqliteDatabase):
        connection = sqlite3.connect(str(database.file))

        def explained(statement: Sql) -> str:
            try:
                connection.execute(f"EXPLAIN {statement.text}", dict.fromkeys(statement.names))
            except sqlite3.Error as error:
                return str(error)
            return ""

        return explained
    native = database.connect().native

    def prepared(statement: Sql) -> str:
        try:
            native.prepare(statement.text).close()
        except pg8000.exceptions.DatabaseError as error:
            return str(error.args[0].get("M"))
        return ""

    return prepared


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_the_sum_of_its_migrations(make_database: MakeDatabase, name: Name) -> None:
    for module in all_modules():
        if module.endswith(".tables"):
            importlib.import_module(module)
    with engine(make_database(name)).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": "schema_version"})
        assert METADATA[name].tables
        assert compare_metadata(context, METADATA[name]) == []


def test_every_statement_is_understood(make_database: MakeDatabase) -> None:
    databases = [make_database(name) for name in NAMES]
    kind = databases[0].dialect
    found = {name: one for name, one in statements().items() if ONLY.get(name.rpartition(".")[0], kind) == kind}
    assert len(found) > 100
    asked = [asks(database) for database in databases]
    troubles = {name: [ask(statement) for ask in asked] for name, statement in found.items()}
    assert {name: why for name, why in troubles.items() if all(why)} == {}


def test_a_wrong_statement_is_found(main_database: Database) -> None:
    ask = asks(main_database)
    assert ask(Sql("SELECT nothing FROM journal WHERE position = :position"))
    assert not ask(Sql("SELECT record FROM journal WHERE position = :position"))
