"""R4's rules of transactions: the order of the entries, resources that two of them name, and the references that are rewritten."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.wire.fhir_data import PATIENT, facts, filled, send
from tests.wire.story import Story
from tests.wire.test_fhir_bundles import asks, bundle, pointing
from tests.wire.test_fhir_transactions import ended, sent

URN = "urn:uuid:11111111-1111-4111-8111-111111111111"


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def known(value: str, **more: Any) -> dict[str, Any]:
    """A patient with an identifier."""
    return {**PATIENT, "identifier": [{"system": "urn:s", "value": value}], **more}


def patients(story: Story, ward: str, value: str) -> list[str]:
    """The ids of the patients that have it."""
    answer = send(story, ward, "GET", f"Patient?identifier=urn:s%7C{value}")
    assert answer.status == 200, answer.data
    return [one["resource"]["id"] for one in json.loads(answer.data).get("entry", [])]


def processed(story: Story, ward: str, *entries: dict[str, Any]) -> list[dict[str, str]]:
    """The response of each entry of a transaction that succeeds."""
    answer = send(story, ward, "POST", "", bundle("transaction", *entries))
    assert answer.status == 200, answer.data
    return [one["response"] for one in json.loads(answer.data)["entry"]]


def place(response: dict[str, str]) -> str:
    return response["location"].partition("/_history")[0]


def subject(story: Story, ward: str, observation: str) -> str:
    found: str = json.loads(send(story, ward, "GET", observation).data)["subject"]["reference"]
    return found


def test_what_is_deleted_is_not_what_a_conditional_create_finds(story: Story, ward: str) -> None:
    assert send(story, ward, "PUT", "Patient/d1", known("d", id="d1")).status == 201
    for gone in ("Patient/d1", "Patient?identifier=urn:s|e"):
        value = "d" if gone == "Patient/d1" else "e"
        if value == "e":
            assert send(story, ward, "PUT", "Patient/e1", known("e", id="e1")).status == 201
        made = processed(
            story, ward,
            asks("POST", "Observation", pointing(URN)),
            asks("POST", "Patient", known(value), URN, ifNoneExist=f"identifier=urn:s|{value}"),
            asks("DELETE", gone),
        )  # fmt: skip
        assert [one["status"] for one in made] == ["201", "201", "204"]
        assert subject(story, ward, place(made[0])) == place(made[1])
        assert patients(story, ward, value) == [place(made[1]).removeprefix("Patient/")]


def test_a_condition_that_the_deletions_make_plain_is_none_of_ambiguity(story: Story, ward: str) -> None:
    for id in ("f1", "f2"):
        assert send(story, ward, "PUT", f"Patient/{id}", known("f", id=id)).status == 201
    made = processed(
        story, ward,
        asks("PUT", "Patient?identifier=urn:s|f", known("f", gender="other")),
        asks("POST", "Observation", pointing("Patient?identifier=urn:s|f")),
        asks("DELETE", "Patient/f1"),
    )  # fmt: skip
    assert place(made[0]) == "Patient/f2"
    assert subject(story, ward, place(made[1])) == "Patient/f2"


@pytest.mark.parametrize("later", [False, True])
def test_conditional_references_are_resolved_last(story: Story, ward: str, later: bool) -> None:
    wanted = bundle(
        "transaction",
        asks("GET", "Observation/o9"),
        asks("PUT", "Observation/o9", {**pointing("Patient?identifier=urn:s|cr1"), "id": "o9"}),
        asks("POST", "Observation", pointing("Patient?identifier=urn:s|cr1"), ifNoneExist="_id=o1"),
        asks("PUT", "Observation/o1", {**pointing("Patient?identifier=urn:s|cr2"), "id": "o1"}),
        asks("POST", "Patient", known("cr1")),
        asks("PUT", "Patient/cr2", known("cr2", id="cr2")),
    )
    if later:
        path = sent(story, ward, wanted)
        status, answer = ended(story, ward, path)
        assert status == 200, answer
    else:
        answer, headers = story.fhir("ProcessBundle", "POST", f"/{ward}/r4", wanted, request=ANY, resources=ANY)
        mine = place(answer["entry"][4]["response"]).removeprefix("Patient/")
        said = facts(story, headers)
        assert set(said["patientsChanged"]["items"]) == {mine, "cr2", "p1"}
    made = place(answer["entry"][4]["response"])
    assert answer["entry"][0]["resource"]["subject"]["reference"] == made
    assert [subject(story, ward, f"Observation/{id}") for id in ("o9", "o1")] == [made, "Patient/cr2"]
    for id, patient, versions in (("o9", made.removeprefix("Patient/"), 1), ("o1", "cr2", 2)):
        found = json.loads(send(story, ward, "GET", f"Observation?patient={patient}&_id={id}").data)
        assert [one["resource"]["id"] for one in found["entry"]] == [id]
        history = json.loads(send(story, ward, "GET", f"Observation/{id}/_history").data)["entry"]
        assert len(history) == versions
        assert history[0]["resource"]["subject"]["reference"] == f"Patient/{patient}"


def test_resources_may_point_at_one_another_by_condition(story: Story, ward: str) -> None:
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "identifier": [{"value": "e"}]}
    condition = {"resourceType": "Condition", "identifier": [{"value": "c"}], "subject": {"reference": "Patient/p1"}}
    made = processed(
        story, ward,
        asks("POST", "Encounter", {**encounter, "diagnosis": [{"condition": {"reference": "Condition?identifier=c"}}]}),
        asks("POST", "Condition", {**condition, "encounter": {"reference": "Encounter?identifier=e"}}),
    )  # fmt: skip
    assert json.loads(send(story, ward, "GET", place(made[0])).data)["diagnosis"][0]["condition"]["reference"] == place(made[1])
    assert json.loads(send(story, ward, "GET", place(made[1])).data)["encounter"]["reference"] == place(made[0])


SAME = "Patient?identifier=urn:s|ov"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    "entries",
    [
        [asks("PUT", "Patient/ov", known("ov", id="ov")), asks("PUT", SAME, known("ov"))],
        [asks("DELETE", SAME), asks("PUT", "Patient/ov", known("ov", id="ov"))],
        [asks("PUT", SAME, known("ov")), asks("PUT", SAME, known("ov"))],
        [asks("PUT", SAME, known("ov")), asks("POST", "Patient", known("ov"))],
        [asks("PUT", SAME, known("ov", id="ov")), asks("PUT", "Patient/ov", known("x", id="ov"))],
    ],
)
def test_entries_that_name_one_resource_are_refused_however_they_name_it(story: Story, ward: str, entries: Any, there: bool) -> None:
    if there:
        assert send(story, ward, "PUT", "Patient/ov", known("ov", id="ov")).status == 201
    answer = send(story, ward, "POST", "", bundle("transaction", *entries))
    assert answer.status == 400 or (answer.status == 404 and not there and "DELETE" in str(entries)), answer.data
    assert patients(story, ward, "ov") == (["ov"] if there else [])


def test_two_conditional_creates_make_no_two_of_one_identifier(story: Story, ward: str) -> None:
    create = asks("POST", "Patient", known("two"), ifNoneExist="identifier=urn:s|two")
    assert send(story, ward, "POST", "", bundle("transaction", create, create)).status == 400
    assert patients(story, ward, "two") == []
    assert [one["status"] for one in processed(story, ward, create)] == ["201"]
    assert [one["status"] for one in processed(story, ward, create, create)] == ["200", "200"]


def json_patch(*operations: dict[str, Any]) -> dict[str, Any]:
    data = b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def fhirpath_patch(*value: dict[str, Any], path: str = "Observation.subject") -> dict[str, Any]:
    part = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": path}, *value]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


@pytest.mark.parametrize("target", [URN, "Patient?identifier=urn:s|pat"])
@pytest.mark.parametrize(
    "patch",
    [
        lambda to: fhirpath_patch({"name": "value", "valueReference": {"reference": to}}),
        lambda to: fhirpath_patch({"name": "value", "valueString": to}, path="Observation.subject.reference"),
        lambda to: fhirpath_patch({"name": "value", "part": [{"name": "reference", "valueString": to}]}),
        lambda to: json_patch({"op": "replace", "path": "/subject", "value": {"reference": to}}),
        lambda to: json_patch({"op": "replace", "path": "/subject/reference", "value": to}),
    ],
)
def test_patches_point_to_what_the_transaction_makes(story: Story, ward: str, patch: Any, target: str) -> None:
    made = processed(story, ward, asks("PATCH", "Observation/o1", patch(target)), asks("POST", "Patient", known("pat"), URN))
    assert subject(story, ward, "Observation/o1") == place(made[1])


def test_relative_references_mean_what_lies_beside_the_full_url(story: Story, ward: str) -> None:
    made = processed(
        story, ward,
        asks("POST", "Patient", PATIENT, "http://ex.org/fhir/Patient/123"),
        asks("POST", "Observation", pointing("Patient/123"), "http://ex.org/fhir/Observation/9"),
        asks("POST", "Observation", pointing("http://ex.org/fhir/Patient/123"), "urn:uuid:22222222-2222-4222-8222-222222222222"),
        asks("POST", "Observation", pointing("Patient/123"), "http://other.org/fhir/Observation/9"),
        asks("POST", "Observation", pointing("Patient/p1"), "http://ex.org/fhir/Observation/10"),
    )  # fmt: skip
    wanted = [place(made[0]), place(made[0]), "Patient/123", "Patient/p1"]
    assert [subject(story, ward, place(one)) for one in made[1:]] == wanted


def test_a_transaction_has_a_thousand_conditional_references_at_most(story: Story, ward: str) -> None:
    rows = [{"reference": f"Patient?identifier=urn:s%7C{n}"} for n in range(1_001)]
    wanted = bundle("transaction", asks("POST", "Observation", {**pointing("Patient/p1"), "performer": rows}))
    answer = send(story, ward, "POST", "", wanted)
    (issue,) = json.loads(answer.data)["issue"]
    assert (answer.status, issue["code"]) == (422, "too-costly")
    assert issue["diagnostics"] == "There are 1001 different conditional references; the limit is 1000."
