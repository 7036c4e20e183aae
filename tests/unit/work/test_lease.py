"""Leases: one worker at a time, and one who lost it can write nothing, on each database."""

from __future__ import annotations

import pytest

from opentrail.store.sql import Sql
from opentrail.work import tables
from opentrail.work.lease import LENGTH, Lease, LeaseLost, holdings
from tests.databases import Database, MakeDatabase
from tests.unit.services.cloudtrail.deliveries import HandClock

assert tables
NOTE = Sql("INSERT INTO delivery_status (trail, kind, attempted, error, stopped) VALUES (:trail, 'log', 0, '', '')")
NOTES = Sql("SELECT trail FROM delivery_status ORDER BY trail")


@pytest.fixture
def own(make_database: MakeDatabase) -> Database:
    return make_database("delivery")


def test_one_holder_at_a_time_until_the_lease_ends(own: Database) -> None:
    clock = HandClock()
    one, other = Lease(own, "n", "one", clock), Lease(own, "n", "other", clock)
    assert one.acquire()
    assert not other.acquire()
    clock.time += LENGTH + 1
    assert other.acquire()


def test_who_lost_the_lease_writes_nothing(own: Database) -> None:
    clock = HandClock()
    one, other = Lease(own, "n", "one", clock), Lease(own, "n", "other", clock)
    assert one.acquire()
    clock.time += LENGTH + 1
    assert other.acquire()
    clock.time -= LENGTH + 1
    with pytest.raises(LeaseLost), one.write() as tx:
        tx.run(NOTE, trail="late")
    with other.write() as tx:
        tx.run(NOTE, trail="well")
        other.move(tx, 0, 7)
    with own.read() as snapshot:
        assert snapshot.all(NOTES) == [("well",)]
        assert [(held.name, held.position, held.holder) for held in holdings(snapshot)] == [("n", 7, "other")]


def test_a_position_moves_only_from_where_the_work_began(own: Database) -> None:
    lease = Lease(own, "n", "one", HandClock())
    assert lease.acquire()
    with lease.write() as tx:
        lease.move(tx, 0, 5)

    def again() -> None:
        with lease.write() as tx:
            tx.run(NOTE, trail="again")
            lease.move(tx, 0, 5)

    with pytest.raises(LeaseLost):
        again()
    with own.read() as snapshot:
        assert snapshot.all(NOTES) == []
    assert lease.position() == 5


def test_the_same_holder_takes_over_at_once_and_fences_its_former_self_out(own: Database) -> None:
    clock = HandClock()
    before, after = Lease(own, "n", "work", clock), Lease(own, "n", "work", clock)
    assert before.acquire()
    assert after.acquire()
    with pytest.raises(LeaseLost), before.write():
        pass


def test_an_idle_holder_renews_and_a_released_lease_is_free(own: Database) -> None:
    clock = HandClock()
    one, other = Lease(own, "n", "one", clock), Lease(own, "n", "other", clock)
    for _ in range(10):
        assert one.acquire()
        assert not other.acquire()
        clock.time += LENGTH / 2 + 1
    one.release()
    assert other.acquire()
