"""Digests and log files as they are found in a bucket, where anybody may have written them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

LARGEST = 256 * 1024 * 1024
"""Most bytes that an object may inflate to."""


class Entry(msgspec.Struct, frozen=True):
    """A log file as a digest names it."""

    s3Bucket: str
    s3Object: str
    hashValue: str
    hashAlgorithm: str
    newestEventTime: str
    oldestEventTime: str


class Document(msgspec.Struct, frozen=True):
    """A digest's JSON."""

    awsAccountId: str
    digestStartTime: str
    digestEndTime: str
    digestS3Bucket: str
    digestS3Object: str
    digestPublicKeyFingerprint: str
    digestSignatureAlgorithm: str
    newestEventTime: str | None
    oldestEventTime: str | None
    previousDigestS3Bucket: str | None
    previousDigestS3Object: str | None
    previousDigestHashValue: str | None
    previousDigestHashAlgorithm: str | None
    previousDigestSignature: str | None
    logFiles: list[Entry]


class Record(msgspec.Struct, frozen=True):
    """What is looked at of a record."""

    eventID: str
    eventTime: str
    awsRegion: str
    recipientAccountId: str = ""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log file's JSON."""

    Records: list[Record]


At = tuple[str, str]
"""Where an object lies: bucket and key."""


class Digest(NamedTuple):
    """A digest that could be read. `signed`: it lies where it says, and a known key signed it."""

    at: At
    region: str
    trail: str
    body: bytes
    signature: str
    value: Document
    signed: bool

    def previous(self) -> At | None:
        """The digest that it names as its predecessor."""
        value = self.value
        if value.previousDigestS3Bucket is None or value.previousDigestS3Object is None:
            return None
        return value.previousDigestS3Bucket, value.previousDigestS3Object

    def names(self) -> Iterator[At]:
        """Every file that it names."""
        if (previous := self.previous()) is not None:
            yield previous
        for entry in self.value.logFiles:
            yield entry.s3Bucket, entry.s3Object


DIGEST_KEY = re.compile(
    r"CloudTrail-Digest/(?P<region>[a-z0-9-]+)/\d{4}/\d\d/\d\d/"
    r"(?P<account>\d{12})_CloudTrail-Digest_(?P=region)_(?P<trail>.+)_(?P<home>[a-z0-9-]+)_(?P<end>\d{8}T\d{6}Z)\.json\.gz\Z"
)
LOG_KEY = re.compile(r"CloudTrail/(?P<region>[a-z0-9-]+)/\d{4}/\d\d/\d\d/(?P<account>\d{12})_CloudTrail_(?P=region)_[^/]+\.json\.gz\Z")
read_document = msgspec.json.Decoder(Document).decode
read_log = msgspec.json.Decoder(Log).decode
"""Both raise msgspec.DecodeError and, for JSON that is nested too deep, RecursionError."""


def inflated(packed: bytes) -> tuple[bytes, str]:
    """The bytes of exactly one gzip member, and what is wrong with it (empty: nothing)."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = inflater.decompress(packed, LARGEST)
    except zlib.error:
        return b"", "not gzip, or damaged"
    if inflater.unconsumed_tail:
        return b"", f"inflates to more than {LARGEST} bytes"
    if not inflater.eof:
        return b"", "the gzip stream ends early"
    if inflater.unused_data:
        return b"", "something follows the gzip stream"
    return body, ""
