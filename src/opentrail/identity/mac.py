"""HMAC-SHA-256 of short messages without giving up the interpreter lock.

The library's one-shot function releases the lock around every computation; with other threads waiting for it, taking it back
costs many times the hash (benchmarks.calls shows it). Source: RFC 2104.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Protocol


class Hash(Protocol):
    """A hash that was begun."""

    def copy(self) -> Hash:
        """An independent hash in the same state."""

    def update(self, data: bytes, /) -> None:
        """Takes more data in."""

    def digest(self) -> bytes:
        """The hash of all data so far."""

    def hexdigest(self) -> str:
        """The same in hexadecimal."""


def hmac_sha256(key: bytes, message: bytes) -> str:
    """The code in hexadecimal. `key` has at most 64 bytes."""
    begun_inner, begun_outer = _pads(key)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=4096)
def _pads(key: bytes) -> tuple[Hash, Hash]:
    """The two hashes with the padded key taken in."""
    assert len(key) <= 64, "signing keys are digests"
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))
