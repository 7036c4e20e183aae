"""The world around CloudTrail's operations, on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opentrail.store.migrate import migrate
from opentrail.store.postgres import PostgresDatabase
from opentrail.store.sqlite import SqliteDatabase
from tests.conftest import Database, kinds
from tests.unit.services.cloudtrail.world import World, create


@pytest.fixture(params=kinds())
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On each kind of database."""
    if request.param == "sqlite":
        yield from _world(SqliteDatabase(tmp_path / "main.db"), SqliteDatabase(tmp_path / "history.db"), tmp_path)
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgres")
        address = new()
        yield from _world(PostgresDatabase(address, "opentrail_main"), PostgresDatabase(address, "opentrail_history"), tmp_path)


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    """On SQLite only: for what does not depend on the database."""
    yield from _world(SqliteDatabase(tmp_path / "main.db"), SqliteDatabase(tmp_path / "history.db"), tmp_path)


def _world(main: Database, history: Database, folder: Path) -> Iterator[World]:
    for database in (main, history):
        database.writer()
    migrate(main, "main")
    create(main, history)
    yield World(main, history, folder)
    main.close()
    history.close()
