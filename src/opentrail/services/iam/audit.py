"""What records keep of IAM's calls: names, paths, tags and policy documents as AWS keeps them; never a secret key."""

from __future__ import annotations

from importlib.resources import files

from opentrail.calls.operation import NOTHING, Audit

_USER_OUT = ("User.Path", "User.UserName", "User.UserId", "User.Arn", "User.CreateDate", "User.Tags[].Key", "User.Tags[].Value")
_USER_NEVER = (
    "User.PasswordLastUsed",
    "User.PermissionsBoundary.PermissionsBoundaryType",
    "User.PermissionsBoundary.PermissionsBoundaryArn",
)
_ROLE_OUT = (
    "Role.Path",
    "Role.RoleName",
    "Role.RoleId",
    "Role.Arn",
    "Role.CreateDate",
    "Role.AssumeRolePolicyDocument",
    "Role.MaxSessionDuration",
    "Role.Description",
    "Role.Tags[].Key",
    "Role.Tags[].Value",
)
_ROLE_NEVER = (
    "Role.PermissionsBoundary.PermissionsBoundaryType",
    "Role.PermissionsBoundary.PermissionsBoundaryArn",
    "Role.RoleLastUsed.LastUsedDate",
    "Role.RoleLastUsed.Region",
    "Role.SourceRoleTemplate.TemplateArn",
    "Role.SourceRoleTemplate.TemplateMinorVersion",
)
_PAGE = ("Marker", "MaxItems")
_TAGS = ("Tags[].Key", "Tags[].Value")
_SILENT = ("*",)

_OFFERED = {
    "CreateUser": Audit(("Path", "UserName", *_TAGS, "PermissionsBoundary"), (), _USER_OUT, _USER_NEVER, times=("User.CreateDate",)),
    "GetUser": Audit(("UserName",), drop_output=_SILENT),
    "UpdateUser": Audit(("UserName", "NewPath", "NewUserName")),
    "DeleteUser": Audit(("UserName",)),
    "ListUsers": Audit(("PathPrefix", *_PAGE), drop_output=_SILENT),
    "CreateAccessKey": Audit(
        ("UserName",),
        keep_output=("AccessKey.AccessKeyId", "AccessKey.Status", "AccessKey.UserName", "AccessKey.CreateDate"),
        drop_output=("AccessKey.SecretAccessKey",),
        times=("AccessKey.CreateDate",),
    ),
    "ListAccessKeys": Audit(("UserName", *_PAGE), drop_output=_SILENT),
    "UpdateAccessKey": Audit(("UserName", "AccessKeyId", "Status")),
    "DeleteAccessKey": Audit(("UserName", "AccessKeyId")),
    "CreateRole": Audit(
        ("Path", "RoleName", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "PermissionsBoundary", *_TAGS),
        (),
        _ROLE_OUT,
        _ROLE_NEVER,
        times=("Role.CreateDate",),
    ),
    "GetRole": Audit(("RoleName",), drop_output=_SILENT),
    "UpdateRole": Audit(("RoleName", "Description", "MaxSessionDuration")),
    "UpdateRoleDescription": Audit(("RoleName", "Description"), (), _ROLE_OUT, _ROLE_NEVER, times=("Role.CreateDate",)),
    "UpdateAssumeRolePolicy": Audit(("RoleName", "PolicyDocument")),
    "DeleteRole": Audit(("RoleName",)),
    "ListRoles": Audit(("PathPrefix", *_PAGE), drop_output=_SILENT),
    "PutUserPolicy": Audit(("UserName", "PolicyName", "PolicyDocument")),
    "GetUserPolicy": Audit(("UserName", "PolicyName"), drop_output=_SILENT),
    "DeleteUserPolicy": Audit(("UserName", "PolicyName")),
    "ListUserPolicies": Audit(("UserName", *_PAGE), drop_output=_SILENT),
    "PutRolePolicy": Audit(("RoleName", "PolicyName", "PolicyDocument")),
    "GetRolePolicy": Audit(("RoleName", "PolicyName"), drop_output=_SILENT),
    "DeleteRolePolicy": Audit(("RoleName", "PolicyName")),
    "ListRolePolicies": Audit(("RoleName", *_PAGE), drop_output=_SILENT),
    "TagUser": Audit(("UserName", *_TAGS)),
    "UntagUser": Audit(("UserName", "TagKeys[]")),
    "ListUserTags": Audit(("UserName", *_PAGE), drop_output=_SILENT),
    "TagRole": Audit(("RoleName", *_TAGS)),
    "UntagRole": Audit(("RoleName", "TagKeys[]")),
    "ListRoleTags": Audit(("RoleName", *_PAGE), drop_output=_SILENT),
}

NOT_OFFERED = tuple(files("opentrail.services.iam").joinpath("not_offered.tsv").read_text("utf-8").split()[1:])
"""Operations of the model that are refused; their records keep nothing."""

AUDIT = {**dict.fromkeys(NOT_OFFERED, NOTHING), **_OFFERED}
