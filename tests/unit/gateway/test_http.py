"""The HTTP edge over real sockets, with an application of a few lines behind it: framing, bounds, patience, and no answer lost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opentrail.calls.call import Answer, Download, Request
from opentrail.gateway import http
from opentrail.gateway.body import HungUp, Source
from opentrail.gateway.listening import Server
from opentrail.kernel.ambient import SystemClock, SystemIds

Serve = Callable[[Any, Request, Source], Awaitable[Answer]]


class Seen:
    """What the application got."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.hung_up = 0
        self.hold: asyncio.Event | None = None
        self.file = Path()

    async def serve(self, gateway: Any, request: Request, source: Source) -> Answer:
        self.requests.append(request)
        if request.path == "/refuse":
            return Answer(403, (), b"no")
        if self.hold is not None:
            await self.hold.wait()
        try:
            body = b"".join([piece async for piece in source._pieces()])
        except HungUp:
            self.hung_up += 1
            return Answer(400, ())
        self.bodies.append(body)
        if request.path == "/file":
            return Answer(200, (), Download(self.file, 1, self.file.stat().st_size - 1))
        if request.path == "/odd":
            return Answer(200, (("x-a", "1\r\nx-b: 2"),), b"")
        if request.path == "/fault":
            raise KeyError("of patient Smith")
        return Answer(204 if request.path == "/nothing" else 200, (("x-path", request.path),), hashlib.sha256(body).hexdigest().encode())


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Place:
    def __init__(self, server: Server, seen: Seen, port: int) -> None:
        self.server, self.seen, self.port = server, seen, port

    async def connect(self) -> Client:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, raw: bytes) -> bytes:
        """What comes back on a connection of its own until it is closed."""
        reader, writer = await self.connect()
        writer.write(raw)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer


