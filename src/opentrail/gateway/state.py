"""What the gateway works with, put together by app.py: services, the lane, readers, and the cache under the state epoch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from opentrail.calls.bearer import Outside
from opentrail.calls.operation import Service
from opentrail.calls.tools import Tools
from opentrail.gateway.body import Memory
from opentrail.gateway.resolve import Routes
from opentrail.gateway.spool import Spool
from opentrail.gateway.strangers import Strangers
from opentrail.kernel import telemetry
from opentrail.store.database import Broken, Database, Slow
from opentrail.store.epoch import stored_epoch
from opentrail.store.folder import Space
from opentrail.store.lane import Lane
from opentrail.store.sql import Row, Snapshot, Sql, T, Value
from opentrail.store.sqlite import SqliteDatabase

_LIMIT = 20_000
_PATIENCE = 10.0
"""Seconds that a call waits for another server's answer, whose asking ends earlier by itself."""


class Cached:
    """Values that hold until rights change: principals, policies, trails. Emptied whenever the epoch moves."""

    def __init__(self) -> None:
        self._epoch = -1
        self._values: dict[Any, Any] = {}

    def get(self, epoch: int, key: Any) -> Any:
        """The value, or None when it is not known for this epoch."""
        if epoch != self._epoch:
            return None
        return self._values.get(key)

    def put(self, epoch: int, key: Any, value: Any) -> None:
        """Keeps a value that was read after the epoch was."""
        if epoch != self._epoch:
            self._epoch, self._values = epoch, {}
        if len(self._values) >= _LIMIT:
            self._values.clear()
        self._values[key] = value


class _Settled:
    """A view that shows settled rows alone."""

    def __init__(self, view: Snapshot) -> None:
        self._view = view

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        assert statement.settled, "what is kept is made of settled rows"
        return self._view.one(statement, **values)

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        assert statement.settled, "what is kept is made of settled rows"
        return self._view.all(statement, **values)

    def settled(self, key: Hashable, make: Callable[[Snapshot], T]) -> T:
        return make(self)


class Glance:
    """The view of short reads on the event loop, on SQLite alone: shows every answered call's writes, and asks the database for
    settled rows once an epoch."""

    def __init__(self, database: SqliteDatabase, lane: Lane, cached: Cached) -> None:
        self._kept, self._lane, self._cached = database.kept, lane, cached

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        """See Snapshot."""
        if statement.settled:
            return self.settled(("one", statement, *values.items()), lambda _: self._kept.one(self._lane.changes, statement, values))
        return self._kept.one(self._lane.changes, statement, values)

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        """See Snapshot."""
        if statement.settled:
            return self.settled(("all", statement, *values.items()), lambda _: self._kept.all(self._lane.changes, statement, values))
        return self._kept.all(self._lane.changes, statement, values)

    def settled(self, key: Hashable, make: Callable[[Snapshot], T]) -> T:
        """See Snapshot."""
        epoch = self._lane.epoch  # before what it is made of is read, which is then at least as new
        found: tuple[T] | None = self._cached.get(epoch, key)
        if found is None:
            found = (make(_Settled(self)),)
            if found[0] is not None:  # what is not there is not kept: anybody can ask for it under any name
                self._cached.put(epoch, key, found)
        return found[0]


@dataclass(slots=True)
class Gateway:
    """One web process's gateway. `pool` reads and prepares; `inner_pool` does so for service-made calls, which a preparing
    thread of `pool` waits for. `thread` is the event loop's."""

    services: Mapping[str, Service]
    routes: Routes
    tools: Tools
    database: Database
    spool: Spool
    lane: Lane
    space: Space
    lags: Callable[[], Mapping[str, int]]
    """Records that each follower has yet to take."""
    troubles: Callable[[], list[str]]
    """What else is wrong: a trail whose files cannot be delivered, a follower that stands still."""
    pool: ThreadPoolExecutor
    inner_pool: ThreadPoolExecutor
    engine_pool: ThreadPoolExecutor
    loop: asyncio.AbstractEventLoop
    thread: int
    cached: Cached = field(default_factory=Cached)
    memory: Memory = field(default_factory=Memory)
    strangers: Strangers = field(default_factory=Strangers)
    asking: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    """Questions to other servers that calls wait for, each asked once at a time. Used on the event loop alone."""
    _glance: Glance | None = None

    def admits(self, changes: bool) -> str:
        """Why no call (or none that changes state) is served now; empty while all is well."""
        return self.lane.failure or self.space.refuses(changes, self.tools.clock.monotonic())

    async def epoch(self, inner: bool = False) -> int:
        """The state epoch: in memory where this process is the only writer, read from PostgreSQL otherwise."""
        if self.database.dialect == "sqlite":
            return self.lane.epoch
        return await self.read(stored_epoch, inner)

    async def read(self, reads: Callable[[Snapshot], T], inner: bool = False) -> T:
        """Runs a function over a consistent view in a reader thread."""
        return await self.loop.run_in_executor(self.inner_pool if inner else self.pool, self.read_here, reads)

    def read_here(self, reads: Callable[[Snapshot], T]) -> T:
        """Runs a function over a consistent view in this thread."""
        with self.database.read() as view:
            return reads(view)

    def glance(self, reads: Callable[[Snapshot], T]) -> T:
        """Runs a short function on the event loop, on SQLite alone, over a view that shows every answered call's writes."""
        if self._glance is None:
            assert isinstance(self.database, SqliteDatabase), "PostgreSQL is asked in reader threads"
            self._glance = Glance(self.database, self.lane, self.cached)
        return reads(self._glance)

    async def run(self, work: Callable[[], T], inner: bool = False) -> T:
        """Runs a function in a reader thread."""
        return await self.loop.run_in_executor(self.inner_pool if inner else self.pool, work)

    async def compute(self, work: Callable[[], T]) -> T:
        """Runs a function that waits for an engine."""
        return await self.loop.run_in_executor(self.engine_pool, work)

    async def asked(self, outside: Outside) -> None:
        """Waits until a question to another server was answered, or gave up: one thread asks for all who wait."""
        running = self.asking.get(outside.key)
        if running is None:
            running = self.asking[outside.key] = self.loop.run_in_executor(self.engine_pool, outside.ask)
            running.add_done_callback(lambda done: self.asking.pop(outside.key, None))
        await asyncio.wait({running}, timeout=_PATIENCE)

    def health(self) -> dict[str, Any]:
        """What /_opentrail/health says: `status` ok or failing, with the reasons."""
        try:
            troubles = self.troubles()
        except (Broken, Slow) as error:
            troubles = [f"the database cannot be read: {error}"]
        reasons = [reason for reason in (self.admits(True), *troubles) if reason]
        return {"status": "failing" if reasons else "ok", "reasons": reasons}

    def measure(self) -> None:
        """Brings the gauges of /_opentrail/metrics up to date. Raises Broken, Slow."""
        telemetry.lane_waiting.set(self.lane.waiting)
        telemetry.free_bytes.set(self.space.free)
        log = self.tools.settings.folder / "main.db-wal"
        telemetry.wal_bytes.set(log.stat().st_size if log.exists() else 0)
        for name, lag in self.lags().items():
            telemetry.follower_lag.labels(name).set(lag)
