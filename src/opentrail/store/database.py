"""One database, whatever lies behind it: how followers write theirs, how everybody reads, and how the lane holds its connection."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from opentrail.store.sql import Snapshot, Sql, Tx, Value


class Broken(Exception):
    """The database failed in a way that leaves the outcome of the transaction unknown, or cannot be used at all.

    The message is the driver's short reason (an error name), never a statement or a value.
    """


class Away(Broken):
    """The connection to the database server is gone, or the server cannot serve; the next transaction makes another. Nothing of this
    one happened, unless it is `unsure`: then the connection broke during the commit."""

    def __init__(self, reason: str, unsure: bool = False) -> None:
        super().__init__(reason)
        self.unsure = unsure


class Full(Exception):
    """No space is left for the transaction, which was rolled back: nothing of it happened."""


class Again(Exception):
    """The transaction lost against another one (deadlock, lock timeout) and was rolled back; running it again may succeed."""


class Slow(Exception):
    """A statement ran longer than its limit and was stopped; the transaction can be undone to its savepoint."""


SLICE, LONG_SLICE = 0.010, 0.040
"""Seconds that a job's transaction between the lane's batches should last, and one while calls are rare. The more it writes, the more
often it finds a page that it has written before."""


class LaneTx(Tx, Protocol):
    """The lane's connection inside its transaction, as the recording frame uses it."""

    epoch: int
    """The state epoch that this transaction sees: differs from the caller's when rights changed in between."""
    changed: bool
    """Whether this call changed rights."""
    later: list[tuple[Sql, dict[str, Value]]]
    """What this call asked to run with its record's position."""
    lasts: float
    """Seconds that it should last at most, when it is a job's."""

    def undo(self) -> None:
        """Rolls back to the start of this call: as if it had written nothing. Raises Again when the whole transaction is gone."""


class Writer(Protocol):
    """The one writing connection. Everything raises Broken, Full or Again."""

    @property
    def tx(self) -> LaneTx:
        """The connection inside the batch's transaction."""

    def begin(self, writes: bool, durable: bool = True) -> None:
        """Opens the transaction of a batch; `writes` when a call of it may change state (else it appends records only). One that is not
        `durable` at its commit is so with the next that is: a power failure in between takes it back, and everything after it."""

    def enter(self) -> LaneTx:
        """Starts the part of one call, under a savepoint."""

    def leave(self) -> None:
        """Ends the part of one call."""

    def commit(self) -> None:
        """Makes the batch durable (see `begin`). Returns only when it is. After Broken that is not Away nothing may be written until
        restart; after Full nothing of the batch happened."""

    def rollback(self) -> None:
        """Gives the batch up. Never raises."""

    def idle(self, lent: bool = False) -> None:
        """Housekeeping between two batches: cheap when there is nothing to do, and never long. `lent` when another process has written
        since the last one."""

    def close(self) -> None: ...


class Database(Protocol):
    """One database: on SQLite a file, on PostgreSQL a schema. `read` and `write` may be used from any thread."""

    dialect: str

    def read(self) -> AbstractContextManager[Snapshot]:
        """A consistent view, for at most a few seconds."""

    def write(self, durable: bool = True) -> AbstractContextManager[Tx]:
        """A write transaction that commits at the end (durably; see Writer.begin), or rolls back when the block raises. For followers,
        each the only writer of its database. `with_position` belongs to the lane."""

    def writer(self) -> Writer:
        """The lane's connection. There is one."""

    def close(self) -> None:
        """Closes every connection. Nothing may be running."""
