"""Turns: how the work role writes the main database on SQLite, between the lane's batches and never beside one.

A job asks over a Unix socket in the data folder, waits for its turn, writes one short transaction of its own connection, and
gives the turn back. The lane lends one turn at a time and never two in a row while a call waits. SQLite's own lock stands
behind it: a holder that stays too long is waited for, not written beside. On PostgreSQL the transaction lock does the same.

One byte each way: `?` asks, `!` grants, `*` does for longer because calls are rare, `.` gives back, `+` does when settled rows
changed; a closed connection gives back, too.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.store.database import LONG_SLICE, SLICE, Broken, Database, LaneTx
from opentrail.store.lane import Lane, Turn

_WAIT = 60.0
ASK, GRANT, GRANT_LONG, BACK, CHANGED = b"?", b"!", b"*", b".", b"+"


class TurnServer:
    """The lending side, on the event loop of the web role."""

    def __init__(self, lane: Lane, file: Path) -> None:
        self._lane = lane
        self._file = file
        self._server: asyncio.Server | None = None
        self._idle: set[asyncio.StreamWriter] = set()
        self._stopping = False

    async def start(self) -> None:
        """Listens. Only the owner of the data folder can connect."""
        self._file.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._file)
        self._file.chmod(0o600)

    async def stop(self) -> None:
        """Stops listening, and ends the connections that hold no turn; the others end when they give it back."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
            for writer in self._idle:
                writer.close()
            self._file.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        turn: Turn | None = None
        try:
            while not self._stopping and await self._asked(reader, writer):
                turn = Turn(lambda long: loop.call_soon_threadsafe(writer.write, GRANT_LONG if long else GRANT))
                self._lane.lend(turn)
                answer = await reader.read(1)
                turn.give_back(changed=answer != BACK)
                if answer not in (BACK, CHANGED):
                    break
        except ConnectionError:
            pass
        finally:
            if turn is not None:
                turn.give_back(changed=True)
            writer.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._idle.add(writer)
        try:
            return await reader.read(1) == ASK
        finally:
            self._idle.discard(writer)


class Turns:
    """The borrowing side. `write` may be used from any thread; one turn at a time is asked for.

    `file` is None on PostgreSQL.
    """

    def __init__(self, database: Database, file: Path | None) -> None:
        self._database = database
        self._file = file
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[LaneTx]:
        """A write transaction on the main database, committed durably at the end. Keep it within the seconds of its `lasts`.

        One that is not `durable` costs no wait for the disk. Every answer that shows what it wrote is durable with it, because that
        call's record is committed later. It MUST NOT append records, which followers take as soon as they see them; and what it writes
        must lead to nothing outside the database but by calls, so that it can be done again when a power failure took it back.

        Raises Broken when the web role cannot be asked.
        """
        with self._guard:
            lasts, changed = self._ask(), True
            try:
                writer = self._database.writer()
                try:
                    writer.begin(writes=True, durable=durable)
                    tx = writer.enter()
                    tx.lasts = lasts
                    yield tx
                    writer.leave()
                    writer.commit()
                    changed = tx.changed
                except BaseException:
                    writer.rollback()
                    raise
            finally:
                self._give_back(changed)

    def _ask(self) -> float:
        """Waits for the turn. The seconds that it should last."""
        if self._file is None:
            return SLICE
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(_WAIT)
                self._socket.connect(str(self._file))
            self._socket.sendall(ASK)
            granted = self._socket.recv(1)
        except OSError as error:
            self._drop()
            raise Broken(f"no turn could be had: {type(error).__name__}") from error
        if granted not in (GRANT, GRANT_LONG):
            self._drop()
            raise Broken("no turn could be had: the web role ended")
        return LONG_SLICE if granted == GRANT_LONG else SLICE

    def _give_back(self, changed: bool) -> None:
        if self._socket is not None:
            try:
                self._socket.sendall(CHANGED if changed else BACK)
            except OSError:
                self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
