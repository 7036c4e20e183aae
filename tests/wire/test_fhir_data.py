"""FHIR searches, histories, patches and conditions against a small ward, with what their records say."""

from __future__ import annotations

import json
import re
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


def following(page: dict[str, Any]) -> str:
    """The path of the next page below /datastore; empty on the last."""
    found = [link["url"] for link in page["link"] if link["relation"] == "next"]
    return found[0].partition("/datastore")[2] if found else ""


@covers("healthlake", "SearchWithGet", "SearchWithPost")
def test_a_search_says_whom_it_showed_and_never_what_was_asked(story: Story, ward: str) -> None:
    kind = {"datastoreId": ward, "resourceType": "Observation"}
    path = f"/{ward}/r4/Observation"
    query = "?code=c1&subject:Patient.family=canary-lindqvist&_include=Observation:subject&_total=accurate"
    whose = touched(ward, "Patient/p1", "Patient/p2")
    found, headers = story.fhir("SearchWithGet", "GET", path + query, request=kind, resources=whose)
    assert found["total"] == 3
    assert [(one["resource"]["id"], one["search"]["mode"]) for one in found["entry"]] == [
        ("o1", "match"), ("o2", "match"), ("o3", "match"), ("p1", "include"), ("p2", "include"),
    ]  # fmt: skip
    said = facts(story, headers)
    assert said["searchParameters"]["items"] == ["code", "subject:Patient.family", "_include", "_total"]
    assert said["returned"] == {"count": 5, "items": ["Observation/o1", "Observation/o2", "Observation/o3", "Patient/p1", "Patient/p2"]}
    assert said["patients"] == {"count": 2, "items": ["p1", "p2"]}
    assert "lindqvist" not in json.dumps(story.live.journal(headers["x-amzn-requestid"])).lower()
    form, whose = {"content-type": "application/x-www-form-urlencoded"}, touched(ward, "Patient/p2")
    same, headers = story.fhir("SearchWithPost", "POST", path + "/_search", b"patient=p2", request=kind, headers=form, resources=whose)
    assert [one["resource"]["id"] for one in same["entry"]] == ["o3"]
    assert facts(story, headers)["searchParameters"]["items"] == ["patient"]


@pytest.mark.parametrize("query", ["_count=1", "_count=1&_sort=-_id", "_count=2&code=c1"])
def test_pages_follow_each_other_and_a_token_opens_for_its_own_search_only(story: Story, ward: str, query: str) -> None:
    found: list[str] = []
    url = f"/{ward}/r4/Observation?{query}"
    while url:
        page, _ = story.fhir("SearchWithGet", "GET", url, request={"datastoreId": ward, "resourceType": "Observation"}, resources=ANY)
        found += [one["resource"]["id"] for one in page["entry"]]
        url = following(page)
        assert not url or send(story, ward, "GET", url.partition("/r4/")[2].replace("Observation?", "Patient?")).status == 400
    assert sorted(found) == ["o1", "o2", "o3"]


def test_a_part_of_a_resource_is_marked_as_one(story: Story, ward: str) -> None:
    (entry,) = json.loads(send(story, ward, "GET", "Patient?_id=p1&_elements=id").data)["entry"]
    assert "name" not in entry["resource"]
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_what_lenient_handling_left_out_is_told(story: Story, ward: str) -> None:
    found = json.loads(send(story, ward, "GET", "Patient?unknown=x", headers={"prefer": "handling=lenient"}).data)
    assert [one["search"]["mode"] for one in found["entry"]] == ["match", "match", "outcome"]


