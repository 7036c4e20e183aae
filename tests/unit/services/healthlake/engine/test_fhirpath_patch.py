"""FHIRPath Patch: own cases and, where it is there, HL7's test file (XML, read into JSON here)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree

from opentrail.services.healthlake.engine import definitions, fhirpath_patch
from opentrail.services.healthlake.engine.issues import FhirError

Json = dict[str, Any]
FHIR = "{http://hl7.org/fhir}"


def operation(kind: str, path: str, **parts: Any) -> Json:
    rows: list[Json] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for key, value in parts.items():
        rows.append(
            {"name": key, **value}
            if isinstance(value, dict)
            else {"name": key, "valueInteger" if isinstance(value, int) else "valueString": value}
        )
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": rows}]}


PATIENT: Json = {
    "resourceType": "Patient",
    "id": "a",
    "identifier": [{"use": "usual", "value": "1"}, {"use": "official", "value": "2"}],
}
GOOD: list[tuple[Json, Json]] = [
    (operation("add", "Patient", name="birthDate", value={"valueDate": "2000-01-01"}), {"birthDate": "2000-01-01"}),
    (operation("add", "Patient", name="deceased", value={"valueBoolean": True}), {"deceasedBoolean": True}),
    (
        operation("add", "Patient.identifier.where(use = 'official')", name="system", value={"valueUri": "urn:x"}),
        {"identifier": [{"use": "usual", "value": "1"}, {"use": "official", "value": "2", "system": "urn:x"}]},
    ),
    (
        operation("replace", "Patient.identifier[1].value", value={"valueString": "3"}),
        {"identifier": [{"use": "usual", "value": "1"}, {"use": "official", "value": "3"}]},
    ),
    (operation("delete", "Patient.identifier.first()"), {"identifier": [{"use": "official", "value": "2"}]}),
    (operation("delete", "Patient.maritalStatus"), {}),
    (
        operation("insert", "Patient.identifier", index=0, value={"valueIdentifier": {"value": "0"}}),
        {"identifier": [{"value": "0"}, {"use": "usual", "value": "1"}, {"use": "official", "value": "2"}]},
    ),
    (
        operation("move", "Patient.identifier", source=0, destination=1),
        {"identifier": [{"use": "official", "value": "2"}, {"use": "usual", "value": "1"}]},
    ),
    (
        operation("add", "Patient", name="contact", value={"part": [{"name": "name", "valueHumanName": {"text": "x"}}]}),
        {"contact": [{"name": {"text": "x"}}]},
    ),
]
BAD = [
    operation("replace", "Patient.birthDate", value={"valueDate": "2000"}),
    operation("replace", "Patient.identifier", value={"valueIdentifier": {}}),
    operation("delete", "Patient.identifier"),
    operation("delete", "Patient"),
    operation("add", "Patient", name="nothing", value={"valueString": "x"}),
    operation("add", "Patient", name="birthDate"),
    operation("insert", "Patient.identifier", index=3, value={"valueIdentifier": {"value": "0"}}),
    operation("move", "Patient.identifier", source=2, destination=0),
    operation("spin", "Patient"),
    operation("delete", "Patient.identifier.select(value)"),
    {"resourceType": "Patient"},
]


@pytest.mark.parametrize(("patch", "changed"), GOOD)
def test_applied(patch: Json, changed: Json) -> None:
    assert fhirpath_patch.apply(PATIENT, patch) == {**PATIENT, **changed}


@pytest.mark.parametrize("patch", BAD)
def test_refused(patch: Json) -> None:
    with pytest.raises(FhirError) as refused:
        fhirpath_patch.apply(PATIENT, patch)
    assert refused.value.status == 400


def primitive(kind: str, text: str) -> Any:
    if kind == "boolean":
        return text == "true"
    return int(text) if kind in ("integer", "positiveInt", "unsignedInt") else text


def from_xml(node: Any, path: str) -> Json:
    """The JSON of an XML element of a type or backbone path."""
    found: Json = {k: v for k, v in node.attrib.items() if k in ("id", "url")}
    known = definitions.properties(path)
    for child in node:
        prop = child.tag.rsplit("}", 1)[1]
        element, kind = known[prop]
        if kind == "xhtml":
            value: Any = ElementTree.tostring(child, encoding="unicode")
        elif definitions.is_primitive(kind):
            value = primitive(kind, child.attrib["value"])
        else:
            value = from_xml(child, kind)
        if element.many:
            found.setdefault(prop, []).append(value)
        else:
            found[prop] = value
    return found


def plain(resource: Json) -> Json:
    """The resource with a narrative that does not tell how XML was written."""
    if "text" not in resource:
        return resource
    div = re.sub(r"html:| xmlns(:html)?=\"[^\"]*\"|\s+", "", resource["text"]["div"])
    return {**resource, "text": {**resource["text"], "div": div}}


def hl7() -> Iterator[Any]:
    file = Path(os.environ.get("OPENTRAIL_SHARED", "../shared")) / "data/fhir/hl7_test_cases/r4/patch/fhir-patch-tests.xml"
    root = ElementTree.fromstring(file.read_text()) if file.exists() else []
    for case in root:
        if case.find("output") is None:
            continue
        read = {part: from_xml(case.find(part)[0], case.find(part)[0].tag.removeprefix(FHIR)) for part in ("input", "diff", "output")}
        yield pytest.param(*({**read[p], "resourceType": "Parameters" if p == "diff" else "Patient"} for p in read), id=case.attrib["name"])


def hl7_or_own() -> list[Any]:
    return list(hl7()) or [pytest.param(PATIENT, GOOD[0][0], {**PATIENT, **GOOD[0][1]}, id="own")]


@pytest.mark.parametrize(("resource", "patch", "expected"), hl7_or_own())
def test_the_cases_of_hl7(resource: Json, patch: Json, expected: Json) -> None:
    assert plain(fhirpath_patch.apply(resource, patch)) == plain(expected)
