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
