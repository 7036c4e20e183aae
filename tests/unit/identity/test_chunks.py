"""aws-chunked bodies: decoded whatever the pieces, refused when altered, cut, extended or signed by another."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opentrail.identity.chunks import ChunkReader
from opentrail.identity.refusals import Rejected
from opentrail.identity.sigv4 import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    Claim,
    signing_key,
)

SECRET = "secret"
CLAIM = Claim("AKIA", "20260101", "us-east-1", "s3", ("host",), "a" * 64, "20260101T000000Z", "", False, STREAMING_SIGNED)
EMPTY = sha256(b"").hexdigest()


def encode(chunks: list[bytes], claim: Claim, trailers: bytes = b"") -> bytes:
    """The body as a client encodes it, by the documented rules."""
    key = signing_key(SECRET, claim.date, claim.region, claim.service)
    signed = claim.payload != STREAMING_UNSIGNED_TRAILER
    previous, body = claim.signature, b""
    for chunk in [*chunks, b""]:
        head = f"{len(chunk):x}"
        if signed:
            text = f"AWS4-HMAC-SHA256-PAYLOAD\n{claim.timestamp}\n{claim.scope}\n{previous}\n{EMPTY}\n{sha256(chunk).hexdigest()}"
            previous = hmac.new(key, text.encode(), "sha256").hexdigest()
            head += f";chunk-signature={previous}"
        body += head.encode() + b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    if claim.payload == STREAMING_SIGNED:
        return body + b"\r\n"
    body += b"".join(line + b"\r\n" for line in trailers.splitlines())
    if signed:
        hashed = sha256(b"".join(line + b"\n" for line in trailers.splitlines())).hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{claim.timestamp}\n{claim.scope}\n{previous}\n{hashed}"
        body += b"x-amz-trailer-signature:" + hmac.new(key, text.encode(), "sha256").hexdigest().encode() + b"\r\n"
    return body + b"\r\n"


def decode(
    body: bytes, claim: Claim, length: int, piece: int = 7, secret: str = SECRET, announced: str = ""
) -> tuple[bytes, dict[str, str]]:
    reader = ChunkReader(claim, secret, length, announced)
    out = b"".join(part for start in range(0, len(body), piece) for part in reader.feed(body[start : start + piece]))
    return out, reader.finish()


KINDS = [STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), st.lists(st.binary(min_size=1, max_size=30), max_size=4), st.integers(1, 50))
def test_decodes_whatever_the_pieces(kind: str, chunks: list[bytes], piece: int) -> None:
    claim = replace(CLAIM, payload=kind)
    trailers = b"" if kind == STREAMING_SIGNED else b"x-amz-checksum-crc32:AAAAAA=="
    body = encode(chunks, claim, trailers)
    out, found = decode(body, claim, sum(map(len, chunks)), piece, announced=" X-Amz-Checksum-CRC32" if trailers else "")
    assert out == b"".join(chunks)
    assert found == ({"x-amz-checksum-crc32": "AAAAAA=="} if trailers else {})


@pytest.mark.parametrize("kind", KINDS)
def test_every_altered_byte_of_signed_content_is_found(kind: str) -> None:
    claim = replace(CLAIM, payload=kind)
    body = encode([b"hello", b"world"], claim, b"" if kind == STREAMING_SIGNED else b"x-amz-checksum-crc32:AAAAAA==")
    if kind == STREAMING_UNSIGNED_TRAILER:
        with pytest.raises(Rejected):
            decode(body.replace(b"5\r\nhello", b"6\r\nhello"), claim, 10)
        return
    for place in range(len(body)):
        altered = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(Rejected):
            decode(altered, claim, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_stops_early_or_goes_on_is_refused(kind: str) -> None:
    claim = replace(CLAIM, payload=kind)
    body = encode([b"hello", b"world"], claim, b"")
    for end in range(len(body) - 2):
        with pytest.raises(Rejected):
            decode(body[:end] if end else b"0", claim, 10)
    with pytest.raises(Rejected):
        decode(body + b"more\r\n", claim, 10)


def test_length_secret_and_order_are_bound() -> None:
    body = encode([b"hello", b"world"], CLAIM)
    for length in (9, 11):
        with pytest.raises(Rejected):
            decode(body, CLAIM, length)
    with pytest.raises(Rejected, match="chunk"):
        decode(body, CLAIM, 10, secret="other")
    first, second = body.find(b"5;"), body.find(b"5;", 5)
    swapped = body[second : body.find(b"0;")] + body[first:second] + body[body.find(b"0;") :]
    with pytest.raises(Rejected, match="chunk"):
        decode(swapped, CLAIM, 10)


def test_heads_are_bounded() -> None:
    reader = ChunkReader(CLAIM, SECRET, 10)
    with pytest.raises(Rejected, match="body"):
        list(reader.feed(b"5" * 9000))


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize(("announced", "sent"), [
    ("x-amz-checksum-crc32", b""), ("", b"x-amz-checksum-crc32:AAAAAA=="), ("x-amz-checksum-sha256", b"x-amz-checksum-crc32:AAAAAA=="),
    ("x-amz-checksum-crc32", b"x-amz-checksum-crc32:AAAAAA==\nx-amz-checksum-crc32:BBBBBB=="),
])  # fmt: skip
def test_trailing_headers_are_those_announced(kind: str, announced: str, sent: bytes) -> None:
    claim = replace(CLAIM, payload=kind)
    with pytest.raises(Rejected, match="trailer"):
        decode(encode([b"hello"], claim, sent), claim, 5, announced=announced)
