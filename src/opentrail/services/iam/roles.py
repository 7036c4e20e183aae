"""Roles: CreateRole, GetRole, UpdateRole, UpdateRoleDescription, UpdateAssumeRolePolicy, DeleteRole, ListRoles."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output
from opentrail.identity import store
from opentrail.services.iam import common, tags
from opentrail.services.iam.inline_policies import encoded
from opentrail.store.sql import Snapshot, Tx

MOST = 1000
TRUST_SIZE = 2048
DEFAULT_DURATION = 3600


def shown(role: store.Role) -> dict[str, Any]:
    """The role as the API shows it, without tags."""
    found = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": encoded(role.trust),
        "MaxSessionDuration": role.longest,
    }
    return {**found, "Description": role.description} if role.description else found


def _checked_trust(document: str) -> str:
    if common.size(document) > TRUST_SIZE:
        raise common.limit("Cannot exceed quota for ACLSizePerRole: {most}", most=TRUST_SIZE)
    return common.checked_policy(document, "trust")


def _prepare(call: Call, input: Input) -> tuple[store.Role, dict[str, str]]:
    common.refuse_unsupported(input, "PermissionsBoundary")
    trust = _checked_trust(input.AssumeRolePolicyDocument)
    longest = input.MaxSessionDuration or DEFAULT_DURATION
    id = "AROA" + call.tools.ids.base32(17)
    role = store.Role(id, call.account, input.RoleName, input.Path or "/", call.now, 0, input.Description, longest, trust)
    return role, tags.checked(input.Tags)


def create_role(tx: Tx, call: Call, plan: tuple[store.Role, dict[str, str]]) -> Output:
    """Makes a role that those whom its trust policy names may assume."""
    role, fresh = plan
    if store.count_roles(tx, call.account) >= MOST:
        raise common.limit("Cannot exceed quota for RolesPerAccount: {most}", most=MOST)
    if not store.add_role(tx, role):
        raise common.exists("Role", role.name)
    store.put_tags(tx, role.id, fresh)
    return {"Role": {**shown(role), **({"Tags": tags.shown(fresh)} if fresh else {})}}


def get_role(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Shows a role with its trust policy and tags."""
    role = common.role(snapshot, call, input.RoleName)
    found = store.tags(snapshot, role.id)
    return {"Role": {**shown(role), **({"Tags": tags.shown(found)} if found else {})}}


def update_role(tx: Tx, call: Call, input: Input) -> Output:
    """Changes description and longest session."""
    role = common.role(tx, call, input.RoleName)
    description = role.description if input.Description is None else input.Description
    store.change_role(tx, role._replace(description=description, longest=input.MaxSessionDuration or role.longest))
    return {}


def update_role_description(tx: Tx, call: Call, input: Input) -> Output:
    """Changes the description and shows the role."""
    role = common.role(tx, call, input.RoleName)._replace(description=input.Description)
    store.change_role(tx, role)
    return {"Role": shown(role)}


def _prepare_trust(call: Call, input: Input) -> Input:
    _checked_trust(input.PolicyDocument)
    return input


def update_assume_role_policy(tx: Tx, call: Call, input: Input) -> Output:
    """Replaces the trust policy; sessions that exist go on."""
    role = common.role(tx, call, input.RoleName)
    store.change_role(tx, role._replace(trust=input.PolicyDocument))
    return {}


def delete_role(tx: Tx, call: Call, input: Input) -> Output:
    """Deletes a role without policies; its sessions end."""
    role = common.role(tx, call, input.RoleName)
    if store.inline_policies(tx, role.id):
        raise common.conflict("Cannot delete entity, must delete policies first.")
    store.drop_role(tx, role.id)
    return {}


list_roles = common.listing("Roles", store.roles, shown)
_R = common.REGION
_role = common.right_on_role
OPERATIONS = (
    Operation(
        "CreateRole",
        common.right_on_new("iam:CreateRole", "role", "RoleName"),
        prepare=_prepare,
        apply=create_role,
        global_region=_R,
    ),
    Operation("GetRole", _role("iam:GetRole"), read=get_role, global_region=_R),
    Operation("UpdateRole", _role("iam:UpdateRole"), apply=update_role, global_region=_R),
    Operation("UpdateRoleDescription", _role("iam:UpdateRoleDescription"), apply=update_role_description, global_region=_R),
    Operation(
        "UpdateAssumeRolePolicy",
        _role("iam:UpdateAssumeRolePolicy"),
        prepare=_prepare_trust,
        apply=update_assume_role_policy,
        global_region=_R,
    ),
    Operation("DeleteRole", _role("iam:DeleteRole"), apply=delete_role, global_region=_R),
    Operation("ListRoles", common.right_on_list("iam:ListRoles", "role"), read=list_roles, global_region=_R),
)
