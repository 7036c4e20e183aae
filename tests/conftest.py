"""Fixtures that many tests share: databases of both kinds, each empty and migrated."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pg8000.native
import pytest

from opentrail.store.databases import Name
from opentrail.store.postgres import PostgresDatabase, arguments
from tests import databases, gaps, postgres
from tests.databases import Database, MakeDatabase
from tests.fault.needs import missing

_numbers = itertools.count(1)

missing()  # noted here too: of a distributed run's conftests only this one is loaded in the process that reports


def kinds() -> list[str]:
    """The databases that can be tested here."""
    if postgres.binaries() is None:
        gaps.note("everything on PostgreSQL", "PostgreSQL is not installed (Debian: apt-get install postgresql)")
        return ["sqlite"]
    return ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private server's address with {} for the database name."""
    with postgres.server(postgres.fastest()) as address:
        yield address


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Callable[..., str]:
    """Makes an empty database, or a copy of one that nobody uses, and returns its address."""

    def make(like: str = "template1") -> str:
        name = f"t{next(_numbers)}"
        admin = pg8000.native.Connection(**arguments(postgres_server.format("postgres")))
        admin.run(f"CREATE DATABASE {name} TEMPLATE {like}")
        admin.close()
        return postgres_server.format(name)

    return make


@pytest.fixture(scope="session")
def new_migrated_postgres(new_postgres: Callable[..., str]) -> Callable[[], str]:
    """Makes a database with all schemas and returns its address."""
    first = new_postgres()
    databases.migrate_all(first)
    return lambda: new_postgres(arguments(first)["database"])


@pytest.fixture(params=kinds())
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
    """Makes migrated databases by name, of one kind; runs the test once for each kind."""
    opened: list[Database] = []
    address = request.getfixturevalue("new_migrated_postgres")() if request.param == "postgresql" else ""

    def make(name: Name) -> Database:
        opened.append(databases.on_postgres(address, name) if address else databases.on_sqlite(tmp_path, name))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def main_database(make_database: MakeDatabase) -> Database:
    """The main database, on each kind."""
    return make_database("main")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the end what was not run."""
    for what, why in gaps.found.items():
        terminalreporter.write_line(f"NOT RUN: {what}: {why}", yellow=True, bold=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A gap fails a run that must be complete."""
    if gaps.COMPLETE and gaps.found and session.exitstatus == 0:
        session.exitstatus = 1


@pytest.fixture
def new_postgres_main(new_migrated_postgres: Callable[[], str]) -> Iterator[PostgresDatabase]:
    """A migrated main database on PostgreSQL."""
    database = databases.on_postgres(new_migrated_postgres(), "main")
    yield database
    database.close()


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs coroutine tests on an event loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), 120))
    return True
