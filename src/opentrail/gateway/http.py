"""HTTP/1.1 in and out: one object a connection, the llhttp parser (httptools) before it, the pipeline behind it.

    bytes -> parser -> Request -> pipeline.serve -> Answer -> bytes

Requests of one connection are answered one after the other. Heads, waiting bodies, pipelined requests and silence are bounded; a
body that is larger than what waits is read as fast as it is used, an answer is made as fast as it is taken.
"""

from __future__ import annotations

import asyncio
import http
import logging
import re
from collections import deque

import httptools

from opentrail.calls.call import Answer, Download, Request
from opentrail.gateway import pipeline
from opentrail.gateway.body import HungUp, Source
from opentrail.gateway.own import own_answer
from opentrail.gateway.refusing import refusal
from opentrail.gateway.state import Gateway
from opentrail.kernel import telemetry

log = logging.getLogger("opentrail.gateway")

LONGEST_HEAD = 128 * 1024
"""Bytes that may come without a byte of a body among them: request line and headers, chunk framing, trailers."""

WAITING = 256 * 1024
"""Bytes of a body that may wait to be used before no more is read."""

CONNECTIONS = 4096
"""Connections at once; as many more are told so, and any above that are ended without a word."""

HEAD_WITHIN = 15.0
"""Seconds from a connection's beginning, or from a request's first byte, to the end of the request's headers."""

SILENT = 60.0
"""Seconds that a connection may be without a request, or a body without a byte, or an answer without being taken."""

LINGER = 3.0
"""Seconds in which a refused client may read why."""

PIECE = 256 * 1024
"""Bytes of a file that are sent at once."""

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in http.HTTPStatus}
_UNSENDABLE = re.compile(r"[\r\n\0]")


class Edge:
    """What the connections of one server share. Belongs to the gateway's event loop."""

    def __init__(self, gateway: Gateway, tls: bool) -> None:
        self.gateway = gateway
        self.scheme = "https" if tls else "http"
        self.proxies = frozenset(gateway.tools.settings.trusted_proxies)
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = False
        self.headers = ""
        """Lines that every answer carries: server and date."""

    def begin(self, task: asyncio.Task[None]) -> None:
        """Keeps the task of an exchange until it ends."""
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # of its kind alone: its text could carry content
            log.error("a connection failed: %s", type(error).__name__)


