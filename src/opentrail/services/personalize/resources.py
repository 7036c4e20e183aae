"""What the resources of Personalize's control plane share: ARNs, lookups, creation, paging, and AWS's error wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.kernel import arn, paging
from opentrail.kernel.errors import Content, ServiceError
from opentrail.services.common import tags
from opentrail.services.personalize import store
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

LIMITS = {"schema": 500, "dataset-group": 5}
"""Resources of a kind that one account and region may have (AWS's quotas)."""

NAMES = {"schema": "AWS::Personalize::Schema", "dataset-group": "AWS::Personalize::DatasetGroup"}
"""Resource types of records."""


def invalid(template: str, **arguments: Any) -> ServiceError:
    """A request that breaks a rule."""
    return ServiceError("InvalidInputException", template, **arguments)


def arn_of(call: Call, kind: str, name: str) -> str:
    """The ARN of the caller's resource of that kind and name."""
    return arn.build("personalize", call.region, call.account, f"{kind}/{name}")


def find(snapshot: Snapshot, call: Call, kind: str, wanted: str) -> Resource:
    """The caller's resource. Raises ServiceError when the ARN is of another kind, or nothing is there."""
    parts = arn.parse(wanted)
    if parts is None or parts.service != "personalize" or parts.resource.partition("/")[0] != kind:
        raise invalid("The ARN {arn} is not that of a {kind}.", arn=Content(wanted), kind=kind)
    found = store.one(snapshot, wanted)
    if found is None or found.account != call.account or found.region != call.region:
        raise ServiceError("ResourceNotFoundException", "Could not find resource {arn}", arn=wanted)
    call.touch(NAMES[kind], wanted)
    return found


def create(tx: Tx, call: Call, kind: str, name: str, domain: str | None, body: str, given: list[tuple[str, str]] | None = None) -> Resource:
    """Adds an active resource. Raises ServiceError when the name is taken or the limit is reached."""
    made = Resource(arn_of(call, kind, name), kind, call.account, call.region, name, domain, "ACTIVE", call.now, call.now, body)
    call.touch(NAMES[kind], made.arn)
    if store.one(tx, made.arn) is not None:
        raise ServiceError("ResourceAlreadyExistsException", "Another resource with Arn {arn} already exists.", arn=made.arn)
    if store.count(tx, call.account, call.region, kind) >= LIMITS[kind]:
        raise ServiceError("LimitExceededException", "More than {most} resources of kind {kind}.", most=LIMITS[kind], kind=kind)
    store.insert(tx, made)
    tags.put(tx, made.arn, given or [])
    return made


def delete(tx: Tx, call: Call, kind: str, wanted: str) -> None:
    """Removes the caller's resource and its tags."""
    found = find(tx, call, kind, wanted)
    store.delete(tx, found.arn)
    tags.clear(tx, found.arn)


def listed(snapshot: Snapshot, call: Call, input: Input, kind: str, member: str, summary: Callable[[Resource], dict[str, Any]]) -> Output:
    """One page of the caller's resources of a kind, oldest first."""
    operation, bound = call.target.name, (call.account, call.region)
    place = (0.0, "")
    if input.nextToken:
        try:
            place = paging.redeem(call.tools.sealer, operation, bound, input.nextToken, tuple[float, str])
        except paging.BadToken as error:
            raise ServiceError("InvalidNextTokenException", "The token is not valid for this request.") from error
    most = input.maxResults or 100
    found = store.page(snapshot, call.account, call.region, kind, place, most + 1)
    output: dict[str, Any] = {member: [summary(one) for one in found[:most]]}
    if len(found) > most:
        last = found[most - 1]
        output["nextToken"] = paging.issue(call.tools.sealer, operation, bound, (last.created, last.arn))
    return output


def checked_tags(given: Any) -> list[tuple[str, str]]:
    """The tags of a creation. Raises ServiceError."""
    try:
        return tags.check((tag.tagKey, tag.tagValue) for tag in given or ())
    except tags.BadTags as error:
        raise ServiceError("TooManyTagsException" if "at most" in str(error) else "InvalidInputException", "{rule}", rule=error) from error


def present(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
