"""Validation: what is accepted, what is refused, where and with which code; and that no message shows content in logs."""

import copy
import gzip
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.issues import Issue, operation_outcome
from opentrail.services.healthlake.engine.search.rows import index_rows, lenient_rows
from opentrail.services.healthlake.engine.validation import validate
from opentrail.services.healthlake.engine.validation.checks import period_in_order
from opentrail.services.healthlake.engine.validation.flags import URL, flagged
from opentrail.services.healthlake.engine.values import date_interval

Json = dict[str, Any]
Edit = Callable[[Json], object]
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2023-10-15T09:30:00Z",
    "valueQuantity": {"value": 120, "unit": "mmHg"},
}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "a",
    "name": [{"family": "x", "given": ["y"]}],
    "gender": "male",
    "birthDate": "1980-01-01",
}
DAR = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
WHY = {"extension": [{"url": DAR, "valueCode": "unknown"}]}
CONTAINED = {"contained": [{"resourceType": "Organization", "id": "o", "name": "x"}], "managingOrganization": {"reference": "#o"}}

VALID: list[tuple[str, Json, Edit]] = [
    ("nulls beside each other", PATIENT, lambda r: r["name"][0].update(given=["y", None], _given=[None, WHY])),
    ("a null that nothing needs", PATIENT, lambda r: r["name"][0].update(given=["y"], _given=[None])),
    ("a whole integer", OBSERVATION, lambda r: r.pop("valueQuantity") and r.update(valueInteger=1)),
    ("observation", OBSERVATION, lambda r: None),
    ("patient", PATIENT, lambda r: None),
    (
        "extended birth date",
        PATIENT,
        lambda r: r.update(_birthDate={"extension": [{"url": "http://x", "valueDateTime": "1980-01-01T10:00:00Z"}]}),
    ),
    (
        "status given by extension",
        OBSERVATION,
        lambda r: r.update(status=None) or r.pop("status") or r.update(_status={"extension": [{"url": DAR, "valueCode": "unknown"}]}),
    ),
    ("null with extension", PATIENT, lambda r: r["name"][0].update(given=["y", None], _given=[{"id": "z"}, WHY])),
    ("contained", PATIENT, lambda r: r.update(copy.deepcopy(CONTAINED))),
    ("year", OBSERVATION, lambda r: r.update(effectiveDateTime="2023")),
    ("month", OBSERVATION, lambda r: r.update(effectiveDateTime="2024-02")),
    ("leap day", OBSERVATION, lambda r: r.update(effectiveDateTime="2024-02-29")),
    ("zone", OBSERVATION, lambda r: r.update(effectiveDateTime="2024-02-29T23:59:59.123456+14:00")),
    ("absolute reference", OBSERVATION, lambda r: r.update(subject={"reference": "https://x.org/fhir/Patient/1"})),
    ("urn reference", OBSERVATION, lambda r: r.update(subject={"reference": "urn:uuid:0cdf7e1e-0000-4000-8000-000000000000"})),
    ("conditional reference", OBSERVATION, lambda r: r.update(subject={"reference": "Patient?identifier=a|b"})),
    ("relative attachment", PATIENT, lambda r: r.update(photo=[{"url": "/images/1.png"}])),
]
INVALID: list[tuple[str, Json, Edit, str, str]] = [
    ("no status", OBSERVATION, lambda r: r.pop("status"), "required", "/Observation/status"),
    ("no code", OBSERVATION, lambda r: r.pop("code"), "required", "/Observation/code"),
    ("bad code", OBSERVATION, lambda r: r.update(status="finished"), "code-invalid", "/Observation/status"),
    ("two values", OBSERVATION, lambda r: r.update(valueString="x"), "invariant", "/Observation"),
    ("unknown element", OBSERVATION, lambda r: r.update(foo=1), "structure", "/Observation/foo"),
    ("bad dateTime", OBSERVATION, lambda r: r.update(effectiveDateTime="15/10/2023"), "value", "/Observation/effectiveDateTime"),
    ("no such day", OBSERVATION, lambda r: r.update(effectiveDateTime="2023-02-29"), "value", "/Observation/effectiveDateTime"),
    ("no such month", OBSERVATION, lambda r: r.update(effectiveDateTime="2023-13"), "value", "/Observation/effectiveDateTime"),
    ("year zero", OBSERVATION, lambda r: r.update(effectiveDateTime="0000"), "value", "/Observation/effectiveDateTime"),
    (
        "time without zone",
        OBSERVATION,
        lambda r: r.update(effectiveDateTime="2023-02-21T10:00:00"),
        "value",
        "/Observation/effectiveDateTime",
    ),
    (
        "no such hour",
        OBSERVATION,
        lambda r: r.update(effectiveDateTime="2023-02-21T25:00:00Z"),
        "value",
        "/Observation/effectiveDateTime",
    ),
    (
        "number as text",
        OBSERVATION,
        lambda r: r.update(valueQuantity={"value": "120"}),
        "value",
        "/Observation/valueQuantity/value",
    ),
    (
        "wrong target",
        OBSERVATION,
        lambda r: r.update(subject={"reference": "Medication/1"}),
        "value",
        "/Observation/subject/reference",
    ),
    ("no such type", OBSERVATION, lambda r: r.update(subject={"reference": "Foo/1"}), "value", "/Observation/subject/reference"),
    ("array for object", OBSERVATION, lambda r: r.update(code=[r["code"]]), "structure", "/Observation/code"),
    (
        "nested cardinality",
        OBSERVATION,
        lambda r: r.update(component=[{"valueString": "x"}]),
        "required",
        "/Observation/component[0]/code",
    ),
    ("obs-6", OBSERVATION, lambda r: r.update(dataAbsentReason={"text": "x"}), "invariant", "/Observation"),
    ("obs-7", OBSERVATION, lambda r: r.update(component=[{"code": r["code"]}]), "invariant", "/Observation"),
    ("empty array", OBSERVATION, lambda r: r.update(note=[]), "structure", "/Observation/note"),
    ("empty object", OBSERVATION, lambda r: r.update(method={}), "structure", "/Observation/method"),
    ("empty string", OBSERVATION, lambda r: r.update(method={"text": ""}), "value", "/Observation/method/text"),
    ("blank string", OBSERVATION, lambda r: r.update(method={"text": "  "}), "value", "/Observation/method/text"),
    ("control character", OBSERVATION, lambda r: r.update(method={"text": "a\x07"}), "value", "/Observation/method/text"),
    ("object for array", PATIENT, lambda r: r.update(name=r["name"][0]), "structure", "/Patient/name"),
    ("bad gender", PATIENT, lambda r: r.update(gender="M"), "code-invalid", "/Patient/gender"),
    ("dateTime for date", PATIENT, lambda r: r.update(birthDate="1980-01-01T00:00:00Z"), "value", "/Patient/birthDate"),
    ("bad id", PATIENT, lambda r: r.update(id="a b"), "value", "/Patient/id"),
    ("long id", PATIENT, lambda r: r.update(id="a" * 65), "value", "/Patient/id"),
    ("pat-1", PATIENT, lambda r: r.update(contact=[{"gender": "male"}]), "invariant", "/Patient/contact[0]"),
    ("two deceased", PATIENT, lambda r: r.update(deceasedBoolean=True, deceasedDateTime="2020"), "invariant", "/Patient"),
    ("boolean as text", PATIENT, lambda r: r.update(active="true"), "value", "/Patient/active"),
    ("null without extension", PATIENT, lambda r: r["name"][0].update(given=["y", None]), "invariant", "/Patient/name[0]"),
    ("nulls alone", PATIENT, lambda r: r["name"][0].update(given=[None]), "invariant", "/Patient/name[0]"),
    ("twin of nulls alone", PATIENT, lambda r: r["name"][0].update(given=["y"], _given=[None, None]), "invariant", "/Patient/name[0]"),
    (
        "twin without values",
        PATIENT,
        lambda r: r["name"][0].pop("given") and r["name"][0].update(_given=[None]),
        "invariant",
        "/Patient/name[0]",
    ),
    (
        "nulls in one place",
        PATIENT,
        lambda r: r["name"][0].update(given=["y", None], _given=[WHY, None]),
        "invariant",
        "/Patient/name[0]",
    ),
    (
        "integer with a point",
        OBSERVATION,
        lambda r: r.pop("valueQuantity") and r.update(valueInteger=1.0),
        "value",
        "/Observation/valueInteger",
    ),
    (
        "integer with an exponent",
        OBSERVATION,
        lambda r: r.pop("valueQuantity") and r.update(valueInteger=1e3),
        "value",
        "/Observation/valueInteger",
    ),
    (
        "positive integer with a point",
        PATIENT,
        lambda r: r.update(telecom=[{"system": "phone", "value": "1", "rank": 1.0}]),
        "value",
        "/Patient/telecom[0]/rank",
    ),
    (
        "two of one id",
        PATIENT,
        lambda r: r.update(copy.deepcopy(CONTAINED)) or r["contained"].append(copy.deepcopy(r["contained"][0])),
        "duplicate",
        "/Patient/contained[1]/id",
    ),
    ("ext-1", PATIENT, lambda r: r.update(extension=[{"url": "http://x"}]), "invariant", "/Patient/extension[0]"),
    ("cpt-2", PATIENT, lambda r: r.update(telecom=[{"value": "1"}]), "invariant", "/Patient/telecom[0]"),
    (
        "per-1",
        PATIENT,
        lambda r: r["name"][0].update(period={"start": "2020", "end": "2019"}),
        "invariant",
        "/Patient/name[0]/period",
    ),
    ("ref-1", PATIENT, lambda r: r.update(managingOrganization={"reference": "#gone"}), "invariant", "/Patient"),
    ("dom-3", PATIENT, lambda r: r.update(contained=CONTAINED["contained"]), "invariant", "/Patient/contained[0]"),
    (
        "inside contained",
        PATIENT,
        lambda r: r.update(copy.deepcopy(CONTAINED)) or r["contained"][0].update(active="x"),
        "value",
        "/Patient/contained[0]/active",
    ),
    (
        "script",
        PATIENT,
        lambda r: r.update(text={"status": "generated", "div": "<div><script>x</script></div>"}),
        "invariant",
        "/Patient/text/div",
    ),
    ("base64", PATIENT, lambda r: r.update(photo=[{"contentType": "image/png", "data": "a"}]), "value", "/Patient/photo[0]/data"),
]


