"""Inline policies of users and roles: Put, Get, Delete and List of User and Role Policies."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, Rights
from opentrail.identity import store
from opentrail.kernel.errors import ServiceError
from opentrail.services.iam import common
from opentrail.store.sql import Snapshot, Tx

Find = Callable[[Snapshot, Call, Input], store.User | store.Role]


def _user(snapshot: Snapshot, call: Call, input: Input) -> store.User:
    return common.user(snapshot, call, input.UserName)


def _role(snapshot: Snapshot, call: Call, input: Input) -> store.Role:
    return common.role(snapshot, call, input.RoleName)


def encoded(document: str) -> str:
    """A policy document as answers carry it: percent-encoded."""
    return quote(document, safe="")


def _prepare(call: Call, input: Input) -> Input:
    common.checked_policy(input.PolicyDocument, "identity")
    return input


def _put(kind: str, most: int, find: Find) -> Callable[[Tx, Call, Input], Output]:
    def apply(tx: Tx, call: Call, input: Input) -> Output:
        owner = find(tx, call, input)
        others = sum(
            common.size(document) for name, document in store.inline_policies(tx, owner.id) if name.lower() != input.PolicyName.lower()
        )
        if others + common.size(input.PolicyDocument) > most:
            raise common.limit("Maximum policy size of {most} bytes exceeded for {kind} {name}", most=most, kind=kind, name=owner.name)
        store.put_policy(tx, owner.id, input.PolicyName, input.PolicyDocument)
        return {}

    return apply


def _get(kind: str, find: Find) -> Callable[[Snapshot, Call, Input], Output]:
    def read(snapshot: Snapshot, call: Call, input: Input) -> Output:
        owner = find(snapshot, call, input)
        found = store.inline_policy(snapshot, owner.id, input.PolicyName)
        if found is None:
            raise _missing(kind, input.PolicyName)
        return {f"{kind.capitalize()}Name": owner.name, "PolicyName": found[0], "PolicyDocument": encoded(found[1])}

    return read


def _missing(kind: str, name: str) -> ServiceError:
    return ServiceError("NoSuchEntityException", "The {kind} policy with name {name} cannot be found.", status=404, kind=kind, name=name)


def _delete(kind: str, find: Find) -> Callable[[Tx, Call, Input], Output]:
    def apply(tx: Tx, call: Call, input: Input) -> Output:
        if not store.drop_policy(tx, find(tx, call, input).id, input.PolicyName):
            raise _missing(kind, input.PolicyName)
        return {}

    return apply


def _list(operation: str, find: Find) -> Callable[[Snapshot, Call, Input], Output]:
    def read(snapshot: Snapshot, call: Call, input: Input) -> Output:
        owner = find(snapshot, call, input).id
        names = [name for name, _ in store.inline_policies(snapshot, owner)]
        rows, more = common.listed(call, operation, input, owner, names, str.lower)
        return {"PolicyNames": rows, **more}

    return read


def _operations(kind: str, most: int, find: Find, right: Callable[[str], Rights]) -> tuple[Operation, ...]:
    noun = kind.capitalize()
    put, get, delete, listing = f"Put{noun}Policy", f"Get{noun}Policy", f"Delete{noun}Policy", f"List{noun}Policies"
    region = common.REGION
    return (
        Operation(put, right(f"iam:{put}"), prepare=_prepare, apply=_put(kind, most, find), global_region=region),
        Operation(get, right(f"iam:{get}"), read=_get(kind, find), global_region=region),
        Operation(delete, right(f"iam:{delete}"), apply=_delete(kind, find), global_region=region),
        Operation(listing, right(f"iam:{listing}"), read=_list(listing, find), global_region=region),
    )


OPERATIONS = (*_operations("user", 2048, _user, common.right_on_user), *_operations("role", 10240, _role, common.right_on_role))
"""The sizes are AWS's quotas for all inline policies of a user or role together, without white space."""
