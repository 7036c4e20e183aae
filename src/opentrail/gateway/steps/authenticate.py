"""Step 2, authenticate: the signature proves who calls. A known key with a wrong signature is recorded as its holder's."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.gateway.body import Source
from opentrail.gateway.recording import Outcome
from opentrail.gateway.rights import Standing
from opentrail.gateway.state import Gateway
from opentrail.identity import sigv4
from opentrail.identity.credentials import Credentials, load_credentials
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
    """Sets the caller, the called region and the caller's standing. Raises ServiceError in the protocol's words."""
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
