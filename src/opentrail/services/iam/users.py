"""Users: CreateUser, GetUser, UpdateUser, DeleteUser, ListUsers."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output
from opentrail.identity import store
from opentrail.services.iam import common, tags
from opentrail.store.sql import Snapshot, Tx

MOST = 5000


def shown(user: store.User) -> dict[str, Any]:
    """The user as the API shows it, without tags."""
    return {"Path": user.path, "UserName": user.name, "UserId": user.id, "Arn": user.arn, "CreateDate": user.created}


def _prepare(call: Call, input: Input) -> tuple[store.User, dict[str, str]]:
    common.refuse_unsupported(input, "PermissionsBoundary")
    id = "AIDA" + call.tools.ids.base32(17)
    return store.User(id, call.account, input.UserName, input.Path or "/", call.now, 0), tags.checked(input.Tags)


def create_user(tx: Tx, call: Call, plan: tuple[store.User, dict[str, str]]) -> Output:
    """Makes a user without any right."""
    user, fresh = plan
    if store.count_users(tx, call.account) >= MOST:
        raise common.limit("Cannot exceed quota for UsersPerAccount: {most}", most=MOST)
    if not store.add_user(tx, user):
        raise common.exists("User", user.name)
    store.put_tags(tx, user.id, fresh)
    return {"User": {**shown(user), **({"Tags": tags.shown(fresh)} if fresh else {})}}


def get_user(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Shows a user, or the caller."""
    name = input.UserName or common.own_name(call)
    if not name:
        account = store.account(snapshot, call.account)
        assert account is not None, "a caller's account exists"
        return {"User": {"UserId": account.id, "Arn": f"arn:aws:iam::{account.id}:root", "CreateDate": account.created}}
    user = common.user(snapshot, call, name)
    found = store.tags(snapshot, user.id)
    return {"User": {**shown(user), **({"Tags": tags.shown(found)} if found else {})}}


def update_user(tx: Tx, call: Call, input: Input) -> Output:
    """Gives a user another name or path; its id, keys and policies stay."""
    user = common.user(tx, call, input.UserName)
    name, path = input.NewUserName or user.name, input.NewPath or user.path
    if not store.rename_user(tx, user.id, name, path):
        raise common.exists("User", name)
    call.touch(common.TYPES["user"], user._replace(name=name, path=path).arn)
    return {}


def delete_user(tx: Tx, call: Call, input: Input) -> Output:
    """Deletes a user that has neither keys nor policies."""
    user = common.user(tx, call, input.UserName)
    if store.access_keys(tx, user.id):
        raise common.conflict("Cannot delete entity, must delete access keys first.")
    if store.inline_policies(tx, user.id):
        raise common.conflict("Cannot delete entity, must delete policies first.")
    store.drop_user(tx, user.id)
    return {}


list_users = common.listing("Users", store.users, shown)
_R = common.REGION
OPERATIONS = (
    Operation(
        "CreateUser",
        common.right_on_new("iam:CreateUser", "user", "UserName"),
        prepare=_prepare,
        apply=create_user,
        global_region=_R,
    ),
    Operation("GetUser", common.right_on_user("iam:GetUser"), read=get_user, global_region=_R),
    Operation("UpdateUser", common.right_on_user("iam:UpdateUser"), apply=update_user, global_region=_R),
    Operation("DeleteUser", common.right_on_user("iam:DeleteUser"), apply=delete_user, global_region=_R),
    Operation("ListUsers", common.right_on_list("iam:ListUsers", "user"), read=list_users, global_region=_R),
)
