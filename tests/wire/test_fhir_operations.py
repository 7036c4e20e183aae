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
