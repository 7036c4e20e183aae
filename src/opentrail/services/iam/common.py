"""What the resources of IAM share: errors in AWS's words, checks, paging, rights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opentrail.calls import tagging
from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Input, Output, Right, Rights
from opentrail.identity import store
from opentrail.identity.policy import Kind, Malformed, validate
from opentrail.kernel import paging
from opentrail.kernel.errors import Content, ServiceError
from opentrail.store.sql import Snapshot

REGION = "us-east-1"
"""IAM is global: its records carry this region."""
PAGE = 100
TYPES = {"user": "AWS::IAM::User", "role": "AWS::IAM::Role"}
"""What records call users and roles."""
ACCESS_KEY = "AWS::IAM::AccessKey"
_PARTS = {"AccessKeyId": ACCESS_KEY, "PolicyName": "AWS::IAM::Policy"}
"""Members that name what has no ARN, and what records call it: there its id or name stands for one, as in AWS's Event history."""


def no_such(what: str, name: str) -> ServiceError:
    """AWS's wording for an entity that is not there."""
    return ServiceError("NoSuchEntityException", "The {what} with name {name} cannot be found.", status=404, what=what, name=name)


def exists(what: str, name: str) -> ServiceError:
    """AWS's wording for a name that is taken."""
    return ServiceError("EntityAlreadyExistsException", "{what} with name {name} already exists.", status=409, what=what, name=name)


def conflict(text: str) -> ServiceError:
    """AWS's wording for an entity that still has something."""
    return ServiceError("DeleteConflictException", text, status=409)


def limit(text: str, **arguments: object) -> ServiceError:
    """AWS's code for a quota that is reached."""
    return ServiceError("LimitExceededException", text, status=409, **arguments)


def invalid(text: str, **arguments: object) -> ServiceError:
    """A value that the model allows and IAM refuses."""
    return ServiceError("InvalidInputException", text, status=400, **arguments)


def refuse_unsupported(input: Input, *members: str) -> None:
    """Refuses optional members that are not supported, instead of storing and ignoring them."""
    for member in members:
        if getattr(input, member, None) is not None:
            raise invalid("{member} is not supported by this server.", member=member)


def checked_policy(document: str, kind: Kind) -> str:
    """The document, if it may be put. Raises MalformedPolicyDocument naming statement and rule."""
    try:
        validate(document, kind)
    except Malformed as error:
        raise ServiceError("MalformedPolicyDocumentException", "{why}", why=Content(str(error))) from error
    return document


def size(document: str) -> int:
    """A policy's length as its quota counts it: without white space."""
    return len("".join(document.split()))


def user(snapshot: Snapshot, call: Call, name: str) -> store.User:
    """The user of the caller's account. Raises NoSuchEntity."""
    found = store.user(snapshot, call.account, name)
    if found is None:
        raise no_such("user", name)
    return found


def role(snapshot: Snapshot, call: Call, name: str) -> store.Role:
    """The role of the caller's account. Raises NoSuchEntity."""
    found = store.role(snapshot, call.account, name)
    if found is None:
        raise no_such("role", name)
    return found


def own_name(call: Call) -> str:
    """The caller's user name, for operations that mean the caller when they name nobody; empty for the root user."""
    caller = call.caller
    if caller.kind == "Root":
        return ""
    if caller.kind != "IAMUser":
        raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
    return caller.user_name


def page(call: Call, operation: str, input: Input, bound_to: object, rows: Sequence[Any], place: Callable[[Any], str]) -> dict[str, Any]:
    """IsTruncated and Marker of a page; `rows` holds one more than fits when there is more."""
    count = input.MaxItems or PAGE
    if len(rows) <= count:
        return {"IsTruncated": False}
    return {
        "IsTruncated": True,
        "Marker": paging.issue(call.tools.sealer, operation, [call.account, bound_to], place(rows[count - 1])),
    }


def after(call: Call, operation: str, input: Input, bound_to: object) -> str:
    """Where the asked page begins. Raises ValidationError for a marker that this listing did not issue."""
    if input.Marker is None:
        return ""
    try:
        return paging.redeem(call.tools.sealer, operation, [call.account, bound_to], input.Marker, str)
    except paging.BadToken as error:
        raise ServiceError("ValidationError", "Invalid Marker.") from error


