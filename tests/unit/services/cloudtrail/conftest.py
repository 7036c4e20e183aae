"""The world around CloudTrail's operations, on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from opentrail.store.migrate import migrate
from opentrail.store.postgres import PostgresDatabase
from opentrail.store.sqlite import SqliteDatabase
from tests.conftest import Database, kinds
from tests.unit.services.cloudtrail.world import World, create

NAMES = ("main", "history", "delivery")


@pytest.fixture(params=kinds())
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On each kind of database."""
    if request.param == "sqlite":
        yield from _world([SqliteDatabase(tmp_path / f"{name}.db") for name in NAMES], tmp_path)
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgres")
        address = new()
        yield from _world([PostgresDatabase(address, f"opentrail_{name}") for name in NAMES], tmp_path)


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    """On SQLite only: for what does not depend on the database."""
    yield from _world([SqliteDatabase(tmp_path / f"{name}.db") for name in NAMES], tmp_path)


def _world(databases: Sequence[Database], folder: Path) -> Iterator[World]:
    main, history, delivery = databases
    for database in databases:
        database.writer()
    migrate(main, "main")
    create(main, history, delivery)
    yield World(main, history, delivery, folder)
    for database in databases:
        database.close()
