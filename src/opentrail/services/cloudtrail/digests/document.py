"""A digest's name, document and signature. Field order and the string to sign are those of the user guide.

Source: "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity validation".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from opentrail.kernel.ambient import stamp
from opentrail.services.cloudtrail.delivery.files import folder
from opentrail.services.cloudtrail.delivery.store import LogFile

ALGORITHM = "SHA256withRSA"
HASH = "SHA-256"
SIGNATURE, SIGNATURE_ALGORITHM = "signature", "signature-algorithm"
"""Names of the object's user metadata."""


class Key(Protocol):
    """A signing key: `fingerprint` is the MD5 of its public PKCS#1 DER in hexadecimal."""

    @property
    def fingerprint(self) -> str: ...

    def sign(self, message: bytes) -> bytes:
        """The RSA PKCS#1 v1.5 signature with SHA-256: the same for the same message."""


Signer = Callable[[str, str, float], Key]
"""The key of an account and region that signs at a time."""


class Previous(NamedTuple):
    """The digest before, as the next one names it."""

    bucket: str
    object_key: str
    body: bytes
    signature: str


class Digest(NamedTuple):
    """A digest ready to put. `body` is uncompressed, `signature` hexadecimal."""

    object_key: str
    body: bytes
    signature: str


def object_key(prefix: str, account: str, region: str, trail: str, home_region: str, end: int) -> str:
    """The digest's key: unique per trail, region and second."""
    second = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(end))
    place = folder(prefix, account, "CloudTrail-Digest", region, end)
    return f"{place}{account}_CloudTrail-Digest_{region}_{trail}_{home_region}_{second}.json.gz"


def document(
    account: str,
    start: int,
    end: int,
    bucket: str,
    key: str,
    fingerprint: str,
    previous: Previous | None,
    files: Sequence[LogFile],
) -> bytes:
    """The uncompressed digest of the log files delivered from `start` to `end` (seconds since 1970)."""
    value = {
        "awsAccountId": account,
        "digestStartTime": stamp(start),
        "digestEndTime": stamp(end),
        "digestS3Bucket": bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": fingerprint,
        "digestSignatureAlgorithm": ALGORITHM,
        "newestEventTime": stamp(max(file.newest for file in files)) if files else None,
        "oldestEventTime": stamp(min(file.oldest for file in files)) if files else None,
        "previousDigestS3Bucket": previous.bucket if previous else None,
        "previousDigestS3Object": previous.object_key if previous else None,
        "previousDigestHashValue": hashlib.sha256(previous.body).hexdigest() if previous else None,
        "previousDigestHashAlgorithm": HASH if previous else None,
        "previousDigestSignature": previous.signature if previous else None,
        "logFiles": [
            {
                "s3Bucket": file.bucket,
                "s3Object": file.object_key,
                "hashValue": file.sha256,
                "hashAlgorithm": HASH,
                "newestEventTime": stamp(file.newest),
                "oldestEventTime": stamp(file.oldest),
            }
            for file in files
        ],
    }
    return msgspec.json.encode(value)


def string_to_sign(end_time: str, bucket: str, key: str, body: bytes, previous_signature: str | None) -> bytes:
    """What is signed. `end_time` is the text of the document's digestEndTime."""
    lines = (end_time, f"{bucket}/{key}", hashlib.sha256(body).hexdigest(), previous_signature or "null")
    return "\n".join(lines).encode()
