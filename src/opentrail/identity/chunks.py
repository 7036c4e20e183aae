"""Bodies in aws-chunked encoding: decoded piece by piece, each chunk's signature checked as soon as it is complete.

    reader = ChunkReader(claim, secret, decoded_length, announced)
    for piece in body: spool.write(b"".join(reader.feed(piece)))
    trailers = reader.finish()

Bytes are given out before their chunk's signature is known: what was spooled MUST be thrown away when anything raises.
Source: S3 API Reference, "Signature calculations: transferring payload in multiple chunks" and "... with trailing headers".
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from hashlib import sha256

from opentrail.identity.canonical import canonical_value
from opentrail.identity.refusals import Rejected
from opentrail.identity.sigv4 import (
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    Claim,
    signing_key,
)

LONGEST_LINE = 8192
MOST_TRAILERS = 16
_EMPTY = sha256(b"").hexdigest()
_UNSIGNED_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})")
_SIGNED_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})")
_TRAILER = re.compile(rb"([A-Za-z0-9-]{1,128}):([^\r\n]*)")


class ChunkReader:
    """Decodes one body. `announced` is the header x-amz-trailer: the names of the trailing headers that must follow, with commas
    between them. Not thread safe."""

    def __init__(self, claim: Claim, secret: str, decoded_length: int, announced: str = "") -> None:
        self._signed = claim.payload != STREAMING_UNSIGNED_TRAILER
        self._trailing = claim.payload in (STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER)
        self._key = signing_key(secret, claim.date, claim.region, claim.service)
        self._context = f"{claim.timestamp}\n{claim.scope}\n"
        self._previous = claim.signature
        self._expected = ""
        self._promised = decoded_length
        self._given = 0
        self._buffer = b""
        self._left = 0
        self._hash = sha256()
        self._state = "head"
        self._announced = sorted(filter(None, [name.strip().lower() for name in announced.split(",")]))
        self._trailers: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes that `data` completes. Raises Rejected for a wrong signature or malformed encoding."""
        self._buffer += data
        while self._buffer:
            if self._state == "data":
                piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                self._left -= len(piece)
                self._hash.update(piece)
                if not self._left:
                    self._state = "end"
                yield piece
                continue
            line = self._line()
            if line is None:
                return
            self._take(line)

    def finish(self) -> dict[str, str]:
        """The trailing headers, after the last byte. Raises Rejected when the body is incomplete, its length is not the promised one, or
        other trailing headers came than were announced: a checksum that was promised must not be left out on the way."""
        if self._state not in ("done", "trailers-over") or self._buffer:
            raise Rejected("body", "The request body terminated unexpectedly")
        if self._given != self._promised:
            raise Rejected("body", "You did not provide the number of bytes specified by x-amz-decoded-content-length.")
        if sorted(name for name, _ in self._trailers) != self._announced:
            raise Rejected("trailer", "The trailing headers are not those that x-amz-trailer announces.")
        return dict(self._trailers)

    def _line(self) -> bytes | None:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            if len(self._buffer) > LONGEST_LINE:
                raise Rejected("body", "A chunk's head is too long.")
            return None
        self._buffer = rest
        return line

    def _take(self, line: bytes) -> None:
        if self._state == "head":
            self._begin(line)
        elif self._state == "end":
            if line:
                raise Rejected("body", "A chunk is longer than its head says.")
            self._close_chunk()
            self._state = "head"
        elif self._state == "trailers":
            self._trailer(line)
        elif line or self._state == "done":
            raise Rejected("body", "Bytes follow the last chunk.")
        else:
            self._state = "done"

    def _begin(self, line: bytes) -> None:
        match = (_SIGNED_HEAD if self._signed else _UNSIGNED_HEAD).fullmatch(line)
        if match is None:
            raise Rejected("body", "A chunk's head is malformed.")
        size = int(match.group(1), 16)
        self._expected = match.group(2).decode() if self._signed else ""
        self._given += size
        if self._given > self._promised:
            raise Rejected("body", "More bytes came than x-amz-decoded-content-length says.")
        self._hash = sha256()
        if size:
            self._left, self._state = size, "data"
            return
        self._close_chunk()
        self._state = "trailers" if self._trailing else "trailers-over"

    def _close_chunk(self) -> None:
        if self._signed:
            self._prove(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._context}{self._previous}\n{_EMPTY}\n{self._hash.hexdigest()}", self._expected)

    def _trailer(self, line: bytes) -> None:
        if not line:
            self._close_trailers()
            return
        match = _TRAILER.fullmatch(line)
        if match is None or len(self._trailers) >= MOST_TRAILERS:
            raise Rejected("trailer", "A trailing header is malformed, or there are too many.")
        name, value = match.group(1).decode().lower(), canonical_value(match.group(2).decode("latin-1"))
        if name == "x-amz-trailer-signature":
            self._expected = value
            self._prove_trailers()
            self._state = "trailers-over"
        else:
            self._trailers.append((name, value))

    def _close_trailers(self) -> None:
        if self._signed:
            raise Rejected("chunk", "The trailing headers are not signed.")
        self._state = "done"

    def _prove_trailers(self) -> None:
        if not self._signed:
            raise Rejected("trailer", "A trailer signature does not belong to an unsigned payload.")
        text = "".join(f"{name}:{value}\n" for name, value in self._trailers)
        hashed = sha256(text.encode("latin-1")).hexdigest()
        self._prove(f"AWS4-HMAC-SHA256-TRAILER\n{self._context}{self._previous}\n{hashed}", self._expected)

    def _prove(self, to_sign: str, signature: str) -> None:
        computed = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(computed.encode(), signature.encode("utf-8", "surrogateescape")):
            raise Rejected("chunk")
        self._previous = computed
