"""Uploads that stop half-way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import Server

from tests.fault.load import put_object, signed

MB = 1024 * 1024


@contextmanager
def half_sent(server: Server, bucket: str, key: str, body: bytes) -> Iterator[socket.socket]:
    """A connection over which half of an object has come in."""
    request = signed(put_object(bucket, key, body), key, server.url, server.credentials)
    before, until = spooled(server), time.monotonic() + 30
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head(server, "PUT", f"/{bucket}/{key}", {**dict(request.headers.items()), "content-length": str(len(body))}))
        connection.sendall(body[: len(body) // 2])
        while spooled(server) == before:
            assert time.monotonic() < until, "the upload never began"
            time.sleep(0.02)
        yield connection


def spooled(server: Server) -> list[Path]:
    """The files of bodies that come in to any server of the folder."""
    return sorted((server.folder / "objects" / "spool").glob("*/*"))


def head(server: Server, method: str, path: str, headers: dict[str, str]) -> bytes:
    """The head of a raw HTTP request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n{lines}\r\n".encode()
