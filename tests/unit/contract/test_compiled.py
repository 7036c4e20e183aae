"""Compiled inputs: unions, recursion, unchecked members, times, depth; and nothing but ServiceError for whatever comes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from botocore.model import ServiceModel
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.app import SERVICES as OFFERED
from opentrail.calls.call import Request
from opentrail.contract import operation
from opentrail.contract.compiled import DEPTH, too_deep
from opentrail.contract.models import model
from opentrail.contract.types import Types
from opentrail.contract.walk import message, violations
from opentrail.gateway import resolve as resolving
from opentrail.gateway.protocols import SPOKEN
from opentrail.kernel.errors import HIDDEN, ServiceError
from tests.unit.contract import samples

TREE = ServiceModel(
    {
        "metadata": {"protocol": "json"},
        "operations": {},
        "shapes": {
            "Node": {"type": "structure", "members": {"Name": {"shape": "Name"}, "Below": {"shape": "Nodes"}}, "required": ["Name"]},
            "Nodes": {"type": "list", "member": {"shape": "Node"}},
            "Name": {"type": "string", "max": 3},
            "Holder": {"type": "structure", "members": {"One": {"shape": "Choice"}}},
            "Choice": {"type": "structure", "union": True, "members": {"A": {"shape": "Name"}, "B": {"shape": "Name"}}},
        },
    },
    "tree",
)


def test_recursive_shapes_are_walked() -> None:
    types = Types()
    types.of(TREE.shape_for("Node"))
    assert types.recursive
    good = {"Name": "a", "Below": [{"Name": "b", "Below": [{"Name": "c"}]}]}
    assert violations(TREE.shape_for("Node"), good) == []
    good["Below"][0]["Below"] = [{"Name": "long"}, {}]  # type: ignore[index]
    assert [(one.path, one.rule) for one in violations(TREE.shape_for("Node"), good)] == [
        ("below.1.member.below.1.member.name", "Member must have length less than or equal to 3"),
        ("below.1.member.below.2.member.name", "Member must not be null"),
    ]


def test_recursion_without_end_is_refused() -> None:
    node: dict[str, Any] = {"Name": "a"}
    for _ in range(5000):
        node = {"Name": "a", "Below": [node]}
    with pytest.raises(RecursionError):
        violations(TREE.shape_for("Node"), node)


@pytest.mark.parametrize(("value", "fine"), [({"A": "x"}, True), ({}, False), ({"A": "x", "B": "y"}, False), ({"A": None, "B": "y"}, True)])
def test_unions_have_exactly_one_member(value: dict[str, Any], fine: bool) -> None:
    assert (violations(TREE.shape_for("Holder"), {"One": value}) == []) is fine


def test_unions_of_the_models_are_looked_at_after_decoding() -> None:
    unions = [(s, n) for s in samples.SERVICES for n in model(s).shape_names if getattr(model(s).shape_for(n), "is_tagged_union", False)]
    assert unions
    for service, name in unions:
        shape = model(service).shape_for(name)
        types = Types()
        types.of(shape)
        assert types.special


def test_unchecked_members_are_the_services_to_judge() -> None:
    loose, strict = operation("healthlake", "CreateFHIRDatastore", "", ("DatastoreName",)), operation("healthlake", "CreateFHIRDatastore")
    body = b'{"DatastoreTypeVersion":"R4","DatastoreName":""}'
    assert loose.from_json(body).DatastoreName == ""
    with pytest.raises(ServiceError):
        strict.from_json(body)
    with pytest.raises(ServiceError) as caught:
        loose.from_json(b'{"DatastoreName":""}')
    assert caught.value.for_caller().startswith("1 validation error detected: Value null at 'datastoreTypeVersion'")
    with pytest.raises(ServiceError) as caught:
        loose.from_json(b'{"DatastoreTypeVersion":"R4","DatastoreName":5}')
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    "moment", [b"253402300800", b"-62135596801", b"9223372036854775808", b"1e300", b"true", b'"2026-11-21"', b"-1e999"]
)
def test_times_that_no_calendar_shows(moment: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        operation("cloudtrail", "LookupEvents").from_json(b'{"StartTime":' + moment + b"}")
    assert caught.value.code == "SerializationException"


def test_depth() -> None:
    too_deep(b"[" * DEPTH + b"]" * DEPTH, "Code")
    too_deep(b'"' + b"[" * 500 + b'"', "Code")
    too_deep(b"[]" * 500, "Code")
    too_deep(b'["\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]', "Code")
    with pytest.raises(ServiceError):
        too_deep(b"[" * (DEPTH + 1), "Code")


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


_TEXTS = st.text(alphabet='[]{}"\\a,:', max_size=8)


@given(
    st.recursive(_TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3), max_leaves=20),
    st.integers(min_value=DEPTH - 12, max_value=DEPTH),
)
def test_depth_is_that_of_the_value_whatever_its_texts_hold(value: object, more: int) -> None:
    for level in range(more):
        value = [value, "[" * DEPTH] if level % 2 else {"a": value}
    body = msgspec.json.encode(value) + b" " * DEPTH
    if _depth(value) <= DEPTH:
        too_deep(body, "Code")
    else:
        with pytest.raises(ServiceError):
            too_deep(body, "Code")


def test_many_violations_are_counted_and_the_first_spelled_out() -> None:
    found = violations(TREE.shape_for("Node"), {"Name": "a", "Below": [{"Name": "secret"}] * 500})
    error = message(found, "ValidationException")
    assert error.for_caller().startswith("500 validation errors detected: Value 'secret' at 'below.1.member.name'")
    assert error.for_caller().count("failed to satisfy") == 64
    assert "secret" not in error.for_record()
    assert HIDDEN in error.for_record()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
OPERATIONS = [(service.name, name) for service in OFFERED for name in service.operations if name in model(service.name).operation_names]


def failure(work: Callable[[], object]) -> ServiceError | None:
    """The ServiceError that a function raises, if any; every other exception passes."""
    try:
        work()
    except ServiceError as error:
        return error
    return None


@settings(max_examples=120, deadline=None)
@given(which=st.sampled_from(OPERATIONS), body=st.binary() | JSON.map(msgspec.json.encode), query=st.text(st.characters(max_codepoint=255)))
def test_anything_decodes_or_is_a_service_error(which: tuple[str, str], body: bytes, query: str) -> None:
    service, name = which
    contract = operation(service, name)
    headers = {"content-type": "x", "range": query, "if-match": query, "if-modified-since": query, "x-amz-meta-a": query}
    request = Request("POST", "/", query, headers, body, "", 0.0)
    raised = failure(lambda: SPOKEN[resolving.protocol_of(service)].decode(request, contract, {"Bucket": "b", "Key": query}))
    assert raised is None or (400 <= raised.status < 500 and raised.for_caller())


@settings(max_examples=80, deadline=None)
@given(which=st.sampled_from(OPERATIONS), seed=st.integers(0, 2**32), odd=JSON)
def test_one_odd_value_in_a_good_input(which: tuple[str, str], seed: int, odd: Any) -> None:
    contract = operation(*which)
    shape = contract.model.input_shape
    if shape is None or not shape.members:
        return
    chance = random.Random(seed)
    value = samples.value(shape, chance)
    value[chance.choice(list(shape.members))] = odd
    raised = failure(lambda: contract.from_value(value))
    assert raised is None or raised.code in (contract.invalid_code, contract.unreadable_code)
    assert raised is None or (raised.for_caller() and raised.for_record())
