"""Searches of several types and in compartments, references and composites, against matchers that read resources alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search.parse import parse_part, parse_search
from opentrail.services.healthlake.engine.search.query import InCompartment
from opentrail.services.healthlake.engine.search.run import run_many
from opentrail.services.healthlake.engine.search.sql import START, After
from tests.unit.services.healthlake.engine.search.test_against_naive import NUMBERS, number_matches, saved, stores, tokens
from tests.unit.services.healthlake.engine.search.test_against_naive import code_matches as coded
from tests.unit.services.healthlake.engine.support import STORE, Json, Store

TYPES = ("Observation", "Patient")


def names(store: Store, query: str, types: tuple[str, ...] = TYPES, inside: InCompartment | None = None) -> list[str]:
    """Type/id of all matches, over all pages of a search of several types."""
    pairs = [(part.partition("=")[0], part.partition("=")[2]) for part in query.split("&") if part]
    searches = [parse_search(kind, pairs, inside=inside) for kind in types]
    found: list[str] = []
    totals: set[int | None] = set()
    after: After | None = START
    while after is not None:
        page = run_many(store.read, searches, STORE, after)
        found += [f"{row.type}/{row.id}" for row in page.matches]
        totals.add(page.total)
        after = page.next
    assert totals <= {None, len(found)}
    return found


def keyed(sort: str, observed: list[Json], people: list[Json]) -> list[str]:
    """Type/id in the order asked, ties as they were stored: people first."""
    every = [*people, *observed]
    if sort:
        every.sort(key=lambda r: r["id"], reverse=sort.startswith("-"))
    return [f"{one['resourceType']}/{one['id']}" for one in every]


@settings(max_examples=60, deadline=None)
@given(stores, st.sampled_from(("", "_id", "-_id")), st.sampled_from((1, 2, 100)), st.booleans())
def test_pages_over_several_types_are_one_list(found: Any, sort: str, count: int, total: bool) -> None:
    store, observed, people = saved(found)
    query = f"_count={count}" + (f"&_sort={sort}" if sort else "") + ("&_total=accurate" if total else "")
    assert names(store, query) == keyed(sort, observed, people)
    assert names(store, query, TYPES[:1]) == keyed(sort, observed, [])


def pointing(resource: Json, identity: int) -> bool:
    return bool(resource.get("subject", {}).get("reference") == f"Patient/{identity}")


@settings(max_examples=60, deadline=None)
@given(stores, st.integers(0, 4), st.sampled_from((1, 100)))
def test_a_compartment_holds_what_points_in_and_its_own(found: Any, identity: int, count: int) -> None:
    store, observed, people = saved(found)
    inside = InCompartment("Patient", str(identity))
    own = [f"Patient/{one['id']}" for one in people if one["id"] == str(identity)]
    expected = [*own, *(f"Observation/{one['id']}" for one in observed if pointing(one, identity))]
    assert names(store, f"_count={count}&_total=accurate", TYPES, inside) == expected
    assert names(store, "_id=nobody", TYPES, inside) == []
    assert names(store, "", ("Organization",), inside) == []


@settings(max_examples=60, deadline=None)
@given(
    stores,
    st.integers(0, 4),
    st.sampled_from(("subject={}", "subject=Patient/{}", "subject:Patient={}", "patient=Patient/{}", "patient={}")),
)
def test_references_in_every_form(found: Any, identity: int, form: str) -> None:
    store, observed, _ = saved(found)
    expected = [one["id"] for one in observed if pointing(one, identity)]
    assert store.ids("Observation?" + form.format(identity)) == expected
    code = form.partition("=")[0]
    for server, held in (("me", expected), ("you", [])):
        assert store.ids(f"Observation?{code}=http://{server}/r4/Patient/{identity}", service="http://me/r4") == held


@settings(max_examples=100, deadline=None)
@given(stores, tokens, st.sampled_from(("", "ge", "lt", "ne")), st.sampled_from(NUMBERS), st.booleans())
def test_composites_pair_what_stands_together(found: Any, code: str, prefix: str, number: str, unit: bool) -> None:
    store, observed, _ = saved(found)
    expected = [one["id"] for one in observed if coded(one, code) and number_matches(one, prefix or "eq", number, "kg" if unit else "")]
    query = f"Observation?code-value-quantity={code}${prefix}{number}" + ("||kg" if unit else "")
    assert sorted(store.ids(query)) == sorted(expected)


@pytest.mark.parametrize("pairs", [[("_summary", "count")], [("_count", "1")], [("name", "x")], [("_elements", "x")], [("_summary", "x")]])
def test_what_a_read_cannot_show(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(FhirError):
        parse_part("Patient", pairs)


def test_what_a_read_can_show() -> None:
    found = parse_part("Patient", [("_elements", "name,Patient.gender"), ("_pretty", "true")])
    assert (found.elements, found.summary) == (("name", "gender"), "false")
