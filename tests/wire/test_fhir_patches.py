"""Patches of every shape, and decimals: they come back as they were sent, whatever is written or shown around them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.services.healthlake.engine.test_exact import DECIMALS
from tests.wire.fhir_data import observation, send
from tests.wire.story import Story
from tests.wire.test_fhir_bundles import asks, bundle

JSON_PATCH = {"content-type": "application/json-patch+json"}
LEVEL = "x-amzn-healthlake-fhir-validation-level"
URN = "urn:uuid:11111111-1111-4111-8111-111111111111"


def fhirpath(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """A FHIRPath Patch of one operation."""
    rows = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
        *({"name": key, **part} for key, part in parts.items()),
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": rows}]}


def numbers(text: bytes) -> list[str]:
    """The decimals of a JSON text as they are written there: those of valueDecimal and value."""

    class Written(str):
        """A number's text."""

    found: list[str] = []

    def look(row: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(str(held) for key, held in row if isinstance(held, Written) and key in ("value", "valueDecimal"))
        return dict(row)

    json.loads(text, parse_float=Written, parse_int=Written, object_pairs_hook=look)
    return found


def written(sent: str, id: str = "o9", subject: str = "Patient/p1") -> bytes:
    """An observation with one number in meta, an extension, and two components, of which one points to the subject, too."""
    mark = 4711
    held = {
        **observation(id, "p1"),
        "subject": {"reference": subject},
        "meta": {"extension": [{"url": "urn:m", "valueDecimal": mark}]},
        "extension": [{"url": "urn:e", "valueDecimal": mark}],
        "component": [
            {"code": {"text": "a"}, "valueQuantity": {"value": mark}},
            {
                "code": {"text": "b", "extension": [{"url": "urn:r", "valueReference": {"reference": subject}}]},
                "valueQuantity": {"value": mark},
            },
        ],
    }
    return json.dumps(held).replace(str(mark), sent).encode()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DECIMALS)
