"""SQLite's write-ahead log: copied into the file in small parts, by the writer alone, so that it begins anew and stays short."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from opentrail.store.database import Broken
from opentrail.store.sqlite_errors import reason

BUSY_MS = 5000
"""How long a connection waits for another one's lock."""

_COPY_EVERY = 1000
"""Frames by which the write-ahead log grows between two copies into the file: each copy stalls the calls for some milliseconds."""

_LOOK_AFTER_ROWS, _LOOK_AFTER_TIMES = 256, 32
"""Rows changed, and commits made, after which the log may have grown enough to look how far: a look gives the interpreter lock up twice,
while the event loop wants it for the calls that the commit has released."""

_TRUNCATE_AT = 256 * 1024 * 1024
_PATIENCE_MS = 100
"""How long a truncation waits for the readers of the old log, and all calls with it."""

_LOG_HEADER, _FRAME_HEADER = 32, 24


class Log:
    """The log of a file, through the one connection that writes it. `let_go` closes the view that this process keeps open."""

    def __init__(self, connection: sqlite3.Connection, file: Path, let_go: Callable[[], None]) -> None:
        self._connection = connection
        self._let_go = let_go
        self._wal = file.with_name(file.name + "-wal")
        self._open = -1
        self._salts = b""
        self._frames = 0
        self._looked = 0
        self._times = 0

    def tend(self, lent: bool) -> None:
        """Copies what the log has grown by into the file, in small parts; never while a batch is open. SQLite begins the log anew
        when all of it is copied and no reader is in it: hence no view of ours, which would always be in it, is kept meanwhile.
        `lent` when another process has written since the last time. Raises Broken."""
        changed = self._connection.total_changes
        self._times += 1
        if changed - self._looked < _LOOK_AFTER_ROWS and self._times < _LOOK_AFTER_TIMES and not lent:
            return
        self._looked, self._times = changed, 0
        if not self._grew():
            return
        self._let_go()
        if self._copy("PASSIVE"):
            self._let_go()  # one that was opened meanwhile; the next reads the file alone
            if os.fstat(self._open).st_size >= _TRUNCATE_AT:
                self._truncate()

    def _grew(self) -> bool:
        """Whether the log has _COPY_EVERY frames more than when it was last copied. The file keeps its size when the log begins anew,
        so that its frames tell: one without the salts of the log's header is of an older log (https://sqlite.org/walformat.html)."""
        if self._open < 0:
            if not self._wal.exists():
                return False
            self._open = os.open(self._wal, os.O_RDONLY)
        header = os.pread(self._open, _LOG_HEADER, 0)
        salts, page = header[16:24], int.from_bytes(header[8:12], "big")
        if salts != self._salts:
            self._salts, self._frames = salts, 0
        place = _LOG_HEADER + (self._frames + _COPY_EVERY) * (page + _FRAME_HEADER)
        return os.pread(self._open, _FRAME_HEADER, place)[8:16] == salts != b""

    def _truncate(self) -> None:
        self._connection.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}").fetchall()
        self._copy("TRUNCATE")
        self._connection.execute(f"PRAGMA busy_timeout={BUSY_MS}").fetchall()

    def _copy(self, mode: str) -> bool:
        """Copies as much of the log as no reader needs. Whether that was all of it. On a full disk it stays where it is, durable, and
        grows until a commit finds no room."""
        try:
            _, self._frames, copied = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL):
                raise Broken(reason(error)) from error
            return False
        return bool(copied == self._frames)

    def close(self) -> None:
        """Closes the log's file."""
        if self._open >= 0:
            os.close(self._open)
            self._open = -1
