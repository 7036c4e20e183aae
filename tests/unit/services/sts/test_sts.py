"""STS: whom a trust policy lets in, what a session may, and how sessions end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opentrail.identity import sessions, store
from opentrail.identity.decide import decide
from opentrail.identity.refusals import Rejected
from opentrail.kernel.errors import ServiceError
from tests.unit.services.identity_world import AWAY, HOME, World, session

ROLE = f"arn:aws:iam::{HOME}:role/team/reader"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}})


def trust(principal: str, condition: Any = None, actions: Any = "sts:AssumeRole") -> str:
    return policy(Principal={"AWS": principal}, Action=actions, **({"Condition": condition} if condition else {}))


MAY_ASSUME = policy(Action="sts:*", Resource="*")
READS = policy(Action="iam:List*", Resource="*")
NURSE, GUEST = f"arn:aws:iam::{HOME}:user/nurse", f"arn:aws:iam::{AWAY}:user/guest"


def role(world: World, document: str, **more: Any) -> None:
    world.iam("CreateRole", RoleName="reader", Path="/team/", AssumeRolePolicyDocument=document, **more)
    world.iam("PutRolePolicy", RoleName="reader", PolicyName="reads", PolicyDocument=READS)


def refusal(world: World, name: str, key: tuple[str, str], **input: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        world.sts(name, key, **input)
    return caught.value


def assume(world: World, key: tuple[str, str], **more: Any) -> Any:
    return world.sts("AssumeRole", key, RoleArn=ROLE, RoleSessionName="night", **more)


def test_trust_policies_as_a_table(world: World) -> None:
    nurse, guest = world.user("nurse"), world.user("guest", account=AWAY)
    able, able_guest = world.user("able", MAY_ASSUME), world.user("able-guest", MAY_ASSUME, account=AWAY)
    role(world, trust(NURSE))
    external = {"StringEquals": {"sts:ExternalId": "x-1"}}
    named = {"StringLike": {"sts:RoleSessionName": "day*"}}
    table: list[tuple[str, tuple[str, str], dict[str, Any], bool]] = [
        (trust(NURSE), nurse, {}, True),
        (trust(NURSE), able, {}, False),
        (trust(HOME), nurse, {}, False),
        (trust(HOME), able, {}, True),
        (trust(GUEST), guest, {}, False),
        (trust(AWAY), able_guest, {}, True),
        (trust(NURSE), able_guest, {}, False),
        (trust(NURSE, external), nurse, {}, False),
        (trust(NURSE, external), nurse, {"ExternalId": "x-1"}, True),
        (trust(NURSE, external), nurse, {"ExternalId": "x-1\n"}, False),
        (trust(NURSE, named), nurse, {}, False),
        (trust(NURSE), nurse, {"Tags": [{"Key": "a", "Value": "b"}]}, False),
        (trust(NURSE, actions=["sts:AssumeRole", "sts:TagSession"]), nurse, {"Tags": [{"Key": "a", "Value": "b"}]}, True),
        (trust(NURSE), nurse, {"SourceIdentity": "anna"}, False),
        (trust(NURSE, actions="sts:*"), nurse, {"SourceIdentity": "anna"}, True),
    ]
    for document, key, more, allowed in table:
        world.iam("UpdateAssumeRolePolicy", RoleName="reader", PolicyDocument=document)
        if allowed:
            assert assume(world, key, **more)["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{HOME}:assumed-role/reader/night"
        else:
            error = refusal(world, "AssumeRole", key, RoleArn=ROLE, RoleSessionName="night", **more)
            assert (error.code, error.status) == ("AccessDenied", 403), (document, more)


def test_a_role_session_does_what_the_role_may(world: World) -> None:
    nurse = world.user("nurse")
    role(world, trust(NURSE, actions="sts:*"))
    answer = assume(world, nurse, SourceIdentity="anna", Tags=[{"Key": "Team", "Value": "a"}])
    night = session(answer)
    found = world.load(night)
    issuer = found.principal.session and found.principal.session.issuer
    assert issuer is not None
    assert (issuer.kind, issuer.arn, issuer.user_name) == ("Role", ROLE, "reader")
    assert found.tags == {"Team": "a"}
    assert answer["Credentials"]["Expiration"] == world.now + 3600
    assert world.sts("GetCallerIdentity", night) == {
        "UserId": answer["AssumedRoleUser"]["AssumedRoleId"],
        "Account": HOME,
        "Arn": answer["AssumedRoleUser"]["Arn"],
    }
    world.iam("ListUsers", night)
    with pytest.raises(ServiceError, match="AccessDenied"):
        world.iam("GetRole", night, RoleName="reader")
    world.iam("DeleteRolePolicy", RoleName="reader", PolicyName="reads")
    with pytest.raises(ServiceError, match="AccessDenied"):
        world.iam("ListUsers", night)


def test_a_session_policy_narrows(world: World) -> None:
    nurse = world.user("nurse")
    role(world, trust(NURSE))
    night = session(assume(world, nurse, Policy=policy(Action="iam:ListUsers", Resource="*")))
    world.iam("ListUsers", night)
    with pytest.raises(ServiceError) as caught:
        world.iam("ListRoles", night)
    assert caught.value.for_caller().endswith("because no session policy allows the iam:ListRoles action")


def test_durations_and_chains(world: World) -> None:
    nurse = world.user("nurse")
    role(world, trust(HOME, actions="sts:*"), MaxSessionDuration=7200)
    world.iam("PutUserPolicy", UserName="nurse", PolicyName="p", PolicyDocument=MAY_ASSUME)
    world.iam("PutRolePolicy", RoleName="reader", PolicyName="p", PolicyDocument=MAY_ASSUME)
    night = session(assume(world, nurse, DurationSeconds=7200, SourceIdentity="anna"))
    assert refusal(world, "AssumeRole", nurse, RoleArn=ROLE, RoleSessionName="n2", DurationSeconds=7201).code == "ValidationError"
    assert refusal(world, "AssumeRole", night, RoleArn=ROLE, RoleSessionName="n2", DurationSeconds=3601).code == "ValidationError"
    assert refusal(world, "AssumeRole", night, RoleArn=ROLE, RoleSessionName="n2", SourceIdentity="other").code == "AccessDenied"
    assert assume(world, night)["SourceIdentity"] == "anna"
    assert refusal(world, "GetSessionToken", night).for_caller() == "Cannot call GetSessionToken with session credentials"
    world.load(night)
    world.now += 7200
    with pytest.raises(Rejected, match="expired-token"):
        world.load(night)


def test_root_users_assume_no_roles_and_unknown_roles_are_denied(world: World) -> None:
    role(world, trust(HOME))
    assert refusal(world, "AssumeRole", world.root(), RoleArn=ROLE, RoleSessionName="n").for_caller().startswith("Roles may not be")
    able = world.user("able", MAY_ASSUME)
    for arn in (ROLE.replace("/team/", "/"), f"arn:aws:iam::{HOME}:role/none", f"arn:aws:iam::{AWAY}:role/reader"):
        assert refusal(world, "AssumeRole", able, RoleArn=arn, RoleSessionName="n").code == "AccessDenied"


def test_a_session_of_a_user_or_root(world: World) -> None:
    nurse = world.user("nurse", policy(Action="*", Resource="*"))
    own = session(world.sts("GetSessionToken", nurse))
    assert world.sts("GetCallerIdentity", own)["Arn"] == NURSE
    assert world.load(own).principal.session is not None
    with pytest.raises(ServiceError, match="InvalidClientTokenId"):
        world.iam("ListUsers", own)
    answer = world.sts("GetSessionToken", world.root(), DurationSeconds=43200)
    assert answer["Credentials"]["Expiration"] == world.now + 3600
    assert world.load(session(answer)).grants.everything


def test_a_federated_user_may_what_both_policies_allow(world: World) -> None:
    nurse = world.user("nurse", policy(Action=["sts:*", "s3:Get*"], Resource="*"))
    answer = world.sts("GetFederationToken", nurse, Name="guest", Policy=policy(Action=["s3:*", "sns:*"], Resource="*"))
    found = world.load(session(answer))
    assert answer["FederatedUser"] == {"FederatedUserId": f"{HOME}:guest", "Arn": f"arn:aws:sts::{HOME}:federated-user/guest"}
    allowed = [a for a in ("s3:GetObject", "s3:PutObject", "sns:Publish") if decide(found.principal, found.grants, a, "*", {}).allowed]
    assert allowed == ["s3:GetObject"]
    bare = world.load(session(world.sts("GetFederationToken", nurse, Name="guest")))
    assert not decide(bare.principal, bare.grants, "s3:GetObject", "*", {}).allowed


def test_sessions_end_with_their_owner_and_when_revoked(world: World) -> None:
    nurse = world.user("nurse")
    role(world, trust(NURSE))
    night = session(assume(world, nurse))
    with world.database.write() as tx:
        found = store.role(tx, HOME, "reader")
        assert found is not None
        store.revoke_sessions(tx, found.id, world.now + 1)
    with pytest.raises(Rejected, match="bad-token"):
        world.load(night)
    world.now += 2
    later = session(assume(world, nurse))
    world.load(later)
    world.iam("DeleteRolePolicy", RoleName="reader", PolicyName="reads")
    world.iam("DeleteRole", RoleName="reader")
    role(world, trust(NURSE))
    with pytest.raises(Rejected, match="bad-token"):
        world.load(later)


def test_tokens_cannot_be_altered_or_swapped(world: World) -> None:
    nurse = world.user("nurse")
    one, two = session(world.sts("GetSessionToken", nurse)), session(world.sts("GetSessionToken", nurse))
    world.load(one)
    bad = [
        (one[0], two[1]),
        (one[0], one[1][:-2]),
        (one[0], ""),
        (one[0], one[1] + "\n"),
        (one[0], "ä"),
        (one[0], "x" * 40000),
        (nurse[0], one[1]),
    ]
    flipped = [(one[0], one[1][:i] + ("A" if one[1][i] != "A" else "B") + one[1][i + 1 :]) for i in range(0, len(one[1]) - 1, 7)]
    for key in bad + flipped:
        with pytest.raises(Rejected, match="bad-token"):
            world.load(key)


def test_a_service_calls_with_credentials_of_its_own(world: World) -> None:
    arn = f"arn:aws:cloudtrail:us-east-1:{HOME}:trail/t"
    issued = sessions.issue_service(world.sealer, world.ids, "cloudtrail.amazonaws.com", HOME, arn, world.now, 900)
    found = world.load((issued.access_key, issued.token))
    assert (found.secret, found.principal.kind, found.principal.service) == (issued.secret, "AWSService", "cloudtrail.amazonaws.com")
    assert (found.principal.source_arn, found.principal.source_account) == (arn, HOME)
    assert not decide(found.principal, replace(found.grants), "s3:PutObject", "*", {}).allowed


@pytest.mark.parametrize(
    "member", [{"SerialNumber": "arn:aws:iam::1:mfa/x", "TokenCode": "123456"}, {"PolicyArns": [{"arn": "arn:aws:iam::1:policy/p"}]}]
)
def test_what_is_not_supported_is_refused(world: World, member: dict[str, Any]) -> None:
    nurse = world.user("nurse")
    role(world, trust(NURSE))
    error = refusal(world, "AssumeRole", nurse, RoleArn=ROLE, RoleSessionName="n1", **member)
    assert error.code == "ValidationError"
    assert "is not supported" in error.for_caller()
    assert refusal(world, "AssumeRole", nurse, RoleArn=ROLE, RoleSessionName="n1", Policy="{}").code == "MalformedPolicyDocumentException"
