"""Records a second that one delivery follower brings into a bucket, against gzip and SHA-256 of the same bytes in the same run.

Plan, put and done on SQLite files, for one trail that takes every record; the bucket is a dictionary, so that the store of
objects does not count. The limit is what no delivery can avoid: one SHA-256 and one gzip (level 6) over the uncompressed
files. The follower reads every record twice (to plan, to put) and judges it once.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.unit.services.cloudtrail.deliveries import ACCOUNT, HOME, World, on_sqlite, record, trail

from opentrail.journal.append import Appender, Fresh
from opentrail.kernel.ambient import SystemClock, SystemIds, stamp

RECORDS = 60_000
BATCH = 256
GOAL = 0.3
"""The rate is at least this part of the limit: three times what one lane can record."""


def body(ids: SystemIds, number: int, now: float) -> bytes:
    """A record of about the size of real ones (1.2 kB), with fields that differ."""
    return record(
        ids.uuid(),
        now,
        source="personalize.amazonaws.com",
        requestID=ids.uuid(),
        userAgent="Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7 cfg/retry-mode#legacy",
        requestParameters={"datasetGroupArn": f"arn:aws:personalize:{HOME}:{ACCOUNT}:dataset-group/{number}", "maxResults": 25},
        responseElements=None,
        tlsDetails={"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "personalize.local"},
        sessionContext={"attributes": {"creationDate": stamp(now), "mfaAuthenticated": "false"}, "issuer": f"role/{number % 50}"},
    )


def filled(world: World) -> int:
    """Writes the journal; returns its bytes."""
    ids, clock = SystemIds(), SystemClock()
    world.change(trail())
    writer = world.main.writer()
    size = 0
    for start in range(0, RECORDS, BATCH):
        now = clock.now()
        records = [Fresh(int(now), ACCOUNT, HOME, 0, body(ids, number, now)) for number in range(start, min(start + BATCH, RECORDS))]
        size += sum(len(fresh.record) for fresh in records)
        writer.begin(writes=False)
        Appender().append(writer.tx, [(records, ())])
        writer.commit()
    return size


def seconds(work: Any) -> float:
    """CPU seconds of this process (threads included) that the work takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def limits(bodies: list[bytes]) -> tuple[float, float]:
    """CPU seconds of SHA-256 alone, and of SHA-256 and gzip."""
    hashing = seconds(lambda: [hashlib.sha256(each).digest() for each in bodies])
    packing = seconds(lambda: [gzip.compress(each, 6, mtime=0) for each in bodies])
    return hashing, hashing + packing


def main() -> bool:
    """Prints the rates and the ratio; whether the goal is met."""
    with tempfile.TemporaryDirectory() as folder:
        world = on_sqlite(Path(folder))
        size = filled(world)
        plan = seconds(world.plan)
        put = seconds(world.put)
        bodies = [gzip.decompress(found.body) for found in world.buckets.objects.values()]
        hashing, limit = limits(bodies)
        world.main.close()
        world.own.close()
    count = RECORDS + 1
    rate, most = count / (plan + put), count / limit
    print(f"{count} records, {size / count:.0f} bytes each, {len(bodies)} files")
    print(f"delivered: {rate:,.0f} records/s of CPU (plan {count / plan:,.0f}/s, put {count / put:,.0f}/s)")
    print(f"gzip and SHA-256 of the same bytes: {most:,.0f} records/s; SHA-256 alone {count / hashing:,.0f}/s")
    print(f"ratio: {rate / most:.2f} (goal {GOAL})")
    return rate / most >= GOAL


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
