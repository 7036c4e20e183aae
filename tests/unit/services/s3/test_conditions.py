"""Range arithmetic against slices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import conditions

size = st.integers(0, 30)
number = st.one_of(st.none(), st.integers(0, 35))


@given(size=size, first=number, last=number)
def test_a_range_is_a_slice(size: int, first: int | None, last: int | None) -> None:
    data = bytes(range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if (first is None and last is None) or (first is not None and last is not None and last < first < size):
        assert conditions.span(header, size) is None
        return
    suffix = data[max(0, size - last) :] if first is None and last else b""
    wanted = suffix if first is None else data[first:] if last is None else data[first : last + 1]
    if wanted:
        found = conditions.span(header, size)
        assert found is not None
        assert data[found[0] : found[0] + found[1]] == wanted
        assert found[1] == len(wanted)
    elif first is None or last is None or first <= last:
        with pytest.raises(ServiceError, match=r"^InvalidRange$") as caught:
            conditions.span(header, size)
        assert caught.value.status == 416


@pytest.mark.parametrize("header", [None, "", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=1-0", "bytes=0-1\n"])
def test_what_is_no_single_range_means_everything(header: str | None) -> None:
    assert conditions.span(header, 10) is None


def test_numbers_too_long_to_be_offsets_are_bounded() -> None:
    assert conditions.span(f"bytes=0-{'9' * 5000}", 10) == (0, 10)


@pytest.mark.parametrize(
    ("header", "named"), [('"a"', True), ("a", True), ("*", True), ('"b", W/"a"', True), ('"b"', False), ("", False), ('"A"', False)]
)
def test_entity_tags(header: str, named: bool) -> None:
    assert conditions.names(header, "a") is named
