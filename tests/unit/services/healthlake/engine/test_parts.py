"""The smaller parts: compartments, subsets, capability, everything, terminology, patch and index row changes."""

from typing import Any

import pytest

from opentrail.services.healthlake.engine import (
    capability,
    compartments,
    definitions,
    everything,
    patch,
    subset,
    terminology,
    writes,
)
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search import offered, paths
from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.rows import index_rows, lenient_rows
from opentrail.services.healthlake.engine.validation import validate
from tests.unit.services.healthlake.engine.support import STORE, Store

Json = dict[str, Any]
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "Patient/2"}, {"reference": "http://other.org/Patient/3"}],
    "effectiveDateTime": "2020",
    "note": [{"text": "n"}],
    "text": {"status": "generated", "div": "<div>x</div>"},
}
PROVENANCE: Json = {
    "resourceType": "Provenance",
    "id": "v",
    "target": [{"reference": "Patient/1"}, {"reference": "Patient/4"}],
    "recorded": "2020-01-01T00:00:00Z",
    "agent": [{"who": {"reference": "Practitioner/9"}}],
}


def test_patients_concerned() -> None:
    assert compartments.patients("Observation", "o", index_rows(OBSERVATION)) == ["1", "2"]
    assert compartments.patients("Patient", "7", index_rows({"resourceType": "Patient", "id": "7"})) == ["7"]
    assert compartments.patients("Provenance", "v", index_rows(PROVENANCE)) == ["1", "4"]
    assert compartments.patients("Organization", "x", index_rows({"resourceType": "Organization", "id": "x", "name": "y"})) == []
    assert compartments.members("Practitioner", "Provenance", "v", index_rows(PROVENANCE)) == ["9"]


def test_every_compartment_parameter_has_paths_or_is_no_reference() -> None:
    for kind, codes in definitions.compartments()["Patient"].items():
        assert compartments.paths_into("Patient", kind) or codes == ["{def}"], kind


def test_subsets() -> None:
    tagged = {"tag": [subset.SUBSETTED]}
    assert subset.subset(OBSERVATION) is OBSERVATION
    assert subset.subset(OBSERVATION, elements=("effective",)) == {
        "resourceType": "Observation",
        "id": "o",
        "meta": tagged,
        "status": "final",
        "code": {"text": "x"},
        "effectiveDateTime": "2020",
    }
    assert set(subset.subset(OBSERVATION, "text")) == {"resourceType", "id", "meta", "text", "status", "code"}
    assert "text" not in subset.subset(OBSERVATION, "data")
    assert "note" not in subset.subset(OBSERVATION, "true")
    assert "subject" in subset.subset(OBSERVATION, "true")


@pytest.mark.parametrize("tag", [5, "t", None, True, {}, [5], []])
def test_subsets_of_a_resource_of_any_shape_are_tagged(tag: Any) -> None:
    resource = {"resourceType": "Patient", "id": "a", "meta": {"tag": tag}, "": 1, "_": None, "name": 5}
    for found in (subset.subset(resource, "true"), subset.subset(resource, "text"), subset.subset(resource, elements=("name",))):
        assert found["meta"]["tag"][-1] == subset.SUBSETTED
        assert found["meta"]["tag"][:-1] == (tag if isinstance(tag, list) else [])
        assert "" not in found


def test_the_capability_statement_is_valid_and_true() -> None:
    found = capability.capability_statement("http://me/r4/", "1", "2026-01-01T00:00:00Z")
    assert validate(found) == []
    rest = found["rest"][0]
    assert [one["name"] for one in rest["operation"]] == ["export"]
    offered_on = {row["type"]: [one["name"] for one in row["operation"]] for row in rest["resource"]}
    assert (offered_on["Patient"], offered_on["Group"]) == (["validate", "everything", "export"], ["validate", "export"])
    listed = {(row["type"], p["name"]) for row in found["rest"][0]["resource"] for p in row["searchParam"]}
    assert ("Patient", "birthdate") in listed
    assert ("Patient", "_text") not in listed
    for kind, name in sorted(listed)[::40]:
        value = (
            "1$2$3"[: 2 * len(paths.parameters(kind)[name].components) - 1]
            if name in paths.parameters(kind) and paths.parameters(kind)[name].components
            else "2020"
        )
        assert parse_search(kind, [(name, value)]).filters


def test_every_defined_parameter_is_offered_or_has_a_reason() -> None:
    assert offered.unaccounted() == []
    assert sum(len(offered.offered(kind)) for kind in definitions.resource_types()) >= 2270
    for (kind, code), reason in offered.NOT_OFFERED.items():
        assert reason
        assert kind == "*" or code in paths.defined(kind)


def test_every_index_path_has_a_number_of_its_own() -> None:
    numbers = definitions.index_paths()
    assert paths.all_keys() <= set(numbers)
    assert len(set(numbers.values())) == len(numbers)


