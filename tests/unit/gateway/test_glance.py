"""Short reads on the event loop: they show every answered call's writes, and ask for settled rows once an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from opentrail.gateway.state import Cached, Glance
from opentrail.store.sql import Snapshot, Sql
from opentrail.store.sqlite import SqliteDatabase

ADD = Sql("INSERT INTO thing (name) VALUES (:name)")
COUNT = Sql("SELECT COUNT(*) FROM thing")
SETTLED = Sql("SELECT COUNT(*) FROM thing", settled=True)


class World:
    """A table, and a lane that only counts."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database, self.lane = database, SimpleNamespace(changes=0, epoch=0)
        self.glance = Glance(database, self.lane, Cached())  # type: ignore[arg-type]  # only these two are read

    def commit(self, settled: bool = False) -> None:
        with self.database.write() as tx:
            tx.run(ADD, name="n")
        self.lane.changes += 1
        self.lane.epoch += settled


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = SqliteDatabase(tmp_path / "main.db")
    with database.write() as tx:
        tx.run(Sql("CREATE TABLE thing (name TEXT)"))
    yield World(database)
    database.close()


def test_every_commit_is_seen(world: World) -> None:
    for count in range(5):
        assert world.glance.one(COUNT) == (count,)
        assert world.glance.all(COUNT) == [(count,)]
        world.commit()


def test_settled_rows_are_asked_for_once_an_epoch(world: World) -> None:
    assert world.glance.one(SETTLED) == (0,)
    world.commit()
    assert world.glance.one(SETTLED) == (0,)
    world.commit(settled=True)
    assert world.glance.one(SETTLED) == (2,)


def test_what_is_made_of_settled_rows_is_kept_for_an_epoch(world: World) -> None:
    made: list[int] = []

    def make(view: Snapshot) -> str:
        row = view.one(SETTLED)
        assert row is not None
        made.append(row[0])
        return f"{row[0]} things"

    assert [world.glance.settled("key", make) for _ in range(3)] == ["0 things"] * 3
    assert world.glance.settled("another key", make) == "0 things"
    world.commit(settled=True)
    assert [world.glance.settled("key", make) for _ in range(3)] == ["1 things"] * 3
    assert made == [0, 0, 1]


def test_what_is_kept_is_made_of_settled_rows_alone(world: World) -> None:
    with pytest.raises(AssertionError, match="settled rows"):
        world.glance.settled("key", lambda view: view.one(COUNT))


def test_a_failure_is_not_kept(world: World) -> None:
    def fails(view: Snapshot) -> str:
        raise KeyError("not there")

    with pytest.raises(KeyError):
        world.glance.settled("key", fails)
    assert world.glance.settled("key", lambda view: "there now") == "there now"
