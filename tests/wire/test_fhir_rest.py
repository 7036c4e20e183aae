"""FHIR requests beyond the plain ones: several types at once, compartments, deleting several, parts, forms of answers, versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from opentrail.kernel.errors import HIDDEN
from tests.wire.covers import covers
from tests.wire.fhir_data import PATIENT, facts, filled, observation, send, touched
from tests.wire.story import Story
from tests.wire.test_fhir_bundles import asks, bundle
from tests.wire.test_fhir_data import following

PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def ids(page: dict[str, Any]) -> list[str]:
    """Type/id of a Bundle's resources."""
    return [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in page.get("entry", ())]


def pages(story: Story, store: str, path: str) -> list[str]:
    """Type/id of the resources of every page."""
    found: list[str] = []
    while path:
        answer = send(story, store, "GET", path)
        assert answer.status == 200, answer.data
        page = json.loads(answer.data)
        found += ids(page)
        path = following(page).partition("/r4")[2].lstrip("/")
    return found


ALL = ["Patient/p1", "Patient/p2", "Observation/o1", "Observation/o2", "Observation/o3"]


@covers("healthlake", "SearchWithGet", "SearchWithPost")
def test_a_search_of_every_type_says_what_it_showed(story: Story, ward: str) -> None:
    whose = touched(ward, "Patient/p1", "Patient/p2")
    found, headers = story.fhir("SearchWithGet", "GET", f"/{ward}/r4?_total=accurate", request={"datastoreId": ward}, resources=whose)
    assert (found["total"], ids(found)) == (5, ALL)
    assert facts(story, headers)["returned"]["items"] == ALL
    form = {"content-type": "application/x-www-form-urlencoded"}
    same, _ = story.fhir(
        "SearchWithPost", "POST", f"/{ward}/r4/_search", b"_type=Patient", request={"datastoreId": ward}, headers=form, resources=whose
    )
    assert ids(same) == ALL[:2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?_count=2", ALL),
        ("?_type=Observation,Patient&_count=2", ALL),
        ("?_sort=-_lastUpdated&_count=1", ALL[::-1]),
        ("?_sort=-_id&_count=2", ["Patient/p2", "Patient/p1", "Observation/o3", "Observation/o2", "Observation/o1"]),
        ("?_id=o1,p2", ["Patient/p2", "Observation/o1"]),
        ("?_type=Observation,Encounter&patient=p2", ["Observation/o3"]),
        ("?_type=Encounter", []),
        ("Patient/p1/*?_count=2", ["Patient/p1", "Observation/o1", "Observation/o2"]),
        ("Patient/p1/Observation?_count=1", ["Observation/o1", "Observation/o2"]),
        ("Patient/p1/Observation?_id=o2,o3", ["Observation/o2"]),
        ("Patient/p1/Observation?_sort=-_id&_count=1", ["Observation/o2", "Observation/o1"]),
        ("Patient/p2/Patient", ["Patient/p2"]),
        ("Patient/never/Observation", []),
        ("Practitioner/d/Observation", []),
        ("Observation?createdAt=ge2020-01-01&_count=2", ALL[2:]),
        ("Observation?createdAt=lt2020-01-01", []),
    ],
)
def test_searches_of_several_types_and_compartments(story: Story, ward: str, query: str, expected: list[str]) -> None:
    assert pages(story, ward, query) == expected


def test_a_search_in_a_compartment_names_whose_it_is(story: Story, ward: str) -> None:
    request = {"datastoreId": ward, "compartmentType": "Patient", "resourceId": "p1", "resourceType": "Observation"}
    path, whose = f"/{ward}/r4/Patient/p1/Observation", touched(ward, "Patient/p1")
    found, _ = story.fhir("SearchWithGet", "GET", path, request=request, resources=whose)
    form = {"content-type": "application/x-www-form-urlencoded"}
    same, _ = story.fhir("SearchWithPost", "POST", path + "/_search", b"_id=o1", request=request, resources=whose, headers=form)
    assert (ids(found), ids(same)) == (["Observation/o1", "Observation/o2"], ["Observation/o1"])


