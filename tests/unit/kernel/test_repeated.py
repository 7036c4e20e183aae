"""Repeated keys are found wherever they are, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel.repeated import repeated_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(['"', "\\", '\\"', "\\\\", "u0022", '":', "a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def key_of(text: bytes) -> str | None:
    return repeated_key(text, msgspec.json.decode(text))


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_no_key_is_repeated_in_what_was_encoded(value: Any, ascii_only: bool, indent: int | None) -> None:
    assert key_of(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) is None


@given(VALUES, TEXTS, VALUES, VALUES, st.booleans(), st.booleans())
def test_a_repeated_key_is_found(around: Any, key: str, first: Any, second: Any, ascii_only: bool, apart: bool) -> None:
    """Also when the two are written differently, and however deep."""
    one, other = json.dumps(key), json.dumps(key, ensure_ascii=ascii_only)
    between = '"between": 1, ' if apart and key != "between" else ""
    text = f'{{"list": [{json.dumps(around)}, {{ {one}: {json.dumps(first)}, {between}{other}: {json.dumps(second)} }}]}}'
    assert key_of(text.encode()) == key


@pytest.mark.parametrize(
    "text",
    [rb'{"a": 1, "\u0061": 2}', rb'{"a": {"a": 1}, "b": [{"a": 1, "a": 1}]}', rb'{"a\"": 1, "x": {"a": "\\", "a": "\""}}'],
)
def test_spelled_otherwise(text: bytes) -> None:
    assert key_of(text) == "a"


def test_the_same_key_in_other_objects() -> None:
    assert key_of(rb'[{"a": 1}, {"a": "\"a\":"}, {"b": {"a": 1}, "a": "\\"}]') is None
