"""Claims: what is required, what is checked, and that no value of a claim gets into a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.smart.claims import SKEW, BadClaims, Claims, check, names

NOW = 1_790_000_000.0
HERE = ("https://x.org/datastore/a/r4/", "https://x.org/datastore/a/r4")
GOOD: dict[str, Any] = {
    "iss": "https://idp.example.org", "aud": HERE[0], "sub": "s", "exp": NOW + 60, "iat": NOW, "scope": "patient/*.read", "client_id": "c",
    "patient": "p1", "fhirUser": "Practitioner/d1",
}  # fmt: skip


def checked(**changes: Any) -> Claims:
    return check({name: value for name, value in {**GOOD, **changes}.items() if value is not None}, GOOD["iss"], HERE, NOW)


def test_a_good_token() -> None:
    assert checked() == Claims(GOOD["iss"], "s", "c", "p1", "Practitioner/d1", "patient/*.read", NOW, NOW + 60)


@pytest.mark.parametrize(
    ("changes", "member", "value"),
    [
        ({"aud": HERE[1]}, "issuer", GOOD["iss"]),
        ({"aud": ["other", HERE[0]]}, "issuer", GOOD["iss"]),
        ({"client_id": None, "azp": "z"}, "client", "z"),
        ({"client_id": None, "appid": "y"}, "client", "y"),
        ({"client_id": None}, "client", ""),
        ({"patient": "Patient/p2"}, "patient", "p2"),
        ({"patient": None}, "patient", ""),
        ({"fhirUser": HERE[0] + "Patient/p3"}, "user", "Patient/p3"),
        ({"fhirUser": "https://elsewhere.org/r4/Practitioner/d1"}, "user", ""),
        ({"fhirUser": None}, "user", ""),
        ({"scope": None, "scp": ["a", "b"]}, "scopes", "a b"),
        ({"scope": None}, "scopes", ""),
        ({"iat": None}, "issued", NOW),
        ({"exp": NOW - SKEW + 1}, "expires", NOW - SKEW + 1),
        ({"nbf": NOW + SKEW}, "issued", NOW),
        ({"iat": NOW + SKEW}, "issued", NOW + SKEW),
    ],
)
def test_what_is_accepted(changes: dict[str, Any], member: str, value: object) -> None:
    assert getattr(checked(**changes), member) == value


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": None}, "iss"),
        ({"iss": GOOD["iss"] + "/"}, "iss"),
        ({"iss": [GOOD["iss"]]}, "iss"),
        ({"aud": None}, "aud"),
        ({"aud": HERE[0] + "x"}, "aud"),
        ({"aud": [[HERE[0]]]}, "aud"),
        ({"aud": []}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": NOW - SKEW}, "expired"),
        ({"exp": str(NOW + 60)}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"exp": -1}, "exp"),
        ({"nbf": NOW + SKEW + 1}, "nbf"),
        ({"iat": NOW + SKEW + 1}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "a" * 257}, "sub"),
        ({"client_id": {}}, "client_id"),
        ({"patient": "../p2"}, "patient"),
        ({"patient": "p1,p2"}, "patient"),
        ({"fhirUser": "Practitioner"}, "fhirUser"),
        ({"fhirUser": "Nobody/1"}, "fhirUser"),
        ({"fhirUser": "Practitioner/../d1"}, "fhirUser"),
        ({"scope": {"a": 1}}, "scope"),
        ({"scope": "a" * 20_000}, "scope"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadClaims, match=said):
        checked(**changes)


json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(alphabet="ab1./\n", max_size=8),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "nbf", "azp", "scp"]), json))
def test_whatever_a_token_claims_it_is_accepted_or_refused_without_its_values(changes: dict[str, Any]) -> None:
    claims = {**GOOD, **changes}
    subject, client = names(claims)
    assert isinstance(subject, str)
    assert isinstance(client, str)
    said = ""
    try:
        found = check(claims, GOOD["iss"], HERE, NOW)
    except BadClaims as bad:
        said = str(bad)
    else:
        assert claims["iss"] == GOOD["iss"]
        assert found.expires + SKEW > NOW
    assert len(said) < 100
