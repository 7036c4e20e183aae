"""JSON Patch against RFC 6902's own examples and, where it is there, HL7's test file."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from opentrail.contract import compiled
from opentrail.services.healthlake.engine import json_patch, values
from opentrail.services.healthlake.engine.issues import FhirError

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


DOUBLING = [
    {"op": "add", "path": "/contact", "value": [{}]},
    *[{"op": "copy", "from": "/contact", "path": "/contact/-"}] * 24,
]
DEEPENING = [{"op": "add", "path": "/a" * levels, "value": {}} for levels in range(1, 100)]
MOVED_DEEPER = [
    step for at in range(100) for step in ({"op": "add", "path": "/b", "value": {}}, {"op": "move", "from": "/a", "path": "/b/a"},
    {"op": "move", "from": "/b", "path": "/a"})
]  # fmt: skip
OVERWRITING = [{"op": "copy", "from": "/text", "path": "/b"}] * 1000


@pytest.mark.parametrize(
    ("patch", "status"), [(DOUBLING, 413), (DEEPENING, 400), (MOVED_DEEPER, 400), (OVERWRITING, 413), (OVERWRITING[:40], None)]
)
def test_what_a_patch_writes_is_bounded_while_it_is_applied(patch: Json, status: int | None) -> None:
    document = {"resourceType": "Patient", "a": {}, "text": "x" * 100_000}
    if status is None:
        assert json_patch.apply(document, patch)["b"] == document["text"]
        return
    with pytest.raises(FhirError) as refused:
        json_patch.apply(document, patch)
    assert refused.value.status == status


def test_a_patch_may_reach_the_depth_that_a_body_may_have() -> None:
    assert values.DEPTH == compiled.DEPTH
    deep: Json = {}
    for _ in range(values.DEPTH - 2):
        deep = {"a": deep}
    assert json_patch.apply({}, [{"op": "add", "path": "/a", "value": deep}]) == {"a": deep}
    with pytest.raises(FhirError):
        json_patch.apply({}, [{"op": "add", "path": "/a", "value": {"a": deep}}])