def listing(
    plural: str, rows_of: Callable[[Snapshot, str, str, str, int], Sequence[Any]], shown: Callable[[Any], dict[str, Any]]
) -> Callable[[Snapshot, Call, Input], Output]:
    """ListUsers or ListRoles: those below a path by name, page by page, without their tags."""
    operation = f"List{plural}"

    def read(snapshot: Snapshot, call: Call, input: Input) -> Output:
        prefix, count = input.PathPrefix or "/", input.MaxItems or PAGE
        rows = rows_of(snapshot, call.account, prefix, after(call, operation, input, prefix), count + 1)
        more = page(call, operation, input, prefix, rows, lambda one: str(one.name).lower())
        return {plural: [shown(one) for one in rows[:count]], **more}

    return read


def listed(call: Call, operation: str, input: Input, bound_to: object, names: Sequence[Any], place: Callable[[Any], str]) -> tuple[
    list[Any], dict[str, Any]
]:  # fmt: skip
    """The asked page of a short list in order of `place`, and its IsTruncated and Marker."""
    start = after(call, operation, input, bound_to)
    count = input.MaxItems or PAGE
    rows = [name for name in names if place(name) > start][: count + 1]
    return rows[:count], page(call, operation, input, bound_to, rows, place)


def right_on_user(action: str) -> Rights:
    """The right to `action` on the user that the input names (or the caller itself). The record names what the input names, refused
    calls' too."""
    return _right(action, "UserName", "user")


def right_on_role(action: str) -> Rights:
    """The same on the role that the input names."""
    return _right(action, "RoleName", "role")


def right_on_list(action: str, kind: str) -> Rights:
    """The right to list users or roles."""

    def rights(call: Call, input: Input) -> Sequence[Right]:
        long_term_only(call)
        return (Right(action, f"arn:aws:iam::{call.account}:{kind}{input.PathPrefix or '/'}"),)

    return rights


def _right(action: str, member: str, kind: str) -> Rights:
    def rights(call: Call, input: Input) -> Sequence[Right]:
        name = getattr(input, member) or own_name(call)
        arn = _arn(call, kind, name)
        if name:
            call.touch(TYPES[kind], arn)
        for part, type in _PARTS.items():
            if (id := getattr(input, part, None)) is not None:
                call.touch(type, id)
        long_term_only(call)
        return (Right(action, arn, tag_keys(input)),)

    return rights


def right_on_new(action: str, kind: str, member: str) -> Rights:
    """The right to make a user or role at the path of the input, and with tags also to tag it. The record names it."""

    def rights(call: Call, input: Input) -> Sequence[Right]:
        arn = f"arn:aws:iam::{call.account}:{kind}{input.Path or '/'}{getattr(input, member)}"
        call.touch(TYPES[kind], arn)
        long_term_only(call)
        keys = tag_keys(input)
        right = Right(action, arn, keys)
        return (right, Right(f"iam:Tag{kind.capitalize()}", arn, keys)) if keys else (right,)

    return rights


def _arn(call: Call, kind: str, name: str) -> str:
    if not name:
        return f"arn:aws:iam::{call.account}:root"
    with call.tools.read() as snapshot:
        found = store.user(snapshot, call.account, name) if kind == "user" else store.role(snapshot, call.account, name)
    return found.arn if found else f"arn:aws:iam::{call.account}:{kind}/{name}"


def tag_keys(input: Input) -> ConditionKeys:
    """The condition keys of an input with Tags or TagKeys."""
    tags = getattr(input, "Tags", None) or ()
    return tagging.of_request((tag.Key, tag.Value) for tag in tags) or tagging.of_keys(getattr(input, "TagKeys", None) or ())


def long_term_only(call: Call) -> None:
    """Refuses sessions from GetSessionToken without a second factor and from GetFederationToken, as IAM does."""
    session = call.caller.session
    if session is not None and not session.mfa and call.caller.kind in ("Root", "IAMUser", "FederatedUser"):
        raise ServiceError("InvalidClientTokenId", "The security token included in the request is invalid", status=403)
