"""Verifies a trail's bucket: names everything that was changed, removed, added, reordered or signed by another.

The obligations, each at its block below:

1. Every digest is one gzip member of JSON with the fields of a digest.
2. It lies where it says, under the trail, region and end time that its key names.
3. A known key signed it: RSA PKCS#1 v1.5 with SHA-256 over end time, place, hash and previous signature, as its metadata say.
4. Each digest names its predecessor by place, hash and signature, and begins when that one ends; one without predecessor
   covers no files, and it is said that a chain begins there.
5. Every log file that a digest names exists, is one gzip member of records of its account and region, and has the named hash
   and times.
6. No two digests name one log file.
7. Every log file in the bucket is named by a digest; files newer than the newest digest wait for the next one.
8. No record lies in two places.
9. Where the delivery follower's own rows are given: bucket and rows hold the same digests and files, byte for byte. This
   names what nothing in the bucket can: newest digests that were removed. It rests on the honesty of who holds the rows.
10. Where a time is given up to which digests must reach, they do.

`aws cloudtrail validate-logs` looks at 1 to 3, at the existence of predecessors (two removed in a row count as one, the newest
not at all) and at existence and hash in 5. The caller's share: hand in genuine public keys, and decide what findings mean.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opentrail.kernel import arn
from opentrail.kernel.ambient import stamp
from opentrail.services.cloudtrail.delivery.files import root
from opentrail.services.cloudtrail.digests.document import ALGORITHM, HASH, SIGNATURE, SIGNATURE_ALGORITHM, string_to_sign
from opentrail.services.cloudtrail.findings import Fetched, Finding, Reader, Report, Rows, What

LARGEST = 256 * 1024 * 1024
"""Most bytes that an object may inflate to."""


class _Entry(msgspec.Struct, frozen=True):
    s3Bucket: str
    s3Object: str
    hashValue: str
    hashAlgorithm: str
    newestEventTime: str
    oldestEventTime: str


class _Document(msgspec.Struct, frozen=True):
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
    logFiles: list[_Entry]


class _Record(msgspec.Struct, frozen=True):
    eventID: str
    eventTime: str
    awsRegion: str
    recipientAccountId: str = ""


class _Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    Records: list[_Record]


class _Digest(NamedTuple):
    """A digest that could be read. `signed` when obligations 2 and 3 hold."""

    key: str
    region: str
    trail: str
    body: bytes
    signature: str
    value: _Document
    signed: bool


_DIGEST_KEY = re.compile(
    r"CloudTrail-Digest/(?P<region>[a-z0-9-]+)/\d{4}/\d\d/\d\d/"
    r"(?P<account>\d{12})_CloudTrail-Digest_(?P=region)_(?P<trail>.+)_(?P<home>[a-z0-9-]+)_(?P<end>\d{8}T\d{6}Z)\.json\.gz\Z"
)
_LOG_KEY = re.compile(r"CloudTrail/(?P<region>[a-z0-9-]+)/\d{4}/\d\d/\d\d/(?P<account>\d{12})_CloudTrail_(?P=region)_[^/]+\.json\.gz\Z")
_document = msgspec.json.Decoder(_Document)
_log = msgspec.json.Decoder(_Log)


def verify(
    reader: Reader,
    trail_arn: str,
    bucket: str,
    prefix: str,
    keys: Mapping[str, bytes],
    rows: Rows | None = None,
    until: float | None = None,
) -> Report:
    """Verifies what lies in a trail's bucket; the module says what is looked at.

    `keys` maps fingerprints to public keys (PKCS#1 RSAPublicKey DER). `until` is a time, in seconds since 1970, that the
    newest digest of the home region must reach. Raises ValueError for an ARN that names no trail, and what the reader raises.
    """
    named = arn.parse(trail_arn)
    if named is None or named.service != "cloudtrail" or not named.resource.startswith("trail/"):
        raise ValueError("a trail's ARN looks like arn:aws:cloudtrail:us-east-1:123456789012:trail/name")
    return _Verifier(reader, named, bucket, root(prefix, named.account), keys).run(rows, until)


class _Verifier:
    def __init__(self, reader: Reader, trail: arn.Arn, bucket: str, root: str, keys: Mapping[str, bytes]) -> None:
        self.reader = reader
        self.trail = trail
        self.name = trail.resource.partition("/")[2]
        self.bucket = bucket
        self.root = root
        self.keys = keys
        self.findings: list[Finding] = []
        self.logs = 0
        self.ids: dict[bytes, tuple[str, int]] = {}
        """Where each record lies: key and place in the file."""
        self.hashes: dict[str, str] = {}

    def found(self, what: What, key: str, why: str) -> None:
        self.findings.append(Finding(what, key, why))

    def run(self, rows: Rows | None, until: float | None) -> Report:
        every = list(self._digests(rows))
        own = [digest for digest in every if digest.trail == self.name]
        newest: dict[str, str] = {}
        for region in sorted({digest.region for digest in own}):
            chain = sorted((digest for digest in own if digest.region == region), key=lambda digest: digest.value.digestEndTime)
            newest[region] = chain[-1].value.digestEndTime
            self._chain(chain, rows)
        named = self._named(own)
        known = named | {entry.s3Object for digest in every if digest.signed for entry in digest.value.logFiles}
        self._unnamed(known, newest, rows)
        if rows is not None:
            self._rows(rows, {digest.key: digest for digest in own})
        if until is not None and newest.get(self.trail.region, "") < stamp(until):
            self.found("digest-late", self.root + "CloudTrail-Digest/", f"the newest digest of the home region ends before {stamp(until)}")
        return Report(self.findings, len(own), self.logs, len(self.ids))

    def _digests(self, rows: Rows | None) -> Iterator[_Digest]:
        """Reads every digest of the account, of other trails too: they vouch for log files that lie beside this trail's."""
        for listed in self.reader.list(self.bucket, self.root + "CloudTrail-Digest/"):
            if listed.key.endswith("/"):
                continue
            place = _DIGEST_KEY.fullmatch(listed.key.removeprefix(self.root))
            if place is None:
                self.found("digest-unknown", listed.key, "no digest has such a key")
                continue
            own = (place["trail"], place["home"]) == (self.name, self.trail.region)
            digest = self._digest(listed.key, place, own)
            if digest is not None:
                yield digest

    def _digest(self, key: str, place: re.Match[str], own: bool) -> _Digest | None:
        """Obligations 1 to 3. What is wrong with another trail's digest is that trail's finding."""
        problems: list[tuple[What, str]] = []
        fetched = self.reader.get(self.bucket, key)
        if fetched is None:
            problems.append(("digest-missing", "listed, but not there"))
            value, body = None, b""
        else:
            # 1
            body, problem = inflated(fetched.body)
            value = None
            if problem:
                problems.append(("digest-unreadable", problem))
            else:
                try:
                    value = _document.decode(body)
                except (msgspec.DecodeError, RecursionError):
                    problems.append(("digest-unreadable", "not a digest's JSON"))
        signature = fetched.metadata.get(SIGNATURE, "") if fetched else ""
        if value is not None and fetched is not None:
            # 2
            end = re.sub(r"[-:]", "", value.digestEndTime)
            if (value.digestS3Bucket, value.digestS3Object) != (self.bucket, key) or (end, value.awsAccountId) != (
                place["end"],
                self.trail.account,
            ):
                problems.append(("digest-misplaced", "it was made for another place, time or account"))
            # 3
            problem = self._signature(value, body, fetched)
            if problem:
                problems.append(("digest-signature", problem))
        if own:
            for what, why in problems:
                self.found(what, key, why)
        name = self.name if own else f"{place['trail']} of {place['home']}"
        return _Digest(key, place["region"], name, body, signature, value, not problems) if value is not None else None

    def _signature(self, value: _Document, body: bytes, fetched: Fetched) -> str:
        """Why the signature does not hold; empty when it does."""
        if value.digestSignatureAlgorithm != ALGORITHM or fetched.metadata.get(SIGNATURE_ALGORITHM) != ALGORITHM:
            return f"the algorithm is not {ALGORITHM}"
        key = self.keys.get(value.digestPublicKeyFingerprint)
        if key is None:
            return f"no known key has the fingerprint {value.digestPublicKeyFingerprint[:64]}"
        public = load_der_public_key(key)
        assert isinstance(public, rsa.RSAPublicKey), "keys are PKCS#1"
        message = string_to_sign(value.digestEndTime, value.digestS3Bucket, value.digestS3Object, body, value.previousDigestSignature)
        try:
            public.verify(bytes.fromhex(fetched.metadata.get(SIGNATURE, "")), message, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return "the signature does not fit key, place and content"
        return ""

    def _chain(self, chain: list[_Digest], rows: Rows | None) -> None:
        """4. Walks a region's digests from the oldest on."""
        planned = {row.object_key for row in rows.digests} if rows else set()
        here = {digest.key: digest for digest in chain}
        for place, digest in enumerate(chain):
            value = digest.value
            named = value.previousDigestS3Object
            if named is None:
                if value.logFiles or value.previousDigestSignature is not None:
                    self.found("digest-chain", digest.key, "it names no predecessor, yet is no starting digest")
                elif place and digest.key not in planned:
                    why = f"a chain begins after a pause since {chain[place - 1].value.digestEndTime}"
                    self.found("chain-begins", digest.key, why)
                continue
            before = here.get(named)
            if value.previousDigestS3Bucket != self.bucket:
                continue
            if before is None:
                if not any(finding.key == named for finding in self.findings):
                    self.found("digest-missing", named, f"{digest.key} names it as its predecessor")
                continue
            if place == 0 or chain[place - 1].key != named:
                self.found("digest-chain", digest.key, "its predecessor is not the digest before it")
            if (value.previousDigestHashAlgorithm, value.previousDigestHashValue) != (HASH, hashlib.sha256(before.body).hexdigest()):
                self.found("digest-chain", digest.key, f"the hash of its predecessor differs: {named}")
            if value.previousDigestSignature != before.signature:
                self.found("digest-chain", digest.key, f"the signature of its predecessor differs: {named}")
            if value.digestStartTime != before.value.digestEndTime:
                self.found("digest-chain", digest.key, f"it does not begin when its predecessor ends: {named}")

    def _named(self, own: list[_Digest]) -> set[str]:
        """5 and 6. Checks every log file that the trail's digests name; returns their keys."""
        named: dict[str, str] = {}
        for digest in own:
            for entry in digest.value.logFiles:
                if entry.s3Object in named:
                    self.found("log-named-twice", entry.s3Object, f"by {named[entry.s3Object]} and {digest.key}")
                    continue
                named[entry.s3Object] = digest.key
                body = self._log(entry.s3Bucket, entry.s3Object)
                if body is None:
                    continue
                if (entry.hashAlgorithm, entry.hashValue) != (HASH, hashlib.sha256(body[0]).hexdigest()):
                    self.found("log-differs", entry.s3Object, f"its bytes are not those that {digest.key} names")
                elif body[1] and (entry.oldestEventTime, entry.newestEventTime) != (min(body[1]), max(body[1])):
                    self.found("log-times", entry.s3Object, f"its event times are not those that {digest.key} names")
        return set(named)

    def _log(self, bucket: str, key: str) -> tuple[bytes, list[str]] | None:
        """A log file's uncompressed bytes and event times; None, and a finding, when it cannot be read. Obligation 8."""
        fetched = self.reader.get(bucket, key)
        if fetched is None:
            self.found("log-missing", key, "a digest names it, and it is not in the bucket")
            return None
        self.logs += 1
        body, problem = inflated(fetched.body)
        if problem:
            self.found("log-unreadable", key, problem)
            return None
        self.hashes[key] = hashlib.sha256(body).hexdigest()
        try:
            records = _log.decode(body).Records
        except (msgspec.DecodeError, RecursionError):
            self.found("log-unreadable", key, "not a log file's JSON")
            return body, []
        place = _LOG_KEY.search(key)
        if place and any((record.awsRegion, record.recipientAccountId) != (place["region"], place["account"]) for record in records):
            self.found("log-differs", key, "it holds records of another account or region than its key")
        for place_in_file, record in enumerate(records):
            self._once(record.eventID, key, place_in_file)
        return body, [record.eventTime for record in records]

    def _once(self, id: str, key: str, place: int) -> None:
        """8."""
        known = self.ids.setdefault(hashlib.blake2b(id.encode(), digest_size=16).digest(), (key, place))
        if known != (key, place):
            self.found("record-twice", key, f"record {id[:64]} also lies in {known[0]}")

    def _unnamed(self, known: set[str], newest: Mapping[str, str], rows: Rows | None) -> None:
        """7. Log files that no digest names."""
        planned = {row.object_key for row in rows.logs} if rows else set()
        for listed in self.reader.list(self.bucket, self.root + "CloudTrail/"):
            if listed.key in known or listed.key.endswith("/"):
                continue
            place = _LOG_KEY.fullmatch(listed.key.removeprefix(self.root))
            if place is not None and listed.key in planned:
                continue
            if place is not None and rows is None and stamp(listed.modified) >= newest.get(place["region"], ""):
                self.found("log-waits", listed.key, "the next digest will name it")
                self._log(self.bucket, listed.key)
            else:
                self.found("log-unnamed", listed.key, "no digest names it")

    def _rows(self, rows: Rows, own: Mapping[str, _Digest]) -> None:
        """9. Compares with what the follower planned and delivered."""
        digests = {row.object_key: row for row in rows.digests if row.bucket == self.bucket}
        bad = {finding.key for finding in self.findings if finding.wrong}
        for key, row in digests.items():
            digest = own.get(key)
            if digest is None:
                if row.delivered is not None and key not in bad:
                    self.found("digest-missing", key, "it was delivered, and is not in the bucket")
            elif (digest.body, digest.signature) != (row.body, row.signature):
                self.found("digest-differs", key, "it is not the digest that was planned")
        for key in own.keys() - digests.keys():
            self.found("digest-unknown", key, "no digest was planned with this key")
        for log in rows.logs:
            if log.bucket != self.bucket or log.delivered is None or log.object_key in bad or log.trail != str(self.trail):
                continue
            if log.object_key not in self.hashes and self._log(self.bucket, log.object_key) is None:
                continue
            if self.hashes[log.object_key] != log.sha256:
                self.found("log-differs", log.object_key, "its bytes are not those that were planned")


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


def public_keys(answer: Mapping[str, Any]) -> dict[str, bytes]:
    """The keys of a ListPublicKeys answer by the fingerprints computed from them: a name alone proves nothing."""
    found = [bytes(key["Value"]) for key in answer["PublicKeyList"]]
    return {hashlib.md5(value, usedforsecurity=False).hexdigest(): value for value in found}
