"""Export jobs by boto3, and FHIR's $export: levels, filters, polling, cancelling, one state, and what the trail says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import urllib3

from tests.wire.bulk_data import KEY, Ward, ended, ward
from tests.wire.covers import covers
from tests.wire.fhir_data import facts, observation, send, touched
from tests.wire.story import Like, Story

__all__ = ["ward"]
ID = Like("[0-9a-f]{32}")
ASYNC = {"prefer": "respond-async"}


def fill(story: Story, ward: Ward) -> None:
    """Two patients with an observation each, an observation of nobody, an organization, and a group of p1."""
    group = {
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "member": [{"entity": {"reference": "Patient/p1"}}, {"entity": {"reference": "Patient/p2"}, "inactive": True}],
    }  # fmt: skip
    for id in ("p1", "p2"):
        tag = {"meta": {"tag": [{"system": "urn:unit", "code": "icu"}]}} if id == "p1" else {}
        assert send(story, ward.store, "PUT", f"Patient/{id}", {"resourceType": "Patient", "id": id, **tag}).status == 201
        assert send(story, ward.store, "PUT", f"Observation/o-{id}", observation(f"o-{id}", id)).status == 201
    stray = {key: value for key, value in observation("stray", "p1").items() if key != "subject"}
    assert send(story, ward.store, "PUT", "Observation/stray", stray).status == 201
    organization = b'{"resourceType":"Organization","id":"h","name":\n"Hospital"}'
    assert send(story, ward.store, "PUT", "Organization/h", organization).status == 201
    assert send(story, ward.store, "PUT", "Group/g", group).status == 201


def names(files: Mapping[str, bytes]) -> list[str]:
    """What the lines of exported files are."""
    found: Iterable[dict[str, Any]] = (json.loads(line) for text in files.values() for line in text.splitlines())
    return sorted(f"{one['resourceType']}/{one['id']}" for one in found)


ALL = ["Group/g", "Observation/o-p1", "Observation/o-p2", "Observation/stray", "Organization/h", "Patient/p1", "Patient/p2"]


@covers("healthlake", "StartFHIRExportJob", "DescribeFHIRExportJob", "ListFHIRExportJobs")
def test_a_data_store_is_exported(story: Story, ward: Ward) -> None:
    fill(story, ward)
    assert send(story, ward.store, "DELETE", "Observation/o-p2").status == 204
    input = ward.export_input(JobName=story.name("dump"))
    kept = {
        "jobName": story.name("dump"), "datastoreId": ward.store, "dataAccessRoleArn": ward.role, "clientToken": input["ClientToken"],
        "outputDataConfig": {"s3Configuration": {"s3Uri": f"s3://{ward.bucket}/out", "kmsKeyId": KEY}},
    }  # fmt: skip
    made = story.call(
        "healthlake", "StartFHIRExportJob", input, request=kept, resources=touched(ward.store),
        response={"jobId": ID, "jobStatus": Like("SUBMITTED|QUEUED"), "datastoreId": ward.store},
    )  # fmt: skip
    assert send(story, ward.store, "PUT", "Patient/late", {"resourceType": "Patient", "id": "late"}).status == 201
    job = ward.exported(made["JobId"])
    folder = f"out/{ward.store}-FHIR_EXPORT-{made['JobId']}/"
    assert job["JobStatus"] == "COMPLETED", job
    assert job["OutputDataConfig"] == {"S3Configuration": {"S3Uri": f"s3://{ward.bucket}/{folder}", "KmsKeyId": KEY}}
    files = ward.objects(folder)
    assert names(files) == [one for one in ALL if one != "Observation/o-p2"]
    assert sorted(files) == [f"{type}/{type}-{made['JobId']}-1.ndjson" for type in ("Group", "Observation", "Organization", "Patient")]
    read = send(story, ward.store, "GET", "Patient/p1").data
    assert read in files[f"Patient/Patient-{made['JobId']}-1.ndjson"].splitlines()
    told = [one for one in story.live.recent() if (one.get("additionalEventData") or {}).get("jobId") == made["JobId"]]
    assert {one["eventName"] for one in told} == {"ExportFHIRResources"}
    assert all(one["userIdentity"] == {**story.root.identity, "invokedBy": "healthlake.amazonaws.com"} for one in told)
    shown = sorted(item for one in told for item in one["additionalEventData"]["returned"]["items"])
    assert shown == [one for one in ALL if one != "Observation/o-p2"]
    patient = [("AWS::HealthLake::FHIRResource", touched(ward.store, "Patient/p2")[1][1])]
    naming = [one for one in told if (patient[0][0], patient[0][1]) in [(r["type"], r["ARN"]) for r in one["resources"]]]
    assert len(naming) == 2, "the files of Group and Patient show p2; its observation was deleted before"
    asked = {"DatastoreId": ward.store, "JobId": made["JobId"]}
    story.call("healthlake", "DescribeFHIRExportJob", asked, resources=touched(ward.store))
    listed = story.call("healthlake", "ListFHIRExportJobs", {"DatastoreId": ward.store}, resources=touched(ward.store))
    assert listed["ExportJobPropertiesList"] == [job]


def kick_off(story: Story, ward: Ward, path: str, headers: Mapping[str, str] = ASYNC, **members: Any) -> urllib3.BaseHTTPResponse:
    """The answer to an $export."""
    output = {"S3Configuration": {"S3Uri": f"s3://{ward.bucket}/out", "KmsKeyId": KEY}}
    return send(story, ward.store, "POST", path, {"DataAccessRoleArn": ward.role, "OutputDataConfig": output, **members}, headers)


def poll(story: Story, ward: Ward, job: str) -> urllib3.BaseHTTPResponse:
    """The answer once it is no longer 202."""
    ward.exported(job)
    return send(story, ward.store, "GET", f"export/{job}")


@covers("healthlake", "StartFHIRExportJobWithPost", "DescribeFHIRExportJobWithGet")
def test_every_level_and_filter(story: Story, ward: Ward) -> None:
    fill(story, ward)
    levels = [
        ("$export", ALL),
        ("$export?_type=Patient,Organization&_outputFormat=application/fhir%2Bndjson", ["Organization/h", "Patient/p1", "Patient/p2"]),
        ("$export?_tag=urn:unit%7Cicu", ["Patient/p1"]),
        ("$export?_since=2999-01-01T00:00:00Z", []),
        ("$export?_until=2000-01-01T00:00:00Z", []),
        ("Patient/$export", ["Group/g", "Observation/o-p1", "Observation/o-p2", "Patient/p1", "Patient/p2"]),
        ("Patient/$export?_type=Observation", ["Observation/o-p1", "Observation/o-p2"]),
        ("Group/g/$export", ["Group/g", "Observation/o-p1", "Patient/p1"]),
    ]
    started = []
    for path, wanted in levels:
        answer = kick_off(story, ward, path)
        assert answer.status == 202, answer.data
        body = json.loads(answer.data)
        assert (body["datastoreId"], body["jobStatus"] in ("SUBMITTED", "QUEUED")) == (ward.store, True)
        assert answer.headers["content-location"].endswith(f"/datastore/{ward.store}/r4/export/{body['jobId']}")
        started.append((body["jobId"], path, wanted, answer))
    for job, path, wanted, _ in started:
        answer = poll(story, ward, job)
        told = json.loads(answer.data)
        assert (answer.status, told["requiresAccessToken"], told["error"]) == (200, False, []), path
        assert told["exportJobProperties"]["jobStatus"] == "COMPLETED"
        assert told["request"].endswith(path.replace(":", "%3A").replace("/fhir", "%2Ffhir").replace(",", "%2C")), told["request"]
        folder = f"s3://{ward.bucket}/out/{ward.store}-FHIR_EXPORT-{job}/"
        assert all(one["url"].startswith(folder) for one in told["output"])
        files = ward.objects(f"out/{ward.store}-FHIR_EXPORT-{job}/")
        assert names(files) == wanted, path
        assert sorted(folder + key for key in files) == sorted(one["url"] for one in told["output"])
        assert sum(one["count"] for one in told["output"]) == len(wanted)
    _, _, _, first = started[0]
    (record,) = story.live.journal(first.headers["x-amzn-requestid"])
    assert record["eventName"] == "StartFHIRExportJobWithPost"
    assert record["requestParameters"] == {"datastoreId": ward.store, "operation": "export"}
    assert facts(story, first.headers)["jobId"] == started[0][0]
    story.proven |= {("healthlake", "StartFHIRExportJobWithPost"), ("healthlake", "DescribeFHIRExportJobWithGet")}


def test_what_is_not_offered_is_refused(story: Story, ward: Ward) -> None:
    for path, headers in (
        ("$export", {}), ("$export?_typeFilter=Patient", ASYNC), ("$export?_type=Nothing", ASYNC), ("$export?_since=soon", ASYNC),
        ("$export?_outputFormat=text/csv", ASYNC), ("Patient/p1/$export", ASYNC), ("Observation/$export", ASYNC),
        ("Patient/$export?_type=Organization", ASYNC),
    ):  # fmt: skip
        answer = kick_off(story, ward, path, headers)
        assert (answer.status, json.loads(answer.data)["resourceType"]) == (400, "OperationOutcome"), path
    assert kick_off(story, ward, "Group/none/$export").status == 404
    assert kick_off(story, ward, "$export", Unknown=1).status == 400
    assert kick_off(story, ward, "$export", DataAccessRoleArn="nobody").status == 400
    assert send(story, ward.store, "GET", "export/" + "0" * 32).status == 404


def test_no_spelling_of_an_export_escapes_the_right_to_pass_its_role(story: Story, ward: Ward) -> None:
    clerk = story.user(("healthlake:*", "*"))
    body = {"DataAccessRoleArn": ward.role, "OutputDataConfig": {"S3Configuration": {"S3Uri": f"s3://{ward.bucket}/out", "KmsKeyId": KEY}}}
    plain = json.dumps(body).encode()
    for sent, status in ((plain, 403), (b'{"DataAccessRoleArn":5,' + plain[1:], None), (b"{}", 400), (b"", 400), (b"[]", 400), (b"{", 400)):
        request = story.live.signed(clerk, "healthlake", "POST", f"/datastore/{ward.store}/r4/$export", sent, ASYNC)
        answer = story.live.submit(request)
        assert answer.status in ((400, 403) if status is None else (status,)), sent


def fetched(story: Story, ward: Ward, url: str) -> urllib3.BaseHTTPResponse:
    """The answer to a signed GET of a file of the manifest."""
    return send(story, ward.store, "GET", url.partition("/r4/")[2])


@covers("healthlake", "StartFHIRExportJobWithGet", "GetExportedFile")
def test_a_bulk_data_client_gets_its_files_from_the_server(story: Story, ward: Ward) -> None:
    fill(story, ward)
    levels = [
        ("$export", ALL),
        ("$export?_type=Patient&_type=Organization&_since=2020-01-01T00:00:00Z&_outputFormat=ndjson",
         ["Organization/h", "Patient/p1", "Patient/p2"]),
        ("Patient/$export?_type=Observation", ["Observation/o-p1", "Observation/o-p2"]),
        ("Group/g/$export", ["Group/g", "Observation/o-p1", "Patient/p1"]),
    ]  # fmt: skip
    for path, wanted in levels:
        started = send(story, ward.store, "GET", path, None, ASYNC)
        assert started.status == 202, started.data
        job = json.loads(started.data)["jobId"]
        assert started.headers["content-location"].endswith(f"/r4/export/{job}")
        answer = poll(story, ward, job)
        told = json.loads(answer.data)
        assert (answer.status, told["requiresAccessToken"], told["error"]) == (200, True, []), path
        assert "dataAccessRoleArn" not in told["exportJobProperties"]
        files = {one["url"]: fetched(story, ward, one["url"]) for one in told["output"]}
        assert {(one.status, one.headers["content-type"]) for one in files.values()} == {(200, "application/fhir+ndjson")}
        assert names({url: one.data for url, one in files.items()}) == wanted, path
        assert [len(files[one["url"]].data.splitlines()) for one in told["output"]] == [one["count"] for one in told["output"]]
    (record,) = story.live.journal(started.headers["x-amzn-requestid"])
    kept = {"datastoreId": ward.store, "resourceType": "Group", "resourceId": "g", "operation": "export"}
    assert (record["eventName"], record["requestParameters"], record["readOnly"]) == ("StartFHIRExportJobWithGet", kept, False)
    url = next(one["url"] for one in told["output"] if one["type"] == "Observation")
    (record,) = story.live.journal(files[url].headers["x-amzn-requestid"])
    file = url.partition(f"{job}/")[2]
    assert (record["eventName"], record["requestParameters"]) == (
        "GetExportedFile", {"datastoreId": ward.store, "resourceId": job, "file": file},
    )  # fmt: skip
    assert record["additionalEventData"]["returned"]["items"] == ["Observation/o-p1"]
    assert [(one["type"], one["ARN"]) for one in record["resources"]] == [
        *touched(ward.store), ("AWS::HealthLake::FHIRResource", touched(ward.store, "Patient/p1")[1][1]),
    ]  # fmt: skip
    mine = [one for one in story.live.recent() if (one.get("additionalEventData") or {}).get("jobId") == job]
    assert [one["eventName"] for one in mine] == ["StartFHIRExportJobWithGet"], "nothing was shown before a file was fetched"
    head = send(story, ward.store, "HEAD", f"export/{job}/{file}")
    assert (head.status, head.data, int(head.headers["content-length"])) == (200, b"", len(files[url].data))
    for wrong in (f"{job}/Patient/other.ndjson", f"{job}/..%2F..%2Fmaster.key/x", f"{'0' * 32}/{file}", f"{job}/{file}.shown"):
        assert send(story, ward.store, "GET", f"export/{wrong}").status == 404, wrong
    story.proven |= {("healthlake", "StartFHIRExportJobWithGet"), ("healthlake", "GetExportedFile")}


def test_a_get_of_an_export_needs_its_right(story: Story, ward: Ward) -> None:
    for wrong, status in (("$export?_typeFilter=Patient%3Fgender%3Dmale", 400), ("Observation/$export", 400), ("Group/none/$export", 404)):
        assert send(story, ward.store, "GET", wrong, None, ASYNC).status == status
    assert send(story, ward.store, "GET", "$export").status == 400
    request = story.live.signed(story.user(), "healthlake", "GET", f"/datastore/{ward.store}/r4/$export", headers=ASYNC)
    assert story.live.submit(request).status == 403
    story.client("healthlake").start_fhir_export_job(**ward.export_input())
    elsewhere = json.loads(kick_off(story, ward, "$export").data)["jobId"]
    assert json.loads(poll(story, ward, elsewhere).data)["output"] == []
    assert send(story, ward.store, "GET", f"export/{elsewhere}/Patient/Patient-{elsewhere}-1.ndjson").status == 404


@covers("healthlake", "CancelFHIRExportJobWithDelete")
def test_an_export_is_cancelled(story: Story, ward: Ward) -> None:
    fill(story, ward)
    running = [json.loads(kick_off(story, ward, "$export").data)["jobId"] for _ in range(6)]
    job = running[-1]
    polled = send(story, ward.store, "GET", f"export/{job}")
    assert (polled.status, polled.headers["retry-after"], polled.headers["x-progress"]) == (202, "5", "queued, 0 resources")
    answer = send(story, ward.store, "DELETE", f"export/{job}")
    assert (answer.status, json.loads(answer.data)["exportJobProperties"]["jobStatus"]) == (202, "CANCEL_SUBMITTED")
    assert send(story, ward.store, "GET", f"export/{job}").status == 404
    assert ward.exported(job)["JobStatus"] == "CANCEL_COMPLETED"
    assert send(story, ward.store, "DELETE", f"export/{job}").status == 404
    ward.exported(running[0])
    assert send(story, ward.store, "DELETE", f"export/{running[0]}").status == 409
    (record,) = story.live.journal(answer.headers["x-amzn-requestid"])
    assert (record["eventName"], record["requestParameters"]) == (
        "CancelFHIRExportJobWithDelete", {"datastoreId": ward.store, "resourceId": job},
    )  # fmt: skip
    for one in running[:-1]:
        assert (
            ended(
                lambda one=one: story.client("healthlake").describe_fhir_export_job(  # type: ignore[misc]
                    DatastoreId=ward.store, JobId=one
                )["ExportJobProperties"]
            )["JobStatus"]
            == "COMPLETED"
        )
    story.proven.add(("healthlake", "CancelFHIRExportJobWithDelete"))
