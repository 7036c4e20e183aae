"""IAM by boto3: users, keys, roles, inline policies, tags. Records carry us-east-1 whatever region is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.covers import covers
from tests.wire.story import MOMENT, Like, Story, policy, trust

TAGS = [{"Key": "ward", "Value": "east"}]


def user_of(story: Story, **more: Any) -> str:
    """A user without rights; its name."""
    name = story.name("ana")
    story.client("iam").create_user(UserName=name, **more)
    return name


def entity(kind: str, name: str, path: str = "/") -> tuple[str, str]:
    """A user or role as records name it."""
    return f"AWS::IAM::{kind}", f"arn:aws:iam::123456789012:{kind.lower()}{path}{name}"


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
    this, other = [entity("User", name, path)], [entity("User", changed, path)]
    made = story.call("iam", "CreateUser", {"UserName": name, "Path": path, "Tags": TAGS}, response=wanted, resources=this)["User"]
    assert (made["Arn"], made["Tags"]) == (arn, TAGS)
    assert story.call("iam", "GetUser", {"UserName": name}, resources=this)["User"]["UserId"] == made["UserId"]
    assert story.call("iam", "GetUser")["User"]["Arn"] == "arn:aws:iam::123456789012:root"
    listed = story.call("iam", "ListUsers", {"PathPrefix": path, "MaxItems": 5})["Users"]
    assert [one["UserName"] for one in listed] == [name]
    story.call("iam", "UpdateUser", {"UserName": name, "NewUserName": changed}, region="eu-central-1", resources=this + other)
    story.call("iam", "DeleteUser", {"UserName": changed}, resources=other)
    gone = [entity("User", changed)]
    story.call("iam", "GetUser", {"UserName": changed}, error="NoSuchEntity", recorded="NoSuchEntityException", resources=gone)


@covers("iam", "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey")
def test_access_keys(story: Story) -> None:
    name = user_of(story)
    wanted = {"accessKey": {"accessKeyId": Like("AKIA[A-Z2-7]{16}"), "status": "Active", "userName": name, "createDate": MOMENT}}
    whose, new = entity("User", name), ("AWS::IAM::AccessKey", Like("AKIA[A-Z2-7]{16}"))
    key = story.call("iam", "CreateAccessKey", {"UserName": name}, response=wanted, resources=[whose, new])["AccessKey"]
    assert len(key["SecretAccessKey"]) == 40
    listed = story.call("iam", "ListAccessKeys", {"UserName": name}, resources=[whose])["AccessKeyMetadata"]
    assert [one["AccessKeyId"] for one in listed] == [key["AccessKeyId"]]
    both, same = [whose, ("AWS::IAM::AccessKey", key["AccessKeyId"])], {"UserName": name, "AccessKeyId": key["AccessKeyId"]}
    story.call("iam", "UpdateAccessKey", {**same, "Status": "Inactive"}, resources=both)
    story.call("iam", "DeleteAccessKey", same, resources=both)


def test_event_history_finds_the_calls_on_a_user(story: Story) -> None:
    name, other = user_of(story, Path="/ward/"), story.user()
    key = story.client("iam").create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    refused(lambda: story.client("iam", other).delete_user(UserName=name))
    arn = entity("User", name, "/ward/")[1]
    for wanted in (name, arn):
        assert [event["EventName"] for event in about(story, wanted)] == ["DeleteUser", "CreateAccessKey", "CreateUser"]
    (made,) = about(story, key)
    assert made["Resources"] == [
        {"ResourceType": "AWS::IAM::User", "ResourceName": arn},
        {"ResourceType": "AWS::IAM::AccessKey", "ResourceName": key},
    ]


def about(story: Story, name: str) -> list[dict[str, Any]]:
    """Event history of a resource, newest first."""
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
    found: list[dict[str, Any]] = story.client("cloudtrail").lookup_events(LookupAttributes=asked)["Events"]
    return found


def refused(call: Callable[[], Any]) -> None:
    """The call is denied."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


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
    this = [entity("Role", name, path)]
    tagged = {"role": {**role, "tags": [{"key": "ward", "value": "east"}]}}
    made = story.call("iam", "CreateRole", input, response=tagged, resources=this)["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(document)
    assert story.call("iam", "GetRole", {"RoleName": name}, resources=this)["Role"]["MaxSessionDuration"] == 7200
    assert [one["RoleName"] for one in story.call("iam", "ListRoles", {"PathPrefix": path})["Roles"]] == [name]
    story.call("iam", "UpdateRole", {"RoleName": name, "Description": "day", "MaxSessionDuration": 3600}, resources=this)
    wanted = {"role": {**role, "description": "late", "maxSessionDuration": 3600}}
    story.call("iam", "UpdateRoleDescription", {"RoleName": name, "Description": "late"}, response=wanted, resources=this)
    story.call("iam", "UpdateAssumeRolePolicy", {"RoleName": name, "PolicyDocument": trust("*")}, resources=this)
    story.call("iam", "DeleteRole", {"RoleName": name}, resources=this)


@covers("iam", "PutUserPolicy", "GetUserPolicy", "ListUserPolicies", "DeleteUserPolicy")
def test_policies_of_a_user(story: Story) -> None:
    policies(story, "User", user_of(story))


@covers("iam", "PutRolePolicy", "GetRolePolicy", "ListRolePolicies", "DeleteRolePolicy")
def test_policies_of_a_role(story: Story) -> None:
    policies(story, "Role", story.role("*")["RoleName"])


def policies(story: Story, kind: str, name: str) -> None:
    """Put, get, list, delete."""
    owner, document, whose = {f"{kind}Name": name}, policy(("s3:GetObject", "*")), [entity(kind, name)]
    reads, both = {**owner, "PolicyName": "reads"}, [*whose, ("AWS::IAM::Policy", "reads")]
    story.call("iam", f"Put{kind}Policy", {**reads, "PolicyDocument": document}, resources=both)
    assert story.call("iam", f"Get{kind}Policy", reads, resources=both)["PolicyDocument"] == json.loads(document)
    assert story.call("iam", f"List{kind}Policies", owner, resources=whose)["PolicyNames"] == ["reads"]
    story.call("iam", f"Delete{kind}Policy", reads, resources=both)
    story.call("iam", f"Get{kind}Policy", reads, error="NoSuchEntity", recorded="NoSuchEntityException", resources=both)


@covers("iam", "TagUser", "ListUserTags", "UntagUser")
def test_tags_of_a_user(story: Story) -> None:
    tags(story, "User", user_of(story))


@covers("iam", "TagRole", "ListRoleTags", "UntagRole")
def test_tags_of_a_role(story: Story) -> None:
    tags(story, "Role", story.role("*")["RoleName"])


def tags(story: Story, kind: str, name: str) -> None:
    """Tag, list, untag."""
    owner, whose = {f"{kind}Name": name}, [entity(kind, name)]
    story.call("iam", f"Tag{kind}", {**owner, "Tags": TAGS}, resources=whose)
    assert story.call("iam", f"List{kind}Tags", owner, resources=whose)["Tags"] == TAGS
    story.call("iam", f"Untag{kind}", {**owner, "TagKeys": ["ward"]}, resources=whose)
    assert story.call("iam", f"List{kind}Tags", owner, resources=whose)["Tags"] == []
