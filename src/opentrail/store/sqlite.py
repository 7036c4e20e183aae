"""SQLite: one file, one writing connection, readers on snapshots. WAL, synchronous=FULL, checkpoints by the writer alone.

Two writing connections on one file stall each other for seconds, and SQLite 3.7.0 to 3.51.2 can corrupt a WAL that two
connections commit to and checkpoint at once (https://sqlite.org/wal.html#walresetbug): hence the single writer.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path

from opentrail.store.database import SLICE, Again, Broken, Full, LaneTx
from opentrail.store.sql import Row, Snapshot, Sql, T, Value, in_places
from opentrail.store.sqlite_errors import reason, translated
from opentrail.store.sqlite_log import BUSY_MS, Log

FIXED = (3, 51, 3)
"""The first SQLite without the WAL reset bug."""

STATEMENT_LIMIT = 2.0
"""Seconds that the statements of one call may take in the lane before it is refused."""

READ_LIMIT = 10.0
"""Seconds that one view may run statements."""

_PAGE = 8192
"""Bytes of a page of a new file. Each page that a transaction touches is written twice, with two system calls each time: an import is a
tenth faster than with SQLite's 4,096, calls are alike."""

_STEPS = 20_000
_ROWS = 128
"""Rows of one INSERT: the interpreter lock is given up and waited for once a statement, not once a row."""


@lru_cache(maxsize=1024)
def _insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = f"({','.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES {','.join([values] * rows)}"


