"""HTTP in and out (ASGI): reads bodies within limits, hands requests to the pipeline, sends answers, serves /_opentrail/."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opentrail.calls.call import Answer, Download, Request
from opentrail.gateway import body, pipeline
from opentrail.gateway.own import own_answer
from opentrail.gateway.state import Gateway
from opentrail.kernel import telemetry

log = logging.getLogger("opentrail.gateway")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_CHUNK = 256 * 1024


def asgi(gateway: Gateway) -> Asgi:
    """The ASGI application of one web process."""
    proxies = frozenset(gateway.tools.settings.trusted_proxies)
    now = gateway.tools.clock.now

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = request_of(scope, now(), proxies)
        if request.path.startswith("/_opentrail/"):
            await send_answer(await asyncio.to_thread(own_answer, gateway, request), request, receive, send)
            return
        answer = await pipeline.serve(gateway, request, body.Source(receive, request))
        await send_answer(answer, request, receive, send)

    return app


def request_of(scope: Scope, received: float, proxies: frozenset[str]) -> Request:
    """The request head as the pipeline sees it. X-Forwarded-For counts only when a listed proxy sent it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    peer = scope["client"][0] if scope.get("client") else ""
    if peer in proxies and "x-forwarded-for" in headers:
        peer = headers["x-forwarded-for"].rpartition(",")[2].strip() or peer
    raw_path = scope.get("raw_path")
    return Request(
        method=scope["method"],
        path=raw_path.decode("latin-1") if raw_path else scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"",
        peer=peer,
        received=received,
        scheme=scope.get("scheme", "http"),
    )


async def send_answer(answer: Answer, request: Request, receive: Receive, send: Send) -> None:
    """Sends an answer; a streamed one stops being read when the client is gone."""
    payload = answer.body
    length = payload.length if isinstance(payload, Download) else len(payload)
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers.append((b"server", b"OpenTrail"))
    if answer.status not in (204, 304) and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if request.method == "HEAD" or answer.status in (204, 304):
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(payload, Download):
        await _stream(payload, receive, send)
    else:
        await send({"type": "http.response.body", "body": payload})


async def _stream(download: Download, receive: Receive, send: Send) -> None:
    """Sends a file's range in pieces. `send` never tells that the client is gone, so `receive` is raced for it."""
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        with await asyncio.to_thread(download.file.open, "rb") as file:
            file.seek(download.start)
            left = download.length
            while left > 0 and not gone.done():
                piece = await asyncio.to_thread(file.read, min(_CHUNK, left))
                if not piece:
                    break
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if download.length == 0:
            await send({"type": "http.response.body", "body": b""})
        elif left:
            telemetry.downloads_broken.inc()
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