@covers("healthlake", "DeleteResource")
def test_several_are_deleted_a_page_at_a_time(story: Story, ward: str) -> None:
    path = "Observation?code=c1&_count=2"
    request, whose = {"datastoreId": ward, "resourceType": "Observation"}, touched(ward, "Observation/o1", "Patient/p1", "Observation/o2")
    answer, headers = story.fhir("DeleteResource", "DELETE", f"/{ward}/r4/{path}", request=request, resources=whose)
    assert (answer["type"], [one["response"]["status"] for one in answer["entry"]]) == ("batch-response", ["204", "204"])
    said = facts(story, headers)
    assert said["entries"]["items"] == ["DELETE Observation/o1 204", "DELETE Observation/o2 204"]
    assert said["patients"]["items"] == ["p1"]
    rest = json.loads(send(story, ward, "DELETE", following(answer).partition("/r4/")[2]).data)
    assert (len(rest["entry"]), following(rest)) == (1, "")
    empty = send(story, ward, "DELETE", path)
    assert (empty.status, "entry" in json.loads(empty.data)) == (200, False)
    assert [send(story, ward, "GET", f"Observation/{id}").status for id in ("o1", "o2", "o3")] == [410] * 3


def test_a_conditional_patch_changes_the_one_that_is_selected(story: Story, ward: str) -> None:
    patch = [{"op": "add", "path": "/active", "value": True}]
    assert send(story, ward, "PATCH", "Patient?_id=p1", patch, PATCH).status == 200
    assert json.loads(send(story, ward, "GET", "Patient/p1").data)["active"] is True
    assert send(story, ward, "PATCH", "Patient?_id=p1", patch, {**PATCH, "if-match": 'W/"1"'}).status == 412
    assert send(story, ward, "PATCH", "Patient?family=canary-lindqvist", patch, PATCH).status == 412
    assert send(story, ward, "PATCH", "Patient?_id=nobody", patch, PATCH).status == 404
    body = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL25hbWUifV0="}
    for kind in ("batch", "transaction"):
        answer = json.loads(send(story, ward, "POST", "", bundle(kind, asks("PATCH", "Patient?_id=p2", body))).data)
        assert answer["entry"][0]["response"]["status"] == "200" if kind == "batch" else answer["issue"][0]["location"]


def test_a_read_may_ask_for_a_part(story: Story, ward: str) -> None:
    for query, absent in (("_elements=active", "name"), ("_summary=text", "name")):
        part = json.loads(send(story, ward, "GET", f"Patient/p1?{query}").data)
        assert (absent in part, part["meta"]["tag"][0]["code"]) == (False, "SUBSETTED")
        older = json.loads(send(story, ward, "GET", f"Patient/p1/_history/1?{query}").data)
        assert older == part
    for query in ("_summary=count", "_elements=none", "_elements=id&_summary=true", "name=x"):
        assert send(story, ward, "GET", f"Patient/p1?{query}").status == 400


def test_answers_are_json_pretty_if_asked_and_nothing_else(story: Story, ward: str) -> None:
    plain = send(story, ward, "GET", "Patient/p1?_format=json")
    pretty = send(story, ward, "GET", "Patient/p1?_format=application/fhir%2Bjson&_pretty=true")
    assert (json.loads(pretty.data), pretty.data.count(b"\n") > 5) == (json.loads(plain.data), True)
    for query, headers, status in (
        ("?_format=xml", {}, 406),
        ("?_format=application/fhir%2Bxml", {"accept": "application/fhir+json"}, 406),
        ("", {"accept": "application/fhir+xml"}, 406),
        ("", {"accept": "text/turtle"}, 406),
        ("", {"accept": "application/fhir+xml;q=0.5, application/fhir+json;fhirVersion=4.0"}, 200),
        ("", {"accept": "text/html,application/xhtml+xml,*/*;q=0.1"}, 200),
        ("", {"accept": "image/png"}, 200),
    ):
        answer = send(story, ward, "GET", "Patient/p1" + query, headers=headers)
        assert answer.status == status, (query, headers)
        assert answer.headers["content-type"].startswith("application/fhir+json")


