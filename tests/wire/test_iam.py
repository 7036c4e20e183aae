"""IAM by boto3: users, keys, roles, inline policies, tags. Records carry us-east-1 whatever region is called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.wire.covers import covers
from tests.wire.story import MOMENT, Like, Story, policy, trust

TAGS = [{"Key": "ward", "Value": "east"}]


def user_of(story: Story, **more: Any) -> str:
    """A user without rights; its name."""
    name = story.name("ana")
    story.client("iam").create_user(UserName=name, **more)
    return name


def shown(kind: str, answer: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A user or role of an answer as responseElements show it."""
    members = {name[:1].lower() + name[1:]: value for name, value in answer.items() if not isinstance(value, list | dict)}
    return {kind: {**members, "createDate": MOMENT, **more}}


@covers("iam", "CreateUser", "GetUser", "ListUsers", "UpdateUser", "DeleteUser")
def test_users(story: Story) -> None:
    name, changed, path = story.name("ana"), story.name("eva"), f"/w{story.tag}/"
    arn = f"arn:aws:iam::123456789012:user{path}{name}"
    wanted = {
        "user": {
            "path": path, "userName": name, "userId": Like("AIDA[A-Z2-7]{17}"), "arn": arn, "createDate": MOMENT,
            "tags": [{"key": "ward", "value": "east"}],
        }
    }  # fmt: skip
    made = story.call("iam", "CreateUser", {"UserName": name, "Path": path, "Tags": TAGS}, response=wanted)["User"]
    assert (made["Arn"], made["Tags"]) == (arn, TAGS)
    assert story.call("iam", "GetUser", {"UserName": name})["User"]["UserId"] == made["UserId"]
    assert story.call("iam", "GetUser")["User"]["Arn"] == "arn:aws:iam::123456789012:root"
    listed = story.call("iam", "ListUsers", {"PathPrefix": path, "MaxItems": 5})["Users"]
    assert [one["UserName"] for one in listed] == [name]
    story.call("iam", "UpdateUser", {"UserName": name, "NewUserName": changed}, region="eu-central-1")
    story.call("iam", "DeleteUser", {"UserName": changed})
    story.call("iam", "GetUser", {"UserName": changed}, error="NoSuchEntity", recorded="NoSuchEntityException")


@covers("iam", "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey")
def test_access_keys(story: Story) -> None:
    name = user_of(story)
    wanted = {"accessKey": {"accessKeyId": Like("AKIA[A-Z2-7]{16}"), "status": "Active", "userName": name, "createDate": MOMENT}}
    key = story.call("iam", "CreateAccessKey", {"UserName": name}, response=wanted)["AccessKey"]
    assert len(key["SecretAccessKey"]) == 40
    listed = story.call("iam", "ListAccessKeys", {"UserName": name})["AccessKeyMetadata"]
    assert [one["AccessKeyId"] for one in listed] == [key["AccessKeyId"]]
    story.call("iam", "UpdateAccessKey", {"UserName": name, "AccessKeyId": key["AccessKeyId"], "Status": "Inactive"})
    story.call("iam", "DeleteAccessKey", {"UserName": name, "AccessKeyId": key["AccessKeyId"]})


@covers("iam", "CreateRole", "GetRole", "ListRoles", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy", "DeleteRole")
def test_roles(story: Story) -> None:
    name, path, document = story.name("nurse"), f"/w{story.tag}/", trust("arn:aws:iam::123456789012:root")
    input = {
        "RoleName": name, "Path": path, "AssumeRolePolicyDocument": document, "Description": "night", "MaxSessionDuration": 7200,
        "Tags": TAGS,
    }  # fmt: skip
    role = {
        "path": path, "roleName": name, "roleId": Like("AROA[A-Z2-7]{17}"), "arn": f"arn:aws:iam::123456789012:role{path}{name}",
        "createDate": MOMENT, "assumeRolePolicyDocument": Like("%7B.*"), "description": "night", "maxSessionDuration": 7200,
    }  # fmt: skip
    made = story.call("iam", "CreateRole", input, response={"role": {**role, "tags": [{"key": "ward", "value": "east"}]}})["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(document)
    assert story.call("iam", "GetRole", {"RoleName": name})["Role"]["MaxSessionDuration"] == 7200
    assert [one["RoleName"] for one in story.call("iam", "ListRoles", {"PathPrefix": path})["Roles"]] == [name]
    story.call("iam", "UpdateRole", {"RoleName": name, "Description": "day", "MaxSessionDuration": 3600})
    wanted = {"role": {**role, "description": "late", "maxSessionDuration": 3600}}
    story.call("iam", "UpdateRoleDescription", {"RoleName": name, "Description": "late"}, response=wanted)
    story.call("iam", "UpdateAssumeRolePolicy", {"RoleName": name, "PolicyDocument": trust("*")})
    story.call("iam", "DeleteRole", {"RoleName": name})


@covers("iam", "PutUserPolicy", "GetUserPolicy", "ListUserPolicies", "DeleteUserPolicy")
def test_policies_of_a_user(story: Story) -> None:
    policies(story, "User", user_of(story))


@covers("iam", "PutRolePolicy", "GetRolePolicy", "ListRolePolicies", "DeleteRolePolicy")
def test_policies_of_a_role(story: Story) -> None:
    policies(story, "Role", story.role("*")["RoleName"])


def policies(story: Story, kind: str, name: str) -> None:
    """Put, get, list, delete."""
    owner, document = {f"{kind}Name": name}, policy(("s3:GetObject", "*"))
    one = {**owner, "PolicyName": "reads"}
    story.call("iam", f"Put{kind}Policy", {**one, "PolicyDocument": document})
    assert story.call("iam", f"Get{kind}Policy", one)["PolicyDocument"] == json.loads(document)
    assert story.call("iam", f"List{kind}Policies", owner)["PolicyNames"] == ["reads"]
    story.call("iam", f"Delete{kind}Policy", one)
    story.call("iam", f"Get{kind}Policy", one, error="NoSuchEntity", recorded="NoSuchEntityException")


@covers("iam", "TagUser", "ListUserTags", "UntagUser")
def test_tags_of_a_user(story: Story) -> None:
    tags(story, "User", user_of(story))


@covers("iam", "TagRole", "ListRoleTags", "UntagRole")
def test_tags_of_a_role(story: Story) -> None:
    tags(story, "Role", story.role("*")["RoleName"])


def tags(story: Story, kind: str, name: str) -> None:
    """Tag, list, untag."""
    owner = {f"{kind}Name": name}
    story.call("iam", f"Tag{kind}", {**owner, "Tags": TAGS})
    assert story.call("iam", f"List{kind}Tags", owner)["Tags"] == TAGS
    story.call("iam", f"Untag{kind}", {**owner, "TagKeys": ["ward"]})
    assert story.call("iam", f"List{kind}Tags", owner)["Tags"] == []


def test_listings_page(story: Story) -> None:
    path = f"/p{story.tag}/"
    for number in range(5):
        user_of(story, Path=path) if number == 0 else story.client("iam").create_user(UserName=story.name(f"n{number}"), Path=path)
    pages = list(story.client("iam").get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2}))
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]


def test_a_policy_that_nobody_understands_is_refused(story: Story) -> None:
    input = {"UserName": user_of(story), "PolicyName": "x", "PolicyDocument": '{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}'}
    story.call("iam", "PutUserPolicy", input, error="MalformedPolicyDocument", recorded="MalformedPolicyDocumentException")
