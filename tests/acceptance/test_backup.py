"""A copy of the data folder of a stopped server, put back somewhere else, is the same server up to the moment of the copy."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from benchmarks.servers import ACCOUNT, REGION, Server, serving

INTERVALS = ("--flush-interval", "2s", "--digest-interval", "5s")


def history(server: Server) -> set[str]:
    """The ids of every event but those of looking."""
    shown = server.run("lookup", "--since", "1h", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    return {record["eventID"] for record in records if record["eventName"] not in ("LookupEvents", "DescribeTrails")}


def test_a_restored_copy_verifies_answers_and_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *INTERVALS) as server:
        told = server.run("demo", *INTERVALS)
        assert told.returncode == 0, told.stdout + told.stderr
        before = history(server)
        assert server.stop() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    shutil.rmtree(tmp_path / "data")
    name, bucket = re.findall(r"Trail (\S+) logs into s3://(\S+)\.", told.stdout)[0]
    arn = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{name}"
    with serving(tmp_path / "copy", *INTERVALS) as restored:
        assert before <= history(restored)
        status, said = restored.verify(arn)
        assert status == 0, said
        listed = restored.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        assert all(len(restored.client("s3").get_object(Bucket=bucket, Key=one["Key"])["Body"].read()) == one["Size"] for one in listed)
        told = restored.run("demo", *INTERVALS)
        assert told.returncode == 0, told.stdout + told.stderr
        status, said = restored.verify(arn)
        assert status == 0, said
