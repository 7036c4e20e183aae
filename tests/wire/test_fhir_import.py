"""Import jobs by boto3: what is stored, what is written, what is recorded, and how each kind of bad input ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.bulk_data import KEY, Ward, ward
from tests.wire.covers import covers
from tests.wire.fhir_data import observation, send, touched
from tests.wire.story import Like, Story

__all__ = ["ward"]
ID = Like("[0-9a-f]{32}")


def patient(id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, **members}


def lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@covers("healthlake", "StartFHIRImportJob", "DescribeFHIRImportJob", "ListFHIRImportJobs")
def test_a_folder_is_imported(story: Story, ward: Ward) -> None:
    assert send(story, ward.store, "PUT", "Patient/p1", patient("p1", gender="female")).status == 201
    ward.put("in/a/Patient.ndjson", patient("p1", gender="male"), patient("p2"))
    ward.put("in/Observation.ndjson", observation("o1", "p1"), {**observation("o2", "p2"), "status": "wrong"})
    ward.put("in/readme.txt", b"no resource")
    ward.put("input/Patient.ndjson", patient("p9"))
    input = ward.import_input("in", JobName=story.name("load"))
    kept = {
        "jobName": story.name("load"), "datastoreId": ward.store, "dataAccessRoleArn": ward.role, "clientToken": input["ClientToken"],
        "inputDataConfig": {"s3Uri": f"s3://{ward.bucket}/in"},
        "jobOutputDataConfig": {"s3Configuration": {"s3Uri": f"s3://{ward.bucket}/out", "kmsKeyId": KEY}},
    }  # fmt: skip
    made = story.call(
        "healthlake", "StartFHIRImportJob", input, request=kept, resources=touched(ward.store),
        response={"jobId": ID, "jobStatus": Like("SUBMITTED|QUEUED"), "datastoreId": ward.store},
    )  # fmt: skip
    job = ward.imported(made["JobId"])
    folder = f"out/{ward.store}-FHIR_IMPORT-{made['JobId']}/"
    assert job["JobStatus"] == "COMPLETED_WITH_ERRORS", job
    assert job["JobOutputDataConfig"] == {"S3Configuration": {"S3Uri": f"s3://{ward.bucket}/{folder}", "KmsKeyId": KEY}}
    report = job["JobProgressReport"]
    assert (report["TotalNumberOfScannedFiles"], report["TotalNumberOfImportedFiles"]) == (3, 2)
    assert (report["TotalNumberOfResourcesScanned"], report["TotalNumberOfResourcesImported"]) == (4, 3)
    assert (report["TotalNumberOfResourcesWithCustomerError"], report["TotalNumberOfFilesReadWithCustomerError"]) == (1, 2)
    written = ward.objects(folder)
    assert sorted(written) == [
        "FAILURE/Observation.ndjson", "FAILURE/readme.txt", "Manifest.json", "SUCCESS/Observation.ndjson", "SUCCESS/a/Patient.ndjson",
    ]  # fmt: skip
    manifest = json.loads(written["Manifest.json"])
    assert manifest["inputDataConfig"] == {"s3Uri": f"s3://{ward.bucket}/in"}
    assert manifest["outputDataConfig"] == {"s3Uri": f"s3://{ward.bucket}/out", "encryptionKeyID": KEY}
    assert manifest["failureOutput"] == {"failureOutputS3Uri": f"s3://{ward.bucket}/{folder}FAILURE/"}
    assert (manifest["numberOfResourcesScanned"], manifest["numberOfResourcesImportedSuccessfully"]) == (4, 3)
    (failure,) = lines(written["FAILURE/Observation.ndjson"])
    assert (failure["lineId"], failure["UpdateResourceResponse"]["statusCode"]) == (2, 400)
    assert failure["UpdateResourceResponse"]["jsonBlob"]["issue"][0]["location"] == ["/Observation/status"]
    assert [line["lineId"] for line in lines(written["SUCCESS/a/Patient.ndjson"])] == [1, 2]
    now = json.loads(send(story, ward.store, "GET", "Patient/p1").data)
    assert (now["gender"], now["meta"]["versionId"]) == ("male", "2")
    found = json.loads(send(story, ward.store, "GET", "Observation?patient=p1").data)
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["o1"]
    for missing in ("Observation/o2", "Patient/p9"):
        assert send(story, ward.store, "GET", missing).status == 404
    same = story.client("healthlake").start_fhir_import_job(**input)
    assert (same["JobId"], same["JobStatus"]) == (made["JobId"], "COMPLETED_WITH_ERRORS")
    asked = {"DatastoreId": ward.store, "JobId": made["JobId"]}
    story.call("healthlake", "DescribeFHIRImportJob", asked, resources=touched(ward.store))
    listed = story.call("healthlake", "ListFHIRImportJobs", {"DatastoreId": ward.store}, resources=touched(ward.store))
    assert listed["ImportJobPropertiesList"] == [job]


def failures(ward: Ward, job: str, file: str) -> dict[int, tuple[int, str, str]]:
    """Line -> status, code and text of a file's failure lines."""
    written = ward.objects(f"out/{ward.store}-FHIR_IMPORT-{job}/FAILURE/")
    found = {}
    for line in lines(written.get(file, b"")):
        answer = line["UpdateResourceResponse"]
        issue = answer["jsonBlob"]["issue"][0]
        found[line["lineId"]] = (answer["statusCode"], issue["code"], issue["diagnostics"])
    return found