def edited(resource: Json, edit: Edit) -> Json:
    found = copy.deepcopy(resource)
    edit(found)
    return found


@pytest.mark.parametrize(("resource", "edit"), [case[1:] for case in VALID], ids=[case[0] for case in VALID])
def test_accepted(resource: Json, edit: Edit) -> None:
    assert validate(edited(resource, edit)) == []


@pytest.mark.parametrize(("resource", "edit", "code", "location"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
def test_refused_with_code_and_place(resource: Json, edit: Edit, code: str, location: str) -> None:
    found = validate(edited(resource, edit))
    assert (code, location) in [(issue.code, issue.location) for issue in found if issue.is_error]


@pytest.mark.parametrize("case", INVALID, ids=[case[0] for case in INVALID])
def test_no_value_reaches_a_log(case: tuple[str, Json, Edit, str, str]) -> None:
    resource = edited(case[1], case[2])
    resource["canary-element"] = "canary"
    resource["meta"] = {"profile": ["http://canary"]}
    for issue in validate(resource):
        assert "canary" not in issue.log_text()


@pytest.mark.parametrize(
    "resource", [None, [], "x", {}, {"resourceType": 3}, {"resourceType": "Nothing"}, {"resourceType": "DomainResource"}]
)
def test_what_is_no_resource(resource: object) -> None:
    assert [issue.code for issue in validate(resource)] == ["structure"]


def test_minimal_flags_and_keeps() -> None:
    found = validate({"resourceType": "Patient", "id": "a", "gender": "M"}, "minimal")
    assert [(issue.severity, issue.location) for issue in found] == [("warning", "/Patient/gender")]
    assert any(issue.is_error for issue in validate({"resourceType": "Patient", "id": "a/b"}, "minimal"))


def test_minimal_leaves_its_issues_in_the_resource() -> None:
    resource = {"resourceType": "Patient", "id": "a", "gender": "M", "extension": [{"url": "http://x", "valueString": "y"}]}
    once = flagged(resource, validate(resource, "minimal"))
    assert [e["url"] for e in once["extension"]] == ["http://x", URL]
    outcome = msgspec.json.decode(once["extension"][1]["valueString"])
    assert outcome["issue"][0]["location"] == ["/Patient/gender"]
    assert flagged(once, validate(once, "minimal")) == once
    assert flagged(once, []) == resource
    assert flagged({"resourceType": "Patient", "extension": 3}, []) == {"resourceType": "Patient", "extension": 3}


def test_a_profile_that_is_not_loaded_is_a_warning_under_strict_only() -> None:
    claimed = {**PATIENT, "meta": {"profile": ["http://x.org/p"]}}
    (warning,) = validate(claimed)
    assert warning.severity == "warning"
    assert "http://x.org/p" in warning.wire_text()
    assert "http://x.org/p" not in warning.log_text()
    assert validate(claimed, "structure-only") == []


def test_resources_inside_a_bundle_are_validated() -> None:
    entry = {"resource": {"resourceType": "Patient", "gender": "M"}, "request": {"method": "POST", "url": "Patient"}}
    found = validate({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert [issue.location for issue in found] == ["/Bundle/entry[0]/resource/gender"]


def test_a_deep_resource_is_no_danger() -> None:
    deep: Json = {"url": "http://x", "valueString": "x"}
    for _ in range(400):
        deep = {"url": "http://x", "extension": [deep]}
    assert validate({"resourceType": "Patient", "extension": [deep]}) == []


def test_an_outcome_is_itself_a_valid_resource() -> None:
    issues = validate(edited(OBSERVATION, lambda r: r.pop("status")))
    assert validate(operation_outcome(issues)) == []
    assert validate(operation_outcome([])) == []


def test_every_schema_compiles() -> None:
    for kind in ("Bundle", "Parameters", "StructureDefinition", "ExplanationOfBenefit", "Task"):
        assert all(isinstance(issue, Issue) for issue in validate({"resourceType": kind}))


def official() -> Iterator[Json]:
    """HL7's examples where they are there, and our own in any case."""
    yield OBSERVATION
    yield PATIENT
    file = Path(os.environ.get("OPENTRAIL_SHARED", "../shared")) / "data/fhir/r4_examples/clinical.ndjson.gz"
    if file.exists():
        with gzip.open(file) as lines:
            yield from (msgspec.json.decode(line) for line in lines)


def test_official_examples_validate_and_index() -> None:
    for resource in official():
        assert [issue for issue in validate(resource) if issue.is_error] == [], resource.get("id")
        rows = index_rows(resource)
        assert lenient_rows(resource) == (rows, [])
        assert any(found for _, found in rows.by_table())


def test_every_type_has_a_schema_and_refuses_an_unknown_element() -> None:
    for kind in definitions.resource_types()[::12]:
        assert any("canary" in issue.wire_text() for issue in validate({"resourceType": kind, "canary": 1}))


_DAYS = st.dates(min_value=date(1, 1, 1)).map(date.isoformat)
_TIMES = st.builds(
    lambda day, clock, fraction, zone: f"{day}T{clock}{fraction}{zone}",
    _DAYS,
    st.times().map(lambda found: found.isoformat()[:8]),
    st.sampled_from(["", ".5", ".123", ".999999"]),
    st.sampled_from(["Z", "+02:00", "-05:30", "+14:59", "+15:00"]),
)
_MOMENTS = st.one_of(_TIMES, _DAYS, _DAYS.map(lambda day: day[:7]), _DAYS.map(lambda day: day[:4]), st.sampled_from(["2020-13-01", "x"]))


@given(_MOMENTS, _MOMENTS)
@example("2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00-05:30")
@example("2020-02-30", "2020-02-01")
def test_a_period_is_in_order_as_its_ends_cover_time(start: str, end: str) -> None:
    first, last = date_interval(start), date_interval(end)
    assert period_in_order({"start": start, "end": end}) is (first is None or last is None or first[0] <= last[1])
