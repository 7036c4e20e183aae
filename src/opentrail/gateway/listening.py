"""The listening socket of a web process: takes connections, looks after slow ones, and lets what came be answered at the end."""

from __future__ import annotations

import asyncio
import os
import ssl
from email.utils import formatdate
from pathlib import Path

import uvloop

from opentrail.gateway.http import Connection, Edge
from opentrail.gateway.state import Gateway

_BACKLOG = 2048
_LOOK_EVERY = 1.0


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop of a web process. Without io_uring, for which the kernel keeps a thread busy looking for requests."""
    os.environ.setdefault("UV_USE_IO_URING", "0")
    return uvloop.new_event_loop()


class Server:
    """Serves a gateway's calls on one address. `start` and `stop` once each, on the gateway's event loop."""

    def __init__(self, gateway: Gateway, certificate: Path | None = None, key: Path | None = None) -> None:
        self.edge = Edge(gateway, certificate is not None)
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(certificate, key)
        self._listening: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._listening is not None, "start comes first"
        return int(self._listening.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listens. Raises OSError."""
        self._tick()
        self._looking = asyncio.create_task(self._look())
        loop = self.edge.gateway.loop
        self._listening = await loop.create_server(lambda: Connection(self.edge), host, port, ssl=self._tls, backlog=_BACKLOG)

    async def stop(self, patience: float) -> None:
        """Takes no more requests, and lets those that came be answered, for `patience` seconds."""
        self.edge.stopping = True
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.edge.connections):
            connection.close_when_idle()
        if self.edge.tasks:
            await asyncio.wait(self.edge.tasks, timeout=patience)
        if self._looking is not None:
            self._looking.cancel()
        for connection in list(self.edge.connections):
            connection.transport.abort()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._tick()
            now = self.edge.gateway.loop.time()
            for connection in list(self.edge.connections):
                connection.look(now)

    def _tick(self) -> None:
        now = self.edge.gateway.tools.clock.now()
        self.edge.headers = f"server: OpenTrail\r\ndate: {formatdate(now, usegmt=True)}\r\n"
