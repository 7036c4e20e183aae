"""Request bodies: whole ones in memory within limits, streamed ones to a spool file with running hashes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from opentrail.calls.call import Request, Upload
from opentrail.kernel.errors import ServiceError, Unavailable

IN_MEMORY = 64 * 1024 * 1024
"""Bytes of request bodies held in memory at once, over all calls."""

_WRITE = 1024 * 1024


class TooLarge(ServiceError):
    """The body is longer than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__("RequestEntityTooLarge", "The request body is larger than {limit} bytes.", status=413, limit=limit)


class HungUp(Exception):
    """The client went away before its request was complete."""


class Memory:
    """How much of `IN_MEMORY` is taken. Used on the event loop alone."""

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        if size > self._left:
            raise Unavailable("Too many request bodies are being read. Try again.")
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


class Source:
    """A request's body, not read yet."""

    def __init__(self, receive: Callable[[], Awaitable[tuple[bytes, bool]]], request: Request) -> None:
        """`receive` gives what came since it was last asked, and whether more follows; it raises HungUp."""
        self._receive = receive
        length = request.header("content-length")
        self.declared = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None

    async def _pieces(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            piece, more = await self._receive()
            if piece:
                yield piece

    async def whole(self, limit: int, memory: Memory) -> bytes:
        """The body, at most `limit` bytes. Raises TooLarge, HungUp, Unavailable."""
        if self.declared is not None and self.declared > limit:
            raise TooLarge(limit)
        first, more = await self._receive()
        if not more:
            if len(first) > limit:
                raise TooLarge(limit)
            return first
        memory.take(len(first))
        pieces, size = [first], len(first)
        try:
            async for piece in self._pieces():
                memory.take(len(piece))
                size += len(piece)
                pieces.append(piece)
                if size > limit:
                    raise TooLarge(limit)
        finally:
            memory.give(size)
        return b"".join(pieces)

    async def spool(self, file: Path, limit: int, chunks: ChunkDecoder | None) -> Upload:
        """Writes the body to `file`, fsynced, and measures it. `chunks` takes the framing of aws-chunked bodies off.

        The file is the caller's from the start, also when this raises (TooLarge, HungUp, ServiceError).
        """
        if self.declared is not None and chunks is None and self.declared > limit:
            raise TooLarge(limit)
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        size = 0
        pending: list[bytes] = []
        waiting = 0
        handle = await asyncio.to_thread(_create, file)
        try:
            async for raw in self._pieces():
                piece = chunks.feed(raw) if chunks is not None else raw
                size += len(piece)
                waiting += len(piece)
                if size > limit:
                    raise TooLarge(limit)
                pending.append(piece)
                if waiting >= _WRITE:
                    await asyncio.to_thread(_write, handle, pending, sha256, md5)
                    pending, waiting = [], 0
            if chunks is not None:
                chunks.finish()
            await asyncio.to_thread(_write, handle, pending, sha256, md5)
            await asyncio.to_thread(_sync, handle)
        finally:
            await asyncio.to_thread(handle.close)
        return Upload(file, size, sha256.hexdigest(), md5.hexdigest())


class ChunkDecoder(Protocol):
    """Takes aws-chunked framing off and checks chunk signatures; raises ServiceError for a wrong one."""

    def feed(self, raw: bytes) -> bytes: ...

    def finish(self) -> None: ...


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _create(file: Path) -> BinaryIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write(handle: BinaryIO, pieces: list[bytes], *hashes: _Hash) -> None:
    for piece in pieces:
        handle.write(piece)
        for digest in hashes:
            digest.update(piece)


def _sync(handle: BinaryIO) -> None:
    handle.flush()
    os.fsync(handle.fileno())
