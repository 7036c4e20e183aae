"""What the web process does besides serving, with a real lane and no server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from opentrail import upkeep
from opentrail.gateway.spool import Spool
from opentrail.journal.append import Appender, Fresh
from opentrail.journal.read import after, head
from opentrail.kernel.ambient import SystemIds
from opentrail.kernel.settings import Settings
from opentrail.services.s3 import blobs, store
from opentrail.store.lane import Lane, Ticket
from opentrail.store.sql import Sql
from tests.databases import Database

DAY = 86_400
NOW = 100 * DAY


def gateway_of(lane: Lane, database: Database, folder: Path) -> Any:
    """The parts of a gateway that upkeep uses."""

    async def run(work: Any) -> Any:
        return work()

    clock = SimpleNamespace(now=lambda: float(NOW))
    tools = SimpleNamespace(settings=Settings(journal_days=30), clock=clock, blobs=folder, read=database.read)
    spool = Spool(folder / "spool", SystemIds())
    return SimpleNamespace(lane=lane, spool=spool, tools=tools, run=run, loop=lane._loop)


async def test_the_journal_is_pruned_as_far_as_everybody_is_done(main_database: Database, tmp_path: Path) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    times = [NOW - 40 * DAY] * 1_200 + [NOW - 5]
    for time in times:
        last = lane.submit(Ticket(None, [Fresh(time, "123456789012", "us-east-1", 0, b"record")], 6))
        if lane.waiting > 500:
            await last
    await last
    gateway = gateway_of(lane, main_database, tmp_path)
    assert await upkeep.prune_journal(gateway, lambda: 1_100) == 1_100
    assert await upkeep.prune_journal(gateway, lambda: 5_000) == 100
    lane.stop()
    with main_database.read() as view:
        assert [entry.position for entry in after(view, 0, 10)] == [1_201]
        assert (head(view).first, head(view).position) == (1_201, 1_201)


async def test_garbage_is_swept_through_the_lane_and_bodies_that_ended_processes_left(main_database: Database, tmp_path: Path) -> None:
    lane = Lane(main_database.writer(), Appender().append)
    id = "ab" * 16
    blobs.path(tmp_path, id).parent.mkdir()
    blobs.path(tmp_path, id).write_bytes(b"bytes")
    await upkeep.borrow(lane, lambda tx: tx.run(store.THROW_AWAY, blob=id, since=NOW - blobs.GARBAGE_SECONDS - 1))
    gateway = gateway_of(lane, main_database, tmp_path)
    gateway.spool.file().write_bytes(b"coming in")
    left = tmp_path / "spool" / "left"
    left.mkdir()
    (left / "body").write_bytes(b"patients' text")
    assert await upkeep.sweep(gateway) == 2
    lane.stop()
    assert [file.read_bytes() for file in tmp_path.rglob("spool/*/*")] == [b"coming in"]
    assert not blobs.path(tmp_path, id).exists()
    with main_database.read() as view:
        assert view.all(Sql("SELECT blob FROM s3_garbage")) == []
