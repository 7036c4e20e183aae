"""IAM: what is made is found, conflicts are AWS's, rights are asked for on the entity, and what is revoked fails at once."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from opentrail.identity.refusals import Rejected
from opentrail.kernel.errors import ServiceError
from opentrail.services.iam.service import SERVICE
from tests.unit.services.identity_world import HOME, World

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": HOME}, "Action": "sts:AssumeRole"}]})
ALL = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def refusal(world: World, name: str, key: tuple[str, str] | None = None, **input: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        world.iam(name, key, **input)
    return caught.value


def test_a_user_from_birth_to_death(world: World) -> None:
    made = world.iam("CreateUser", UserName="nurse", Path="/ward/", Tags=[{"Key": "Team", "Value": "a"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{HOME}:user/ward/nurse"
    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    assert world.iam("GetUser", UserName="nurse")["User"] == made
    assert refusal(world, "CreateUser", UserName="NURSE").for_caller() == "User with name NURSE already exists."
    world.iam("UpdateUser", UserName="nurse", NewUserName="sister", NewPath="/")
    assert refusal(world, "GetUser", UserName="nurse").for_caller() == "The user with name nurse cannot be found."
    assert world.iam("GetUser", UserName="sister")["User"]["UserId"] == made["UserId"]
    world.iam("PutUserPolicy", UserName="sister", PolicyName="p", PolicyDocument=ALL)
    error = refusal(world, "DeleteUser", UserName="sister")
    assert (error.code, error.status, error.for_caller()) == (
        "DeleteConflictException",
        409,
        "Cannot delete entity, must delete policies first.",
    )
    world.iam("DeleteUserPolicy", UserName="sister", PolicyName="p")
    world.iam("DeleteUser", UserName="sister")
    assert world.iam("ListUsers") == {"Users": [], "IsTruncated": False}


def test_a_root_user_is_itself(world: World) -> None:
    assert world.iam("GetUser")["User"]["Arn"] == f"arn:aws:iam::{HOME}:root"


def test_names_are_taken_in_any_case(world: World) -> None:
    world.iam("CreateRole", RoleName="Reader", AssumeRolePolicyDocument=TRUST)
    error = refusal(world, "CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST)
    assert (error.code, error.status) == ("EntityAlreadyExistsException", 409)


def test_pages_follow_each_other_and_markers_cannot_be_moved(world: World) -> None:
    for number in range(5):
        world.iam("CreateUser", UserName=f"u{number}", Path="/a/" if number else "/b/")
    first = world.iam("ListUsers", MaxItems=2, PathPrefix="/a/")
    second = world.iam("ListUsers", MaxItems=2, PathPrefix="/a/", Marker=first["Marker"])
    names = [user["UserName"] for page in (first, second) for user in page["Users"]]
    assert names == ["u1", "u2", "u3", "u4"]
    assert (first["IsTruncated"], second["IsTruncated"]) == (True, False)
    for input in ({"PathPrefix": "/b/", "Marker": first["Marker"]}, {"Marker": "x"}):
        assert refusal(world, "ListUsers", **input).code == "ValidationError"
    assert len(first["Marker"]) <= 320


def test_access_keys_are_two_and_die_at_once(world: World) -> None:
    key = world.user("nurse", ALL)
    assert world.load(key).principal.user_name == "nurse"
    world.iam("CreateAccessKey", UserName="nurse")
    assert refusal(world, "CreateAccessKey", UserName="nurse").code == "LimitExceededException"
    assert [shown["Status"] for shown in world.iam("ListAccessKeys", key)["AccessKeyMetadata"]] == ["Active", "Active"]
    assert refusal(world, "DeleteUser", UserName="nurse").for_caller() == "Cannot delete entity, must delete access keys first."
    world.iam("UpdateAccessKey", UserName="nurse", AccessKeyId=key[0], Status="Inactive")
    with pytest.raises(Rejected, match="inactive"):
        world.iam("ListUsers", key)
    world.iam("UpdateAccessKey", UserName="nurse", AccessKeyId=key[0], Status="Active")
    world.iam("ListUsers", key)
    world.iam("DeleteAccessKey", UserName="nurse", AccessKeyId=key[0])
    with pytest.raises(Rejected, match="unknown-key"):
        world.iam("ListUsers", key)
    assert refusal(world, "DeleteAccessKey", UserName="nurse", AccessKeyId=world.root()[0]).code == "NoSuchEntityException"


def test_rights_are_asked_on_the_entity_with_its_path(world: World) -> None:
    ward = {"Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::{HOME}:user/ward/*"}
    tagged = {"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*", "Condition": {"Null": {"aws:RequestTag/team": "true"}}}
    key = world.user("head", json.dumps({"Version": "2012-10-17", "Statement": [ward, tagged]}))
    world.iam("CreateUser", key, UserName="nurse", Path="/ward/", Tags=[{"Key": "Team", "Value": "a"}])
    world.iam("GetUser", key, UserName="nurse")
    for name, input in {
        "CreateUser": {"UserName": "other", "Tags": [{"Key": "Team", "Value": "a"}]},
        "GetUser": {"UserName": "head"},
        "ListUsers": {},
    }.items():
        error = refusal(world, name, key, **input)
        assert (error.code, error.status) == ("AccessDenied", 403)
    untagged = refusal(world, "CreateUser", key, UserName="n2", Path="/ward/")
    assert untagged.for_caller().endswith("with an explicit deny in an identity-based policy")


def named(world: World) -> list[tuple[str, str]]:
    """The resources that the record of the last call names."""
    assert world.last is not None
    return [(touched.type, touched.arn) for touched in world.last.touched]


def test_records_name_whom_a_call_concerns(world: World) -> None:
    nurse, sister = f"arn:aws:iam::{HOME}:user/ward/nurse", f"arn:aws:iam::{HOME}:user/sister"
    world.iam("CreateUser", UserName="nurse", Path="/ward/")
    assert named(world) == [("AWS::IAM::User", nurse)]
    key = world.iam("CreateAccessKey", UserName="nurse")["AccessKey"]["AccessKeyId"]
    assert named(world) == [("AWS::IAM::User", nurse), ("AWS::IAM::AccessKey", key)]
    world.iam("DeleteAccessKey", UserName="NURSE", AccessKeyId=key)
    assert named(world) == [("AWS::IAM::User", nurse), ("AWS::IAM::AccessKey", key)]
    world.iam("PutUserPolicy", UserName="nurse", PolicyName="reads", PolicyDocument=ALL)
    assert named(world) == [("AWS::IAM::User", nurse), ("AWS::IAM::Policy", "reads")]
    world.iam("UpdateUser", UserName="nurse", NewUserName="sister", NewPath="/")
    assert named(world) == [("AWS::IAM::User", nurse), ("AWS::IAM::User", sister)]
    world.iam("CreateRole", RoleName="reader", Path="/ward/", AssumeRolePolicyDocument=TRUST)
    world.iam("GetRole", RoleName="reader")
    assert named(world) == [("AWS::IAM::Role", f"arn:aws:iam::{HOME}:role/ward/reader")]
    key = world.iam("CreateAccessKey")["AccessKey"]["AccessKeyId"]
    assert named(world) == [("AWS::IAM::AccessKey", key)], "the root user is no IAM user"


def test_records_name_whom_a_refused_call_would_concern(world: World) -> None:
    key = world.user("visitor")
    for name, input, wanted in (
        ("CreateUser", {"UserName": "nurse", "Path": "/ward/"}, [("AWS::IAM::User", f"arn:aws:iam::{HOME}:user/ward/nurse")]),
        ("DeleteRole", {"RoleName": "reader"}, [("AWS::IAM::Role", f"arn:aws:iam::{HOME}:role/reader")]),
        (
            "UpdateAccessKey",
            {"UserName": "visitor", "AccessKeyId": key[0], "Status": "Inactive"},
            [("AWS::IAM::User", f"arn:aws:iam::{HOME}:user/visitor"), ("AWS::IAM::AccessKey", key[0])],
        ),
    ):
        assert refusal(world, name, key, **input).code == "AccessDenied"
        assert named(world) == wanted
    assert refusal(world, "DeleteUser", UserName="nobody").code == "NoSuchEntityException"
    assert named(world) == [("AWS::IAM::User", f"arn:aws:iam::{HOME}:user/nobody")]


def denying(key: str, value: str, action: str = "*") -> str:
    """A policy that allows everything but `action` where a condition key has the value."""
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": {"StringEquals": {key: value}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})


@pytest.mark.parametrize("family", ["aws:ResourceTag", "iam:ResourceTag"])
def test_tags_of_users_and_roles_decide_in_the_very_next_call(world: World, family: str) -> None:
    key = world.user("head", denying(f"{family}/class", "secret"))
    world.iam("CreateUser", UserName="nurse", Path="/ward/")
    world.iam("CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST)
    assume = {"RoleArn": f"arn:aws:iam::{HOME}:role/reader", "RoleSessionName": "night"}
    for tag in ({"Key": "Class", "Value": "open"}, {"Key": "Class", "Value": "secret"}):
        world.iam("GetUser", key, UserName="nurse")
        world.iam("GetRole", key, RoleName="reader")
        world.sts("AssumeRole", key, **assume)
        world.iam("TagUser", UserName="nurse", Tags=[tag])
        world.iam("TagRole", RoleName="reader", Tags=[tag])
    assert refusal(world, "GetUser", key, UserName="nurse").code == "AccessDenied"
    assert refusal(world, "UntagRole", key, RoleName="reader", TagKeys=["Class"]).code == "AccessDenied"
    with pytest.raises(ServiceError, match="AccessDenied"):
        world.sts("AssumeRole", key, **assume)
    world.iam("UntagUser", UserName="nurse", TagKeys=["Class"])
    world.iam("GetUser", key, UserName="nurse")


def test_a_new_user_or_role_with_tags_needs_the_right_to_tag(world: World) -> None:
    create = {"Effect": "Allow", "Action": ["iam:CreateUser", "iam:CreateRole"], "Resource": "*"}
    key, tags = world.user("head", json.dumps({"Version": "2012-10-17", "Statement": create})), [{"Key": "Class", "Value": "open"}]
    world.iam("CreateUser", key, UserName="nurse")
    world.iam("CreateRole", key, RoleName="reader", AssumeRolePolicyDocument=TRUST)
    error = refusal(world, "CreateUser", key, UserName="eva", Tags=tags)
    assert "is not authorized to perform: iam:TagUser on resource" in error.for_caller()
    error = refusal(world, "CreateRole", key, RoleName="writer", AssumeRolePolicyDocument=TRUST, Tags=tags)
    assert "is not authorized to perform: iam:TagRole on resource" in error.for_caller()
    world.iam("PutUserPolicy", UserName="head", PolicyName="tags", PolicyDocument=ALL.replace('"*", "R', '"iam:Tag*", "R'))
    world.iam("CreateUser", key, UserName="eva", Tags=tags)
    world.iam("CreateRole", key, RoleName="writer", AssumeRolePolicyDocument=TRUST, Tags=tags)


def test_the_standard_policy_for_passing_roles_is_taken(world: World) -> None:
    passing = denying("iam:PassedToService", "healthlake.amazonaws.com", "iam:PassRole")
    world.iam("CreateUser", UserName="nurse")
    world.iam("PutUserPolicy", UserName="nurse", PolicyName="p", PolicyDocument=passing)


def test_a_policy_counts_in_the_very_next_call(world: World) -> None:
    key = world.user("nurse", ALL)
    world.iam("ListRoles", key)
    world.iam("DeleteUserPolicy", UserName="nurse", PolicyName="p0")
    assert refusal(world, "ListRoles", key).code == "AccessDenied"


def test_policies_are_checked_and_bounded(world: World) -> None:
    world.iam("CreateUser", UserName="nurse")
    bad = ALL.replace("Allow", "Perhaps")
    error = refusal(world, "PutUserPolicy", UserName="nurse", PolicyName="p", PolicyDocument=bad)
    assert error.code == "MalformedPolicyDocumentException"
    assert "statement 1" in error.for_caller()
    assert "statement 1" not in error.for_record()
    wide = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:" + "x" * 2000, "Resource": "*"}})
    error = refusal(world, "PutUserPolicy", UserName="nurse", PolicyName="p", PolicyDocument=wide)
    assert error.for_caller() == "Maximum policy size of 2048 bytes exceeded for user nurse"
    world.iam("PutUserPolicy", UserName="nurse", PolicyName="p", PolicyDocument=ALL)
    shown = world.iam("GetUserPolicy", UserName="nurse", PolicyName="p")
    assert unquote(shown["PolicyDocument"]) == ALL
    assert world.iam("ListUserPolicies", UserName="nurse")["PolicyNames"] == ["p"]
    assert refusal(world, "GetUserPolicy", UserName="nurse", PolicyName="q").code == "NoSuchEntityException"


def test_a_role_from_birth_to_death(world: World) -> None:
    made = world.iam("CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST, Description="reads", MaxSessionDuration=7200)["Role"]
    assert unquote(made["AssumeRolePolicyDocument"]) == TRUST
    world.iam("UpdateRole", RoleName="reader", MaxSessionDuration=3600)
    shown = world.iam("GetRole", RoleName="reader")["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("reads", 3600)
    assert world.iam("UpdateRoleDescription", RoleName="reader", Description="r")["Role"]["Description"] == "r"
    other = TRUST.replace(HOME, "222222222222")
    world.iam("UpdateAssumeRolePolicy", RoleName="reader", PolicyDocument=other)
    assert unquote(world.iam("GetRole", RoleName="reader")["Role"]["AssumeRolePolicyDocument"]) == other
    assert refusal(world, "UpdateAssumeRolePolicy", RoleName="reader", PolicyDocument=ALL).code == "MalformedPolicyDocumentException"
    world.iam("PutRolePolicy", RoleName="reader", PolicyName="p", PolicyDocument=ALL)
    assert world.iam("ListRolePolicies", RoleName="reader")["PolicyNames"] == ["p"]
    assert refusal(world, "DeleteRole", RoleName="reader").code == "DeleteConflictException"
    world.iam("DeleteRolePolicy", RoleName="reader", PolicyName="p")
    world.iam("DeleteRole", RoleName="reader")
    assert world.iam("ListRoles")["Roles"] == []


def test_tags_of_users_and_roles(world: World) -> None:
    world.iam("CreateUser", UserName="nurse")
    world.iam("TagUser", UserName="nurse", Tags=[{"Key": "Team", "Value": "a"}, {"Key": "Floor", "Value": "1"}])
    world.iam("TagUser", UserName="nurse", Tags=[{"Key": "team", "Value": "b"}])
    page = world.iam("ListUserTags", UserName="nurse", MaxItems=1)
    assert page["Tags"] == [{"Key": "Floor", "Value": "1"}]
    assert world.iam("ListUserTags", UserName="nurse", Marker=page["Marker"])["Tags"] == [{"Key": "team", "Value": "b"}]
    world.iam("UntagUser", UserName="nurse", TagKeys=["TEAM"])
    assert world.iam("ListUserTags", UserName="nurse")["Tags"] == [{"Key": "Floor", "Value": "1"}]
    twice = [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]
    assert refusal(world, "TagUser", UserName="nurse", Tags=twice).code == "InvalidInputException"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refusal(world, "TagUser", UserName="nurse", Tags=many).code == "LimitExceededException"


def test_what_is_not_supported_is_refused(world: World) -> None:
    boundary = f"arn:aws:iam::{HOME}:policy/b"
    assert refusal(world, "CreateUser", UserName="n", PermissionsBoundary=boundary).code == "InvalidInputException"
    assert "AttachUserPolicy" not in SERVICE.operations
