"""What the operations of STS share: refusals in AWS's words, session policies and tags, and how credentials are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input
from opentrail.identity.policy import Malformed, validate
from opentrail.identity.sessions import Issued, issue
from opentrail.kernel.errors import Content, ServiceError
from opentrail.kernel.principal import Principal

POLICY_SIZE = 2048
"""Characters of a session policy at most."""
MOST_TAGS = 50


def denied(text: str) -> ServiceError:
    """A call that this kind of caller may not make."""
    return ServiceError("AccessDenied", text, status=403)


def invalid(text: str, **arguments: object) -> ServiceError:
    """A value that the model allows and STS refuses."""
    return ServiceError("ValidationError", text, status=400, **arguments)


def refuse_unsupported(input: Input, *members: str) -> None:
    """Refuses optional members that are not supported, instead of ignoring them."""
    for member in members:
        if getattr(input, member, None) is not None:
            raise invalid("{member} is not supported by this server.", member=member)


def session_policies(input: Input) -> tuple[str, ...]:
    """The session policy of the input, checked."""
    document = input.Policy
    if document is None:
        return ()
    if len(document) > POLICY_SIZE:
        raise ServiceError("PackedPolicyTooLargeException", "The session policy is larger than {most} characters.", most=POLICY_SIZE)
    try:
        validate(document, "session")
    except Malformed as error:
        raise ServiceError("MalformedPolicyDocumentException", "{why}", why=Content(str(error))) from error
    return (document,)


def session_tags(tags: Sequence[Any] | None) -> tuple[tuple[str, str], ...]:
    """The session's tags. Raises for keys that come twice or begin with aws:."""
    found = tuple((tag.Key, tag.Value) for tag in tags or ())
    folded = {key.lower() for key, _ in found}
    if len(folded) != len(found) or len(found) > MOST_TAGS:
        raise ServiceError("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in folded):
        raise ServiceError("InvalidParameterValue", "A tag key begins with aws:, which is a reserved prefix.")
    return found


def packed(policies: tuple[str, ...], tags: tuple[tuple[str, str], ...]) -> dict[str, int]:
    """PackedPolicySize: how much of the room for policy and tags is used, in percent; left out when neither was sent."""
    if not policies and not tags:
        return {}
    used = sum(map(len, policies)) + sum(len(key) + len(value) for key, value in tags)
    return {"PackedPolicySize": math.ceil(100 * used / (POLICY_SIZE + MOST_TAGS * 384))}


def credentials(call: Call, principal: Principal, owner: str) -> dict[str, Any]:
    """New credentials of `principal`, as answers show them. `owner`: see identity.sessions.Token."""
    issued: Issued = issue(call.tools.sealer, call.tools.ids, principal, owner)
    return {
        "AccessKeyId": issued.access_key,
        "SecretAccessKey": issued.secret,
        "SessionToken": issued.token,
        "Expiration": issued.expires,
    }