def test_hostile_lines_are_named_and_the_rest_is_stored(story: Story, ward: Ward) -> None:
    good = [b'{"resourceType":"Patient","id":"g%d"}' % n for n in range(4)]
    bad = [
        b'{"resourceType":"Patient","id":"x"', b'{"resourceType":"Patientt","id":"x"}', b'{"resourceType":"Patient"}',
        b'{"resourceType":"Patient","id":"a b"}', good[0], b'{"resourceType":"Patient","id":"\xff"}', b"[" * 100_000,
        b'{"resourceType":"Patient","id":"d","extension":' + b'[{"extension":' * 200 + b"1" + b"}]" * 200 + b"}", b"[]", b'"text"',
        b'{"resourceType":"Patient","id":"big","name":[{"text":"' + b"Canary" * 800_000 + b'"}]}',
        b'{"resourceType":"Patient","id":"nul","gender":"ma\\u0000le"}',
    ]  # fmt: skip
    ward.put("in/mixed.ndjson", good[0], *bad, good[1])
    ward.put("in/windows.ndjson", b"\xef\xbb\xbf" + good[2], b"", b"  ", good[3], end=b"\r\n")
    ward.put("in/empty.ndjson")
    story.client("s3").put_object(Bucket=ward.bucket, Key="in/cut.ndjson", Body=b'{"resourceType":"Patient","id":"cut"}')
    job = story.client("healthlake").start_fhir_import_job(**ward.import_input())["JobId"]
    ended = ward.imported(job)
    assert ended["JobStatus"] == "COMPLETED_WITH_ERRORS", ended
    found = failures(ward, job, "mixed.ndjson")
    assert {line: (status, code) for line, (status, code, _) in found.items()} == {
        2: (400, "structure"), 3: (400, "structure"), 4: (400, "required"), 5: (400, "value"), 6: (400, "duplicate"), 7: (400, "structure"),
        8: (400, "structure"), 9: (400, "structure"), 10: (400, "structure"), 11: (400, "structure"), 12: (413, "too-long"),
        13: (400, "code-invalid"),
    }  # fmt: skip
    assert found[6][2] == "The id is that of line 1 of this file."
    assert failures(ward, job, "windows.ndjson") == {}
    report = ended["JobProgressReport"]
    assert (report["TotalNumberOfResourcesImported"], report["TotalNumberOfResourcesWithCustomerError"]) == (5, 12)
    for id in ("g0", "g1", "g2", "g3", "cut"):
        read = send(story, ward.store, "GET", f"Patient/{id}")
        assert (read.status, json.loads(read.data)["meta"]["versionId"]) == (200, "1")


def test_the_levels_of_validation(story: Story, ward: Ward) -> None:
    wrong = {"resourceType": "Observation", "id": "o", "code": {"text": "x"}}
    ward.put("in/o.ndjson", wrong)
    start = story.client("healthlake").start_fhir_import_job
    for level, imported in (("strict", 0), ("structure-only", 0), ("minimal", 1)):
        job = start(**ward.import_input(ValidationLevel=level, ClientToken=story.name(level)))["JobId"]
        ended = ward.imported(job)
        assert (ended["ValidationLevel"], ended["JobProgressReport"]["TotalNumberOfResourcesImported"]) == (level, imported)
        folder = "FAILURE" if not imported else "SUCCESS_WITH_SEARCH_VALIDATION_FAILURES"
        assert f"{folder}/o.ndjson" in ward.objects(f"out/{ward.store}-FHIR_IMPORT-{job}/")
    stored = json.loads(send(story, ward.store, "GET", "Observation/o").data)
    assert stored["extension"][0]["url"].endswith("validation-issue")


