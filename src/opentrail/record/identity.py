"""The userIdentity element. Source: CloudTrail userIdentity element, and public records of each kind of caller.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from opentrail.kernel.ambient import stamp
from opentrail.kernel.principal import Principal, Session, WebIdentity


@lru_cache(maxsize=4096)
def render(principal: Principal) -> bytes:
    """The element's JSON. Cached: a principal makes many calls."""
    return msgspec.json.encode(element(principal))


@lru_cache(maxsize=4096)
def render_foreign(principal: Principal) -> bytes:
    """The element as another account, the owner of the resource, sees a caller: account and principal id alone, of a service its name."""
    if principal.kind == "AWSService":
        return render(principal)
    return msgspec.json.encode({"type": "AWSAccount", "principalId": principal.principal_id, "accountId": principal.account})


def element(principal: Principal) -> dict[str, Any]:
    """The element as a dict in AWS's field order."""
    if principal.kind == "AWSService":
        return {"type": "AWSService", "invokedBy": principal.service}
    found: dict[str, Any] = {"type": principal.kind, "principalId": principal.principal_id}
    if principal.web_identity is not None:
        return found | _web_identity(principal, principal.web_identity)
    if principal.kind != "AWSAccount":
        found["arn"] = principal.arn
    found["accountId"] = principal.account
    if principal.access_key:
        found["accessKeyId"] = principal.access_key
    if principal.user_name and principal.kind == "IAMUser":
        found["userName"] = principal.user_name
    if principal.session is not None:
        found["sessionContext"] = _session_context(principal.session)
    if principal.invoked_by:
        found["invokedBy"] = principal.invoked_by
    return found


def _web_identity(principal: Principal, identity: WebIdentity) -> dict[str, Any]:
    """The rest of the element of a caller with a bearer token: like that of AssumeRoleWithWebIdentity, with what the token names."""
    found: dict[str, Any] = {"userName": principal.user_name} if principal.user_name else {}
    found["identityProvider"] = identity.provider
    context = _session_context(principal.session) if principal.session is not None else {}
    federation = {"federatedProvider": identity.provider, "attributes": dict(identity.attributes)}
    return {**found, "sessionContext": {**context, "webIdFederationData": federation}}


def _session_context(session: Session) -> dict[str, Any]:
    issuer = session.issuer
    found: dict[str, Any] = {
        "sessionIssuer": {
            "type": issuer.kind,
            "principalId": issuer.principal_id,
            "arn": issuer.arn,
            "accountId": issuer.account,
            **({"userName": issuer.user_name} if issuer.user_name else {}),
        }
        if issuer is not None
        else {},
        "webIdFederationData": {},
        "attributes": {"creationDate": stamp(session.created), "mfaAuthenticated": "true" if session.mfa else "false"},
    }
    if session.source_identity:
        found["sourceIdentity"] = session.source_identity
    return found
