"""The HTTP server: uvicorn on uvloop with the httptools parser, and the bounds that uvicorn leaves to a proxy in front."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from opentrail.gateway.asgi import Asgi

LONGEST_HEAD = 128 * 1024
"""Bytes that a connection may send beside bodies before a body byte comes: request line and headers, chunk framing, trailers."""

PATIENCE = 15.0
"""Seconds from a connection's beginning, or from a request's first byte, to the end of the request's headers."""

KEPT_OPEN = 60
"""Seconds that a connection without a request stays open."""

_LOOK_EVERY = 1.0

new_event_loop = uvloop.new_event_loop


class Connection(HttpToolsProtocol):
    """One client's connection, which may neither be slow with its headers nor endless."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._beside = 0
        self.head_since: float | None = self.loop.time()
        """When the head that is being read (or waited for, at first) began; None while none is."""

    def data_received(self, data: bytes) -> None:
        self._beside += len(data)
        super().data_received(data)
        if self._beside > LONGEST_HEAD:
            self.refuse(431)

    def on_message_begin(self) -> None:
        self.head_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_since = None
        self._beside = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._beside = 0
        super().on_message_complete()

    def refuse(self, status: int) -> None:
        """Ends the connection; says why, unless an answer is under way already."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


class Server(uvicorn.Server):
    """Serves an application until `should_exit` is set; then it lets every call end."""

    def __init__(self, app: Asgi, host: str, port: int, certificate: Path | None, key: Path | None, patience: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=KEPT_OPEN,
                timeout_graceful_shutdown=patience,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        self._looked = 0.0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are app.py's."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Also ends the connections that take too long over their headers."""
        now = asyncio.get_running_loop().time()
        if now > self._looked + _LOOK_EVERY:
            self._looked = now
            for one in list[Any](self.server_state.connections):
                if one.head_since is not None and one.head_since < now - PATIENCE:
                    one.refuse(408)
        return await super().on_tick(counter)
