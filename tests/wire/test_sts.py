"""STS by boto3: who calls, and temporary credentials of every kind, each of which then calls as what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import ANY

from benchmarks.servers import OTHER

from tests.wire.covers import covers
from tests.wire.story import MOMENT, REGION, SECOND, Caller, Like, Story, assumed, policy, root, trust

ISSUED = {"accessKeyId": Like("ASIA[A-Z2-7]{16}"), "expiration": MOMENT}
ATTRIBUTES = {"creationDate": SECOND, "mfaAuthenticated": "false"}


def holder(given: Mapping[str, Any], account: str, identity: Mapping[str, Any]) -> Caller:
    """The caller that holds issued credentials."""
    identity = {**identity, "accessKeyId": given["AccessKeyId"]}
    return Caller(account, given["AccessKeyId"], given["SecretAccessKey"], identity, given["SessionToken"])


@covers("sts", "GetCallerIdentity")
def test_get_caller_identity(story: Story) -> None:
    assert story.call("sts", "GetCallerIdentity")["Arn"] == "arn:aws:iam::123456789012:root"
    user = story.user()
    assert story.call("sts", "GetCallerIdentity", caller=user, region="ap-south-1")["UserId"] == user.identity["principalId"]


@covers("sts", "AssumeRole")
def test_assume_role(story: Story) -> None:
    user = story.user(("sts:*", "*"))
    role = story.role(user.identity["arn"], ("iam:GetUser", "*"))
    input = {
        "RoleArn": role["Arn"], "RoleSessionName": "night", "DurationSeconds": 900, "Policy": policy(("sts:*", "*")),
        "ExternalId": "ward-7",
    }  # fmt: skip
    wanted = {
        "credentials": ISSUED, "packedPolicySize": ANY,
        "assumedRoleUser": {"assumedRoleId": f"{role['RoleId']}:night", "arn": Like("arn:aws:sts::123456789012:assumed-role/.*/night")},
    }  # fmt: skip
    touched = [("AWS::IAM::Role", role["Arn"])]
    answer = story.call("sts", "AssumeRole", input, caller=user, response=wanted, resources=touched)
    night = assumed(role, "night", answer)
    assert story.call("sts", "GetCallerIdentity", caller=night)["Arn"] == night.identity["arn"]
    unknown = [("AWS::IAM::User", "arn:aws:iam::123456789012:user/x")]
    story.call("iam", "GetUser", {"UserName": "x"}, caller=night, error="AccessDenied", request=None, resources=unknown)


@covers("sts", "GetSessionToken")
def test_get_session_token(story: Story) -> None:
    user = story.user(("cloudtrail:*", "*"))
    answer = story.call("sts", "GetSessionToken", {"DurationSeconds": 900}, caller=user, response={"credentials": ISSUED})
    identity = {**user.identity, "sessionContext": {"sessionIssuer": {}, "webIdFederationData": {}, "attributes": ATTRIBUTES}}
    session = holder(answer["Credentials"], user.account, identity)
    story.call("cloudtrail", "ListTrails", caller=session)


@covers("sts", "GetFederationToken")
def test_get_federation_token(story: Story) -> None:
    user = story.user(("*", "*"))
    arn = "arn:aws:sts::123456789012:federated-user/visitor"
    input = {"Name": "visitor", "Policy": policy(("cloudtrail:ListTrails", "*"))}
    wanted = {
        "credentials": ISSUED, "packedPolicySize": ANY,
        "federatedUser": {"federatedUserId": "123456789012:visitor", "arn": arn},
    }  # fmt: skip
    answer = story.call("sts", "GetFederationToken", input, caller=user, response=wanted)
    issuer = {"type": "IAMUser", "principalId": user.identity["principalId"], "arn": user.identity["arn"], "accountId": user.account,
              "userName": user.identity["userName"]}  # fmt: skip
    identity = {
        "type": "FederatedUser", "principalId": "123456789012:visitor", "arn": arn, "accountId": user.account,
        "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": {}, "attributes": ATTRIBUTES},
    }  # fmt: skip
    visitor = holder(answer["Credentials"], user.account, identity)
    story.call("cloudtrail", "ListTrails", caller=visitor)
    story.call("cloudtrail", "DescribeTrails", caller=visitor, request=None, error="AccessDeniedException")


def test_a_role_assumed_from_another_account_is_recorded_for_both(story: Story) -> None:
    stranger = story.user(("sts:AssumeRole", "*"), owner=root(OTHER, story.live.server.keys))
    role = story.role(stranger.identity["arn"], ("cloudtrail:ListTrails", "*"))
    answer = story.client("sts", stranger).assume_role(RoleArn=role["Arn"], RoleSessionName="visit")
    request_id = answer["ResponseMetadata"]["RequestId"]
    (theirs,) = story.looked_up(OTHER, REGION, "AssumeRole", request_id)
    (ours,) = [one for one in story.live.journal(request_id) if one["recipientAccountId"] == story.root.account]
    assert theirs["userIdentity"] == stranger.identity
    assert ours["userIdentity"] == {"type": "AWSAccount", "principalId": stranger.identity["principalId"], "accountId": OTHER}
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert ours["eventID"] != theirs["eventID"]
    story.call("cloudtrail", "ListTrails", caller=assumed(role, "visit", answer))


def test_a_role_that_trusts_somebody_else_is_refused(story: Story) -> None:
    user, role = story.user(("sts:*", "*")), story.role("arn:aws:iam::123456789012:root")
    story.client("iam").update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust(f"arn:aws:iam::{OTHER}:root"))
    input = {"RoleArn": role["Arn"], "RoleSessionName": "night"}
    aimed = [("AWS::IAM::Role", role["Arn"])]
    story.call("sts", "AssumeRole", input, caller=user, request=None, resources=aimed, error="AccessDenied")
    story.call("sts", "AssumeRole", input, request=None, error="AccessDenied")
