"""The lane and the journal keep their promises on each database: durable before released, dense, undone when refused."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence

import pg8000.native
import pytest

from opentrail.journal.append import EMPTY, Appender, Fresh, Later, extend
from opentrail.journal.read import after, head
from opentrail.kernel.errors import Unavailable
from opentrail.store.database import Again, Away, Broken, LaneTx, Slow
from opentrail.store.lane import Lane, Ticket
from opentrail.store.postgres import PostgresDatabase, arguments
from opentrail.store.sql import Conflict, Sql, Tx
from opentrail.store.sqlite import SqliteDatabase
from tests.databases import Database

EPOCHS = Sql("INSERT INTO state_epoch (id, epoch) VALUES (:id, :value)")
EPOCH = Sql("SELECT epoch FROM state_epoch WHERE id = :id")
SETTLED = Sql("UPDATE state_epoch SET epoch = 0 WHERE id = 5", settled=True)


def fresh(text: str) -> Fresh:
    return Fresh(1_700_000_000, "123456789012", "us-east-1", 0, text.encode())


def written(text: str) -> Ticket:
    return Ticket(None, [fresh(text)], 100)


async def test_records_get_dense_positions_in_commit_order_and_a_running_hash(main_database: Database) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    await asyncio.gather(*(lane.submit(written(f"r{i}")) for i in range(300)))
    lane.stop()
    with main_database.read() as view:
        entries = after(view, 0, 1000)
        top = head(view)
    assert [entry.position for entry in entries] == list(range(1, 301))
    assert [entry.record for entry in entries] == [f"r{i}".encode() for i in range(300)]
    root = EMPTY
    for entry in entries:
        root = extend(root, entry.record)
    assert (top.position, top.root) == (300, root)


async def test_views_are_renewed_for_changes_and_not_for_records_alone(main_database: Database) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    await lane.submit(written("read"))
    assert lane.changes == 0
    await asyncio.gather(lane.submit(written("read")), lane.submit(Ticket(lambda tx: [fresh("changed")], (), 9)))
    assert lane.changes == 1
    await lane.submit(written("read"))
    assert lane.changes == 1
    lane.stop()


@pytest.mark.parametrize("together", [1, 2, 40])
async def test_calls_that_come_together_are_one_batch_also_after_lone_ones(main_database: Database, together: int) -> None:
    batches: list[int] = []
    lane = Lane(main_database.writer(), Appender().append, batches.append)
    for _ in range(3):
        await lane.submit(written("lone"))
    assert batches == [1, 2, 3]
    before = len(batches)
    for _ in range(3):
        await asyncio.gather(*(lane.submit(written("together")) for _ in range(together)))
    assert len(batches) - before <= 4  # the first that comes after a lone one is taken at once
    assert batches[-1] == 3 + 3 * together
    lane.stop()


async def test_a_call_that_undoes_leaves_only_its_record(main_database: Database) -> None:
    def fails(tx: LaneTx) -> Sequence[Fresh]:
        tx.run(EPOCHS, id=7, value=1)
        tx.with_position(Sql("UPDATE state_epoch SET epoch = :position WHERE id = 1"))
        tx.undo()
        return [fresh("refused")]

    lane = Lane(main_database.writer(), Appender().append)
    await lane.submit(Ticket(fails, (), 100))
    lane.stop()
    with main_database.read() as view:
        assert view.one(EPOCH, id=7) is None
        assert view.one(EPOCH, id=1) == (0,)
        assert [entry.record for entry in after(view, 0, 10)] == [b"refused"]


async def test_a_later_call_of_a_batch_sees_an_earlier_one_and_positions_are_filled(main_database: Database) -> None:
    seen: list[object] = []

    def first(tx: LaneTx) -> Sequence[Fresh]:
        tx.run(EPOCHS, id=5, value=0)
        tx.with_position(Sql("UPDATE state_epoch SET epoch = :position WHERE id = :id"), id=5)
        tx.run(SETTLED)
        return [fresh("first"), fresh("first, for another account")]

    def second(tx: LaneTx) -> Sequence[Fresh]:
        seen.append((tx.one(EPOCH, id=5), tx.epoch))
        return [fresh("second")]

    lane = Lane(main_database.writer(), Appender().append)
    await asyncio.gather(lane.submit(written("zero")), lane.submit(Ticket(first, (), 9)), lane.submit(Ticket(second, (), 9)))
    assert lane.epoch == 1
    lane.stop()
    assert seen == [((0,), 1)]
    with main_database.read() as view:
        assert view.one(EPOCH, id=5) == (2,)
        assert [entry.record for entry in after(view, 3, 10)] == [b"second"]


async def test_a_broken_key_is_a_conflict_and_the_batch_goes_on(main_database: Database) -> None:
    def twice(tx: LaneTx) -> Sequence[Fresh]:
        with pytest.raises(Conflict):
            tx.run(EPOCHS, id=1, value=0)
        tx.undo()
        return [fresh("conflict")]

    lane = Lane(main_database.writer(), Appender().append)
    await asyncio.gather(lane.submit(Ticket(twice, (), 9)), lane.submit(written("next")))
    lane.stop()
    with main_database.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"conflict", b"next"]


async def test_a_failed_commit_closes_the_lane(main_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = main_database.writer()

    def broken() -> None:
        raise Broken("SQLITE_IOERR_FSYNC")

    lane = Lane(writer, Appender().append)
    await lane.submit(written("kept"))
    monkeypatch.setattr(writer, "commit", broken)
    results = await asyncio.gather(*(lane.submit(written("lost")) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) and "unknown" in result.for_caller() for result in results)
    with pytest.raises(Unavailable, match="ServiceUnavailable"):
        lane.submit(written("later"))
    assert lane.failure == "SQLITE_IOERR_FSYNC"
    lane.stop()


async def test_a_fault_in_the_lane_leaves_nobody_waiting(main_database: Database) -> None:
    def bug(tx: LaneTx) -> Sequence[Fresh]:
        raise ZeroDivisionError

    lane = Lane(main_database.writer(), Appender().append)
    hooked: list[object] = []
    threading.excepthook, hook = hooked.append, threading.excepthook
    try:
        with pytest.raises(Unavailable):
            await lane.submit(Ticket(bug, (), 9))
    finally:
        lane.stop()
        threading.excepthook = hook
    assert lane.failure
    assert len(hooked) == 1


async def test_only_a_queued_ticket_is_given_up(main_database: Database) -> None:
    gate, entered = threading.Event(), threading.Event()

    def waits(tx: LaneTx) -> Sequence[Fresh]:
        entered.set()
        gate.wait(10)
        return [fresh("taken")]

    lane = Lane(main_database.writer(), Appender().append)
    done = lane.submit(Ticket(waits, (), 9))
    await asyncio.to_thread(entered.wait, 10)
    old, new = lane.submit(written("expired")), lane.submit(Ticket(None, [fresh("new")], 9, since=2.0))
    assert lane.expire(1.0) == 1
    gate.set()
    await asyncio.gather(done, new)
    with pytest.raises(Unavailable):
        await old
    lane.stop()
    with main_database.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"taken", b"new"]


async def test_a_full_queue_refuses_at_once(main_database: Database) -> None:
    gate = threading.Event()

    def waits(tx: LaneTx) -> Sequence[Fresh]:
        gate.wait(10)
        return [fresh("slow")]

    lane = Lane(main_database.writer(), Appender().append)
    first = lane.submit(Ticket(waits, (), 9))
    await asyncio.sleep(0.05)
    waiting = [lane.submit(written("x")) for _ in range(1024)]
    with pytest.raises(Unavailable):
        lane.submit(written("too many"))
    gate.set()
    await asyncio.gather(first, *waiting)
    lane.stop()


def test_two_writers_never_show_a_gap_to_a_follower(new_postgres_main: Database) -> None:
    """Delayed and rolled-back transactions on PostgreSQL: a follower sees 1..n, in order, without a hole."""
    total, seen, stop = 200, [], threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        database = type(new_postgres_main)(new_postgres_main.address, new_postgres_main.schema)
        writer, appender = database.writer(), Appender()
        for n in range(total):
            writer.begin(writes=False)
            appender.append(writer.tx, [([fresh(f"{seed}-{n}")], ())])
            stop.wait(chance.random() * 0.003)
            if chance.random() < 0.3:
                writer.rollback()
            else:
                writer.commit()
        database.close()

    def follow() -> None:
        position = 0
        while True:
            finished = stop.is_set()
            with new_postgres_main.read() as view:
                entries = after(view, position, 50)
            seen.extend(entry.position for entry in entries)
            position = seen[-1] if seen else 0
            if finished and not entries:
                return

    follower = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    for thread in [follower, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    follower.join()
    assert seen == list(range(1, len(seen) + 1))
    assert 200 < len(seen) < 400
    assert_whole(new_postgres_main)


def assert_whole(database: Database) -> int:
    """Positions are dense and the head has the running hash of what lies there. How many records there are."""
    with database.read() as view:
        entries, top = after(view, 0, 10_000), head(view)
    root = EMPTY
    for entry in entries:
        root = extend(root, entry.record)
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert (top.position, top.root) == (len(entries), root)
    return len(entries)


@pytest.mark.parametrize("seed", range(5))
def test_appenders_that_take_turns_and_batches_that_are_rolled_back_leave_one_whole_journal(main_database: Database, seed: int) -> None:
    """An appender may remember a head that was never committed, or that another one has moved since, even to the same position."""
    chance, writer, count = random.Random(seed), main_database.writer(), 0
    appenders = [Appender(), Appender()]
    for n in range(120):
        size = chance.choice((0, 1, 1, 1, 3))
        writer.begin(writes=False)
        newest = chance.choice(appenders).append(writer.tx, [([fresh(f"{n}/{i}")], ()) for i in range(size)])
        assert newest == count + size
        if chance.random() < 0.25:
            writer.rollback()
        else:
            writer.commit()
            count += size
    assert assert_whole(main_database) == count


async def test_a_call_waits_for_another_process_that_holds_what_it_needs(new_postgres_main: Database) -> None:
    """A data store that is deleted beside a large transaction of another process, which holds a row longer than a lock is waited for."""
    other = PostgresDatabase(new_postgres_main.address, new_postgres_main.schema)
    holds, release = threading.Event(), threading.Event()

    def hold() -> None:
        with other.write() as tx:
            tx.run(Sql("UPDATE state_epoch SET epoch = epoch WHERE id = 1"))
            holds.set()
            release.wait(30)

    def moves(tx: LaneTx) -> Sequence[Fresh]:
        tx.run(Sql("UPDATE state_epoch SET epoch = epoch + 1 WHERE id = 1"))
        tries.append(1)
        return [fresh("moved")]

    tries: list[int] = []
    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait(30)
    lane, lost = Lane(new_postgres_main.writer(), Appender().append), []
    commit = lane._commit

    def counted(batch: list[Ticket]) -> None:
        try:
            commit(batch)
        except Again:
            lost.append(1)
            if len(lost) == 4:
                release.set()
            raise

    lane._commit = counted  # type: ignore[method-assign]
    await lane.submit(Ticket(moves, (), 100))
    holder.join()
    lane.stop()
    other.close()
    assert (len(lost) >= 4, tries) == (True, [1])
    with new_postgres_main.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"moved"]


def test_sqlite_reads_never_write(tmp_path: object, main_database: Database) -> None:
    if main_database.dialect == "sqlite":
        with main_database.read() as view, pytest.raises(RuntimeError, match="readonly"):
            view.all(Sql("DELETE FROM journal_head"))
        assert sqlite3.connect(main_database.file).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    else:
        with main_database.read() as view, pytest.raises(RuntimeError, match="wrong statement"):
            view.all(Sql("DELETE FROM journal_head"))


async def test_nothing_is_queued_behind_a_failed_commit(main_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is not used again: after a failed sync its next COMMIT could report as written what is not."""
    writer = main_database.writer()
    lane = Lane(writer, Appender().append)
    await lane.submit(written("kept"))
    begun: list[bool] = []
    begin = writer.begin
    queued = threading.Event()

    def broken() -> None:
        queued.wait(10)
        raise Broken("SQLITE_IOERR_FSYNC")

    def counted(writes: bool) -> None:
        begun.append(writes)
        begin(writes)

    monkeypatch.setattr(writer, "commit", broken)
    monkeypatch.setattr(writer, "begin", counted)
    waiting = [lane.submit(written(f"r{i}")) for i in range(600)]  # more than two batches
    queued.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(begun) == 1
    lane.stop()


