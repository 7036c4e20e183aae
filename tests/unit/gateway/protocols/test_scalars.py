"""Scalars as text: what is read, what is refused, what is written."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.gateway.protocols import scalars
from opentrail.kernel.errors import ServiceError


def shape(kind: str, **traits: str) -> Any:
    return SimpleNamespace(type_name=kind, serialization=traits)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "TRUE", True), ("boolean", " false ", False), ("integer", "+7", 7), ("long", "-9", -9), ("float", "1e3", 1000.0),
        ("double", ".5", None), ("blob", "YQ==", b"a"), ("blob", " YQ\n== ", b"a"), ("blob", "YQ", None), ("boolean", "yes", None),
        ("integer", "1.0", None), ("integer", "٣", None), ("integer", "1_0", None), ("float", "nan", None), ("float", "1e999", None),
        ("float", "1_0", None), ("double", "inf", None), ("integer", "", None), ("timestamp", "", None), ("integer", "9" * 21, None),
        ("timestamp", "2026-11-21T09:30:00Z", 1795253400.0), ("timestamp", "2026-11-21T10:30:00+01:00", 1795253400.0),
        ("timestamp", "20261121T093000Z", 1795253400.0), ("timestamp", "2026-11-21", 1795219200.0), ("timestamp", "1795253400.5", 1795253400.5),
        ("timestamp", "Sat, 21 Nov 2026 09:30:00 GMT", 1795253400.0), ("timestamp", "2026-13-01T00:00:00Z", None), ("timestamp", "1e30", None),
        ("timestamp", "2026-11-21T09:30:00Z\n", 1795253400.0), ("timestamp", "Fri, 31 Dec 9999 23:59:59 -2300", None), ("timestamp", "soon", None),
    ],
)  # fmt: skip
def test_reading(kind: str, text: str, value: Any) -> None:
    if value is not None:
        assert scalars.read(shape(kind), text, "Member", "Code") == value
        return
    with pytest.raises(ServiceError) as caught:
        scalars.read(shape(kind), text, "Member", "Code")
    assert caught.value.for_record() == f"The value of Member must be of type {kind}."


@given(kind=st.sampled_from(["boolean", "integer", "long", "float", "double", "blob", "timestamp"]), text=st.text())
def test_any_text_is_a_value_or_refused(kind: str, text: str) -> None:
    try:
        value = scalars.read(shape(kind), text, "M", "C")
    except ServiceError:
        return
    assert not isinstance(value, float) or math.isfinite(value)


@given(st.integers(-62_000_000_000_000, 253_000_000_000_000))
def test_iso_times_read_as_they_were_written(millis: int) -> None:
    assert scalars.read_time(scalars.write_time(millis / 1000, "iso8601")) == pytest.approx(millis / 1000, abs=0.0006)


def test_writing() -> None:
    assert scalars.write(shape("timestamp"), 0, "millis") == "1970-01-01T00:00:00.000Z"
    assert scalars.write(shape("timestamp", timestampFormat="unixTimestamp"), 1.5) == "1.500"
    assert scalars.write(shape("timestamp"), 1795253400, "rfc822") == "Sat, 21 Nov 2026 09:30:00 GMT"
    assert (scalars.write(shape("boolean"), True), scalars.write(shape("blob"), b"a"), scalars.write(shape("integer"), 5)) == (
        "true",
        "YQ==",
        "5",
    )
