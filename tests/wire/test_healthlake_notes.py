"""Notes that are read by natural-language processing: what is attached and made, how often, and what the trail says of it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.fhir_data import touched
from tests.wire.story import Story

CM = "http://healthlake.amazonaws.com/aws-cm/"
GENERATED = "http://healthlake.amazonaws.com/system-generated-resources/"
NOTE = "Assessment: type 2 diabetes mellitus. The patient complains of chest pain. He takes metformin 500 mg twice daily. Canaryberg."


@pytest.fixture
def store(story: Story) -> Iterator[str]:
    """A data store that reads its notes."""
    client = story.client("healthlake")
    made = client.create_fhir_datastore(DatastoreTypeVersion="R4", NlpConfiguration={"Status": "ENABLED"})
    yield made["DatastoreId"]
    client.delete_fhir_datastore(DatastoreId=made["DatastoreId"])


def document(text: str | bytes, **more: Any) -> dict[str, Any]:
    data = base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()
    return {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}], **more,
    }  # fmt: skip


def send(story: Story, store: str, method: str, path: str, resource: Any = None) -> Any:
    """A FHIR call that must succeed."""
    body = b"" if resource is None else json.dumps(resource).encode()
    signed = story.live.signed(
        story.root, "healthlake", method, f"/datastore/{store}/r4/{path}", body, {"content-type": "application/fhir+json"}
    )
    answer = story.live.submit(signed)
    assert answer.status < 300, answer.data
    return json.loads(answer.data) if answer.data else {}


def group(resource: dict[str, Any], url: str) -> dict[str, Any]:
    return next(one for one in resource.get("extension", ()) if one["url"] == url)


def state(resource: dict[str, Any]) -> dict[str, str]:
    return {one["url"].removeprefix(CM): one["valueString"] for one in group(resource, CM)["extension"] if "valueString" in one}


def decorated(story: Story, store: str, id: str, version: str) -> dict[str, Any]:
    """The document, once it has this version."""
    until = time.monotonic() + 120
    while (found := send(story, store, "GET", f"DocumentReference/{id}"))["meta"]["versionId"] != version:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    result: dict[str, Any] = found
    return result


def generated(story: Story, store: str, resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The Linkage, and what it links."""
    names = [one["valueReference"]["reference"] for one in group(resource, GENERATED)["extension"]]
    return [send(story, store, "GET", name) for name in names]


def test_a_note_is_read_linked_and_read_again_when_it_changes(story: Story, store: str) -> None:
    made = send(story, store, "POST", "DocumentReference", document(NOTE))
    found = decorated(story, store, made["id"], "2")
    assert state(found)["status/"] == "SUCCESS"
    raw = {one["url"]: one for one in group(found, CM)["extension"]}
    assert set(raw) == {f"{CM}{name}/" for name in ("detect-entities", "infer-icd10", "infer-rxnorm", "status", "message")}
    for name in ("detect-entities", "infer-icd10", "infer-rxnorm"):
        held = {one["url"].rpartition("/")[2]: one for one in raw[f"{CM}{name}/"]["extension"]}
        assert json.loads(held["raw-response"]["valueString"])["ModelVersion"] == held["model-version"]["valueString"]
    linkage, *resources = generated(story, store, found)
    assert {one["resourceType"] for one in resources} == {"Observation", "Condition", "MedicationStatement"}
    assert all(one["subject"] == {"reference": "Patient/p1"} for one in resources)
    assert [one["resource"]["reference"] for one in linkage["item"]][-1] == f"DocumentReference/{made['id']}"
    assert len(linkage["item"]) == len(resources) + 1
    again = send(
        story, store, "PUT", f"DocumentReference/{made['id']}", {**found, **document("He takes metformin 500 mg."), "id": made["id"]}
    )
    assert again["meta"]["versionId"] == "3"
    after = decorated(story, store, made["id"], "4")
    linkage2, *fewer = generated(story, store, after)
    assert (linkage2["id"], linkage2["meta"]["versionId"]) == (linkage["id"], "2")
    assert {one["resourceType"] for one in fewer} == {"MedicationStatement"}
    assert len([one for one in after["extension"] if one["url"] == CM]) == 1
    assert not send(story, store, "GET", "Condition").get("entry")


