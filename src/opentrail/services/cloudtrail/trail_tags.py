"""AddTags, RemoveTags, ListTags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentrail.calls import tagging
from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Output, Right, Rights, right
from opentrail.kernel import arn as arns
from opentrail.kernel.errors import ServiceError
from opentrail.services.cloudtrail import names, store
from opentrail.services.common import tags
from opentrail.store.sql import Snapshot, Tx


def checked(given: Sequence[Any] | None) -> list[tuple[str, str]]:
    """The tags of an input. Raises InvalidTagParameterException, TagsLimitExceededException."""
    found = [(tag.Key, tag.Value or "") for tag in given or ()]
    if len(found) > tags.MOST:
        raise _too_many()
    try:
        return tags.check(found)
    except tags.BadTags as error:
        raise ServiceError("InvalidTagParameterException", "The tags are not valid: {reason}.", reason=error) from error


def put(tx: Tx, arn: str, wanted: list[tuple[str, str]]) -> None:
    """Adds tags to a trail. Raises TagsLimitExceededException."""
    try:
        tags.put(tx, arn, wanted)
    except tags.BadTags as error:
        raise _too_many() from error


def _too_many() -> ServiceError:
    return ServiceError("TagsLimitExceededException", "A trail has at most {limit} tags.", limit=tags.MOST)


def taggable(call: Call, given: str) -> str:
    """The ARN of the trail to be tagged; names are not enough here.

    Raises ResourceTypeNotSupportedException for CloudTrail's other resources, CloudTrailARNInvalidException and
    ResourceNotFoundException.
    """
    parts = arns.parse(given)
    kind = parts.resource.partition("/")[0] if parts is not None and parts.service == "cloudtrail" else ""
    if kind in ("eventdatastore", "channel", "dashboard"):
        raise ServiceError("ResourceTypeNotSupportedException", "Tags of the resource type {kind} are not offered.", kind=kind)
    if kind != "trail":
        raise ServiceError("CloudTrailARNInvalidException", "The ARN {arn} is not the ARN of a trail.", arn=given)
    try:
        return names.resolve(call, given)
    except ServiceError as error:
        raise _unknown(given) if error.code == "TrailNotFoundException" else error from error


def _unknown(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The resource {arn} does not exist.", arn=arn)


def prepare_add(call: Call, input: Any) -> tuple[str, list[tuple[str, str]]]:
    """AddTags: sets tags of a trail."""
    arn = taggable(call, input.ResourceId)
    call.touch(names.TYPE, arn)
    return arn, checked(input.TagsList)


def apply_add(tx: Tx, call: Call, plan: tuple[str, list[tuple[str, str]]]) -> Output:
    """AddTags."""
    arn, wanted = plan
    store.take_turn(tx, call.account)
    if store.find(tx, arn) is None:
        raise _unknown(arn)
    put(tx, arn, wanted)
    return {}


def prepare_remove(call: Call, input: Any) -> tuple[str, list[tuple[str, str]]]:
    """RemoveTags: removes tags of a trail, whatever their values."""
    return prepare_add(call, input)


def apply_remove(tx: Tx, call: Call, plan: tuple[str, list[tuple[str, str]]]) -> Output:
    """RemoveTags."""
    arn, unwanted = plan
    store.take_turn(tx, call.account)
    if store.find(tx, arn) is None:
        raise _unknown(arn)
    tags.remove(tx, arn, [key for key, _ in unwanted])
    return {}


def list_tags(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """ListTags: the tags of up to 20 trails."""
    if not 1 <= len(input.ResourceIdList) <= 20:
        raise ServiceError("InvalidTagParameterException", "ResourceIdList names 1 to 20 resources.")
    if input.NextToken:
        raise ServiceError("InvalidTokenException", "The token is not valid: all tags are in the first page.")
    arns = [taggable(call, given) for given in input.ResourceIdList]
    call.touch(names.TYPE, *arns)
    for arn in arns:
        if store.find(snapshot, arn) is None:
            raise _unknown(arn)
    return {
        "ResourceTagList": [
            {"ResourceId": arn, "TagsList": [{"Key": key, "Value": value} for key, value in tags.tags_of(snapshot, arn)]} for arn in arns
        ]
    }


def keys(input: Any) -> ConditionKeys:
    """The condition keys of the tags in an input."""
    return tagging.of_request((tag.Key, tag.Value or "") for tag in input.TagsList or ())


def rights_to_list(call: Call, input: Any) -> Sequence[Right]:
    """cloudtrail:ListTags on each of the resources."""
    return [Right("cloudtrail:ListTags", given) for given in input.ResourceIdList]


def on_resource(action: str) -> Rights:
    """The right to set or remove the tags of the resource that the input names."""
    return right(action, lambda call, input: str(input.ResourceId), keys)
