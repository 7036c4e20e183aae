"""What a verification reads, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.digests.store import DigestRow

What = Literal[
    "bucket-missing",
    "digest-unreadable",
    "digest-misplaced",
    "digest-signature",
    "digest-missing",
    "digest-chain",
    "digest-differs",
    "digest-unknown",
    "digest-late",
    "log-missing",
    "log-unreadable",
    "log-differs",
    "log-times",
    "log-named-twice",
    "log-unnamed",
    "log-unknown",
    "record-twice",
    "chain-begins",
    "log-waits",
    "log-unvalidated",
]

NOTES = frozenset({"chain-begins", "log-waits", "log-unvalidated"})
"""What is said and is nothing wrong by itself."""


class Place(NamedTuple):
    """Where a trail delivers to: a bucket, and the prefix of its keys."""

    bucket: str
    prefix: str = ""


class Finding(NamedTuple):
    """What was found, in which bucket, at which key, and why."""

    what: What
    bucket: str
    key: str
    why: str

    @property
    def wrong(self) -> bool:
        """Whether it tells of damage, rather than of how things are."""
        return self.what not in NOTES


class Listed(NamedTuple):
    """An object in a listing; `modified` in seconds since 1970."""

    key: str
    modified: float


class Fetched(NamedTuple):
    """An object: its bytes as stored, and its user metadata with lower-case names."""

    body: bytes
    metadata: Mapping[str, str]


class NoBucket(Exception):
    """The bucket that is to be listed does not exist."""


class Reader(Protocol):
    """Reads buckets. What goes wrong on the way is raised, never shown as a missing object."""

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """Every object whose key begins with `prefix`, in key order. Raises NoBucket."""

    def get(self, bucket: str, key: str) -> Fetched | None:
        """An object; None when there is none, or no such bucket."""


Keys = Callable[[str], Mapping[str, bytes]]
"""The genuine public keys (PKCS#1 RSAPublicKey DER) of a region, by fingerprint."""


class Rows(NamedTuple):
    """What the delivery follower planned for the trail. `logs` holds the log files of every trail of the account that
    uses one of its buckets, because their keys name no trail."""

    logs: list[LogFile]
    digests: list[DigestRow]


class Report(NamedTuple):
    """The findings, and how much was looked at."""

    findings: list[Finding]
    digests: int
    logs: int
    records: int