def test_the_trail_names_healthlake_and_holds_nothing_of_the_note(story: Story, store: str) -> None:
    made = send(story, store, "POST", "DocumentReference", document(NOTE))
    decorated(story, store, made["id"], "2")
    client = story.client("cloudtrail")
    name = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{store}/DocumentReference/{made['id']}"
    seen = client.lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": name}])["Events"]
    records = [json.loads(one["CloudTrailEvent"]) for one in seen]
    written = next(one for one in records if one["eventName"] == "ProcessBundle")
    assert written["userIdentity"] == {"type": "AWSService", "invokedBy": "healthlake.amazonaws.com"}
    for operation in ("DetectEntitiesV2", "InferICD10CM", "InferRxNorm"):
        events = client.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": operation}])["Events"]
        calls = [json.loads(one["CloudTrailEvent"]) for one in events]
        mine = [one for one in calls if one["userIdentity"].get("invokedBy") == "healthlake.amazonaws.com"]
        assert mine
        assert {(one["requestParameters"], one["responseElements"]) for one in mine} == {(None, None)}
    assert "anaryberg" not in json.dumps(records)


@pytest.mark.parametrize(
    ("text", "why"),
    [("a " * 5001, "more than"), (b"Gr\xfc\xdfe", "UTF-8")],
)
def test_a_note_that_cannot_be_read_says_so(story: Story, store: str, text: str | bytes, why: str) -> None:
    made = send(story, store, "POST", "DocumentReference", document(text))
    found = decorated(story, store, made["id"], "2")
    assert state(found)["status/"] == "VALIDATION_ERROR"
    assert why in state(found)["message/"]


def test_documents_without_a_note_or_a_subject(story: Story, store: str) -> None:
    other = send(
        story,
        store,
        "POST",
        "DocumentReference",
        document(NOTE, content=[{"attachment": {"contentType": "application/pdf", "data": "YQ=="}}]),
    )
    bare = document(NOTE)
    del bare["subject"]
    alone = send(story, store, "POST", "DocumentReference", bare)
    found = decorated(story, store, alone["id"], "2")
    assert [one["url"] for one in found["extension"]] == [CM]
    assert "no subject" in state(found)["message/"]
    assert send(story, store, "GET", f"DocumentReference/{other['id']}")["meta"]["versionId"] == "1"


def test_bundles_and_patches_have_notes_read_and_others_stores_do_not(story: Story, store: str) -> None:
    entry = {"request": {"method": "PUT", "url": "DocumentReference/d1"}, "resource": {**document(NOTE), "id": "d1"}}
    send(story, store, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    found = decorated(story, store, "d1", "2")
    assert found["extension"]
    client = story.client("healthlake")
    shown = client.describe_fhir_datastore(DatastoreId=store)["DatastoreProperties"]
    assert shown["NlpConfiguration"] == {"Status": "ENABLED"}
    plain = client.create_fhir_datastore(DatastoreTypeVersion="R4", NlpConfiguration={"Status": "DISABLED"})["DatastoreId"]
    unread = send(story, plain, "POST", "DocumentReference", document(NOTE))
    send(story, store, "PUT", "DocumentReference/d2", {**document(NOTE), "id": "d2"})
    decorated(story, store, "d2", "2")
    assert send(story, plain, "GET", f"DocumentReference/{unread['id']}")["meta"]["versionId"] == "1"
    with pytest.raises(ClientError, match="Status must be ENABLED or DISABLED"):
        client.create_fhir_datastore(DatastoreTypeVersion="R4", NlpConfiguration={"Status": "ENABLING"})


def test_nobody_else_writes_as_healthlake(story: Story, store: str) -> None:
    user = story.user(("healthlake:ProcessBundle", "*"))
    entry = {"request": {"method": "PUT", "url": "DocumentReference/d1"}, "resource": {**document(NOTE), "id": "d1"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    story.fhir(
        "ProcessBundle", "POST", f"/{store}/r4/", bundle, caller=user, status=403, error="AccessDeniedException", resources=touched(store)
    )
