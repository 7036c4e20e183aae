"""Identity providers of data stores: what IdentityProviderConfiguration may say, and whose tokens a data store takes.

HealthLake hands a token to a Lambda function that says what it stands for. Here the keys of the issuer, which Metadata names, say
it, so IdpLambdaArn is refused rather than left out: a function that would have said no must not be skipped in silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake import store

MOST_METADATA = 16 * 1024
_ADDRESSES = ("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint")
_OTHER_ADDRESSES = (
    *("registration_endpoint", "introspection_endpoint", "revocation_endpoint", "management_endpoint"),
    *("userinfo_endpoint", "user_access_brand_bundle"),
)
_LISTS = ("grant_types_supported", "capabilities", "code_challenge_methods_supported")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose tokens a data store takes, and how it reads them. `store` is the data store's id."""

    store: str
    account: str
    region: str
    issuer: str
    keys: str
    second: bool
    """Scopes of version 2 are understood, not of version 1 alone."""
    fine: bool


def checked(input: Any, allowed: Collection[str]) -> Json | None:
    """An IdentityProviderConfiguration as it is kept; None for AWS_AUTH. `allowed` are the origins of issuers that the operator
    trusts. Raises ServiceError, naming member and rule."""
    if input.IdpLambdaArn is not None:
        raise _invalid("IdpLambdaArn is not supported: tokens are verified with the keys of the issuer that Metadata names")
    if input.AuthorizationStrategy == "AWS_AUTH":
        if input.Metadata is not None or input.FineGrainedAuthorizationEnabled:
            raise _invalid("AWS_AUTH takes neither Metadata nor FineGrainedAuthorizationEnabled")
        return None
    metadata = _metadata(input.Metadata)
    for key in ("issuer", "jwks_uri"):
        if origin(metadata[key]) not in allowed:
            raise _invalid(f"Metadata: the origin of {key} is not among the token_issuers of this installation")
    return {
        "AuthorizationStrategy": input.AuthorizationStrategy,
        "FineGrainedAuthorizationEnabled": bool(input.FineGrainedAuthorizationEnabled),
        "Metadata": metadata,
    }


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", f"IdentityProviderConfiguration: {text}.")


def _metadata(text: str | None) -> Json:
    if text is None or len(text.encode()) > MOST_METADATA:
        raise _invalid(f"Metadata is required, a JSON object of at most {MOST_METADATA} bytes")
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _invalid("Metadata is not JSON") from None
    if not isinstance(found, dict):
        raise _invalid("Metadata is not a JSON object")
    for key in (*_ADDRESSES, *(one for one in _OTHER_ADDRESSES if one in found)):
        if not isinstance(found.get(key), str) or not origin(found[key]):
            raise _invalid(f"Metadata: {key} must be an https address (http on a loopback address alone)")
    for key in _LISTS:
        listed = found.get(key)
        if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
            raise _invalid(f"Metadata: {key} must be a list of texts")
    if "S256" not in found["code_challenge_methods_supported"]:
        raise _invalid("Metadata: code_challenge_methods_supported must have S256")
    return found


def origin(address: str) -> str:
    """`scheme://host[:port]` of an https address, or of an http address on loopback; empty for any other, and for one with user
    information, a fragment or characters that have no place there."""
    if not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        return ""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    if "@" in parts.netloc or "#" in address or not host or not (parts.scheme == "https" or (parts.scheme == "http" and _loopback(host))):
        return ""
    usual = 443 if parts.scheme == "https" else 80
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" if port in (None, usual) else f"{parts.scheme}://{shown}:{port}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def configuration(found: store.Datastore) -> Json | None:
    """What is kept of the data store's IdentityProviderConfiguration; None when IAM alone lets callers in."""
    kept: Json | None = msgspec.json.decode(found.configuration).get("IdentityProviderConfiguration")
    return kept


def provider(found: store.Datastore | None, allowed: Collection[str]) -> Provider | None:
    """Whose tokens an active data store takes; None when none, also when the operator trusts its issuer no longer."""
    kept = configuration(found) if found is not None and found.status == "ACTIVE" else None
    if found is None or kept is None:
        return None
    issuer, keys = kept["Metadata"]["issuer"], kept["Metadata"]["jwks_uri"]
    if origin(issuer) not in allowed or origin(keys) not in allowed:
        return None
    second, fine = kept["AuthorizationStrategy"] == "SMART_ON_FHIR", kept["FineGrainedAuthorizationEnabled"]
    return Provider(found.id, found.account, found.region, issuer, keys, second, fine)


def described(found: store.Datastore) -> Json:
    """The IdentityProviderConfiguration as DescribeFHIRDatastore shows it."""
    kept = configuration(found)
    if kept is None:
        return {"AuthorizationStrategy": "AWS_AUTH", "FineGrainedAuthorizationEnabled": False}
    return {**kept, "Metadata": msgspec.json.encode(kept["Metadata"]).decode()}
