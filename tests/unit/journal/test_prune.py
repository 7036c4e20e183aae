"""Pruning takes the oldest records and nothing else, and what is left verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentrail.journal.append import EMPTY, Appender, Fresh, extend
from opentrail.journal.prune import prune
from opentrail.journal.read import after, head
from opentrail.journal.verify import verify
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import on_sqlite

TIMES = (100, 110, 105, 120, 130, 140)


@pytest.fixture
def journal(main_database: Database) -> Database:
    with main_database.write() as tx:
        Appender().append(tx, [([Fresh(time, "123456789012", "us-east-1", 0, f"r{time}".encode()) for time in TIMES], ())])
    return main_database


def kept(database: Database) -> list[int]:
    with database.read() as view:
        return [entry.position for entry in after(view, 0, 100)]


@pytest.mark.parametrize(
    ("upto", "before", "most", "gone"),
    [
        (6, 115, 500, 3),
        (2, 115, 500, 2),
        (6, 106, 500, 1),  # the second is younger: what follows it stays too
        (6, 115, 2, 2),
        (0, 115, 500, 0),
        (6, 100, 500, 0),
        (6, 1000, 500, 6),
    ],
)
def test_the_oldest_go(journal: Database, upto: int, before: int, most: int, gone: int) -> None:
    with journal.write() as tx:
        assert prune(tx, upto, before, most) == gone
    assert kept(journal) == list(range(gone + 1, 7))
    root = EMPTY
    for time in TIMES[:gone]:
        root = extend(root, f"r{time}".encode())
    with journal.read() as view:
        assert (head(view).first, head(view).first_root, head(view).position) == (gone + 1, root, 6)


def test_what_is_left_verifies_and_grows_on(tmp_path: Path) -> None:
    world = on_sqlite(tmp_path)
    world.calls(10)
    with world.main.write() as tx:
        assert prune(tx, 4, 2**40) == 4
    world.calls(3)
    with world.main.read() as view:
        verdict = verify(view)
    assert (verdict.records, verdict.position, verdict.why) == (9, 13, "")


def test_a_journal_without_records_goes_on(journal: Database) -> None:
    with journal.write() as tx:
        assert prune(tx, 6, 1000) == 6
    with journal.write() as tx:
        assert Appender().append(tx, [([Fresh(200, "123456789012", "us-east-1", 0, b"next")], ())]) == 7
    assert kept(journal) == [7]
