"""Bucket policies: PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus, and how calls find one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, ResourcePolicy, right
from opentrail.identity import policy
from opentrail.kernel import arn
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import checksums, errors, members, names, store
from opentrail.store.sql import Snapshot, Tx

PUT = members.COMMON | {"Policy", "ContentMD5", "ChecksumAlgorithm", "ConfirmRemoveSelfBucketAccess"}
MOST_BYTES = 20 * 1024

CheckPolicy = Callable[[str], None]
"""Raises ServiceError (MalformedPolicy or the like) for a policy document that the evaluation would not understand."""

_FIXED = frozenset(
    {
        *("aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:sourceip"),
        *("aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn", "aws:userid", "aws:username"),
        *("s3:dataaccesspointarn", "s3:dataaccesspointaccount"),
    }
)
"""Condition keys that keep a statement for everybody from being public when they compare with fixed values.
Source: the user guide's meaning of "public" for bucket policies."""

_EQUALITY = ("stringequals", "stringlike", "arnequals", "arnlike", "ipaddress")


def find(snapshot: Snapshot, resource: str) -> ResourcePolicy | None:
    """The policy of the bucket that an ARN of a bucket or an object names, and the bucket's owner.

    Raises NoSuchBucket: as S3 does, before it is asked what the caller may do; that a name is free is no secret.
    """
    parts = arn.parse(resource)
    if parts is None or parts.service != "s3":
        return None
    bucket = store.find_bucket(snapshot, parts.resource.partition("/")[0])
    if bucket is None:
        raise errors.no_such_bucket(parts.resource.partition("/")[0])
    return ResourcePolicy(bucket.account, bucket.policy)


def holder(resource: str) -> str:
    """The ARN of the bucket that carries the policy for a bucket or an object."""
    return resource.partition("/")[0]


def operations(check_policy: CheckPolicy) -> tuple[Operation, ...]:
    """The operations; `check_policy` judges documents before they are stored."""

    def prepare_put(call: Call, input: Input) -> Input:
        """Sets a bucket's policy (PutBucketPolicy)."""
        members.only(input, PUT)
        checksums.check_whole(call)
        with call.tools.read() as snapshot:
            _own_bucket(snapshot, call, input)
        check(input.Policy, input.Bucket)
        check_policy(input.Policy)
        return input

    resource = names.arn_of_bucket
    return (
        Operation("PutBucketPolicy", right("s3:PutBucketPolicy", resource, owner_root=True), prepare=prepare_put, apply=apply_put),
        Operation("GetBucketPolicy", right("s3:GetBucketPolicy", resource, owner_root=True), read=get, point=True),
        Operation(
            "DeleteBucketPolicy",
            right("s3:DeleteBucketPolicy", resource, owner_root=True),
            prepare=prepare_delete,
            apply=apply_delete,
        ),
        Operation("GetBucketPolicyStatus", right("s3:GetBucketPolicyStatus", resource), read=status, point=True),
    )


def apply_put(tx: Tx, call: Call, input: Input) -> Output:
    """PutBucketPolicy's second half."""
    bucket = _own_bucket(tx, call, input)
    tx.run(store.SET_POLICY, name=bucket.name, policy=input.Policy)
    return {}


def _own_bucket(snapshot: Snapshot, call: Call, input: Input) -> store.Bucket:
    """The bucket, of the caller's own account: another account could lock its owner out. Raises MethodNotAllowed, as S3 does, for
    other accounts, whatever the policy allows them."""
    bucket = names.known_bucket(snapshot, call, input)
    if bucket.account != call.caller.account:
        raise errors.not_the_owner()
    return bucket


def prepare_delete(call: Call, input: Input) -> Input:
    """DeleteBucketPolicy's first half."""
    members.only(input, members.COMMON)
    with call.tools.read() as snapshot:
        _own_bucket(snapshot, call, input)
    return input


def apply_delete(tx: Tx, call: Call, input: Input) -> Output:
    """Removes a bucket's policy (DeleteBucketPolicy); that there is none is a success too."""
    bucket = _own_bucket(tx, call, input)
    tx.run(store.SET_POLICY, name=bucket.name, policy=None)
    return {}


def get(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Gives a bucket's policy as it was put (GetBucketPolicy)."""
    members.only(input, members.COMMON)
    return {"Policy": _policy(_own_bucket(snapshot, call, input))}


def status(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Says whether a bucket's policy lets everybody in (GetBucketPolicyStatus)."""
    members.only(input, members.COMMON)
    return {"PolicyStatus": {"IsPublic": is_public(_policy(names.known_bucket(snapshot, call, input)))}}


def _policy(bucket: store.Bucket) -> str:
    if bucket.policy is None:
        error = ServiceError("NoSuchBucketPolicy", "The bucket policy does not exist", status=404)
        error.members = {"BucketName": bucket.name}
        raise error
    return bucket.policy


def check_document(document: str) -> None:
    """The `CheckPolicy` of a running server: what identity's evaluation understands. Raises MalformedPolicy."""
    try:
        policy.validate(document, "resource")
    except policy.Malformed as error:
        raise ServiceError("MalformedPolicy", "{why}", why=error) from error


def check(document: str, bucket: str) -> None:
    """What S3 itself asks of a bucket policy: JSON, small, with principals, on this bucket alone. Raises MalformedPolicy."""
    if len(document.encode()) > MOST_BYTES:
        raise ServiceError("PolicyTooLarge", "Policies may not be larger than 20 KB")
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'") from None
    if not isinstance(parsed, dict) or "\0" in document:
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    for statement in statements(parsed):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise _malformed("Missing required field Principal")
        for action in _texts(statement.get("Action")) + _texts(statement.get("NotAction")):
            if action != "*" and not action.lower().startswith("s3:"):
                raise _malformed("Policy has invalid action")
        for resource in _texts(statement.get("Resource")) + _texts(statement.get("NotResource")):
            named = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            if resource != "*" and (not resource.startswith("arn:aws:s3:::") or named != bucket):
                raise _malformed("Policy has invalid resource")


def is_public(document: str) -> bool:
    """Whether a statement allows everybody, with no condition that compares a caller-fixing key with fixed values."""
    return any(
        statement.get("Effect") == "Allow" and _everybody(statement) and not _narrowed(statement.get("Condition"))
        for statement in statements(json.loads(document))
    )


def statements(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements of a policy: one, or a list. Raises MalformedPolicy."""
    found = policy.get("Statement")
    for statement in found if isinstance(found, list) else [found]:
        if not isinstance(statement, dict):
            raise _malformed("Missing required field Statement")
        yield statement


def _everybody(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        return "*" in _texts(principal.get("AWS"))
    return principal == "*" or "NotPrincipal" in statement


def _narrowed(condition: object) -> bool:
    if not isinstance(condition, dict):
        return False
    return any(
        operator.lower().removeprefix("foranyvalue:").removeprefix("forallvalues:") in _EQUALITY
        and isinstance(block, dict)
        and any(key.lower() in _FIXED and _fixed(values) for key, values in block.items())
        for operator, block in condition.items()
    )


def _fixed(values: object) -> bool:
    """Whether every value is specific: no bare wildcard, no open network."""
    found = _texts(values)
    return bool(found) and all("*" not in value and "?" not in value and not value.endswith("/0") for value in found)


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _malformed(text: str) -> ServiceError:
    return ServiceError("MalformedPolicy", text)