class Exchange:
    """One request and its answer. The parser feeds the body, the pipeline takes it."""

    __slots__ = ("_expects", "_waiter", "connection", "gone", "keep", "more", "request", "size", "waiting")

    def __init__(self, connection: Connection, request: Request, keep: bool, expects: bool) -> None:
        self.connection = connection
        self.request = request
        self.keep = keep
        """Whether the connection may stay open after the answer."""
        self.more = True
        self.gone = False
        self.waiting: list[bytes] = []
        self.size = 0
        self._expects = expects
        self._waiter: asyncio.Future[None] | None = None

    async def receive(self) -> tuple[bytes, bool]:
        """What came of the body since the last time, and whether more follows. Raises HungUp."""
        connection = self.connection
        if self._expects and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._expects = False
        while self.more and not self.waiting and not self.gone:
            self._waiter = connection.loop.create_future()
            connection.active = connection.loop.time()
            connection.read_on()
            await self._waiter
        if self.gone and self.more:
            raise HungUp
        body = b"".join(self.waiting)
        self.waiting.clear()
        self.size = 0
        return body, self.more

    def feed(self, body: bytes) -> None:
        """A piece of the body came."""
        self.waiting.append(body)
        self.size += len(body)
        self.wake()

    def wake(self) -> None:
        """Something changed for who waits in `receive`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.loop = edge.gateway.loop
        self.transport: asyncio.Transport
        self.active = self.loop.time()
        """When something last happened."""
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        self._beside = 0
        self._head_since: float | None = self.active
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._reading: Exchange | None = None
        self._answering: Exchange | None = None
        self._next: deque[Exchange] = deque()
        self._started: list[Exchange] = []
        self._paused = False
        self._deaf = False
        self._writable: asyncio.Event | None = None
        self._closing = False
        self._ends_at: float | None = None
        self._later = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a listener's transports are streams
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        if len(self.edge.connections) >= 2 * CONNECTIONS:
            transport.abort()
            return
        if len(self.edge.connections) >= CONNECTIONS or self.edge.stopping:
            self._refuse(503)
        self.edge.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.edge.connections.discard(self)
        self._closing = True
        for exchange in (self._answering, self._reading, *self._next):
            if exchange is not None:
                exchange.gone = True
                exchange.wake()
        self._next.clear()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = self._writable or asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def data_received(self, data: bytes) -> None:
        self.active = self.loop.time()
        if self._deaf:
            return
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # answered as HTTP/1.1, which a server may
            self._deaf = True
        except httptools.HttpParserError:
            if not self._deaf:
                self._refuse(400)
        if self._beside > LONGEST_HEAD:
            self._refuse(431)
        for exchange in self._started:
            self._admit(exchange)
        self._started.clear()
        if self._reading is not None and self._reading.size > WAITING:
            self._read_no_more()

    # The parser's callbacks

    def on_message_begin(self) -> None:
        self._url, self._headers, self._head_size, self._head_since = b"", {}, 0, self.active

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_since is None:
            return  # a trailer: not part of what was signed
        self._head_size += len(name) + len(value) + 4
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]},{text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._head_since, self._beside = None, 0
        if self._head_size > LONGEST_HEAD:
            self._refuse(431)
            return
        parser, headers, url = self._parser, self._headers, self._url
        if not url.startswith(b"/"):
            target = httptools.parse_url(url)
            url = (target.path or b"/") + (b"?" + target.query if target.query else b"")
        path, _, query = url.decode("latin-1").partition("?")
        peer = self._peer
        if peer in self.edge.proxies and "x-forwarded-for" in headers:
            peer = headers["x-forwarded-for"].rpartition(",")[2].strip() or peer
        received = self.edge.gateway.tools.clock.now()
        request = Request(parser.get_method().decode("ascii"), path, query, headers, b"", peer, received, self.edge.scheme)
        keep = parser.should_keep_alive() and not parser.should_upgrade()
        self._reading = Exchange(self, request, keep, headers.get("expect", "").lower() == "100-continue")
        self._started.append(self._reading)

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        if self._reading is not None:
            self._reading.feed(body)

    def on_message_complete(self) -> None:
        self._beside = 0
        exchange, self._reading = self._reading, None
        if exchange is not None:
            exchange.more = False
            exchange.wake()
            self._deaf = not exchange.keep  # whatever follows a client's last request is not read
        elif self._closing:  # the rest of a body that nobody wanted
            self.transport.close()

    def _admit(self, exchange: Exchange) -> None:
        if self._closing:
            return
        if self._answering is None:
            self._begin(exchange)
            return
        self._next.append(exchange)  # as many as one read has brought
        self._read_no_more()

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        self.edge.begin(self.loop.create_task(self._serve(exchange)))

    async def _serve(self, exchange: Exchange) -> None:
        gateway, request = self.edge.gateway, exchange.request
        try:
            if request.path.startswith("/_opentrail/"):
                answer = await asyncio.to_thread(own_answer, gateway, request)
            else:
                answer = await pipeline.serve(gateway, request, Source(exchange.receive, request))
            await self._send(exchange, answer)
        except BaseException:
            self.transport.abort()
            raise
        self._answered(exchange)

    async def _send(self, exchange: Exchange, answer: Answer) -> None:
        if self._writable is not None:
            await self._writable.wait()
        if self.transport.is_closing():
            return
        exchange.keep = exchange.keep and not exchange.more and not self._closing and not self.edge.stopping
        payload = answer.body
        bare = exchange.request.method == "HEAD" or answer.status in (204, 304)
        head = self._head(exchange, answer, payload.length if isinstance(payload, Download) else len(payload))
        if isinstance(payload, Download):
            self.transport.write(head)
            if not bare and not await self._stream(exchange, payload):
                telemetry.downloads_broken.inc()
                self.transport.abort()
        elif bare or len(payload) > PIECE:
            self.transport.write(head)
            if not bare:
                self.transport.write(payload)
        else:
            self.transport.write(head + payload)

    def _head(self, exchange: Exchange, answer: Answer, length: int) -> bytes:
        lines = [_STATUS.get(answer.status) or f"HTTP/1.1 {answer.status} \r\n", self.edge.headers]
        measured = answer.status in (204, 304)
        for name, value in answer.headers:
            if not (value.isprintable() and name.isprintable()):
                name, value = _UNSENDABLE.sub(" ", name), _UNSENDABLE.sub(" ", value)
            measured = measured or name == "content-length"
            lines += (name, ": ", value, "\r\n")
        if not measured:
            lines.append(f"content-length: {length}\r\n")
        if not exchange.keep:
            lines.append("connection: close\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1", "replace")

    async def _stream(self, exchange: Exchange, download: Download) -> bool:
        """Sends a file's range as fast as the client takes it. False when it could not be sent whole."""
        with await asyncio.to_thread(download.file.open, "rb") as file:
            file.seek(download.start)
            left = download.length
            while left > 0:
                piece = await asyncio.to_thread(file.read, min(PIECE, left))
                if not piece or exchange.gone or self.transport.is_closing():
                    break
                left -= len(piece)
                self.active = self.loop.time()
                self.transport.write(piece)
                if self._writable is not None:
                    await self._writable.wait()
        return left == 0

    def _answered(self, exchange: Exchange) -> None:
        self._answering = None
        self.active = self.loop.time()
        if self._later and exchange.keep and not exchange.gone:
            self._refuse(self._later)
            return
        if exchange.more and not exchange.gone:  # what is left of the body is read and dropped, so that the answer is not lost with it
            self._closing, self._reading, self._ends_at = True, None, self.active + SILENT
            self.read_on()
        elif not exchange.keep:
            self.transport.close()
        elif self._next:
            self._begin(self._next.popleft())
        else:
            self.read_on()

    def look(self, now: float) -> None:
        """Ends a connection that is too slow or silent for too long."""
        if self._ends_at is not None:
            if now > self._ends_at:
                self.transport.abort()
        elif self._head_since is not None and now - self._head_since > HEAD_WITHIN:
            self._refuse(408)
        elif now - self.active > SILENT and self._answering is None and not self._closing:
            self.transport.close()
        elif now - self.active > SILENT and (self._closing or self._reading is not None or self._writable is not None):
            self.transport.abort()

    def close_when_idle(self) -> None:
        """Closes now, or after the answer that is under way."""
        if self._answering is None and not self._started:
            self.transport.close()
        else:
            for exchange in (self._answering, *self._started):
                if exchange is not None:
                    exchange.keep = False

    def read_on(self) -> None:
        """Takes what the client sends."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def _read_no_more(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def _refuse(self, status: int) -> None:
        """Ends the connection for a fault of the client's; says why, unless an answer is under way."""
        if self.transport.is_closing() or self._closing:
            return
        if self._answering is not None and not self._answering.more and not self._next:
            self._later, self._deaf = status, True  # the answer that is under way comes first
            return
        self._closing = True
        self._started.clear()
        if self._answering is not None:
            self._answering.gone = True
            self._answering.wake()
            self.transport.close()
            return
        self.transport.write(refusal(status, self.edge.headers, self.edge.gateway.tools.ids.uuid()))
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed at once, with bytes unread, the system would take the answer back: what still comes is dropped for a while.
        self.transport.write_eof()
        self._deaf, self._ends_at = True, self.loop.time() + LINGER
