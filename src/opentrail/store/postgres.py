"""PostgreSQL: a schema per database, one connection per reader thread, one for each lane or follower.

Batches that may change state take one advisory lock first: they run one after another across every web process, so that
what `apply` reads decides rightly without a lock of its own; batches that only append records do not take it. The
journal's head row is locked last in every batch, which makes positions dense and in commit order.

A connection that breaks is replaced when the next transaction begins: a restart of PostgreSQL needs none of ours.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.exceptions
import pg8000.native

from opentrail.store.database import SLICE, Again, Away, Broken, Full, LaneTx, Slow
from opentrail.store.sql import Conflict, Row, Snapshot, Sql, T, Unstorable, Value, in_chunks

Failed = (pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError, OSError)
_IDLE = "25P03"
"""The server ended a session whose transaction was idle for too long."""
_WRITE_LOCK = 0x4F54_7261
_LOCK = Sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
_MOVE = Sql("UPDATE state_epoch SET epoch = epoch + 1 WHERE id = 1")


def arguments(address: str) -> dict[str, Any]:
    """pg8000's connection arguments for `postgresql://user:password@host:port/name?sslmode=...`; `?host=/folder` names a
    Unix socket's folder. Raises ValueError."""
    parts = urlsplit(address)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ValueError("database: must look like postgresql://user:password@host:port/name")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    found: dict[str, Any] = {"user": unquote(parts.username or "postgres"), "database": unquote(parts.path.strip("/"))}
    if parts.password:
        found["password"] = unquote(parts.password)
    port = parts.port or 5432
    folder = options.pop("host", "")
    if folder:
        found["unix_sock"] = f"{folder}/.s.PGSQL.{port}"
    else:
        found |= {"host": parts.hostname or "localhost", "port": port}
    mode = options.pop("sslmode", "prefer" if not folder else "disable")
    if mode in ("require", "verify-ca", "verify-full"):
        found["ssl_context"] = ssl.create_default_context() if mode.startswith("verify") else True
    if options:
        raise ValueError(f"database: options {', '.join(sorted(options))} are not understood")
    return found


class PostgresDatabase:
    """A schema of the database at `address`."""

    dialect = "postgresql"

    def __init__(self, address: str, schema: str) -> None:
        self.address = address
        self._arguments = arguments(address)
        self.schema = schema
        self._local = threading.local()
        self._open: list[_Connection] = []
        self._guard = threading.Lock()
        self._write_turn = threading.Lock()
        self._write: PostgresWriter | None = None

    def connect(self) -> _Connection:
        """A new connection with the schema on its search path. Raises Away."""
        connection = _Connection(self._opened)
        with self._guard:
            self._open.append(connection)
        return connection

    def _opened(self) -> pg8000.native.Connection:
        startup = {"search_path": self.schema, "lock_timeout": "250ms", "statement_timeout": "10s"}
        try:
            return pg8000.native.Connection(**self._arguments, timeout=30, application_name="opentrail", startup_params=startup)
        except Failed as error:
            raise Away(reason(error)) from error

    @contextmanager
    def read(self) -> Iterator[PostgresView]:
        view: PostgresView | None = getattr(self._local, "view", None)
        if view is None:
            view = self._local.view = PostgresView(self.connect())
        view.begin()
        try:
            yield view
        finally:
            view.end()

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[LaneTx]:
        with self._write_turn:
            writer = self._write or self.writer()
            writer.begin(writes=False, durable=durable)
            try:
                yield writer.enter()
                writer.leave()
                writer.commit()
            except BaseException:
                writer.rollback()
                raise

    def writer(self) -> PostgresWriter:
        if self._write is None:
            self._write = PostgresWriter(self.connect())
        return self._write

    def close(self) -> None:
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._write = None
            self._local = threading.local()


class _Connection:
    """A connection with its prepared statements. One that broke is made anew when the next transaction begins."""

    def __init__(self, opened: Callable[[], pg8000.native.Connection]) -> None:
        self._opened = opened
        self.native = opened()
        self._prepared: dict[str, pg8000.native.PreparedStatement] = {}
        self._gone = False
        self.changed_rows = 0
        """Rows that the last statement changed."""

    def begin(self, text: str) -> None:
        """Opens a transaction by this command. Raises Away when no connection can be had."""
        if self._gone:
            self._renew()
        try:
            self.command(text)
        except Away:  # it broke while nothing was under way
            self._renew()
            self.command(text)

    def _renew(self) -> None:
        self.close()
        self.native, self._prepared = self._opened(), {}
        self._gone = False

    def close(self) -> None:
        """Closes it, whatever is left of it."""
        self._gone = True
        with suppress(*Failed):
            self.native.close()

    def _translated(self, error: Exception) -> Exception:
        found = translated(error)
        self._gone = self._gone or isinstance(found, Away)
        return found

    def command(self, text: str) -> None:
        try:
            self.native.execute_simple(text)
        except Failed as error:
            raise self._translated(error) from error

    def execute(self, statement: Sql, values: Mapping[str, Any]) -> list[Row]:
        try:
            prepared = self._prepared.get(statement.text)
            if prepared is None:
                if len(self._prepared) >= 512:
                    self._prepared.pop(next(iter(self._prepared))).close()
                prepared = self._prepared[statement.text] = self.native.prepare(statement.text)
            rows = prepared.run(**values)
            self.changed_rows = prepared._context.row_count
        except Failed as error:
            raise self._translated(error) from error
        return [tuple(row) for row in rows] if rows else []

    def copy(self, text: str, rows: bytes) -> None:
        """Runs a COPY FROM STDIN with these rows."""
        try:
            self.native.run(text, stream=BytesIO(rows))
        except Failed as error:
            raise self._translated(error) from error

    def rollback(self) -> None:
        """Gives the transaction up. A connection that cannot even do that is not used again."""
        if not self._gone:
            try:
                self.command("ROLLBACK")
            except (Broken, Full, Slow, Again):
                self.close()