def refusal(story: Story, input: dict[str, Any]) -> tuple[str, str]:
    """The code and text of a start that is refused."""
    client = story.client("healthlake")
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.start_fhir_import_job(**input)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_start_that_cannot_work_is_refused(story: Story, ward: Ward) -> None:
    input = ward.import_input()
    foreign = ward.role_for("personalize.amazonaws.com")
    code, text = refusal(story, {**input, "DataAccessRoleArn": foreign})
    assert (code, foreign in text, "sts:AssumeRole" in text) == ("AccessDeniedException", True, True)
    code, text = refusal(story, {**input, "DataAccessRoleArn": ward.role_for("healthlake.amazonaws.com", allowed=False)})
    assert (code, "s3:PutObject" in text) == ("AccessDeniedException", True)
    assert refusal(story, {**input, "InputDataConfig": {"S3Uri": "s3://no-such-bucket-here/in/"}})[0] == "ValidationException"
    assert refusal(story, {**input, "DatastoreId": "0" * 32})[0] == "ResourceNotFoundException"
    assert refusal(story, {**input, "ProvenanceEnabled": True})[0] == "ValidationException"
    caller = story.user(("healthlake:*", "*"))
    place = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{ward.store}"
    aimed = [("AWS::HealthLake::FHIRDatastore", place), ("AWS::IAM::Role", ward.role)]
    story.call("healthlake", "StartFHIRImportJob", input, caller=caller, request=None, resources=aimed, error="AccessDeniedException")
    client = story.client("healthlake")
    assert client.list_fhir_import_jobs(DatastoreId=ward.store)["ImportJobPropertiesList"] == []
    allowed = story.user(("healthlake:*", "*"), ("iam:PassRole", ward.role))
    ward.put("in/a.ndjson", patient("a"))
    job = story.client("healthlake", allowed).start_fhir_import_job(**input)["JobId"]
    assert ward.imported(job)["JobStatus"] == "COMPLETED"
    assert refusal(story, {**input, "JobName": "other"})[0] == "ValidationException"


def test_a_job_that_loses_its_right_or_finds_nothing_fails_with_the_reason(story: Story, ward: Ward) -> None:
    start = story.client("healthlake").start_fhir_import_job
    job = start(**ward.import_input("nothing/"))["JobId"]
    ended = ward.imported(job)
    assert (ended["JobStatus"], ended["Message"]) == ("FAILED", f"There is no file at s3://{ward.bucket}/nothing/.")
    ward.put("in/a.ndjson", patient("a"))
    writes = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:ListBucket"], "Resource": "*"}
    role = ward.role_for("healthlake.amazonaws.com", allowed=False)
    document = json.dumps({"Version": "2012-10-17", "Statement": [writes]})
    story.client("iam").put_role_policy(RoleName=role.rpartition("/")[2], PolicyName="some", PolicyDocument=document)
    job = start(**ward.import_input(ClientToken=story.name("other"), DataAccessRoleArn=role))["JobId"]
    ended = ward.imported(job)
    assert (ended["JobStatus"], "s3:GetObject" in ended["Message"]) == ("FAILED", True), ended


def test_the_work_is_recorded_as_the_services_in_the_role(story: Story, ward: Ward) -> None:
    ward.put("in/a.ndjson", patient("canary-id", name=[{"family": "Canary-Lindqvist"}]))
    job = story.client("healthlake").start_fhir_import_job(**ward.import_input())["JobId"]
    assert ward.imported(job)["JobStatus"] == "COMPLETED"
    records = story.live.recent()
    assumed = [one for one in records if one["eventName"] == "AssumeRole" and (one["requestParameters"] or {}).get("roleArn") == ward.role]
    assert assumed
    assert all(one["userIdentity"] == {"type": "AWSService", "invokedBy": "healthlake.amazonaws.com"} for one in assumed)
    made = [
        one for one in records if (one["requestParameters"] or {}).get("bucketName") == ward.bucket and "invokedBy" in one["userIdentity"]
    ]
    assert {one["eventName"] for one in made} >= {"PutObject", "GetObject"}
    for one in made:
        assert one["userIdentity"]["invokedBy"] == "healthlake.amazonaws.com"
        assert one["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == ward.role
        assert one["sourceIPAddress"] == "healthlake.amazonaws.com"
    assert "Lindqvist" not in json.dumps(records)
    (told,) = [one for one in records if (one.get("additionalEventData") or {}).get("jobId") == job]
    assert (told["eventName"], told["additionalEventData"]["returned"]["items"]) == ("ImportFHIRResources", ["Patient/canary-id"])
    assert told["userIdentity"] == {**story.root.identity, "invokedBy": "healthlake.amazonaws.com"}


def test_lists_are_filtered_and_paged(story: Story, ward: Ward) -> None:
    ward.put("in/a.ndjson", patient("a"))
    client = story.client("healthlake")
    made = []
    for n in range(3):
        input = ward.import_input(ClientToken=story.name(f"t{n}"), JobName=f"load{n % 2}")
        made.append(client.start_fhir_import_job(**input)["JobId"])
    for job in made:
        ward.imported(job)

    def ids(**asked: Any) -> list[str]:
        found, token = [], {}
        while True:
            page = client.list_fhir_import_jobs(DatastoreId=ward.store, MaxResults=1, **asked, **token)
            found += [one["JobId"] for one in page["ImportJobPropertiesList"]]
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    assert ids() == made[::-1]
    assert ids(JobName="load0") == [made[2], made[0]]
    assert ids(JobStatus="FAILED") == []
    submitted = client.describe_fhir_import_job(DatastoreId=ward.store, JobId=made[1])["ImportJobProperties"]["SubmitTime"]
    assert ids(SubmittedAfter=submitted)[-1] == made[2]
    assert made[0] in ids(SubmittedBefore=submitted)
    with pytest.raises(client.exceptions.ValidationException):
        client.list_fhir_import_jobs(DatastoreId=ward.store, NextToken="AAAA")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_fhir_import_job(DatastoreId=ward.store, JobId="0" * 32)
