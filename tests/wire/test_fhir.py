"""FHIR by signed requests: every interaction that is offered, and what must not get through."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.wire.covers import covers
from tests.wire.story import Like, Live, Story, host, root

TYPE, RESOURCE = "AWS::HealthLake::FHIRDatastore", "AWS::HealthLake::FHIRResource"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Canary-Lindqvist"}]}


@pytest.fixture
def store(story: Story) -> Iterator[str]:
    """A data store's id."""
    client = story.client("healthlake")
    id = client.create_fhir_datastore(DatastoreTypeVersion="R4", DatastoreName=story.name("fhir"))["DatastoreId"]
    yield id
    client.delete_fhir_datastore(DatastoreId=id)


def touched(store: str, *resource: str) -> list[tuple[str, str]]:
    """The record's resources: the store, and the resource in it."""
    arn = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{store}"
    return [(TYPE, arn), *((RESOURCE, f"{arn}/{one}") for one in resource)]


@covers("healthlake", "CreateResource", "ReadResource", "UpdateResource", "VersionReadResource", "DeleteResource")
def test_a_resource_lives_and_is_deleted(story: Story, store: str) -> None:
    named = {"datastoreId": store, "resourceType": "Patient"}
    arn = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{store}"
    new = [(TYPE, arn), (RESOURCE, Like(f"{arn}/Patient/[0-9a-f-]{{36}}"))]
    made, _ = story.fhir("CreateResource", "POST", f"/{store}/r4/Patient", PATIENT, status=201, request=named, resources=new)
    one, path = f"Patient/{made['id']}", f"/{store}/r4/Patient/{made['id']}"
    this = {**named, "resourceId": made["id"]}
    read, _ = story.fhir("ReadResource", "GET", path, request=this, resources=touched(store, one))
    assert read == made
    _, headers = story.fhir("UpdateResource", "PUT", path, {**made, "active": True}, request=this, resources=touched(store, one))
    assert headers["etag"] == 'W/"2"'
    first, _ = story.fhir(
        "VersionReadResource", "GET", path + "/_history/1", request={**this, "versionId": "1"}, resources=touched(store, one)
    )
    assert "active" not in first
    story.fhir("ReadResource", "GET", path, status=304, request=this, resources=touched(store, one), headers={"if-none-match": 'W/"2"'})
    story.fhir("DeleteResource", "DELETE", path, status=204, request=this, resources=touched(store, one))
    gone = "ResourceGoneException"
    outcome, _ = story.fhir("ReadResource", "GET", path, status=410, request=this, resources=touched(store, one), error=gone)
    assert outcome["resourceType"] == "OperationOutcome"


@covers("healthlake", "GetCapabilities")
def test_capabilities(story: Story, store: str) -> None:
    request = {"datastoreId": store}
    found, _ = story.fhir("GetCapabilities", "GET", f"/{store}/r4/metadata", request=request, resources=touched(store))
    assert found["fhirVersion"] == "4.0.1"