class SqliteDatabase:
    """A file. `writable` is False for databases that another process writes."""

    dialect = "sqlite"

    def __init__(self, file: Path, writable: bool = True) -> None:
        self.file = file
        self.writable = writable
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._write: SqliteWriter | None = None
        self._write_turn = threading.Lock()
        self.kept = KeptView(self)

    def _connect(self, mode: str) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"{self.file.as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_MS / 1000,
                cached_statements=512,
            )
            if mode == "rwc":
                for pragma in (f"page_size={_PAGE}", "journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "wal_autocheckpoint=0"):
                    connection.execute(f"PRAGMA {pragma}").fetchall()
            else:
                connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-16384")
            connection.execute("PRAGMA temp_store=MEMORY")
        except sqlite3.Error as error:
            raise Broken(reason(error)) from error
        with self._guard:
            self._open.append(connection)
        return connection

    @contextmanager
    def read(self) -> Iterator[SqliteView]:
        view: SqliteView | None = getattr(self._local, "view", None)
        if view is None:
            view = self._local.view = self.view()
        view.begin()
        try:
            yield view
        finally:
            view.end()

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[LaneTx]:
        with self._write_turn:
            writer = self._write or self.writer()
            writer.begin(writes=True, durable=durable)
            try:
                yield writer.enter()
                writer.leave()
                writer.commit()
            except BaseException:
                writer.rollback()
                raise
            writer.idle()

    def writer(self) -> SqliteWriter:
        if not self.writable:
            raise PermissionError(f"{self.file.name} is written by another process")
        if self._write is None:
            self._write = SqliteWriter(self._connect("rwc"), self.file, self.kept.let_go)
        return self._write

    def view(self) -> SqliteView:
        """A view that is not open yet, on a connection of its own."""
        return SqliteView(self._connect("ro"), READ_LIMIT)

    def close(self) -> None:
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._write = None
            self._local = threading.local()
            self.kept = KeptView(self)


class _Statements:
    """Runs statements on a connection within a time limit."""

    def __init__(self, connection: sqlite3.Connection, limit: float) -> None:
        self._connection = connection
        self._limit = limit
        self._until = 0.0
        connection.set_progress_handler(self._expired, _STEPS)

    def _expired(self) -> bool:
        return time.monotonic() > self._until

    def _arm(self) -> None:
        self._until = time.monotonic() + self._limit

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        try:
            row: Row | None = self._connection.execute(statement.text, values).fetchone()
        except sqlite3.Error as error:
            raise translated(error) from error
        return row

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        try:
            return self._connection.execute(statement.text, values).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    def settled(self, key: Hashable, make: Callable[[Snapshot], T]) -> T:
        return make(self)


class SqliteView(_Statements):
    """A read transaction."""

    def begin(self) -> None:
        self._arm()
        try:
            self._connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise translated(error) from error

    def end(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class KeptView:
    """A view that stays open from one read to the next while `mark` (the lane's changes) is the same: opening and closing one costs
    more than a read by key. For any thread. The writer lets it go whenever it copies the log, which waits for views."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._view: SqliteView | None = None
        self._mark = -1

    def one(self, mark: int, statement: Sql, values: Mapping[str, Value]) -> Row | None:
        """The first row, or None."""
        with self._guard:
            return self._at(mark).one(statement, **values)

    def all(self, mark: int, statement: Sql, values: Mapping[str, Value]) -> list[Row]:
        """Every row."""
        with self._guard:
            return self._at(mark).all(statement, **values)

    def let_go(self) -> None:
        """Closes the view; the next read opens it again."""
        with self._guard:
            if self._view is not None:
                self._view.end()
                self._mark = -1

    def _at(self, mark: int) -> SqliteView:
        view = self._view
        if view is None:
            view = self._view = self._database.view()
        if self._mark == mark:
            view._arm()
        else:
            view.end()
            view.begin()
            self._mark = mark
        return view


class SqliteTx(_Statements):
    """The writing connection inside its transaction, as one call after another uses it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, STATEMENT_LIMIT)
        self.epoch = 0
        self.changed = False
        self.later: list[tuple[Sql, dict[str, Value]]] = []
        self.lasts = SLICE

    def run(self, statement: Sql, /, **values: Value) -> int:
        self.changed |= statement.settled
        try:
            return self._connection.execute(statement.text, values).rowcount
        except sqlite3.Error as error:
            raise translated(error) from error

    def many(self, statement: Sql, rows: Sequence[Mapping[str, Value]], /) -> None:
        self.changed |= statement.settled
        try:
            for text, values in in_places(statement, rows):
                self._connection.execute(text, values)
        except sqlite3.Error as error:
            raise translated(error) from error

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]], /) -> None:
        try:
            for start in range(0, len(rows), _ROWS):
                chunk = rows[start : start + _ROWS]
                self._connection.execute(_insert(table, tuple(columns), len(chunk)), list(chain.from_iterable(chunk)))
        except sqlite3.Error as error:
            raise translated(error) from error

    def with_position(self, statement: Sql, /, **values: Value) -> None:
        self.later.append((statement, values))

    def undo(self) -> None:
        if not self._connection.in_transaction:  # SQLite gives the whole transaction up when it stops a writing statement
            raise Again("SQLITE_ABORT_ROLLBACK")
        self._execute("ROLLBACK TO call")
        self.later = []
        self.changed = False

    def _execute(self, text: str) -> None:
        try:
            self._connection.execute(text)
        except sqlite3.Error as error:
            raise translated(error) from error

    def start(self) -> None:
        """Begins the part of one call."""
        self._arm()
        self.later = []
        self.changed = False
        self._execute("SAVEPOINT call")


class SqliteWriter:
    """The one writing connection of a file. `let_go` closes the view that this process keeps open."""

    def __init__(self, connection: sqlite3.Connection, file: Path, let_go: Callable[[], None]) -> None:
        self._connection = connection
        self._log = Log(connection, file, let_go)
        self._durable = True
        self.tx = SqliteTx(connection)

    def begin(self, writes: bool, durable: bool = True) -> None:
        if durable is not self._durable:  # SQLite syncs the whole log at a commit with FULL, what came before with NORMAL too
            self.tx._execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self.tx._arm()
        self.tx._execute("BEGIN IMMEDIATE" if writes else "BEGIN")  # what only appends locks with its first statement

    def enter(self) -> LaneTx:
        self.tx.start()
        return self.tx

    def leave(self) -> None:
        self.tx._execute("RELEASE call")
        self.tx._arm()

    def commit(self) -> None:
        try:
            self._connection.commit()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                raise Full(reason(error)) from error  # the log's last frame, which makes a commit, was not written
            raise Broken(reason(error)) from error

    def rollback(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._connection.close()

    def idle(self, lent: bool = False) -> None:
        self._log.tend(lent)

    def close(self) -> None:
        self.rollback()
        self._connection.close()
        self._log.close()
