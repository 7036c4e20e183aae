"""Reach: filters of random grants over random resources, compared with a plain reading of the rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.search.run import run_search
from opentrail.services.healthlake.engine.smart.reach import NOTHING, WHOLE, Grant, reach, stepped
from opentrail.services.healthlake.engine.smart.scopes import parse
from tests.unit.services.healthlake.engine.support import STORE, Store

PATIENTS = ("p1", "p2", "p3")
DOCTORS = ("d1", "d2")


def named(kind: str, id: str) -> dict[str, Any]:
    return {"reference": f"{kind}/{id}"}


def patient(id: str, doctor: str | None, link: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient", "id": id}
    if doctor:
        found["generalPractitioner"] = [named("Practitioner", doctor)]
    return {**found, "link": [{"other": named("Patient", link), "type": "seealso"}]} if link else found


def note(id: str, subject: str | None, performer: str | None, category: str, focus: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}}
    found["category"] = [{"coding": [{"code": category}]}]
    for key, one, many in (("subject", subject, False), ("performer", performer, True), ("focus", focus, True)):
        if one:
            found[key] = [named("Patient", one)] if many else named("Patient", one)
    return found


some = st.none() | st.sampled_from(PATIENTS)
worlds = st.tuples(
    st.tuples(*(st.builds(patient, st.just(id), st.none() | st.sampled_from(DOCTORS), some) for id in PATIENTS)),
    st.lists(st.tuples(some, some, st.sampled_from(("lab", "vital")), some), max_size=5),
    st.lists(st.lists(st.sampled_from(PATIENTS), max_size=2), max_size=2),
)
queries = st.sampled_from(("", "", "?category=lab", "?category=vital&status=final"))
texts = st.lists(
    st.builds(
        lambda level, kind, letters, query: f"{level}/{kind}.{letters}{query}",
        st.sampled_from(("patient", "user", "system")), st.sampled_from(("*", "Observation", "Patient", "Group")),
        st.sampled_from(("read", "rs", "s", "r", "write")), queries,
    ),
    max_size=3,
)  # fmt: skip
grants = st.builds(
    lambda scopes, patient, user, fine: Grant(parse(" ".join(scopes), True, fine), patient, user, fine),
    texts, st.sampled_from(("", *PATIENTS)), st.sampled_from(("", "Patient/p1", "Practitioner/d1", "RelatedPerson/r")), st.booleans(),
)  # fmt: skip


def resources(world: Any) -> list[dict[str, Any]]:
    people, notes, groups = world
    found = [*people, *(note(f"o{n}", *one) for n, one in enumerate(notes))]
    for n, members in enumerate(groups):
        members = [{"entity": named("Patient", one)} for one in members]
        found.append({"resourceType": "Group", "id": f"g{n}", "type": "person", "actual": True, "member": members})
    return found


def circle(grant: Grant, level: str, people: list[dict[str, Any]]) -> set[str] | None:
    """The patients of a level's circle; None for all."""
    if level == "patient":
        return {grant.patient} - {""}
    if level == "system" or not grant.fine:
        return None
    kind, _, id = grant.user.partition("/")
    if kind == "Patient":
        return {id}
    cared = {one["id"] for one in people if kind and named(kind, id) in one.get("generalPractitioner", ())}
    return cared if kind == "Practitioner" else set()


def allowed(grant: Grant, resource: dict[str, Any], people: list[dict[str, Any]], action: str) -> bool:
    """The rules, read plainly."""
    kind = resource["resourceType"]
    for scope in grant.scopes:
        if scope.type not in ("*", kind) or action not in scope.actions:
            continue
        if scope.criteria and kind != "Observation":
            continue  # neither category nor status is a parameter of the other types
        if dict(scope.criteria).get("category") not in (None, resource.get("category", [{"coding": [{}]}])[0]["coding"][0].get("code")):
            continue
        inside = circle(grant, scope.level, people)
        if inside is None:
            return True
        if kind == "Patient" and resource["id"] in inside:
            return True
        holds = json.dumps([resource.get("subject"), resource.get("performer")])
        if kind == "Observation" and any(f'"Patient/{one}"' in holds for one in inside):
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(worlds, grants, st.sampled_from(("r", "s", "u")))
def test_filters_reach_what_the_rules_say(world: Any, grant: Grant, action: Any) -> None:
    every = resources(world)
    store = Store(every)
    people = [one for one in every if one["resourceType"] == "Patient"]
    for kind in ("Patient", "Observation", "Group"):
        own = {one["id"] for one in every if one["resourceType"] == kind}
        found = reach(grant, kind, action)
        if found.whole:
            seen = own
        elif found.nothing:
            seen = set()
        else:
            seen = {row.id for row in run_search(store.read, Search(kind, found.filters(), total=True), STORE).matches}
        assert seen == {one["id"] for one in every if one["resourceType"] == kind and allowed(grant, one, people, action)}


def grant(text: str, patient: str = "p1", user: str = "", fine: bool = False) -> Grant:
    return Grant(parse(text, True, fine), patient, user, fine)


@pytest.mark.parametrize("kind", ["Practitioner", "Organization", "Medication", "Group", "Device", "Binary", "ValueSet", "Bundle"])
def test_what_lies_outside_the_compartment_is_reached_by_whole_circles_alone(kind: Any) -> None:
    assert reach(grant("patient/*.*"), kind, "r") == NOTHING
    assert reach(grant("user/*.*", user="Practitioner/d1", fine=True), kind, "r") == NOTHING
    assert reach(grant("user/*.*"), kind, "r") == WHOLE
    assert reach(grant("system/*.*", fine=True), kind, "r") == WHOLE


@pytest.mark.parametrize("query", ["subject.name=x", "_has:Observation:subject:code=x", "_id=o1", "_lastUpdated=2020", "category:missing=true", "_count=1", "_sort=date", "no-such=1", "date=ap2020"])  # fmt: skip
def test_criteria_that_are_no_plain_search_parameters_grant_nothing(query: str) -> None:
    assert reach(grant(f"system/Observation.rs?{query}", fine=True), "Observation", "r") == NOTHING


def test_the_types_that_chains_look_into() -> None:
    pairs = [("subject:Patient.general-practitioner:Practitioner.name", "x"), ("_has:Provenance:target:agent", "y"), ("code", "z")]
    assert sorted(stepped(parse_search("Observation", pairs).filters, "Observation")) == ["Patient", "Practitioner", "Provenance"]