@covers("healthlake", "GetHistoryByResourceId", "GetHistoryByResourceType", "GetFullHistory")
def test_histories_show_every_version_newest_first(story: Story, ward: str) -> None:
    assert send(story, ward, "PUT", "Observation/o1", observation("o1", "p2")).status == 200
    assert send(story, ward, "DELETE", "Observation/o1").status == 204
    one = {"datastoreId": ward, "resourceType": "Observation", "resourceId": "o1"}
    whose = touched(ward, "Observation/o1", "Patient/p2", "Patient/p1")
    found, headers = story.fhir("GetHistoryByResourceId", "GET", f"/{ward}/r4/Observation/o1/_history", request=one, resources=whose)
    assert [entry["request"]["method"] for entry in found["entry"]] == ["DELETE", "PUT", "PUT"]
    assert [entry.get("resource", {}).get("subject", {}).get("reference") for entry in found["entry"]] == [None, "Patient/p2", "Patient/p1"]
    assert facts(story, headers)["patients"] == {"count": 2, "items": ["p2", "p1"]}
    for operation, path, request, versions in (
        ("GetHistoryByResourceType", "Observation/_history?_count=2", {"datastoreId": ward, "resourceType": "Observation"}, 5),
        ("GetFullHistory", "_history?_count=3", {"datastoreId": ward}, 7),
    ):
        seen: list[tuple[str, str]] = []
        url = f"/{ward}/r4/{path}"
        while url:
            page, _ = story.fhir(operation, "GET", url, request=request, resources=ANY)
            seen += [(entry["response"]["lastModified"], entry["fullUrl"] + entry["response"]["etag"]) for entry in page["entry"]]
            url = following(page)
        assert [time for time, _ in seen] == sorted((time for time, _ in seen), reverse=True)
        assert len(set(seen)) == versions


FHIRPATH_PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Observation.status"},
                {"name": "value", "valueCode": "amended"},
            ],
        }
    ],
}


@covers("healthlake", "PatchResource")
@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/json-patch+json", [{"op": "replace", "path": "/status", "value": "amended"}]),
        ("application/fhir+json", FHIRPATH_PATCH),
    ],
)
def test_a_patch_changes_what_it_names(story: Story, ward: str, media: str, patch: Any) -> None:
    request = {"datastoreId": ward, "resourceType": "Observation", "resourceId": "o1"}
    whose, sent = touched(ward, "Observation/o1", "Patient/p1"), {"content-type": media}
    path = f"/{ward}/r4/Observation/o1"
    now, headers = story.fhir("PatchResource", "PATCH", path, patch, request=request, resources=whose, headers=sent)
    assert (now["status"], headers["etag"]) == ("amended", 'W/"2"')
    stale, late = {**sent, "if-match": 'W/"1"'}, "PreconditionFailedException"
    whose = touched(ward, "Observation/o1")
    story.fhir("PatchResource", "PATCH", path, patch, request=request, resources=whose, headers=stale, status=412, error=late)
    wrong = [{"op": "replace", "path": "/status", "value": "no such status"}]
    bad = send(story, ward, "PATCH", "Observation/o1", wrong, {"content-type": "application/json-patch+json"})
    assert bad.status == 400


