"""Batches and transactions: what happens to each entry, and what the one record says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.wire.covers import covers
from tests.wire.fhir_data import PATIENT, facts, filled, observation, send, touched
from tests.wire.story import Story


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def asks(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    """An entry of a bundle."""
    found: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        found["resource"] = resource
    return {**found, "fullUrl": full_url} if full_url else found


def pointing(reference: str) -> dict[str, Any]:
    """An observation without id that points to what is named."""
    return {key: value for key, value in {**observation("x", "y"), "subject": {"reference": reference}}.items() if key != "id"}


@covers("healthlake", "ProcessBundle")
def test_a_transaction_links_what_it_makes(story: Story, ward: str) -> None:
    wanted = bundle(
        "transaction",
        asks("POST", "Patient", PATIENT, "urn:uuid:11111111-1111-4111-8111-111111111111"),
        asks("POST", "Observation", pointing("urn:uuid:11111111-1111-4111-8111-111111111111")),
        asks("POST", "Patient", PATIENT, "urn:uuid:22222222-2222-4222-8222-222222222222", ifNoneExist="_id=p2"),
        asks("POST", "Observation", pointing("urn:uuid:22222222-2222-4222-8222-222222222222")),
        asks("PUT", "Observation/o9", {**pointing("Patient?_id=p1"), "id": "o9"}),
        asks("DELETE", "Observation/o3"),
        asks("GET", "Observation/o9"),
        asks("GET", "Observation?subject=Patient/p1"),
    )
    answer, headers = story.fhir("ProcessBundle", "POST", f"/{ward}/r4/", wanted, request={"datastoreId": ward}, resources=ANY)
    assert answer["type"] == "transaction-response"
    assert [one["response"]["status"] for one in answer["entry"]] == ["201", "201", "200", "201", "201", "204", "200", "200"]
    made = [one["response"].get("location", "").partition("/_history")[0] for one in answer["entry"]]
    assert json.loads(send(story, ward, "GET", made[1]).data)["subject"]["reference"] == made[0]
    assert (made[2], json.loads(send(story, ward, "GET", made[3]).data)["subject"]["reference"]) == ("Patient/p2", "Patient/p2")
    assert answer["entry"][6]["resource"]["subject"]["reference"] == "Patient/p1"
    assert len(answer["entry"][7]["resource"]["entry"]) == 3
    said = facts(story, headers)
    assert said["entries"]["items"] == [
        f"POST {made[0]} 201", f"POST {made[1]} 201", "POST Patient/p2 200", f"POST {made[3]} 201", "PUT Observation/o9 201",
        "DELETE Observation/o3 204", "GET Observation/o9 200", "GET Observation?subject 200",
    ]  # fmt: skip
    assert set(said["patients"]["items"]) == {made[0].partition("/")[2], "p1", "p2"}
    named = {one["ARN"] for one in story.live.journal(headers["x-amzn-requestid"])[0]["resources"]}
    assert {arn for _, arn in touched(ward, made[0], "Patient/p1", "Patient/p2", "Observation/o3")} <= named


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (asks("PUT", "Patient/p1", {**PATIENT, "id": "p1"}, ifMatch='W/"9"'), 412),
        (asks("GET", "Patient/never"), 404),
        (asks("POST", "Observation", {"resourceType": "Observation"}), 400),
        (asks("POST", "Observation", pointing("Patient?_id=nobody")), 412),
        (asks("POST", "Observation", pointing("Patient?family=canary-lindqvist")), 412),
        (asks("PATCH", "Patient/p1", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "!"}), 400),
        (asks("GET", "Patient/p1/$everything"), 400),
        (asks("GET", "Patient/never/_history"), 404),
    ],
)
def test_a_refused_transaction_leaves_nothing(story: Story, ward: str, last: dict[str, Any], status: int) -> None:
    answer = send(story, ward, "POST", "", bundle("transaction", asks("PUT", "Patient/new", {**PATIENT, "id": "new"}), last))
    assert answer.status == status, answer.data
    assert json.loads(answer.data)["issue"][0]["location"][0].startswith("/Bundle/entry[1]")
    assert send(story, ward, "GET", "Patient/new").status == 404


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_that_would_hold_up_everybody_is_refused(story: Story, ward: str, kind: str) -> None:
    named = [{"given": [f"name{n}-{m}" for m in range(100)]} for n in range(11)]
    entries = [asks("PUT", f"Patient/big{n}", {"resourceType": "Patient", "id": f"big{n}", "name": named}) for n in range(10)]
    answer = send(story, ward, "POST", "", bundle(kind, *entries))
    assert (answer.status, json.loads(answer.data)["issue"][0]["code"]) == (422, "too-costly"), answer.data
    assert send(story, ward, "GET", "Patient/big1").status == 404


def test_the_entries_of_a_batch_stand_alone(story: Story, ward: str) -> None:
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL25hbWUifV0="}
    wanted = bundle(
        "batch",
        asks("PUT", "Patient/new", {**PATIENT, "id": "new"}),
        asks("GET", "Patient/never"),
        asks("POST", "Observation", {"resourceType": "Observation"}),
        asks("PATCH", "Patient/p1", patch),
        asks("PUT", "Patient?_id=p2", PATIENT),
        asks("DELETE", "Observation?_id=o2"),
    )
    answer, headers = story.fhir("ProcessBundle", "POST", f"/{ward}/r4", wanted, request={"datastoreId": ward}, resources=ANY)
    assert [one["response"]["status"] for one in answer["entry"]] == ["201", "404", "400", "200", "200", "204"]
    assert answer["entry"][2]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert "name" not in json.loads(send(story, ward, "GET", "Patient/p1").data)
    lines = facts(story, headers)["entries"]["items"]
    assert lines[1:3] == ["GET Patient/never 404", "POST Observation 400"]
    assert "Canary" not in json.dumps(story.live.journal(headers["x-amzn-requestid"]))


def test_a_bundle_needs_the_rights_of_its_entries(story: Story, ward: str) -> None:
    clerk = story.user((["healthlake:ProcessBundle", "healthlake:ReadResource"], "*"))
    path, denied = f"/{ward}/r4", "AccessDeniedException"
    story.fhir("ProcessBundle", "POST", path, bundle("batch", asks("GET", "Patient/p1")), caller=clerk, request=ANY, resources=ANY)
    for entry in (
        asks("DELETE", "Patient/p1"),
        asks("GET", "Patient"),
        asks("POST", "Patient/%5Fsearch"),
        asks("POST", "Patient", PATIENT),
    ):
        story.fhir("ProcessBundle", "POST", path, bundle("batch", entry), caller=clerk, status=403, error=denied, resources=touched(ward))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (bundle("document"), 400),
        (bundle("transaction", {}), 400),
        (b'{"resourceType":"Bundle","type":"batch","entry":5}', 400),
        (bundle("transaction", *[asks("GET", "Patient/p1")] * 101), 422),
        (bundle("batch", *[asks("GET", "Patient/p1")] * 501), 422),
        (PATIENT, 400),
    ],
)
def test_what_is_no_bundle_to_process_is_refused(story: Story, ward: str, sent: Any, status: int) -> None:
    assert send(story, ward, "POST", "", sent).status == status


def test_an_entry_of_a_batch_that_cannot_be_read_refuses_itself_alone(story: Story, ward: str) -> None:
    wanted = bundle(
        "batch",
        asks("GET", "Patient/p1"),
        asks("GET", "Foo/canary"),
        asks("PUT", "Patient/p1", {**PATIENT, "id": "p2"}),
        asks("DELETE", "Patient/canary name"),
        asks("SPIN", "Patient/p1"),
        asks("POST", "Patient/p1/p2", PATIENT),
        {"request": 5},
        asks("PUT", "Patient/new", {**PATIENT, "id": "new"}),
    )
    answer, headers = story.fhir("ProcessBundle", "POST", f"/{ward}/r4", wanted, request={"datastoreId": ward}, resources=ANY)
    assert [one["response"]["status"] for one in answer["entry"]] == ["200", *["400"] * 6, "201"]
    assert answer["entry"][1]["response"]["outcome"]["issue"][0]["location"] == ["/Bundle/entry[1]"]
    assert facts(story, headers)["entries"]["items"] == [
        "GET Patient/p1 200", "GET ? 400", "PUT Patient 400", "DELETE Patient 400", "? Patient 400", "POST Patient 400", "? ? 400",
        "PUT Patient/new 201",
    ]  # fmt: skip
    assert "canary" not in json.dumps(story.live.journal(headers["x-amzn-requestid"]))


@pytest.mark.parametrize(
    "entry",
    [
        b'{"request":5,"request":{"method":"DELETE","url":"Patient/p1"}}',
        b'{"request":{"method":5,"method":"DELETE","url":"Patient/p1"}}',
        b'{"request":5,"request":{"method":"GET","url":"Patient/p1"}}',
        b'{"request":5,"request":{"method":"GET","url":"Patient?_count=2"}}',
        b'{"request":{"method":5,"method":"GET","url":"Patient/p1"}}',
        b'{"requ\\u0065st":{"url":"Patient/p1","method":"GET"}}',
        b'{"request":{"method":"GET","url":"Patient/p1"},"resource":5,"resource":{}}',
    ],
)
@pytest.mark.parametrize("headers", [{}, {"prefer": "respond-async"}])
def test_no_spelling_of_a_bundle_escapes_the_rights_of_its_entries(story: Story, ward: str, entry: bytes, headers: dict[str, str]) -> None:
    clerk = story.user(("healthlake:ProcessBundle", "*"))
    for start in (
        b'{"resourceType":"Bundle","type":"transaction","entry":[',
        b'{"resourceType":"Bundle","type":"transaction","entry":5,"entry":[',
    ):
        sent = story.live.signed(clerk, "healthlake", "POST", f"/datastore/{ward}/r4/", start + entry + b"]}", headers)
        assert story.live.submit(sent).status in (400, 403)
    assert send(story, ward, "GET", "Patient/p1").status == 200


def test_a_bundle_without_rights_and_without_sense_is_a_400(story: Story, ward: str) -> None:
    nobody = story.user()
    for body in (b"", b"[]", b'{"resourceType":"Bundle","type":"batch","entry":{}}', b'{"resourceType":"Bundle","type":5}'):
        sent = story.live.signed(nobody, "healthlake", "POST", f"/datastore/{ward}/r4/", body, {})
        assert story.live.submit(sent).status == 400


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_earlier_version_concerns_whom_it_named(story: Story, ward: str, kind: str) -> None:
    assert send(story, ward, "PUT", "Observation/o1", observation("o1", "p2")).status == 200
    assert send(story, ward, "DELETE", "Observation/o2").status == 204
    wanted = bundle(kind, asks("GET", "Observation/o1/_history/1"), asks("GET", "Observation/o2/_history/1"))
    answer, headers = story.fhir("ProcessBundle", "POST", f"/{ward}/r4", wanted, request=ANY, resources=ANY)
    assert [one["resource"]["subject"]["reference"] for one in answer["entry"]] == ["Patient/p1", "Patient/p1"]
    said = facts(story, headers)
    assert said["patients"]["items"] == ["p1"]
    assert said["returned"]["items"] == ["Observation/o1/_history/1", "Observation/o2/_history/1"]
    assert said["entries"]["items"] == ["GET Observation/o1/_history/1 200", "GET Observation/o2/_history/1 200"]
