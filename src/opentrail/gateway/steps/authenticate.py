"""Step 2, authenticate: the signature, or a bearer token where one is taken, proves who calls. A known key with a wrong signature
is recorded as its holder's; a token that is not accepted as its issuer's."""

from __future__ import annotations

from typing import Any

from opentrail.calls.bearer import Admitted, Bearers, Outside, TokenRefused
from opentrail.calls.call import Call, Request
from opentrail.gateway.body import Source
from opentrail.gateway.recording import Outcome
from opentrail.gateway.rights import Standing
from opentrail.gateway.state import Gateway
from opentrail.identity import sigv4
from opentrail.identity.credentials import Credentials, load_credentials
from opentrail.identity.decide import Grants
from opentrail.identity.refusals import Family, Rejected, refusal
from opentrail.store.sql import Snapshot

FAMILIES: dict[str, Family] = {
    "json": "json",
    "cbor": "json",
    "rest_json": "rest-json",
    "fhir": "fhir",
    "query": "query",
    "rest_xml": "rest-xml",
}


async def authenticate(gateway: Gateway, call: Call, source: Source, outcome: Outcome) -> None:
    """Sets the caller, the called region and the caller's standing; not for a public operation without credentials.
    Raises ServiceError in the protocol's words."""
    bearers = call.target.service.bearers if call.target.protocol == "fhir" else None
    if bearers is not None and (token := bearer_token(call.request)) is not None:
        await admit(gateway, call, outcome, bearers, token)
        return
    if call.target.operation is not None and call.target.operation.public and not carries_credentials(call.request):
        return
    family = FAMILIES[call.target.protocol]
    try:
        claim = sigv4.read_claim(call.request, call.now)
        if claim.service not in call.target.service.signing_names:
            raise Rejected("scope", "Credential should be scoped to correct service.")
        epoch = await gateway.epoch()
        credentials = await credentials_of(gateway, epoch, claim.access_key, claim.token)
        call.set_caller(credentials.principal, claim.region)
        credentials.check_life(call.now)
        operation = call.target.operation
        sigv4.verify(claim, call.request, credentials.secret, streamed=operation is not None and operation.streams_in)
        call.standing = Standing(epoch, claim, credentials)
    except Rejected as rejected:
        if call.authenticated:
            outcome.unrecorded = not gateway.strangers.records(call, gateway.tools.clock.monotonic())
        raise refusal(rejected, family) from rejected


def bearer_token(request: Request) -> str | None:
    """The token of an `Authorization: Bearer` header; None without such a header."""
    scheme, _, token = request.header("authorization").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def carries_credentials(request: Request) -> bool:
    """Whether a request tries to prove who sent it."""
    return bool(request.header("authorization")) or "X-Amz-Signature=" in request.query or "X-Amz-Credential=" in request.query


async def admit(gateway: Gateway, call: Call, outcome: Outcome, bearers: Bearers, token: str) -> None:
    """Sets the caller that a bearer token stands for, the region of what it calls, and its grant. Raises TokenRefused."""
    epoch = await gateway.epoch()
    try:
        issuer = await issuer_of(gateway, epoch, call, bearers)
        if issuer is None:
            raise TokenRefused("none is taken here")
        try:
            admitted = bearers.admit(call, issuer, token)
        except Outside as outside:
            await gateway.asked(outside)
            admitted = _admit_again(call, bearers, issuer, token)
    except TokenRefused as refused:
        if refused.known is not None:
            call.set_caller(*refused.known)
            outcome.unrecorded = not gateway.strangers.records(call, gateway.tools.clock.monotonic())
        raise
    call.set_caller(admitted.principal, admitted.region)
    call.grant = admitted.grant
    call.standing = Standing(epoch, None, Credentials("", admitted.principal, Grants()), issuer)


def _admit_again(call: Call, bearers: Bearers, issuer: Any, token: str) -> Admitted:
    try:
        return bearers.admit(call, issuer, token)
    except Outside:
        raise TokenRefused("the keys of its issuer are not known") from None


async def issuer_of(gateway: Gateway, epoch: int, call: Call, bearers: Bearers) -> Any:
    """Whose tokens the called resource takes, from the cache of this epoch or the database; None for none."""
    key = ("issuer", call.target.service.name, bearers.place(call))
    found: tuple[Any] | None = gateway.cached.get(epoch, key)
    if found is None:

        def load(view: Snapshot) -> tuple[Any]:
            return (bearers.issuer(view, call),)

        found = gateway.glance(load) if gateway.database.dialect == "sqlite" else await gateway.read(load)
        if found[0] is not None:  # what is not there is not kept: anybody can ask for it under any name
            gateway.cached.put(epoch, key, found)
    return found[0]


async def credentials_of(gateway: Gateway, epoch: int, access_key: str, token: str, inner: bool = False) -> Credentials:
    """The credentials behind an access key, from the cache of this epoch or the database. Raises Rejected."""
    key = ("credentials", access_key, token)
    found: Credentials | None = gateway.cached.get(epoch, key)
    if found is None:

        def load(view: Snapshot) -> Credentials:
            return load_credentials(view, gateway.tools.sealer, access_key, token)

        found = gateway.glance(load) if gateway.database.dialect == "sqlite" else await gateway.read(load, inner)
        gateway.cached.put(epoch, key, found)
    return found
