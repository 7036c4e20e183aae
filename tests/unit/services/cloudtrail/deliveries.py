"""A small world for delivery: a journal written by hand, the followers' tasks driven by hand, a bucket in memory, crashes."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentrail.journal.append import Appender, Fresh
from opentrail.kernel.ambient import stamp
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.services.cloudtrail import store as trail_store
from opentrail.services.cloudtrail.delivery import plan, put, store
from opentrail.services.cloudtrail.digests import plan as digest_plan
from opentrail.services.cloudtrail.digests import put as digest_put
from opentrail.services.cloudtrail.digests import store as digest_store
from opentrail.services.cloudtrail.digests.document import Key
from opentrail.services.cloudtrail.digests.signer import RsaKey
from opentrail.services.cloudtrail.findings import Fetched, Finding, Listed, NoBucket, Place, Report, Rows
from opentrail.services.cloudtrail.verify import verify
from opentrail.services.cloudtrail.versions import TrailConfiguration
from opentrail.store.database import Database
from opentrail.store.sql import Tx
from opentrail.work.backoff import Chance
from opentrail.work.follower import Following
from opentrail.work.lease import Lease
from tests import databases
from tests.databases import Database as AnyDatabase

ACCOUNT = "123456789012"
HOME = "us-east-1"
BUCKET = "audit"
START = 1_790_000_000.0
INTERVAL = 10

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
FINGERPRINT = hashlib.md5(PUBLIC, usedforsecurity=False).hexdigest()


class Crash(BaseException):
    """The process dies here."""


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Faults:
    """Points at which a crash can be armed; counts what is passed."""

    def __init__(self) -> None:
        self.armed: dict[str, int] = {}

    def arm(self, point: str, after: int = 0) -> None:
        self.armed[point] = after

    def pass_by(self, point: str) -> None:
        if point not in self.armed:
            return
        if self.armed[point] == 0:
            del self.armed[point]
            raise Crash(point)
        self.armed[point] -= 1


class CrashingLease(Lease):
    """A lease whose transactions die before or after their commit."""

    def __init__(self, faults: Faults, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._faults = faults

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with super().write() as tx:
            yield tx
            self._faults.pass_by(f"{self.name}: before commit")
        self._faults.pass_by(f"{self.name}: after commit")


class Buckets:
    """`Calls` and `Reader` over a dictionary. `down` names buckets that answer with an error,
    `gone` those that were deleted."""

    def __init__(self, clock: HandClock, faults: Faults) -> None:
        self.objects: dict[tuple[str, str], Fetched] = {}
        self.modified: dict[tuple[str, str], float] = {}
        self.puts: list[tuple[Principal, str, str, Mapping[str, Any]]] = []
        self.down: dict[str, str] = {}
        self.gone: set[str] = set()
        self._clock = clock
        self._faults = faults

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        assert (service, operation) == ("s3", "PutObject")
        bucket, key = input["Bucket"], input["Key"]
        if bucket in self.down:
            raise ServiceError(self.down[bucket], "The bucket cannot be reached", status=503)
        self._faults.pass_by("put: before")
        self.puts.append((principal, region, key, input))
        self.objects[bucket, key] = Fetched(body, dict(input["Metadata"]))
        self.modified[bucket, key] = self._clock.now()
        self._faults.pass_by("put: after")
        return {}

    def list(self, bucket: str, prefix: str) -> list[Listed]:
        if bucket in self.gone:
            raise NoBucket
        return [
            Listed(key, self.modified.get((b, key), START)) for b, key in sorted(self.objects) if b == bucket and key.startswith(prefix)
        ]

    def get(self, bucket: str, key: str) -> Fetched | None:
        return None if bucket in self.gone else self.objects.get((bucket, key))

    def named(self, family: str = "CloudTrail", bucket: str = BUCKET) -> list[str]:
        return [key for b, key in sorted(self.objects) if b == bucket and f"/{family}/" in key]

    def event_ids(self, bucket: str = BUCKET) -> list[str]:
        """The eventIDs of every log file."""
        bodies = [gzip.decompress(self.objects[bucket, key].body) for key in self.named(bucket=bucket)]
        return [record["eventID"] for body in bodies for record in json.loads(body)["Records"]]

    def digests(self, bucket: str = BUCKET) -> list[dict[str, Any]]:
        """The digest documents in key order."""
        return [json.loads(gzip.decompress(self.objects[bucket, key].body)) for key in self.named("CloudTrail-Digest", bucket)]


def trail(name: str = "main", **changes: Any) -> TrailConfiguration:
    """A logging trail with validation in the home region."""
    home = changes.pop("home_region", HOME)
    standard: dict[str, Any] = {
        "name": name,
        "arn": f"arn:aws:cloudtrail:{home}:{ACCOUNT}:trail/{name}",
        "account": ACCOUNT,
        "home_region": home,
        "bucket": BUCKET,
        "created": START,
        "logging": True,
        "log_file_validation": True,
    }
    return TrailConfiguration(**{**standard, **changes})


def record(id: str, time: float, region: str = HOME, source: str = "sts.amazonaws.com", **more: Any) -> bytes:
    """A record's JSON."""
    value = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT, "principalId": ACCOUNT},
        "eventTime": stamp(time),
        "eventSource": source,
        "eventName": "GetCallerIdentity",
        "awsRegion": region,
        "sourceIPAddress": "127.0.0.1",
        "requestID": f"request-{id}",
        "eventID": id,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return msgspec.json.encode({**value, **more})


