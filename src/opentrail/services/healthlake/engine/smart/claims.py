"""The claims of an access token whose signature was proven.

Required: `iss`, `aud`, `sub`, `exp`, and the scopes in `scope` (or `scp`), as a text or a list. Checked when there: `nbf`, `iat`. Read
besides: `client_id` (or `azp`, `appid`), `patient`, `fhirUser`. Source: RFC 7519, RFC 9068, SMART App Launch 2.2.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from opentrail.services.healthlake.engine import definitions, values

SKEW = 60.0
"""Seconds by which the issuer's clock may differ from ours."""
LONGEST = 256
"""Characters of a claim that names somebody."""
LONGEST_SCOPES = 16 * 1024
_CLIENT = ("client_id", "azp", "appid")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, checked. `patient` is an id, `user` is `Type/id`; both and `client` may be empty. `issued` and `expires` are
    seconds since 1970."""

    issuer: str
    subject: str
    client: str
    patient: str
    user: str
    scopes: str
    issued: float
    expires: float


class BadClaims(Exception):
    """A claim is missing or wrong. The message names it and the rule, never its value."""


def check(claims: Mapping[str, Any], issuer: str, audiences: Collection[str], now: float) -> Claims:
    """The claims, if they are by that issuer, for one of these audiences, and hold at `now`. Raises BadClaims."""
    if claims.get("iss") != issuer:
        raise BadClaims("iss is not the issuer that the data store trusts")
    named = claims.get("aud")
    if not any(isinstance(one, str) and one in audiences for one in (named if isinstance(named, list) else [named])):
        raise BadClaims("aud is not the address of this data store")
    expires = _time(claims, "exp")
    if expires is None:
        raise BadClaims("exp is missing")
    if now >= expires + SKEW:
        raise BadClaims("it has expired")
    starts, issued = _time(claims, "nbf"), _time(claims, "iat")
    if starts is not None and now < starts - SKEW:
        raise BadClaims("nbf lies in the future")
    if issued is not None and now < issued - SKEW:
        raise BadClaims("iat lies in the future")
    subject = _name(claims, "sub")
    if not subject:
        raise BadClaims("sub is missing")
    client = next((found for key in _CLIENT if (found := _name(claims, key))), "")
    return Claims(issuer, subject, client, _patient(claims), _user(claims, audiences), _scopes(claims), issued or now, expires)


def names(claims: Mapping[str, Any]) -> tuple[str, str]:
    """(subject, client) of a token that was signed by its issuer but is not accepted, as far as they are well formed."""
    found = []
    for keys in (("sub",), _CLIENT):
        texts = [claims[key] for key in keys if isinstance(claims.get(key), str)]
        found.append(next((text for text in texts if len(text) <= LONGEST and text.isprintable()), ""))
    return found[0], found[1]


def _time(claims: Mapping[str, Any], key: str) -> float | None:
    value = claims.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise BadClaims(f"{key} is not a time in seconds")
    return float(value)


def _name(claims: Mapping[str, Any], key: str) -> str:
    value = claims.get(key, "")
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise BadClaims(f"{key} is not a text of at most {LONGEST} printable characters")
    return value


def _patient(claims: Mapping[str, Any]) -> str:
    id = _name(claims, "patient").removeprefix("Patient/")
    if id and not values.is_id(id):
        raise BadClaims("patient is not the id of a resource")
    return id


def _user(claims: Mapping[str, Any], audiences: Collection[str]) -> str:
    """fhirUser as `Type/id`, from that or its address in this data store; empty for a resource of another server."""
    text = _name(claims, "fhirUser")
    for audience in audiences:
        text = text.removeprefix(audience.rstrip("/") + "/")
    if not text or "://" in text:
        return ""
    kind, _, id = text.partition("/")
    if not definitions.is_resource_type(kind) or not values.is_id(id):
        raise BadClaims("fhirUser is not the address of a resource")
    return f"{kind}/{id}"


def _scopes(claims: Mapping[str, Any]) -> str:
    value = claims.get("scope", claims.get("scp", ""))
    text = " ".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value
    if not isinstance(text, str) or len(text) > LONGEST_SCOPES:
        raise BadClaims("scope is not a text, or too long")
    return text