def test_everything() -> None:
    store = Store(
        [
            {"resourceType": "Patient", "id": "1", "managingOrganization": {"reference": "Organization/g"}},
            {"resourceType": "Organization", "id": "g", "name": "g"},
            {"resourceType": "Organization", "id": "far", "name": "g"},
            {**OBSERVATION, "id": "a"},
            {**OBSERVATION, "id": "b", "effectiveDateTime": "2022"},
            {**OBSERVATION, "id": "c", "subject": {"reference": "Patient/5"}, "performer": []},
        ]
    )

    def ids(pairs: dict[str, str], limit: int = 100, after: tuple[str, str] = ("", "")) -> list[str]:
        statement = everything.compile_page(everything.parse("1", pairs), STORE, limit, after)
        return [row[2] for row in store.read(statement.text, statement.values)]

    assert ids({}) == ["a", "b", "g", "1"]
    assert ids({}, 2) == ["a", "b"]
    assert ids({}, 2, ("Observation", "b")) == ["g", "1"]
    assert ids({"_type": "Observation"}) == ["a", "b"]
    assert ids({"start": "2021", "_type": "Observation"}) == ["b"]
    assert ids({"end": "2021"}) == ["a", "g", "1"]
    assert ids({"_since": "2030"}) == []
    total = everything.compile_total(everything.parse("1", {}), STORE)
    assert store.read(total.text, total.values) == [(4,)]
    for pairs in ({"start": "x"}, {"_type": "Nothing"}):
        with pytest.raises(FhirError):
            everything.parse("1", pairs)


NOW = "2026-01-01T00:00:00Z"
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def test_expand_lookup_translate() -> None:
    found = terminology.expand(GENDER, NOW)
    assert [row["code"] for row in found["expansion"]["contains"]] == ["male", "female", "other", "unknown"]
    assert validate(found) == []
    assert terminology.expand(GENDER, NOW, "fem")["expansion"]["total"] == 1
    assert len(terminology.expand(GENDER, NOW, offset=1, count=2)["expansion"]["contains"]) == 2
    assert {"name": "display", "valueString": "ambulatory"} in terminology.lookup(ACT, "AMB")["parameter"]
    assert terminology.descendants(ACT, "IMP") == ["IMP", "ACUTE", "NONAC"]
    maps = terminology.translate("http://hl7.org/fhir/address-use", "home", "http://hl7.org/fhir/ConceptMap/cm-address-use-v3")
    assert maps["parameter"][0] == {"name": "result", "valueBoolean": True}
    assert validate(maps) == []


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda: terminology.expand("http://nowhere", NOW), 404),
        (lambda: terminology.expand("http://hl7.org/fhir/ValueSet/observation-codes", NOW), 422),
        (lambda: terminology.expand(GENDER, NOW, count=5000), 400),
        (lambda: terminology.lookup("http://loinc.org", "1-1"), 404),
        (lambda: terminology.lookup(ACT, "nothing"), 404),
        (lambda: terminology.translate("urn:x", "y"), 400),
        (lambda: terminology.translate("urn:x", "y", "http://nowhere"), 404),
    ],
)
def test_terminology_that_is_refused(call: Any, status: int) -> None:
    with pytest.raises(FhirError) as refused:
        call()
    assert refused.value.status == status


def test_patch_kinds_and_what_may_not_change() -> None:
    resource = {"resourceType": "Patient", "id": "a", "active": True}
    replaced = [{"op": "replace", "path": "/active", "value": False}]
    assert patch.patched(resource, "application/json-patch+json; charset=utf-8", replaced) == {**resource, "active": False}
    for media, body, status in (
        ("text/plain", replaced, 415),
        ("application/json-patch+json", [{"op": "replace", "path": "/id", "value": "b"}], 400),
        ("application/json-patch+json", [{"op": "replace", "path": "", "value": 1}], 422),
        ("application/fhir+json", {"resourceType": "Patient"}, 400),
    ):
        with pytest.raises(FhirError) as refused:
            patch.patched(resource, media, body)
        assert refused.value.status == status


def test_changes_of_index_rows_touch_only_what_differs() -> None:
    later = {**OBSERVATION, "status": "amended"}
    found = list(writes.changes(index_rows(OBSERVATION), index_rows(later)))
    assert [(table, [r[1] for r in gone], [r[1] for r in fresh]) for table, gone, fresh in found] == [("token", ["final"], ["amended"])]
    store = Store([OBSERVATION])
    for table, gone, fresh in found:
        for values in writes.values_of(table, gone, STORE, 1):
            store.run(writes.delete_text(table), values)
        for values in writes.values_of(table, fresh, STORE, 1):
            store.run(writes.insert_text(table), values)
    assert store.ids("Observation?status=amended") == ["o"]
    assert store.ids("Observation?status=final") == []


def test_a_malformed_resource_is_refused_or_indexed_in_part() -> None:
    broken = {"resourceType": "Patient", "id": "a", "name": "x", "gender": "male"}
    with pytest.raises(FhirError) as refused:
        index_rows(broken)
    assert refused.value.status == 422
    rows, issues = lenient_rows(broken)
    assert any(row[1] == "male" for row in rows.token)
    assert any("family" in issue.wire_text() for issue in issues)
