"""Signature Version 4: does a request prove that its sender holds the secret key that it names?

Obligations, in order; each number stands again above the block that meets it.

0. Exactly one signature, in the Authorization header or in the query, made with AWS4-HMAC-SHA256.
1. Every part is there once and well formed; nothing is guessed.
2. The scope ends in aws4_request, names a region and a service, and its date is the request time's date.
3. The request time is within 15 minutes of ours; a presigned URL has begun and not yet expired (seven days at most).
4. `host` and every x-amz-* header are signed; every header said to be signed is there.
5. The payload is covered: its hash is declared, allowed for the service, and equals the hash of what came.
6. The canonical request is built from the request as it came, by the service's own encoding rule.
7. The signing key belongs to exactly this secret, date, region and service.
8. Signatures are compared in constant time.

The caller's share: the access key exists and is active and its session token holds (identity.credentials); the scope's
service is the one served; the body of a streamed request passes `check_streamed` or identity.chunks before anything of it counts.

Source: IAM User Guide, "Create a signed AWS API request"; S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import calendar
import hmac
import re
import time
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from hashlib import sha256
from urllib.parse import unquote

import msgspec

from opentrail.calls.call import Request
from opentrail.identity.canonical import canonical_path, canonical_query, literal_query
from opentrail.identity.mac import hmac_sha256
from opentrail.identity.refusals import Rejected

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
SKEW = 900.0
LONGEST_URL = 7 * 86400
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING = frozenset({STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER})
OBJECT_SIGNING = frozenset({"s3"})
"""Signing names with the object store's rules: the path is encoded once and not normalised, the payload's hash stands in
x-amz-content-sha256, and unsigned and chunked payloads are allowed."""

_EMPTY = sha256(b"").hexdigest()
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_KEY = re.compile(r"[A-Za-z0-9_]{16,128}")
_SCOPE_PART = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VERSION_2 = re.compile(r"(?:^|&)AWSAccessKeyId=")
"""A query signed in version 2, as boto3 and the AWS CLI presign for S3 in us-east-1 unless told otherwise."""


class Claim(msgspec.Struct, frozen=True):
    """What a request says about its signature: well formed and timely, not yet proven."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    """Names of the signed headers, lower case, sorted."""
    signature: str
    timestamp: str
    """YYYYMMDDTHHMMSSZ, as signed."""
    token: str
    """The session token, empty for long-term keys."""
    presigned: bool
    payload: str
    """What the canonical request says of the payload: a hash in hexadecimal, UNSIGNED-PAYLOAD, one of STREAMING, or empty
    when the hash of the body is meant without being declared."""

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def read_claim(request: Request, now: float) -> Claim:
    """The request's claim, after obligations 0 to 4 and the declared half of 5. Needs no secret and no body.

    Raises Rejected; reason `missing` when the request is not signed at all.
    """
    # 0. exactly one signature
    header = request.headers.get("authorization", "")
    in_query = "X-Amz-Signature" in request.query or "X-Amz-Algorithm" in request.query
    if header and in_query:
        raise Rejected("malformed", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization"
                       " header should be specified")  # fmt: skip
    if header:
        claim = _from_header(request, header)
    elif in_query:
        claim = _from_query(request, now)
    elif _VERSION_2.search(request.query):
        raise Rejected("unsupported")
    else:
        raise Rejected("missing")
    # 3. timely
    if not claim.presigned:
        _check_skew(claim.timestamp, now)
    # 4. host and x-amz-* are signed, and what is signed is there
    headers, signed = request.headers, claim.signed
    if "host" not in signed:
        raise Rejected("mismatch", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    loose = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if loose:
        raise Rejected("unsigned-headers", names=", ".join(sorted(loose)))
    for name in signed:
        if name not in headers:
            raise Rejected("mismatch")
    return claim


def verify(claim: Claim, request: Request, secret: str, streamed: bool = False) -> None:
    """Obligations 5 to 8 with the secret key of `claim.access_key`. Raises Rejected.

    With `streamed` the body is not looked at: hand what comes of it to `check_streamed` or a chunk reader. Without it a
    chunked payload is refused, since nobody would check its chunks.
    """
    # 5. the payload is covered
    payload = claim.payload
    if not streamed and payload in STREAMING:
        raise Rejected("bad-payload-hash")
    if not streamed and payload != UNSIGNED:
        computed = sha256(request.body).hexdigest() if request.body else _EMPTY
        if payload and payload != computed:
            raise Rejected("payload")
        payload = computed
    # 6. the canonical request
    path = canonical_path(request.path, claim.service in OBJECT_SIGNING)
    query = canonical_query(request.query)
    tail = _canonical_tail(claim, request, payload)
    # 7. the signing key
    key = signing_key(secret, claim.date, claim.region, claim.service)
    # 8. constant-time comparison
    if hmac.compare_digest(_signature(key, claim, f"{request.method}\n{path}\n{query}\n{tail}"), claim.signature):
        return
    # Some signers put path and query into the canonical request as they are sent. That binds them more tightly still.
    literal = literal_query(request.query)
    sent = request.path if claim.service in OBJECT_SIGNING else path
    if (sent, literal) == (path, query) or not hmac.compare_digest(
        _signature(key, claim, f"{request.method}\n{sent}\n{literal}\n{tail}"), claim.signature
    ):
        raise Rejected("mismatch")


def check_streamed(claim: Claim, sha256_hex: str) -> None:
    """Obligation 5 for a streamed body that is not chunked: its measured hash is the declared one. Raises Rejected."""
    if claim.payload != UNSIGNED and not hmac.compare_digest(claim.payload, sha256_hex):
        raise Rejected("payload")


@lru_cache(maxsize=4096)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one secret, day, region and service."""
    key = hmac.digest(b"AWS4" + secret.encode(), date.encode(), "sha256")
    for part in (region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical_tail(claim: Claim, request: Request, payload: str) -> str:
    headers = request.headers
    lines = "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in claim.signed])
    return f"{lines}\n{';'.join(claim.signed)}\n{payload}"


def _signature(key: bytes, claim: Claim, canonical: str) -> str:
    try:
        octets = canonical.encode("latin-1")
    except UnicodeEncodeError:
        octets = canonical.encode("utf-8", "surrogateescape")
    to_sign = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{sha256(octets).hexdigest()}"
    return hmac_sha256(key, to_sign.encode())


def _from_header(request: Request, header: str) -> Claim:
    front, _, signature = header.rpartition("Signature=")
    if "," in signature or not front:
        front, signature = _moved(header)
    (key, date, region, service), signed = _mechanism(front)
    timestamp = _timestamp(request)
    _check_date(date, timestamp)
    return Claim(key, date, region, service, signed, _hexadecimal(signature), timestamp,
                 request.headers.get("x-amz-security-token", ""), False, _declared(request, service))  # fmt: skip


def _moved(header: str) -> tuple[str, str]:
    """The header and its signature apart, where the signature does not come last."""
    parts = header.split(",")
    found = [part for part in parts if part.strip(" ").startswith("Signature=")]
    front = ",".join(part for part in parts if part not in found[:1])
    return front + ", ", found[0].partition("=")[2] if found else ""


@lru_cache(maxsize=4096)
def _mechanism(front: str) -> tuple[tuple[str, str, str, str], tuple[str, ...]]:
    """Credential scope and signed headers of the part before the signature, which a client repeats in every call."""
    mechanism, _, rest = (front + "Signature=").partition(" ")
    if mechanism != ALGORITHM:
        raise Rejected("unsupported")
    # 1. every part once
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip(" ").partition("=")
        if not equals or name in parts:
            raise Rejected("malformed", "Authorization header has a part that is repeated or is not KEY=VALUE.")
        parts[name] = value
    lacking = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in parts]
    if lacking or len(parts) != 3:
        text = " ".join(f"Authorization header requires '{name}' parameter." for name in lacking)
        raise Rejected("malformed", text or "Authorization header has an unknown parameter.")
    return _scope(parts["Credential"]), _signed_names(parts["SignedHeaders"])