def test_who_touched_a_patient_is_found_by_name_and_no_patient_is_in_the_record(story: Story, store: str) -> None:
    body = {**PATIENT, "id": "p1"}
    _, headers = story.fhir(
        "UpdateResource", "PUT", f"/{store}/r4/Patient/p1", body, status=201, resources=touched(store, "Patient/p1"),
        request={"datastoreId": store, "resourceType": "Patient", "resourceId": "p1"},
    )  # fmt: skip
    name = touched(store, "Patient/p1")[1][1]
    attributes = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
    (event,) = story.client("cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
    assert json.loads(event["CloudTrailEvent"])["requestID"] == headers["x-amzn-requestid"]
    assert "Canary" not in json.dumps(story.live.journal(headers["x-amzn-requestid"]))


def test_a_user_without_the_right_is_refused_and_recorded(story: Story, store: str) -> None:
    reader = story.user(("healthlake:ReadResource", "*"))
    denied, _ = story.fhir(
        "CreateResource", "POST", f"/{store}/r4/Patient", PATIENT, caller=reader, status=403, error="AccessDeniedException",
        resources=touched(store),
    )  # fmt: skip
    assert denied["issue"][0]["code"] == "forbidden"
    assert "because because" not in denied["issue"][0]["diagnostics"]


def test_another_accounts_store_is_not_found(story: Story, store: str) -> None:
    stranger = root("210987654321", story.live.server.keys)
    wanted = {"datastoreId": store, "resourceType": "Patient", "resourceId": "p1"}
    own = [(type, arn.replace("123456789012", stranger.account)) for type, arn in touched(store, "Patient/p1")]
    story.fhir(
        "ReadResource", "GET", f"/{store}/r4/Patient/p1", caller=stranger, status=404, request=wanted, error="ResourceNotFoundException",
        resources=own,
    )  # fmt: skip


def test_refused_calls_are_found_by_what_they_were_aimed_at(story: Story, store: str) -> None:
    """Also those that did not come as far as the resource: without a right, or with a body that is none."""
    path, nobody, id = f"/{store}/r4/Patient/aimed", story.user(("healthlake:GetCapabilities", "*")), "AccessDeniedException"
    aim, named = touched(store, "Patient/aimed"), {"datastoreId": store, "resourceType": "Patient", "resourceId": "aimed"}
    story.fhir("ReadResource", "GET", path, caller=nobody, status=403, error=id, resources=aim)
    story.fhir("DeleteResource", "DELETE", path, caller=nobody, status=403, error=id, resources=aim)
    for body in ({"resourceType": "Patient", "id": "other"}, {"resourceType": "Patient", "id": "aimed", "nmae": []}):
        story.fhir("UpdateResource", "PUT", path, body, status=400, error="ValidationException", request=named, resources=aim)
    story.fhir("ReadResource", "GET", path, status=404, error="ResourceNotFoundException", request=named, resources=aim)
    client = story.client("cloudtrail")
    asked = {"AttributeKey": "ResourceName", "AttributeValue": f"{aim[1][1]}"}
    found = client.lookup_events(LookupAttributes=[asked])["Events"]
    assert [event["EventName"] for event in found] == ["ReadResource", "UpdateResource", "UpdateResource", "DeleteResource", "ReadResource"]


def test_an_unsigned_request_gets_401(live: Live) -> None:
    answer = live.send("GET", "/datastore/abc/r4/Patient/1", {"host": host(live)})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "AWS4-HMAC-SHA256")
    assert json.loads(answer.data)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "Patient", b"{", 400),
        ("POST", "Patient", b"[]", 400),
        ("POST", "Patient", b'{"resourceType":"Observation"}', 400),
        ("POST", "Nobody", b'{"resourceType":"Nobody"}', 404),
        ("PUT", "Patient/a_b", b'{"resourceType":"Patient","id":"a_b"}', 400),
        ("PUT", "Patient/a", b'{"resourceType":"Patient","id":"b"}', 400),
        ("GET", "Patient?unknown=x", b"", 400),
        ("GET", "Patient?_count=101", b"", 400),
        ("GET", "Patient?page=forged", b"", 400),
        ("GET", "?name=x", b"", 400),
        ("PATCH", "Patient/a", b"[]", 415),
        ("PATCH", "Patient?name=x", b"[]", 415),
        ("PATCH", "Patient", b"[]", 415),
        ("PUT", "Patient?_count=3", b'{"resourceType":"Patient"}', 400),
        ("DELETE", "Patient?name=nobody", b"", 404),
        ("DELETE", "Patient", b"", 400),
        ("POST", "Observation", b'{"resourceType":"Observation","code":{"text":"x"}}', 400),
        ("GET", "Patient/never/_history", b"", 404),
        ("GET", "Patient/_history?_since=soon", b"", 400),
        ("GET", "Patient/_history?_at=then", b"", 400),
        ("GET", "Nobody/_history", b"", 404),
        ("TRACE", "Patient/a", b"", 405),
        ("GET", "Patient/%ff", b"", 400),
        ("GET", "Patient/never", b"", 404),
    ],
)
def test_what_cannot_be_served_is_answered_with_an_outcome(
    story: Story, store: str, method: str, path: str, body: bytes, status: int
) -> None:
    answer = story.live.submit(story.live.signed(story.root, "healthlake", method, f"/datastore/{store}/r4/{path}", body))
    assert answer.status == status, answer.data
    assert json.loads(answer.data)["resourceType"] == "OperationOutcome"
