"""Policies as a table: what is allowed to whom, what is refused at Put, and that doubt denies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.identity import patterns
from opentrail.identity.decide import Grants, decide, refused
from opentrail.identity.policy import Kind, Malformed, compiled, validate
from opentrail.kernel.principal import Issuer, Principal, Session, service_principal

HOME, AWAY = "111111111111", "222222222222"
NURSE = Principal("IAMUser", HOME, "AIDANURSE", f"arn:aws:iam::{HOME}:user/ward/nurse", "AKIA", "nurse")
STRANGER = Principal("IAMUser", AWAY, "AIDASTRANGER", f"arn:aws:iam::{AWAY}:user/stranger", "AKIA", "stranger")
ROOT = Principal("Root", HOME, HOME, f"arn:aws:iam::{HOME}:root", "AKIA")
AWAY_ROOT = Principal("Root", AWAY, AWAY, f"arn:aws:iam::{AWAY}:root", "AKIA")
ROLE_ARN = f"arn:aws:iam::{HOME}:role/reader"
SESSION_ARN = f"arn:aws:sts::{HOME}:assumed-role/reader/night"
READER = Principal(
    "AssumedRole", HOME, "AROA:night", SESSION_ARN, "ASIA", session=Session(0, 1, False, Issuer("Role", "AROA", ROLE_ARN, HOME, "reader"))
)
GUEST = Principal("FederatedUser", HOME, f"{HOME}:guest", f"arn:aws:sts::{HOME}:federated-user/guest", "ASIA", session=Session(0, 1))
TRAIL = service_principal("cloudtrail.amazonaws.com", HOME, f"arn:aws:cloudtrail:us-east-1:{HOME}:trail/t")
ANYONE = Principal("AWSAccount", "ANONYMOUS_PRINCIPAL")
OBJECT = "arn:aws:s3:::wards/a/1.json"
Document = Mapping[str, Any]


def policy(*statements: Document, version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> Document:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def judged(
    who: Principal,
    identity: Sequence[Document] = (),
    action: str = "s3:GetObject",
    resource: str = OBJECT,
    keys: Mapping[str, str | Sequence[str]] | None = None,
    bucket: Sequence[Document] | None = None,
    owner: str = HOME,
    session: Sequence[Document] | None = None,
) -> bool:
    grants = Grants(
        (compiled(policy(*identity)),) if identity else (),
        None if session is None else (compiled(policy(*session)),) if session else (),
        everything=who.kind == "Root",
    )
    return decide(who, grants, action, resource, keys or {}, compiled(policy(*bucket)) if bucket else None, owner).allowed


IDENTITY_TABLE: list[tuple[Document, str, str, bool]] = [
    (allow("s3:GetObject"), "s3:GetObject", OBJECT, True),
    (allow("s3:getobject"), "s3:GetObject", OBJECT, True),
    (allow("S3:Get*"), "s3:GetObject", OBJECT, True),
    (allow("s3:Get?bject"), "s3:GetObject", OBJECT, True),
    (allow("s3:Put*"), "s3:GetObject", OBJECT, False),
    (allow(["iam:*", "s3:*"]), "s3:GetObject", OBJECT, True),
    (allow("*"), "s3:GetObject", OBJECT, True),
    (allow("s3:*", "arn:aws:s3:::wards/*"), "s3:GetObject", OBJECT, True),
    (allow("s3:*", "arn:aws:s3:::wards"), "s3:GetObject", OBJECT, False),
    (allow("s3:*", "arn:aws:s3:::ward?/a/*.json"), "s3:GetObject", OBJECT, True),
    (allow("s3:*", "arn:aws:s3:::WARDS/*"), "s3:GetObject", OBJECT, False),
    (allow("s3:*", "arn:aws:*:::wards/*"), "s3:GetObject", OBJECT, True),
    (allow("s3:*", "arn:aws:*:wards/a/1.json:x"), "s3:GetObject", OBJECT, False),
    (allow("iam:*", "arn:aws:iam::*:user/{x}"), "iam:GetUser", f"arn:aws:iam::{HOME}:user/{{x}}", True),
    ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "s3:GetObject", OBJECT, True),
    ({"Effect": "Allow", "NotAction": ["s3:Get*", "iam:*"], "Resource": "*"}, "s3:GetObject", OBJECT, False),
    ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::secret/*"}, "s3:GetObject", OBJECT, True),
    ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::wards/*"}, "s3:GetObject", OBJECT, False),
    (allow("s3:GetObject"), "s3:GetObject\n", OBJECT, False),
    (allow("s3:*", OBJECT), "s3:GetObject", OBJECT + "\n", False),
]


@pytest.mark.parametrize(("statement", "action", "resource", "allowed"), IDENTITY_TABLE)
def test_actions_and_resources(statement: Document, action: str, resource: str, allowed: bool) -> None:
    assert judged(NURSE, [statement], action, resource) is allowed


def test_default_is_deny_and_an_explicit_deny_wins() -> None:
    assert not judged(NURSE)
    assert not judged(NURSE, [allow(), deny("s3:GetObject")])
    assert judged(NURSE, [allow(), deny("s3:PutObject")])
    assert not judged(ROOT, bucket=[deny("s3:*", Principal="*")])
    assert not judged(NURSE, [allow()], bucket=[deny("s3:*", Principal={"AWS": NURSE.arn})])
    assert not judged(NURSE, [deny()], bucket=[allow(Principal={"AWS": NURSE.arn})])


def to(*arns: str, **more: Any) -> Document:
    return allow("s3:*", "arn:aws:s3:::wards/*", Principal={"AWS": list(arns)}, **more)


RESOURCE_TABLE: list[tuple[str, Principal, Sequence[Document], Sequence[Document] | None, bool]] = [
    ("owner's root", ROOT, [], None, True),
    ("a user named by the bucket", NURSE, [], [to(NURSE.arn)], True),
    ("a user whose account is named needs its own policy", NURSE, [], [to(f"arn:aws:iam::{HOME}:root")], False),
    ("and with it may", NURSE, [allow()], [to(HOME)], True),
    ("everyone", NURSE, [], [allow("s3:*", "arn:aws:s3:::wards/*", Principal="*")], True),
    ("everyone, anonymous", ANYONE, [], [allow("s3:*", "arn:aws:s3:::wards/*", Principal={"AWS": "*"})], True),
    ("anonymous is nobody in particular", ANYONE, [], [to(HOME, AWAY)], False),
    ("another bucket's statement", NURSE, [], [allow("s3:*", "arn:aws:s3:::other/*", Principal="*")], False),
    ("a stranger without own policy", STRANGER, [], [to(STRANGER.arn)], False),
    ("a stranger whom the bucket does not know", STRANGER, [allow()], None, False),
    ("a stranger with both", STRANGER, [allow()], [to(STRANGER.arn)], True),
    ("a stranger by its account", STRANGER, [allow()], [to(AWAY)], True),
    ("a stranger's root with the bucket's word", AWAY_ROOT, [], [to(AWAY)], True),
    ("a stranger's root without it", AWAY_ROOT, [], None, False),
    ("a role named by the bucket", READER, [], [to(ROLE_ARN)], True),
    ("a session named by the bucket", READER, [], [to(SESSION_ARN)], True),
    ("another session named", READER, [], [to(SESSION_ARN + "er")], False),
    ("a service that is named", TRAIL, [], [allow("s3:*", Principal={"Service": "cloudtrail.amazonaws.com"})], True),
    ("a service that is not", TRAIL, [], [allow("s3:*", Principal={"Service": "config.amazonaws.com"})], False),
    ("everyone is no service", TRAIL, [], [allow("s3:*", Principal="*")], False),
    ("a service has no policies of its own", TRAIL, [allow()], None, False),
]


@pytest.mark.parametrize(("name", "who", "identity", "bucket", "allowed"), RESOURCE_TABLE)
def test_resource_policies(name: str, who: Principal, identity: Sequence[Document], bucket: Any, allowed: bool) -> None:
    assert judged(who, identity, bucket=bucket) is allowed, name


@pytest.mark.parametrize(
    ("identity", "session", "bucket", "allowed"),
    [
        ([allow()], [allow("s3:Get*")], None, True),
        ([allow()], [allow("s3:Put*")], None, False),
        ([allow("s3:Put*")], [allow()], None, False),
        ([allow()], [allow(), deny("s3:GetObject")], None, False),
        ([], [allow("s3:Put*")], [to(ROLE_ARN)], False),
        ([], [allow("s3:Get*")], [to(ROLE_ARN)], True),
        ([], [allow("s3:Put*")], [to(SESSION_ARN)], True),
    ],
)
def test_session_policies_narrow(identity: Any, session: Any, bucket: Any, allowed: bool) -> None:
    assert judged(READER, identity, session=session, bucket=bucket) is allowed


def test_a_federated_user_without_a_policy_may_nothing() -> None:
    assert not judged(GUEST, [allow()], session=[])
    assert judged(GUEST, [allow()], session=[allow("s3:*")])
    assert judged(GUEST, [], session=[], bucket=[to(GUEST.arn)])


def test_not_principal() -> None:
    root = f"arn:aws:iam::{HOME}:root"
    spared = deny("s3:*", NotPrincipal={"AWS": [NURSE.arn, root]})
    assert judged(NURSE, [allow()], bucket=[spared])
    assert not judged(READER, [allow()], bucket=[spared])
    assert not judged(NURSE, [allow()], bucket=[deny("s3:*", NotPrincipal={"AWS": NURSE.arn})])
    assert not judged(NURSE, [], bucket=[allow("s3:*", NotPrincipal={"AWS": NURSE.arn})])


CONDITIONS: list[tuple[Document, Mapping[str, str | Sequence[str]], bool]] = [
    ({"StringEquals": {"aws:username": "nurse"}}, {"aws:username": "nurse"}, True),
    ({"StringEquals": {"AWS:UserName": ["doctor", "nurse"]}}, {"aws:username": "nurse"}, True),
    ({"StringEquals": {"aws:username": "nurse"}}, {"aws:username": "nurse\n"}, False),
    ({"StringEquals": {"aws:username": "nurs*"}}, {"aws:username": "nurse"}, False),
    ({"StringEquals": {"aws:username": "nurse"}}, {}, False),
    ({"StringNotEquals": {"aws:username": ["doctor", "nurse"]}}, {"aws:username": "nurse"}, False),
    ({"StringNotEquals": {"aws:username": "doctor"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:username": "nurse"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:username": "nurse"}}, {"aws:username": "doctor"}, False),
    ({"StringEqualsIgnoreCase": {"aws:username": "NURSE"}}, {"aws:username": "nurse"}, True),
    ({"StringNotEqualsIgnoreCase": {"aws:username": "NURSE"}}, {"aws:username": "nurse"}, False),
    ({"StringLike": {"s3:prefix": ["home/*", ""]}}, {"s3:prefix": "home/x"}, True),
    ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": "home/nurse/x", "aws:username": "nurse"}, True),
    ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": "home/doctor/x", "aws:username": "*"}, False),
    ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": "home//x"}, False),
    ({"StringLike": {"s3:prefix": "${aws:username, 'all'}/*"}}, {"s3:prefix": "all/x"}, True),
    ({"StringLike": {"s3:prefix": "a${*}c"}}, {"s3:prefix": "abc"}, False),
    ({"StringLike": {"s3:prefix": "a${*}c"}}, {"s3:prefix": "a*c"}, True),
    ({"StringNotLike": {"s3:prefix": "home/*"}}, {"s3:prefix": "home/x"}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
    ({"NumericLessThan": {"s3:max-keys": 10}}, {"s3:max-keys": "10"}, False),
    ({"NumericEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "ten"}, False),
    ({"NumericNotEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "11"}, True),
    ({"NumericGreaterThan": {"s3:max-keys": "9"}}, {"s3:max-keys": "10"}, True),
    ({"NumericGreaterThanEquals": {"s3:max-keys": "11"}}, {"s3:max-keys": "10"}, False),
    ({"DateLessThan": {"aws:CurrentTime": "2026-11-21T10:00:00Z"}}, {"aws:currenttime": "2026-11-21T09:59:59Z"}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-21T10:00:00+02:00"}}, {"aws:currenttime": "2026-11-21T09:59:59Z"}, True),
    ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-21T10:00:00Z"}}, {}, False),
    ({"DateEquals": {"aws:EpochTime": "1790000000"}}, {"aws:epochtime": "1790000000"}, True),
    ({"DateLessThanEquals": {"aws:EpochTime": "1789999999"}}, {"aws:epochtime": "1790000000"}, False),
    ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:securetransport": "true"}, True),
    ({"Bool": {"aws:SecureTransport": False}}, {"aws:securetransport": "true"}, False),
    ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, {}, False),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {}, True),
    ({"BinaryEquals": {"aws:Referer": "aGk="}}, {"aws:referer": "aGk="}, True),
    ({"BinaryEquals": {"aws:Referer": "aGk="}}, {"aws:referer": "?"}, False),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}, {"aws:sourceip": "10.1.2.3"}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": "11.1.2.3"}, False),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": "::ffff:10.1.2.3"}, True),
    ({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, {"aws:sourceip": "2001:db8::1"}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": "cloudtrail.amazonaws.com"}, False),
    ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": "11.1.2.3"}, True),
    ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HOME}:user/*"}}, {"aws:principalarn": NURSE.arn}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/t"}}, {"aws:sourcearn": "arn:aws:cloudtrail:r:1:trail/t"}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:*:1:trail/t:x:y"}}, {"aws:sourcearn": "arn:aws:cloudtrail:r:1:trail/t"}, False),
    ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, {"aws:principalarn": NURSE.arn}, True),
    ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
    ({"Null": {"aws:TokenIssueTime": "false"}}, {}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:tagkeys": ["a"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:tagkeys": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["a*"]}}, {"aws:tagkeys": ["b", "ab"]}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["a*"]}}, {}, False),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a", "b"]}, True),
    ({"StringEquals": {"aws:PrincipalTag/Team": "ward"}}, {"aws:principaltag/team": "ward"}, True),
    (
        {"StringEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}},
        {"aws:principaltag/team": "a", "aws:resourcetag/team": "a"},
        True,
    ),
    ({"StringEquals": {"aws:username": "nurse"}, "Bool": {"aws:SecureTransport": "true"}}, {"aws:username": "nurse"}, False),
    ({"StringEquals": {"aws:username": "nurse", "aws:RequestedRegion": "us-east-1"}}, {"aws:username": "nurse"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "keys", "holds"), CONDITIONS)
def test_conditions(condition: Document, keys: Mapping[str, str | Sequence[str]], holds: bool) -> None:
    validate(policy(allow(Condition=condition)), "identity")
    assert judged(NURSE, [allow(Condition=condition)], keys=keys) is holds
    assert judged(NURSE, [allow(), deny(Condition=condition)], keys=keys) is not holds


def test_variables_in_resources_stand_for_their_value_literally() -> None:
    own = [allow("s3:*", "arn:aws:s3:::wards/${aws:username}/*")]
    assert judged(NURSE, own, resource="arn:aws:s3:::wards/nurse/x", keys={"aws:username": "nurse"})
    assert not judged(NURSE, own, resource="arn:aws:s3:::wards/doctor/x", keys={"aws:username": "nurse"})
    assert not judged(NURSE, own, resource="arn:aws:s3:::wards/doctor/x", keys={"aws:username": "*"})
    assert not judged(NURSE, own, resource="arn:aws:s3:::wards//x")
    old = compiled(policy(*own, version="2008-10-17"))
    assert not decide(NURSE, Grants((old,)), "s3:Get", "arn:aws:s3:::wards/nurse/x", {"aws:username": "nurse"}).allowed


P = {"Principal": "*"}
REFUSED: list[tuple[str, Kind, str]] = [
    ("", "identity", "Syntax errors"),
    ("[]", "identity", "Syntax errors"),
    ("{" * 5000, "identity", "Syntax errors"),
    (policy(allow())[:-1] + ', "Statement": []}', "identity", "the element Statement stands twice"),
    (policy(deny()).replace('"Effect"', '"Effect": "Allow", "Effect"'), "trust", "the element Effect stands twice"),
    ('{"Version": "2012-10-17"}', "identity", "Statement must be"),
    (policy(allow(), version="2020-01-01"), "identity", "valid version"),
    (json.dumps({"Version": "2012-10-17", "Statement": [allow()], "Other": 1}), "identity", "unknown element Other"),
    (policy({"Effect": "allow", "Action": "*", "Resource": "*"}), "identity", "statement 1 must be Allow or Deny"),
    (policy(allow(), {"Effect": "Allow", "Resource": "*"}), "identity", "must contain actions: statement 2"),
    (policy({"Effect": "Allow", "Action": "*"}), "identity", "must contain resources: statement 1"),
    (policy(allow("GetObject")), "identity", "prefaced by a vendor"),
    (policy(allow("s3:Get*\n")), "identity", "prefaced by a vendor"),
    (policy(allow([])), "identity", "Action of statement 1"),
    (policy(allow(resource="wards")), "identity", "must be in ARN format"),
    (policy(allow(resource="arn:aws:s3*")), "identity", "must be in ARN format"),
    (policy(allow(**P)), "identity", "should not specify a principal"),
    (policy(allow(**P)), "session", "should not specify a principal"),
    (policy(allow()), "resource", "Missing required field Principal"),
    (policy(allow(**P)), "trust", "prohibited field Resource"),
    (policy(allow(Principal={"AWS": "nurse"})), "resource", "Invalid principal"),
    (policy(allow(Principal={"AWS": NURSE.arn + "\n"})), "resource", "Invalid principal"),
    (policy(allow(Principal={"AWS": "arn:aws:iam::111111111111:user/*"})), "resource", "Invalid principal"),
    (policy(allow(Principal={"Federated": "accounts.example.com"})), "resource", "Invalid principal"),
    (policy(allow(Sid="a"), allow(Sid="a")), "identity", "must be unique: statement 2"),
    (policy(allow(Extra=1)), "identity", "unknown element Extra"),
    (policy(allow(NotAction="s3:*")), "identity", "Action and NotAction"),
    (policy(allow(Condition={"StringMatches": {"aws:username": "x"}})), "identity", "StringMatches is not a condition operator"),
    (policy(allow(Condition={"ForSome:StringEquals": {"aws:username": "x"}})), "identity", "not a condition operator"),
    (policy(allow(Condition={"NullIfExists": {"aws:username": "true"}})), "identity", "not a condition operator"),
    (policy(allow(Condition={"StringEquals": {"aws:SourceVpce": "x"}})), "identity", "aws:SourceVpce is not a condition key"),
    (policy(allow(Condition={"StringEquals": {"aws:PrincipalTag/": "x"}})), "identity", "not a condition key"),
    (policy(allow(Condition={"StringEquals": {"aws:username": []}})), "identity", "must have a value"),
    (policy(allow(Condition={"StringEquals": {"aws:username": "${aws:other}"}})), "identity", "not a policy variable"),
    (policy(allow(resource="arn:aws:s3:::a/${aws:other}")), "identity", "not a policy variable"),
    (policy({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::a/${aws:username}"}), "identity", "NotResource"),
    (policy(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}})), "identity", "not an address"),
    (policy(allow(Condition={"NumericEquals": {"s3:max-keys": "ten"}})), "identity", "not a number"),
    (policy(allow(Condition={"DateLessThan": {"aws:CurrentTime": "soon"}})), "identity", "not a date"),
    (policy(allow(Condition={"Bool": {"aws:SecureTransport": "yes"}})), "identity", "true or false"),
    (policy(allow(Condition={"ArnLike": {"aws:SourceArn": "t"}})), "identity", "not an ARN"),
    (policy(allow(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:*:trail/t"}})), "identity", "not an ARN"),
    (policy(allow(Condition=[])), "identity", "Condition"),
]


@pytest.mark.parametrize(("document", "kind", "why"), REFUSED)
def test_refused_at_put_with_the_reason(document: str, kind: Kind, why: str) -> None:
    with pytest.raises(Malformed, match=re.escape(why)):
        validate(document, kind)


@pytest.mark.parametrize("document", [document for document, _, why in REFUSED if "condition" in why or "Syntax" in why])
def test_what_cannot_be_understood_denies(document: str) -> None:
    decision = decide(NURSE, Grants((compiled(policy(allow())), compiled(document))), "s3:GetObject", OBJECT, {}, None, HOME)
    assert not decision.allowed
    assert not decide(ROOT, Grants(everything=True), "s3:GetObject", OBJECT, {}, compiled(document), HOME).allowed


@pytest.mark.parametrize(
    ("grants", "why"),
    [
        (Grants(), "because no identity-based policy allows the s3:GetObject action"),
        (Grants((compiled(policy(deny())),)), "with an explicit deny in an identity-based policy"),
        (Grants((compiled(policy(allow())),), ()), "because no session policy allows the s3:GetObject action"),
    ],
)
def test_the_refusal_says_why_in_awss_words(grants: Grants, why: str) -> None:
    decision = decide(NURSE, grants, "s3:GetObject", OBJECT, {}, None, HOME)
    error = refused(NURSE, "s3:GetObject", OBJECT, decision, "AccessDenied")
    assert error.for_caller() == f"User: {NURSE.arn} is not authorized to perform: s3:GetObject on resource: {OBJECT} {why}"


class Asked(dict[str, Any]):
    """Condition keys that remember which of them were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