_COPY = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(value: Value) -> str:
    """A value as COPY's text format has it. Raises Unstorable."""
    if isinstance(value, str):
        if "\0" in value:
            raise Unstorable("22021")
        return value.translate(_COPY)
    if value is None:
        return "\\N"
    return "\\\\x" + value.hex() if isinstance(value, bytes) else repr(value)


class PostgresView:
    """A read transaction."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def begin(self) -> None:
        """Opens it. Raises Away."""
        self._connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        rows = self._connection.execute(statement, values)
        return rows[0] if rows else None

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        return self._connection.execute(statement, values)

    def settled(self, key: Hashable, make: Callable[[Snapshot], T]) -> T:
        return make(self)

    def end(self) -> None:
        self._connection.rollback()


class PostgresTx(PostgresView):
    """The writing connection inside its transaction, as one call after another uses it."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__(connection)
        self.epoch = 0
        self.changed = False
        self.later: list[tuple[Sql, dict[str, Value]]] = []
        self.lasts = SLICE

    def run(self, statement: Sql, /, **values: Value) -> int:
        if statement.settled:
            self._move()
        self._connection.execute(statement, values)
        return self._connection.changed_rows

    def many(self, statement: Sql, rows: Sequence[Mapping[str, Value]], /) -> None:
        if statement.settled:
            self._move()
        for chunk, values in in_chunks(statement, rows):
            self._connection.execute(chunk, values)

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]], /) -> None:
        text = "".join("\t".join(map(_copied, row)) + "\n" for row in rows)
        self._connection.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN", text.encode())

    def with_position(self, statement: Sql, /, **values: Value) -> None:
        self.later.append((statement, values))

    def _move(self) -> None:
        if not self.changed:
            self.run(_MOVE)
        self.changed = True

    def undo(self) -> None:
        self._connection.command("ROLLBACK TO SAVEPOINT call")
        self.later = []
        self.changed = False


class PostgresWriter:
    """One writing connection of a schema."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._checked: pg8000.native.Connection | None = None
        self.tx = PostgresTx(connection)

    def _check_durable(self) -> None:
        """Refuses a server that acknowledges commits before they are on disk."""
        for setting in ("fsync", "synchronous_commit"):
            row = self.tx.one(Sql(f"SELECT current_setting('{setting}')"))
            if row is None or row[0] == "off":
                raise Broken(f"PostgreSQL runs with {setting} = off")
        self._checked = self._connection.native

    def begin(self, writes: bool, durable: bool = True) -> None:
        self._connection.begin("BEGIN")
        if self._checked is not self._connection.native:
            self._check_durable()
        if not durable:
            self._connection.command("SET LOCAL synchronous_commit = off")
        if writes:
            self.tx.one(_LOCK)

    def enter(self) -> LaneTx:
        self.tx.later = []
        self.tx.changed = False
        self._connection.command("SAVEPOINT call")
        return self.tx

    def leave(self) -> None:
        self._connection.command("RELEASE SAVEPOINT call")

    def commit(self) -> None:
        try:
            self._connection.command("COMMIT")
        except (Broken, Slow, Full) as error:
            self._connection.close()
            raise Away(str(error), unsure=True) from error

    def rollback(self) -> None:
        self._connection.rollback()

    def idle(self, lent: bool = False) -> None:
        """Nothing to do: PostgreSQL keeps its own house."""

    def close(self) -> None:
        self.rollback()
        self._connection.close()


def sqlstate(error: Exception) -> str:
    """The five characters of the server's error code; empty when the server sent none."""
    details = error.args[0] if error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def reason(error: Exception) -> str:
    """What went wrong, without statement or values: the server's code, or the kind of the connection's failure."""
    state = sqlstate(error)
    if not state:
        return f"PostgreSQL does not answer ({type(error).__name__})"
    return f"PostgreSQL {state} ({_WORDS[state]})" if state in _WORDS else f"PostgreSQL {state}"


_WORDS = {
    "28000": "it refuses the login",
    "28P01": "the password is wrong",
    "3D000": "there is no such database",
    "42501": "the user may not",
    "53300": "it has too many connections",
    "57P01": "it was stopped",
    "57P03": "it is starting or stopping",
}


def translated(error: Exception) -> Exception:
    """The store's own exception for a driver's."""
    state = sqlstate(error)
    if state.startswith("23"):
        details = error.args[0]
        return Conflict(str(details.get("n") or details.get("c") or details.get("t") or "constraint"))
    if state in ("40001", "40P01", "55P03"):
        return Again(reason(error))
    if state == "57014":
        return Slow(reason(error))
    if state == "53100":
        return Full(reason(error))
    if state in ("22021", "22P05"):
        return Unstorable(reason(error))
    if state.startswith(("42", "22", "0A", "25")) and state != _IDLE:
        return RuntimeError(f"wrong statement: {reason(error)} {error.args[0].get('M', '')}")
    return Away(reason(error))