@asynccontextmanager
async def place(proxies: tuple[str, ...] = ()) -> AsyncIterator[Place]:
    seen = Seen()
    gateway: Any = SimpleNamespace(
        loop=asyncio.get_running_loop(),
        tools=SimpleNamespace(settings=SimpleNamespace(trusted_proxies=proxies), clock=SystemClock(), ids=SystemIds()),
    )
    server = Server(gateway)
    before = http.pipeline.serve
    http.pipeline.serve = seen.serve
    try:
        await server.start("127.0.0.1", 0)
        yield Place(server, seen, server.port)
    finally:
        if seen.hold is not None:
            seen.hold.set()
        await server.stop(5)
        http.pipeline.serve = before


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """The next answer of a connection that stays open."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode().split("\r\n")
    headers = {line.partition(": ")[0]: line.partition(": ")[2] for line in head[1:] if line}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


async def test_requests_are_seen_as_they_came() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"POST /a%20b//c?x=%2B&y HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nX-Twice:  2  3\r\nContent-Length: 4\r\n\r\nbody")
        assert await answer_of(reader) == (200, unchanging(x_path="/a%20b//c"), digest(b"body"))
        request = at.seen.requests[0]
        assert (request.method, request.path, request.query, request.peer) == ("POST", "/a%20b//c", "x=%2B&y", "127.0.0.1")
        assert request.headers == {"host": "h", "x-twice": "1,2  3", "content-length": "4"}
        writer.close()


def unchanging(x_path: str) -> Any:
    """Headers to compare with: dates differ."""

    class Headers(dict[str, str]):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, dict) and other["server"] == "OpenTrail" and other["x-path"] == x_path and "date" in other

        __hash__ = None  # type: ignore[assignment]

    return Headers()


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        for number in range(20):
            writer.write(b"GET /%d HTTP/1.1\r\n\r\n" % number)
            assert (await answer_of(reader))[1]["x-path"] == f"/{number}"
        writer.close()


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async with place() as at:
        at.seen.hold = asyncio.Event()
        reader, writer = await at.connect()
        writer.write(b"".join(b"PUT /%d HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy" % number for number in range(10)))
        await asyncio.sleep(0.2)
        assert len(at.seen.requests) == 1
        at.seen.hold.set()
        assert [(await answer_of(reader))[1]["x-path"] for _ in range(10)] == [f"/{number}" for number in range(10)]
        assert at.seen.bodies == [b"xy"] * 10
        writer.close()


async def test_no_more_requests_are_read_than_one_read_brings_while_one_is_answered() -> None:
    async with place() as at:
        at.seen.hold = asyncio.Event()
        reader, writer = await at.connect()
        count, one = 100_000, b"GET / HTTP/1.1\r\n\r\n"
        writer.write(one * count)
        await asyncio.sleep(0.3)
        (connection,) = at.server.edge.connections
        assert len(connection._next) * len(one) <= http.WAITING
        assert len(at.seen.requests) == 1
        writer.transport.abort()
        at.seen.hold.set()
        with suppress(ConnectionError):
            await reader.read()


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
async def test_bodies_come_whole_by_length_and_in_chunks(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"PUT /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + body)
        assert (await answer_of(reader))[2] == digest(body)
        writer.write(b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, size, 100_000):
            piece = body[start : start + 100_000]
            writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        writer.write(b"0\r\nX-Trailer: 1\r\n\r\n")
        assert (await answer_of(reader))[2] == digest(body)
        assert "x-trailer" not in at.seen.requests[-1].headers
        writer.close()


async def test_no_more_of_a_body_is_read_than_is_used() -> None:
    async with place() as at:
        at.seen.hold = asyncio.Event()
        reader, writer = await at.connect()
        body = b"x" * 30_000_000
        writer.write(b"PUT /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await asyncio.sleep(0.3)
        (connection,) = at.server.edge.connections
        assert connection._reading is not None
        assert connection._reading.size < 2 * http.WAITING
        at.seen.hold.set()
        assert (await answer_of(reader))[2] == digest(body)
        writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on_only_when_its_body_is_wanted() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await answer_of(reader))[2] == digest(b"ab")
        writer.write(b"PUT /refuse HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        status, headers, _ = await answer_of(reader)
        assert (status, headers["connection"]) == (403, "close")
        writer.close()


async def test_a_refusal_reaches_a_client_that_still_sends() -> None:
    async with place() as at:
        answer = await at.ask(b"PUT /refuse HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
        assert answer.startswith(b"HTTP/1.1 403")
        assert answer.endswith(b"no")


async def test_a_client_that_goes_away_is_noticed() -> None:
    async with place() as at:
        _, writer = await at.connect()
        writer.write(b"PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.2)
        assert at.seen.hung_up == 1
        assert not at.server.edge.connections


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", b"400"),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 40_000 + b"\r\n", b"431"),
    ],
)
async def test_what_is_not_http_is_refused(raw: bytes, status: bytes) -> None:
    async with place() as at:
        answer = await at.ask(raw)
        assert answer[9:12] == status
        assert b"connection: close" in answer
        assert at.seen.bodies == []


async def test_endless_trailers_end_the_connection() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        writer.write(b"X: y\r\n" * 400_000)
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 20)
        assert at.seen.bodies == []
        assert not at.server.edge.connections
        writer.close()


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0", b"GET / HTTP/1.1\r\nConnection: close"])
async def test_a_client_that_wants_to_end_is_let_go_after_its_answer(line: bytes) -> None:
    async with place() as at:
        answer = await at.ask(line + b"\r\n\r\nGET /more HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.count(b"HTTP/1.1 200") == 1
        assert len(at.seen.requests) == 1


async def test_an_upgrade_is_answered_as_plain_http() -> None:
    async with place() as at:
        answer = await at.ask(b"GET /a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")


async def test_an_address_with_scheme_and_host_is_read_for_its_path() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"GET http://host:1/a?b=c HTTP/1.1\r\n\r\n")
        assert (await answer_of(reader))[0] == 200
        assert (at.seen.requests[0].path, at.seen.requests[0].query) == ("/a", "b=c")
        writer.close()


async def test_answers_without_a_body() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"GET /nothing HTTP/1.1\r\n\r\nHEAD /a HTTP/1.1\r\n\r\nGET /last HTTP/1.1\r\n\r\n")
        assert b"content-length" not in await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 64" in await reader.readuntil(b"\r\n\r\n")
        assert (await answer_of(reader))[1]["x-path"] == "/last"
        writer.close()


async def test_a_file_is_sent_as_fast_as_it_is_taken(tmp_path: Path) -> None:
    async with place() as at:
        at.seen.file = tmp_path / "file"
        at.seen.file.write_bytes(b"0123456789abcdef" * 2_000_000)
        reader, writer = await at.connect()
        writer.write(b"GET /file HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.3)
        (connection,) = at.server.edge.connections
        assert connection.transport.get_write_buffer_size() < 4 * http.PIECE
        assert (await answer_of(reader))[2] == at.seen.file.read_bytes()[1:]
        writer.close()


async def test_a_file_that_nobody_takes_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with place() as at:
        at.seen.file = tmp_path / "file"
        at.seen.file.write_bytes(bytes(32_000_000))
        _, writer = await at.connect()
        writer.write(b"GET /file HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.transport.abort()
        await asyncio.sleep(0.3)
        assert not at.server.edge.tasks


async def test_a_file_that_ends_early_breaks_the_connection(tmp_path: Path) -> None:
    async with place() as at:
        at.seen.file = tmp_path / "file"
        at.seen.file.write_bytes(bytes(3_000_000))
        reader, writer = await at.connect()
        at.seen.hold = asyncio.Event()
        writer.write(b"GET /file HTTP/1.1\r\n\r\n")
        at.seen.hold.set()
        await asyncio.sleep(0)
        size = at.seen.file.stat().st_size
        original = http.Connection._stream

        async def short(self: http.Connection, exchange: http.Exchange, download: Download) -> bool:
            return await original(self, exchange, Download(download.file, 1, size + 10))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http.Connection, "_stream", short)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(size + 1000)
        writer.close()


async def test_no_answer_carries_a_header_of_its_callers_making() -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"GET /odd HTTP/1.1\r\n\r\n")
        headers = (await answer_of(reader))[1]
        assert headers["x-a"] == "1  x-b: 2"
        assert "x-b" not in headers
        writer.close()


async def test_a_fault_behind_ends_the_connection_and_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as at:
        reader, writer = await at.connect()
        writer.write(b"GET /fault HTTP/1.1\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        await asyncio.sleep(0.05)
        assert "KeyError" in caplog.text
        assert "Smith" not in caplog.text
        writer.close()


@pytest.mark.parametrize("raw", [b"", b"GET / HT", b"PUT /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", b"GET /a HTTP/1.1\r\n\r\n"])
async def test_nobody_keeps_a_connection_by_silence(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_WITHIN", 0.3)
    monkeypatch.setattr(http, "SILENT", 0.3)
    async with place() as at:
        await at.ask(raw)
        await asyncio.sleep(0.05)
        assert not at.server.edge.connections


async def test_there_are_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 2)
    async with place() as at:
        held = [await at.connect() for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await at.ask(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503")
        for _, writer in held:
            writer.close()


async def test_stopping_lets_what_came_be_answered() -> None:
    async with place() as at:
        at.seen.hold = asyncio.Event()
        reader, writer = await at.connect()
        idle = await at.connect()
        writer.write(b"GET /a HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(at.server.stop(10))
        await asyncio.sleep(0.1)
        assert await idle[0].read() == b""
        at.seen.hold.set()
        status, headers, _ = await answer_of(reader)
        assert (status, headers["connection"]) == (200, "close")
        await stopping
        with pytest.raises(ConnectionError):
            await at.connect()
        writer.close()


@pytest.mark.parametrize(("proxies", "peer"), [((), "127.0.0.1"), (("127.0.0.1",), "10.0.0.7"), (("127.0.0.9",), "127.0.0.1")])
async def test_a_forwarded_address_counts_only_from_a_listed_proxy(proxies: tuple[str, ...], peer: str) -> None:
    async with place(proxies) as at:
        reader, writer = await at.connect()
        writer.write(b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.7\r\n\r\n")
        await answer_of(reader)
        assert at.seen.requests[0].peer == peer
        writer.close()