LEVEL, KEY = "x-amzn-healthlake-fhir-validation-level", "x-amz-fhir-idempotency-key"
CONDITIONS: list[tuple[str, str, dict[str, str], dict[str, Any] | None, int]] = [
    ("POST", "Patient", {"if-none-exist": "_id=p1"}, {}, 200),
    ("POST", "Patient", {"if-none-exist": "family=canary-lindqvist"}, {}, 412),
    ("POST", "Patient", {"if-none-exist": "_id=nobody"}, {}, 201),
    ("PUT", "Patient?_id=p1", {}, {"active": True}, 200),
    ("PUT", "Patient?_id=p1", {}, {"id": "p2"}, 409),
    ("PUT", "Patient?_id=none", {}, {"id": "p2"}, 409),
    ("PUT", "Patient?_id=none", {}, {"id": "p9"}, 201),
    ("PUT", "Patient?_id=none", {}, {}, 201),
    ("PUT", "Patient?family=canary-lindqvist", {}, {}, 412),
    ("PUT", "Patient/p2", {"if-match": 'W/"1"'}, {"id": "p2"}, 200),
    ("PUT", "Patient/p2", {"if-match": 'W/"1"'}, {"id": "p2"}, 412),
    ("PUT", "Patient/p2", {"if-match": '"2"'}, {"id": "p2"}, 200),
    ("PUT", "Patient/p2", {"if-match": 'W/"2"'}, {"id": "p2"}, 412),
    ("PUT", "Patient/p2", {"if-match": 'W/"1", "3"'}, {"id": "p2"}, 200),
    ("PUT", "Patient/p2", {"if-match": 'W/"1", "2"'}, {"id": "p2"}, 412),
    ("PUT", "Patient/p2", {"if-match": 'W/"4",'}, {"id": "p2"}, 400),
    ("PUT", "Patient/p2", {"if-match": "*"}, {"id": "p2"}, 200),
    ("PUT", "Patient/p6", {"if-match": "*"}, {"id": "p6"}, 412),
    ("DELETE", "Patient/p6", {"if-match": "*"}, None, 412),
    ("PUT", "Patient/p2", {"if-none-match": "*"}, {"id": "p2"}, 412),
    ("PUT", "Patient/p5", {"if-none-match": "*"}, {"id": "p5"}, 201),
    ("DELETE", "Patient?family=canary-lindqvist", {}, None, 412),
    ("DELETE", "Patient?_id=p2", {}, None, 204),
    ("DELETE", "Patient?_id=p2", {}, None, 404),
    ("PUT", "Patient/p2", {"if-none-match": "*"}, {"id": "p2"}, 412),
    ("PUT", "Patient/p2", {}, {"id": "p2"}, 201),
    ("DELETE", "Patient?identifier=&_id=p1", {}, None, 400),
    ("DELETE", "Patient?name=%20", {}, None, 400),
    ("DELETE", "Patient?name=canary,%CC%81", {}, None, 400),
    ("DELETE", "Patient?name:contains=%20&_count=9", {}, None, 400),
    ("DELETE", "Patient?identifier=%7C", {}, None, 400),
    ("DELETE", "Observation?subject:Patient.name=%20", {}, None, 400),
    ("DELETE", "Patient?_has:Observation:subject:code:text=%20", {}, None, 400),
    ("DELETE", "Observation?code-value-string=c1$%20", {}, None, 400),
    ("POST", "Patient", {"if-none-exist": "name=%20"}, {}, 400),
    ("POST", "Patient", {"if-none-exist": "_id=p1&name="}, {}, 400),
    ("PUT", "Patient?name=%20", {}, {}, 400),
    ("POST", "Patient", {LEVEL: "lax"}, {}, 400),
    ("POST", "Patient", {LEVEL: "strict"}, {"nonsense": 1}, 400),
    ("POST", "Patient", {LEVEL: "minimal"}, {"nonsense": 1}, 201),
    ("POST", "Patient", {KEY: "no-uuid"}, {}, 400),
    ("POST", "Patient", {KEY: "6c1c7d5e-28b1-4d53-9a0e-0123456789ab"}, {}, 201),
    ("POST", "Patient", {KEY: "6C1C7D5E-28B1-4D53-9A0E-0123456789AB"}, {}, 409),
]
"""Requests about patients in turn, and the status each gets."""


def test_conditions_decide(story: Story, ward: str) -> None:
    for method, path, headers, body, status in CONDITIONS:
        answer = send(story, ward, method, path, None if body is None else {**PATIENT, **body}, headers)
        assert answer.status == status, (method, path, headers, answer.data)
        if status == 201:
            assert re.search(r"/r4/Patient/[^/]+/_history/\d+$", answer.headers["location"])
        if KEY in headers and status == 409:
            assert "/r4/Patient/" in answer.headers["location"]
        assert ("x-amzn-healthlake-validation-issues" in answer.headers) is (headers.get(LEVEL) == "minimal")


@pytest.mark.parametrize(
    ("prefer", "what"), [("return=minimal", ""), ("return=OperationOutcome", "OperationOutcome"), ("return=representation", "Patient")]
)
def test_what_comes_back_is_what_was_preferred(story: Story, ward: str, prefer: str, what: str) -> None:
    answer = send(story, ward, "POST", "Patient", PATIENT, {"prefer": prefer})
    assert answer.status == 201
    assert (json.loads(answer.data)["resourceType"] if answer.data else "") == what


def test_a_caller_may_skip_what_it_has(story: Story, ward: str) -> None:
    now = send(story, ward, "GET", "Patient/p1").headers["last-modified"]
    assert send(story, ward, "GET", "Patient/p1", headers={"if-modified-since": now}).status == 304
    assert send(story, ward, "GET", "Patient/p1", headers={"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}).status == 200
    assert send(story, ward, "GET", "Patient/p1", headers={"if-modified-since": "never"}).status == 200
