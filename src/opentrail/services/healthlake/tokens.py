"""Bearer tokens of SMART on FHIR: who they stand for and what they allow.

Verified in this order: the token's form; its algorithm against a fixed list; its signature with the issuer's key of its `kid`; then
issuer, audience (the data store's address) and times. Headers that point to keys (`jku`, `x5u`, `jwk`) are never looked at, and a
critical header that is not understood refuses the token. Source: RFC 7515, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from opentrail.calls.bearer import Admitted, Outside, TokenRefused
from opentrail.calls.call import Call
from opentrail.kernel.principal import Principal, Session, WebIdentity
from opentrail.services.healthlake import datastores, providers, store
from opentrail.services.healthlake.engine.smart import claims as engine
from opentrail.services.healthlake.engine.smart import scopes
from opentrail.services.healthlake.engine.smart.claims import BadClaims
from opentrail.services.healthlake.engine.smart.reach import Grant
from opentrail.services.healthlake.keysets import ALGORITHMS, Key, KeySet, KeySets, fetch
from opentrail.services.healthlake.providers import Provider
from opentrail.store.sql import Snapshot

LONGEST = 16 * 1024
KEYS = KeySets(fetch)
MOST_PROVEN = 4096
"""Tokens whose signatures are remembered as proven."""
_REGISTRY = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
_REGISTRY.max_header_length = 2048
_REGISTRY.max_signature_length = 2048


class Proven:
    """The payloads of tokens whose signature was proven, by a hash of the token, each as long as its issuer's keys stay the same: a
    client sends one token many times, and a signature costs up to a millisecond. Claims are judged at every call. Used on the event
    loop alone."""

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[KeySet, Mapping[str, Any]]] = {}

    def get(self, token: bytes, keys: KeySet) -> Mapping[str, Any] | None:
        """The payload, if the token was proven with these keys."""
        held = self._held.get(token)
        return held[1] if held is not None and held[0] is keys else None

    def put(self, token: bytes, keys: KeySet, payload: Mapping[str, Any]) -> None:
        """Remembers a payload."""
        if len(self._held) >= MOST_PROVEN:
            self._held.clear()
        self._held[token] = (keys, payload)


PROVEN = Proven()


def place(call: Call) -> str:
    """The data store that a call names."""
    return str(call.target.place.datastoreId)


def issuer(snapshot: Snapshot, call: Call) -> Provider | None:
    """Whose tokens the called data store takes; None when it takes none or is not there."""
    return providers.provider(store.datastore(snapshot, place(call)), call.tools.settings.token_issuers)


def admit(call: Call, provider: Provider, token: str, keys: KeySets = KEYS, proven: Proven = PROVEN) -> Admitted:
    """Who the token stands for. Raises TokenRefused; Outside when the issuer's keys have to be fetched first."""
    kid, algorithm = _header(provider, token)
    now = call.tools.clock.monotonic()
    known = keys.get(provider.keys, now)
    key = known.find(kid, algorithm) if known is not None else None
    if keys.should_ask(provider.keys, now, missing=key is None):
        raise Outside(provider.keys, lambda: keys.ask(provider.keys, call.tools.clock.monotonic()))
    if known is None or key is None:
        raise _refused("no key of its issuer fits it", provider)
    digest = hashlib.sha256(token.encode()).digest()
    payload = proven.get(digest, known)
    if payload is None:
        payload = _payload(provider, token, algorithm, key)
        proven.put(digest, known, payload)
    return _admitted(call, provider, payload)


def _payload(provider: Provider, token: str, algorithm: str, key: Key) -> Mapping[str, Any]:
    """What a token says, if the key signed it. Raises TokenRefused."""
    try:
        signed = jws.deserialize_compact(token, key, algorithms=[algorithm], registry=_REGISTRY)
        return msgspec.json.decode(signed.payload, type=dict[str, Any])
    except (JoseError, ValueError, TypeError, RecursionError):
        raise _refused("its signature is wrong", provider) from None


def _header(provider: Provider, token: str) -> tuple[str, str]:
    """(key id, algorithm) of a signed token. Raises TokenRefused."""
    if not token.isascii() or len(token) > LONGEST or token.count(".") != 2:
        raise _refused("it is no signed JSON Web Token", provider)
    try:
        part = token.partition(".")[0]
        header = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any])
    except (ValueError, RecursionError):
        raise _refused("it is no signed JSON Web Token", provider) from None
    kid, algorithm = header.get("kid", ""), header.get("alg")
    if "crit" in header or "b64" in header:
        raise _refused("its header asks for what is not understood", provider)
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("its algorithm is not accepted", provider)
    if not isinstance(kid, str) or len(kid) > engine.LONGEST:
        raise _refused("its kid is no key id", provider)
    return kid, algorithm


def _admitted(call: Call, provider: Provider, payload: Mapping[str, Any]) -> Admitted:
    address = datastores.endpoint(call, provider.store)
    try:
        found = engine.check(payload, provider.issuer, (address, address.rstrip("/")), call.now)
    except BadClaims as bad:
        raise TokenRefused(str(bad), (principal(provider, *engine.names(payload)), provider.region)) from None
    granted = scopes.parse(found.scopes, provider.second, provider.second and provider.fine)
    grant = Grant(granted, found.patient, found.user, provider.fine)
    session = Session(found.issued, found.expires)
    shown = call.tools.sealer.pseudonym_in if call.tools.settings.hash_resource_ids else str
    patient, user = (shown(name) if name else "" for name in (found.patient, found.user))
    return Admitted(principal(provider, found.subject, found.client, patient, user, session), provider.region, grant)


def principal(
    provider: Provider, subject: str, client: str, patient: str = "", user: str = "", session: Session | None = None
) -> Principal:
    """The caller as the record names it: issuer, client and subject, launch patient and user; never the token."""
    named = {"client_id": client, "sub": subject, "patient": patient, "fhirUser": user}
    return Principal(
        "WebIdentityUser",
        provider.account,
        f"{provider.issuer}:{client}:{subject}" if subject else provider.issuer,
        user_name=subject,
        session=session,
        web_identity=WebIdentity(provider.issuer, tuple((key, value) for key, value in named.items() if value)),
    )


def _refused(why: str, provider: Provider) -> TokenRefused:
    """The refusal of a token that nobody proved: the record names the issuer and nobody of whom the token speaks."""
    return TokenRefused(why, (principal(provider, "", ""), provider.region))
