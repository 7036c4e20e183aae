"""A trail that moves, narrows, stops and is deleted: each of these calls reaches its bucket, and `verify` watches every place for ever."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import ACCOUNT, Server, program, serving

FLUSH, DIGEST = 1.0, 2.0
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/moving"
SILENCING = ["UpdateTrail", "UpdateTrail", "PutEventSelectors", "StopLogging", "DeleteTrail"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server with short intervals."""
    with serving(tmp_path / "data", "--flush-interval", f"{FLUSH}s", "--digest-interval", f"{DIGEST}s") as server:
        yield server


def bucket(server: Server, name: str) -> str:
    """A bucket into which CloudTrail may write under any prefix."""
    s3, service = server.client("s3"), {"Service": "cloudtrail.amazonaws.com"}
    s3.create_bucket(Bucket=name)
    statements = [
        {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{name}"},
        {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"},
    ]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return name


def files(server: Server, bucket: str, family: str = "CloudTrail") -> list[str]:
    """The keys of log files or digests."""
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = (one["Key"] for page in pages for one in page.get("Contents", ()))
    return [key for key in found if f"/{family}/" in key and not key.endswith("/")]


def records(server: Server, bucket: str) -> list[dict[str, Any]]:
    """Every record in a bucket's log files."""
    bodies = (server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() for key in files(server, bucket))
    return [record for body in bodies for record in json.loads(gzip.decompress(body))["Records"]]


def delivered(server: Server, bucket: str, name: str, count: int = 1) -> None:
    """Waits until that many records of an operation lie in the bucket and a digest has come after them."""
    until = time.monotonic() + 60
    while sum(record["eventName"] == name for record in records(server, bucket)) < count:
        assert time.monotonic() < until, f"{name} never reached {bucket}"
        time.sleep(FLUSH)
    time.sleep(FLUSH + DIGEST)


def test_no_change_of_a_trail_hides_anything(server: Server, tmp_path: Path) -> None:
    cloudtrail, s3 = server.client("cloudtrail"), server.client("s3")
    first, second = bucket(server, "first-place"), bucket(server, "second-place")
    cloudtrail.create_trail(Name="moving", S3BucketName=first, S3KeyPrefix="one", EnableLogFileValidation=True)
    cloudtrail.start_logging(Name="moving")
    delivered(server, first, "StartLogging")
    cloudtrail.update_trail(Name="moving", S3KeyPrefix="two")
    delivered(server, first, "UpdateTrail")
    cloudtrail.update_trail(Name="moving", S3BucketName=second)
    delivered(server, first, "UpdateTrail", 2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(server.folder / "credentials", elsewhere)
    from_elsewhere = ("verify", "--trail-arn", ARN, "--data-dir", str(elsewhere), "--listen", f"127.0.0.1:{server.port}")
    status, said = server.verify(ARN)
    assert status == 0, said
    done = program(*from_elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = server.aws("cloudtrail", "validate-logs", "--trail-arn", ARN, "--start-time", "2020-01-01T00:00:00Z")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    selectors = [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]
    cloudtrail.put_event_selectors(TrailName="moving", EventSelectors=selectors)
    cloudtrail.stop_logging(Name="moving")
    cloudtrail.start_logging(Name="moving")
    cloudtrail.delete_trail(Name="moving")
    delivered(server, second, "DeleteTrail")
    found = [record["eventName"] for place in (first, second) for record in records(server, place)]
    assert sorted(name for name in found if name in SILENCING) == sorted(SILENCING)
    status, said = server.verify(ARN)
    assert status == 0, said
    assert program(*from_elsewhere).returncode == 2, "nothing there tells where a deleted trail delivered"

    old = next(key for key in files(server, first) if key.startswith("one/"))
    digests = [key for key in files(server, first, "CloudTrail-Digest") if key.startswith("two/")]
    was = s3.get_object(Bucket=first, Key=old)["Body"].read()
    s3.put_object(Bucket=first, Key=old, Body=gzip.compress(gzip.decompress(was).replace(b"Root", b"Boot")))
    for key in digests:
        s3.delete_object(Bucket=first, Key=key)
    status, said = server.verify(ARN)
    assert status == 1
    assert f"WRONG log-differs: s3://{first}/{old}: " in said
    assert all(f"WRONG digest-missing: s3://{first}/{key}: " in said for key in digests)