def test_a_head_request_has_the_headers_of_a_read_and_no_body(story: Story, ward: str) -> None:
    read, head = send(story, ward, "GET", "Patient/p1"), send(story, ward, "HEAD", "Patient/p1")
    assert (head.status, head.data, head.headers["etag"], head.headers["content-length"]) == (
        200,
        b"",
        'W/"1"',
        read.headers["content-length"],
    )
    assert [send(story, ward, "HEAD", path).status for path in ("Patient/never", "Patient?_id=p1", "metadata")] == [404, 200, 200]


@pytest.mark.parametrize("media", ["application/fhir+xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize(("method", "path"), [("POST", "Patient"), ("PUT", "Patient/p1"), ("POST", ""), ("POST", "Patient/$validate")])
def test_a_body_of_another_media_type_is_refused(story: Story, ward: str, method: str, path: str, media: str) -> None:
    answer = send(story, ward, method, path, {**PATIENT, "id": "p1"}, {"content-type": media})
    assert (answer.status, json.loads(answer.data)["issue"][0]["code"]) == (415, "not-supported")


def test_a_caller_names_the_versions_that_it_has(story: Story, ward: str) -> None:
    for tags, status in (('W/"1"', 304), ('"1"', 304), ('W/"9", W/"1"', 304), ("*", 304), ('W/"2"', 200), ("1", 200)):
        assert send(story, ward, "GET", "Patient/p1", headers={"if-none-match": tags}).status == status


def test_versions_that_were_current_at_a_time(story: Story, ward: str) -> None:
    first = send(story, ward, "GET", "Patient/p1")
    assert send(story, ward, "PUT", "Patient/p1", {**PATIENT, "id": "p1", "active": True}).status == 200
    moment = json.loads(first.data)["meta"]["lastUpdated"]

    def versions(query: str) -> list[str]:
        page = json.loads(send(story, ward, "GET", f"Patient/p1/_history?{query}").data)
        return [one["resource"]["meta"]["versionId"] for one in page.get("entry", ())]

    assert versions(f"_at={moment}") == ["1"]
    assert versions(f"_at={moment[:4]}") == ["2", "1"]
    assert versions("_at=2001") == []
    assert versions(f"_since={moment}&_at={moment}") == ["1"]


def test_histories_inside_a_bundle(story: Story, ward: str) -> None:
    wanted = bundle(
        "batch", asks("GET", "Patient/p1/_history"), asks("GET", "Observation/_history?_count=1"), asks("GET", "Patient/no/_history")
    )
    answer = json.loads(send(story, ward, "POST", "", wanted).data)
    assert [one["response"]["status"] for one in answer["entry"]] == ["200", "200", "404"]
    assert [one["resource"]["type"] for one in answer["entry"][:2]] == ["history", "history"]
    clerk = story.user((["healthlake:ProcessBundle", "healthlake:ReadResource"], "*"))
    story.fhir(
        "ProcessBundle", "POST", f"/{ward}/r4", wanted, caller=clerk, status=403, error="AccessDeniedException", request=ANY,
        resources=touched(ward),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "named"),
    [
        ("GET", "?name=x", 400, "name"),
        ("GET", "?_type=Nobody", 404, "Nobody"),
        ("GET", "?_type=Patient,Observation&gender=male", 400, "gender"),
        ("GET", "?_type=Observation,Appointment&_sort=date", 200, ""),
        ("GET", "?_type=Patient,Observation&_sort=date", 400, "date"),
        ("GET", "?page=forged", 400, "page"),
        ("GET", "Patient?_type=Patient", 400, "_type"),
        ("GET", "Patient?_contained=true", 400, "_contained"),
        ("GET", "Organization/o/Patient", 404, "Organization"),
        ("GET", "Patient/p1/Organization", 400, "Organization"),
        ("GET", "Patient/p1/*?_type=Organization", 400, "Patient"),
        ("GET", "Patient/a_b/Observation", 400, "id"),
        ("GET", "Patient/p1/Nobody", 404, "Nobody"),
        ("POST", "Patient/p1/Observation", 405, ""),
        ("DELETE", "Observation?code=c1&_count=0", 400, "_count"),
        ("DELETE", "Observation?code=c1&_count=101", 400, "_count"),
        ("DELETE", "Observation?_count=2", 400, "selects"),
        ("DELETE", "Patient/p1/Observation", 405, ""),
        ("GET", "Patient?createdAt=soon", 400, "createdAt"),
        ("GET", "Patient?createdAt:missing=true", 400, "createdAt"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(story: Story, ward: str, method: str, path: str, status: int, named: str) -> None:
    answer = send(story, ward, method, path)
    assert answer.status == status, answer.data
    assert named in answer.data.decode()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "Patient?_id=nobody", None), ("GET", "Patient/p1/Condition", None), ("GET", "Patient/_history?_since=2999", None),
        ("GET", "?_type=Account", None), ("GET", "Patient/p1/$everything?_type=Account", None),
        ("POST", "", {"resourceType": "Bundle", "type": "batch"}),
        ("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": []}),
        ("DELETE", "Patient?_id=nobody&_count=5", None),
    ],
)  # fmt: skip
def test_a_bundle_of_nothing_has_no_empty_array(story: Story, ward: str, method: str, path: str, body: Any) -> None:
    answer = send(story, ward, method, path, body)
    assert answer.status == 200, answer.data
    found = json.loads(answer.data)
    assert found["resourceType"] == "Bundle"
    assert "entry" not in found


