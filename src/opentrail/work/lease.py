"""Leases with fencing, and the positions they protect.

A lease names who works. Its fence is a number that grows with every lease; every transaction of the work confirms it, so
that a worker whose lease was taken over can neither plan nor move a position, however late it wakes up and whatever its
clock says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from opentrail.kernel.ambient import Clock
from opentrail.store.database import Broken, Database
from opentrail.store.sql import Snapshot, Sql, Tx

LENGTH = 30.0
"""Seconds that a lease holds without being renewed. Longer than the longest batch takes."""

_MAKE = Sql("INSERT INTO follower (name, position, fence, holder, held_until) VALUES (:name, 0, 0, '', 0) ON CONFLICT (name) DO NOTHING")
_ROW = Sql("SELECT position, fence, holder, held_until FROM follower WHERE name = :name")
_TAKE = Sql("UPDATE follower SET fence = fence + 1, holder = :holder, held_until = :until WHERE name = :name AND fence = :fence")
_CONFIRM = Sql("UPDATE follower SET held_until = :until WHERE name = :name AND fence = :fence")
_MOVE = Sql("UPDATE follower SET position = :target WHERE name = :name AND fence = :fence AND position = :origin")
_ALL = Sql("SELECT name, position, fence, holder, held_until FROM follower ORDER BY name")


class LeaseLost(Exception):
    """Another worker has taken the work over. Nothing of the transaction happened."""


class Holding(NamedTuple):
    """A row of the table; see `tables`."""

    name: str
    position: int
    fence: int
    holder: str
    held_until: float


def holdings(snapshot: Snapshot) -> list[Holding]:
    """Every task of the database, with its position and its lease."""
    return [Holding(*row) for row in snapshot.all(_ALL)]


def position(snapshot: Snapshot, name: str) -> int:
    """How far the follower has come; 0 before its first batch."""
    row = snapshot.one(_ROW, name=name)
    return 0 if row is None else int(row[0])


class Lease:
    """The right to do the work `name` in `database`.

    `holder` names the worker. A new worker of the same name takes over at once: where only one process can be the holder
    (on SQLite, by the lock on the data folder) the name is fixed and a restart waits for nobody; elsewhere it is drawn.
    """

    def __init__(self, database: Database, name: str, holder: str, clock: Clock) -> None:
        self.database = database
        self.name = name
        self._holder = holder
        self._clock = clock
        self._fence: int | None = None
        self._until = 0.0
        self.broken = False
        """Whether a transaction of the database ended with an unknown outcome."""

    @contextmanager
    def _transaction(self) -> Iterator[Tx]:
        try:
            with self.database.write() as tx:
                yield tx
        except Broken:
            self.broken = True
            raise

    def acquire(self) -> bool:
        """Takes the lease when it is free, expired or this holder's own; False while another has it. Renews one that is held
        and has passed its half. Raises LeaseLost."""
        now = self._clock.now()
        if self._fence is not None:
            if now > self._until - LENGTH / 2:
                with self.write():
                    pass
            return True
        with self._transaction() as tx:
            tx.run(_MAKE, name=self.name)
            row = tx.one(_ROW, name=self.name)
            assert row is not None, "the row was just made"
            _, fence, holder, until = row
            if holder not in ("", self._holder) and until > now:
                return False
            if tx.run(_TAKE, name=self.name, holder=self._holder, until=now + LENGTH, fence=fence) != 1:
                return False
        self._fence, self._until = int(fence) + 1, now + LENGTH
        return True

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A transaction that commits only while the lease is held, and renews it. Raises LeaseLost."""
        until = self._clock.now() + LENGTH
        with self._transaction() as tx:
            if self._fence is None or tx.run(_CONFIRM, name=self.name, fence=self._fence, until=until) != 1:
                self._fence = None
                raise LeaseLost(self.name)
            yield tx
        self._until = until

    def move(self, tx: Tx, origin: int, target: int) -> None:
        """Moves the position in a transaction of `write`. Raises LeaseLost when it is not where the work began."""
        assert self._fence is not None, "move belongs inside write"
        if tx.run(_MOVE, name=self.name, fence=self._fence, origin=origin, target=target) != 1:
            raise LeaseLost(self.name)

    def position(self) -> int:
        """How far the work has come."""
        with self.database.read() as snapshot:
            return position(snapshot, self.name)

    def release(self) -> None:
        """Lets others work at once. Harmless when the lease is not held."""
        if self._fence is None:
            return
        with self._transaction() as tx:
            tx.run(_CONFIRM, name=self.name, fence=self._fence, until=0.0)
        self._fence = None
