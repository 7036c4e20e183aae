"""The condition keys that every request carries, whatever it calls: see condition_keys.tsv for their meaning."""

from __future__ import annotations

from collections.abc import Mapping

from opentrail.calls.call import Request
from opentrail.kernel.ambient import stamp
from opentrail.kernel.principal import Kind, Principal

_TYPES: Mapping[Kind, str] = {
    "Root": "Account",
    "IAMUser": "User",
    "AssumedRole": "AssumedRole",
    "FederatedUser": "FederatedUser",
    "AWSAccount": "Anonymous",
    "WebIdentityUser": "FederatedUser",
}


def request_keys(request: Request, principal: Principal, tags: Mapping[str, str], region: str, source_ip: str) -> dict[str, str]:
    """The global condition keys, lower case. `tags` are the principal's (keys as they were set), `source_ip` the client's address."""
    keys = {
        "aws:currenttime": stamp(request.received),
        "aws:epochtime": str(int(request.received)),
        "aws:securetransport": "true" if request.scheme == "https" else "false",
        "aws:requestedregion": region,
        **principal_keys(principal),
    }
    if principal.kind != "AWSService":
        keys["aws:sourceip"] = source_ip
    headers = request.headers
    if "user-agent" in headers:
        keys["aws:useragent"] = headers["user-agent"]
    if "referer" in headers:
        keys["aws:referer"] = headers["referer"]
    for key, value in tags.items():
        keys["aws:principaltag/" + key.lower()] = value
    return keys


def principal_keys(principal: Principal) -> dict[str, str]:
    """The condition keys that say who calls."""
    if principal.kind == "AWSService":
        keys = {"aws:principalisawsservice": "true", "aws:principalservicename": principal.service}
        if principal.source_arn:
            keys["aws:sourcearn"] = principal.source_arn
        if principal.source_account:
            keys["aws:sourceaccount"] = principal.source_account
        return keys
    keys = {
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",  # true for forwarded calls alone, which nothing here makes; a service in a role acts by itself
        "aws:principaltype": _TYPES[principal.kind],
        "aws:principalaccount": principal.account,
        "aws:userid": principal.principal_id,
        "aws:principalarn": principal_arn(principal),
    }
    if principal.kind == "IAMUser":
        keys["aws:username"] = principal.user_name
    session = principal.session
    if session is not None:
        keys["aws:multifactorauthpresent"] = "true" if session.mfa else "false"
        keys["aws:tokenissuetime"] = stamp(session.created)
        if session.source_identity:
            keys["aws:sourceidentity"] = session.source_identity
    return keys


def principal_arn(principal: Principal) -> str:
    """aws:PrincipalArn: the caller's ARN, for a role session the role's."""
    issuer = principal.session.issuer if principal.session is not None else None
    return issuer.arn if issuer is not None and issuer.kind == "Role" else principal.arn
