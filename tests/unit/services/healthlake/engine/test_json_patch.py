"""JSON Patch against RFC 6902's own examples and, where it is there, HL7's test file."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import extent, json_patch
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.patch import JSON_PATCH, patched

Json = Any
OWN: list[Json] = [
    {"doc": {"a": 1}, "patch": [{"op": "add", "path": "/b", "value": 2}], "expected": {"a": 1, "b": 2}},
    {"doc": {"a": [1, 3]}, "patch": [{"op": "add", "path": "/a/1", "value": 2}], "expected": {"a": [1, 2, 3]}},
    {"doc": {"a": [1]}, "patch": [{"op": "add", "path": "/a/-", "value": 2}], "expected": {"a": [1, 2]}},
    {"doc": {"a": [1, 2]}, "patch": [{"op": "remove", "path": "/a/0"}], "expected": {"a": [2]}},
    {"doc": {"a": {"b": 1}}, "patch": [{"op": "replace", "path": "/a/b", "value": None}], "expected": {"a": {"b": None}}},
    {
        "doc": {"a": {"b": 1}, "c": {}},
        "patch": [{"op": "move", "from": "/a/b", "path": "/c/d"}],
        "expected": {"a": {}, "c": {"d": 1}},
    },
    {"doc": {"a": [1, 2, 3]}, "patch": [{"op": "move", "from": "/a/0", "path": "/a/2"}], "expected": {"a": [2, 3, 1]}},
    {"doc": {"a": {"b": 1}}, "patch": [{"op": "copy", "from": "/a", "path": "/c"}], "expected": {"a": {"b": 1}, "c": {"b": 1}}},
    {"doc": {"a~b/c": 1}, "patch": [{"op": "test", "path": "/a~0b~1c", "value": 1.0}], "expected": {"a~b/c": 1}},
    {"doc": {"a": 1}, "patch": [{"op": "test", "path": "/a", "value": True}], "error": ""},
    {"doc": {"a": {}}, "patch": [{"op": "move", "from": "/a", "path": "/a/b"}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "add", "path": "/b/c", "value": 2}], "error": ""},
    {"doc": {"a": [1]}, "patch": [{"op": "add", "path": "/a/3", "value": 2}], "error": ""},
    {"doc": {"a": [1]}, "patch": [{"op": "remove", "path": "/a/01"}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "remove", "path": "/b"}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "replace", "path": "/b", "value": 1}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "remove", "path": ""}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "add", "path": "b", "value": 1}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "add", "path": "/b"}], "error": ""},
    {"doc": {"a": 1}, "patch": [{"op": "spin", "path": "/b"}], "error": ""},
    {"doc": {"a": 1}, "patch": {"op": "add", "path": "/b", "value": 1}, "error": ""},
]


def cases() -> list[Json]:
    file = Path(os.environ.get("OPENTRAIL_SHARED", "../shared")) / "data/fhir/hl7_test_cases/r4/patch/json-patch-tests.json"
    found = json.loads(file.read_text()) if file.exists() else []
    return OWN + [case for case in found if "patch" in case]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.get("comment", ""))
def test_patch(case: Json) -> None:
    before = copy.deepcopy(case["doc"])
    if "error" in case:
        with pytest.raises(FhirError) as refused:
            json_patch.apply(case["doc"], case["patch"])
        assert refused.value.status == 400
    else:
        assert json_patch.apply(case["doc"], case["patch"]) == case["expected"]
    assert case["doc"] == before


def test_a_failing_patch_says_where_and_not_what() -> None:
    with pytest.raises(FhirError) as refused:
        json_patch.apply({"name": "Smith"}, [{"op": "add", "path": "/x", "value": 1}, {"op": "test", "path": "/name", "value": "Miller"}])
    assert str(refused.value) == "Operation 1 of the JSON Patch cannot be applied: a test does not hold."


DOUBLE: Json = {"op": "copy", "from": "/contact", "path": "/contact/-"}


def test_copies_cannot_fill_the_memory() -> None:
    patch = [{"op": "add", "path": "/contact", "value": [{}]}, *[DOUBLE] * 24]
    with pytest.raises(FhirError) as refused:
        json_patch.apply({"resourceType": "Patient"}, patch)
    assert (refused.value.status, refused.value.issues[0].code) == (422, "too-costly")


def test_a_patch_leaves_no_resource_that_is_too_large_or_too_deep() -> None:
    patient = {"resourceType": "Patient", "id": "1", "text": "x" * 300_000}
    copies = [{"op": "copy", "from": "/text", "path": f"/text{n}"} for n in range(15)]
    with pytest.raises(FhirError) as large:
        patched(patient, JSON_PATCH, copies)
    assert large.value.status == 413
    nested = [{"op": "add", "path": "/a" * n, "value": {}} for n in range(1, 70)]
    with pytest.raises(FhirError) as deep:
        patched({"resourceType": "Patient"}, JSON_PATCH, nested)
    assert deep.value.status == 400
    assert patched({"resourceType": "Patient"}, JSON_PATCH, nested[:60])["a"]


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_an_extent_counts_every_value_and_claims_no_more_bytes_than_there_are(value: Json) -> None:
    found = extent.of(value)
    assert found.bytes <= len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    assert found.values == (
        1 + sum(extent.of(one).values for one in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))
    )
