"""Verifies a trail's buckets: names everything that was changed, removed, added, reordered or signed by another.

Looked at is every place (bucket and prefix) that the trail delivers to or has delivered to: those that the caller names, those in
the delivery follower's own rows, and those that the trail's signed digests name. A bucket that is gone is a finding.

The obligations, each at its block below:

1. Every digest is one gzip member of JSON with the fields of a digest.
2. It lies where it says, under the trail, region and end time that its key names.
3. A known key signed it: RSA PKCS#1 v1.5 with SHA-256 over end time, place, hash and previous signature, as its metadata say.
4. Each digest names its predecessor by place, hash and signature, and begins when that one ends; one without predecessor
   covers no files, and it is said that a chain begins there.
5. Every log file that a digest names exists, is one gzip member of records of its account and region, and has the named hash
   and times.
6. No two digests name one log file.
7. Every log file in these places is named by a digest; files newer than the newest digest wait for the next one, and those that
   came at a time that no digest covers are noted.
8. No record lies in two places.
9. Where the delivery follower's own rows are given: buckets and rows hold the same digests and files, byte for byte. This
   names what nothing in a bucket can: newest digests that were removed. It rests on the honesty of who holds the rows.
10. Where a time is given up to which digests must reach, they do.

`aws cloudtrail validate-logs` looks at 1 to 3, at the existence of predecessors (two removed in a row count as one, the newest
not at all) and at existence and hash in 5. The caller's share: hand in genuine public keys, and decide what findings mean.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opentrail.kernel import arn
from opentrail.kernel.ambient import stamp
from opentrail.services.cloudtrail.delivery.files import prefix_of, root
from opentrail.services.cloudtrail.digests.document import ALGORITHM, HASH, SIGNATURE, SIGNATURE_ALGORITHM, string_to_sign
from opentrail.services.cloudtrail.evidence import DIGEST_KEY, LOG_KEY, At, Digest, Document, inflated, read_document, read_log
from opentrail.services.cloudtrail.findings import Fetched, Finding, Keys, Listed, NoBucket, Place, Reader, Report, Rows, What


def verify(
    reader: Reader,
    trail_arn: str,
    places: Iterable[Place],
    keys: Keys,
    rows: Rows | None = None,
    until: float | None = None,
) -> Report:
    """Verifies what lies where a trail delivered to; the module says what is looked at.

    `places` are those that are known without rows: where the trail delivers now, if it exists. `until` is a time, in seconds
    since 1970, that the newest digest of the home region must reach. Raises ValueError for an ARN that names no trail, and what
    the reader and `keys` raise.
    """
    named = arn.parse(trail_arn)
    if named is None or named.service != "cloudtrail" or not named.resource.startswith("trail/"):
        raise ValueError("a trail's ARN looks like arn:aws:cloudtrail:us-east-1:123456789012:trail/name")
    return _Verifier(reader, named, keys).run(places, rows, until)


class _Verifier:
    def __init__(self, reader: Reader, trail: arn.Arn, keys: Keys) -> None:
        self.reader = reader
        self.trail = trail
        self.name = trail.resource.partition("/")[2]
        self.keys = lru_cache(None)(keys)
        self.findings: list[Finding] = []
        self.places: dict[Place, None] = {}
        """Those that were looked at, in order."""
        self.logs = 0
        self.ids: dict[bytes, tuple[At, int]] = {}
        """Where each record lies: the file, and the place in it."""
        self.hashes: dict[At, str] = {}

    def found(self, what: What, at: At, why: str) -> None:
        self.findings.append(Finding(what, *at, why))

    def run(self, places: Iterable[Place], rows: Rows | None, until: float | None) -> Report:
        every = self._everywhere([*places, *self._planned_places(rows)])
        own = [digest for digest in every if digest.trail == self.name]
        newest: dict[str, str] = {}
        covered: dict[str, list[tuple[str, str]]] = {}
        for region in sorted({digest.region for digest in own}):
            chain = sorted((digest for digest in own if digest.region == region), key=lambda digest: digest.value.digestEndTime)
            newest[region], covered[region] = chain[-1].value.digestEndTime, _covered(chain)
            self._chain(chain, rows)
        named = self._named(own)
        known = named | {(entry.s3Bucket, entry.s3Object) for digest in every if digest.signed for entry in digest.value.logFiles}
        for place in self.places:
            self._unnamed(place, known, newest, covered, rows)
        if rows is not None:
            self._rows(rows, {digest.at: digest for digest in own})
        if until is not None and newest.get(self.trail.region, "") < stamp(until):
            for place in list(self.places)[:1]:
                why = f"the newest digest of the home region ends before {stamp(until)}"
                self.found("digest-late", (place.bucket, self._root(place) + "CloudTrail-Digest/"), why)
        return Report(self.findings, len(own), self.logs, len(self.ids))

    def _root(self, place: Place) -> str:
        return root(place.prefix, self.trail.account)

    def _place(self, bucket: str, key: str) -> Place | None:
        """The place in which a file lies; None for what is no file of the account."""
        prefix = prefix_of(key, self.trail.account)
        return None if prefix is None else Place(bucket, prefix)

    def _planned_places(self, rows: Rows | None) -> Iterator[Place]:
        for log in rows.logs if rows else ():
            if log.trail == str(self.trail):
                yield Place(log.bucket, log.prefix)
        for row in rows.digests if rows else ():
            if place := self._place(row.bucket, row.object_key):
                yield place

    def _everywhere(self, places: Iterable[Place]) -> list[Digest]:
        """Every digest in these places, and in those to which the trail's signed digests lead."""
        found: list[Digest] = []
        waiting = dict.fromkeys(places)
        while waiting:
            place = next(iter(waiting))
            del waiting[place]
            self.places[place] = None
            here = list(self._digests(place))
            found += here
            for digest in here:
                if digest.signed and digest.trail == self.name:
                    waiting |= {one: None for at in digest.names() if (one := self._place(*at)) and one not in self.places}
        return found

    def _listed(self, place: Place, family: str) -> Iterator[Listed]:
        """The files of a family in a place, without the folders' markers."""
        try:
            for listed in self.reader.list(place.bucket, f"{self._root(place)}{family}/"):
                if not listed.key.endswith("/"):
                    yield listed
        except NoBucket:
            if not any((finding.what, finding.bucket) == ("bucket-missing", place.bucket) for finding in self.findings):
                self.found("bucket-missing", (place.bucket, ""), "the trail's files belong here, and the bucket is gone")

    def _digests(self, place: Place) -> Iterator[Digest]:
        """Reads every digest of the account, of other trails too: they vouch for log files that lie beside this trail's."""
        for listed in self._listed(place, "CloudTrail-Digest"):
            at = (place.bucket, listed.key)
            named = DIGEST_KEY.fullmatch(listed.key.removeprefix(self._root(place)))
            if named is None:
                self.found("digest-unknown", at, "no digest has such a key")
                continue
            own = (named["trail"], named["home"]) == (self.name, self.trail.region)
            digest = self._digest(at, named, own)
            if digest is not None:
                yield digest

    def _digest(self, at: At, named: re.Match[str], own: bool) -> Digest | None:
        """Obligations 1 to 3. What is wrong with another trail's digest is that trail's finding."""
        problems: list[tuple[What, str]] = []
        fetched = self.reader.get(*at)
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
                    value = read_document(body)
                except (msgspec.DecodeError, RecursionError):
                    problems.append(("digest-unreadable", "not a digest's JSON"))
        signature = fetched.metadata.get(SIGNATURE, "") if fetched else ""
        if value is not None and fetched is not None:
            # 2
            end = re.sub(r"[-:]", "", value.digestEndTime)
            if (value.digestS3Bucket, value.digestS3Object) != at or (end, value.awsAccountId) != (named["end"], self.trail.account):
                problems.append(("digest-misplaced", "it was made for another place, time or account"))
            # 3
            problem = self._signature(value, body, fetched, named["region"])
            if problem:
                problems.append(("digest-signature", problem))
        if own:
            for what, why in problems:
                self.found(what, at, why)
        name = self.name if own else f"{named['trail']} of {named['home']}"
        return Digest(at, named["region"], name, body, signature, value, not problems) if value is not None else None

    def _signature(self, value: Document, body: bytes, fetched: Fetched, region: str) -> str:
        """Why the signature does not hold; empty when it does."""
        if value.digestSignatureAlgorithm != ALGORITHM or fetched.metadata.get(SIGNATURE_ALGORITHM) != ALGORITHM:
            return f"the algorithm is not {ALGORITHM}"
        key = self.keys(region).get(value.digestPublicKeyFingerprint)
        if key is None:
            return f"no known key of {region} has the fingerprint {value.digestPublicKeyFingerprint[:64]}"
        public = load_der_public_key(key)
        assert isinstance(public, rsa.RSAPublicKey), "keys are PKCS#1"
        message = string_to_sign(value.digestEndTime, value.digestS3Bucket, value.digestS3Object, body, value.previousDigestSignature)
        try:
            public.verify(bytes.fromhex(fetched.metadata.get(SIGNATURE, "")), message, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return "the signature does not fit key, place and content"
        return ""

    def _chain(self, chain: list[Digest], rows: Rows | None) -> None:
        """4. Walks a region's digests from the oldest on."""
        planned = {(row.bucket, row.object_key) for row in rows.digests} if rows else set()
        here = {digest.at: digest for digest in chain}
        for place, digest in enumerate(chain):
            value = digest.value
            named = digest.previous()
            if named is None:
                if value.logFiles or value.previousDigestSignature is not None:
                    self.found("digest-chain", digest.at, "it names no predecessor, yet is no starting digest")
                elif place and digest.at not in planned:
                    why = f"a chain begins after a pause since {chain[place - 1].value.digestEndTime}"
                    self.found("chain-begins", digest.at, why)
                continue
            before = here.get(named)
            if before is None:
                # What an unsigned digest names was not looked for elsewhere, and that digest is a finding itself.
                looked = digest.signed or self._place(*named) in self.places
                if looked and not any((finding.bucket, finding.key) == named for finding in self.findings):
                    self.found("digest-missing", named, f"{digest.at[1]} names it as its predecessor")
                continue
            if place == 0 or chain[place - 1].at != named:
                self.found("digest-chain", digest.at, "its predecessor is not the digest before it")
            if (value.previousDigestHashAlgorithm, value.previousDigestHashValue) != (HASH, hashlib.sha256(before.body).hexdigest()):
                self.found("digest-chain", digest.at, f"the hash of its predecessor differs: {named[1]}")
            if value.previousDigestSignature != before.signature:
                self.found("digest-chain", digest.at, f"the signature of its predecessor differs: {named[1]}")
            if value.digestStartTime != before.value.digestEndTime:
                self.found("digest-chain", digest.at, f"it does not begin when its predecessor ends: {named[1]}")

    def _named(self, own: list[Digest]) -> set[At]:
        """5 and 6. Checks every log file that the trail's digests name; returns where they lie."""
        named: dict[At, str] = {}
        for digest in own:
            key = digest.at[1]
            for entry in digest.value.logFiles:
                at = entry.s3Bucket, entry.s3Object
                if at in named:
                    self.found("log-named-twice", at, f"by {named[at]} and {key}")
                    continue
                named[at] = key
                body = self._log(at)
                if body is None:
                    continue
                if (entry.hashAlgorithm, entry.hashValue) != (HASH, hashlib.sha256(body[0]).hexdigest()):
                    self.found("log-differs", at, f"its bytes are not those that {key} names")
                elif body[1] and (entry.oldestEventTime, entry.newestEventTime) != (min(body[1]), max(body[1])):
                    self.found("log-times", at, f"its event times are not those that {key} names")
        return set(named)

    def _log(self, at: At) -> tuple[bytes, list[str]] | None:
        """A log file's uncompressed bytes and event times; None, and a finding, when it cannot be read. Obligation 8."""
        fetched = self.reader.get(*at)
        if fetched is None:
            self.found("log-missing", at, "it was delivered, and is not in the bucket")
            return None
        self.logs += 1
        body, problem = inflated(fetched.body)
        if problem:
            self.found("log-unreadable", at, problem)
            return None
        self.hashes[at] = hashlib.sha256(body).hexdigest()
        try:
            records = read_log(body).Records
        except (msgspec.DecodeError, RecursionError):
            self.found("log-unreadable", at, "not a log file's JSON")
            return body, []
        place = LOG_KEY.search(at[1])
        if place and any((record.awsRegion, record.recipientAccountId) != (place["region"], place["account"]) for record in records):
            self.found("log-differs", at, "it holds records of another account or region than its key")
        for place_in_file, record in enumerate(records):
            self._once(record.eventID, at, place_in_file)
        return body, [record.eventTime for record in records]

    def _once(self, id: str, at: At, place: int) -> None:
        """8."""
        known = self.ids.setdefault(hashlib.blake2b(id.encode(), digest_size=16).digest(), (at, place))
        if known != (at, place):
            self.found("record-twice", at, f"record {id[:64]} also lies in {'/'.join(known[0])}")

    def _unnamed(
        self, place: Place, known: set[At], newest: Mapping[str, str], covered: Mapping[str, Sequence[tuple[str, str]]], rows: Rows | None
    ) -> None:
        """7. Log files that no digest names. Without rows it must be told from the digests when files were to be named by them."""
        planned = {(row.bucket, row.object_key) for row in rows.logs} if rows else set()
        for listed in self._listed(place, "CloudTrail"):
            at = (place.bucket, listed.key)
            if at in known or at in planned:
                continue
            named = LOG_KEY.fullmatch(listed.key.removeprefix(self._root(place)))
            modified = stamp(listed.modified)
            if named is None or rows is not None or any(since <= modified < until for since, until in covered.get(named["region"], ())):
                self.found("log-unnamed", at, "no digest names it")
                continue
            if modified < newest.get(named["region"], ""):
                self.found("log-unvalidated", at, "it came at a time that no digest covers, as while validation is switched off")
            else:
                self.found("log-waits", at, "the next digest will name it")
            self._log(at)

    def _rows(self, rows: Rows, own: Mapping[At, Digest]) -> None:
        """9. Compares with what the follower planned and delivered."""
        digests = {(row.bucket, row.object_key): row for row in rows.digests}
        bad = {(finding.bucket, finding.key) for finding in self.findings if finding.wrong}
        for at, row in digests.items():
            digest = own.get(at)
            if digest is None:
                if row.delivered is not None and at not in bad:
                    self.found("digest-missing", at, "it was delivered, and is not in the bucket")
            elif (digest.body, digest.signature) != (row.body, row.signature):
                self.found("digest-differs", at, "it is not the digest that was planned")
        for at in own.keys() - digests.keys():
            self.found("digest-unknown", at, "no digest was planned with this key")
        for log in rows.logs:
            at = log.bucket, log.object_key
            if log.delivered is None or at in bad or log.trail != str(self.trail):
                continue
            if at not in self.hashes and self._log(at) is None:
                continue
            if self.hashes[at] != log.sha256:
                self.found("log-differs", at, "its bytes are not those that were planned")


def _covered(chain: Sequence[Digest]) -> list[tuple[str, str]]:
    """From when to when every file of a region is named, by its digests from the oldest on: their time, but for the first after
    validation was switched on and the last before it was switched off, of which only a part counts."""
    found: list[tuple[str, str]] = []
    for digest, following in zip(chain, [*chain[1:], None], strict=True):
        if digest.previous() is None or (following is not None and following.previous() is None):
            continue
        since, until = digest.value.digestStartTime, digest.value.digestEndTime
        if found and found[-1][1] == since:
            found[-1] = found[-1][0], until
        else:
            found.append((since, until))
    return found


def public_keys(answer: Mapping[str, Any]) -> dict[str, bytes]:
    """The keys of a ListPublicKeys answer by the fingerprints computed from them: a name alone proves nothing."""
    found = [bytes(key["Value"]) for key in answer["PublicKeyList"]]
    return {hashlib.md5(value, usedforsecurity=False).hexdigest(): value for value in found}
