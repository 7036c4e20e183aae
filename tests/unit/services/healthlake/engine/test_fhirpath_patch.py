"""FHIRPath Patch: own cases and, where it is there, HL7's test file (XML, read into JSON here)."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

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


def extended(word: str) -> Json:
    return {"extension": [{"url": "urn:x", "valueString": word}]}


NAMED: Json = {
    "resourceType": "Patient",
    "id": "a",
    "birthDate": "2000-01-01",
    "_birthDate": extended("born"),
    "_gender": extended("unasked"),
    "deceasedBoolean": False,
    "_deceasedBoolean": extended("seen"),
    "name": [{"given": ["A", "B"], "_given": [None, extended("b")]}],
}
NAME = NAMED["name"][0]
EXTENSION = {"valueExtension": {"url": "urn:y", "valueCode": "c"}}
PRIMITIVES: list[tuple[Json, Json]] = [
    (operation("delete", "Patient.name[0].given[0]"), {"name": [{"given": ["B"], "_given": [extended("b")]}]}),
    (operation("delete", "Patient.name[0].given[1]"), {"name": [{"given": ["A"]}]}),
    (
        operation("insert", "Patient.name.given", index=0, value={"valueString": "C"}),
        {"name": [{"given": ["C", "A", "B"], "_given": [None, None, extended("b")]}]},
    ),
    (
        operation("insert", "Patient.name.given", index=2, value={"_valueString": extended("c")}),
        {"name": [{"given": ["A", "B", None], "_given": [None, extended("b"), extended("c")]}]},
    ),
    (operation("move", "Patient.name.given", source=1, destination=0), {"name": [{"given": ["B", "A"], "_given": [extended("b"), None]}]}),
    (
        operation("add", "Patient.name", name="given", value={"valueString": "C"}),
        {"name": [{"given": ["A", "B", "C"], "_given": [None, extended("b"), None]}]},
    ),
    (operation("replace", "Patient.name.given[1]", value={"valueString": "C"}), {"name": [{"given": ["A", "C"]}]}),
    (operation("delete", "Patient.birthDate.extension.where(url = 'urn:x')"), {"_birthDate": None}),
    (operation("delete", "Patient.birthDate.extension('urn:x')"), {"_birthDate": None}),
    (operation("delete", "Patient.gender.extension[0]"), {"_gender": None}),
    (operation("delete", "Patient.gender"), {"_gender": None}),
    (
        operation("delete", "Patient.name.given[1].extension[0].value"),
        {"name": [{**NAME, "_given": [None, {"extension": [{"url": "urn:x"}]}]}]},
    ),
    (operation("delete", "Patient.name.given[1].extension[0]"), {"name": [{"given": ["A", "B"]}]}),
    (
        operation("replace", "Patient.birthDate.extension.value", value={"valueString": "here"}),
        {"_birthDate": extended("here")},
    ),
    (
        operation("replace", "Patient.birthDate.extension.value", value={"valueDecimal": 1}),
        {"_birthDate": {"extension": [{"url": "urn:x", "valueDecimal": 1}]}},
    ),
    (operation("replace", "Patient.birthDate", value={"valueDate": "2001"}), {"birthDate": "2001", "_birthDate": None}),
    (operation("replace", "Patient.gender", value={"valueCode": "male"}), {"gender": "male", "_gender": None}),
    (
        operation("replace", "Patient.deceased", value={"valueDateTime": "2020"}),
        {"deceasedBoolean": None, "_deceasedBoolean": None, "deceasedDateTime": "2020"},
    ),
    (
        operation("add", "Patient.name.given[0]", name="extension", value=EXTENSION),
        {"name": [{**NAME, "_given": [{"extension": [EXTENSION["valueExtension"]]}, extended("b")]}]},
    ),
    (
        operation("add", "Patient.gender", name="extension", value=EXTENSION),
        {"_gender": {"extension": [*extended("unasked")["extension"], EXTENSION["valueExtension"]]}},
    ),
    (operation("add", "Patient.birthDate", name="id", value={"valueString": "i"}), {"_birthDate": {**extended("born"), "id": "i"}}),
]


@pytest.mark.parametrize(("patch", "changed"), PRIMITIVES)
def test_a_primitive_and_what_extends_it_are_one_element(patch: Json, changed: Json) -> None:
    expected = {key: value for key, value in {**NAMED, **changed}.items() if value is not None}
    assert fhirpath_patch.apply(NAMED, patch) == expected


@pytest.mark.parametrize(
    "patch",
    [
        operation("add", "Patient", name="gender", value={"valueCode": "male"}),
        operation("add", "Patient", name="deceased", value={"valueDateTime": "2020"}),
        operation("add", "Patient.birthDate", name="value", value={"valueDate": "2020"}),
        operation("replace", "Patient.deceased", value={"valueString": "yes"}),
        operation("add", "Patient", name="multipleBirth", value={"valueString": "yes"}),
    ],
)
def test_an_element_is_there_once_and_of_a_type_that_it_takes(patch: Json) -> None:
    with pytest.raises(FhirError) as refused:
        fhirpath_patch.apply(NAMED, patch)
    assert refused.value.status == 400


ELEMENTS = st.tuples(st.sampled_from("ABCD"), st.none() | st.sampled_from("xyz").map(extended))
PLACES = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("insert"), PLACES, ELEMENTS),
    st.tuples(st.just("replace"), PLACES, ELEMENTS),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.just("move"), PLACES, PLACES),
)


@given(st.lists(ELEMENTS, min_size=1), st.lists(STEPS))
def test_lists_of_primitives_stay_side_by_side(held: list[tuple[str, Any]], steps: list[Any]) -> None:
    def name(pairs: list[tuple[str, Any]]) -> Json:
        values, extras = [value for value, _ in pairs], [extra for _, extra in pairs]
        return {"family": "F", **({"given": values} if values else {}), **({"_given": extras} if any(extras) else {})}

    found: Json = {"resourceType": "Patient", "name": [name(held)]}
    for kind, at, *more in steps:
        size, path, parts = len(held), "Patient.name.given", {}
        if kind in ("insert", "replace"):
            (value, extra), held_now = more[0], list(held)
            parts["value"] = {"valueString": value, **({"_valueString": extra} if extra else {})}
            held_now[at : at + (kind == "replace")] = more
        elif kind == "delete":
            held_now = held[:at] + held[at + 1 :]
        else:
            held_now = list(held)
            if max(at, more[0]) < size:
                held_now.insert(more[0], held_now.pop(at))
        if kind == "insert":
            parts["index"], bad = at, at > size or not size
        elif kind == "move":
            parts["source"], parts["destination"], bad = at, more[0], max(at, more[0]) >= size
        else:
            path, bad = f"{path}[{at}]", at >= size and kind == "replace"
        if bad:
            with pytest.raises(FhirError):
                fhirpath_patch.apply(found, operation(kind, path, **parts))
        else:
            found, held = fhirpath_patch.apply(found, operation(kind, path, **parts)), held_now
        assert found == {"resourceType": "Patient", "name": [name(held)]}


MALFORMED = [{"part": 5}, {"part": None}, {"part": [5]}, {"part": {}}, {"part": [None]}]


@pytest.mark.parametrize("bad", MALFORMED)
def test_parts_that_are_no_objects_are_refused(bad: Json) -> None:
    whole: Json = {"resourceType": "Parameters", "parameter": [{"name": "operation", **bad}]}
    inside = operation("add", "Patient", name="contact", value=bad)
    deeper = operation("add", "Patient", name="contact", value={"part": [{"name": "name", **bad}]})
    for patch in (whole, inside, deeper):
        with pytest.raises(FhirError) as refused:
            fhirpath_patch.apply(PATIENT, patch)
        assert refused.value.status == 400


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["operation", "type", "add", "delete", "path", "Patient", "name", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "part", "valueCode", "valueString", "_valueString", "extension"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(ANYTHING, max_size=4), st.sampled_from(["add", "insert", "delete", "replace", "move"]), ANYTHING, ANYTHING)
def test_a_patch_of_any_shape_is_applied_or_refused(rows: list[Any], kind: str, value: Any, resource: Any) -> None:
    whole = {**operation(kind, "Patient.name", name="given", index=0, source=0, destination=0, value={"part": value})}
    for patch in ({"resourceType": "Parameters", "parameter": rows}, whole):
        with suppress(FhirError):
            fhirpath_patch.apply({"resourceType": "Patient", "name": resource, "extension": 5}, patch)


def test_extensions_of_a_resource_of_any_shape_are_looked_for() -> None:
    for shape in (5, [5], [None], {"url": 5}, None):
        resource = {"resourceType": "Patient", "extension": shape}
        assert fhirpath_patch.apply(resource, operation("delete", "Patient.extension('q').value")) == resource


@pytest.mark.parametrize(
    ("literal", "text"),
    [(r"a\'b", "a'b"), (r"a\\b", "a\\b"), (r"\u0041", "A"), (r"\ud83d\ude00", "\U0001f600"), (r"a\nb", "a\nb"), (r"\"\`\/", '"`/')],
)
def test_escapes_in_texts(literal: str, text: str) -> None:
    resource = {"resourceType": "Patient", "identifier": [{"value": "z"}, {"value": text}], "extension": [{"url": text, "valueCode": "c"}]}
    found = fhirpath_patch.apply(resource, operation("delete", f"Patient.identifier.where(value = '{literal}')"))
    assert found["identifier"] == [{"value": "z"}]
    assert "extension" not in fhirpath_patch.apply(resource, operation("delete", f"Patient.extension('{literal}')"))


def test_an_escape_that_is_none_is_refused() -> None:
    with pytest.raises(FhirError):
        fhirpath_patch.apply(PATIENT, operation("delete", r"Patient.identifier.where(value = 'a\qb')"))


def test_numbers_are_found_by_what_they_say() -> None:
    resource = {
        "resourceType": "Observation",
        "component": [{"valueQuantity": {"value": msgspec.Raw(b"1.50")}}, {"valueQuantity": {"value": 2}}],
    }
    found = fhirpath_patch.apply(resource, operation("delete", "Observation.component.where(value.value = 1.5)"))
    assert found["component"] == [{"valueQuantity": {"value": 2}}]


def test_what_was_added_is_not_the_patch_itself() -> None:
    patch = operation("add", "Patient", name="contact", value={"valueHumanName": {"given": ["A"]}})
    patch["parameter"] += operation("add", "Patient.contact", name="gender", value={"valueCode": "male"})["parameter"]
    first = fhirpath_patch.apply(PATIENT, patch)
    assert fhirpath_patch.apply(PATIENT, patch) == first


def test_depth_and_work_are_bounded() -> None:
    questionnaire = {"resourceType": "Questionnaire", "item": [{"linkId": "a"}]}
    deeper = [
        operation("add", "Questionnaire" + ".item" * at, name="item", value={"part": [{"name": "linkId", "valueString": "b"}]})
        for at in range(1, 60)
    ]
    with pytest.raises(FhirError) as refused:
        fhirpath_patch.apply(questionnaire, {"resourceType": "Parameters", "parameter": [one["parameter"][0] for one in deeper]})
    assert refused.value.status == 400
    many = {**PATIENT, "identifier": [{"value": "1"}] * 5000}
    with pytest.raises(FhirError) as refused:
        fhirpath_patch.apply(
            many,
            {"resourceType": "Parameters", "parameter": operation("delete", "Patient.identifier.where(value = 'x')")["parameter"] * 1000},
        )
    assert refused.value.status == 422


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
