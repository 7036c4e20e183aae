"""Verifying a trail through the API: reads its buckets like any client, and compares with the server's own rows where they lie
on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from botocore.session import Session

from opentrail.client.session import client
from opentrail.journal.verify import Verdict
from opentrail.journal.verify import verify as verify_journal
from opentrail.kernel import arn
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail.delivery import store as delivery_store
from opentrail.services.cloudtrail.delivery.files import root
from opentrail.services.cloudtrail.digests import store as digest_store
from opentrail.services.cloudtrail.findings import Fetched, Listed, NoBucket, Place, Report, Rows
from opentrail.services.cloudtrail.verify import public_keys, verify
from opentrail.store.databases import open_database
from opentrail.store.sql import Snapshot

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

_TRIES = 3
"""How often an object that breaks off is asked for: a connection may be lost, too."""


class NoTrail(Exception):
    """The trail cannot be verified; the message says why."""


class Bucket:
    """Reads buckets through the S3 API; see services.cloudtrail.findings.Reader."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._held: dict[tuple[str, str], list[Listed] | NoBucket] = {}

    def hold(self, bucket: str, prefix: str) -> set[tuple[str, str]]:
        """Lists the prefix once, for good, so that rows read afterwards know everything in the list. Buckets and keys."""
        try:
            held = self._held[bucket, prefix] = list(self._listed(bucket, prefix))
        except NoBucket as gone:
            self._held[bucket, prefix] = gone
            return set()
        return {(bucket, listed.key) for listed in held}

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Every object under a prefix, in key order. Raises NoBucket."""
        held = self._held.get((bucket, prefix))
        if isinstance(held, NoBucket):
            raise held
        yield from self._listed(bucket, prefix) if held is None else held

    def _listed(self, bucket: str, prefix: str) -> Iterator[Listed]:
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    yield Listed(one["Key"], one["LastModified"].timestamp())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                raise NoBucket from error
            raise

    def get(self, bucket: str, key: str) -> Fetched | None:
        """One object, or None. Without a byte when it breaks off: a server that has lost what it stored can do no other."""
        metadata: dict[str, str] = {}
        for _ in range(_TRIES):
            try:
                found = self._s3.get_object(Bucket=bucket, Key=key)
                metadata = found["Metadata"]
                return Fetched(found["Body"].read(), metadata)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket"):
                    return None
                raise
            except (IncompleteReadError, ResponseStreamingError):
                continue
        return Fetched(b"", metadata)


def verify_trail(session: Session, settings: Settings, trail_arn: str) -> Report:
    """What is found wherever the trail delivered to. Raises NoTrail, and what the API answers."""
    parts = arn.parse(trail_arn)
    if parts is None or parts.service != "cloudtrail" or not parts.resource.startswith("trail/"):
        raise NoTrail("--trail-arn: looks like arn:aws:cloudtrail:us-east-1:123456789012:trail/NAME")
    trails = client(session, "cloudtrail", settings, parts.region).describe_trails()["trailList"]
    places = [Place(one["S3BucketName"], one.get("S3KeyPrefix", "")) for one in trails if one["TrailARN"] == trail_arn]
    before = own_places(settings, trail_arn)
    if not places and (not before or account_of(session, settings) != parts.account):
        raise NoTrail(f"{trail_arn} is not a trail of this account, nor does this machine know one that was")
    reader = Bucket(client(session, "s3", settings, parts.region))
    begun = datetime.now(UTC).timestamp()
    listed: set[tuple[str, str]] = set()
    for place in dict.fromkeys([*places, *before]):
        for kind in ("CloudTrail/", "CloudTrail-Digest/"):
            listed |= reader.hold(place.bucket, root(place.prefix, parts.account) + kind)
    rows = own_rows(settings, trail_arn, {place.bucket for place in (*places, *before)})

    def keys(region: str) -> dict[str, bytes]:
        answer = client(session, "cloudtrail", settings, region).list_public_keys(StartTime=_EPOCH, EndTime=datetime.now(UTC))
        return public_keys(answer)

    return verify(reader, trail_arn, places, keys, rows and came_before(rows, listed, begun))


def account_of(session: Session, settings: Settings) -> str:
    """The caller's account."""
    return str(client(session, "sts", settings).get_caller_identity()["Account"])


def came_before(rows: Rows, listed: set[tuple[str, str]], begun: float) -> Rows:
    """The rows without the digests that a running server delivered after the buckets were listed."""
    return rows._replace(digests=[row for row in rows.digests if (row.bucket, row.object_key) in listed or (row.delivered or 0.0) < begun])


@contextmanager
def own_delivery(settings: Settings) -> Iterator[Snapshot | None]:
    """The delivery follower's database, when it can be read from here; None from another machine."""
    if not settings.database and not (settings.folder / "delivery.db").exists():
        yield None
        return
    database = open_database(settings, "delivery", writable=False)
    try:
        with database.read() as snapshot:
            yield snapshot
    finally:
        database.close()


def own_places(settings: Settings, trail_arn: str) -> list[Place]:
    """Where the delivery follower's rows say that the trail ever delivered to; none from another machine."""
    with own_delivery(settings) as snapshot:
        return [] if snapshot is None else [Place(*one) for one in digest_store.places(snapshot, trail_arn)]


def own_rows(settings: Settings, trail_arn: str, buckets: set[str]) -> Rows | None:
    """The delivery follower's rows of the trail and of these buckets of it; None from another machine."""
    with own_delivery(settings) as snapshot:
        if snapshot is None:
            return None
        logs = [log for bucket in sorted(buckets) for log in delivery_store.of_bucket(snapshot, bucket)]
        return Rows(logs, digest_store.of_trail(snapshot, trail_arn))


def verify_own_journal(settings: Settings) -> Verdict | None:
    """The journal against its head, when its database can be read from here."""
    if not settings.database and not (settings.folder / "main.db").exists():
        return None
    database = open_database(settings, "main", writable=False)
    try:
        with database.read() as snapshot:
            return verify_journal(snapshot)
    finally:
        database.close()
