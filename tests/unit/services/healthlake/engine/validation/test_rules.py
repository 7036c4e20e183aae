"""Invariants of R4, each broken by a resource that is whole without it, and kept by its nearest neighbour."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.validation import rules, validate
from opentrail.services.healthlake.engine.validation.checks import KEYS, distinct, range_in_order, valued
from opentrail.services.healthlake.engine.validation.written import WRITTEN

Json = dict[str, Any]
UCUM = "http://unitsofmeasure.org"
MINUTES = {"value": 5, "system": UCUM, "code": "min"}
ONE = {"value": 3, "system": UCUM, "code": "1"}
METRES = {"value": 5, "system": UCUM, "code": "m"}
WHY = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}
TEXT = {"text": "x"}
PATIENT = {"reference": "Patient/1"}
QUESTION = {"question": "a", "operator": "exists", "answerBoolean": True}


def value(kind: str, held: object) -> Json:
    """A resource with a value of this type: at /Basic/extension[0]/value..."""
    return {"resourceType": "Basic", "code": TEXT, "extension": [{"url": "http://x", "value" + kind: held}]}


def range_of(low: Json, high: Json) -> Json:
    return value("Range", {"low": low, "high": high})


def repeat(**held: object) -> Json:
    return value("Timing", {"repeat": held})


def asked(**held: object) -> Json:
    return {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", **held}]}


def request(**held: object) -> Json:
    base = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": PATIENT}
    return {**base, "medicationCodeableConcept": TEXT, "dispenseRequest": held}


def risk(**held: object) -> Json:
    return {"resourceType": "RiskAssessment", "status": "final", "subject": PATIENT, "prediction": [held]}


def element(**held: object) -> Json:
    parts = {
        "url": "http://x",
        "name": "X",
        "status": "draft",
        "kind": "logical",
        "abstract": False,
        "type": "http://x",
        "baseDefinition": "http://y",
    }
    return {"resourceType": "StructureDefinition", **parts, "differential": {"element": [{"id": "X", "path": "X", **held}]}}


def capable(**held: object) -> Json:
    parts = {"status": "draft", "date": "2020", "kind": "requirements", "fhirVersion": "4.0.1", "format": ["json"]}
    rest = [{"mode": "server"}]
    return {"resourceType": "CapabilityStatement", **parts, "rest": rest, **held}


def known(kinds: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Json:
    """A CapabilityStatement with these types, or one type with these search parameters."""
    found = [{"type": kind} for kind in kinds] or [{"type": "Patient", "searchParam": [{"name": n, "type": "token"} for n in names]}]
    return capable(description="x", rest=[{"mode": "server", "resource": found}])


def terms(**held: object) -> Json:
    return {"resourceType": "TerminologyCapabilities", "status": "draft", "date": "2020", "kind": "requirements", **held}


def codes(*concepts: Json) -> Json:
    return {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": list(concepts)}


def task(**held: object) -> Json:
    return {"resourceType": "Task", "status": "draft", "intent": "order", **held}


def sequence(system: int) -> Json:
    return {"resourceType": "MolecularSequence", "coordinateSystem": system}


def person(**held: object) -> Json:
    return {"resourceType": "Patient", **held}


PERCENT = {"value": 5, "system": UCUM, "code": "%"}
CASES: list[tuple[str, Json, str, Json]] = [
    ("age-1", value("Age", {"value": 5}), "/Basic/extension[0]/valueAge", value("Age", MINUTES)),
    ("age-1", value("Age", {**MINUTES, "value": 0}), "/Basic/extension[0]/valueAge", value("Age", {**MINUTES, "value": 0.5})),
    ("age-1", value("Age", {**MINUTES, "system": "urn:x"}), "/Basic/extension[0]/valueAge", value("Age", {"code": "a", "system": UCUM})),
    ("cnt-3", value("Count", {**ONE, "value": 1.5}), "/Basic/extension[0]/valueCount", value("Count", ONE)),
    ("cnt-3", value("Count", {**ONE, "code": "2"}), "/Basic/extension[0]/valueCount", value("Count", {"unit": "x"})),
    ("cnt-3", value("Count", {"value": 1}), "/Basic/extension[0]/valueCount", value("Count", {**ONE, "value": 0})),
    ("dis-1", value("Distance", {"value": 1}), "/Basic/extension[0]/valueDistance", value("Distance", METRES)),
    ("dis-1", value("Distance", {**METRES, "system": "urn:x"}), "/Basic/extension[0]/valueDistance", value("Distance", {"unit": "m"})),
    ("drt-1", value("Duration", {"code": "min", "system": UCUM}), "/Basic/extension[0]/valueDuration", value("Duration", MINUTES)),
    ("drt-1", value("Duration", {**MINUTES, "system": "urn:x"}), "/Basic/extension[0]/valueDuration", value("Duration", {"value": 1})),
    ("rng-2", range_of({"value": 5}, {"value": 2}), "/Basic/extension[0]/valueRange", range_of({"value": 2}, {"value": 2})),
    ("rng-2", range_of(MINUTES, {**MINUTES, "value": 2}), "/Basic/extension[0]/valueRange", range_of(METRES, {**MINUTES, "value": 2})),
    (
        "sqty-1",
        range_of({"value": 1, "comparator": "<"}, {"value": 2}),
        "/Basic/extension[0]/valueRange/low",
        value("Quantity", {"value": 1, "comparator": "<"}),
    ),
    (
        "sqty-1",
        request(quantity={"value": 1, "comparator": ">"}),
        "/MedicationRequest/dispenseRequest/quantity",
        request(quantity={"value": 1}),
    ),
    ("tim-4", repeat(duration=-1, durationUnit="h"), "/Basic/extension[0]/valueTiming/repeat", repeat(duration=0, durationUnit="h")),
    ("tim-5", repeat(period=-1, periodUnit="h"), "/Basic/extension[0]/valueTiming/repeat", repeat(period=0, periodUnit="h")),
    ("tim-9", repeat(offset=5), "/Basic/extension[0]/valueTiming/repeat", repeat(offset=5, when=["ACM"])),
    ("tim-9", repeat(offset=5, when=["ACM", "CD"]), "/Basic/extension[0]/valueTiming/repeat", repeat(when=["CD"])),
    ("trd-3", value("TriggerDefinition", {"type": "named-event"}), "/Basic/extension[0]/valueTriggerDefinition",
     value("TriggerDefinition", {"type": "named-event", "name": "x"})),
    ("trd-3", value("TriggerDefinition", {"type": "periodic"}), "/Basic/extension[0]/valueTriggerDefinition",
     value("TriggerDefinition", {"type": "periodic", "timingDate": "2020"})),
    ("trd-3", value("TriggerDefinition", {"type": "data-added"}), "/Basic/extension[0]/valueTriggerDefinition",
     value("TriggerDefinition", {"type": "data-added", "data": [{"type": "Patient"}]})),
    ("que-1", asked(type="group"), "/Questionnaire/item[0]", asked(type="group", item=[{"linkId": "2", "type": "display"}])),
    ("que-1", asked(type="display", item=[{"linkId": "2", "type": "string"}]), "/Questionnaire/item[0]", asked(type="display")),
    ("que-7", asked(type="string", enableWhen=[{"question": "a", "operator": "exists", "answerString": "x"}]),
     "/Questionnaire/item[0]/enableWhen[0]", asked(type="string", enableWhen=[QUESTION])),
    ("que-12", asked(type="string", enableWhen=[QUESTION] * 3), "/Questionnaire/item[0]",
     asked(type="string", enableWhen=[QUESTION] * 3, enableBehavior="any")),
    ("que-13", asked(type="string", initial=[{"valueString": "x"}, {"valueString": "y"}]), "/Questionnaire/item[0]",
     asked(type="string", repeats=True, initial=[{"valueString": "x"}, {"valueString": "y"}])),
    ("ras-1", risk(probabilityRange={"low": METRES}), "/RiskAssessment/prediction[0]/probabilityRange",
     risk(probabilityRange={"low": PERCENT, "high": {**PERCENT, "value": 8}})),
    ("ras-2", risk(probabilityDecimal=100.5), "/RiskAssessment/prediction[0]", risk(probabilityDecimal=100)),
    ("inv-1", task(authoredOn="2020-02", lastModified="2020-01-31"), "/Task", task(authoredOn="2020-02", lastModified="2020-02-01")),
    ("csd-1", codes({"code": "a", "concept": [{"code": "b"}]}, {"code": "b"}), "/CodeSystem/concept[1]", codes({"code": "a"})),
    ("msq-3", sequence(2), "/MolecularSequence", sequence(1)),
    ("cpb-2", capable(), "/CapabilityStatement", capable(description="x")),
    ("cpb-9", known(("Patient", "Patient")), "/CapabilityStatement/rest[0]", known(("Patient", "Group"))),
    ("cpb-12", known(names=("a", "a")), "/CapabilityStatement/rest[0]/resource[0]", known(names=("a", "b"))),
    ("tcp-1", terms(description="x", codeSystem=[{"version": [{"code": "1"}, {"isDefault": True}]}]),
     "/TerminologyCapabilities/codeSystem[0]", terms(description="x", codeSystem=[{"version": [{"isDefault": True}]}])),
    ("tcp-2", terms(), "/TerminologyCapabilities", terms(description="x")),
    ("eld-3", element(max="x"), "/StructureDefinition/differential/element[0]/max", element(max="*")),
    ("eld-6", element(fixedCode="x", type=[{"code": "code"}, {"code": "uri"}]), "/StructureDefinition/differential/element[0]",
     element(fixedCode="x", type=[{"code": "code"}])),
    ("eld-7", element(patternCode="x", type=[{"code": "code"}, {"code": "uri"}]), "/StructureDefinition/differential/element[0]",
     element(type=[{"code": "code"}, {"code": "uri"}])),
    ("eld-12", element(binding={"strength": "required", "valueSet": "x"}), "/StructureDefinition/differential/element[0]/binding",
     element(binding={"strength": "required", "valueSet": "urn:x"})),
    ("eld-13", element(type=[{"code": "code"}, {"code": "code"}]), "/StructureDefinition/differential/element[0]",
     element(type=[{"code": "code"}, {"code": "uri"}])),
    ("eld-14", element(constraint=[{"key": "a-1", "severity": "error", "human": "x"}] * 2),
     "/StructureDefinition/differential/element[0]", element(constraint=[{"key": "a-1", "severity": "error", "human": "x"}])),
    ("eld-16", element(sliceName="a b"), "/StructureDefinition/differential/element[0]", element(sliceName="a/b-1[x]")),
    ("eld-18", element(isModifier=True), "/StructureDefinition/differential/element[0]",
     element(isModifier=True, isModifierReason="x")),
    ("lnk-1", {"resourceType": "Linkage", "item": [{"type": "source", "resource": PATIENT}]}, "/Linkage",
     {"resourceType": "Linkage", "item": [{"type": "source", "resource": PATIENT}] * 2}),
    ("ele-1", person(name=[{"id": "x"}]), "/Patient/name[0]", person(name=[{"id": "x", "family": "y"}])),
    ("ele-1", person(communication=[{"language": {"id": "x"}}]), "/Patient/communication[0]/language",
     person(communication=[{"language": {"id": "x", "text": "x"}}])),
    ("ele-1", person(_birthDate={"id": "x"}), "/Patient/birthDate", person(birthDate="2020", _birthDate={"id": "x"})),
    ("ele-1", person(_birthDate={"id": "x"}), "/Patient/birthDate", person(_birthDate={"id": "x", **WHY})),
    ("ele-1", person(name=[{"given": ["a", None], "_given": [None, {"id": "x"}]}]), "/Patient/name[0]/given",
     person(name=[{"given": ["a", None], "_given": [{"id": "x"}, WHY]}])),
]  # fmt: skip


@pytest.mark.parametrize(("key", "broken", "place", "kept"), CASES, ids=[f"{case[0]} {i}" for i, case in enumerate(CASES)])
def test_a_rule_is_checked_at_its_place(key: str, broken: Json, place: str, kept: Json) -> None:
    found = [(issue.args[0].text, issue.location) for issue in validate(broken, "structure-only") if issue.is_error]
    assert found == [(key, place)]
    assert validate(kept) == []
    assert validate({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": broken}]})


def test_every_rule_that_is_written_by_hand_is_one_of_r4_and_has_a_case() -> None:
    assert WRITTEN.keys() <= {(path, key) for entry in definitions.types().values() for path, key, _, _ in entry["rules"]}
    assert {key for _, key in WRITTEN} | {"sqty-1", "ele-1", "inv-1", "csd-1"} <= {case[0] for case in CASES}


def test_a_rule_is_checked_or_known_to_be_left_out() -> None:
    left = {key for _, key, _ in rules.unchecked()}
    assert not left & ({key for _, key in WRITTEN} | KEYS)
    assert all(key.startswith(("cpb", "ctm", "eld", "evv", "ig", "mea", "mrp", "md", "msq", "nsd", "sdf", "tst")) for key in left)


@pytest.mark.parametrize("path", sorted(definitions.simple_quantities()))
def test_a_simple_quantity_is_a_quantity(path: str) -> None:
    element = next(one for one in definitions.elements(path.split(".", maxsplit=1)[0]) if one.path == path)
    assert "Quantity" in element.types


NUMBERS = st.one_of(st.integers(-10, 10), st.floats(-10, 10))
UNITS = st.fixed_dictionaries({}, optional={"unit": st.sampled_from("ab"), "code": st.sampled_from("ab"), "system": st.just(UCUM)})


@given(NUMBERS, NUMBERS, UNITS, UNITS)
@example(5, 2, {}, {})
@example(5, 2, {"unit": "a"}, {"unit": "b"})
def test_the_ends_of_a_range_compare_in_one_unit_only(low: float, high: float, one: Json, two: Json) -> None:
    found = range_in_order({"low": {**one, "value": low}, "high": {**two, "value": high}})
    if one == two:
        assert found is (low <= high)
    if one.get("code") != two.get("code") or low <= high:
        assert found


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "_a", "b", "low", "high", "id"]), inner)),
)


@given(ANYTHING)
def test_checks_leave_other_shapes_to_the_schema(instance: object) -> None:
    for found in (range_in_order(instance), distinct("a.b", instance), valued("a", instance)):
        assert isinstance(found, bool)
