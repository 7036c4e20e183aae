"""Tags of users and roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output
from opentrail.identity import store
from opentrail.services.iam import common
from opentrail.store.sql import Snapshot, Tx

MOST = 50


def checked(tags: Sequence[Any] | None) -> dict[str, str]:
    """The tags by key. Raises InvalidInput for a key that comes twice or begins with aws:."""
    found: dict[str, str] = {}
    for tag in tags or ():
        if tag.Key.lower() in {key.lower() for key in found}:
            raise common.invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        if tag.Key.lower().startswith("aws:"):
            raise common.invalid("Your tag key contains aws:, which is a reserved prefix.")
        found[tag.Key] = tag.Value
    return found


def shown(tags: dict[str, str]) -> list[dict[str, str]]:
    """The tags as the API lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def of_resource(snapshot: Snapshot, arn: str, account: str) -> Sequence[tuple[str, str]]:
    """The tags of a user or role by its ARN, of any account: roles are assumed and passed from others. See Service.resource_tags."""
    found = store.role_by_arn(snapshot, arn) or store.user_by_arn(snapshot, arn)
    return list(store.tags(snapshot, found.id).items()) if found is not None else ()


Find = Callable[[Snapshot, Call, Input], store.User | store.Role]


def _user(snapshot: Snapshot, call: Call, input: Input) -> store.User:
    return common.user(snapshot, call, input.UserName)


def _role(snapshot: Snapshot, call: Call, input: Input) -> store.Role:
    return common.role(snapshot, call, input.RoleName)


def _prepare(call: Call, input: Input) -> tuple[Input, dict[str, str]]:
    return input, checked(input.Tags)


def _tag(find: Find) -> Callable[[Tx, Call, tuple[Input, dict[str, str]]], Output]:
    def apply(tx: Tx, call: Call, plan: tuple[Input, dict[str, str]]) -> Output:
        input, fresh = plan
        owner = find(tx, call, input).id
        kept = {key.lower() for key in (*store.tags(tx, owner), *fresh)}
        if len(kept) > MOST:
            raise common.limit("The number of tags has reached the maximum limit.")
        store.put_tags(tx, owner, fresh)
        return {}

    return apply


def _untag(find: Find) -> Callable[[Tx, Call, Input], Output]:
    def apply(tx: Tx, call: Call, input: Input) -> Output:
        store.drop_tags(tx, find(tx, call, input).id, list(input.TagKeys))
        return {}

    return apply


def _list(operation: str, find: Find) -> Callable[[Snapshot, Call, Input], Output]:
    def read(snapshot: Snapshot, call: Call, input: Input) -> Output:
        owner = find(snapshot, call, input).id
        found = list(store.tags(snapshot, owner).items())
        rows, more = common.listed(call, operation, input, owner, found, lambda tag: str(tag[0]).lower())
        return {"Tags": shown(dict(rows)), **more}

    return read


_R = common.REGION
OPERATIONS = (
    Operation("TagUser", common.right_on_user("iam:TagUser"), prepare=_prepare, apply=_tag(_user), global_region=_R),
    Operation("UntagUser", common.right_on_user("iam:UntagUser"), apply=_untag(_user), global_region=_R),
    Operation("ListUserTags", common.right_on_user("iam:ListUserTags"), read=_list("ListUserTags", _user), global_region=_R),
    Operation("TagRole", common.right_on_role("iam:TagRole"), prepare=_prepare, apply=_tag(_role), global_region=_R),
    Operation("UntagRole", common.right_on_role("iam:UntagRole"), apply=_untag(_role), global_region=_R),
    Operation("ListRoleTags", common.right_on_role("iam:ListRoleTags"), read=_list("ListRoleTags", _role), global_region=_R),
)
