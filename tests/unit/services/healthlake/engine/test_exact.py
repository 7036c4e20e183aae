"""Decimals stay as they were written, whatever is done around them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import exact

DECIMALS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?\Z", fullmatch=True)


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


@given(
    st.recursive(
        DECIMALS.map(raw) | st.text() | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_decoded_is_encoded_as_it_was(value: Any) -> None:
    text = msgspec.json.encode(value)
    assert msgspec.json.encode(exact.decode(text)) == text
    assert msgspec.json.encode(exact.decode(msgspec.Raw(text))) == text
    assert exact.same(exact.decode(text), exact.decode(text))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (b"1.50", b"1.5", True),
        (b"1e2", b"100", True),
        (b"-0", b"0.0", True),
        (b"0.99", b"0.990", True),
        (b"1.50", b'"1.50"', False),
        (b"1.0", b"true", False),
        (b"1.0", b"null", False),
        (b"1", b"true", False),
        (b"12345678901234567890.12345", b"12345678901234567890.12346", False),
        (b"1e-99999999999999999999", b"1", False),
        (b'{"a":[1.0,{}]}', b'{"a":[1,{}]}', True),
        (b'{"a":[1.0,{}]}', b'{"a":[1]}', False),
    ],
)
def test_numbers_are_the_same_by_what_they_say(left: bytes, right: bytes, equal: bool) -> None:
    assert exact.same(exact.decode(left), exact.decode(right)) is equal
    assert exact.same(exact.decode(right), exact.decode(left)) is equal


def test_a_number_of_python_is_the_same_as_its_text() -> None:
    assert exact.same(raw("0.99"), 0.99)
    assert not exact.same(0.98, raw("0.99"))
    assert exact.same(7, raw("7.0"))
