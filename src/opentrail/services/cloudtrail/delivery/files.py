"""A log file's name and bytes. Both follow from its row and the journal alone, so that every attempt puts the same object.

Source: CloudTrail user guide, "CloudTrail log file name format"; stamps of real files are multiples of five minutes, not
earlier than their records; a file is one gzip member.
"""

from __future__ import annotations

import gzip
import hashlib
import string
import time
import zlib
from collections.abc import Sequence
from typing import NamedTuple

OPEN, SEPARATOR, CLOSE = b'{"Records":[', b",", b"]}"
"""The envelope of real files: nothing but the records."""

LARGEST = 50_000_000
"""Most bytes of a file before compression (user guide: 50 MB)."""

LEVEL = 6
"""Of compression: the default of gzip."""

STAMP_STEP = 300
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_NAME = 16
_WHOLE = 43
"""Base62 digits of 256 bits."""


def unique_name(installation: str, trail: str, region: str, first_position: int) -> str:
    """16 characters of [0-9A-Za-z] that no other file of any installation has."""
    digest = hashlib.sha256("\n".join((installation, trail, region, str(first_position))).encode()).digest()
    number = int.from_bytes(digest)
    digits: list[str] = []
    for _ in range(_WHOLE):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))[:_NAME]


def stamp_of(planned: float) -> int:
    """The time in the name: the plan's, rounded up to five minutes."""
    return -(-int(planned) // STAMP_STEP) * STAMP_STEP


def folder(prefix: str, account: str, family: str, region: str, stamp: int) -> str:
    """Where files of a day lie. `family` is CloudTrail or CloudTrail-Digest."""
    return f"{root(prefix, account)}{family}/{region}/{time.strftime('%Y/%m/%d', time.gmtime(stamp))}/"


def root(prefix: str, account: str) -> str:
    """What every key of the account under the trail's prefix starts with."""
    return f"{prefix}/AWSLogs/{account}/" if prefix else f"AWSLogs/{account}/"


def prefix_of(key: str, account: str) -> str | None:
    """The trail's prefix in the key of one of the account's log files or digests; None when the key is neither's."""
    prefix, marker, family = key.rpartition(f"AWSLogs/{account}/CloudTrail")
    if not marker or not family.startswith(("/", "-Digest/")) or (prefix and not prefix.endswith("/")):
        return None
    return prefix[:-1]


def object_key(prefix: str, account: str, region: str, stamp: int, name: str) -> str:
    """The log file's key."""
    minute = time.strftime("%Y%m%dT%H%MZ", time.gmtime(stamp))
    return f"{folder(prefix, account, 'CloudTrail', region, stamp)}{account}_CloudTrail_{region}_{minute}_{name}.json.gz"


class Packed(NamedTuple):
    """A file ready to put: one gzip member, and what it holds. `sha256` is of the uncompressed bytes."""

    body: bytes
    sha256: str
    records: int


class Packer:
    """Packs a file page by page, so that the uncompressed bytes are never all in memory."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._zip = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        self._out: list[bytes] = []
        self._records = 0

    def add(self, records: Sequence[bytes]) -> None:
        """The next records; none is fine."""
        if records:
            self._write((SEPARATOR if self._records else OPEN) + SEPARATOR.join(records))
            self._records += len(records)

    def close(self) -> Packed:
        """The whole file."""
        self._write(CLOSE if self._records else OPEN + CLOSE)
        self._out.append(self._zip.flush())
        return Packed(b"".join(self._out), self._hash.hexdigest(), self._records)

    def _write(self, part: bytes) -> None:
        self._hash.update(part)
        self._out.append(self._zip.compress(part))


def packed(body: bytes) -> bytes:
    """One gzip member without time or name."""
    return gzip.compress(body, compresslevel=LEVEL, mtime=0)
