"""kill -9 while batch jobs read clinical text: every file is read once and told once, and no text is left in any other place."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pg8000.native
import pytest
from benchmarks.servers import ACCOUNT, Server, serving

from opentrail.store.postgres import arguments
from opentrail.store.sql import Sql
from tests.conftest import kinds

CANARY = "Canaryberg"
NOTE = f"Mr {CANARY}, 54, takes metformin 500 mg daily for diabetes and complains of chest pain. " * 2
FILES = 60
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "comprehendmedical.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
LEFT = Sql("SELECT (SELECT COUNT(*) FROM comprehendmedical_file), (SELECT COUNT(*) FROM job)")
RECORDS = Sql("SELECT record FROM journal ORDER BY position")


def prepared(server: Server) -> str:
    """Notes, one of them unreadable, and the role that may read them."""
    s3, iam = server.client("s3"), server.client("iam")
    s3.create_bucket(Bucket="notes")
    for number in range(FILES):
        s3.put_object(Bucket="notes", Key=f"in/{number:03}.txt", Body=NOTE.encode())
    s3.put_object(Bucket="notes", Key="in/bad.txt", Body=f"{CANARY} \xff".encode("latin-1"))
    iam.put_role_policy(
        RoleName=iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"],
        PolicyName="own",
        PolicyDocument=POLICY,
    )
    return f"arn:aws:iam::{ACCOUNT}:role/reader"


def written(server: Server, folder: str) -> list[str]:
    listed = server.client("s3").list_objects_v2(Bucket="notes", Prefix=folder).get("Contents", [])
    return [one["Key"].removeprefix(folder) for one in listed]


def read(server: Server, key: str) -> Any:
    return json.loads(server.client("s3").get_object(Bucket="notes", Key=key)["Body"].read())


def leftovers(folder: Path) -> list[str]:
    """The files that hold clinical text, but for the objects of the user's buckets."""
    found = []
    for file in folder.rglob("*"):
        bucket = file.parent.parent.name == "objects"
        if file.is_file() and not bucket and CANARY.encode() in file.read_bytes():
            found.append(str(file.relative_to(folder)))
    return found


@pytest.mark.parametrize("kind", kinds())
def test_nothing_is_lost_and_nothing_is_told_twice(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    options: tuple[str, ...] = ()
    if kind == "postgresql":
        address = request.getfixturevalue("postgres_server")
        admin = pg8000.native.Connection(**arguments(address.format("postgres")))
        admin.run("CREATE DATABASE batch")
        admin.close()
        options = ("--database", address.format("batch"))
    with serving(tmp_path / "data", *options) as server:
        role = prepared(server)
        started = server.client("comprehendmedical").start_phi_detection_job(
            InputDataConfig={"S3Bucket": "notes", "S3Key": "in/"}, OutputDataConfig={"S3Bucket": "notes", "S3Key": "out"},
            DataAccessRoleArn=role, LanguageCode="en",
        )["JobId"]  # fmt: skip
        folder = f"out/{ACCOUNT}-PHIDetection-{started}/"
        for number, victim in enumerate(("work", "all")):
            wait_for(server, folder, 16 * (number + 1))
            server.kill(victim)
            if victim != "work":
                server.wait()
                server.start()
        state = ended(server, started)
        assert state["JobStatus"] == "PARTIAL_SUCCESS", state
        names = [f"{number:03}.txt" for number in range(FILES)]
        assert sorted(written(server, folder)) == sorted([f"{name}.out" for name in names] + ["Manifest", "success", "unprocessed"])
        told = Counter(one["Input"] for one in read(server, f"{folder}success")["Files"])
        assert told == Counter(f"in/{name}" for name in names)
        (bad,) = read(server, f"{folder}unprocessed")["Files"]
        assert (bad["Input"], bad["ErrorCode"]) == ("in/bad.txt", "InvalidEncodingException")
        summary = read(server, f"{folder}Manifest")["Summary"]
        assert (summary["InputFileCount"], summary["SuccessFilesCount"], summary["TotalMeteredCharacters"]) == (61, 60, 60 * len(NOTE))
        assert read(server, f"{folder}000.txt.out")["Entities"]
        with server.snapshot() as view:
            assert view.one(LEFT) == (0, 0)
            assert not any(CANARY.encode() in bytes(row[0]) for row in view.all(RECORDS))
        assert server.stop() == 0
    assert leftovers(tmp_path / "data") == []
    assert CANARY not in server.log.read_text(errors="replace")
    assert not any((tmp_path / "data" / "jobs").rglob("*.*"))


def wait_for(server: Server, folder: str, count: int) -> None:
    """Waits until the job has written so many answers."""
    until = time.monotonic() + 120
    while len(written(server, folder)) < count:
        assert time.monotonic() < until, server.said()
        time.sleep(0.02)


def ended(server: Server, id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    until = time.monotonic() + 180
    client = server.client("comprehendmedical")
    while True:
        found = client.describe_phi_detection_job(JobId=id)["ComprehendMedicalAsyncJobProperties"]
        if found["JobStatus"] not in ("SUBMITTED", "IN_PROGRESS"):
            return msgspec.convert(found, dict[str, Any])
        assert time.monotonic() < until, server.said()
        time.sleep(0.1)
