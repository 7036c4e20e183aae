"""Bundles: entries read and refused, order, identities and rewriting."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import bundle
from opentrail.services.healthlake.engine.issues import FhirError

Json = dict[str, Any]
PATIENT: Json = {"resourceType": "Patient"}


def entry(method: str, url: str, resource: Json | None = None, **more: Any) -> Json:
    extra = {k: more.pop(k) for k in ("fullUrl",) if k in more}
    return {**extra, "request": {"method": method, "url": url, **more}, **({"resource": resource} if resource else {})}


def read(*entries: Json, kind: str = "transaction") -> bundle.Bundle:
    return bundle.parse_bundle({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


@pytest.mark.parametrize(
    ("row", "action", "identity"),
    [
        (entry("POST", "Patient", PATIENT), "create", ""),
        (entry("PUT", "Patient/1", {**PATIENT, "id": "1"}), "update", "1"),
        (entry("PUT", "Patient?identifier=x", PATIENT), "conditional-update", ""),
        (entry("PATCH", "Patient/1", {"resourceType": "Binary"}), "patch", "1"),
        (entry("DELETE", "Patient/1"), "delete", "1"),
        (entry("DELETE", "Patient?identifier=x"), "conditional-delete", ""),
        (entry("GET", "Patient/1"), "read", "1"),
        (entry("GET", "Patient/1/_history/2"), "vread", "1"),
        (entry("GET", "Patient/1/_history"), "history", "1"),
        (entry("GET", "Patient?name=x%20y"), "search", ""),
        (entry("POST", "Patient/_search?name=x"), "search", ""),
        (entry("GET", "Patient/1/$everything"), "operation", "1"),
    ],
)
def test_actions(row: Json, action: str, identity: str) -> None:
    found = read(row).entries[0]
    assert (found.action, found.id, found.type) == (action, identity, "Patient")


def test_criteria_are_decoded() -> None:
    assert read(entry("GET", "Patient?name=x%20y&_count=")).entries[0].criteria == (("name", "x y"), ("_count", ""))


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"request": {"method": "GET"}},
        entry("SPIN", "Patient/1"),
        entry("GET", "http://other.org/Patient/1"),
        entry("GET", "Nothing/1"),
        entry("GET", ""),
        entry("POST", "Patient"),
        entry("POST", "Patient", {"resourceType": "Basic"}),
        entry("PUT", "Patient/1", {**PATIENT, "id": "2"}),
        entry("PUT", "Patient", PATIENT),
        entry("DELETE", "Patient/a b"),
        entry("POST", "Patient/1/2/3", PATIENT),
        entry("POST", "Patient", PATIENT, fullUrl=3),
        "x",
    ],
)
def test_refused_naming_the_entry(row: Any) -> None:
    with pytest.raises(FhirError) as refused:
        read(entry("GET", "Patient/1"), row)
    assert refused.value.status == 400
    assert refused.value.issues[0].location == "/Bundle/entry[1]"


def test_limits_and_types() -> None:
    rows = [entry("GET", f"Patient/{i}") for i in range(101)]
    with pytest.raises(FhirError) as refused:
        read(*rows)
    assert refused.value.status == 422
    assert len(read(*rows, kind="batch").entries) == 101
    with pytest.raises(FhirError):
        read(kind="collection")


def test_a_transaction_names_a_resource_once() -> None:
    update = entry("PUT", "Patient/1", {**PATIENT, "id": "1"})
    with pytest.raises(FhirError):
        read(update, entry("DELETE", "Patient/1"))
    with pytest.raises(FhirError):
        read(entry("POST", "Patient", PATIENT, fullUrl="urn:uuid:1"), entry("POST", "Patient", PATIENT, fullUrl="urn:uuid:1"))
    assert len(read(update, entry("GET", "Patient/1")).entries) == 2


def test_order() -> None:
    rows = read(
        entry("GET", "Patient/1"),
        entry("PUT", "Patient/2", {**PATIENT, "id": "2"}),
        entry("POST", "Patient", PATIENT),
        entry("DELETE", "Patient/3"),
    )
    assert [[e.method for e in step] for step in bundle.steps(rows.entries)] == [["DELETE"], ["POST"], ["PUT"], [], ["GET"]]


def test_identities_and_rewriting() -> None:
    urn = "urn:uuid:0cdf7e1e-0000-4000-8000-000000000000"
    observation = {
        "resourceType": "Observation",
        "text": {"div": f'<div><a href="{urn}">x</a></div>'},
        "subject": {"reference": urn},
        "performer": [{"reference": "Practitioner?identifier=a|b"}, {"reference": "Organization/9"}],
        "derivedFrom": [{"reference": urn + "#part"}],
    }
    rows = read(entry("POST", "Patient", PATIENT, fullUrl=urn), entry("POST", "Observation", observation))
    given, mapping = bundle.identities(rows.entries, iter(["n1", "n2"]))
    assert (given, mapping) == ({0: "n1", 1: "n2"}, {urn: "Patient/n1"})
    mentioned = bundle.mentioned(observation, "")
    assert set(mentioned) == {urn, urn + "#part", "Practitioner?identifier=a|b", "Organization/9"}
    assert bundle.conditional_references(mentioned) == ["Practitioner?identifier=a|b"]
    found = bundle.rewritten(observation, {**mapping, "Practitioner?identifier=a|b": "Practitioner/d"})
    assert found["subject"] == {"reference": "Patient/n1"}
    assert found["performer"] == [{"reference": "Practitioner/d"}, {"reference": "Organization/9"}]
    assert found["derivedFrom"] == [{"reference": "Patient/n1#part"}]
    assert found["text"]["div"] == '<div><a href="Patient/n1">x</a></div>'
    assert observation["subject"] == {"reference": urn}


KEYS = st.sampled_from(["urn:uuid:1", "http://ex.org/fhir/Patient/1", "Patient?identifier=x", "Patient/1"])
TEXTS = KEYS | st.sampled_from(["urn:uuid:2", "Patient/2", "Patient/1#a", "urn:uuid:1#a", "#a", "x"])
RESOURCES = st.recursive(
    st.builds(lambda text: {"reference": text}, TEXTS) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "value", "part", "path", "name", "text"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["subject", "text", "part"]), RESOURCES, max_size=3),
    st.sampled_from(["<a href='x'/>", 'a "urn:uuid:1" b']),
    st.sampled_from(["", "urn:uuid:9", "http://ex.org/fhir/Observation/1"]),
    st.booleans(),
    st.dictionaries(KEYS, st.sampled_from(["Patient/a", "Patient/b"])),
    KEYS,
)
def test_only_what_is_mentioned_is_rewritten(
    resource: Json, div: str, full_url: str, patch: bool, mapping: dict[str, str], more: str
) -> None:
    resource = {"text": {"div": div}, **resource}
    mentioned = bundle.mentioned(resource, full_url, patch)
    known = {key: value for key, value in mapping.items() if key in mentioned}
    assert bundle.rewritten(resource, mapping, full_url, patch) == bundle.rewritten(resource, known, full_url, patch)
    changed = bundle.rewritten(resource, {**known, more: "Patient/new"}, full_url, patch) != bundle.rewritten(
        resource, known, full_url, patch
    )
    assert not changed or more in mentioned


def test_a_relative_reference_is_beside_its_full_url() -> None:
    mapping = {"http://ex.org/fhir/Patient/1": "Patient/new"}
    pointing = {"subject": {"reference": "Patient/1#a"}, "note": "Patient/1"}
    found = bundle.rewritten(pointing, mapping, "http://ex.org/fhir/Observation/1")
    assert found == {"subject": {"reference": "Patient/new#a"}, "note": "Patient/1"}
    for elsewhere in ("", "urn:uuid:1", "http://other.org/Observation/1"):
        assert bundle.rewritten(pointing, mapping, elsewhere) == pointing


def test_the_entries_of_a_batch_that_cannot_be_read_are_listed_apart() -> None:
    found = read(entry("GET", "Patient/1"), "x", entry("GET", "Nothing/1"), entry("SPIN", "Patient/1"), kind="batch")  # type: ignore[arg-type]
    assert [one.place for one in found.entries] == [0]
    assert [(one.place, one.method, one.type) for one in found.unread] == [(1, "", ""), (2, "GET", ""), (3, "", "Patient")]
