"""Cutting NDJSON: whatever the pieces, the lines are those of the file, numbered as an editor numbers them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import ndjson
from opentrail.services.healthlake.engine.ndjson import Part, lines, parts

MOST, PART = 12, 8
TEXTS = st.lists(st.one_of(st.sampled_from([b"", b" ", b"\r", b"a", b"\xef\xbb\xbf"]), st.binary(max_size=40)), max_size=12)


def pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(body[:size])
        body = body[size:]
    return [*found, body]


def plain(body: bytes) -> tuple[list[tuple[int, bytes]], list[int]]:
    """The lines, and the numbers of those that are too long, without any streaming."""
    every = list(enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1))
    return [(n, text) for n, text in every if text and not text.isspace()], [n for n, text in every if len(text) > MOST]


@given(TEXTS, st.lists(st.integers(0, 30), max_size=8))
def test_any_pieces_give_the_same_lines(texts: list[bytes], sizes: list[int]) -> None:
    body = b"\n".join(texts)
    found = list(parts(pieces(body, sizes), MOST, PART))
    wanted, long = plain(body)
    passed_over = [part.first for part in found if part.too_long]
    assert set(passed_over) <= set(long)
    assert [line for part in found for line in lines(part)] == [line for line in wanted if line[0] not in passed_over]


@given(TEXTS, st.integers(1, 5))
def test_a_line_far_beyond_the_limit_is_passed_over_and_never_held(texts: list[bytes], size: int) -> None:
    body = b"\n".join([*texts, b"x" * 500, b"after"])
    some = [body[start : start + size] for start in range(0, len(body), size)]
    found = list(parts(some, MOST, PART))
    number = body.removeprefix(b"\xef\xbb\xbf").split(b"\n").index(b"x" * 500) + 1
    assert Part(number, b"", too_long=True) in found
    assert list(lines(found[-1]))[-1] == (number + 1, b"after")
    assert max(len(part.data) for part in found) <= MOST + PART + size + 1


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\n\r\n  \n"])
def test_nothing_is_no_line(body: bytes) -> None:
    assert [line for part in parts([body]) for line in lines(part)] == []


def test_parts_are_about_as_large_as_asked() -> None:
    found = list(parts([b"12345\n" * 100_000]))
    assert all(len(part.data) <= ndjson.PART_BYTES for part in found)
    assert [part.first for part in found][:2] == [1, found[0].data.count(b"\n") + 1]
