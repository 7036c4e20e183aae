"""The server under test, on each kind of database; the databases are made once and emptied for each test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from opentrail.store.migrate import engine
from tests import databases
from tests.conftest import kinds
from tests.databases import Database
from tests.unit.services.s3.support import TABLES, Server


@pytest.fixture(scope="session", params=kinds())
def s3_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A migrated main database with the tables of S3."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("new_migrated_postgres")()
        database: Database = databases.on_postgres(address, "main")
    else:
        database = databases.on_sqlite(tmp_path_factory.mktemp("s3"), "main")
    yield database
    database.close()


@pytest.fixture
def s3(s3_database: Database, tmp_path: Path) -> Server:
    """An empty server whose clock shows the machine's time, because the sweeper compares it with files' times."""
    with engine(s3_database).begin() as connection:
        for table in reversed(TABLES):
            connection.execute(delete(table))
    return Server(s3_database, tmp_path / "blobs", float(int(time.time())))


@pytest.fixture
def bucket(s3: Server) -> str:
    """An empty bucket."""
    s3.do("CreateBucket", Bucket="box")
    return "box"