TAG_KEYS = ["aws:ResourceTag/a", "AWS:resourcetag/B", "iam:ResourceTag/a", "aws:username", "aws:RequestTag/a", "aws:PrincipalTag/a"]
_keys = st.sampled_from(TAG_KEYS)
_values = st.one_of(st.just("x"), _keys.map(lambda key: f"x${{{key}}}"), _keys.map(lambda key: f"${{ {key} , 'd'}}"))
_conditions = st.dictionaries(
    st.sampled_from(["StringEquals", "ForAnyValue:StringLike", "StringNotEqualsIfExists"]),
    st.dictionaries(_keys, st.one_of(_values, st.lists(_values, min_size=1, max_size=2)), min_size=1, max_size=2),
    max_size=2,
)
_resources = st.one_of(st.just("*"), _values.map(lambda value: f"arn:aws:s3:::wards/{value}"))
_statements = st.builds(
    lambda resource, condition, denies: (deny if denies else allow)(resource=resource, Condition=condition),
    st.one_of(_resources, st.lists(_resources, min_size=1, max_size=2)), _conditions, st.booleans(),
)  # fmt: skip


@given(st.lists(_statements, min_size=1, max_size=3), st.sampled_from(["2012-10-17", "2008-10-17"]))
def test_a_policy_that_looks_at_tags_of_the_resource_says_so(statements: list[Document], version: str) -> None:
    document, keys = compiled(policy(*statements, version=version)), Asked()
    assert not document.broken
    for own, session in (((document,), None), ((), (document,))):
        grants = Grants(own, session)
        decide(NURSE, grants, "s3:GetObject", OBJECT, keys)
        assert grants.asks_tags is document.asks_tags
    assert document.asks_tags or not any(":resourcetag/" in name for name in keys.names)
    assert document.asks_tags is (":resourcetag/" in json.dumps(statements).lower())