@pytest.mark.parametrize("text", ["00000150", "000001", "0150", "101", "1000"])
@pytest.mark.parametrize("path", ["Patient?", "Patient/_history?", "Patient/p1/$everything?"])
def test_a_page_is_never_longer_than_a_hundred(story: Story, ward: str, path: str, text: str) -> None:
    assert send(story, ward, "GET", f"{path}_count={text}").status == 400
    assert send(story, ward, "DELETE", f"Patient?_id=nobody&_count={text}").status == 400


@pytest.mark.parametrize(
    ("path", "asked", "kept"),
    [
        ("Patient", "_id=p1&bogus=1&name=", "_id=p1"), ("Patient", "bogus=1", ""), ("Patient", "_id=p1&_format=json", "_id=p1&_format=json"),
        ("", "_type=Patient,Observation&bogus=1&_id=p1", "_type=Patient%2CObservation&_id=p1"), ("Patient/p1/Observation", "x=1&code=c1", "code=c1"),
        ("", "_type=Patient,Observation&family=canary-lindqvist", "_type=Patient%2CObservation&family=canary-lindqvist"),
    ],
)  # fmt: skip
def test_the_self_link_says_what_was_searched_for(story: Story, ward: str, path: str, asked: str, kept: str) -> None:
    page = json.loads(send(story, ward, "GET", f"{path}?{asked}", headers={"prefer": "handling=lenient"}).data)
    (link,) = [one["url"] for one in page["link"] if one["relation"] == "self"]
    assert link.partition("/r4")[2].lstrip("/") == (f"{path}?{kept}" if kept else path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "Patient/p1", "GET, HEAD, PUT, PATCH, DELETE"), ("PUT", "", "GET, HEAD, POST"), ("POST", "metadata", "GET, HEAD"),
        ("DELETE", "Patient/p1/_history/1", "GET, HEAD"), ("POST", "Patient/p1/Observation", "GET, HEAD"), ("PUT", "Patient/$validate", "GET, POST"),
        ("TRACE", "Patient", "GET, HEAD, POST, PUT, PATCH, DELETE"), ("POST", "Transaction/0123", "GET, HEAD"),
    ],
)  # fmt: skip
def test_a_method_that_is_not_allowed_is_told_which_are(story: Story, ward: str, method: str, path: str, allowed: str) -> None:
    answer = send(story, ward, method, path, {} if method in ("POST", "PUT") else None)
    assert (answer.status, answer.headers.get("allow")) == (405, allowed)


