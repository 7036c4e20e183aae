"""What an $export asks for, and which resources are part of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import export
from opentrail.services.healthlake.engine.export import Asked, is_part, members, ndjson_line, parse
from opentrail.services.healthlake.engine.issues import FhirError

NOBODY: frozenset[str] = frozenset()


def test_parameters_are_read() -> None:
    found = parse([
        ("_type", "Patient, Observation"), ("_type", "Patient"), ("_since", "2024-01-01T00:00:00Z"), ("_until", "2024-01-02"),
        ("_tag", "a|b,c"),
    ])  # fmt: skip
    assert (found.types, found.since, found.until, found.tags) == (
        ("Patient", "Observation"), 1_704_067_200_000, 1_704_239_999_999, ("a|b", "c"),
    )  # fmt: skip
    assert parse([("_type", ""), ("_since", "")]) == Asked()
    assert parse([], group="g") == Asked(patients=True, group="g")
    assert parse([("_since", "2024-01-01T00:00:00 01:00")]).since == 1_704_063_600_000, "a plus sign that was not encoded"


@pytest.mark.parametrize(
    ("given", "patients"),
    [
        ({"_typeFilter": "x"}, False), ({"_type": "Nothing"}, False), ({"_since": "soon"}, False), ({"_outputFormat": "csv"}, False),
        ({"_type": "Organization"}, True), ({"_tag": ",".join(["a"] * 101)}, False),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(given: dict[str, str], patients: bool) -> None:
    with pytest.raises(FhirError) as refused:
        parse(given.items(), patients)
    assert refused.value.status == 400


def test_what_is_no_list_is_given_once() -> None:
    with pytest.raises(FhirError):
        parse([("_since", "2024"), ("_since", "2025")])


def test_types_are_those_there_and_asked_for() -> None:
    there = ["Patient", "Organization", "Observation"]
    assert export.types_of(Asked(), there) == ["Observation", "Organization", "Patient"]
    assert export.types_of(Asked(types=("Organization", "Group")), there) == ["Organization"]
    assert export.types_of(Asked(patients=True), there) == ["Observation", "Patient"]


def test_levels_and_times() -> None:
    assert is_part(Asked(since=5, until=7), 5, b"{}", [], NOBODY)
    assert not is_part(Asked(since=5), 4, b"{}", [], NOBODY)
    assert not is_part(Asked(until=7), 8, b"{}", [], NOBODY)
    assert not is_part(Asked(patients=True), 1, b"{}", [], NOBODY)
    assert is_part(Asked(patients=True), 1, b"{}", ["p"], NOBODY)
    assert not is_part(Asked(patients=True, group="g"), 1, b"{}", ["p"], frozenset({"q"}))
    assert is_part(Asked(patients=True, group="g"), 1, b"{}", ["p", "q"], frozenset({"q"}))


CODES = st.sampled_from(["", "a", "b"])


@given(st.lists(st.tuples(CODES, CODES), max_size=3), CODES, CODES)
def test_tags_match_as_searches_do(codings: list[tuple[str, str]], system: str, code: str) -> None:
    rows = [{key: value for key, value in (("system", s), ("code", c)) if value} for s, c in codings]
    body = json.dumps({"resourceType": "Patient", "meta": {"tag": rows}}).encode()
    exact = any(s == system and c == code for s, c in codings)
    if code:
        assert is_part(Asked(tags=(f"{system}|{code}",)), 1, body, [], NOBODY) == exact
        assert is_part(Asked(tags=(code,)), 1, body, [], NOBODY) == any(c == code for _, c in codings)
    else:
        assert is_part(Asked(tags=(f"{system}|",)), 1, body, [], NOBODY) == any(s == system for s, _ in codings)


@pytest.mark.parametrize("meta", [None, [], "x", {"tag": "x"}, {"tag": ["x"]}])
def test_a_meta_of_another_shape_has_no_tag(meta: Any) -> None:
    assert not is_part(Asked(security=("a",)), 1, json.dumps({"meta": meta}).encode(), [], NOBODY)


def test_members_are_local_active_patients() -> None:
    rows = [
        {"entity": {"reference": "Patient/a"}}, {"entity": {"reference": "Patient/b"}, "inactive": True},
        {"entity": {"reference": "Device/c"}}, {"entity": {"reference": "https://x/Patient/d"}}, {"entity": "x"}, 1,
        {"entity": {"reference": "https://x/datastore/0a/r4/Patient/e"}},
    ]  # fmt: skip
    assert members({"member": rows}, "/datastore/0a/r4") == {"a", "e"}
    assert members({"member": "x"}, "/datastore/0a/r4") == NOBODY


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=8), st.integers(), st.none()), max_size=4), st.integers(0, 3))
def test_a_line_is_the_resource_without_line_breaks(resource: dict[str, Any], indent: int) -> None:
    line = ndjson_line(json.dumps(resource, indent=indent or None).encode())
    assert (line.count(b"\n"), json.loads(line)) == (1, resource)


def test_numbers_keep_their_digits() -> None:
    assert ndjson_line(b'{"value":\n1.50}') == b'{"value":1.50}\n'