def test_an_escaped_name_of_a_key_is_no_hiding_place() -> None:
    document = policy(deny(Condition={"StringEquals": {"aws:ResourceTag/a": "x"}})).replace("Tag", "\\u0054ag")
    assert "Tag" not in document
    assert compiled(document).asks_tags
    assert not decide(NURSE, Grants((compiled(document),)), "s3:GetObject", OBJECT, {"aws:resourcetag/a": "x"}).allowed


def reference(pattern: str, text: str) -> bool:
    """Wildcards by the definition, tried in every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(reference(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and (pattern[0] == "?" or pattern[0] == text[0]) and reference(pattern[1:], text[1:])


@given(st.text("ab*?\n.", max_size=7), st.text("ab*?\n.", max_size=7))
def test_wildcards_match_as_defined(pattern: str, text: str) -> None:
    assert patterns.glob(patterns.tokens(pattern))(text) is reference(pattern, text)


@given(st.text("ab*?:${}", max_size=10))
def test_a_value_of_a_variable_matches_itself_alone(value: str) -> None:
    match = patterns.bound(patterns.tokens("x${aws:username}y*"), patterns.glob)
    assert match(f"x{value}yz", {"aws:username": value})
    assert not match(f"x{value}!yz", {"aws:username": value})


def test_wildcards_take_linear_time() -> None:
    match = patterns.glob(patterns.tokens("*a" * 50 + "b"))
    assert not match("a" * 5000)