def test_several_are_not_deleted_by_version(story: Story, ward: str) -> None:
    assert send(story, ward, "DELETE", "Observation?code=c1&_count=2", headers={"if-match": 'W/"1"'}).status == 400


def test_a_page_of_one_search_opens_no_other(story: Story, ward: str) -> None:
    page = json.loads(send(story, ward, "GET", "Patient/p1/*?_count=1").data)
    token = following(page).partition("page=")[2]
    for path in (f"Patient/p2/*?page={token}", f"?page={token}", f"Patient/p1/Observation?page={token}"):
        assert send(story, ward, "GET", path).status == 400


def test_a_record_of_a_search_of_all_types_holds_no_value(story: Story, ward: str) -> None:
    assert send(story, ward, "PUT", "Observation/o1", {**observation("o1", "p1"), "meta": {"tag": [{"code": "canary-tag"}]}}).status == 200
    answer = send(story, ward, "GET", "?_tag=canary-tag")
    assert ids(json.loads(answer.data)) == ["Observation/o1"]
    assert "canary" not in json.dumps(story.live.journal(answer.headers["x-amzn-requestid"]))


def test_a_page_token_stands_alone(story: Story, ward: str) -> None:
    page = json.loads(send(story, ward, "GET", "Observation?_count=1").data)
    path = f"Observation?{following(page).partition('?')[2]}"
    assert send(story, ward, "GET", path + "&_format=json&_pretty=true").status == 200
    for more in ("status=final", "foo=1", "_count=2", "_total=accurate"):
        answer = send(story, ward, "GET", f"{path}&{more}")
        (issue,) = json.loads(answer.data)["issue"]
        assert (answer.status, more.partition("=")[0] in issue["diagnostics"]) == (400, True), answer.data


def test_history_tells_what_was_answered(story: Story, ward: str) -> None:
    path, patient = "Patient/again", {**PATIENT, "id": "again"}
    calls = [
        ("PUT", patient),
        ("PUT", {**patient, "active": True}),
        ("DELETE", None),
        ("PUT", patient),
        ("PUT", {**patient, "active": True}),
    ]
    answered = [str(send(story, ward, method, path, body).status) for method, body in calls]
    assert answered == ["201", "200", "204", "201", "200"]
    for history in (f"{path}/_history", "Patient/_history", "_history"):
        page = json.loads(send(story, ward, "GET", history).data)
        mine = [entry for entry in page["entry"] if entry["fullUrl"].endswith("/again")]
        assert [entry["response"]["status"] for entry in reversed(mine)] == answered


def test_records_keep_of_a_path_what_looks_like_what_stands_there(story: Story, ward: str) -> None:
    name = "John%20Smith%20has%20HIV"
    for path in (
        f"Patient/p1/_history/{name}",
        f"Patient/{name}",
        f"Transaction/{name}",
        f"export/{'0' * 32}/Patient/{name}",
        f"export/{name}",
    ):
        answer = send(story, ward, "GET", path)
        assert answer.status in (400, 404), (path, answer.data)
        (record,) = story.live.journal(answer.headers["x-amzn-requestid"])
        assert "Smith" not in json.dumps(record), record
        assert HIDDEN in record["requestParameters"].values()


def test_a_number_that_is_too_large_to_be_searched_for_is_named(story: Story, ward: str) -> None:
    body = json.dumps(observation("huge", "p1")).removesuffix("}") + ', "valueQuantity": {"value": %s}}' % ("9" * 400)
    answer = send(story, ward, "PUT", "Observation/huge", body.encode())
    (issue,) = json.loads(answer.data)["issue"]
    assert (answer.status, issue["diagnostics"]) == (422, "The resource cannot be indexed: a number in it is too large.")