async def test_a_call_that_is_stopped_for_slowness_takes_no_other_with_it(main_database: Database) -> None:
    if not isinstance(main_database, SqliteDatabase):
        return  # PostgreSQL keeps the savepoint when it stops a statement
    writer = main_database.writer()
    writer.tx._limit = 0.05

    def slow(tx: LaneTx) -> Sequence[Fresh]:
        try:
            tx.run(
                Sql(
                    "INSERT INTO state_epoch (id, epoch)"
                    " WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 9000000) SELECT i, 0 FROM n"
                )
            )
        except Slow:
            tx.undo()
        return [fresh("slow")]

    def quick(tx: LaneTx) -> Sequence[Fresh]:
        tx.run(EPOCHS, id=9, value=1)
        return [fresh("quick")]

    lane = Lane(writer, Appender().append)
    results = await asyncio.gather(
        *(lane.submit(ticket) for ticket in (Ticket(quick, (), 9), Ticket(slow, (), 9), written("read"))), return_exceptions=True
    )
    lane.stop()
    assert [type(result) for result in results] == [type(None), Unavailable, type(None)]
    with main_database.read() as view:
        assert view.one(EPOCH, id=9) == (1,)
        assert [entry.record for entry in after(view, 0, 10)] == [b"quick", b"read"]


