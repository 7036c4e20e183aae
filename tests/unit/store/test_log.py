"""The write-ahead log is copied into the file in small parts, begins anew, and does not grow without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.store import sqlite, sqlite_log
from opentrail.store.sql import Sql

ADD = Sql("INSERT INTO thing (name, value) VALUES (:name, :value)")
COUNT = Sql("SELECT COUNT(*) FROM thing")
BATCH = 60
"""Pages of one batch, and a few more for the index."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite.SqliteDatabase]:
    opened = sqlite.SqliteDatabase(tmp_path / "main.db")
    with opened.write() as tx:
        tx.run(Sql("CREATE TABLE thing (name TEXT PRIMARY KEY, value TEXT)"))
    yield opened
    opened.close()


def write(database: sqlite.SqliteDatabase, batches: int, first: int = 0) -> list[int]:
    """Writes and keeps house as the lane does; the log file's size after each batch."""
    writer, sizes = database.writer(), []
    for batch in range(first, first + batches):
        writer.begin(writes=True)
        tx = writer.enter()
        for row in range(BATCH):
            tx.run(ADD, name=f"{batch}/{row}", value="v" * 3_000)
        writer.leave()
        writer.commit()
        writer.idle()
        sizes.append((database.file.parent / "main.db-wal").stat().st_size)
    return sizes


def test_the_log_is_copied_in_small_parts_and_used_again(database: sqlite.SqliteDatabase) -> None:
    sizes = write(database, 100)
    assert max(sizes) < (sqlite_log._COPY_EVERY + 3 * BATCH) * (sqlite._PAGE + 24)
    assert database.file.stat().st_size > 100 * BATCH * 3_000 - max(sizes)


def test_a_reader_lengthens_the_log_only_while_it_reads(database: sqlite.SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "_TRUNCATE_AT", 8 * 1024 * 1024)
    monkeypatch.setattr(sqlite_log, "_PATIENCE_MS", 1)
    write(database, 10)
    with database.read() as view:
        before = view.one(COUNT)
        held = write(database, 100, first=10)
        assert view.one(COUNT) == before == (10 * BATCH,)
    assert held[-1] > 100 * BATCH * 3_000
    after = write(database, 40, first=110)
    assert after[-1] < 8 * 1024 * 1024
    with database.read() as view:
        assert view.one(COUNT) == (150 * BATCH,)


def test_the_view_that_is_kept_for_short_reads_does_not_lengthen_the_log(database: sqlite.SqliteDatabase) -> None:
    """As the event loop uses it under load: every commit finds it open, and it is opened anew after every commit."""
    sizes = []
    for batch in range(100):
        assert database.kept.one(batch, COUNT, {}) == (batch * BATCH,)
        sizes += write(database, 1, first=batch)
    assert max(sizes) < (sqlite_log._COPY_EVERY + 3 * BATCH) * (sqlite._PAGE + 24)


def test_nothing_is_copied_while_little_was_written(database: sqlite.SqliteDatabase) -> None:
    size = database.file.stat().st_size
    write(database, 3)
    assert database.file.stat().st_size == size
