"""The same on PostgreSQL: kill -9, two web processes on one database, rights that end at once on both."""

from __future__ import annotations

import http.client
import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pg8000.native
import pytest
from benchmarks.servers import Server, serving

from opentrail.journal.verify import verify
from opentrail.store.postgres import arguments
from tests import postgres
from tests.fault.judge import World
from tests.fault.load import Load
from tests.fault.test_concurrency import revoke_then_call
from tests.fault.uploads import MB, half_sent, spooled

QUICK = ("--flush-interval", "1s", "--digest-interval", "3s")
_names = itertools.count(1)


@pytest.fixture
def database(postgres_server: str) -> str:
    """The address of an empty database."""
    name = f"fault{next(_names)}"
    admin = pg8000.native.Connection(**arguments(postgres_server.format("postgres")))
    admin.run(f"CREATE DATABASE {name}")
    admin.close()
    return postgres_server.format(name)


def test_kills(tmp_path: Path, database: str) -> None:
    chance = random.Random(7)
    with serving(tmp_path / "data", "--database", database, *QUICK) as server:
        world = World(server)
        world.prepare()
        for number, victim in enumerate(("web", "all", "work", "supervisor", "all")):
            load = Load(server.url, server.credentials, f"p{number}", "load-bucket", world.datastore)
            load.start()
            time.sleep(chance.uniform(0.3, 1.0))
            server.kill(victim)
            if victim != "work":
                server.wait()
                told = load.stop()
                server.start()
            else:
                told = load.stop()
            world.judge(told)
        world.check_log_files(120)
        assert server.stop() == 0


def test_a_restart_of_postgresql_needs_none_of_ours(tmp_path: Path) -> None:
    """While it is away every call is answered 503 within its time; what was answered otherwise is kept; then all goes on."""
    with postgres.instance() as theirs:
        admin = pg8000.native.Connection(**arguments(theirs.address.format("postgres")))
        admin.run("CREATE DATABASE own")
        admin.close()
        with serving(tmp_path / "data", "--database", theirs.address.format("own"), *QUICK) as server:
            world = World(server)
            world.prepare()
            for number in range(2):
                load = Load(server.url, server.credentials, f"r{number}", "load-bucket", world.datastore)
                load.start()
                time.sleep(1.0)
                theirs.stop()
                time.sleep(1.0)
                assert page(server, "health")[0] == 503
                assert page(server, "metrics")[0] == 503
                theirs.start()
                wait_for(lambda: page(server, "health")[0] == 200)
                time.sleep(1.0)
                told = load.stop()
                assert {call.status for call in told} >= {200, 503}
                assert all(call.status for call in told), "every call was answered"
                world.judge(told)
            world.check_log_files(120)
            assert server.stop() == 0


def page(server: Server, name: str) -> tuple[int, bytes]:
    """One of the server's own pages: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", f"/_opentrail/{name}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_two_web_processes_write_one_journal(tmp_path: Path, database: str) -> None:
    with three(tmp_path / "data", database) as (first, second):
        world = World(first)
        world.prepare()
        loads = [Load(server.url, server.credentials, f"s{n}", "load-bucket", world.datastore) for n, server in enumerate((first, second))]
        for load in loads:
            load.start()
        time.sleep(3.0)
        told = [one for load in loads for one in load.stop()]
        for tag in ("s0", "s1"):
            assert sum(one.done for one in told if one.agent.startswith(tag)) > 20
        world.judge(told)
        revoke_then_call(first, 5, other=second)
        second.kill("all")
        second.wait()
        load = Load(first.url, first.credentials, "alone", "load-bucket", world.datastore)
        load.start()
        time.sleep(0.5)
        world.judge(load.stop())
        with first.snapshot() as view:
            assert verify(view).why == ""
        world.check_log_files(120)


def test_half_a_body_goes_with_its_server_and_stays_while_it_lives(tmp_path: Path, database: str) -> None:
    body = bytes(4 * MB)
    with three(tmp_path / "data", database) as (first, second):
        first.client("s3").create_bucket(Bucket="uploads")
        with half_sent(first, "uploads", "live", body) as live, half_sent(second, "uploads", "lost", body):
            second.kill("all")
            second.wait()
            assert len(spooled(second)) == 2
            second.start()
            assert len(spooled(second)) == 1
            live.sendall(body[len(body) // 2 :])
            assert live.recv(65_536).startswith(b"HTTP/1.1 200")
        assert [one["Key"] for one in second.client("s3").list_objects_v2(Bucket="uploads")["Contents"]] == ["live"]
        assert spooled(first) == []


@contextmanager
def three(folder: Path, database: str) -> Iterator[tuple[Server, Server]]:
    """Two web roles and one work role, each with its own supervisor, on one folder and one database."""
    options = ("--database", database, *QUICK)
    first, second = Server(folder, *options, "--role", "web"), Server(folder, *options, "--role", "web")
    work = Server(folder, *options, "--role", "work", port=first.port, listens=False)
    work.log = folder.parent / "work.log"
    try:
        for server in (first, second, work):
            server.start()
        yield first, second
    finally:
        for server in (work, second, first):
            server.end()
