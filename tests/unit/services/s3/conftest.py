"""The server under test, on each kind of database."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.unit.services.s3.support import Server


@pytest.fixture
def s3(main_database: Database, tmp_path: Path) -> Server:
    """An empty server whose clock shows the machine's time, because the sweeper compares it with files' times."""
    return Server(main_database, tmp_path / "blobs", float(int(time.time())))


@pytest.fixture
def bucket(s3: Server) -> str:
    """An empty bucket."""
    s3.do("CreateBucket", Bucket="box")
    return "box"
