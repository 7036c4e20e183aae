"""Scopes: what each grants, and that nothing else grants anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.smart.scopes import ACTIONS, MOST, Scope, parse

LEVELS = ("patient", "user", "system")
TYPES = ("*", "Patient", "Observation", "Practitioner")
V1 = {"read": "rs", "write": "cud", "*": "cruds"}


def scope(level: str, kind: str, letters: str, *criteria: tuple[str, str]) -> Scope:
    return Scope(level, kind, frozenset(letters), criteria)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("patient/Observation.read", scope("patient", "Observation", "rs")),
        ("user/*.*", scope("user", "*", "cruds")),
        ("system/Patient.write", scope("system", "Patient", "cud")),
        ("patient/Observation.rs", scope("patient", "Observation", "rs")),
        ("patient/*.cruds", scope("patient", "*", "cruds")),
        ("patient/Observation.rs?category=laboratory", scope("patient", "Observation", "rs", ("category", "laboratory"))),
        ("patient/Observation.cruds?category=a%7Cb&status=final", scope("patient", "Observation", "rs", ("category", "a|b"), ("status", "final"))),
    ],
)  # fmt: skip
def test_what_grants(text: str, wanted: Scope) -> None:
    assert parse(text, True, True) == (wanted,)


@pytest.mark.parametrize(
    "text",
    [
        "", "launch", "launch/patient", "openid", "fhirUser", "offline_access", "patient/Observation", "patient/Observation.",
        "patient/Observation.sr", "patient/Observation.rr", "patient/Observation.x", "patient/Observation.READ", "Patient/Observation.read",
        "patient/observation.read", "patient/Nobody.read", "patient/Resource.read", "patient/.read", "patient/Observation.read.write",
        "practitioner/Observation.read", "patient/Observation.read?category=x", "patient/Observation.*?category=x", "patient/Observation.rs?",
        "patient/Observation.rs?category", "patient/Observation.rs?category=", "patient/Observation.rs?=x", "patient/Observation.cud?category=x",
        "patient/Observation.rs?a=1&b=2&c=3&d=4&e=5&f=6", "patient/Observation.rs?category=%ff", "patient/**.read", "system/read",
        "patient/Observation.rs\u2028", "patient/Observation.rs\n",
    ],
)  # fmt: skip
def test_what_grants_nothing(text: str) -> None:
    assert [one for one in parse(text, True, True) if one != scope("patient", "Observation", "rs")] == []


def test_letters_need_version_2_and_criteria_need_fine_grained_authorisation() -> None:
    assert parse("patient/Observation.rs patient/Observation.read", False, False) == (scope("patient", "Observation", "rs"),)
    assert parse("patient/Observation.rs", False, False) == ()
    assert parse("patient/Observation.rs?category=x", True, False) == ()


def test_a_list_has_an_end_and_no_repeats() -> None:
    many = " ".join(["user/Patient.r"] * 50 + [f"launch/x{n}" for n in range(MOST)] + ["system/*.*"])
    assert parse(many, True, True) == (scope("user", "Patient", "r"),)


letters = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda chosen: "".join(one for one in "cruds" if one in chosen))


@given(st.sampled_from(LEVELS), st.sampled_from(TYPES), letters | st.sampled_from(sorted(V1)), st.booleans())
def test_a_scope_grants_its_letters_and_no_more(level: str, kind: str, given: str, second: bool) -> None:
    wanted = V1.get(given) or (given if second else "")
    assert parse(f"{level}/{kind}.{given}", second, False) == ((scope(level, kind, wanted),) if wanted else ())


@given(st.text(alphabet="patienusrym/*.ORdcwQ?=&%c ", max_size=60), st.booleans(), st.booleans())
def test_any_text_is_read_and_grants_at_most_what_it_spells(text: str, second: bool, narrowing: bool) -> None:
    for one in parse(text, second, narrowing):
        spelt = one.type + "."
        assert f"{one.level}/{spelt}" in text
        assert one.actions <= ACTIONS
        assert not one.criteria or (second and narrowing and one.actions <= {"r", "s"})


@given(st.sampled_from(LEVELS), letters, st.sampled_from(("category=x", "status=final&code=1")))
def test_criteria_never_widen(level: str, given: str, query: str) -> None:
    plain = parse(f"{level}/Observation.{given}", True, True)
    for one in parse(f"{level}/Observation.{given}?{query}", True, True):
        assert one.criteria
        assert one.actions <= plain[0].actions - {"c", "u", "d"}
