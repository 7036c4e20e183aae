"""The public keys of token issuers (JSON Web Key Sets): fetched within limits, kept for a while, fetched anew for an unknown key.

A key set is asked for at most every RETRY seconds, whatever tokens arrive. One that cannot be had again stays in use until STALE.
Redirects are not followed, no proxy is used, only http and https are spoken. Source: RFC 7517.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

log = logging.getLogger("opentrail.healthlake")

FRESH = 600.0
"""Seconds that a key set is used without asking again."""
STALE = 24 * 3600.0
"""Seconds after which one that could not be had again is used no more."""
RETRY = 30.0
"""Seconds between two requests for one key set."""
LIMIT = 3.0
"""Seconds that one request may take in all."""
MOST_BYTES = 256 * 1024
MOST_KEYS = 50
LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192

ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "RS384": "RSA", "ES256": "P-256", "ES384": "P-384"}
"""The signatures that are accepted, and the key or curve that each needs. Never `none`, never a shared secret."""

Key = RSAKey | ECKey
Fetch = Callable[[str], bytes]


class NotFetched(Exception):
    """A key set could not be had. The message is a short reason without content."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by id (empty for one without), each with the algorithm it is for (empty for any that fits)."""

    keys: tuple[tuple[str, str, Key], ...] = ()

    def find(self, kid: str, algorithm: str) -> Key | None:
        """The key of that id that may have made such a signature; for a token that names none, the only one that may have."""
        fitting = [one for id, own, one in self.keys if (not kid or id == kid) and own in ("", algorithm) and fits(one, algorithm)]
        return fitting[0] if len(fitting) == 1 else None


def fits(key: Key, algorithm: str) -> bool:
    """Whether an algorithm's signatures are made with such a key."""
    if isinstance(key, RSAKey):
        return ALGORITHMS[algorithm] == "RSA"
    return ALGORITHMS[algorithm] == key.curve_name


class _JsonKey(msgspec.Struct):
    kty: str = ""
    kid: str = ""
    use: str = ""
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _JsonKeys(msgspec.Struct):
    keys: list[msgspec.Raw]


def parse(body: bytes) -> KeySet:
    """The usable public keys of a JSON Web Key Set; others are left out. Raises NotFetched for what is no key set."""
    try:
        rows = msgspec.json.decode(body, type=_JsonKeys).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotFetched("it is no JSON Web Key Set") from None
    found = (_key(bytes(row)) for row in rows[:MOST_KEYS])
    return KeySet(tuple(one for one in found if one is not None))


def _key(row: bytes) -> tuple[str, str, Key] | None:
    try:
        one = msgspec.json.decode(row, type=_JsonKey)
        if one.use not in ("", "sig") or one.alg not in ("", *ALGORITHMS):
            return None
        if one.kty == "RSA" and LEAST_RSA_BITS <= 6 * len(one.n) <= MOST_RSA_BITS + 12:  # six bits a character, rounded up
            key: Key = RSAKey.import_key({"kty": "RSA", "n": one.n, "e": one.e})
            if not LEAST_RSA_BITS <= key.public_key.key_size <= MOST_RSA_BITS:
                return None
        elif one.kty == "EC" and one.crv in ALGORITHMS.values():
            key = ECKey.import_key({"kty": "EC", "crv": one.crv, "x": one.x, "y": one.y})
            key.public_key  # noqa: B018 - made here, so that a point off the curve is found now
        else:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, JoseError, ValueError, TypeError):
        return None
    return (one.kid, one.alg, key)


@dataclass(frozen=True, slots=True)
class _Held:
    """A key set, when it was had, and when it was last asked for (monotonic seconds)."""

    keys: KeySet | None
    had: float
    asked: float


class KeySets:
    """The key sets of this process, by address. May be used from any thread."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._held: dict[str, _Held] = {}
        self._guard = threading.Lock()

    def get(self, address: str, now: float) -> KeySet | None:
        """The key set as it is known; None when it is not, or no longer."""
        held = self._held.get(address)
        return held.keys if held is not None and held.keys is not None and now - held.had < STALE else None

    def should_ask(self, address: str, now: float, missing: bool) -> bool:
        """Whether to ask for it now: it was never had, is no longer fresh, or lacks a key; but not again within RETRY."""
        held = self._held.get(address)
        if held is None:
            return True
        return now - held.asked >= RETRY and (missing or held.keys is None or now - held.had >= FRESH)

    def ask(self, address: str, now: float) -> None:
        """Asks for it and keeps the answer; what was known stays when there is none."""
        try:
            keys = parse(self._fetch(address))
        except NotFetched as reason:
            log.warning("the keys of a token issuer could not be had: %s", reason)
            keys = None
        with self._guard:
            before = self._held.get(address)
            if keys is not None or before is None:
                self._held[address] = _Held(keys, now, now)
            else:
                self._held[address] = _Held(before.keys, before.had, now)


def fetch(address: str) -> bytes:
    """The body behind an address. Raises NotFetched: no answer in time, not 200, too long. Belongs in a thread."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=LIMIT, context=ssl.create_default_context())
    elif parts.scheme == "http":
        connection = http.client.HTTPConnection(host, parts.port, timeout=LIMIT)
    else:
        raise NotFetched("its address is neither http nor https")
    late = threading.Event()
    watch: threading.Timer | None = None
    try:
        connection.connect()
        watch = threading.Timer(LIMIT, _cut, (connection.sock, late))
        watch.daemon = True
        watch.start()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"accept": "application/jwk-set+json, application/json", "connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise NotFetched(f"status {answer.status}")
        body = answer.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(type(error).__name__) from None
    finally:
        if watch is not None:
            watch.cancel()
        connection.close()
    if late.is_set():
        raise NotFetched("it took too long")
    if len(body) > MOST_BYTES:
        raise NotFetched(f"it is longer than {MOST_BYTES} bytes")
    return body


def _cut(sock: socket.socket, late: threading.Event) -> None:
    """Ends an answer that takes too long in all, though each part of it comes in time."""
    late.set()
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
