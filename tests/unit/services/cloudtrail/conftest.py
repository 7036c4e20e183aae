"""The world around CloudTrail's operations, on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from opentrail.store.databases import NAMES
from tests import databases
from tests.conftest import kinds
from tests.databases import Database
from tests.unit.services.cloudtrail.world import World


@pytest.fixture(params=kinds())
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On each kind of database."""
    if request.param == "sqlite":
        yield from _world([databases.on_sqlite(tmp_path, name) for name in NAMES], tmp_path)
    else:
        new: Callable[[], str] = request.getfixturevalue("new_migrated_postgres")
        address = new()
        yield from _world([databases.on_postgres(address, name) for name in NAMES], tmp_path)


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    """On SQLite only: for what does not depend on the database."""
    yield from _world([databases.on_sqlite(tmp_path, name) for name in NAMES], tmp_path)


def _world(opened: Sequence[Database], folder: Path) -> Iterator[World]:
    main, history, delivery = opened
    yield World(main, history, delivery, folder)
    for database in opened:
        database.close()
