"""Time, identifiers and randomness: the only file that asks the machine for them. Everything else is handed a `Clock` and `Ids`."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from struct import Struct
from typing import Protocol

_DRAWN = 256
_DIGITS, _DASHED = Struct("8s4sx3sx3s12s" * _DRAWN), b"%b-%b-4%b-a%b-%b " * _DRAWN
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Clock(Protocol):
    """Tells the time as seconds since 1970 (UTC), and a monotonic time for measuring and deadlines."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Ids(Protocol):
    """Draws identifiers that nobody can guess."""

    def uuid(self) -> str:
        """A random UUID, version 4, lower case with dashes."""

    def hex(self, digits: int) -> str:
        """That many lower-case hexadecimal digits."""

    def base32(self, characters: int) -> str:
        """That many of A-Z and 2-7, as in AWS's access key and principal ids."""

    def secret(self, size: int) -> bytes:
        """That many random bytes for keys."""


class SystemIds:
    """Identifiers from the kernel's generator, UUIDs drawn many at a time because two are needed for every call."""

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def uuid(self) -> str:
        try:
            return self._drawn.pop()
        except IndexError:
            drawn = _uuids()
            first = drawn.pop()
            self._drawn.extend(drawn)
            return first

    def hex(self, digits: int) -> str:
        return os.urandom((digits + 1) // 2).hex()[:digits]

    def base32(self, characters: int) -> str:
        return "".join(_ALPHABET[byte & 31] for byte in os.urandom(characters))

    def secret(self, size: int) -> bytes:
        return os.urandom(size)


def _uuids() -> list[str]:
    """All at once: one by one they would cost twice as much."""
    return (_DASHED % _DIGITS.unpack(os.urandom(16 * _DRAWN).hex().encode())).decode().split()


def stamp(seconds: float) -> str:
    """ISO 8601 in UTC with whole seconds, as CloudTrail writes times: 2026-11-21T09:30:00Z."""
    return _stamp(int(seconds))


@lru_cache(maxsize=64)
def _stamp(seconds: int) -> str:
    """Times of calls repeat within a second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
