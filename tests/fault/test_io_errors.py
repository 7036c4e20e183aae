"""The disk fails under a COMMIT: calls are refused as unknown, nothing unrecorded is answered, a restart serves again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benchmarks.servers import Server, serving

from opentrail.journal.verify import verify
from tests.fault.judge import World, check_recorded
from tests.fault.load import Client, Load, Told, cloudtrail, user
from tests.fault.shim import Shim


@pytest.mark.parametrize(("fault", "reason"), [("sync-eio", "SQLITE_IOERR_FSYNC"), ("write-eio", "SQLITE_IOERR_WRITE")])
def test_a_failed_commit_closes_the_server_until_restart(tmp_path: Path, shim: Shim, fault: str, reason: str) -> None:
    with serving(tmp_path / "data", environment=shim.environment) as server:
        world = prepared(server)
        load = Load(server.url, server.credentials, "during", "load-bucket", world.datastore)
        load.start()
        shim.ask(fault)
        await_told(load, 503)
        told = load.stop()
        unknown = [one for one in told if one.status == 503]
        assert any(b"outcome of this call is unknown" in one.body and reason.encode() in one.body for one in unknown)
        assert all(b"ServiceUnavailable" in one.body or b"OperationOutcome" in one.body for one in unknown), "not shaped as AWS shapes it"
        assert server.health() == (503, [reason])
        after = [one_call(server, "after", n) for n in range(5)]
        assert {one.status for one in after} == {503}
        assert server.stop() == 0
        server.start()
        assert server.health() == (200, [])
        world.judge(told)
        served = one_call(server, "again", 1)
        assert served.status == 200
        check_recorded(served, [record for record in world.records(0) if record.json["userAgent"] == served.agent])
        assert not any(record.json["userAgent"].startswith("after") for record in world.records(0))


def test_a_write_that_finds_no_room_refuses_its_batch_and_the_lane_goes_on(tmp_path: Path, shim: Shim) -> None:
    with serving(tmp_path / "data", environment=shim.environment) as server:
        world = prepared(server)
        shim.ask("write-enospc")
        told = [one_call(server, "full", n) for n in range(3)]
        assert [one.status for one in told] == [503, 200, 200]
        assert b"nothing of it happened" in told[0].body
        assert b"SQLITE_FULL" in told[0].body
        assert server.health() == (200, [])
        agents = [record.json["userAgent"] for record in world.records(0)]
        assert [agents.count(one.agent) for one in told] == [0, 1, 1]
        users = [one["UserName"] for one in server.client("iam").list_users()["Users"]]
        assert users == ["full-1", "full-2"]
        with server.snapshot() as view:
            assert verify(view).why == ""


@pytest.mark.parametrize("watched", ["/history.db-wal", "/delivery.db-wal"])
def test_a_follower_whose_disk_failed_starts_again(tmp_path: Path, shim: Shim, watched: str) -> None:
    """Its process ends, is started again, reads its database anew; calls are served all the while."""
    environment = {**shim.environment, "FAULT_ON": watched}
    with serving(tmp_path / "data", "--flush-interval", "1s", "--digest-interval", "3s", environment=environment) as server:
        world = prepared(server)
        before = server.await_role("work")
        shim.ask("sync-eio")
        load = Load(server.url, server.credentials, "during", "load-bucket", world.datastore, threads=2)
        load.start()
        server.await_role("work", other_than=before)
        told = load.stop()
        assert {one.status for one in told} <= {200, 201, 400, 404}
        world.judge(told)
        world.check_log_files()


def prepared(server: Server) -> World:
    world = World(server)
    world.prepare()
    return world


def one_call(server: Server, tag: str, number: int) -> Told:
    client = Client(server.url, server.credentials)
    told = client.call(f"{tag}-{number}", "user", user(f"{tag}-{number}") if tag == "full" else cloudtrail("DescribeTrails", {}))
    client.close()
    return told


def await_told(load: Load, status: int) -> None:
    """Waits until a call was answered so."""
    until = time.monotonic() + 30
    while not any(one.status == status for one in load.told):
        assert time.monotonic() < until, "the fault did not strike"
        time.sleep(0.05)
