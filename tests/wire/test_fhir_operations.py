"""The $operations by signed requests, with their records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.covers import covers
from tests.wire.fhir_data import PATIENT, facts, filled, observation, send, touched
from tests.wire.story import Story

GENDER = "http://hl7.org/fhir/administrative-gender"
MAP = "http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3"


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def given(**values: str) -> dict[str, Any]:
    """A Parameters resource of plain values."""
    return {"resourceType": "Parameters", "parameter": [{"name": name, "valueString": value} for name, value in values.items()]}


@covers("healthlake", "ValidateResource")
@pytest.mark.parametrize(
    ("sent", "query", "severities"),
    [
        (observation("o", "p"), "", ["information"]),
        ({"resourceType": "Observation", "code": {"text": "x"}}, "", ["error"]),
        (PATIENT, "", ["error"]),
        (observation("o", "p"), "?profile=http://nowhere/profile&mode=update", ["warning"]),
        ({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": observation("o", "p")}]}, "", ["information"]),
    ],
)
def test_validation_tells_what_is_wrong(story: Story, ward: str, sent: Any, query: str, severities: list[str]) -> None:
    request = {"datastoreId": ward, "resourceType": "Observation", "operation": "validate"}
    path = f"/{ward}/r4/Observation/$validate{query}"
    outcome, _ = story.fhir("ValidateResource", "POST", path, sent, request=request, resources=touched(ward))
    assert [one["severity"] for one in outcome["issue"]] == severities


@covers("healthlake", "SearchEverything")
def test_everything_of_a_patient_in_pages(story: Story, ward: str) -> None:
    request = {"datastoreId": ward, "resourceType": "Patient", "resourceId": "p1", "operation": "everything"}
    url, found = f"/{ward}/r4/Patient/p1/$everything?_count=2", []
    while url:
        page, headers = story.fhir("SearchEverything", "GET", url, request=request, resources=touched(ward, "Patient/p1"))
        assert page["total"] == 3
        found += [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in page["entry"]]
        assert facts(story, headers)["returned"]["items"] == found[-len(page["entry"]) :]
        url = next((one["url"].partition("/datastore")[2] for one in page["link"] if one["relation"] == "next"), "")
    assert found == ["Observation/o1", "Observation/o2", "Patient/p1"]
    only = json.loads(send(story, ward, "POST", "Patient/p1/$everything", given(_type="Patient")).data)
    assert [one["resource"]["id"] for one in only["entry"]] == ["p1"]


def typed(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, kind: value}]}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (typed("_since", "valueInstant", "2999-01-01T00:00:00Z"), []),
        (typed("_since", "valueDateTime", "2999-01-01"), []),
        (typed("start", "valueDate", "2030-01-01"), ["p1"]),
        (typed("end", "valueDate", "2010-01-01"), ["p1"]),
        (typed("start", "valueDate", "2020-01-01"), ["o1", "o2", "p1"]),
        (typed("_count", "valueInteger", 1), ["o1"]),
        ({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": one} for one in ("Patient", "Observation")]},
         ["o1", "o2", "p1"]),
    ],
)  # fmt: skip
def test_everything_by_post_follows_each_parameter(story: Story, ward: str, sent: Any, expected: list[str]) -> None:
    for one in ("o1", "o2"):
        dated = {**observation(one, "p1"), "effectiveDateTime": "2020-05-05"}
        assert send(story, ward, "PUT", f"Observation/{one}", dated).status == 200
    answer = send(story, ward, "POST", "Patient/p1/$everything", sent)
    assert answer.status == 200, answer.data
    assert [one["resource"]["id"] for one in json.loads(answer.data).get("entry", ())] == expected


@pytest.mark.parametrize(
    "sent",
    [
        typed("start", "valuePeriod", {"start": "2030"}), typed("start", "valueDate", 2030), typed("start", "part", []), typed("start", "resource", {}),
        typed("_count", "valueInteger", True), typed("_count", "valueDecimal", 1.0), typed("start", "valueNonsense", "2030"),
        {"resourceType": "Parameters", "parameter": [{"name": "start"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "start", "valueDate": "2030", "valueString": "2031"}]},
        {"resourceType": "Parameters", "parameter": [{"valueDate": "2030"}]},
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_read_is_refused(story: Story, ward: str, sent: Any) -> None:
    answer = send(story, ward, "POST", "Patient/p1/$everything", sent)
    assert answer.status == 400
    assert json.loads(answer.data)["resourceType"] == "OperationOutcome"


def held(resource: Any, **values: str) -> dict[str, Any]:
    return {
        **given(**values),
        "parameter": [*given(**values)["parameter"], *([{"name": "resource", "resource": resource}] if resource else [])],
    }


ANON = {"resourceType": "Patient", "active": True}
UNKNOWN_PROFILE = "profile=http://nowhere/profile"


@pytest.mark.parametrize(
    ("path", "sent", "severity"),
    [
        ("Patient/p1/$validate?mode=delete", None, "information"),
        ("Patient/p1/$validate", held(None, mode="delete"), "information"),
        ("Patient/p1/$validate?mode=delete", {**ANON, "id": "p1"}, "information"),
        ("Patient/p1/$validate?mode=update", {**ANON, "id": "p1"}, "information"),
        ("Patient/p1/$validate?mode=update", {**ANON, "id": "p2"}, "error"),
        ("Patient/p1/$validate?mode=update", ANON, "error"),
        ("Patient/p1/$validate", held({**ANON, "id": "p2"}, mode="update"), "error"),
        ("Patient/$validate?mode=update", ANON, "error"),
        ("Patient/$validate?mode=update", {**ANON, "id": "p1"}, "information"),
        ("Patient/$validate?mode=create", ANON, "information"),
        (f"Patient/$validate?mode=profile&{UNKNOWN_PROFILE}", ANON, "warning"),
        (f"Patient/p1/$validate?mode=profile&{UNKNOWN_PROFILE}", None, "warning"),
    ],
)
def test_each_mode_of_validation(story: Story, ward: str, path: str, sent: Any, severity: str) -> None:
    answer = send(story, ward, "POST", path, sent)
    assert answer.status == 200, answer.data
    assert [one["severity"] for one in json.loads(answer.data)["issue"]] == [severity]


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("Patient/$validate?mode=delete", None, 400),
        ("Patient/$validate", held(None, mode="delete"), 400),
        ("Patient/p1/$validate", None, 400),
        ("Patient/p1/$validate?mode=create", None, 400),
        ("Patient/p1/$validate?mode=profile", None, 400),
        ("Patient/p1/$validate?mode=nonsense", ANON, 400),
        ("Patient/p1/$validate?nonsense=1", ANON, 400),
        ("Patient/p1/$validate", held(5), 400),
        ("Patient/p1/$validate", {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCoding": {"code": "update"}}]}, 400),
        (f"Patient/never/$validate?mode=profile&{UNKNOWN_PROFILE}", None, 404),
        (f"Patient/$validate?mode=profile&{UNKNOWN_PROFILE}", None, 400),
    ],
)
def test_what_cannot_be_validated(story: Story, ward: str, path: str, sent: Any, status: int) -> None:
    answer = send(story, ward, "POST", path, sent)
    assert (answer.status, json.loads(answer.data)["resourceType"]) == (status, "OperationOutcome")


def test_the_check_of_a_stored_resource_is_a_read_of_it(story: Story, ward: str) -> None:
    path = f"Observation/o1/$validate?mode=profile&{UNKNOWN_PROFILE}"
    answer = send(story, ward, "POST", path)
    (record,) = story.live.journal(answer.headers["x-amzn-requestid"])
    assert [(one["type"], one["ARN"]) for one in record["resources"]] == touched(ward, "Observation/o1", "Patient/p1")
    only = story.user(("healthlake:ValidateResource", "*"))
    signed = story.live.signed(only, "healthlake", "POST", f"/datastore/{ward}/r4/{path}", b"")
    assert story.live.submit(signed).status == 403


@covers(
    "healthlake", "ExpandValueSetWithGet", "ExpandValueSetWithPost", "LookupCodeSystemWithGet", "LookupCodeSystemWithPost",
    "TranslateConceptMapWithGet", "TranslateConceptMapWithPost",
)  # fmt: skip
def test_terminology_by_get_and_post(story: Story, ward: str) -> None:
    for stem, type, operation, query, parameters in (
        ("ExpandValueSet", "ValueSet", "expand", "url=http://hl7.org/fhir/ValueSet/administrative-gender&filter=female",
         given(url="http://hl7.org/fhir/ValueSet/administrative-gender", filter="female")),
        ("LookupCodeSystem", "CodeSystem", "lookup", f"system={GENDER}&code=female",
         {"resourceType": "Parameters", "parameter": [{"name": "coding", "valueCoding": {"system": GENDER, "code": "female"}}]}),
        ("TranslateConceptMap", "ConceptMap", "translate", f"url={MAP}&system={GENDER}&code=female",
         given(url=MAP, system=GENDER, code="female")),
    ):  # fmt: skip
        request = {"datastoreId": ward, "resourceType": type, "operation": operation}
        path, whose = f"/{ward}/r4/{type}/${operation}", touched(ward)
        by_get, _ = story.fhir(f"{stem}WithGet", "GET", f"{path}?{query}", request=request, resources=whose)
        by_post, _ = story.fhir(f"{stem}WithPost", "POST", path, parameters, request=request, resources=whose)
        for answer in (by_get, by_post):
            answer.get("expansion", {}).pop("timestamp", None)
        assert by_get == by_post
        assert "emale" in json.dumps(by_get) or '"F"' in json.dumps(by_get)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "Patient/never/$everything", None, 404),
        ("GET", "Patient/$everything", None, 400),
        ("GET", "Observation/o1/$everything", None, 400),
        ("GET", "Patient/p1/$everything?_count=0", None, 400),
        ("GET", "Patient/p1/$everything?start=soon", None, 400),
        ("GET", "Patient/p1/$everything?page=forged", None, 400),
        ("GET", "Patient/p1/$everything?other=1", None, 400),
        ("POST", "Patient/$validate", b"{", 400),
        ("POST", "Patient/$validate", {"resourceType": "Parameters"}, 400),
        ("POST", "Patient/$validate?mode=maybe", PATIENT, 400),
        ("GET", "ValueSet/$expand", None, 400),
        ("GET", "ValueSet/$expand?url=http://nowhere", None, 404),
        ("GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&count=x", None, 400),
        ("GET", "Patient/$expand?url=http://nowhere", None, 400),
        ("GET", "CodeSystem/$lookup?system=http://nowhere&code=x", None, 404),
        ("GET", "ConceptMap/$translate?url=http://nowhere&system=a&code=b", None, 404),
        ("POST", "ConceptMap/$translate", {"resourceType": "Parameters", "parameter": 1}, 400),
        ("POST", "Patient/$export", None, 400),
        ("GET", ".well-known/smart-configuration", None, 404),
    ],
)
def test_what_an_operation_cannot_do_it_says(story: Story, ward: str, method: str, path: str, body: Any, status: int) -> None:
    answer = send(story, ward, method, path, body)
    assert answer.status == status, answer.data
    assert json.loads(answer.data)["resourceType"] == "OperationOutcome"
