"""Verifying a trail through the API: reads the bucket like any client, and compares with the server's own rows where they lie
on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.session import Session

from opentrail.client.session import client
from opentrail.journal.verify import Verdict
from opentrail.journal.verify import verify as verify_journal
from opentrail.kernel import arn
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail.delivery import store as delivery_store
from opentrail.services.cloudtrail.delivery.files import root
from opentrail.services.cloudtrail.digests import store as digest_store
from opentrail.services.cloudtrail.findings import Fetched, Listed, Report, Rows
from opentrail.services.cloudtrail.verify import public_keys, verify
from opentrail.store.databases import open_database

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class NoTrail(Exception):
    """The trail cannot be verified; the message says why."""


class Bucket:
    """Reads buckets through the S3 API; see services.cloudtrail.findings.Reader."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._held: dict[tuple[str, str], list[Listed]] = {}

    def hold(self, bucket: str, prefix: str) -> set[str]:
        """Lists the prefix once, for good, so that rows read afterwards know everything in the list. The keys."""
        held = self._held[bucket, prefix] = list(self.list(bucket, prefix))
        return {listed.key for listed in held}

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Every object under a prefix, in key order."""
        if (bucket, prefix) in self._held:
            yield from self._held[bucket, prefix]
            return
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", ()):
                yield Listed(one["Key"], one["LastModified"].timestamp())

    def get(self, bucket: str, key: str) -> Fetched | None:
        """One object, or None."""
        try:
            found = self._s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return Fetched(found["Body"].read(), found["Metadata"])


def verify_trail(session: Session, settings: Settings, trail_arn: str) -> Report:
    """What is found in the trail's bucket. Raises NoTrail, and what the API answers."""
    parts = arn.parse(trail_arn)
    if parts is None or parts.service != "cloudtrail" or not parts.resource.startswith("trail/"):
        raise NoTrail("--trail-arn: looks like arn:aws:cloudtrail:us-east-1:123456789012:trail/NAME")
    cloudtrail = client(session, "cloudtrail", settings, parts.region)
    trails = [one for one in cloudtrail.describe_trails()["trailList"] if one["TrailARN"] == trail_arn]
    if not trails:
        raise NoTrail(f"{trail_arn} is not a trail of this account")
    keys: dict[str, bytes] = {}
    for region in regions(session, settings, trails[0]):
        answer = client(session, "cloudtrail", settings, region).list_public_keys(StartTime=_EPOCH, EndTime=datetime.now(UTC))
        keys |= public_keys(answer)
    reader = Bucket(client(session, "s3", settings, parts.region))
    bucket, prefix = trails[0]["S3BucketName"], trails[0].get("S3KeyPrefix", "")
    begun = datetime.now(UTC).timestamp()
    listed = {key for kind in ("CloudTrail/", "CloudTrail-Digest/") for key in reader.hold(bucket, root(prefix, parts.account) + kind)}
    rows = own_rows(settings, trails[0])
    return verify(reader, trail_arn, bucket, prefix, keys, rows and came_before(rows, listed, begun))


def came_before(rows: Rows, listed: set[str], begun: float) -> Rows:
    """The rows without the digests that a running server delivered after the bucket was listed."""
    return rows._replace(digests=[row for row in rows.digests if row.object_key in listed or (row.delivered or 0.0) < begun])


def regions(session: Session, settings: Settings, trail: dict[str, Any]) -> list[str]:
    """The regions whose digests lie in the trail's bucket."""
    parts = arn.parse(trail["TrailARN"])
    assert parts is not None
    prefix = "/".join(part for part in (trail.get("S3KeyPrefix", ""), "AWSLogs", parts.account, "CloudTrail-Digest", "") if part)
    prefix = prefix if prefix.endswith("/") else prefix + "/"
    s3 = client(session, "s3", settings, parts.region)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=trail["S3BucketName"], Prefix=prefix, Delimiter="/")
    found = {one["Prefix"].rstrip("/").rpartition("/")[2] for page in pages for one in page.get("CommonPrefixes", ())}
    return sorted(found | {parts.region})


def own_rows(settings: Settings, trail: dict[str, Any]) -> Rows | None:
    """The delivery follower's rows, when its database can be read from here; None from another machine."""
    if not settings.database and not (settings.folder / "delivery.db").exists():
        return None
    database = open_database(settings, "delivery", writable=False)
    try:
        with database.read() as snapshot:
            digests = digest_store.of_trail(snapshot, trail["TrailARN"])
            logs = delivery_store.of_bucket(snapshot, trail["S3BucketName"])
    finally:
        database.close()
    return Rows(logs, digests)


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
