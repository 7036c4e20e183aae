"""A disk that fills up: calls that change state are refused first, then all; with room again, the server serves again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.servers import Server, free_port, serving

from opentrail.journal.verify import verify
from tests.fault import disks
from tests.fault.judge import World
from tests.fault.load import Client, Load, cloudtrail, user

MB = 1024 * 1024


def test_calls_are_refused_before_the_disk_is_full(small_disk: Path) -> None:
    """With a margin of 8 MB, which is more than what 2 % of this disk would be."""
    with serving(small_disk / "data", environment={"OPENTRAIL_MIN_FREE_MB": "8"}) as server:
        world = World(server)
        world.prepare()
        filler = disks.fill(small_disk, 6 * MB)
        await_true(lambda: status(server, "write") == 503)
        assert status(server, "read") == 200
        assert_red(server, 5)
        disks.fill(small_disk, 2 * MB)
        await_true(lambda: status(server, "read") == 503)
        assert status(server, "write") == 503
        assert_red(server, 1)
        filler.unlink()
        await_true(lambda: server.health() == (200, []))
        assert (status(server, "read"), status(server, "write")) == (200, 200)
        assert server.stop() == 0


def test_a_disk_filled_at_once_loses_no_answered_call(small_disk: Path) -> None:
    """Something else takes all room between two looks at the margin: SQLite itself finds the disk full."""
    options = ("--flush-interval", "1s", "--digest-interval", "3s")
    with serving(small_disk / "data", *options, environment={"OPENTRAIL_MIN_FREE_MB": "2"}) as server:
        world = World(server)
        world.prepare()
        load = Load(server.url, server.credentials, "full", "load-bucket", world.datastore)
        load.start()
        await_true(lambda: len(load.told) > 100)
        for _ in range(3):
            filler = disks.fill(small_disk, 0)
            seen = len(load.told)
            await_true(lambda seen=seen: any(one.status == 503 for one in load.told[seen:]))
            assert server.health() is not None
            filler.unlink()
            await_true(lambda: server.health() == (200, []))
            seen = len(load.told)
            await_true(lambda seen=seen: any(one.done and one.kind == "user" for one in load.told[seen:]))
        told = load.stop()
        with server.snapshot() as view:
            assert verify(view).why == ""
        world.judge(told)
        world.check_log_files()
        assert server.stop() == 0


def test_a_start_on_a_full_disk_says_so_and_harms_nothing(small_disk: Path) -> None:
    with serving(small_disk / "data", environment={"OPENTRAIL_MIN_FREE_MB": "2"}) as server:
        assert status(server, "write") == 200
        server.kill("all")
        server.wait(30)
        filler = disks.fill(small_disk, 0)
        refused = server.run("serve", "--listen", f"127.0.0.1:{free_port()}")
        assert refused.returncode == 1
        assert "Traceback" not in refused.stdout + refused.stderr
        assert f"the disk is almost full (0 MB free) where {server.folder} lies; make room and start again" in refused.stderr
        filler.unlink()
        server.start()
        with server.snapshot() as view:
            assert verify(view).why == ""
        assert status(server, "write") == 200
        assert server.stop() == 0


def status(server: Server, kind: str) -> int:
    """The status of one call that reads or writes."""
    client = Client(server.url, server.credentials)
    name = f"disk-{time.monotonic_ns()}"
    told = client.call(name, kind, user(name) if kind == "write" else cloudtrail("DescribeTrails", {}))
    client.close()
    return told.status


def assert_red(server: Server, megabytes: int) -> None:
    """Health is red and says how much room is left."""
    found = server.health()
    assert found is not None
    code, reasons = found
    assert code == 503
    assert len(reasons) == 1
    assert reasons[0].startswith("the disk is almost full")
    assert f"({megabytes} MB free)" in reasons[0]


def await_true(holds: Callable[[], bool], patience: float = 30.0) -> None:
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, "did not come true"
        time.sleep(0.05)