def _from_query(request: Request, now: float) -> Claim:
    try:
        return _presigned(request, now)
    except Rejected as rejected:
        if rejected.reason == "malformed":
            raise Rejected("malformed-query", rejected.text, **rejected.arguments) from None
        raise


def _presigned(request: Request, now: float) -> Claim:
    # 1. every part once
    parts: dict[str, str] = {}
    for pair in request.query.split("&"):
        name, _, value = pair.partition("=")
        if name.startswith("X-Amz-"):
            if name in parts:
                raise Rejected("malformed", "Query parameter {name} appears more than once.", name=name)
            parts[name] = unquote(value)
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    lacking = ["X-Amz-" + name for name in names if "X-Amz-" + name not in parts and name != "Expires"]
    if lacking:
        raise Rejected("malformed", "Query-string authentication requires {names}.", names=", ".join(lacking))
    if parts["X-Amz-Algorithm"] != ALGORITHM:
        raise Rejected("unsupported")
    key, date, region, service = _scope(parts["X-Amz-Credential"])
    timestamp = parts["X-Amz-Date"]
    started = _moment(timestamp)
    _check_date(date, timestamp)
    # 3. begun and not yet expired
    _check_life(parts.get("X-Amz-Expires"), started, now, service in OBJECT_SIGNING)
    payload = UNSIGNED if service in OBJECT_SIGNING else ""
    return Claim(key, date, region, service, _signed_names(parts["X-Amz-SignedHeaders"]), _hexadecimal(parts["X-Amz-Signature"]),
                 timestamp, parts.get("X-Amz-Security-Token", ""), True, payload)  # fmt: skip