def ended(database: PostgresDatabase) -> None:
    """Ends every connection to the database, as a restart of the server would."""
    admin = pg8000.native.Connection(**arguments(database.address))
    admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    while admin.run("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"):
        time.sleep(0.01)
    admin.close()


async def test_a_connection_that_is_lost_between_batches_costs_nothing(new_postgres_main: PostgresDatabase) -> None:
    lane = Lane(new_postgres_main.writer(), Appender().append)
    with new_postgres_main.read() as view:
        assert head(view).position == 0
    await lane.submit(written("before"))
    ended(new_postgres_main)
    await lane.submit(written("after"))
    ended(new_postgres_main)
    with new_postgres_main.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"before", b"after"]
    lane.stop()
    assert lane.failure == ""


async def test_a_batch_whose_connection_is_lost_did_not_happen(new_postgres_main: PostgresDatabase) -> None:
    def cut(tx: LaneTx) -> Sequence[Fresh]:
        tx.run(EPOCHS, id=7, value=1)
        ended(new_postgres_main)
        tx.run(EPOCHS, id=8, value=1)
        raise AssertionError("the connection was ended")

    lane = Lane(new_postgres_main.writer(), Appender().append)
    with pytest.raises(Unavailable) as refused:
        await lane.submit(Ticket(cut, (), 9))
    assert "nothing of it happened" in refused.value.for_caller()
    await lane.submit(written("after"))
    lane.stop()
    with new_postgres_main.read() as view:
        assert (view.one(EPOCH, id=7), view.one(EPOCH, id=8)) == (None, None)
        assert [entry.record for entry in after(view, 0, 10)] == [b"after"]


async def test_a_commit_whose_connection_is_lost_is_unknown_and_the_lane_goes_on(new_postgres_main: PostgresDatabase) -> None:
    appender = Appender()

    def append(tx: Tx, calls: Iterable[tuple[Sequence[Fresh], Later]]) -> int:
        batch = list(calls)
        position = appender.append(tx, batch)
        if batch[0][0][0].record == b"lost":
            ended(new_postgres_main)
        return position

    lane = Lane(new_postgres_main.writer(), append)
    await lane.submit(written("before"))
    was = lane.changes, lane.epoch
    with pytest.raises(Unavailable) as refused:
        await lane.submit(written("lost"))
    assert "outcome of this call is unknown" in refused.value.for_caller()
    assert lane.changes > was[0]
    assert lane.epoch > was[1]
    await lane.submit(written("after"))
    lane.stop()
    with new_postgres_main.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"before", b"after"]
        assert head(view).position == 2


def test_a_view_that_loses_its_connection_says_so_and_the_next_one_serves(new_postgres_main: PostgresDatabase) -> None:
    with new_postgres_main.read() as view:
        ended(new_postgres_main)
        with pytest.raises(Away):
            head(view)
    with new_postgres_main.read() as view:
        assert head(view).position == 0