class World:
    """Databases, clock, bucket; `restart` loses everything that is only in memory."""

    def __init__(self, main: AnyDatabase, own: AnyDatabase) -> None:
        self.main: Database = main
        self.own: Database = own
        self.clock = HandClock()
        self.faults = Faults()
        self.buckets = Buckets(self.clock, self.faults)
        self.written = 0
        self.chance: Chance = lambda: 0.0
        self.restart()

    def restart(self) -> None:
        """The process of the followers starts again."""
        follower = plan.follower(self.main, "installation", self.clock, 2.0)
        self.following = Following(follower, self.main)
        self.putting = put.Putting(put.LogFiles(self.main), self.buckets, self.clock, self.chance, 2.0)
        self.digesting = digest_plan.Planning(self.key, self.clock, INTERVAL)
        self.putting_digests = put.Putting(digest_put.Digests(), self.buckets, self.clock, self.chance, 2.0)
        tasks = (self.following, self.putting, self.digesting, self.putting_digests)
        self.leases = {task.name: CrashingLease(self.faults, self.own, task.name, "work", self.clock) for task in tasks}

    @staticmethod
    def key(account: str, region: str, at: float) -> Key:
        return RsaKey(FINGERPRINT, KEY)

    def write(self, body: bytes, change: Callable[[Tx], None] = lambda tx: None, region: str = HOME, category: int = 0) -> int:
        """One call: what it changes, and its record. Returns the position."""
        writer = self.main.writer()
        writer.begin(writes=True)
        tx = writer.enter()
        change(tx)
        later = list(tx.later)
        writer.leave()
        fresh = Fresh(int(self.clock.time), ACCOUNT, region, category, body)
        position = Appender().append(writer.tx, [([fresh], later)])
        writer.commit()
        return position

    def calls(self, count: int, region: str = HOME, **more: Any) -> list[str]:
        """Ordinary calls; returns their eventIDs."""
        ids = [f"e{self.written + n}" for n in range(count)]
        self.written += count
        for id in ids:
            self.write(record(id, self.clock.time, region, **more), region=region)
        return ids

    def change(self, trail: TrailConfiguration, deleted: bool = False) -> str:
        """A call that changes a trail; returns its record's eventID."""
        self.written += 1
        id = f"e{self.written - 1}"
        body = record(id, self.clock.time, trail.home_region, "cloudtrail.amazonaws.com")
        self.write(
            body,
            lambda tx: trail_store.delete(tx, trail) if deleted else trail_store.put(tx, trail),
            trail.home_region,
        )
        return id

    def _step(self, task: Any) -> None:
        lease = self.leases[task.name]
        assert lease.acquire()
        while task.step(lease):
            pass

    def plan(self) -> None:
        self._step(self.following)

    def put(self) -> None:
        self._step(self.putting)

    def digest(self) -> None:
        self._step(self.digesting)
        self._step(self.putting_digests)

    def flush(self) -> None:
        """Plan and put."""
        self.plan()
        self.put()

    def tick(self, seconds: float) -> None:
        self.clock.time += seconds

    def files(self, trail: TrailConfiguration) -> list[store.LogFile]:
        with self.own.read() as snapshot:
            return store.of_trail(snapshot, trail.arn)

    def rows(self, trail: TrailConfiguration) -> Rows:
        with self.own.read() as snapshot:
            buckets = {bucket for bucket, _ in digest_store.places(snapshot, trail.arn)} | {trail.bucket}
            logs = [log for bucket in sorted(buckets) for log in store.of_bucket(snapshot, bucket)]
            return Rows(logs, digest_store.of_trail(snapshot, trail.arn))

    def report(self, trail: TrailConfiguration, rows: bool = True, until: float | None = None) -> Report:
        """What verification says of the trail, which delivers now to the place that it names."""
        places = [Place(trail.bucket, trail.prefix)]
        return verify(self.buckets, trail.arn, places, lambda region: {FINGERPRINT: PUBLIC}, self.rows(trail) if rows else None, until)

    def wrong(self, trail: TrailConfiguration, rows: bool = True) -> list[Finding]:
        """What it finds wrong."""
        return [finding for finding in self.report(trail, rows).findings if finding.wrong]


def on_sqlite(folder: Path) -> World:
    """A world in a folder."""
    return World(databases.on_sqlite(folder, "main"), databases.on_sqlite(folder, "delivery"))