def _check_life(text: str | None, started: float, now: float, required: bool) -> None:
    if text is None:
        if required:
            raise Rejected("malformed", "Query-string authentication requires X-Amz-Expires.")
        text = str(int(SKEW))
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= LONGEST_URL:
        raise Rejected("malformed", "X-Amz-Expires must be between 1 and 604800 seconds.")
    if started > now + SKEW:
        raise Rejected("expired-url", "Request is not valid yet")
    if now >= started + int(text):
        raise Rejected("expired-url")


def _scope(credential: str) -> tuple[str, str, str, str]:
    # 2. the scope is whole
    parts = credential.split("/")
    if len(parts) != 5:
        raise Rejected("malformed", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
    key, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise Rejected("scope", "Credential should be scoped with a valid terminator: 'aws4_request'.")
    if not _KEY.fullmatch(key):
        raise Rejected("unknown-key")
    if not (_SCOPE_PART.fullmatch(region) and _SCOPE_PART.fullmatch(service)):
        raise Rejected("scope", "Credential should be scoped to a valid region and service.")
    return key, date, region, service


def _check_date(date: str, timestamp: str) -> None:
    # 2. the scope's date is the request time's
    if date != timestamp[:8]:
        raise Rejected("scope", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")


def _timestamp(request: Request) -> str:
    text = request.headers.get("x-amz-date", "")
    if text:
        return text
    parsed = parsedate_tz(request.headers.get("date", "")) if "date" in request.headers else None
    if parsed is None:
        raise Rejected("malformed", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    try:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(mktime_tz(parsed)))
    except (ValueError, OverflowError, OSError) as error:
        raise Rejected("malformed", "The Date header has no valid time.") from error


def _check_skew(timestamp: str, now: float) -> None:
    # 3. within 15 minutes
    moment = _moment(timestamp)
    if moment < now - SKEW:
        raise Rejected("stale", "Signature expired: {sent} is now earlier than {bound} ({now} - 15 min.)",
                       sent=timestamp, bound=_text(now - SKEW), now=_text(now))  # fmt: skip
    if moment > now + SKEW:
        raise Rejected("stale", "Signature not yet current: {sent} is still later than {bound} ({now} + 15 min.)",
                       sent=timestamp, bound=_text(now + SKEW), now=_text(now))  # fmt: skip


def _text(moment: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


@lru_cache(maxsize=1024)
def _moment(timestamp: str) -> float:
    """Seconds since 1970 of YYYYMMDDTHHMMSSZ. Raises Rejected."""
    # 1. a time that exists
    if _TIME.fullmatch(timestamp):
        year, month, day = int(timestamp[:4]), int(timestamp[4:6]), int(timestamp[6:8])
        hour, minute, second = int(timestamp[9:11]), int(timestamp[11:13]), int(timestamp[13:15])
        if year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60:
            return float(calendar.timegm((year, month, day, hour, minute, min(second, 60))))
    raise Rejected("malformed", "X-Amz-Date must be in ISO-8601 'basic format', as 20260131T235959Z.")


@lru_cache(maxsize=1024)
def _signed_names(text: str) -> tuple[str, ...]:
    # 1. lower-case names, each once, in order
    names = tuple(text.split(";"))
    if len(names) > 128 or list(names) != sorted(set(names)) or not all(_HEADER_NAME.fullmatch(name) for name in names):
        raise Rejected("malformed", "SignedHeaders must be lower-case header names, each once, in alphabetical order.")
    return names


def _hexadecimal(signature: str) -> str:
    # 1. a signature of the right shape
    if not _HASH.fullmatch(signature):
        raise Rejected("mismatch")
    return signature


def _declared(request: Request, service: str) -> str:
    # 5. the payload's hash is declared where it must be, and is of an allowed kind
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        if service in OBJECT_SIGNING:
            raise Rejected("no-payload-hash")
        return ""
    if _HASH.fullmatch(declared) or (service in OBJECT_SIGNING and (declared == UNSIGNED or declared in STREAMING)):
        return declared
    raise Rejected("bad-payload-hash")
