"""The story that `opentrail demo` tells, on a fresh server, and what AWS's validation and `opentrail verify` say of its files."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator

import pytest
from benchmarks.servers import ACCOUNT, Server, serving

FLUSH, DIGEST = 2.0, 5.0
INTERVALS = ("--flush-interval", f"{FLUSH}s", "--digest-interval", f"{DIGEST}s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A fresh server with short intervals."""
    with serving(tmp_path_factory.mktemp("demo") / "data", *INTERVALS) as server:
        yield server


def keys(server: Server, bucket: str) -> list[str]:
    """The keys of the log files and digests in a bucket."""
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [one["Key"] for page in pages for one in page.get("Contents", ()) if one["Key"].endswith(".json.gz")]


def test_the_demo_passes_and_every_file_is_valid(server: Server) -> None:
    told = server.run("demo", *INTERVALS)
    assert told.returncode == 0, told.stdout + told.stderr
    (bucket,) = re.findall(r"s3://(\S+?)\.", told.stdout)
    (name,) = re.findall(r"Trail (\S+) logs", told.stdout)
    arn = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{name}"

    # The trail stops, which gives a last digest: after it no file is added while the files are counted.
    assert server.aws("cloudtrail", "stop-logging", "--name", name).returncode == 0
    files = settled(server, bucket)
    digests = [key for key in files if "/CloudTrail-Digest/" in key]
    logs = [key for key in files if "/CloudTrail/" in key]
    checked = server.aws("cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", "2020-01-01T00:00:00Z")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(digests)}/{len(digests)} digest files valid" in checked.stdout
    assert f"{len(logs)}/{len(logs)} log files valid" in checked.stdout

    verified = server.run("verify", "--trail-arn", arn)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"{len(digests)} digests, {len(logs)} log files" in verified.stdout


def test_what_serve_prints_is_there(server: Server) -> None:
    """The address, where the credentials are, and lines to paste, which any client can use."""
    said = server.said()
    file = server.folder / "credentials"
    assert f"OpenTrail serves on {server.url}\n" in said
    assert f"Root credentials: {file}\n" in said
    assert file.stat().st_mode & 0o777 == 0o600
    exports = [line for line in said.splitlines() if line.startswith("export ")]
    assert exports == server.run("env").stdout.splitlines()
    unknown = server.run("env", "--profile", "nobody")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "has no profile nobody" in unknown.stderr
    assert {line.partition("=")[0] for line in exports} >= {"export AWS_ENDPOINT_URL", "export AWS_SHARED_CREDENTIALS_FILE"}


def test_verify_names_a_changed_log_file_and_ends_with_1(server: Server) -> None:
    s3, cloudtrail = server.client("s3"), server.client("cloudtrail")
    trail = cloudtrail.describe_trails()["trailList"][0]
    changed = next(key for key in keys(server, trail["S3BucketName"]) if "/CloudTrail/" in key)
    was = s3.get_object(Bucket=trail["S3BucketName"], Key=changed)["Body"].read()
    s3.put_object(Bucket=trail["S3BucketName"], Key=changed, Body=gzip.compress(gzip.decompress(was).replace(b"Root", b"Boot")))
    status, said = server.verify(trail["TrailARN"])
    assert status == 1
    assert f"WRONG log-differs: s3://{trail['S3BucketName']}/{changed}: " in said
    assert "journal: " in said
    assert server.verify(trail["TrailARN"] + "-of-another-name")[0] == 2
    s3.put_object(Bucket=trail["S3BucketName"], Key=changed, Body=was)
    assert server.verify(trail["TrailARN"])[0] == 0


@pytest.mark.parametrize("left", [None, 50])
def test_verify_names_a_log_file_that_the_disk_has_lost(server: Server, left: int | None) -> None:
    """Whatever else is wrong is said, too."""
    s3, trail = server.client("s3"), server.client("cloudtrail").describe_trails()["trailList"][0]
    lost, changed = [key for key in keys(server, trail["S3BucketName"]) if "/CloudTrail/" in key][:2]
    bodies = {key: s3.get_object(Bucket=trail["S3BucketName"], Key=key)["Body"].read() for key in (lost, changed)}
    copies = [one for one in (server.folder / "objects").rglob("*") if one.is_file() and one.read_bytes() == bodies[lost]]
    assert copies
    s3.put_object(Bucket=trail["S3BucketName"], Key=changed, Body=gzip.compress(b"{}"))
    for file in copies:  # what was there before is swept later
        file.unlink()
        if left is not None:
            file.write_bytes(bodies[lost][:left])
    status, said = server.verify(trail["TrailARN"])
    assert status == 1, said
    assert f"WRONG log-unreadable: s3://{trail['S3BucketName']}/{lost}: " in said
    assert f"/{changed}: " in said
    assert "journal: " in said
    for file in copies:
        file.write_bytes(bodies[lost])
    s3.put_object(Bucket=trail["S3BucketName"], Key=changed, Body=bodies[changed])
    assert server.verify(trail["TrailARN"])[0] == 0


def settled(server: Server, bucket: str) -> list[str]:
    """The files once none came for as long as a log file and its digest take."""
    until = time.monotonic() + 60
    while True:
        before = keys(server, bucket)
        time.sleep(DIGEST + FLUSH)
        if keys(server, bucket) == before or time.monotonic() > until:
            return before


def test_lookup_prints_the_calls(server: Server) -> None:
    found = server.run("lookup", "--event-name", "CreateFHIRDatastore", "--error", "any", "--output", "json")
    assert found.returncode == 0, found.stderr
    (record,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert (record["errorCode"], record["userIdentity"]["type"]) == ("AccessDeniedException", "IAMUser")


def test_sigterm_stops_it_cleanly(server: Server) -> None:
    assert server.stop() == 0
