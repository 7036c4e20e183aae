"""Turns: the work role writes the main database between the lane's batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from opentrail.journal.append import Appender, Fresh
from opentrail.store.database import LONG_SLICE, SLICE, Broken, LaneTx
from opentrail.store.lane import Lane, Ticket
from opentrail.store.sql import Sql
from opentrail.store.sqlite import SqliteDatabase
from opentrail.store.turns import Turns, TurnServer
from tests.databases import Database

ADD = Sql("INSERT INTO state_epoch (id, epoch) VALUES (:id, 0)")
COUNT = Sql("SELECT COUNT(*) FROM state_epoch WHERE id > 1")


def borrowing(database: Database, file: Path) -> Turns:
    """The work role's side, with its own connection."""
    if isinstance(database, SqliteDatabase):
        return Turns(SqliteDatabase(database.file), file)
    return Turns(type(database)(database.address, database.schema), None)


@asynccontextmanager
async def lending(database: Database, folder: Path) -> AsyncIterator[tuple[Lane, Turns]]:
    """A lane that lends turns, and who borrows them."""
    lane = Lane(database.writer(), Appender().append)
    server = TurnServer(lane, folder / "turns.sock")
    await server.start()
    yield lane, borrowing(database, folder / "turns.sock")
    await server.stop()
    lane.stop()


def record(n: int) -> Ticket:
    return Ticket(None, [Fresh(1_700_000_000, "123456789012", "us-east-1", 0, b"%d" % n)], 10)


async def test_turns_and_calls_go_on_beside_each_other(main_database: Database, tmp_path: Path) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    server = TurnServer(lane, tmp_path / "turns.sock")
    await server.start()

    def work(first: int) -> None:
        turns = borrowing(main_database, tmp_path / "turns.sock")
        for n in range(50):
            with turns.write() as tx:
                tx.run(ADD, id=first + n)

    workers = [asyncio.to_thread(work, first) for first in (1000, 2000)]
    calls = [lane.submit(record(n)) for n in range(500)]
    await asyncio.gather(*workers, *calls)
    await server.stop()
    lane.stop()
    assert lane.changes == (100 if main_database.dialect == "sqlite" else 0)  # each turn is one, records are none; PostgreSQL has a lock
    with main_database.read() as view:
        assert view.one(COUNT) == (100,)


async def test_a_turn_waits_for_the_batch_and_the_batch_for_the_turn(main_database: Database, tmp_path: Path) -> None:
    if main_database.dialect != "sqlite":
        return
    order: list[str] = []
    held, go_on = threading.Event(), threading.Event()

    def slow(tx: LaneTx) -> Sequence[Fresh]:
        held.set()
        go_on.wait(10)
        order.append("batch")
        return []

    lane = Lane(main_database.writer(), Appender().append)
    server = TurnServer(lane, tmp_path / "turns.sock")
    await server.start()
    turns = borrowing(main_database, tmp_path / "turns.sock")

    def borrow() -> None:
        with turns.write() as tx:
            order.append("turn")
            tx.run(ADD, id=7)

    batch = lane.submit(Ticket(slow, (), 10))
    await asyncio.to_thread(held.wait, 10)
    borrowed = asyncio.create_task(asyncio.to_thread(borrow))
    await asyncio.sleep(0.1)
    assert order == []
    go_on.set()
    await asyncio.gather(batch, borrowed, lane.submit(record(1)))
    assert order == ["batch", "turn"]
    await server.stop()
    lane.stop()


async def test_a_borrower_that_raises_or_vanishes_gives_the_turn_back(main_database: Database, tmp_path: Path) -> None:
    if main_database.dialect != "sqlite":
        return
    async with lending(main_database, tmp_path) as (lane, turns):

        def fails() -> None:
            with turns.write() as tx:
                tx.run(ADD, id=8)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(fails)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "turns.sock")
        writer.write(b"?")
        assert await reader.read(1) == b"!"
        writer.close()
        await lane.submit(record(1))
        with main_database.read() as view:
            assert view.one(COUNT) == (0,)


def test_without_a_web_role_there_is_no_turn(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "main.db")
    turns = Turns(database, tmp_path / "turns.sock")
    with pytest.raises(Broken, match="no turn"), turns.write():
        pass
    database.close()


async def test_what_need_not_be_durable_at_once_waits_for_no_disk_and_the_next_does(main_database: Database, tmp_path: Path) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    server = TurnServer(lane, tmp_path / "turns.sock")
    await server.start()
    turns = borrowing(main_database, tmp_path / "turns.sock")
    sqlite = main_database.dialect == "sqlite"
    setting = Sql("PRAGMA synchronous" if sqlite else "SELECT current_setting('synchronous_commit')")
    now, later = ((2,), (1,)) if sqlite else (("on",), ("off",))

    def seen(number: int, durable: bool) -> object:
        with turns.write(durable) as tx:
            tx.run(ADD, id=number)
            return tx.one(setting)

    assert [await asyncio.to_thread(seen, 1000 + n, durable) for n, durable in enumerate((True, False, False, True))] == [
        now, later, later, now,
    ]  # fmt: skip
    await server.stop()
    lane.stop()
    with main_database.read() as view:
        assert view.one(COUNT) == (4,)


async def test_turns_are_long_while_calls_are_rare(main_database: Database, tmp_path: Path) -> None:
    """Some turns without a call that waits bring long ones, a few that wait end them."""
    if main_database.dialect != "sqlite":
        return
    async with lending(main_database, tmp_path) as (lane, turns):

        def lasts(count: int, call: bool) -> list[float]:
            found = []
            for _ in range(count):
                with turns.write() as tx:
                    found.append(tx.lasts)
                    if call:  # it waits while the turn is lent
                        asyncio.run_coroutine_threadsafe(submitted(), loop).result(10)
            return found

        async def submitted() -> None:
            waiting.append(lane.submit(record(len(waiting))))

        loop, waiting = asyncio.get_running_loop(), list[asyncio.Future[None]]()
        calm = await asyncio.to_thread(lasts, 40, False)
        busy = await asyncio.to_thread(lasts, 40, True)
        assert (calm[0], calm[-1], calm) == (SLICE, LONG_SLICE, sorted(calm))
        assert (busy[0], busy[-1], busy) == (LONG_SLICE, SLICE, sorted(busy, reverse=True))
        assert busy.count(LONG_SLICE) < 6 < calm.count(SLICE)
        await asyncio.gather(*waiting)
