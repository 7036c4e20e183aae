"""Tags of every resource: TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Input, Output
from opentrail.calls.tagging import of_request
from opentrail.services.common import tags
from opentrail.services.personalize import resources
from opentrail.store.sql import Snapshot, Tx


def keys(input: Input) -> ConditionKeys:
    """The condition keys of the tags in an input."""
    return of_request((tag.tagKey, tag.tagValue) for tag in input.tags or ())


def prepare_tag(call: Call, input: Input) -> tuple[str, list[tuple[str, str]]]:
    """TagResource, first half."""
    return input.resourceArn, resources.checked_tags(input.tags)


def tag(tx: Tx, call: Call, plan: tuple[str, list[tuple[str, str]]]) -> Output:
    """TagResource."""
    arn, given = plan
    _check(tx, call, arn)
    try:
        tags.put(tx, arn, given)
    except tags.BadTags as error:
        raise resources.bad_tags(error) from error
    return {}


def untag(tx: Tx, call: Call, input: Input) -> Output:
    """UntagResource."""
    _check(tx, call, input.resourceArn)
    tags.remove(tx, input.resourceArn, input.tagKeys)
    return {}


def list_tags(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListTagsForResource."""
    _check(snapshot, call, input.resourceArn)
    return {"tags": [{"tagKey": key, "tagValue": value} for key, value in tags.tags_of(snapshot, input.resourceArn)]}


def _check(snapshot: Snapshot, call: Call, arn: str) -> None:
    found = resources.any_of(snapshot, call, arn)
    if found is None:
        raise resources.missing(arn)
    call.touch(resources.KINDS[found.kind].type, arn)