def test_decimals_come_back_as_they_were_sent(story: Story, ward: str, sent: str) -> None:
    def four(body: bytes, times: int = 4) -> None:
        assert numbers(body) == [sent] * times, body

    def now(query: str = "") -> bytes:
        answer = send(story, ward, "GET", f"Observation/o9{query}")
        assert answer.status == 200, answer.data
        return answer.data

    def does(method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> bytes:
        answer = send(story, ward, method, path, body, headers)
        assert answer.status in (200, 201), answer.data
        return answer.data

    four(does("PUT", "Observation/o9", written(sent)))
    four(now())
    for query in ("?_elements=component,extension", "?_summary=data"):
        four(now(query))
        four(does("GET", f"Observation{query}&_id=o9", None))
    four(does("PATCH", "Observation/o9", [{"op": "replace", "path": "/component/0/code/text", "value": "c"}], JSON_PATCH))
    moved = [{"op": "copy", "from": "/component/0", "path": "/component/-"}, {"op": "remove", "path": "/component/0"}]
    four(does("PATCH", "Observation/o9", moved, JSON_PATCH))
    value = {"valueString": "d"}
    four(does("PATCH", "Observation/o9", fhirpath("replace", "Observation.component[0].code.text", value=value)))
    inside = fhirpath("replace", "Observation.component[1].code.text", value=value)
    does("POST", "", bundle("batch", asks("PATCH", "Observation/o9", inside)))
    four(now())
    flagged = written(sent).replace(b'"final"', b'"nonsense"')
    four(does("PUT", "Observation/o9", flagged, {LEVEL: "minimal"}))
    patch = [{"op": "add", "path": "/component/0/valueQuantity/unit", "value": "g"}, {"op": "replace", "path": "/status", "value": "final"}]
    four(does("PATCH", "Observation/o9", patch, JSON_PATCH))
    linked = bundle("transaction", asks("POST", "Patient", {"resourceType": "Patient"}, URN), asks("PUT", "Observation/o9", "4712"))
    does("POST", "", json.dumps(linked).encode().replace(b'"4712"', written(sent, subject=URN)))
    four(now())
    assert b"urn:uuid" not in now()
    linked = bundle("transaction", asks("PUT", "Observation/o9", "4712"))
    does("POST", "", json.dumps(linked).encode().replace(b'"4712"', written(sent, subject="Patient?_id=p2")))
    four(now())
    added = b'[{"op":"replace","path":"/component/0/valueQuantity","value":{"value":%s}}]' % sent.encode()
    four(does("PATCH", "Observation/o9", added, JSON_PATCH))
    added = json.dumps(fhirpath("replace", "Observation.component[0].value.value", value={"valueDecimal": 4711})).encode()
    four(does("PATCH", "Observation/o9", added.replace(b"4711", sent.encode())))
    history = does("GET", "Observation/o9/_history?_count=11", None)
    four(history, 4 * len(json.loads(history)["entry"]))


def test_primitives_are_patched_with_what_extends_them(story: Story, ward: str) -> None:
    extension = {"extension": [{"url": "urn:x", "valueString": "b"}]}
    whole = {"resourceType": "Patient", "id": "g1", "name": [{"given": ["A", "B"], "_given": [None, extension]}]}
    whole |= {"birthDate": "2000-01-01", "_birthDate": extension, "deceasedBoolean": False}
    assert send(story, ward, "PUT", "Patient/g1", whole).status == 201
    for patch in (
        fhirpath("insert", "Patient.name.given", index={"valueInteger": 0}, value={"valueString": "C"}),
        fhirpath("delete", "Patient.name.given[1]"),
        fhirpath("move", "Patient.name.given", source={"valueInteger": 1}, destination={"valueInteger": 0}),
        fhirpath("delete", "Patient.birthDate.extension.where(url='urn:x')"),
        fhirpath("replace", "Patient.deceased", value={"valueDateTime": "2020"}),
    ):
        answer = send(story, ward, "PATCH", "Patient/g1", patch)
        assert answer.status == 200, answer.data
    found = json.loads(answer.data)
    assert found["name"] == [{"given": ["B", "C"], "_given": [extension, None]}]
    assert {key: found.get(key) for key in ("birthDate", "_birthDate", "deceasedBoolean", "deceasedDateTime")} == {
        "birthDate": "2000-01-01", "_birthDate": None, "deceasedBoolean": None, "deceasedDateTime": "2020",
    }  # fmt: skip


def test_a_patch_that_would_grow_without_end_is_refused(story: Story, ward: str) -> None:
    doubling = [{"op": "add", "path": "/contact", "value": [{}]}, *[{"op": "copy", "from": "/contact", "path": "/contact/-"}] * 24]
    deepening = [{"op": "add", "path": "/extension" + "/0/extension" * at, "value": [{}]} for at in range(60)]
    for patch, status in ((doubling, 413), (deepening, 400)):
        for body, headers in ((patch, JSON_PATCH), (patch, {**JSON_PATCH, LEVEL: "minimal"})):
            answer = send(story, ward, "PATCH", "Patient/p1", body, headers)
            assert (answer.status, json.loads(answer.data)["resourceType"]) == (status, "OperationOutcome"), answer.data


@pytest.mark.parametrize("bad", [{"part": 5}, {"part": None}, {"part": [5]}])
def test_a_patch_of_a_wrong_shape_is_refused(story: Story, ward: str, bad: dict[str, Any]) -> None:
    whole = {"resourceType": "Parameters", "parameter": [{"name": "operation", **bad}]}
    for patch in (whole, fhirpath("add", "Patient", name={"valueString": "contact"}, value=bad)):
        assert send(story, ward, "PATCH", "Patient/p1", patch).status == 400
        assert send(story, ward, "POST", "", bundle("transaction", asks("PATCH", "Patient/p1", patch))).status == 400


def test_a_resource_with_tags_of_another_shape_is_shown_in_part(story: Story, ward: str) -> None:
    odd = {"resourceType": "Patient", "id": "odd", "meta": {"tag": 5}, "extension": 5, "": 1}
    assert send(story, ward, "PUT", "Patient/odd", odd, {LEVEL: "minimal"}).status == 201
    for path in ("Patient/odd?_summary=true", "Patient/odd?_elements=name", "Patient?_summary=data", "Patient?_elements=name"):
        answer = send(story, ward, "GET", path)
        assert (answer.status, b"SUBSETTED" in answer.data) == (200, True), answer.data
    assert send(story, ward, "PATCH", "Patient/odd", fhirpath("delete", "Patient.extension('q')"), {LEVEL: "minimal"}).status == 200


def test_a_patch_is_one_json_value(story: Story, ward: str) -> None:
    for body in (b'[],"more":1', b"[]]", b'[],"patch":[]', b""):
        assert send(story, ward, "PATCH", "Patient/p1", body, JSON_PATCH).status == 400
