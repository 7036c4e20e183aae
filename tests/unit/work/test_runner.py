"""The runner: what fails waits and tries again, is seen in health, and stops cleanly; followers move with their output."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from opentrail.journal.read import Entry
from opentrail.kernel.errors import Content, ServiceError
from opentrail.store.database import Broken
from opentrail.store.sql import Sql, Tx
from opentrail.work.backoff import Backoff
from opentrail.work.follower import Follower, Following
from opentrail.work.lease import Lease
from opentrail.work.progress import progress
from opentrail.work.runner import Runner, Worker, attempt
from tests.unit.services.cloudtrail.deliveries import HandClock, World, on_sqlite

NOTE = Sql("INSERT INTO delivery_status (trail, kind, attempted, error, stopped) VALUES (:trail, 'log', 0, '', '')")
NOTES = Sql("SELECT trail FROM delivery_status ORDER BY trail")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return on_sqlite(tmp_path)


class Doing:
    """A task that does what it is told next."""

    name = "doing"
    every = 7.0

    def __init__(self, *turns: bool | Exception) -> None:
        self.turns = itertools.chain(turns, itertools.repeat(False))
        self.done = threading.Event()

    def step(self, lease: Lease) -> bool:
        turn = next(self.turns)
        if isinstance(turn, Exception):
            raise turn
        self.done.set()
        return turn


def worker(world: World, task: Doing) -> Worker:
    return Worker(task, world.own, "work", HandClock(), lambda: 0.0)


def test_waits_follow_what_the_step_says(world: World) -> None:
    working = worker(world, Doing(True, KeyError("secret"), KeyError("secret"), False))
    assert [working.once() for _ in range(4)] == [0.0, 0.25, 0.5, 7.0]
    assert working.health.failures == 0


def test_a_failure_is_seen_without_its_content(world: World, caplog: pytest.LogCaptureFixture) -> None:
    working = worker(world, Doing(ValueError("John Smith"), ServiceError("NoSuchKey", "no {key}", key=Content("John Smith"))))
    working.once()
    assert working.health.reason == "ValueError"
    working.once()
    assert (working.health.failures, working.health.ended) == (2, False)
    assert working.health.reason.startswith("NoSuchKey")
    assert "Smith" not in caplog.text + working.health.reason


def test_a_file_that_broke_while_writing_ends_the_task_until_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise Broken("SQLITE_IOERR_FSYNC")

    working = worker(world, Doing())
    monkeypatch.setattr(world.own.writer(), "commit", broken)
    assert working.once() == float("inf")
    assert working.health == ("doing", 0, "Broken: SQLITE_IOERR_FSYNC", True)


def test_a_database_that_cannot_be_read_for_a_while_is_tried_again(world: World) -> None:
    working = worker(world, Doing(Broken("SQLITE_CANTOPEN"), False))
    assert working.once() == 0.25
    assert working.once() == 7.0


def test_threads_start_and_stop(world: World) -> None:
    task = Doing(False)
    runner = Runner([worker(world, task)])
    runner.start()
    assert task.done.wait(10)
    assert runner.stop()
    assert runner.health()[0].reason == ""
    assert Lease(world.own, "doing", "another", HandClock()).acquire()


def test_a_follower_moves_with_its_output_or_not_at_all(world: World) -> None:
    fail = [True]

    def take(tx: Tx, entries: Sequence[Entry]) -> None:
        for entry in entries:
            tx.run(NOTE, trail=f"{entry.position:03}")
        if fail:
            fail.pop()
            raise KeyError

    following = Following(Follower("f", take, most_entries=4), world.main)
    lease = Lease(world.own, "f", "work", world.clock)
    assert lease.acquire()
    world.calls(10)
    with pytest.raises(KeyError):
        following.step(lease)
    assert lease.position() == 0
    assert [following.step(lease) for _ in range(4)] == [True, True, False, False]
    with world.own.read() as own, world.main.read() as main:
        assert own.all(NOTES) == [(f"{n:03}",) for n in range(1, 11)]
        assert progress(main, "f", own) == ("f", 10, 0)
        assert progress(main, "none", own).lag == 10


def test_batches_are_bounded_by_bytes(world: World) -> None:
    sizes: list[int] = []
    follower = Follower("f", lambda tx, entries: sizes.append(len(entries)), most_bytes=1)
    lease = Lease(world.own, "f", "work", world.clock)
    assert lease.acquire()
    world.calls(1_200)
    while Following(follower, world.main).step(lease):
        pass
    assert sizes == [1_000, 200]


def test_one_item_fails_and_the_others_go_on_but_the_database_stops_all() -> None:
    def fails(error: Exception) -> None:
        raise error

    assert isinstance(attempt(lambda: fails(KeyError("x"))), KeyError)
    assert attempt(lambda: None) is None
    with pytest.raises(Broken):
        attempt(lambda: fails(Broken("x")))


def test_backoff_grows_to_its_limit_within_its_jitter() -> None:
    low, high = Backoff(lambda: 0.0, 1.0, 60.0), Backoff(lambda: 0.999999, 1.0, 60.0)
    assert [low.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [round(high.next()) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    low.reset()
    assert low.next() == 0.5
    high.failures = 10_000
    assert high.next() <= 60
