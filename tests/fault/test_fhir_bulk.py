"""kill -9 of the work role, and of everything, while resources are imported and exported: nothing twice, nothing lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import Server, serving

from opentrail.journal import disclosures
from opentrail.journal import read as journal
from tests.conftest import kinds

FILES, PER_FILE = 3, 900
TRUST = {"Effect": "Allow", "Principal": {"Service": "healthlake.amazonaws.com"}, "Action": "sts:AssumeRole"}
RIGHTS = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"], "Resource": "*"}
PLACE = {"S3Configuration": {"S3Uri": "s3://bulk/out", "KmsKeyId": "alias/none"}}


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def resource(file: int, line: int) -> bytes:
    """A patient, an observation of one, or a line that is refused."""
    id = f"r{file}-{line}"
    if line % 100 == 99:
        return b'{"resourceType":"Patient"}'
    if line % 3 == 0:
        return json.dumps({"resourceType": "Patient", "id": id, "name": [{"family": f"F{line}"}]}).encode()
    subject = {"reference": f"Patient/r{file}-{line - line % 3}"}
    coded = {"coding": [{"system": "http://codes", "code": f"c{line % 7}"}]}
    return json.dumps({"resourceType": "Observation", "id": id, "status": "final", "code": coded, "subject": subject}).encode()


def interrupted(server: Server, progress: Callable[[], tuple[str, int]]) -> str:
    """Waits for the job's end, and on the way kills the work role once something was done, and later the whole server."""
    victims, until, reached = ["work", "all"], time.monotonic() + 200, 0
    while True:
        assert time.monotonic() < until, "the job does not end"
        status, done = progress()
        if status not in ("SUBMITTED", "QUEUED", "IN_PROGRESS"):
            assert victims == [], "the job ended before it was interrupted"
            return status
        if victims and done > reached:
            reached = done + PER_FILE // 2
            server.kill(victims[0])
            if victims.pop(0) == "all":
                server.wait()
                server.start()
        time.sleep(0.01)


def objects(server: Server, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """The NDJSON objects below a prefix, by the rest of their keys."""
    s3 = server.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="bulk", Prefix=prefix)["Contents"] if one["Key"].endswith("ndjson")]
    return {
        key.removeprefix(prefix): [json.loads(line) for line in s3.get_object(Bucket="bulk", Key=key)["Body"].read().splitlines()]
        for key in keys
    }


def told(server: Server, name: str) -> Counter[str]:
    """How often the trail says of each resource that a job changed or showed it."""
    found: Counter[str] = Counter()
    with server.snapshot() as view:
        for entry in journal.after(view, 0, 100_000):
            if f'"{name}"'.encode() in entry.record:
                facts = json.loads(entry.record)["additionalEventData"]["returned"]
                found.update(disclosures.items(view, entry.position, "returned") if "sha256" in facts else facts["items"])
    return found


@pytest.mark.parametrize("kind", kinds())
def test_jobs_survive(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    options = ("--database", request.getfixturevalue("new_postgres")()) if kind == "postgresql" else ()
    with serving(tmp_path / "data", *options) as server:
        healthlake, iam = server.client("healthlake"), server.client("iam")
        server.client("s3").create_bucket(Bucket="bulk")
        role = iam.create_role(RoleName="bulk", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="bulk", PolicyName="s3", PolicyDocument=document(RIGHTS))
        lines = {f"{file}.ndjson": [resource(file, line) for line in range(PER_FILE)] for file in range(FILES)}
        for name, some in lines.items():
            server.client("s3").put_object(Bucket="bulk", Key=f"in/{name}", Body=b"\n".join(some))
        store = healthlake.create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
        good = {f"{one['resourceType']}/{one['id']}" for some in lines.values() for line in some if "id" in (one := json.loads(line))}

        job = healthlake.start_fhir_import_job(
            DatastoreId=store, InputDataConfig={"S3Uri": "s3://bulk/in/"}, JobOutputDataConfig=PLACE, DataAccessRoleArn=role
        )["JobId"]

        def imported() -> tuple[str, int]:
            found = healthlake.describe_fhir_import_job(DatastoreId=store, JobId=job)["ImportJobProperties"]
            return found["JobStatus"], found.get("JobProgressReport", {}).get("TotalNumberOfResourcesImported", 0)

        assert interrupted(server, imported) == "COMPLETED_WITH_ERRORS"
        report = healthlake.describe_fhir_import_job(DatastoreId=store, JobId=job)["ImportJobProperties"]["JobProgressReport"]
        assert (report["TotalNumberOfResourcesImported"], report["TotalNumberOfResourcesScanned"]) == (len(good), FILES * PER_FILE)
        written = objects(server, f"out/{store}-FHIR_IMPORT-{job}/")
        for name, some in lines.items():
            success = [line["lineId"] for line in written[f"SUCCESS/{name}"]]
            failure = [line["lineId"] for line in written[f"FAILURE/{name}"]]
            assert success == [number for number, line in enumerate(some, 1) if b'"id"' in line]
            assert sorted(success + failure) == list(range(1, PER_FILE + 1))
        assert told(server, "ImportFHIRResources") == Counter(good)

        job = healthlake.start_fhir_export_job(DatastoreId=store, OutputDataConfig=PLACE, DataAccessRoleArn=role)["JobId"]

        def exported() -> str:
            found = healthlake.describe_fhir_export_job(DatastoreId=store, JobId=job)["ExportJobProperties"]
            return str(found["JobStatus"])

        until, kills = time.monotonic() + 120, 2
        while (ended := exported()) != "COMPLETED":
            assert time.monotonic() < until, ended
            if kills and ended == "IN_PROGRESS":
                kills -= 1
                server.kill("work")
                time.sleep(1)
            time.sleep(0.01)
        exported = [one for file in objects(server, f"out/{store}-FHIR_EXPORT-{job}/").values() for one in file]
        assert Counter(f"{one['resourceType']}/{one['id']}" for one in exported) == Counter(good)
        assert {one["meta"]["versionId"] for one in exported} == {"1"}
        assert told(server, "ExportFHIRResources") == Counter(good)
        assert server.stop() == 0
